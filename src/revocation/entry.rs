use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::fingerprint::IdKind;
use super::seconds;
use crate::registered::{NumericDate, since_epoch};

/// One entry of a list of [`Revocations`](crate::Revocations): which tokens are revoked, and until when that matters.
///
/// Serialised, it is an object with `iss`, one of `jti`, `sid` and `sub`, and `exp` in whole seconds, rounded up, and in the year 2106 at
/// the latest; with a `sub` comes `until`, in milliseconds since 1970, up to which `iat` the tokens are revoked.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use tower_jwt_auth::Revocation;
///
/// let revocation = Revocation::Session {
///     issuer: "https://id.example.com".to_owned(),
///     sid: "s-42".to_owned(),
///     expires_at: UNIX_EPOCH + Duration::from_secs(1_800_000_000),
/// };
/// let text = r#"{"iss":"https://id.example.com","sid":"s-42","exp":1800000000}"#;
/// assert_eq!(serde_json::to_string(&revocation).unwrap(), text);
/// assert_eq!(serde_json::from_str::<Revocation>(text).unwrap(), revocation);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[non_exhaustive]
#[serde(try_from = "Written", into = "Written")]
pub enum Revocation {
    /// One token: as by [`revoke_token`](crate::Revocations::revoke_token).
    Token {
        /// Its `iss`.
        issuer: String,
        /// Its `jti`.
        jti: String,
        /// Its `exp`.
        expires_at: SystemTime,
    },
    /// The tokens of a session: as by [`revoke_session`](crate::Revocations::revoke_session).
    Session {
        /// Their `iss`.
        issuer: String,
        /// Their `sid`.
        sid: String,
        /// The latest `exp` that one of them may have.
        expires_at: SystemTime,
    },
    /// The tokens of a subject up to a time: as by [`revoke_subject`](crate::Revocations::revoke_subject).
    Subject {
        /// Their `iss`.
        issuer: String,
        /// Their `sub`.
        sub: String,
        /// The latest `iat` that is revoked; a token without one is, too. Less than a millisecond does not count.
        issued_until: SystemTime,
        /// The latest `exp` that one of them may have.
        expires_at: SystemTime,
    },
}

impl Revocation {
    /// The issuer of the tokens that it revokes.
    #[must_use]
    pub fn issuer(&self) -> &str {
        match self {
            Self::Token { issuer, .. } | Self::Session { issuer, .. } | Self::Subject { issuer, .. } => {
                issuer
            }
        }
    }

    /// When the last of them expires, so that it need not be kept for more than a clock's error longer: an hour, say.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        match self {
            Self::Token { expires_at, .. }
            | Self::Session { expires_at, .. }
            | Self::Subject { expires_at, .. } => *expires_at,
        }
    }

    pub(super) fn id(&self) -> (IdKind, &str) {
        match self {
            Self::Token { jti, .. } => (IdKind::Token, jti),
            Self::Session { sid, .. } => (IdKind::Session, sid),
            Self::Subject { sub, .. } => (IdKind::Subject, sub),
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
        let exp = NumericDate::from_secs(seconds(revocation.expires_at()).into());
        let of = |iss| Self { iss, jti: None, sid: None, sub: None, until: None, exp };
        match revocation {
            Revocation::Token { issuer, jti, .. } => Self { jti: Some(jti), ..of(issuer) },
            Revocation::Session { issuer, sid, .. } => Self { sid: Some(sid), ..of(issuer) },
            Revocation::Subject { issuer, sub, issued_until, .. } => {
                Self { sub: Some(sub), until: Some(millis(issued_until)), ..of(issuer) }
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
            (Some(jti), None, None, None) => Ok(Self::Token { issuer, jti, expires_at }),
            (None, Some(sid), None, None) => Ok(Self::Session { issuer, sid, expires_at }),
            (None, None, Some(sub), Some(until)) => {
                // What cannot be told lies in a far future.
                let issued_until = UNIX_EPOCH
                    .checked_add(Duration::from_millis(until))
                    .unwrap_or(UNIX_EPOCH + Duration::from_secs(u32::MAX.into()));
                Ok(Self::Subject { issuer, sub, issued_until, expires_at })
            }
            _ => Err("a revocation has one of `jti`, `sid`, and `sub` with `until`"),
        }
    }
}

/// Since 1970, rounded down: what `issued_until` is compared by.
pub(super) fn millis(time: SystemTime) -> u64 {
    since_epoch(time).as_millis().try_into().unwrap_or(u64::MAX)
}
