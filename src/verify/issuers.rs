use std::collections::HashMap;
use std::fmt::{self, Formatter};
use std::sync::Arc;

use super::base64url::Buffer;
#[cfg(feature = "remote-keys-core")]
use super::issuer_resolver::IssuerResolver;
use super::issuer_resolver::Resolver;
use super::json::Text;
use super::jws::Jws;
use super::member::{Member, OTHER_SCHEME};
use super::rules::{TOKEN_LIMIT, USUAL_PAYLOAD, payload_text};
use super::stream::{Wanted, plain};
use super::{Verdict, Verify, diagnosis};
use crate::challenges::Challenges;
use crate::config_error::{ConfigError, ConfigProblem};
use crate::credential::Credential;
use crate::error::{AuthError, FixedCause};
use crate::kind::AuthErrorKind;
use arc_swap::ArcSwap;

/// A verifier for each of several issuers, selected by the token's `iss`.
///
/// Each issuer has its own keys, audience, limits and cache. The selected verifier checks the whole token, `iss` included. A
/// token never causes a fetch for an unknown issuer. The verifiers are usually [`JwtVerifier`](super::JwtVerifier)s. Any
/// [`Verify`] that names its [issuers](Verify::issuers) works.
///
/// You can add and remove verifiers at any time. Clones share them. A setter changes only the value that it returns.
///
/// A rejection discloses whether an issuer is known: an unknown one gets [`WrongIssuer`](AuthErrorKind::WrongIssuer). If your
/// tenants are confidential, set an `IssuerResolver` (feature `remote-keys`): then all such rejections are alike.
///
/// ```
/// use tower_jwt_auth::verifiers::Issuers;
/// use tower_jwt_auth::{Algorithm, JwtAuthLayer, JwtVerifier, KeySet, RegisteredClaims};
///
/// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
/// let staff = JwtVerifier::<RegisteredClaims>::new(KeySet::hmac(Algorithm::HS256, b"a secret of thirty-two bytes ...")?)
///     .issuer("https://staff.example.com")
///     .audience("https://api.example.com");
/// let customers = JwtVerifier::new(KeySet::hmac(Algorithm::HS256, b"another secret of thirty-two ...")?)
///     .issuer("https://customers.example.com")
///     .audience("https://api.example.com");
/// let issuers = Issuers::new([staff, customers])?;
/// let layer = JwtAuthLayer::new(issuers.clone());
///
/// // Later, while the layer is in use.
/// assert!(issuers.remove("https://customers.example.com"));
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Issuers<C> {
    /// Shared by all clones.
    verifiers: Arc<ArcSwap<Verifiers<C>>>,
    max_issuers: usize,
    max_token_bytes: usize,
    resolver: Option<Arc<Resolver<C>>>,
}

type Verifiers<C> = HashMap<String, Member<C>>;

const MOST_ISSUERS: usize = 1000;

impl<C> Issuers<C> {
    /// Creates the set from verifiers that name their [issuers](Verify::issuers).
    ///
    /// For an empty set, use `Issuers::default()`.
    ///
    /// # Errors
    ///
    /// A verifier names no issuer, or two verifiers name the same issuer.
    pub fn new<V>(verifiers: impl IntoIterator<Item = V>) -> Result<Self, ConfigError>
    where
        V: Verify<Claims = C> + 'static,
    {
        let mut known = Verifiers::new();
        for verifier in verifiers {
            if let Some(issuer) = verifier.issuers().into_iter().find(|issuer| known.contains_key(issuer)) {
                return Err(ConfigProblem::DuplicateIssuer { issuer }.into());
            }
            enter(&mut known, &Member::new(verifier), usize::MAX)?;
        }
        Ok(Self { verifiers: Arc::new(ArcSwap::from_pointee(known)), ..Self::default() })
    }

    /// Sets the most issuers that [`add`](Self::add) accepts. The default is 1,000.
    ///
    /// Issuers from a resolver do not count.
    pub fn max_issuers(self, max_issuers: usize) -> Self {
        Self { max_issuers, ..self }
    }

    /// Sets the size limit of a token, in bytes. The default is 16 KiB.
    ///
    /// The selected verifier has its [own limit](super::JwtVerifier::max_token_bytes). To accept longer tokens, raise both.
    pub fn max_token_bytes(self, max_token_bytes: usize) -> Self {
        Self { max_token_bytes, ..self }
    }

    /// Sets the resolver that looks up all other issuers, for example in a database.
    ///
    /// With a resolver, rejections do not disclose which issuers exist: see [`IssuerResolver`]. Earlier clones do not have the
    /// resolver, and their [`remove`](Self::remove) does not clear it.
    #[cfg(feature = "remote-keys-core")]
    pub fn resolver(self, resolver: IssuerResolver<C>) -> Self {
        Self { resolver: Some(Arc::new(Resolver::new(resolver))), ..self }
    }

    /// Adds a verifier. It replaces earlier verifiers of the same [issuers](Verify::issuers).
    ///
    /// # Errors
    ///
    /// The verifier names no issuer, or there would be too many issuers.
    pub fn add(&self, verifier: impl Verify<Claims = C> + 'static) -> Result<(), ConfigError> {
        let member = Member::new(verifier);
        let mut result = Ok(());
        self.verifiers.rcu(|known| {
            let mut known = Verifiers::clone(known);
            result = enter(&mut known, &member, self.max_issuers);
            known
        });
        result
    }

    /// Removes the verifier of an issuer. Returns true if there was one.
    ///
    /// The resolver forgets the issuer, too. Its tokens are rejected until a later lookup finds it again.
    pub fn remove(&self, issuer: &str) -> bool {
        let known = self.verifiers.rcu(|known| {
            let mut known = Verifiers::clone(known);
            known.remove(issuer);
            known
        });
        let was_resolved = self.resolver.as_ref().is_some_and(|resolver| resolver.forget(issuer));
        known.contains_key(issuer) || was_resolved
    }
}

impl<C> Default for Issuers<C> {
    /// Creates an empty set.
    fn default() -> Self {
        Self {
            verifiers: Arc::new(ArcSwap::from_pointee(Verifiers::new())),
            max_issuers: MOST_ISSUERS,
            max_token_bytes: TOKEN_LIMIT,
            resolver: None,
        }
    }
}

fn enter<C>(known: &mut Verifiers<C>, member: &Member<C>, most: usize) -> Result<(), ConfigError> {
    let issuers = member.verifier.issuers();
    if issuers.is_empty() {
        return Err(ConfigProblem::MissingIssuer.into());
    }
    let new = issuers.iter().filter(|issuer| !known.contains_key(*issuer)).count();
    if new > 0 && known.len().saturating_add(new) > most {
        return Err(ConfigProblem::TooManyIssuers { max: most }.into());
    }
    known.extend(issuers.into_iter().map(|issuer| (issuer, member.clone())));
    Ok(())
}

impl<C: Send + Sync + 'static> Issuers<C> {
    /// Verifies a token without a request, or a [`Credential`].
    ///
    /// # Errors
    ///
    /// The errors of the selected verifier, or [`WrongIssuer`](AuthErrorKind::WrongIssuer) if there is none.
    pub fn verify<'a>(&self, credential: impl Into<Credential<'a>>) -> Verdict<C> {
        self.judge(credential.into())
    }

    fn judge(&self, credential: Credential<'_>) -> Verdict<C> {
        let token = credential.token();
        let refuse = |kind: AuthErrorKind, cause| Verdict::Ready(Err(AuthError::new(kind).because(cause)));
        if token.len() > self.max_token_bytes {
            const CAUSE: &FixedCause =
                &FixedCause("the token is too long; Issuers::max_token_bytes sets the limit");
            return refuse(AuthErrorKind::TokenTooLarge, CAUSE);
        }
        let mut buffer = Buffer::new();
        let (payload, issuer) = match read(token, &mut buffer) {
            Ok((payload, Some(issuer))) => (payload, issuer),
            Ok((_, None)) => {
                const CAUSE: &FixedCause =
                    &FixedCause("the token has no `iss`: Issuers selects the verifier by it");
                return refuse(AuthErrorKind::WrongIssuer, CAUSE);
            }
            Err(kind @ (AuthErrorKind::MalformedToken | AuthErrorKind::UnsupportedToken)) => {
                return Verdict::Ready(Err(diagnosis::explain_form(kind.into(), token)));
            }
            Err(kind) => return Verdict::Ready(Err(kind.into())),
        };
        let credential = credential.with_payload(payload);
        let known = self.verifiers.load();
        let judge = |member: &Member<C>| match member.is_for_other_scheme(&credential, known.values()) {
            true => refuse(AuthErrorKind::InvalidToken, OTHER_SCHEME),
            false => member.verifier.verify(credential),
        };
        match (known.get(&*issuer), &self.resolver) {
            (Some(member), None) => judge(member),
            (Some(member), Some(_)) => alike(judge(member)),
            (None, Some(resolver)) => alike(resolver.verify(&issuer, credential)),
            (None, None) => {
                const CAUSE: &FixedCause = &FixedCause(
                    "no verifier for the token's `iss`; add one with Issuers::new or Issuers::add",
                );
                refuse(AuthErrorKind::WrongIssuer, CAUSE)
            }
        }
    }
}

impl<C: Send + Sync + 'static> Verify for Issuers<C> {
    type Claims = C;

    fn verify(&self, credential: Credential<'_>) -> Verdict<C> {
        self.judge(credential)
    }

    fn issuers(&self) -> Vec<String> {
        self.verifiers.load().keys().cloned().collect()
    }

    fn challenges(&self) -> Challenges {
        let known = self.verifiers.load();
        // The order must not change from start to start.
        let mut sorted: Vec<_> = known.iter().collect();
        sorted.sort_unstable_by_key(|(issuer, _)| *issuer);
        let known = sorted.into_iter().map(|(_, member)| &member.challenges);
        let resolved = self.resolver.as_ref().map(|resolver| resolver.challenges());
        Challenges::all(known.chain(resolved).flat_map(|challenges| challenges.offers().to_vec()))
    }
}

/// Makes rejections of unproven tokens alike, so that they do not disclose which issuers exist.
fn alike<C: 'static>(verdict: Verdict<C>) -> Verdict<C> {
    match verdict {
        Verdict::Ready(Ok(claims)) => Verdict::Ready(Ok(claims)),
        Verdict::Ready(Err(error)) => Verdict::Ready(Err(hide(error))),
        Verdict::Pending(pending) => Verdict::Pending(Box::pin(async move { pending.await.map_err(hide) })),
    }
}

#[cold]
fn hide(error: AuthError) -> AuthError {
    let is_alike =
        error.is_proven() || error.kind() == AuthErrorKind::UnknownKey || error.status().is_server_error();
    if is_alike { error } else { error.answered_as(AuthErrorKind::UnknownKey) }
}

/// Returns the payload and the `iss` of an unverified token. The verifier later reads both in the same way.
fn read<'b>(
    token: &[u8],
    buffer: &'b mut Buffer<USUAL_PAYLOAD>,
) -> Result<(&'b str, Option<Text<'b>>), AuthErrorKind> {
    let jws = Jws::split(token).ok_or(AuthErrorKind::MalformedToken)?;
    if let Some(kind) = jws.misshapen() {
        return Err(kind);
    }
    let payload = payload_text(jws.payload, buffer)?;
    Ok((payload, plain(payload, &Wanted::default())?.issuer))
}

impl<C> Clone for Issuers<C> {
    fn clone(&self) -> Self {
        Self { verifiers: Arc::clone(&self.verifiers), resolver: self.resolver.clone(), ..*self }
    }
}

impl<C> fmt::Debug for Issuers<C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.verifiers.load().keys()).finish()
    }
}
