//! The checks of each request with an API key.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::form::{Id, Parts, check_prefix};
use super::key::mac;
use crate::claims::Claims;
use crate::config_error::ConfigError;
use crate::crypto::Fingerprint;
use crate::error::{AuthError, FixedCause};
use crate::kind::AuthErrorKind;
use crate::observe::About;
use crate::revocation::{Revocations, TokenIds};

/// The settings of a verifier of API keys.
#[derive(Clone)]
pub(super) struct Rules {
    pub(super) prefix: Box<str>,
    pub(super) revocations: Option<Revocations>,
    pub(super) clock: Option<Arc<dyn Fn() -> SystemTime + Send + Sync>>,
    /// The facts about a key that does not exist.
    about: About,
}

/// A key that a client has sent. Its secret is not proven yet.
pub(super) struct PresentedKey {
    pub(super) id: Id,
    mac: Hmac<Sha256>,
}

impl Rules {
    pub(super) fn new(prefix: &str) -> Result<Self, ConfigError> {
        check_prefix(prefix)?;
        let about = About::api_key(prefix, None, None);
        Ok(Self { prefix: prefix.into(), revocations: None, clock: None, about })
    }

    /// Checks the form, the checksum and the prefix of a key, and hashes its secret.
    pub(super) fn read(&self, token: &[u8]) -> Result<PresentedKey, AuthError> {
        let malformed = |cause| AuthError::new(AuthErrorKind::MalformedApiKey).because(cause);
        let prefix = self.prefix.as_bytes();
        if !token.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(b"_")) {
            return Err(malformed(OTHER_PREFIX));
        }
        let parts = Parts::of(token).map_err(malformed)?;
        match parts.prefix == prefix {
            true => Ok(PresentedKey { id: *parts.id, mac: mac(&parts) }),
            false => Err(malformed(OTHER_PREFIX)),
        }
    }

    /// Checks a key with the claims of its ID, if there are any.
    ///
    /// An unknown ID and a wrong secret take equally long.
    pub(super) fn judge<'c, C>(
        &self,
        key: PresentedKey,
        found: Option<&'c Claims<C>>,
    ) -> Result<&'c Claims<C>, AuthError> {
        let PresentedKey { id, mac } = key;
        let hash = found.map_or(&NO_HASH, |claims| &claims.conditions().signer);
        let is_right = mac.verify_slice(hash).is_ok();
        let claims = match found {
            Some(claims) if is_right => claims,
            Some(claims) => return Err(invalid(WRONG_SECRET).about(claims.about())),
            None => return Err(self.unknown()),
        };
        // From here on the client has proven that it has the key.
        let reject = |kind: AuthErrorKind| claims.error(kind.into()).proven();
        if claims.token().expires_at().is_some_and(|expiry| is_over(expiry, self.now())) {
            return Err(reject(AuthErrorKind::Expired));
        }
        self.judge_revocations(&id).map_err(|kind| match kind {
            AuthErrorKind::RevocationsUnavailable => reject(kind).with_retry_after(Duration::from_secs(1)),
            _ => reject(kind),
        })?;
        Ok(claims)
    }

    /// Returns the error for an ID that does not exist.
    pub(super) fn unknown(&self) -> AuthError {
        invalid(UNKNOWN_ID).about(self.about.clone())
    }

    pub(super) fn now(&self) -> SystemTime {
        self.clock.as_ref().map_or_else(SystemTime::now, |clock| clock())
    }

    fn judge_revocations(&self, id: &Id) -> Result<(), AuthErrorKind> {
        let Some(revocations) = &self.revocations else {
            return Ok(());
        };
        let ids = TokenIds { issuer: &self.prefix, token: Some(id_text(id)), ..TokenIds::default() };
        revocations.judge(&revocations.revocable(&ids))
    }
}

pub(super) fn id_text(id: &Id) -> &str {
    std::str::from_utf8(id).expect("an ID has letters and digits")
}

/// Returns true from the expiry on, and for a clock that is set before 1970.
fn is_over(expiry: SystemTime, now: SystemTime) -> bool {
    now >= expiry || now < UNIX_EPOCH
}

fn invalid(cause: &'static FixedCause) -> AuthError {
    AuthError::new(AuthErrorKind::InvalidToken).because(cause)
}

/// Compared with the hash of a key that does not exist.
const NO_HASH: Fingerprint = [0; 32];

const OTHER_PREFIX: &FixedCause = &FixedCause("the key does not begin with the prefix of ApiKeys and `_`");
const UNKNOWN_ID: &FixedCause = &FixedCause("no API key has this ID");
const WRONG_SECRET: &FixedCause = &FixedCause("the secret of the API key is wrong");
