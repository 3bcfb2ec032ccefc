//! Revocation: rejecting tokens before they expire.

#[cfg(not(feature = "shared-revocations"))]
#[path = "shared_off.rs"]
mod shared;
#[cfg(feature = "shared-revocations")]
mod shared;

mod entry;
mod fingerprint;
mod list;
mod revocation_write;
mod slower_clock;
mod table;

use std::fmt::{self, Formatter};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use self::entry::Revocation;
pub(crate) use self::fingerprint::TokenIds;
pub(crate) use self::list::Revocable;
use self::list::RevocationList;
pub use self::revocation_write::{RevocationWrite, RevocationWriteError};
#[cfg(feature = "redis")]
pub use self::shared::RedisStore;
use self::shared::StoreLink;
#[cfg(all(feature = "shared-revocations", feature = "test-util"))]
pub use self::shared::check_revocation_store;
#[cfg(feature = "shared-revocations")]
pub use self::shared::{
    RevocationPage, RevocationStore, SharedRevocations, SharedRevocationsStats, StoreFuture,
};
use crate::error::AuthError;
use crate::kind::AuthErrorKind;
use crate::registered::since_epoch;

/// A list of tokens to reject before they expire, for example after a logout.
///
/// A handler revokes the session of its caller with [`revoke_session_of`](Self::revoke_session_of). Without claims, name
/// the session:
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_jwt_auth::revocation::Revocations;
/// use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet, RegisteredClaims};
///
/// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
/// let revocations = Revocations::new();
/// let keys = KeySet::hmac(Algorithm::HS256, b"a secret for this example, 32 bytes")?;
/// let verifier = JwtVerifier::<RegisteredClaims>::new(keys)
///     .issuer("https://id.example.com")
///     .revocations(revocations.clone());
///
/// // When a user signs out: revoke the session until the last of its tokens has expired.
/// let last_expiry = SystemTime::now() + Duration::from_secs(900);
/// drop(revocations.revoke_session("https://id.example.com", "s-42", last_expiry));
/// assert_eq!(revocations.len(), 1);
/// # Ok(())
/// # }
/// ```
///
/// # Entries
///
/// An entry names tokens by their issuer and one claim: `jti` (one token), `sid` (a session) or `sub` (a subject). It
/// never names a token by its bytes, since one token can have several encodings. Names are compared byte for byte.
///
/// A [`JwtVerifier`](crate::JwtVerifier) with the list checks every token, cached or not. It rejects listed ones with
/// 401 `invalid_token`. A token without the claim cannot be revoked by it: use a claims type that requires the claim.
///
/// # Memory
///
/// The list is in memory and ends with the process. Clones share it. An entry takes 24 to 66 bytes: it is stored as a
/// fingerprint of 128 bits, made with a random key. It is removed an hour after its tokens have expired, so the list
/// only holds what is revoked within the lifetime of a token. Exceptions:
///
/// - If a verifier's leeway is longer than an hour, it is removed after the leeway.
/// - If the clock was behind when the process started, it is removed later.
/// - If a verifier in this process
///   [accepts tokens without `exp`](crate::JwtVerifier::insecure_allow_missing_expiry), it is never removed.
///
/// To share a list between processes, through Redis or your own store, use `SharedRevocations` (feature
/// `shared-revocations`).
#[derive(Clone)]
pub struct Revocations {
    list: Arc<RevocationList>,
    /// The connection to the store, if there is one.
    link: Option<Arc<StoreLink>>,
}

impl Revocations {
    /// Creates an empty list for this process only.
    #[must_use]
    pub fn new() -> Self {
        Self { list: Arc::new(RevocationList::new()), link: None }
    }

    /// Replaces the system clock for all clones, for tests.
    ///
    /// The list still needs the system's clocks. On a target without them, such as `wasm32-unknown-unknown`,
    /// [`new`](Self::new) panics.
    #[must_use]
    pub fn clock(self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.list.set_clock(Box::new(now));
        self
    }

    /// Revokes the token with this `jti`.
    ///
    /// See [RFC 7519, section 4.1.7](https://www.rfc-editor.org/rfc/rfc7519#section-4.1.7). `expires_at` is the token's
    /// `exp`, or `None` if it has none. Pass [`TokenInfo::expires_at`](crate::token::TokenInfo::expires_at).
    pub fn revoke_token(
        &self,
        issuer: &str,
        jti: &str,
        expires_at: impl Into<Option<SystemTime>>,
    ) -> RevocationWrite {
        self.revoke(Revocation::token(issuer, jti, expires_at))
    }

    /// Revokes all tokens of a session: those with this `sid`.
    ///
    /// See [OpenID Connect Front-Channel Logout 1.0, section 3][oidc]. `last_expiry` is the latest `exp` of the
    /// session's tokens, or `None` if one of them may have none.
    ///
    /// [oidc]: https://openid.net/specs/openid-connect-frontchannel-1_0.html#OPLogout
    pub fn revoke_session(
        &self,
        issuer: &str,
        sid: &str,
        last_expiry: impl Into<Option<SystemTime>>,
    ) -> RevocationWrite {
        self.revoke(Revocation::session(issuer, sid, last_expiry))
    }

    /// Revokes all tokens of a subject issued up to a time.
    ///
    /// These are the tokens with this `sub` and an `iat` at or before `issued_until`, or without `iat`. `last_expiry`
    /// is the latest `exp` of these tokens, or `None` if one of them may have none.
    ///
    /// Most issuers write `iat` in whole seconds, so a token issued later in the same second is revoked too. If the
    /// issuer's clock may be ahead of this one, add the difference to `issued_until`. Otherwise the latest tokens are
    /// missed.
    pub fn revoke_subject(
        &self,
        issuer: &str,
        sub: &str,
        issued_until: SystemTime,
        last_expiry: impl Into<Option<SystemTime>>,
    ) -> RevocationWrite {
        self.revoke(Revocation::subject(issuer, sub, issued_until, last_expiry))
    }

    /// Revokes the tokens of an entry.
    pub fn revoke(&self, revocation: Revocation) -> RevocationWrite {
        self.list.add(&revocation, self.list.now());
        self.link.as_ref().map_or(RevocationWrite::NO_STORE, |link| link.record(revocation))
    }

    /// Checks that a session is not revoked.
    ///
    /// Use it before your token endpoint issues the next token of the session, in addition to your own record of ended
    /// sessions:
    ///
    /// - The list forgets a session an hour after its `last_expiry`. A refresh token usually lives longer.
    /// - [`revoke_subject`](Self::revoke_subject) ends tokens and no sessions, so this check does not see it.
    ///
    /// `issuer` is the one that you pass to [`revoke_session`](Self::revoke_session): the `iss` of the tokens.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use tower_jwt_auth::{AuthErrorKind, revocation::Revocations};
    ///
    /// let revocations = Revocations::new();
    /// assert!(revocations.check_session("https://issuer.example", "s1").is_ok());
    ///
    /// let last_expiry = SystemTime::now() + Duration::from_secs(900);
    /// drop(revocations.revoke_session("https://issuer.example", "s1", last_expiry));
    /// let error = revocations.check_session("https://issuer.example", "s1").unwrap_err();
    /// assert_eq!(error.kind(), AuthErrorKind::Revoked);
    /// ```
    ///
    /// # Errors
    ///
    /// - [`AuthErrorKind::Revoked`] if the session is on the list.
    /// - [`AuthErrorKind::RevocationsUnavailable`] if a shared list may be out of date.
    pub fn check_session(&self, issuer: &str, sid: &str) -> Result<(), AuthError> {
        let ids = TokenIds { issuer, session: Some(sid), ..TokenIds::default() };
        self.judge(&self.revocable(&ids)).map_err(AuthError::from)
    }

    /// Returns the number of entries.
    ///
    /// It may include expired ones, which later revocations remove.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Returns true if the list has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keeps entries for this much longer after their expiry, since a verifier with this leeway may still accept the
    /// tokens.
    pub(crate) fn hold_beyond_expiry(&self, leeway: Duration) {
        self.list.hold_beyond_expiry(leeway.as_secs().saturating_add(1));
    }

    /// Returns the IDs by which a token may be revoked, now or later.
    pub(crate) fn revocable(&self, ids: &TokenIds<'_>) -> Revocable {
        self.list.revocable(ids)
    }

    /// Returns the time for new entries.
    pub(crate) fn time(&self) -> SystemTime {
        self.list.time()
    }

    /// Returns true if the entry revokes this token.
    pub(crate) fn is_about(&self, revocation: &Revocation, token: &Revocable) -> bool {
        self.list.is_about(revocation, token)
    }

    /// Checks a token by its IDs. If the list may be out of date, a token that is not on it is not accepted either.
    #[inline]
    pub(crate) fn judge(&self, token: &Revocable) -> Result<(), AuthErrorKind> {
        // Checked before the list: entries that make the list current may arrive after the lookup.
        let is_current = self.link.as_ref().is_none_or(|link| link.is_current());
        if self.list.contains(token) {
            Err(AuthErrorKind::Revoked)
        } else if is_current {
            Ok(())
        } else {
            Err(AuthErrorKind::RevocationsUnavailable)
        }
    }
}

impl Default for Revocations {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Converts to seconds since 1970, rounded up. Times after 2106 become the maximum.
fn seconds(time: SystemTime) -> u32 {
    let since = since_epoch(time);
    let seconds = since.as_secs().saturating_add(u64::from(since.subsec_nanos() > 0));
    seconds.try_into().unwrap_or(u32::MAX)
}
