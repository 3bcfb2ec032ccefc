//! The key that signs a token.

use std::path::{Path, PathBuf};

use clap::Args;
use tower_jwt_auth::Algorithm;
use tower_jwt_auth::issue::SigningKey;

use crate::files;
use crate::outcome::Failure;
use crate::settings_file::SettingsFile;

/// The key to sign with.
#[derive(Args, Debug)]
pub(crate) struct KeyArguments {
    /// Sign with this private key in PEM; without a key, a new one signs this token only
    #[arg(long, value_name = "FILE", conflicts_with = "secret_file")]
    key: Option<PathBuf>,
    /// Sign with the HMAC secret in this file; one line break at the end does not count
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Algorithm, such as ES256; by default the one that fits the key, ES256 for a new key and HS256 for a secret
    #[arg(long, value_name = "NAME")]
    alg: Option<Algorithm>,
    /// `kid` in the header; by default the key's thumbprint
    #[arg(long)]
    kid: Option<String>,
}

pub(super) struct Signer {
    pub(super) key: SigningKey,
    pub(super) is_secret: bool,
}

impl KeyArguments {
    /// Returns the key of the command line, the secret of the settings, or a new key.
    pub(super) fn signer(&self, settings: Option<&SettingsFile>) -> Result<Signer, Failure> {
        let hmac = |algorithm: Option<Algorithm>, secret: Vec<u8>| {
            SigningKey::hmac(algorithm.unwrap_or(Algorithm::HS256), secret)
        };
        let (key, is_secret) = match (&self.key, &self.secret_file, settings) {
            (Some(path), _, _) => (from_pem(self.alg, &files::read(path)?)?, false),
            (None, Some(path), _) => (hmac(self.alg, files::secret(path)?)?, true),
            (None, None, Some(settings)) => {
                let stated = settings.text("hmac_algorithm").and_then(|name| name.parse().ok());
                (hmac(self.alg.or(stated), secret_of(settings)?)?, true)
            }
            (None, None, None) => (generated(self.alg.unwrap_or(Algorithm::ES256))?, false),
        };
        let key = match &self.kid {
            Some(kid) => key.with_kid(kid),
            None => key,
        };
        Ok(Signer { key, is_secret })
    }
}

fn secret_of(settings: &SettingsFile) -> Result<Vec<u8>, Failure> {
    match (settings.text("hmac_secret"), settings.text("hmac_secret_file")) {
        (Some(secret), _) => Ok(secret.as_bytes().to_vec()),
        (None, Some(path)) => files::secret(Path::new(path)),
        (None, None) => {
            Err("the settings have no HMAC secret to sign with: set --key or --secret-file".into())
        }
    }
}

fn generated(algorithm: Algorithm) -> Result<SigningKey, Failure> {
    match algorithm {
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => {
            Err("an HMAC needs a secret that the verifier has, too: set --secret-file".into())
        }
        algorithm => Ok(SigningKey::generate(algorithm)?),
    }
}

/// Reads a private key for this algorithm, or for the first one that fits.
fn from_pem(algorithm: Option<Algorithm>, pem: &[u8]) -> Result<SigningKey, Failure> {
    if let Some(algorithm) = algorithm {
        return Ok(SigningKey::pem(algorithm, pem)?);
    }
    let mut first_error = None;
    for algorithm in Algorithm::ALL.iter().filter(|algorithm| !algorithm.as_str().starts_with("HS")) {
        match SigningKey::pem(*algorithm, pem) {
            Ok(key) => return Ok(key),
            Err(error) => _ = first_error.get_or_insert(error),
        }
    }
    Err(first_error.expect("there are algorithms that are no HMAC").into())
}
