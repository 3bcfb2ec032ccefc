//! Verification of tokens.

mod algorithms;
mod any_of;
pub(crate) mod base64url;
mod cache;
mod claim_diagnosis;
mod claim_name_case;
mod clock;
mod confirmation;
mod diagnosis;
#[cfg(feature = "dpop")]
pub(crate) mod dpop;
#[cfg(not(feature = "dpop"))]
#[path = "dpop_off.rs"]
mod dpop;
#[cfg(feature = "explain")]
pub(crate) mod explain;
mod heap_bytes;
#[cfg(feature = "remote-keys-core")]
mod issuer_resolver;
#[cfg(not(feature = "remote-keys-core"))]
#[path = "issuer_resolver_off.rs"]
mod issuer_resolver;
mod issuers;
pub(crate) mod json;
mod jwk;
mod jws;
mod jwt;
mod key;
#[cfg(feature = "settings")]
mod key_file;
mod key_set;
mod key_source;
mod key_union;
mod member;
mod merged_keys;
#[cfg(feature = "mtls")]
pub(crate) mod mtls;
#[cfg(not(feature = "mtls"))]
#[path = "mtls_off.rs"]
mod mtls;
mod owned_credential;
pub(crate) mod pem;
pub(crate) mod private_names;
mod required;
mod rules;
mod sender;
#[cfg(feature = "introspection")]
mod stated;
mod stream;
mod validate;

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

pub use self::any_of::AnyOf;
pub use self::cache::{CacheSettings, CacheStats};
#[cfg(any(feature = "api-keys", feature = "introspection"))]
pub(crate) use self::cache::{Found, TokenCache};
#[cfg(feature = "introspection")]
pub(crate) use self::clock::Clock;
#[cfg(feature = "api-keys")]
pub(crate) use self::heap_bytes::heap_bytes_of_json;
#[cfg(feature = "remote-keys-core")]
pub use self::issuer_resolver::IssuerResolver;
pub use self::issuers::Issuers;
pub use self::jwk::JwksRules;
#[cfg(feature = "introspection")]
pub(crate) use self::jws::Jws;
pub use self::jwt::JwtVerifier;
pub use self::key::Key;
#[cfg(feature = "settings")]
pub use self::key_file::KeyFile;
#[cfg(feature = "settings")]
pub(crate) use self::key_file::without_line_break;
pub use self::key_set::KeySet;
pub use self::key_source::{KeyIssuer, KeyLookup, KeySource, KeyStore, KeysRef, PendingRefresh, Refresh};
pub(crate) use self::required::json_type;
#[cfg(feature = "introspection")]
pub(crate) use self::rules::{Rules, safe_text};
#[cfg(feature = "introspection")]
pub(crate) use self::stated::{SENDER_CONSTRAINED, Statement};
#[cfg(feature = "introspection")]
pub(crate) use self::validate::UNKNOWN_TIME;

#[cfg(feature = "issue")]
pub(crate) use self::key_set::MOST_CANDIDATES;

use crate::challenges::Challenges;
use crate::claims::Claims;
use crate::credential::Credential;
use crate::error::AuthError;

/// Verifies a credential and returns its claims.
///
/// [`JwtVerifier`] verifies JWTs. [`AnyOf`] selects one of several verifiers. Implement the trait for other credentials:
///
/// ```
/// use tower_jwt_auth::{AuthErrorKind, Claims, Credential, Verdict, Verify};
///
/// /// Accepts one opaque token.
/// struct OneToken;
///
/// impl Verify for OneToken {
///     type Claims = &'static str;
///
///     fn verify(&self, credential: Credential<'_>) -> Verdict<&'static str> {
///         match credential.token() {
///             b"2YotnFZFEjr1zCsicMWpAA" => Verdict::Ready(Ok(Claims::new("Eze"))),
///             _ => Verdict::Ready(Err(AuthErrorKind::InvalidToken.into())),
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert_eq!(*OneToken.verify("2YotnFZFEjr1zCsicMWpAA".into()).await.unwrap(), "Eze");
/// # }
/// ```
///
/// # Other sources of identity
///
/// [`Credential::request`] returns the request around the token. This verifier also requires a client certificate, which the
/// server has put into the request's extensions. `JwtVerifier::mtls` compares it with the token. A verifier that wraps another
/// one forwards all three methods:
///
/// ```
/// use tower_jwt_auth::verifiers::Challenges;
/// use tower_jwt_auth::{AuthError, AuthErrorKind, Credential, JwtVerifier, Verdict, Verify};
///
/// #[derive(Clone)]
/// struct ClientCertificate(Vec<u8>);
///
/// struct Bound(JwtVerifier<serde_json::Value>);
///
/// impl Verify for Bound {
///     type Claims = serde_json::Value;
///
///     fn verify(&self, credential: Credential<'_>) -> Verdict<serde_json::Value> {
///         match credential.request().and_then(|request| request.extensions().get::<ClientCertificate>()) {
///             Some(certificate) if certificate.0.starts_with(b"0\x82") => self.0.verify(credential),
///             _ => {
///                 let error = AuthError::new(AuthErrorKind::InvalidToken);
///                 Verdict::Ready(Err(error.with_source("no client certificate")))
///             }
///         }
///     }
///
///     fn challenges(&self) -> Challenges {
///         self.0.challenges()
///     }
///
///     fn issuers(&self) -> Vec<String> {
///         self.0.issuers()
///     }
/// }
/// ```
///
/// The `mtls` module accepts tokens that are bound to the certificate of the client.
///
/// # Asynchronous verification
///
/// A verifier may ask another service about each credential, for example a session store. Such a verifier must limit the
/// time of each call and the number of waiting requests. It should also remember answers. `introspection::Introspection`
/// and `api_key::ApiKeys::lookup` do all of that for opaque tokens and API keys.
///
/// ```
/// # use std::time::{Duration, SystemTime};
/// use tower_jwt_auth::token::TokenInfo;
/// use tower_jwt_auth::{AuthError, AuthErrorKind, Claims, Credential, Verdict, Verify};
///
/// /// A session that has not ended.
/// struct Session {
///     user: String,
///     ends: SystemTime,
/// }
///
/// async fn find_session(id: Vec<u8>) -> std::io::Result<Option<Session>> {
///     // ..
/// #   let ends = SystemTime::now() + Duration::from_secs(60);
/// #   Ok((id == b"2YotnFZFEjr1zCsicMWpAA").then(|| Session { user: "eze".to_owned(), ends }))
/// }
///
/// struct Sessions;
///
/// impl Verify for Sessions {
///     type Claims = String;
///
///     fn verify(&self, credential: Credential<'_>) -> Verdict<String> {
///         let asking = tokio::time::timeout(Duration::from_secs(2), find_session(credential.token().to_owned()));
///         Verdict::Pending(Box::pin(async move {
///             let unavailable = || AuthError::new(AuthErrorKind::Unavailable); // status 503
///             let answer = asking.await.map_err(|_| unavailable())?.map_err(|error| unavailable().with_source(error))?;
///             let session = answer.ok_or(AuthErrorKind::InvalidToken)?;
///             Ok(Claims::from_parts(session.user, TokenInfo::new().with_expires_at(session.ends)))
///         }))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert_eq!(*Sessions.verify("2YotnFZFEjr1zCsicMWpAA".into()).await.unwrap(), "eze");
/// assert_eq!(Sessions.verify("another".into()).await.unwrap_err().kind(), AuthErrorKind::InvalidToken);
/// # }
/// ```
/// # Security
///
/// Check [`Credential::scheme`] if you accept only some schemes. From `Authorization`, the layer reads only the schemes that
/// you [offer](Self::challenges). There are two exceptions:
///
/// - A token from a cookie, a query parameter or another header counts as `Bearer`.
/// - A router such as [`Issuers`] forwards every scheme that one of its verifiers offers.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not verify credentials",
    note = "for keys, write `JwtAuthLayer::new(JwtVerifier::<YourClaims>::new(keys))`",
    note = "for a `Result`, add `?`",
    note = "a closure is no verifier: implement `Verify` for a type"
)]
pub trait Verify: Send + Sync {
    /// The type of the claims.
    type Claims;

    /// Verifies a credential that a [`TokenSource`](crate::TokenSource) has found.
    fn verify(&self, credential: Credential<'_>) -> Verdict<Self::Claims>;

    /// Returns the schemes that clients may use. The default is `Bearer`.
    ///
    /// The layer offers them in `WWW-Authenticate` and reads them from `Authorization`. It calls this once, at set-up.
    fn challenges(&self) -> Challenges {
        Challenges::bearer()
    }

    /// Returns the issuers whose tokens this verifier accepts. The default is none.
    ///
    /// [`Issuers`] and `IssuerResolver` select verifiers by them.
    fn issuers(&self) -> Vec<String> {
        Vec::new()
    }
}

impl<V: Verify + ?Sized> Verify for Arc<V> {
    type Claims = V::Claims;

    fn verify(&self, credential: Credential<'_>) -> Verdict<V::Claims> {
        (**self).verify(credential)
    }

    fn challenges(&self) -> Challenges {
        (**self).challenges()
    }

    fn issuers(&self) -> Vec<String> {
        (**self).issuers()
    }
}

/// A verifier of any type.
type AnyVerifier<C> = Arc<dyn Verify<Claims = C>>;

/// The result of [`Verify::verify`], available at once or after waiting.
///
/// Await it to get the claims. A custom verifier returns one of the variants:
///
/// ```
/// use tower_jwt_auth::{AuthErrorKind, Claims, Verdict};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let accepted = Verdict::Ready(Ok(Claims::new("Eze")));
/// let rejected: Verdict<&str> = Verdict::Ready(Err(AuthErrorKind::InvalidToken.into()));
/// let later = Verdict::Pending(Box::pin(async { Ok(Claims::new("Eze")) }));
/// # assert_eq!(*accepted.await.unwrap(), *later.await.unwrap());
/// # assert!(rejected.await.is_err());
/// # }
/// ```
#[must_use = "a verdict does nothing by itself: await it or match on it"]
#[expect(clippy::exhaustive_enums, reason = "a result is available now or later")]
pub enum Verdict<C> {
    /// The token is verified or rejected.
    Ready(Result<Claims<C>, AuthError>),
    /// The verifier has to wait, for example for a key that it must fetch first.
    ///
    /// The layer sets no time limit and no limit on waiting requests: the verifier must. The future is `'static`: copy the
    /// token, and clone a client or an [`Arc`].
    Pending(PendingVerdict<C>),
}

/// A pending verdict. It is boxed, because only slow requests need it.
pub type PendingVerdict<C> = Pin<Box<dyn Future<Output = Result<Claims<C>, AuthError>> + Send>>;

impl<C> IntoFuture for Verdict<C> {
    type Output = Result<Claims<C>, AuthError>;
    type IntoFuture = VerdictFuture<C>;

    fn into_future(self) -> VerdictFuture<C> {
        VerdictFuture(match self {
            Self::Ready(result) => State::Ready(Some(result)),
            Self::Pending(pending) => State::Pending(pending),
        })
    }
}

impl<C> std::fmt::Debug for Verdict<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ready(Ok(_)) => "Ready(Ok(..))",
            Self::Ready(Err(_)) => "Ready(Err(..))",
            Self::Pending(_) => "Pending(..)",
        })
    }
}

/// The future of a [`Verdict`].
pub struct VerdictFuture<C>(State<C>);

enum State<C> {
    Ready(Option<Result<Claims<C>, AuthError>>),
    Pending(PendingVerdict<C>),
}

impl<C> Future for VerdictFuture<C> {
    type Output = Result<Claims<C>, AuthError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ready(result) => {
                Poll::Ready(result.take().expect("a future is not polled after it is done"))
            }
            State::Pending(pending) => pending.as_mut().poll(cx),
        }
    }
}

impl<C> std::fmt::Debug for VerdictFuture<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerdictFuture").finish_non_exhaustive()
    }
}
