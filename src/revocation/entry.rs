use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::fingerprint::IdKind;
use super::seconds;
use crate::registered::{NumericDate, since_epoch};

/// One entry of a list of [`Revocations`](crate::revocation::Revocations): which tokens are revoked, and until when that matters.
///
/// Serialised, it is an object with `iss`, one of `jti`, `sid`
/// and `sub`, and `exp` in whole seconds, rounded up, and in the year 2106 at the latest; with a `sub` comes `until`, in
/// milliseconds since 1970, up to which `iat` the tokens are revoked.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use tower_jwt_auth::revocation::Revocation;
///
/// let expires_at = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
/// let revocation = Revocation::session("https://id.example.com", "s-42", expires_at);
/// let text = r#"{"iss":"https://id.example.com","sid":"s-42","exp":1800000000}"#;
/// assert_eq!(serde_json::to_string(&revocation).unwrap(), text);
/// assert_eq!(serde_json::from_str::<Revocation>(text).unwrap(), revocation);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Revocation {
    issuer: String,
    target: Target,
    expires_at: SystemTime,
}

/// The claim that names the revoked tokens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Target {
    Token { jti: String },
    Session { sid: String },
    Subject { sub: String, issued_until: SystemTime },
}

impl Revocation {
    /// Revokes one token: as by [`revoke_token`](crate::revocation::Revocations::revoke_token).
    #[must_use]
    pub fn token(
        issuer: impl Into<String>,
        jti: impl Into<String>,
        expires_at: impl Into<Option<SystemTime>>,
    ) -> Self {
        Self::new(issuer, Target::Token { jti: jti.into() }, expires_at)
    }

    /// Revokes the tokens of a session: as by [`revoke_session`](crate::revocation::Revocations::revoke_session).
    #[must_use]
    pub fn session(
        issuer: impl Into<String>,
        sid: impl Into<String>,
        last_expiry: impl Into<Option<SystemTime>>,
    ) -> Self {
        Self::new(issuer, Target::Session { sid: sid.into() }, last_expiry)
    }

    /// Revokes the tokens of a subject up to a time: as by [`revoke_subject`](crate::revocation::Revocations::revoke_subject). Less than
    /// a millisecond of `issued_until` does not count.
    #[must_use]
    pub fn subject(
        issuer: impl Into<String>,
        sub: impl Into<String>,
        issued_until: SystemTime,
        last_expiry: impl Into<Option<SystemTime>>,
    ) -> Self {
        Self::new(issuer, Target::Subject { sub: sub.into(), issued_until }, last_expiry)
    }

    fn new(issuer: impl Into<String>, target: Target, expires_at: impl Into<Option<SystemTime>>) -> Self {
        // Without an expiry: in the year 2106, beyond which no list counts.
        let never = UNIX_EPOCH + Duration::from_secs(u32::MAX.into());
        Self { issuer: issuer.into(), target, expires_at: expires_at.into().unwrap_or(never) }
    }

    /// The issuer of the tokens that it revokes.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The `jti` of the token that it revokes, if it revokes one token.
    #[must_use]
    pub fn jti(&self) -> Option<&str> {
        match &self.target {
            Target::Token { jti } => Some(jti),
            _ => None,
        }
    }

    /// The `sid` of the tokens that it revokes, if it revokes a session.
    #[must_use]
    pub fn sid(&self) -> Option<&str> {
        match &self.target {
            Target::Session { sid } => Some(sid),
            _ => None,
        }
    }

    /// The `sub` of the tokens that it revokes, if it revokes those of a subject.
    #[must_use]
    pub fn sub(&self) -> Option<&str> {
        match &self.target {
            Target::Subject { sub, .. } => Some(sub),
            _ => None,
        }
    }

    /// The latest `iat` that it revokes, if it revokes the tokens of a subject. Tokens without `iat` are revoked too.
    #[must_use]
    pub fn issued_until(&self) -> Option<SystemTime> {
        match self.target {
            Target::Subject { issued_until, .. } => Some(issued_until),
            _ => None,
        }
    }

    /// When the last of them expires, so that it need not be kept for more than a clock's error longer: an hour, say.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn id(&self) -> (IdKind, &str) {
        match &self.target {
            Target::Token { jti } => (IdKind::Token, jti),
            Target::Session { sid } => (IdKind::Session, sid),
            Target::Subject { sub, .. } => (IdKind::Subject, sub),
        }
    }
}

#[derive(Deserialize, Serialize)]
struct Written {
    iss: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    exp: NumericDate,
}

impl From<Revocation> for Written {
    fn from(revocation: Revocation) -> Self {
        let Revocation { issuer: iss, target, expires_at } = revocation;
        let exp = NumericDate::from_secs(seconds(expires_at).into());
        let entry = Self { iss, jti: None, sid: None, sub: None, until: None, exp };
        match target {
            Target::Token { jti } => Self { jti: Some(jti), ..entry },
            Target::Session { sid } => Self { sid: Some(sid), ..entry },
            Target::Subject { sub, issued_until } => {
                Self { sub: Some(sub), until: Some(millis(issued_until)), ..entry }
            }
        }
    }
}

impl TryFrom<Written> for Revocation {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written { iss: issuer, jti, sid, sub, until, exp } = written;
        // In whole seconds, rounded up; what lies beyond 2106 never comes.
        let exp = exp.to_system_time().map_or(u32::MAX, seconds);
        let expires_at = UNIX_EPOCH + Duration::from_secs(exp.into());
        match (jti, sid, sub, until) {
            (Some(jti), None, None, None) => Ok(Self::token(issuer, jti, expires_at)),
            (None, Some(sid), None, None) => Ok(Self::session(issuer, sid, expires_at)),
            (None, None, Some(sub), Some(until)) => {
                // What cannot be told lies in a far future.
                let issued_until = UNIX_EPOCH
                    .checked_add(Duration::from_millis(until))
                    .unwrap_or(UNIX_EPOCH + Duration::from_secs(u32::MAX.into()));
                Ok(Self::subject(issuer, sub, issued_until, expires_at))
            }
            _ => Err("a revocation has one of `jti`, `sid`, and `sub` with `until`"),
        }
    }
}

/// Since 1970, rounded down: what `issued_until` is compared by.
pub(super) fn millis(time: SystemTime) -> u64 {
    since_epoch(time).as_millis().try_into().unwrap_or(u64::MAX)
}
