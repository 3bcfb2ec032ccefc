//! Tokens that are bound to a key of the client.

use super::names::Names;
use super::values::DpopValues;
use crate::config_error::ConfigError;
use crate::dpop::Dpop;
use crate::file_follower;
use crate::verify::without_line_break;

/// Creates the settings for proofs, if there are any. `set` has the paths of the settings that are set.
pub(super) fn dpop(values: &DpopValues, set: &[&str], names: &Names) -> Result<Option<Dpop>, ConfigError> {
    if !set.iter().any(|path| path.starts_with("dpop.")) {
        return Ok(None);
    }
    let about = |error| names.about("dpop.public_url", error);
    let mut urls = values.public_url.iter();
    let Some(first) = urls.next() else {
        let reason = "a proof names the URL of its request; set the URL that clients use";
        return Err(names.missing("dpop.public_url", reason));
    };
    let dpop = urls.try_fold(Dpop::new(first).map_err(about)?, |dpop, url| dpop.add_public_url(url));
    let mut dpop = dpop.map_err(about)?;
    if values.required {
        dpop = dpop.required();
    }
    with_nonces(dpop, values, names).map(Some)
}

/// Requires nonces if there is a secret. Its file is read once.
fn with_nonces(dpop: Dpop, values: &DpopValues, names: &Names) -> Result<Dpop, ConfigError> {
    const SECRET: &str = "dpop.nonce_secret";
    const SECRET_FILE: &str = "dpop.nonce_secret_file";
    match (&values.nonce_secret, &values.nonce_secret_file) {
        (Some(_), Some(_)) => Err(names.conflict(SECRET, SECRET_FILE, "both are the secret; remove one")),
        (Some(secret), None) => dpop.nonces(secret.expose()).map_err(|error| names.about(SECRET, error)),
        (None, Some(file)) => {
            let secret = file_follower::read(file.as_ref());
            secret
                .and_then(|secret| dpop.nonces(without_line_break(&secret)))
                .map_err(|error| names.about(SECRET_FILE, error))
        }
        (None, None) => Ok(dpop),
    }
}
