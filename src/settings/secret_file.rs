//! Secrets in files.

use std::path::Path;

use http::header::HeaderValue;

use crate::config_error::{ConfigError, ConfigProblem};
use crate::file_follower;
use crate::verify::without_line_break;

/// Returns the secret in the content of a file. One line break at its end does not count.
pub(super) fn read_secret(content: &[u8]) -> Result<&str, ConfigError> {
    match std::str::from_utf8(without_line_break(content)) {
        Ok("") => Err(malformed("it is empty")),
        Ok(secret) => Ok(secret),
        Err(_) => Err(malformed("it is not valid UTF-8")),
    }
}

/// Reads the token in a file, as a value of `Authorization`. This blocks.
pub(super) fn read_bearer_token(path: &Path) -> Result<HeaderValue, ConfigError> {
    let content = file_follower::read(path)?;
    let token = read_secret(&content)?;
    match token.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(HeaderValue::try_from(format!("Bearer {token}")).expect("it is printable ASCII")),
        false => Err(malformed("it has a character that no token has")),
    }
}

fn malformed(reason: &'static str) -> ConfigError {
    ConfigProblem::MalformedSecret { reason }.into()
}
