use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::seconds;
use crate::registered::{NumericDate, since_epoch};

/// One entry of a list of [`Revocations`](crate::revocation::Revocations): the revoked tokens, and their last expiry.
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
///
/// The serialized form is a JSON object:
///
/// - `iss`, and one of `jti`, `sid` and `sub`.
/// - `exp` in whole seconds, unless there is no expiry.
/// - With `sub` also `until`: tokens with an `iat` up to this time are revoked. It is in milliseconds since 1970.
///
/// The fields hold exactly what is serialized. An expiry is rounded up to whole seconds, and one in the year 2106 or
/// later counts as none. `issued_until` is rounded down to milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Revocation {
    issuer: String,
    target: Target,
    /// In seconds since 1970.
    expires_at: Option<u32>,
}

/// The claim that names the revoked tokens. `issued_until` is in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Target {
    Token { jti: String },
    Session { sid: String },
    Subject { sub: String, issued_until: u64 },
}

impl Revocation {
    /// Revokes one token, like [`revoke_token`](crate::revocation::Revocations::revoke_token).
    #[must_use]
    pub fn token(
        issuer: impl Into<String>,
        jti: impl Into<String>,
        expires_at: impl Into<Option<SystemTime>>,
    ) -> Self {
        Self::new(issuer, Target::Token { jti: jti.into() }, expires_at)
    }

    /// Revokes a session's tokens, like [`revoke_session`](crate::revocation::Revocations::revoke_session).
    #[must_use]
    pub fn session(
        issuer: impl Into<String>,
        sid: impl Into<String>,
        last_expiry: impl Into<Option<SystemTime>>,
    ) -> Self {
        Self::new(issuer, Target::Session { sid: sid.into() }, last_expiry)
    }

    /// Revokes a subject's tokens, like [`revoke_subject`](crate::revocation::Revocations::revoke_subject).
    #[must_use]
    pub fn subject(
        issuer: impl Into<String>,
        sub: impl Into<String>,
        issued_until: SystemTime,
        last_expiry: impl Into<Option<SystemTime>>,
    ) -> Self {
        let target = Target::Subject { sub: sub.into(), issued_until: millis(issued_until) };
        Self::new(issuer, target, last_expiry)
    }

    fn new(issuer: impl Into<String>, target: Target, expires_at: impl Into<Option<SystemTime>>) -> Self {
        let expires_at = expires_at.into().map(seconds).filter(|second| *second != NEVER);
        Self { issuer: issuer.into(), target, expires_at }
    }

    /// Returns the issuer of the revoked tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the `jti`, if the entry revokes one token.
    #[must_use]
    pub fn jti(&self) -> Option<&str> {
        match &self.target {
            Target::Token { jti } => Some(jti),
            _ => None,
        }
    }

    /// Returns the `sid`, if the entry revokes a session.
    #[must_use]
    pub fn sid(&self) -> Option<&str> {
        match &self.target {
            Target::Session { sid } => Some(sid),
            _ => None,
        }
    }

    /// Returns the `sub`, if the entry revokes the tokens of a subject.
    #[must_use]
    pub fn sub(&self) -> Option<&str> {
        match &self.target {
            Target::Subject { sub, .. } => Some(sub),
            _ => None,
        }
    }

    /// Returns the latest revoked `iat`, if the entry revokes the tokens of a subject.
    ///
    /// Tokens without `iat` are revoked too.
    #[must_use]
    pub fn issued_until(&self) -> Option<SystemTime> {
        match self.target {
            Target::Subject { issued_until, .. } => Some(after_epoch(Duration::from_millis(issued_until))),
            _ => None,
        }
    }

    /// Returns the expiry of the last revoked token, or `None` if one may never expire.
    ///
    /// Keep the entry for an hour longer, since clocks may differ.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at.map(|second| after_epoch(Duration::from_secs(second.into())))
    }

    /// Returns the expiry in seconds since 1970, or [`NEVER`].
    pub(super) fn expiry_second(&self) -> u32 {
        self.expires_at.unwrap_or(NEVER)
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }
}

/// Stands for no expiry. It is in the year 2106, the last second of a `u32`.
const NEVER: u32 = u32::MAX;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<NumericDate>,
}

impl From<Revocation> for Written {
    fn from(revocation: Revocation) -> Self {
        let Revocation { issuer: iss, target, expires_at } = revocation;
        let exp = expires_at.map(|second| NumericDate::from_secs(second.into()));
        let entry = Self { iss, jti: None, sid: None, sub: None, until: None, exp };
        match target {
            Target::Token { jti } => Self { jti: Some(jti), ..entry },
            Target::Session { sid } => Self { sid: Some(sid), ..entry },
            Target::Subject { sub, issued_until } => {
                Self { sub: Some(sub), until: Some(issued_until), ..entry }
            }
        }
    }
}

impl TryFrom<Written> for Revocation {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written { iss: issuer, jti, sid, sub, until, exp } = written;
        let target = match (jti, sid, sub, until) {
            (Some(jti), None, None, None) => Target::Token { jti },
            (None, Some(sid), None, None) => Target::Session { sid },
            (None, None, Some(sub), Some(issued_until)) => Target::Subject { sub, issued_until },
            _ => return Err("a revocation needs exactly one of `jti`, `sid`, and `sub` with `until`"),
        };
        Ok(Self::new(issuer, target, exp.and_then(NumericDate::to_system_time)))
    }
}

/// Converts to milliseconds since 1970, rounded down.
fn millis(time: SystemTime) -> u64 {
    since_epoch(time).as_millis().try_into().unwrap_or(u64::MAX)
}

/// Adds to 1970. If the system clock cannot represent the time, returns a time in the year 2106.
pub(super) fn after_epoch(duration: Duration) -> SystemTime {
    UNIX_EPOCH.checked_add(duration).unwrap_or(UNIX_EPOCH + Duration::from_secs(NEVER.into()))
}
