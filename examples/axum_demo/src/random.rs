//! Random identifiers.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::error::ApiError;

/// Returns `BYTES` random bytes in base64url.
pub(crate) fn text<const BYTES: usize>() -> Result<String, ApiError> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(ApiError::internal)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}
