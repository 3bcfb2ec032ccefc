use std::collections::HashMap;
use std::fmt::{self, Formatter};
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::de::DeserializeOwned;

use super::base64url::Buffer;
#[cfg(feature = "remote-keys")]
use super::issuer_resolver::IssuerResolver;
use super::issuer_resolver::Resolver;
use super::json::Text;
use super::jws::Jws;
use super::jwt::JwtVerifier;
use super::rules::{TOKEN_LIMIT, USUAL_PAYLOAD, payload_text};
use super::validate::{Wanted, plain};
use super::{Verdict, Verify, diagnosis};
use crate::config_error::{ConfigError, ConfigProblem};
use crate::error::{AuthError, FixedCause};
use crate::kind::AuthErrorKind;

/// Several issuers, each with a [`JwtVerifier`] of its own: with its own keys, audience, limits and cache.
///
/// A token's `iss` is read before anything is known of it, and only to choose among these verifiers; nothing is fetched
/// for one that none of them is for. The one that is chosen then demands that `iss`, as if it were alone.
///
/// Clones share the verifiers, which can be added and removed at any time.
///
/// A refusal tells clients whether an issuer is held: [`WrongIssuer`](AuthErrorKind::WrongIssuer) where it is not. Set an
/// `IssuerResolver` (feature `remote-keys`) where tenants are confidential: then it does not.
///
/// ```
/// use tower_jwt_auth::{Algorithm, Issuers, JwtAuthLayer, JwtVerifier, KeySet, RegisteredClaims};
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
    shared: Arc<Shared<C>>,
}

struct Shared<C> {
    verifiers: ArcSwap<Verifiers<C>>,
    most_issuers: usize,
    resolver: Option<Arc<Resolver<C>>>,
}

type Verifiers<C> = HashMap<String, JwtVerifier<C>>;

const MOST_ISSUERS: usize = 1000;

impl<C> Issuers<C> {
    /// These verifiers, each for the [issuers](JwtVerifier::issuer) that it demands.
    ///
    /// # Errors
    ///
    /// If one demands none, two demand the same, or there are more than 1,000 issuers.
    pub fn new(verifiers: impl IntoIterator<Item = JwtVerifier<C>>) -> Result<Self, ConfigError> {
        let mut known = Verifiers::new();
        for verifier in verifiers {
            if let Some(issuer) = verifier.issuers().iter().find(|issuer| known.contains_key(*issuer)) {
                return Err(ConfigProblem::DuplicateIssuer { issuer: issuer.clone() }.into());
            }
            enter(&mut known, &verifier, MOST_ISSUERS)?;
        }
        Ok(Self::of(known, MOST_ISSUERS, None))
    }

    /// Sets how many issuers there may be, besides those that a resolver looks up. The default is 1,000.
    pub fn most_issuers(self, most: usize) -> Self {
        Self::of(self.current(), most, self.shared.resolver.clone())
    }

    /// Sets the resolver that looks up all other issuers, for example tenants in a database. Their tokens have 16 KiB at
    /// most, unless one of the verifiers that are held allows more.
    ///
    /// From then on, a refusal does not tell clients whether an issuer exists: see [`IssuerResolver`].
    #[cfg(feature = "remote-keys")]
    pub fn resolver(self, resolver: IssuerResolver<C>) -> Self {
        Self::of(self.current(), self.shared.most_issuers, Some(Arc::new(Resolver::new(resolver))))
    }

    /// Adds a verifier, in place of any that there is for an issuer which it demands.
    ///
    /// # Errors
    ///
    /// If it demands no issuer, or there would be too many.
    #[expect(clippy::needless_pass_by_value, reason = "it is taken as `new` takes them")]
    pub fn add(&self, verifier: JwtVerifier<C>) -> Result<(), ConfigError> {
        let mut result = Ok(());
        self.shared.verifiers.rcu(|known| {
            let mut known = Verifiers::clone(known);
            result = enter(&mut known, &verifier, self.shared.most_issuers);
            known
        });
        result
    }

    /// Removes the verifier of an issuer, and all that a resolver remembers of it. Returns whether there was a verifier.
    ///
    /// From then on its tokens are refused, unless the resolver finds it again: by a look-up that begins after this.
    pub fn remove(&self, issuer: &str) -> bool {
        let known = self.shared.verifiers.rcu(|known| {
            let mut known = Verifiers::clone(known);
            known.remove(issuer);
            known
        });
        let was_resolved = self.shared.resolver.as_ref().is_some_and(|resolver| resolver.forget(issuer));
        known.contains_key(issuer) || was_resolved
    }

    fn of(known: Verifiers<C>, most_issuers: usize, resolver: Option<Arc<Resolver<C>>>) -> Self {
        Self { shared: Arc::new(Shared { verifiers: ArcSwap::from_pointee(known), most_issuers, resolver }) }
    }

    fn current(&self) -> Verifiers<C> {
        Verifiers::clone(&self.shared.verifiers.load())
    }
}

fn enter<C>(known: &mut Verifiers<C>, verifier: &JwtVerifier<C>, most: usize) -> Result<(), ConfigError> {
    let issuers = verifier.issuers();
    if issuers.is_empty() {
        return Err(ConfigProblem::MissingIssuer.into());
    }
    let new = issuers.iter().filter(|issuer| !known.contains_key(*issuer)).count();
    if known.len().saturating_add(new) > most {
        return Err(ConfigProblem::TooManyIssuers { max: most }.into());
    }
    known.extend(issuers.iter().map(|issuer| (issuer.clone(), verifier.clone())));
    Ok(())
}

impl<C> Verify for Issuers<C>
where
    C: DeserializeOwned + Send + Sync + 'static,
{
    type Claims = C;

    fn verify(&self, token: &str) -> Verdict<C> {
        self.verify_bytes(token.as_bytes())
    }

    fn verify_bytes(&self, token: &[u8]) -> Verdict<C> {
        let known = self.shared.verifiers.load();
        let refuse = |kind: AuthErrorKind| Verdict::Ready(Err(kind.into()));
        if token.len() > TOKEN_LIMIT && known.values().all(|verifier| token.len() > verifier.limit()) {
            let cause = &FixedCause("JwtVerifier::token_limit allows fewer bytes for each of the issuers");
            return Verdict::Ready(Err(AuthError::new(AuthErrorKind::TokenTooLarge).because(cause)));
        }
        let mut buffer = Buffer::new();
        let issuer = match issuer_of(token, &mut buffer) {
            Ok(Some(issuer)) => issuer,
            Ok(None) => {
                let cause = &FixedCause(
                    "the token has no `iss`, which chooses one of the verifiers that Issuers::new or Issuers::add was given",
                );
                return Verdict::Ready(Err(AuthError::new(AuthErrorKind::WrongIssuer).because(cause)));
            }
            Err(kind @ (AuthErrorKind::MalformedToken | AuthErrorKind::UnsupportedToken)) => {
                return Verdict::Ready(Err(diagnosis::explain_form(kind.into(), token)));
            }
            Err(kind) => return refuse(kind),
        };
        match (known.get(&*issuer), &self.shared.resolver) {
            (Some(verifier), None) => verifier.verify_bytes(token),
            (Some(verifier), Some(_)) => alike(verifier.verify_bytes(token)),
            (None, Some(resolver)) => alike(resolver.verify(&issuer, token)),
            (None, None) => {
                let cause = &FixedCause(
                    "no verifier is for the token's `iss`: add one by Issuers::new or Issuers::add",
                );
                Verdict::Ready(Err(AuthError::new(AuthErrorKind::WrongIssuer).because(cause)))
            }
        }
    }
}

/// Answers tokens whose signature is not proven as those of an unknown issuer: nobody can tell which issuers exist.
fn alike<C: 'static>(verdict: Verdict<C>) -> Verdict<C> {
    match verdict {
        Verdict::Ready(Ok(claims)) => Verdict::Ready(Ok(claims)),
        Verdict::Ready(Err(error)) => Verdict::Ready(Err(hide(error))),
        Verdict::Pending(pending) => Verdict::Pending(Box::pin(async move { pending.await.map_err(hide) })),
    }
}

#[cold]
fn hide(error: AuthError) -> AuthError {
    match error.kind() {
        _ if error.is_unproven() => error.answered_as(AuthErrorKind::UnknownKey),
        AuthErrorKind::TokenTooLarge
        | AuthErrorKind::MalformedToken
        | AuthErrorKind::UnsupportedToken
        | AuthErrorKind::WrongType
        | AuthErrorKind::UnsupportedAlgorithm
        | AuthErrorKind::InvalidSignature => error.answered_as(AuthErrorKind::UnknownKey),
        _ => error,
    }
}

/// The `iss` of a token that nothing else is known of, read as a verifier reads it later.
fn issuer_of<'b>(
    token: &[u8],
    buffer: &'b mut Buffer<USUAL_PAYLOAD>,
) -> Result<Option<Text<'b>>, AuthErrorKind> {
    let jws = Jws::split(token).ok_or(AuthErrorKind::MalformedToken)?;
    if let Some(kind) = jws.misshapen() {
        return Err(kind);
    }
    let payload = payload_text(jws.payload, buffer)?;
    plain(payload, &Wanted::default()).map(|registered| registered.issuer)
}

impl<C> Clone for Issuers<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<C> fmt::Debug for Issuers<C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.shared.verifiers.load().keys()).finish()
    }
}
