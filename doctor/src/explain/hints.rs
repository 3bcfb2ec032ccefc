//! What the library cannot know: the provider, its clock, and the names of the settings.

use std::time::SystemTime;

use serde_json::Value;
use tower_jwt_auth::AuthErrorKind;
use tower_jwt_auth::api_key::ApiKey;
use tower_jwt_auth::explain::Explanation;

use super::source::KeysOf;
use crate::escape::{for_shell, quoted};
use crate::outcome::Outcome;
use crate::provider::{Discovery, Exchange, Keys, difference, skew};
use crate::screen::chain;

/// The most that clocks differ without a remark, in seconds.
const USUAL_SKEW: u64 = 5;

/// Returns the remarks about the verdict.
pub(crate) fn hints(report: &Explanation<Value>, keys: &KeysOf, token: &str) -> Vec<String> {
    let mut hints: Vec<_> = api_key(token).into_iter().collect();
    match keys {
        KeysOf::Nobody => hints.extend(nobody(report)),
        KeysOf::Settings { attempts, .. } => hints.extend(attempts.iter().filter_map(|attempt| {
            let error = attempt.as_ref().err()?;
            Some(format!("The keys could not be fetched: {}", chain(&**error)))
        })),
        KeysOf::Provider { issuer, result: Err(error), exchanges } => {
            hints.push(format!("The keys could not be fetched: {}", chain(&**error)));
            hints.extend(issuer.as_ref().map(|issuer| no_keys(issuer, exchanges)));
        }
        _ => {}
    }
    let Some(kind) = report.error().map(tower_jwt_auth::AuthError::kind) else {
        return hints;
    };
    match kind {
        AuthErrorKind::UnknownKey | AuthErrorKind::InvalidSignature | AuthErrorKind::UnsupportedAlgorithm => {
            hints.extend(held_keys(keys));
        }
        AuthErrorKind::Expired | AuthErrorKind::NotYetValid => hints.extend(clock(keys)),
        AuthErrorKind::MalformedToken if !token.contains('.') => hints.extend(introspection(keys)),
        AuthErrorKind::WrongIssuer => hints.extend(issuers(keys)),
        AuthErrorKind::SenderConstrained => hints.extend(proof(report, keys)),
        AuthErrorKind::WrongProofTime => hints.push(OLD_PROOF.to_owned()),
        _ => {}
    }
    hints
}

/// Recognizes an API key, by its form and its checksum.
pub(crate) fn api_key(token: &str) -> Option<String> {
    let key = ApiKey::parse(token).ok()?;
    let prefix = key.prefix();
    Some(format!(
        "This is an API key with the prefix {prefix}, and no token.\n\
         Route it to ApiKeys by AnyOf::prefix(\"{prefix}_\", ..), or set AUTH_API_KEYS_PREFIX."
    ))
}

/// Returns the names of the settings for a kind of error, in the environment.
pub(crate) fn settings(kind: AuthErrorKind, keys: &KeysOf) -> &'static [&'static str] {
    match kind {
        AuthErrorKind::TokenTooLarge => &["AUTH_MAX_TOKEN_BYTES"],
        AuthErrorKind::WrongTokenType => &["AUTH_TOKEN_TYPE", "AUTH_ACCESS_TOKENS_ONLY"],
        AuthErrorKind::UnsupportedAlgorithm => &["AUTH_ALGORITHMS"],
        AuthErrorKind::UnknownKey => &["AUTH_ISSUER", "AUTH_JWKS_URL"],
        AuthErrorKind::InvalidSignature if matches!(keys, KeysOf::Local) => {
            &["AUTH_HMAC_SECRET_FILE", "AUTH_PEM_FILES"]
        }
        AuthErrorKind::InvalidSignature => &["AUTH_ISSUER", "AUTH_JWKS_URL"],
        AuthErrorKind::WrongIssuer => &["AUTH_ISSUER"],
        AuthErrorKind::WrongAudience => &["AUTH_AUDIENCE"],
        AuthErrorKind::WrongClaim => &["AUTH_REQUIRED_CLAIMS"],
        AuthErrorKind::SenderConstrained => &["AUTH_DPOP_PUBLIC_URL"],
        AuthErrorKind::MissingBinding => &["AUTH_DPOP_REQUIRED"],
        AuthErrorKind::NotYetValid | AuthErrorKind::Expired => &["AUTH_LEEWAY_SECS"],
        AuthErrorKind::KeysUnavailable => &["AUTH_ISSUER", "AUTH_HTTP_PROXY_URL", "AUTH_HTTP_CA_FILE"],
        _ => &[],
    }
}

/// Returns the outcome of a rejection: a 503 says nothing about the token, unless the provider was asked.
pub(crate) fn outcome(report: &Explanation<Value>, keys: &KeysOf) -> Outcome {
    let is_mismatch = match keys {
        KeysOf::Provider { issuer: Some(issuer), exchanges, .. } => {
            stated_issuer(issuer, exchanges).is_some()
        }
        _ => false,
    };
    match report.error() {
        None => Outcome::Good,
        Some(error) if error.status().is_server_error() && !is_mismatch => Outcome::Unreachable,
        Some(_) => Outcome::Bad,
    }
}

/// Suggests the issuer of the token. The doctor does not fetch from it by itself, as anyone may have written it.
fn nobody(report: &Explanation<Value>) -> Option<String> {
    let received = |name: &str| report.steps().iter().find(|step| step.name() == name)?.received();
    let iss = received("iss").filter(|iss| iss.starts_with("https://"))?;
    let aud = received("aud").filter(|aud| !aud.contains([' ', '[', ',']) && *aud != "none");
    Some(format!(
        "No keys are configured. If you trust the issuer of this token:\njwt-doctor explain --issuer {} --audience {}",
        for_shell(iss),
        aud.map_or_else(|| "YOUR_API".to_owned(), for_shell)
    ))
}

/// Says why the keys of a provider could not be fetched, as far as the responses tell.
fn no_keys(issuer: &str, exchanges: &[Exchange]) -> String {
    match stated_issuer(issuer, exchanges) {
        Some(stated) => format!(
            "The provider's discovery document names another issuer: {}\nyou gave {}: {}\n\
             Configure the issuer exactly as the document spells it.",
            quoted(&stated),
            quoted(issuer),
            difference(issuer, &stated)
        ),
        None => format!("For details: jwt-doctor provider {}", for_shell(issuer)),
    }
}

/// Returns the issuer of the discovery document, if it is another one.
fn stated_issuer(issuer: &str, exchanges: &[Exchange]) -> Option<String> {
    let document = Discovery::document_of(issuer, exchanges)?;
    Some(document.issuer).filter(|stated| stated != issuer)
}

/// Names the endpoint that checks opaque tokens, if the provider has one.
fn introspection(keys: &KeysOf) -> Option<String> {
    let KeysOf::Provider { issuer: Some(issuer), exchanges, .. } = keys else {
        return None;
    };
    let document = Discovery::document_of(issuer, exchanges)?;
    let endpoint = quoted(document.text("introspection_endpoint")?);
    Some(format!("The provider checks opaque tokens at {endpoint}: use Introspection::discover for them."))
}

/// Lists the issuers if there are several: the report is about one of them.
fn issuers(keys: &KeysOf) -> Option<String> {
    let KeysOf::Settings { issuers, .. } = keys else {
        return None;
    };
    let shown: Vec<_> = issuers.iter().map(|issuer| quoted(issuer)).collect();
    (shown.len() > 1).then(|| format!("The settings accept {} issuers: {}", shown.len(), shown.join(", ")))
}

const OLD_PROOF: &str =
    "A proof is valid for a minute. To check the rest of one from a log: --max-proof-age 1d";

/// Says how to verify a bound token with its proof.
fn proof(report: &Explanation<Value>, keys: &KeysOf) -> Option<String> {
    let received = |name: &str| report.steps().iter().find(|step| step.name() == name)?.received();
    let cnf = received("cnf")?;
    if cnf.contains("x5t#S256") {
        return Some("The token is bound to a client certificate, which only the service sees.".to_owned());
    }
    let further = match keys {
        KeysOf::Settings { .. } => "describe the verifier by options instead of the settings, and add",
        _ => "add",
    };
    cnf.contains("jkt").then(|| {
        format!(
            "The token is bound to a key. To verify it with the DPoP proof of a request, {further} for example:\n\
             --dpop-proof PROOF --method GET --url https://api.example.com/orders"
        )
    })
}

fn held_keys(keys: &KeysOf) -> Option<String> {
    let (whose, keys) = match keys {
        KeysOf::Set(text) => ("The keys of the file", Keys::read(text)),
        KeysOf::Provider { exchanges, .. } => {
            ("The provider's current keys", Keys::read(exchanges.last()?.response()?.body()))
        }
        _ => return None,
    };
    let lines = keys.lines();
    (!lines.is_empty()).then(|| format!("{whose}:\n{}", lines.join("\n")))
}

fn clock(keys: &KeysOf) -> Option<String> {
    let KeysOf::Provider { exchanges, .. } = keys else {
        return None;
    };
    let skew = skew(exchanges.last()?.response()?.headers(), SystemTime::now())?;
    let side = if skew > 0 { "ahead of" } else { "behind" };
    (skew.unsigned_abs() > USUAL_SKEW).then(|| {
        format!("The provider's clock is {} s {side} this machine's: synchronize them.", skew.unsigned_abs())
    })
}
