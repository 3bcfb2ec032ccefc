//! Signed introspection responses (RFC 9701).

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::call::{MAX_BYTES, failure};
use crate::kind::AuthErrorKind;
use crate::lookups::{Blame, Failure};
use crate::registered::NumericDate;
use crate::verify::base64url::decode_to_vec;
use crate::verify::{Jws, JwtVerifier, KeySource, Rules, json, safe_text};

/// Maximum age of a response.
const MAX_AGE: Duration = Duration::from_secs(5 * 60);

/// The claims of the response itself.
#[derive(Deserialize)]
struct Envelope {
    iat: NumericDate,
}

/// Verifies a response, and returns its `token_introspection` object.
///
/// `issuers` are the accepted issuers, and `client_id` is that of this service.
pub(super) async fn open(
    response: &[u8],
    keys: &Arc<dyn KeySource>,
    issuers: &[String],
    client_id: String,
    rules: &Rules,
) -> Result<Vec<u8>, Failure> {
    let response = std::str::from_utf8(response).map_err(|_| failure(MALFORMED, Blame::Unclear))?.trim();
    let envelope = verifier(keys, issuers, client_id, rules).verify(response).await.map_err(|error| {
        let is_outage = error.kind() == AuthErrorKind::KeysUnavailable;
        let cause = format!("the signed introspection response is not valid: {}", with_source(&error));
        failure(cause, if is_outage { Blame::Everybody } else { Blame::Unclear })
    })?;
    let (issued, now, leeway) = (envelope.iat.since_epoch(), rules.now(), rules.expected.leeway);
    let oldest = now.saturating_sub(MAX_AGE).saturating_sub(leeway);
    if issued < oldest || issued > now.saturating_add(leeway) {
        return Err(failure(STALE, Blame::Unclear));
    }
    introspection_of(response).ok_or_else(|| failure(MALFORMED, Blame::Unclear))
}

fn verifier(
    keys: &Arc<dyn KeySource>,
    issuers: &[String],
    client_id: String,
    rules: &Rules,
) -> JwtVerifier<Envelope> {
    let mut verifier = JwtVerifier::new(Arc::clone(keys))
        .without_cache()
        .token_type("token-introspection+jwt")
        .audience(client_id)
        .leeway(rules.expected.leeway)
        .max_token_bytes(MAX_BYTES)
        // The response is short-lived by its `iat`.
        .insecure_allow_missing_expiry();
    if let [first, others @ ..] = issuers {
        verifier = verifier.issuer(first);
        verifier = others.iter().fold(verifier, JwtVerifier::add_issuer);
    }
    verifier.with_clock(rules.clock.clone())
}

fn introspection_of(response: &str) -> Option<Vec<u8>> {
    let payload = decode_to_vec(Jws::split(response.as_bytes())?.payload)?;
    let object = json::member(safe_text(&payload).ok()?, "token_introspection")?;
    Some(object.as_bytes().to_vec())
}

fn with_source(error: &crate::error::AuthError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

const MALFORMED: &str = "the signed introspection response has no single object `token_introspection`";
const STALE: &str =
    "the signed introspection response is too old or from the future: its `iat` must be within 5 minutes";
