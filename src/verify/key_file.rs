use std::fmt::{self, Formatter};
use std::path::Path;

use super::key_set::KeySet;
use super::key_source::{KeyIssuer, KeySource, KeysRef};
use crate::algorithm::Algorithm;
use crate::config_error::ConfigError;
use crate::file_follower::FileFollower;
use crate::observe;

/// Keys from a file, which is read again when it changes. Clones share them.
///
/// ```no_run
/// use tower_jwt_auth::keys::KeyFile;
/// use tower_jwt_auth::{Algorithm, JwtVerifier, RegisteredClaims};
///
/// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
/// let keys = KeyFile::pem(Algorithm::ES256, "/etc/keys/issuer.pem")?;
/// let verifier = JwtVerifier::<RegisteredClaims>::new(keys)
///     .issuer("https://id.example.com")
///     .audience("https://api.example.com");
/// # Ok(())
/// # }
/// ```
///
/// A background task reads the file every five seconds. Tokens are verified with the new keys at most ten seconds after a
/// change. A Kubernetes secret or config map can be mounted and updated as usual.
///
/// - If the file cannot be read, is larger than 1 MiB or has no usable key, the last good keys stay in use. Monitor
///   [`last_error`](Self::last_error), the log or the metric `jwt_auth_file_reads_total`.
/// - The task runs in the tokio runtime of the first use, whose timers must be enabled, and ends with the last clone.
/// - Outside a runtime, the keys stay those of the first read.
///
/// # Security
///
/// A deleted file does not withdraw its keys. To withdraw a key, write a file without it.
#[derive(Clone)]
pub struct KeyFile(FileFollower<KeySet>);

impl KeyFile {
    /// Follows a file with a JWK set.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or one of the errors of [`KeySet::jwks`].
    pub fn jwks(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let name = path.as_ref().display().to_string();
        let read = move |content: &[u8]| {
            let keys = KeySet::jwks(content)?;
            observe::keys_skipped(&name, keys.skipped_keys());
            Ok(keys)
        };
        FileFollower::open(path, read).map(Self)
    }

    /// Follows a file with one public key in PEM.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or one of the errors of [`Key::pem`](crate::Key::pem).
    pub fn pem(algorithm: Algorithm, path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        FileFollower::open(path, move |content| KeySet::pem(algorithm, content)).map(Self)
    }

    /// Follows a file with a secret. One line break at the end is removed.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or one of the errors of [`Key::hmac`](crate::Key::hmac).
    pub fn hmac(algorithm: Algorithm, path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        FileFollower::open(path, move |content| KeySet::hmac(algorithm, without_line_break(content)))
            .map(Self)
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Returns the number of reads, including failed ones. Clones share it.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.0.reads()
    }

    /// Returns the number of reads that failed. Clones share it.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.0.failures()
    }

    /// Returns the error of the last read, or `None` after a success.
    #[must_use]
    pub fn last_error(&self) -> Option<ConfigError> {
        self.0.last_error()
    }
}

impl KeySource for KeyFile {
    #[inline]
    fn current(&self) -> KeysRef<'_> {
        KeysRef::snapshot(self.0.current())
    }

    fn can_refresh(&self) -> bool {
        false
    }

    fn issuer(&self) -> KeyIssuer<'_> {
        KeyIssuer::Any
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFile").field("path", &self.path()).finish_non_exhaustive()
    }
}

/// Removes the line break that editors and `echo` add.
pub(crate) fn without_line_break(secret: &[u8]) -> &[u8] {
    let secret = secret.strip_suffix(b"\n").unwrap_or(secret);
    secret.strip_suffix(b"\r").unwrap_or(secret)
}
