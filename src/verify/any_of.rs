use std::fmt::{self, Formatter};
use std::sync::Arc;

use memchr::memchr_iter;

use super::member::{Member, OTHER_SCHEME};
use super::{Verdict, Verify};
use crate::challenges::{Challenges, Offer};
use crate::config_error::{ConfigError, ConfigProblem};
use crate::credential::Credential;
use crate::error::{AuthError, FixedCause};
use crate::kind::AuthErrorKind;
use crate::scheme::Scheme;

/// Several verifiers of any kind, of which each credential is given to exactly one.
///
/// The first of these that fits chooses the verifier:
///
/// 1. the scheme in front of the token ([`scheme`](Self::scheme)),
/// 2. how the token begins ([`prefix`](Self::prefix); the longest prefix wins),
/// 3. its form: three parts with dots between them ([`jwt`](Self::jwt)), or anything else ([`opaque`](Self::opaque)).
///
/// If a verifier that is chosen by 2 or 3 does not [offer](Verify::challenges) the scheme and another one does, the credential
/// is refused.
///
/// To choose among JWTs by their `iss`, give [`jwt`](Self::jwt) an [`Issuers`](super::Issuers). If nothing fits, the
/// credential is refused with no verifier asked. A verifier that refuses has the last word: no other one is tried.
///
/// All of them have the same claims type, so policies, extractors and rejections are the same for all.
///
/// ```
/// use tower_jwt_auth::verifiers::{AnyOf, Scheme};
/// use tower_jwt_auth::{Algorithm, AuthErrorKind, Claims, Credential, JwtAuthLayer, JwtVerifier, KeySet, Verdict, Verify};
///
/// #[derive(serde::Deserialize)]
/// struct User {
///     sub: String,
/// }
///
/// /// Finds API keys in a table, for example.
/// struct ApiKeys;
///
/// impl Verify for ApiKeys {
///     type Claims = User;
///
///     fn verify(&self, credential: Credential<'_>) -> Verdict<User> {
///         Verdict::Ready(match credential.token() {
///             b"key_4f8a" => Ok(Claims::new(User { sub: "robot".to_owned() })),
///             _ => Err(AuthErrorKind::InvalidToken.into()),
///         })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let keys = KeySet::hmac(Algorithm::HS256, b"a secret for this example, 32 bytes")?;
/// let verifier = AnyOf::new()
///     .prefix("key_", ApiKeys)? // Authorization: Bearer key_4f8a
///     .scheme(Scheme::from_static("ApiKey"), ApiKeys)? // Authorization: ApiKey key_4f8a
///     .jwt(JwtVerifier::<User>::new(keys));
///
/// assert_eq!(verifier.verify("key_4f8a").await?.sub, "robot");
/// let layer = JwtAuthLayer::new(verifier);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct AnyOf<C> {
    routes: Arc<Routes<C>>,
}

struct Routes<C> {
    schemes: Vec<Route<C>>,
    /// The longest first.
    prefixes: Vec<Route<C>>,
    jwt: Option<Member<C>>,
    opaque: Option<Member<C>>,
}

/// A scheme or prefix, and the verifier for it.
type Route<C> = (Box<str>, Member<C>);

impl<C> AnyOf<C> {
    /// No verifier yet, so that every credential is refused.
    pub fn new() -> Self {
        let routes = Routes { schemes: Vec::new(), prefixes: Vec::new(), jwt: None, opaque: None };
        Self { routes: Arc::new(routes) }
    }

    /// Gives all credentials of a scheme to `verifier`. The layer offers the scheme and reads it from `Authorization`.
    ///
    /// Tokens from cookies, query parameters and headers without a scheme, such as `X-Api-Key`, count as
    /// [`Bearer`](Scheme::BEARER): choose those by a [`prefix`](Self::prefix). A scheme has a name of its own,
    /// `Scheme::from_static("ApiKey")`.
    ///
    /// # Errors
    ///
    /// If the scheme has a verifier already.
    pub fn scheme<V>(self, scheme: Scheme<'_>, verifier: V) -> Result<Self, ConfigError>
    where
        V: Verify<Claims = C> + 'static,
    {
        if self.routes.schemes.iter().any(|(name, _)| Scheme::trusted(name) == scheme) {
            return Err(ConfigProblem::DuplicateRoute { route: scheme.to_string() }.into());
        }
        Ok(self.set(|routes| routes.schemes.push((scheme.as_str().into(), Member::new(verifier)))))
    }

    /// Gives all tokens that begin with `prefix` to `verifier`, such as `ghp_` or `sk_live_`. Case matters. Tokens of a
    /// [`scheme`](Self::scheme) that has a verifier are not asked for their prefix.
    ///
    /// # Errors
    ///
    /// If the prefix is empty, or has a verifier already.
    pub fn prefix<V>(self, prefix: &str, verifier: V) -> Result<Self, ConfigError>
    where
        V: Verify<Claims = C> + 'static,
    {
        if prefix.is_empty() {
            return Err(ConfigProblem::EmptyPrefix.into());
        }
        if self.routes.prefixes.iter().any(|(known, _)| **known == *prefix) {
            return Err(ConfigProblem::DuplicateRoute { route: prefix.to_owned() }.into());
        }
        Ok(self.set(|routes| {
            routes.prefixes.push((prefix.into(), Member::new(verifier)));
            routes.prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        }))
    }

    /// Sets or replaces the verifier for tokens of the form of a signed JWT: three parts with two dots between them
    /// ([RFC 7515, section 3.1](https://www.rfc-editor.org/rfc/rfc7515#section-3.1)). For opaque tokens of this form use
    /// [`prefix`](Self::prefix).
    pub fn jwt<V>(self, verifier: V) -> Self
    where
        V: Verify<Claims = C> + 'static,
    {
        self.set(|routes| routes.jwt = Some(Member::new(verifier)))
    }

    /// Sets or replaces the verifier for all other tokens.
    pub fn opaque<V>(self, verifier: V) -> Self
    where
        V: Verify<Claims = C> + 'static,
    {
        self.set(|routes| routes.opaque = Some(Member::new(verifier)))
    }

    /// Verifies a token, or the credential that a layer has found. No request is needed.
    ///
    /// # Errors
    ///
    /// The verdict is that of the verifier that fits. [`InvalidToken`](AuthErrorKind::InvalidToken) if there is none.
    pub fn verify<'a>(&self, credential: impl Into<Credential<'a>>) -> Verdict<C> {
        let credential = credential.into();
        match self.routes.choose(&credential) {
            Ok(member) => member.verifier.verify(credential),
            Err(cause) => Verdict::Ready(Err(AuthError::new(AuthErrorKind::InvalidToken).because(cause))),
        }
    }

    fn set(mut self, change: impl FnOnce(&mut Routes<C>)) -> Self {
        change(Arc::make_mut(&mut self.routes));
        self
    }
}

impl<C> Routes<C> {
    /// The only verifier that is given this credential.
    fn choose(&self, credential: &Credential<'_>) -> Result<&Member<C>, &'static FixedCause> {
        let scheme = credential.scheme();
        if let Some((_, member)) = self.schemes.iter().find(|(name, _)| Scheme::trusted(name) == scheme) {
            return Ok(member);
        }
        let token = credential.token();
        let by_prefix = self.prefixes.iter().find(|(prefix, _)| token.starts_with(prefix.as_bytes()));
        let member = match by_prefix {
            Some((_, member)) => member,
            None if has_jwt_form(token) => self
                .jwt
                .as_ref()
                .ok_or(&FixedCause("the token has the form of a JWT, and AnyOf::jwt is not set"))?,
            None => self
                .opaque
                .as_ref()
                .ok_or(&FixedCause("no AnyOf::prefix fits the token, and AnyOf::opaque is not set"))?,
        };
        if member.is_for_other_scheme(credential, self.of_any_scheme()) {
            Err(OTHER_SCHEME)
        } else {
            Ok(member)
        }
    }

    /// All but those of a scheme.
    fn of_any_scheme(&self) -> impl Iterator<Item = &Member<C>> {
        self.jwt.iter().chain(self.prefixes.iter().map(|(_, member)| member)).chain(&self.opaque)
    }

    fn members(&self) -> impl Iterator<Item = &Member<C>> {
        self.of_any_scheme().chain(self.schemes.iter().map(|(_, member)| member))
    }

    fn offers(&self) -> impl Iterator<Item = Offer> {
        let others = self.of_any_scheme().flat_map(|member| member.challenges.offers().to_vec());
        let schemes = self.schemes.iter().map(|(name, member)| {
            let scheme = Scheme::trusted(name);
            let own = member.challenges.offers().iter().find(|offer| offer.scheme() == scheme);
            own.cloned().unwrap_or_else(|| Offer::new(scheme))
        });
        others.chain(schemes)
    }
}

impl<C> Verify for AnyOf<C> {
    type Claims = C;

    fn verify(&self, credential: Credential<'_>) -> Verdict<C> {
        self.verify(credential)
    }

    fn issuers(&self) -> Vec<String> {
        self.routes.members().flat_map(|member| member.verifier.issuers()).collect()
    }

    fn challenges(&self) -> Challenges {
        Challenges::all(self.routes.offers())
    }
}

/// Whatever the parts are: a client must not be able to have a JWT judged as an opaque token.
fn has_jwt_form(token: &[u8]) -> bool {
    memchr_iter(b'.', token).count() == 2
}

impl<C> Default for AnyOf<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C> Clone for AnyOf<C> {
    fn clone(&self) -> Self {
        Self { routes: Arc::clone(&self.routes) }
    }
}

impl<C> Clone for Routes<C> {
    fn clone(&self) -> Self {
        let Self { schemes, prefixes, jwt, opaque } = self;
        Self {
            schemes: schemes.clone(),
            prefixes: prefixes.clone(),
            jwt: jwt.clone(),
            opaque: opaque.clone(),
        }
    }
}

impl<C> fmt::Debug for AnyOf<C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let names = |routes: &[Route<C>]| routes.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        f.debug_struct("AnyOf")
            .field("schemes", &names(&self.routes.schemes))
            .field("prefixes", &names(&self.routes.prefixes))
            .field("jwt", &self.routes.jwt.is_some())
            .field("opaque", &self.routes.opaque.is_some())
            .finish()
    }
}
