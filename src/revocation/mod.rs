//! Tokens that are no longer good, though they have not expired.

#[cfg(not(feature = "shared-revocations"))]
#[path = "shared_off.rs"]
mod shared;
#[cfg(feature = "shared-revocations")]
mod shared;

mod entry;
mod fingerprint;
mod list;
mod revocation_write;
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
use crate::kind::AuthErrorKind;
use crate::registered::since_epoch;

/// Tokens that are refused though they have not expired, because their user has signed out, say.
///
/// A token is named by its issuer and its `jti`, by its issuer and its `sid` (the session it belongs to), or by its issuer and
/// its `sub`; never by its bytes, of which the same token can have many. A [`JwtVerifier`](crate::JwtVerifier) that is given the
/// list asks it for every token, cached or not, and refuses those that are on it with 401 `invalid_token`. A token
/// without the claim cannot be named by it: have the verifier's claims type demand the ones you revoke by. Both are compared
/// byte for byte; a name that no token has is held like any other.
///
/// Clones share one list. It is held in memory, as fingerprints of 128 bits that are made with a random key, 24 to 66
/// bytes each; an entry leaves an hour after the tokens that it names have expired (later if a verifier's leeway is longer, or if the clock was
/// behind when the process began; never if a verifier of this process [accepts tokens without
/// `exp`](crate::JwtVerifier::insecure_allow_missing_expiry)), so that the list is bounded by how much is revoked within the life of a token. It ends with the process; `SharedRevocations`
/// (feature `shared-revocations`) makes one that several processes share, by Redis or by a store of your own.
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
/// // When somebody signs out: their session, until the last of its tokens has expired.
/// let last_expiry = SystemTime::now() + Duration::from_secs(900);
/// drop(revocations.revoke_session("https://id.example.com", "s-42", last_expiry));
/// assert_eq!(revocations.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Revocations {
    list: Arc<RevocationList>,
    /// To the store, if there is one.
    link: Option<Arc<StoreLink>>,
}

impl Revocations {
    /// An empty list, of this process alone.
    #[must_use]
    pub fn new() -> Self {
        Self { list: Arc::new(RevocationList::new()), link: None }
    }

    /// Replaces the system's clock, for all clones: for tests. The system's clocks are needed all the same: on a target without
    /// them, such as `wasm32-unknown-unknown`, [`new`](Self::new) panics.
    #[must_use]
    pub fn clock(self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.list.set_clock(Box::new(now));
        self
    }

    /// Revokes the token with this `jti` ([RFC 7519, section 4.1.7](https://www.rfc-editor.org/rfc/rfc7519#section-4.1.7)).
    /// `expires_at` is its `exp`, or `None` if it has none: [`TokenInfo::expires_at`](crate::token::TokenInfo::expires_at) fits.
    pub fn revoke_token(
        &self,
        issuer: &str,
        jti: &str,
        expires_at: impl Into<Option<SystemTime>>,
    ) -> RevocationWrite {
        self.revoke(Revocation::token(issuer, jti, expires_at))
    }

    /// Revokes all tokens of a session: those with this `sid`
    /// ([OpenID Connect Front-Channel Logout 1.0, section 3](https://openid.net/specs/openid-connect-frontchannel-1_0.html#OPLogout)).
    /// `last_expiry` is the latest `exp` that one of them may have, or `None` if one may have none.
    pub fn revoke_session(
        &self,
        issuer: &str,
        sid: &str,
        last_expiry: impl Into<Option<SystemTime>>,
    ) -> RevocationWrite {
        self.revoke(Revocation::session(issuer, sid, last_expiry))
    }

    /// Revokes all tokens of a subject that were issued at this time or before: those with this `sub` and an `iat` that is not
    /// later, or none. `last_expiry` is the latest `exp` that one of them may have, or `None` if one may have none.
    ///
    /// An `iat` has whole seconds with most issuers: a token that is issued later in the same second is revoked, too. If the
    /// issuer's clock may be ahead of this one's, add that to `issued_until`, or its latest tokens are missed.
    pub fn revoke_subject(
        &self,
        issuer: &str,
        sub: &str,
        issued_until: SystemTime,
        last_expiry: impl Into<Option<SystemTime>>,
    ) -> RevocationWrite {
        self.revoke(Revocation::subject(issuer, sub, issued_until, last_expiry))
    }

    /// Revokes what an entry says.
    pub fn revoke(&self, revocation: Revocation) -> RevocationWrite {
        self.list.add(&revocation, self.list.now());
        self.link.as_ref().map_or(RevocationWrite::NO_STORE, |link| link.record(revocation))
    }

    /// How many entries are held. Some may have expired: they leave with later revocations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Has entries held for this much longer than the tokens that they name live: as long as a verifier may accept these.
    pub(crate) fn hold_beyond_expiry(&self, leeway: Duration) {
        self.list.hold_beyond_expiry(leeway.as_secs().saturating_add(1));
    }

    /// Returns the IDs by which a token may be revoked, now or later.
    pub(crate) fn revocable(&self, ids: &TokenIds<'_>) -> Revocable {
        self.list.revocable(ids)
    }

    /// Judges a token by these IDs. One that is not on a list that may be out of date may have been revoked.
    #[inline]
    pub(crate) fn judge(&self, token: &Revocable) -> Result<(), AuthErrorKind> {
        // Asked first: what makes the list current may come after the look at it.
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

/// Rounded up; what lies beyond 2106 never comes.
fn seconds(time: SystemTime) -> u32 {
    let since = since_epoch(time);
    let seconds = since.as_secs().saturating_add(u64::from(since.subsec_nanos() > 0));
    seconds.try_into().unwrap_or(u32::MAX)
}
