//! Payloads, compared to a simple check by RFC 7519, section 4.1, and to what serde_json reads.
//!
//! An input is the payload. The target signs it.
#![no_main]

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::{Corpus, fuzz_target};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};
use tower_jwt_auth::AuthErrorKind::{self, *};
use tower_jwt_auth::cache::CacheSettings;
use tower_jwt_auth::revocation::Revocations;
use tower_jwt_auth::{JwtVerifier, RegisteredClaims};
use tower_jwt_auth_fuzz::{AUDIENCE, ISSUER, Members, NOW, at, bounded, hs256, judge, verifier};

const LEEWAY: u64 = 60;
/// All tokens of the subject `u1` that were issued until then are revoked.
const REVOKED_UNTIL: u64 = NOW - 10;
const OTHER_ISSUER: &str = "https://other.example.com";

static REVOKED: LazyLock<Revocations> = LazyLock::new(|| {
    let revocations = Revocations::new().clock(|| at(NOW));
    let expiry = at(NOW + 1_000_000);
    drop(revocations.revoke_token(ISSUER, "t1", expiry));
    drop(revocations.revoke_token(OTHER_ISSUER, "t2", expiry));
    drop(revocations.revoke_token("", "t3", expiry));
    drop(revocations.revoke_session(ISSUER, "s1", expiry));
    drop(revocations.revoke_subject(ISSUER, "u1", at(REVOKED_UNTIL), expiry));
    revocations
});

/// The requirements of a verifier.
#[derive(Clone, Copy, Debug)]
enum Requirements {
    IssuerAndAudience,
    /// Any issuer and no audience, and a revocation list.
    NotRevoked,
    /// A claim of the application, any audience, and sender-constrained tokens.
    Tenant,
}

impl Requirements {
    fn verifier<C: DeserializeOwned + Send + Sync + 'static>(self) -> JwtVerifier<C> {
        let verifier = verifier::<C>(hs256().public.clone().into());
        match self {
            Self::IssuerAndAudience => verifier,
            Self::NotRevoked => JwtVerifier::new(tower_jwt_auth::KeySet::from(hs256().public.clone()))
                .clock(|| at(NOW))
                .without_cache()
                .revocations(REVOKED.clone()),
            Self::Tenant => verifier
                .insecure_any_audience()
                .insecure_ignore_confirmation()
                .require_claim("tenant", "acme")
                .require_claim("tenant", "umbrella"),
        }
    }

    /// Returns the expected verdict for a payload, which does not depend on the claims type.
    fn judge(self, payload: &[u8]) -> Result<(), AuthErrorKind> {
        const ONCE: [&str; 9] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "cnf"];
        let revocable = matches!(self, Self::NotRevoked);

        let brackets = payload.iter().filter(|byte| b"[{\\".contains(byte)).count();
        let is_shallow = brackets <= 1024;
        let claims = Members::read(payload).filter(|_| is_shallow).ok_or(InvalidClaims)?;
        if ONCE.iter().any(|name| claims.count(name) > 1) || has_private_name(payload) {
            return Err(InvalidClaims);
        }
        let (iss, aud) = (text(&claims, "iss")?, audience(&claims)?);
        let (exp, nbf) = (date(&claims, "exp")?, date(&claims, "nbf")?);
        let iat = date(&claims, "iat")?;
        let revoked = revocable && {
            let (jti, sid, sub) = (text(&claims, "jti")?, text(&claims, "sid")?, text(&claims, "sub")?);
            let iat = iat.unwrap_or_default();
            let iss = iss.as_deref().unwrap_or_default();
            match iss {
                ISSUER => {
                    jti.as_deref() == Some("t1")
                        || sid.as_deref() == Some("s1")
                        || (sub.as_deref() == Some("u1")
                            && iat.as_millis() <= u128::from(REVOKED_UNTIL) * 1000)
                }
                OTHER_ISSUER => jti.as_deref() == Some("t2"),
                "" => jti.as_deref() == Some("t3"),
                _ => false,
            }
        };

        if !revocable && iss.as_deref() != Some(ISSUER) {
            return Err(WrongIssuer);
        }
        match (self, aud) {
            (Self::IssuerAndAudience, Some(names)) if names.iter().any(|name| name == AUDIENCE) => {}
            (Self::NotRevoked, None) | (Self::Tenant, _) => {}
            _ => return Err(WrongAudience),
        }
        if matches!(self, Self::Tenant) {
            // The verifier looks for it in a second reading, which skips all others.
            let tenant = claims.get("tenant").map(serde_json::from_str::<Value>).transpose();
            let tenant = tenant.map_err(|_| InvalidClaims)?;
            if claims.count("tenant") > 1 {
                return Err(InvalidClaims);
            }
            let is_one = |value: &Value| value == "acme" || value == "umbrella";
            let is_met =
                |value: &Value| is_one(value) || value.as_array().is_some_and(|all| all.iter().any(is_one));
            if !tenant.as_ref().is_some_and(is_met) {
                return Err(WrongClaim);
            }
        } else if claims.count("cnf") > 0 {
            return Err(SenderConstrained);
        }
        let exp = exp.ok_or(MissingExpiry)?;
        let (now, leeway) = (Duration::from_secs(NOW), Duration::from_secs(LEEWAY));
        if nbf.is_some_and(|nbf| nbf > now + leeway) {
            Err(NotYetValid)
        } else if exp <= now - leeway {
            Err(Expired)
        } else if revoked {
            Err(Revoked)
        } else {
            Ok(())
        }
    }
}

/// Returns true if a member at any depth has a name that serde_json treats specially. Checks each string
/// from its start.
fn has_private_name(json: &[u8]) -> bool {
    let mut at = 0;
    while let Some(start) = json[at..].iter().position(|byte| *byte == b'"').map(|offset| at + offset) {
        let mut end = start + 1;
        while json.get(end).is_some_and(|byte| *byte != b'"') {
            end += if json[end] == b'\\' { 2 } else { 1 };
        }
        let Some(text) = json.get(start..=end) else {
            return false;
        };
        let is_name = json[end + 1..].trim_ascii_start().starts_with(b":");
        let text = serde_json::from_slice::<String>(text);
        if is_name && text.is_ok_and(|name| name.starts_with("$serde_json::private::")) {
            return true;
        }
        at = end + 1;
    }
    false
}

/// Reads an optional claim that must be a string.
fn text(claims: &Members<'_>, name: &str) -> Result<Option<String>, AuthErrorKind> {
    claims.get(name).map(|value| serde_json::from_str(value).map_err(|_| InvalidClaims)).transpose()
}

fn audience(claims: &Members<'_>) -> Result<Option<Vec<String>>, AuthErrorKind> {
    let Some(value) = claims.get("aud") else {
        return Ok(None);
    };
    let one = serde_json::from_str(value).map(|name| vec![name]);
    one.or_else(|_| serde_json::from_str(value)).map(Some).map_err(|_| InvalidClaims)
}

fn date(claims: &Members<'_>, name: &str) -> Result<Option<Duration>, AuthErrorKind> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let number: Number = serde_json::from_str(value).map_err(|_| InvalidClaims)?;
    let fraction = || Duration::try_from_secs_f64(number.as_f64().unwrap_or(0.0).max(0.0));
    Ok(Some(match number.as_u64() {
        Some(seconds) => Duration::from_secs(seconds),
        None => fraction().unwrap_or(Duration::MAX),
    }))
}

/// A claims type like those of applications.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct User {
    sub: String,
    #[serde(default)]
    email: Option<String>,
    exp: f64,
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exact {
    iss: String,
    aud: Value,
    exp: u64,
    #[serde(rename = "sub", alias = "jti")]
    who: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Either {
    Session { sid: String, iat: i64 },
    Registered(RegisteredClaims),
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "typ")]
enum Tagged {
    Access { exp: u32, aud: Option<Value> },
    Refresh,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
struct Wrapped(RegisteredClaims);

fn check<C>(requirements: Requirements, payload: &[u8], token: &str)
where
    C: DeserializeOwned + Clone + Debug + PartialEq + Send + Sync + 'static,
{
    let name = std::any::type_name::<C>();
    let fits = serde_json::from_slice::<C>(payload).map_err(|_| InvalidClaims);
    let expected = requirements.judge(payload).and(fits);
    let verifier = requirements.verifier::<C>();
    let verdict = bounded(token.len(), 64, || judge(&verifier, token).map(|claims| (*claims).clone()));
    assert_eq!(verdict, expected, "{requirements:?}, {name}");
}

fuzz_target!(|payload: &[u8]| -> Corpus {
    let token = hs256().token(hs256().header(), payload);
    // Longer tokens are rejected unread.
    if token.len() > 16 * 1024 {
        return Corpus::Reject;
    }
    for requirements in [Requirements::IssuerAndAudience, Requirements::NotRevoked, Requirements::Tenant] {
        check::<Value>(requirements, payload, &token);
        check::<RegisteredClaims>(requirements, payload, &token);
        check::<HashMap<String, Value>>(requirements, payload, &token);
        check::<User>(requirements, payload, &token);
        check::<Exact>(requirements, payload, &token);
        check::<Either>(requirements, payload, &token);
        check::<Tagged>(requirements, payload, &token);
        check::<Option<Wrapped>>(requirements, payload, &token);
    }
    // A cached token is judged only by its revocable claims.
    let cached = Requirements::NotRevoked.verifier::<Value>().cache(CacheSettings::new().max_entries(2));
    let [first, second] = [(), ()].map(|()| judge(&cached, &token).map(|claims| (*claims).clone()));
    assert_eq!(first, second, "cached");
    Corpus::Keep
});
