//! Deciding whether a token is to be trusted.

mod algorithms;
pub(crate) mod base64url;
mod cache;
pub(crate) mod crypto;
mod diagnosis;
#[cfg(feature = "remote-keys")]
mod issuer_resolver;
#[cfg(not(feature = "remote-keys"))]
#[path = "issuer_resolver/none.rs"]
mod issuer_resolver;
mod issuers;
pub(crate) mod json;
mod jwk;
mod jws;
mod jwt;
pub(crate) mod key;
pub(crate) mod key_material;
mod key_set;
mod key_source;
mod key_union;
mod merged_keys;
mod misfit;
pub(crate) mod pem;
pub(crate) mod private_names;
mod required;
mod respelled;
mod rules;
mod stream;
mod validate;

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

pub use self::cache::{CacheStats, TokenCache};
#[cfg(feature = "remote-keys")]
pub use self::issuer_resolver::IssuerResolver;
pub use self::issuers::Issuers;
pub use self::jwk::{JwksRules, SkippedKey};
pub use self::jwt::JwtVerifier;
pub use self::key::Key;
pub use self::key_set::KeySet;
pub use self::key_source::{KeyIssuer, KeyLookup, KeySource, KeyStore, KeysRef, Refresh};
pub(crate) use self::required::json_type;

#[cfg(feature = "issue")]
pub(crate) use self::key_set::MOST_CANDIDATES;

use crate::claims::Claims;
use crate::error::AuthError;
use crate::kind::AuthErrorKind;

/// Decides whether a token is to be trusted, and turns it into claims.
///
/// [`JwtVerifier`] is the one for JWTs. Implement it for tokens of another kind:
///
/// ```
/// use tower_jwt_auth::{AuthError, AuthErrorKind, Claims, Verdict, Verify};
///
/// /// Knows one opaque token, and whose it is.
/// struct OneToken;
///
/// impl Verify for OneToken {
///     type Claims = &'static str;
///
///     fn verify(&self, token: &str) -> Verdict<&'static str> {
///         match token {
///             "2YotnFZFEjr1zCsicMWpAA" => Verdict::Ready(Ok(Claims::new("Eze"))),
///             _ => Verdict::Ready(Err(AuthError::new(AuthErrorKind::UnknownKey))),
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert_eq!(*OneToken.verify("2YotnFZFEjr1zCsicMWpAA").await.unwrap(), "Eze");
/// # }
/// ```
///
/// One that has to ask somebody for each token, such as its provider
/// ([RFC 7662](https://www.rfc-editor.org/rfc/rfc7662)), sees to it by itself that it does not take too long, that not too
/// many wait, and that an answer is remembered for a while:
///
/// ```
/// # use std::time::{Duration, SystemTime};
/// use tower_jwt_auth::{AuthError, AuthErrorKind, Claims, TokenInfo, Verdict, Verify};
///
/// /// What the provider says of a token that is good.
/// struct Active {
///     sub: String,
///     exp: SystemTime,
/// }
///
/// async fn introspect(token: String) -> std::io::Result<Option<Active>> {
///     // ..
/// #   let exp = SystemTime::now() + Duration::from_secs(60);
/// #   Ok((token == "2YotnFZFEjr1zCsicMWpAA").then(|| Active { sub: "eze".to_owned(), exp }))
/// }
///
/// struct Introspection;
///
/// impl Verify for Introspection {
///     type Claims = String;
///
///     fn verify(&self, token: &str) -> Verdict<String> {
///         let asking = tokio::time::timeout(Duration::from_secs(2), introspect(token.to_owned()));
///         Verdict::Pending(Box::pin(async move {
///             let unavailable = || AuthError::new(AuthErrorKind::KeysUnavailable); // 503: it was not judged
///             let answer = asking.await.map_err(|_| unavailable())?.map_err(|error| unavailable().caused_by(error))?;
///             let active = answer.ok_or(AuthErrorKind::Revoked)?;
///             Ok(Claims::with_token(active.sub, TokenInfo::new().with_expires_at(active.exp)))
///         }))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert_eq!(*Introspection.verify("2YotnFZFEjr1zCsicMWpAA").await.unwrap(), "eze");
/// assert_eq!(Introspection.verify("another").await.unwrap_err().kind(), AuthErrorKind::Revoked);
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not verify tokens",
    note = "for keys, write `JwtAuthLayer::new(JwtVerifier::<YourClaims>::new(keys))`",
    note = "for a `Result`, add `?`"
)]
pub trait Verify: Send + Sync {
    /// What a token's claims are turned into.
    type Claims;

    /// Judges `token`, the text that the layer's [`TokenSource`](crate::TokenSource) has found.
    ///
    /// It is valid UTF-8 and not empty, and not checked in any other way. Sources that carry bearer tokens, such as
    /// `Authorization: Bearer`, require the form of a bearer token
    /// ([RFC 6750, section 2.1](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)); [`TokenSource`](crate::TokenSource) has the
    /// list. The layer checks the form only of a token that is not accepted at once. If it is wrong, the client gets 400 in
    /// place of 401, and the layer drops a pending verdict without waiting for it. Other sources require no form, and the
    /// verdict alone decides.
    fn verify(&self, token: &str) -> Verdict<Self::Claims>;

    /// The same for a token that has not been found to be UTF-8: this is what the layer asks for. It need not be
    /// implemented; doing so spares the look for UTF-8 where it is of no use.
    fn verify_bytes(&self, token: &[u8]) -> Verdict<Self::Claims> {
        match std::str::from_utf8(token) {
            Ok(token) => self.verify(token),
            Err(_) => Verdict::Ready(Err(AuthErrorKind::MalformedCredential.into())),
        }
    }
}

impl<V: Verify + ?Sized> Verify for Arc<V> {
    type Claims = V::Claims;

    fn verify(&self, token: &str) -> Verdict<V::Claims> {
        (**self).verify(token)
    }

    fn verify_bytes(&self, token: &[u8]) -> Verdict<V::Claims> {
        (**self).verify_bytes(token)
    }
}

/// What a [`Verify`] says of a token: at once, or after something that it has to wait for.
///
/// It can be awaited, with no HTTP around it.
#[must_use = "a verdict refuses nothing by itself: await it, or match on it"]
#[expect(clippy::exhaustive_enums, reason = "there is no third way for an answer to come")]
pub enum Verdict<C> {
    /// The token has been judged.
    Ready(Result<Claims<C>, AuthError>),
    /// The token can only be judged after waiting, for a key that is not held, say. The layer waits as long as this
    /// takes and for as many requests as come: whoever makes one sets the limits.
    Pending(PendingVerdict<C>),
}

/// A verdict that is waited for; boxed, since it is needed only where something slow is in the way.
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

/// A [`Verdict`] that is awaited.
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
