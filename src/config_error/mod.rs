//! Configuration errors.

mod kind;
mod problem;
mod skipped_key;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

pub use self::kind::ConfigErrorKind;
pub(crate) use self::problem::{ConfigProblem, MOST_LISTED};
pub use self::skipped_key::SkippedKey;
pub(crate) use self::skipped_key::quoted;

/// A configuration error: what is wrong, why, and what to do.
///
/// ```
/// use tower_jwt_auth::{Algorithm, ConfigErrorKind, KeySet};
///
/// let error = KeySet::hmac(Algorithm::HS256, "a short secret").unwrap_err();
/// assert_eq!(error.kind(), ConfigErrorKind::WeakSecret);
/// assert_eq!(error.to_string(), "HS256 needs a secret of at least 32 bytes, got 14");
/// ```
///
/// `Display` is one line, and never contains a secret or key. The [source](std::error::Error::source) is the error of
/// the operating system or of the HTTP client, if there is one.
#[derive(Clone)]
pub struct ConfigError(Arc<ConfigProblem>);

impl ConfigError {
    /// Returns the category of the error.
    #[must_use]
    pub fn kind(&self) -> ConfigErrorKind {
        self.0.kind()
    }

    /// Explains an invalid URL as that of an introspection endpoint or its issuer.
    #[cfg(feature = "introspection")]
    pub(crate) fn about_introspection(self) -> Self {
        match &*self.0 {
            ConfigProblem::InvalidAddress { address, reason } => {
                ConfigProblem::InvalidEndpoint { address: address.clone(), reason }.into()
            }
            _ => self,
        }
    }

    /// Returns the keys of a JWK set that has no usable key, each with the reason.
    ///
    /// Empty for all kinds except [`NoUsableKeys`](ConfigErrorKind::NoUsableKeys).
    #[must_use]
    pub fn skipped_keys(&self) -> &[SkippedKey] {
        match &*self.0 {
            ConfigProblem::NoUsableKeys { skipped } => skipped,
            ConfigProblem::InvalidFile { error, .. } | ConfigProblem::RejectedSetting { error, .. } => {
                error.skipped_keys()
            }
            _ => &[],
        }
    }
}

#[expect(
    clippy::from_over_into,
    reason = "with a second `From`, `?` in a closure would need its error type annotated"
)]
impl Into<ConfigError> for ConfigProblem {
    fn into(self) -> ConfigError {
        ConfigError(Arc::new(self))
    }
}

impl Display for ConfigError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Includes the message and the source: a `main` that returns the error prints it with `Debug`.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ConfigError");
        debug.field("kind", &self.kind()).field("message", &self.to_string());
        if let Some(source) = self.source() {
            debug.field("source", &source);
        }
        debug.finish()
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
