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

/// A router that gives each credential to exactly one of several verifiers.
///
/// The first rule that matches selects the verifier:
///
/// 1. the scheme in front of the token ([`scheme`](Self::scheme))
/// 2. the beginning of the token ([`prefix`](Self::prefix)); the longest prefix wins
/// 3. the form of the token: three parts separated by dots ([`jwt`](Self::jwt)), or any other ([`opaque`](Self::opaque))
///
/// The router rejects the credential in two cases. No rule matches, or rule 2 or 3 selects a verifier that does not
/// [offer](Verify::challenges) the scheme while another one does. If the selected verifier rejects, no other one is tried.
///
/// To select among JWTs by their `iss`, pass an [`Issuers`](super::Issuers) to [`jwt`](Self::jwt). All verifiers have the same
/// claims type, so policies, extractors and rejections work for all of them.
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
/// /// A custom verifier. The feature `api-keys` has one for keys with a checksum.
/// struct Robots;
///
/// impl Verify for Robots {
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
///     .prefix("key_", Robots)? // Authorization: Bearer key_4f8a
///     .scheme(Scheme::from_static("ApiKey"), Robots)? // Authorization: ApiKey key_4f8a
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
    /// Sorted, the longest first.
    prefixes: Vec<Route<C>>,
    jwt: Option<Member<C>>,
    opaque: Option<Member<C>>,
}

/// A scheme or prefix, and the verifier for it.
type Route<C> = (Box<str>, Member<C>);

impl<C> AnyOf<C> {
    /// Creates a router without verifiers. It rejects every credential.
    pub fn new() -> Self {
        let routes = Routes { schemes: Vec::new(), prefixes: Vec::new(), jwt: None, opaque: None };
        Self { routes: Arc::new(routes) }
    }

    /// Routes all credentials with a scheme to `verifier`.
    ///
    /// The layer offers the scheme and reads it from `Authorization`. For a custom scheme use
    /// `Scheme::from_static("ApiKey")`. Tokens from cookies, query parameters and headers without a scheme, such as
    /// `X-Api-Key`, count as [`Bearer`](Scheme::BEARER): route those by [`prefix`](Self::prefix).
    ///
    /// # Errors
    ///
    /// The scheme already has a verifier.
    pub fn scheme<V>(self, scheme: Scheme<'_>, verifier: V) -> Result<Self, ConfigError>
    where
        V: Verify<Claims = C> + 'static,
    {
        if self.routes.schemes.iter().any(|(name, _)| Scheme::trusted(name) == scheme) {
            return Err(ConfigProblem::DuplicateRoute { route: scheme.to_string() }.into());
        }
        Ok(self.set(|routes| routes.schemes.push((scheme.as_str().into(), Member::new(verifier)))))
    }

    /// Routes all tokens that begin with `prefix` to `verifier`, for example `ghp_`.
    ///
    /// The prefix is case-sensitive. A matching [`scheme`](Self::scheme) takes precedence.
    ///
    /// # Errors
    ///
    /// The prefix is empty or already has a verifier.
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

    /// Sets the verifier for tokens with two dots, the form of a signed JWT.
    ///
    /// The form is that of [RFC 7515, section 3.1](https://www.rfc-editor.org/rfc/rfc7515#section-3.1). For opaque tokens with
    /// two dots use [`prefix`](Self::prefix).
    pub fn jwt<V>(self, verifier: V) -> Self
    where
        V: Verify<Claims = C> + 'static,
    {
        self.set(|routes| routes.jwt = Some(Member::new(verifier)))
    }

    /// Sets the verifier for all other tokens.
    pub fn opaque<V>(self, verifier: V) -> Self
    where
        V: Verify<Claims = C> + 'static,
    {
        self.set(|routes| routes.opaque = Some(Member::new(verifier)))
    }

    /// Verifies a token without a request, or a [`Credential`].
    ///
    /// # Errors
    ///
    /// The errors of the selected verifier, or [`InvalidToken`](AuthErrorKind::InvalidToken) if there is none.
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
    /// Selects the verifier for a credential.
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

    /// Returns all verifiers that are not selected by a scheme.
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

/// Looks only at the dots, so that no malformed JWT can pass for an opaque token.
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
