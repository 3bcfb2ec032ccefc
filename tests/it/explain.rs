//! Explanations: they agree with the verdict, name the step, its cause and its cure, and reveal no secret.

#[cfg(all(feature = "dpop", feature = "issue", feature = "mtls"))]
mod sender;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use futures_util::FutureExt;
use proptest::prelude::*;
use serde_json::{Value, json};
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::explain::{Explanation, Outcome, Step};
use tower_jwt_auth::policy::{claim, scope, when};
use tower_jwt_auth::revocation::Revocations;
use tower_jwt_auth::{Algorithm, AuthError, AuthErrorKind, JwtVerifier, Key, KeySet};

use crate::differential::{ours, samples};
use crate::keys::{jwk_of, jwk_with, set_of, token_with};
use crate::support::*;

/// Asserts that an explanation has this verdict, and that its steps agree with it.
pub(crate) async fn assert_explained(
    verifier: &JwtVerifier<Value>,
    token: &str,
    expected: Option<AuthErrorKind>,
) {
    let report = verifier.explain(token).await;
    assert_eq!(report.error().map(AuthError::kind), expected, "{report}");
    assert_agreeing(&report, token);
}

/// Asserts that the steps agree with the verdict, and show neither the token nor its signature.
fn assert_agreeing(report: &Explanation<Value>, token: &str) {
    let failed: Vec<_> = report.steps().iter().filter(|step| step.outcome() == Outcome::Failed).collect();
    assert_eq!(report.is_accepted(), failed.is_empty(), "{report}");
    assert_eq!(report.claims().is_some(), report.is_accepted(), "{report}");
    assert_eq!(report.failed_step().is_some(), !report.is_accepted(), "{report}");
    for step in report.steps() {
        let has_advice = step.cause().is_some_and(is_sentence) && step.cure().is_some_and(is_sentence);
        assert_eq!(has_advice, step.outcome() == Outcome::Failed, "{step:?}");
        assert_ne!(step.detail(), Some("passed, but would fail now"), "{report}");
        // The text for a state that no step has found.
        let kind = step.error_kind().map(|kind| kind.to_string());
        assert!(kind.is_none_or(|kind| !step.cause().unwrap().starts_with(&kind)), "{report}");
    }
    let shown = shown(report);
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
    let signature = token.rsplit('.').next().unwrap();
    if signature.len() >= 16 {
        assert!(!shown.contains(signature), "{shown}");
    }
    assert!(token.len() < 16 || !shown.contains(token), "{shown}");
}

fn is_sentence(text: &str) -> bool {
    text.len() > 10
}

/// Returns everything that a report shows.
fn shown(report: &Explanation<Value>) -> String {
    format!("{report}\n{report:?}\n{report:#?}\n{}", serde_json::to_string_pretty(report).unwrap())
}

#[track_caller]
fn step<'r>(report: &'r Explanation<Value>, name: &str) -> &'r Step {
    report
        .steps()
        .iter()
        .find(|step| step.name() == name)
        .unwrap_or_else(|| panic!("no `{name}` in {report}"))
}

/// A refusal: its name, the report, and the kind, the step and parts of its texts: expected, received, cause and cure.
type Row = (&'static str, Explanation<Value>, AuthErrorKind, &'static str, [&'static str; 4]);

fn assert_rows(rows: Vec<Row>) {
    for (name, report, kind, failed, [expected, received, cause, cure]) in rows {
        assert_eq!(report.error().map(AuthError::kind), Some(kind), "{name}: {report}");
        let step = report.failed_step().unwrap();
        assert_eq!(step.name(), failed, "{name}: {report}");
        for (text, part) in [
            (step.expected(), expected),
            (step.received(), received),
            (step.cause(), cause),
            (step.cure(), cure),
        ] {
            assert!(text.unwrap_or_default().contains(part), "{name}: no {part:?} in {text:?}\n{report}");
        }
        let report_ends = format!("cause: {}\ncure: {}\n", step.cause().unwrap(), step.cure().unwrap());
        assert!(report.to_string().ends_with(&report_ends), "{name}: {report}");
    }
}

async fn explained(token: &str) -> Explanation<Value> {
    verifier().explain(token).await
}

async fn with_claim(name: &str, value: Value) -> Explanation<Value> {
    explained(&token(&claims_with(name, value))).await
}

async fn with_claims(claims: Value) -> Explanation<Value> {
    let mut all = good_claims();
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    explained(&token(&all)).await
}

async fn with_header(header: &str) -> Explanation<Value> {
    explained(&token_of(header, &good_claims().to_string())).await
}

#[tokio::test]
async fn explains_the_form_of_a_token() {
    let good = good_token();
    let (unsigned, signature) = good.rsplit_once('.').unwrap();
    let padded = format!("{good}=");
    let rows = vec![
        (
            "too large",
            verifier().max_token_bytes(100).explain(&good).await,
            TokenTooLarge,
            "size",
            ["at most 100 bytes", "bytes", "limit of 100", "JwtVerifier::max_token_bytes"],
        ),
        (
            "opaque",
            explained("2YotnFZFEjr1zCsicMWpAA").await,
            MalformedToken,
            "form",
            ["three parts", "one part", "opaque token", "Auth0 send the `audience`"],
        ),
        ("empty", explained("").await, MalformedToken, "form", ["three parts", "", "empty", "variable"]),
        (
            "scheme",
            explained(&format!("Bearer {good}")).await,
            MalformedToken,
            "form",
            ["three parts", "3 parts", "scheme such as `Bearer `", "pass only the token"],
        ),
        (
            "header line",
            explained(&format!("Authorization: bearer {good}\r\n")).await,
            MalformedToken,
            "form",
            ["three parts", "3 parts", "scheme", "pass only the token"],
        ),
        (
            "quotes",
            explained(&format!("\"{good}\"")).await,
            MalformedToken,
            "form",
            ["three parts", "3 parts", "quotation marks", "remove the quotation marks"],
        ),
        (
            "line break",
            explained(&format!("{good}\n")).await,
            MalformedToken,
            "form",
            ["three parts", "3 parts", "line break", "tr -d"],
        ),
        (
            "line break inside",
            explained(&good.replace('.', ".\n")).await,
            MalformedToken,
            "form",
            ["three parts", "3 parts", "line break", "tr -d"],
        ),
        (
            "two parts",
            explained(unsigned).await,
            MalformedToken,
            "form",
            ["three parts", "2 parts", "cut off", "copy the whole token"],
        ),
        (
            "four parts",
            explained(&format!("{good}.a")).await,
            MalformedToken,
            "form",
            ["three parts", "4 parts", "not a JWT", "compact serialization"],
        ),
        (
            "encrypted",
            explained("e30.a.b.c.d").await,
            UnsupportedToken,
            "form",
            ["three parts", "5 parts", "JWE", "turn token encryption off"],
        ),
        (
            "padded",
            explained(&padded).await,
            MalformedToken,
            "form",
            ["base64url", "", "padded", "without padding"],
        ),
        (
            "base64",
            explained(&format!("{unsigned}.+/{signature}")).await,
            MalformedToken,
            "form",
            ["base64url", "", "written in base64", "base64url"],
        ),
        (
            "damaged",
            explained(&format!("{unsigned}.{signature}AA")).await,
            MalformedToken,
            "form",
            ["base64url", "", "the signature of the token", "copy the whole token"],
        ),
    ];
    assert_rows(rows);
    let pasted = explained(&format!("Bearer {good}")).await;
    assert_eq!(step(&pasted, "signature").outcome(), Outcome::Passed, "{pasted}");
    assert_eq!(step(&pasted, "aud").outcome(), Outcome::Passed, "{pasted}");
}

#[tokio::test]
async fn explains_the_header() {
    let only_rs256 = verifier().algorithms([Algorithm::RS256]);
    let access = verifier().access_tokens_only();
    let id_token = token(&claims_with("nonce", json!("n")));
    let refresh = token(&claims_with("typ", json!("Refresh")));
    let json_list = token_of("[]", &good_claims().to_string());
    let rows = vec![
        (
            "no object",
            explained(&json_list).await,
            MalformedToken,
            "header",
            ["", "", "not a JSON object", "JWT library"],
        ),
        (
            "no alg",
            with_header(r#"{"typ":"JWT"}"#).await,
            MalformedToken,
            "header",
            ["", "", "no `alg`", "once"],
        ),
        (
            "crit",
            with_header(r#"{"alg":"HS256","crit":["b64"]}"#).await,
            UnsupportedToken,
            "crit",
            ["no `crit`", "crit: [\"b64\"]", "`crit` or `b64: false`", "turn the extension off"],
        ),
        (
            "b64",
            with_header(r#"{"alg":"HS256","b64":false}"#).await,
            UnsupportedToken,
            "crit",
            ["no `crit`", "b64: false", "`crit` or `b64: false`", "turn the extension off"],
        ),
        (
            "typ",
            with_header(r#"{"alg":"HS256","typ":"secevent+jwt"}"#).await,
            WrongTokenType,
            "typ",
            ["`at+jwt`", "`secevent+jwt`", "another kind of token", "JwtVerifier::token_type"],
        ),
        (
            "not at+jwt",
            access.explain(&good_token()).await,
            WrongTokenType,
            "typ",
            ["`at+jwt`", "`JWT`", "access_tokens_only", "RFC 9068"],
        ),
        (
            "ID token",
            access.explain(&id_token).await,
            WrongTokenType,
            "typ",
            ["`at+jwt`", "`JWT`", "ID token", "access_token"],
        ),
        (
            "refresh token",
            access.explain(&refresh).await,
            WrongTokenType,
            "typ",
            ["`at+jwt`", "`JWT`", "refresh token", "access token"],
        ),
        (
            "custom typ",
            verifier().token_type("logout+jwt").explain(&good_token()).await,
            WrongTokenType,
            "typ",
            ["`logout+jwt`", "`JWT`", "JwtVerifier::token_type", "JwtVerifier::token_type"],
        ),
        (
            "none",
            with_header(r#"{"alg":"none"}"#).await,
            UnsupportedAlgorithm,
            "alg",
            ["", "`none`", "not signed", "sign its tokens"],
        ),
        (
            "case",
            with_header(r#"{"alg":"hs256"}"#).await,
            UnsupportedAlgorithm,
            "alg",
            ["", "`hs256`", "case-sensitive", "capitals"],
        ),
        (
            "unknown",
            with_header(r#"{"alg":"ES256K"}"#).await,
            UnsupportedAlgorithm,
            "alg",
            ["", "`ES256K`", "not supported", "RS256"],
        ),
        (
            "not listed",
            only_rs256.explain(&good_token()).await,
            UnsupportedAlgorithm,
            "alg",
            ["`RS256`", "`HS256`", "accepts only `RS256`", "JwtVerifier::algorithms"],
        ),
        (
            "none listed",
            verifier().algorithms([]).explain(&good_token()).await,
            UnsupportedAlgorithm,
            "alg",
            ["", "`HS256`", "JwtVerifier::algorithms is empty", "list at least one"],
        ),
    ];
    assert_rows(rows);
}

fn with_keys(keys: KeySet) -> JwtVerifier<Value> {
    JwtVerifier::new(keys).issuer(ISSUER).audience(AUDIENCE).clock(|| at(NOW))
}

#[tokio::test]
async fn explains_keys_and_signatures() {
    let hmac = |kid: &str| Key::hmac(Algorithm::HS256, SECRET).unwrap().with_kid(kid);
    let rs256 = |kid| token_with(Algorithm::RS256, kid, &good_claims());
    let set = |keys: &[Value]| KeySet::jwks(set_of(keys)).unwrap();
    let ed = jwk_with(Algorithm::EdDSA, json!({"kid": "k1"}));
    let unusable = json!({"kty": "RSA", "use": "enc", "kid": "k2", "n": "AQAB", "e": "AQAB"});
    let ps256 = jwk_with(Algorithm::PS256, json!({"kid": "k1", "alg": null}));
    let wrong = KeySet::hmac(Algorithm::HS256, secret::<32>(9)).unwrap();
    let many = KeySet::new((1..=5).map(|n| Key::hmac(Algorithm::HS256, secret::<32>(n)).unwrap()));
    let nameless = set(&[jwk_of(Algorithm::RS256)]);
    let foreign =
        token_with(Algorithm::EdDSA, Some("k9"), &claims_with("iss", json!("https://other.example")));
    let graph = token_of(r#"{"alg":"HS256","nonce":"x"}"#, &good_claims().to_string());
    let good = good_token();
    let rows = vec![
        (
            "no keys",
            with_keys(KeySet::new([])).explain(&good).await,
            UnknownKey,
            "key",
            ["has none", "no `kid`, HS256", "no keys", "RemoteKeys::ready"],
        ),
        (
            "unknown kid",
            with_keys(set(std::slice::from_ref(&ed)))
                .explain(&token_with(Algorithm::EdDSA, Some("k9"), &good_claims()))
                .await,
            UnknownKey,
            "key",
            ["`k1` (EdDSA)", "`kid` `k9`, EdDSA", "no key has the `kid` `k9`", "rotated its keys"],
        ),
        (
            "other issuer",
            with_keys(set(std::slice::from_ref(&ed))).explain(&foreign).await,
            UnknownKey,
            "key",
            ["`k1` (EdDSA)", "`k9`", "its `iss` is `https://other.example`", "tenant"],
        ),
        (
            "skipped",
            with_keys(set(&[ed.clone(), unusable])).explain(&rs256(Some("k2"))).await,
            UnknownKey,
            "key",
            ["`k1` (EdDSA)", "`k2`", "its `use` is not `sig`", "usable signing key"],
        ),
        (
            "only secrets",
            with_keys(hmac("k1").into()).explain(&rs256(Some("k2"))).await,
            UnknownKey,
            "key",
            ["`k1` (HS256)", "RS256", "only secrets", "RemoteKeys::discover"],
        ),
        (
            "only public keys",
            with_keys(set(std::slice::from_ref(&ed))).explain(&good).await,
            UnknownKey,
            "key",
            ["`k1` (EdDSA)", "HS256", "only public keys", "sign with RS256"],
        ),
        (
            "no key of the algorithm",
            with_keys(set(&[ed])).explain(&rs256(None)).await,
            UnknownKey,
            "key",
            ["`k1` (EdDSA)", "no `kid`, RS256", "no key serves RS256", "algorithm"],
        ),
        (
            "key without kid",
            with_keys(
                KeySet::new([]).add_keys(
                    KeySet::jwks(set_of(&[
                        jwk_of(Algorithm::RS256),
                        jwk_with(Algorithm::EdDSA, json!({"kid": "k1"})),
                    ]))
                    .unwrap(),
                ),
            )
            .explain(&rs256(Some("k2")))
            .await,
            UnknownKey,
            "key",
            ["a key without `kid` (RS256)", "`k2`", "a key without `kid` in a JWK set", "into the JWK set"],
        ),
        (
            "assumed algorithm",
            with_keys(set(&[ps256])).explain(&token_with(Algorithm::PS256, Some("k1"), &good_claims())).await,
            UnsupportedAlgorithm,
            "key",
            ["`k1` (RS256)", "PS256", "without `alg`", "JwksRules::rsa_algorithm"],
        ),
        (
            "other algorithm",
            with_keys(hmac("k1").into())
                .explain(&token_with(Algorithm::HS512, Some("k1"), &good_claims()))
                .await,
            UnsupportedAlgorithm,
            "key",
            ["`k1` (HS256)", "HS512", "serves `HS256`", "configure the key"],
        ),
        (
            "wrong secret",
            with_keys(wrong).explain(&good).await,
            InvalidSignature,
            "signature",
            ["", "", "no secret of the verifier", "Base64"],
        ),
        (
            "wrong key",
            with_keys(nameless)
                .explain(&token_with(Algorithm::RS256, None, &good_claims()).replace(".eyJ", ".eyI"))
                .await,
            InvalidSignature,
            "signature",
            ["", "", "has not signed", "environment"],
        ),
        (
            "Graph",
            with_keys(KeySet::hmac(Algorithm::HS256, secret::<32>(9)).unwrap()).explain(&graph).await,
            InvalidSignature,
            "signature",
            ["", "", "Microsoft Graph", "api://APPLICATION_ID"],
        ),
        (
            "too many keys",
            with_keys(many).explain(&good).await,
            InvalidSignature,
            "signature",
            ["", "", "5 keys may have signed", "`kid`"],
        ),
        (
            "cut off",
            explained(&good[..good.len() - 3]).await, // any other number could make it malformed
            InvalidSignature,
            "signature",
            ["", "", "cut off", "copy the whole token"],
        ),
    ];
    assert_rows(rows);
}

#[tokio::test]
async fn says_which_key_was_chosen() {
    let keys = KeySet::new([
        Key::hmac(Algorithm::HS256, secret::<32>(7)).unwrap().with_kid("2025"),
        Key::hmac(Algorithm::HS256, SECRET).unwrap().with_kid("2026"),
    ]);
    let verifier = with_keys(keys);
    let named = token_of(r#"{"alg":"HS256","kid":"2026"}"#, &good_claims().to_string());
    let report = verifier.explain(&named).await;
    let key = step(&report, "key");
    assert_eq!(key.detail(), Some("chosen by `kid`: `2026`; 2 keys held"));
    assert_eq!(key.expected(), Some("`2025` (HS256), `2026` (HS256)"));
    assert_eq!(step(&report, "signature").detail(), Some("HS256 with `2026`; 1 key tried"));

    let report = verifier.explain(&good_token()).await;
    let key = step(&report, "key");
    assert_eq!(key.detail(), Some("chosen by algorithm: `2025`, `2026`; 2 keys held"));
    assert_eq!(step(&report, "signature").detail(), Some("HS256 with `2026`; 2 keys tried"));
}

#[tokio::test]
async fn explains_the_issuer() {
    const ENTRA_1: &str = "https://sts.windows.net/72f988bf/";
    const ENTRA_2: &str = "https://login.microsoftonline.com/72f988bf/v2.0";
    let from = async |issuer: &'static str, expected: &'static str| {
        let keys = KeySet::hmac(Algorithm::HS256, SECRET).unwrap();
        let verifier = with_keys(keys).issuer(expected);
        verifier.explain(&token(&claims_with("iss", json!(issuer)))).await
    };
    let rows = vec![
        (
            "missing",
            with_claim("iss", Value::Null).await,
            WrongIssuer,
            "iss",
            [ISSUER, "none", "no `iss`", "insecure_any_issuer"],
        ),
        (
            "slash too many",
            from("https://id.example.com/", ISSUER).await,
            WrongIssuer,
            "iss",
            [
                ISSUER,
                "https://id.example.com/",
                "no slash at the end",
                "JwtVerifier::issuer to `https://id.example.com/`",
            ],
        ),
        (
            "slash missing",
            from(ISSUER, "https://id.example.com/").await,
            WrongIssuer,
            "iss",
            [
                "https://id.example.com/",
                ISSUER,
                "a slash at the end",
                "JwtVerifier::issuer to `https://id.example.com`",
            ],
        ),
        (
            "case",
            from("https://ID.example.com", ISSUER).await,
            WrongIssuer,
            "iss",
            [ISSUER, "https://ID.example.com", "only in case", "JwtVerifier::issuer"],
        ),
        (
            "HTTP",
            from("http://id.example.com", ISSUER).await,
            WrongIssuer,
            "iss",
            [ISSUER, "http://", "one is HTTP", "public URL"],
        ),
        (
            "Entra version 1",
            from(ENTRA_1, ENTRA_2).await,
            WrongIssuer,
            "iss",
            [ENTRA_2, ENTRA_1, "version 1", "`requestedAccessTokenVersion` to 2"],
        ),
        (
            "Entra version 2",
            from(ENTRA_2, ENTRA_1).await,
            WrongIssuer,
            "iss",
            [ENTRA_1, ENTRA_2, "version 2", "JwtVerifier::issuer"],
        ),
        (
            "Entra common",
            from(ENTRA_2, "https://login.microsoftonline.com/common/v2.0").await,
            WrongIssuer,
            "iss",
            ["common", ENTRA_2, "name their tenant", "IssuerResolver"],
        ),
        (
            "other",
            from("https://other.example", ISSUER).await,
            WrongIssuer,
            "iss",
            [ISSUER, "https://other.example", "another issuer", "add_issuer"],
        ),
        (
            "wrong type",
            with_claim("iss", json!([ISSUER])).await,
            InvalidClaims,
            "iss",
            [ISSUER, "[\"https", "is not a string", "single string"],
        ),
    ];
    assert_rows(rows);
}

#[tokio::test]
async fn explains_the_audience() {
    let keys = || KeySet::hmac(Algorithm::HS256, SECRET).unwrap();
    let no_audience = JwtVerifier::<Value>::new(keys()).issuer(ISSUER).clock(|| at(NOW));
    let without = |more: Value| {
        let mut claims = claims_with("aud", Value::Null);
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        token(&claims)
    };
    let entra = with_keys(keys()).audience("11111111-2222-3333-4444-555555555555");
    let api_uri = token(&claims_with("aud", json!("api://11111111-2222-3333-4444-555555555555")));
    let rows = vec![
        (
            "none expected",
            no_audience.explain(&good_token()).await,
            WrongAudience,
            "aud",
            [
                "no `aud`",
                AUDIENCE,
                "expects no audience",
                "JwtVerifier::audience to `https://api.example.com`",
            ],
        ),
        (
            "missing",
            explained(&without(json!({}))).await,
            WrongAudience,
            "aud",
            [AUDIENCE, "none", "no `aud`", "audience mapper"],
        ),
        (
            "Cognito",
            explained(&without(json!({"token_use": "access", "client_id": "7abc"}))).await,
            WrongAudience,
            "aud",
            [AUDIENCE, "none", "Cognito", "the token names `7abc`"],
        ),
        (
            "slash",
            with_claim("aud", json!("https://api.example.com/")).await,
            WrongAudience,
            "aud",
            [
                AUDIENCE,
                "https://api.example.com/",
                "a slash at the end",
                "JwtVerifier::audience to `https://api.example.com/`",
            ],
        ),
        (
            "Entra URI",
            entra.explain(&api_uri).await,
            WrongAudience,
            "aud",
            ["1111", "api://", "version 1", "JwtVerifier::audience"],
        ),
        (
            "Keycloak",
            with_claim("aud", json!("account")).await,
            WrongAudience,
            "aud",
            [AUDIENCE, "account", "Keycloak", "audience mapper"],
        ),
        (
            "Graph",
            with_claim("aud", json!("https://graph.microsoft.com")).await,
            WrongAudience,
            "aud",
            [AUDIENCE, "graph", "Microsoft Graph", "api://APPLICATION_ID"],
        ),
        (
            "ID token by client",
            with_claims(json!({"aud": "web", "azp": "web"})).await,
            WrongAudience,
            "aud",
            [AUDIENCE, "web", "ID token", "access_token"],
        ),
        (
            "ID token by nonce",
            with_claims(json!({"aud": "web", "nonce": "n"})).await,
            WrongAudience,
            "aud",
            [AUDIENCE, "web", "ID token", "access_token"],
        ),
        (
            "ID token by at_hash",
            with_claims(json!({"aud": ["web"], "at_hash": "x"})).await,
            WrongAudience,
            "aud",
            [AUDIENCE, "web", "ID token", "access_token"],
        ),
        (
            "refresh token",
            with_claims(json!({"aud": ISSUER, "typ": "Refresh"})).await,
            WrongAudience,
            "aud",
            [AUDIENCE, ISSUER, "refresh token", "token endpoint"],
        ),
        (
            "other",
            with_claim("aud", json!(["a", "b"])).await,
            WrongAudience,
            "aud",
            [AUDIENCE, "[\"a\",\"b\"]", "another API: received `a`, `b`", "`audience` (Auth0)"],
        ),
        (
            "nobody",
            with_claim("aud", json!([])).await,
            WrongAudience,
            "aud",
            [AUDIENCE, "[]", "empty array", "request a token"],
        ),
        (
            "wrong type",
            with_claim("aud", json!(1)).await,
            InvalidClaims,
            "aud",
            [AUDIENCE, "1", "neither a string nor an array", "as a string"],
        ),
    ];
    assert_rows(rows);
}

#[tokio::test]
async fn explains_times() {
    let before_1970 = verifier().clock(|| UNIX_EPOCH - Duration::from_secs(1));
    let rows = vec![
        (
            "expired just now",
            with_claim("exp", json!(NOW - 182)).await,
            Expired,
            "exp",
            [
                "after now (2027-01-15T08:00:00Z), leeway 1 min",
                "1799999818 (2027-01-15T07:56:58Z)",
                "expired 3 min 2 s ago",
                "JwtVerifier::leeway to more than 3 min 2 s",
            ],
        ),
        (
            "expired long ago",
            with_claim("exp", json!(NOW - 90_000)).await,
            Expired,
            "exp",
            ["leeway 1 min", "2027-01-14", "expired 1 d 1 h ago", "get a new token"],
        ),
        (
            "valid soon",
            with_claim("nbf", json!(NOW + 120)).await,
            NotYetValid,
            "nbf",
            [
                "leeway 1 min",
                "2027-01-15T08:02:00Z",
                "valid in 2 min",
                "JwtVerifier::leeway to more than 2 min",
            ],
        ),
        (
            "valid later",
            with_claim("nbf", json!(NOW + 7200)).await,
            NotYetValid,
            "nbf",
            ["leeway 1 min", "2027-01-15T10:00:00Z", "valid in 2 h", "later"],
        ),
        (
            "milliseconds",
            with_claim("nbf", json!(NOW * 1000)).await,
            NotYetValid,
            "nbf",
            ["leeway", "1800000000000", "milliseconds", "seconds since 1970"],
        ),
        (
            "missing",
            with_claim("exp", Value::Null).await,
            MissingExpiry,
            "exp",
            ["after now", "none", "no `exp`", "insecure_allow_missing_expiry"],
        ),
        (
            "a string",
            with_claim("exp", json!("tomorrow")).await,
            InvalidClaims,
            "exp",
            ["after now", "tomorrow", "not a number", "without quotation marks"],
        ),
        (
            "iat a string",
            with_claim("iat", json!("1")).await,
            InvalidClaims,
            "iat",
            ["a number", "1", "not a number", "without quotation marks"],
        ),
        (
            "clock",
            before_1970.explain(&good_token()).await,
            Expired,
            "exp",
            ["before 1970", "2027", "before 1970", "set the clock"],
        ),
    ];
    assert_rows(rows);
}

#[tokio::test]
async fn explains_other_claims() {
    let required = verifier().require_claim("client_id", "web").require_claim("token_use", "access");
    let usage = |value: &str| token(&claims_with("token_use", json!(value)));
    let revocations = Revocations::new().clock(|| at(NOW));
    drop(revocations.revoke_subject(ISSUER, "42", at(NOW), at(NOW + 300)));
    let bound = |member: &str| claims_with("cnf", json!({ member: "x" }));
    let dup = token_of(r#"{"alg":"HS256"}"#, &good_claims().to_string().replacen('{', r#"{"sub":"1","#, 1));
    let rows = vec![
        (
            "missing",
            required.explain(&good_token()).await,
            WrongClaim,
            "required_claim",
            ["`web`", "none", "no claim `client_id`", "JwtVerifier::require_claim"],
        ),
        (
            "ID token",
            verifier().require_claim("token_use", "access").explain(&usage("id")).await,
            WrongClaim,
            "required_claim",
            ["`access`", "id", "ID token", "access_token"],
        ),
        (
            "DPoP",
            explained(&token(&bound("jkt"))).await,
            SenderConstrained,
            "cnf",
            ["", "jkt", "DPoP", "insecure_ignore_confirmation"],
        ),
        (
            "certificate",
            explained(&token(&bound("x5t#S256"))).await,
            SenderConstrained,
            "cnf",
            ["", "x5t#S256", "RFC 8705", "insecure_ignore_confirmation"],
        ),
        (
            "other key",
            explained(&token(&bound("jwk"))).await,
            SenderConstrained,
            "cnf",
            ["", "jwk", "RFC 7800", "insecure_ignore_confirmation"],
        ),
        (
            "revoked",
            verifier().revocations(revocations).explain(&good_token()).await,
            Revoked,
            "revocation",
            ["not on the list", "`sub` 42", "list of revocations", "sign in again"],
        ),
        (
            "not JSON",
            explained(&token_of(r#"{"alg":"HS256"}"#, "[]")).await,
            InvalidClaims,
            "payload",
            ["", "", "not a JSON object", "UTF-8"],
        ),
        ("twice", explained(&dup).await, InvalidClaims, "payload", ["", "", "`sub` appears twice", "once"]),
        (
            "private",
            with_claim("x", json!({"$serde_json::private::RawValue": "1"})).await,
            InvalidClaims,
            "payload",
            ["", "", "$serde_json", "remove this member"],
        ),
        (
            "nested",
            with_claim("x", json!(vec![json!([]); 1100])).await,
            InvalidClaims,
            "payload",
            ["", "", "too many arrays", "fewer values"],
        ),
    ];
    assert_rows(rows);
    let report = required.explain(&usage("access")).await;
    let claims: Vec<_> = report
        .steps()
        .iter()
        .filter(|step| step.name() == "required_claim")
        .map(|step| (step.subject(), step.outcome()))
        .collect();
    assert_eq!(claims, [(Some("client_id"), Outcome::Failed), (Some("token_use"), Outcome::Passed)]);
}

#[derive(Debug, serde::Deserialize)]
struct Staff {
    #[expect(dead_code, reason = "only its presence matters")]
    department: String,
}

#[tokio::test]
async fn explains_a_claims_type_that_does_not_fit() {
    let keys = || KeySet::hmac(Algorithm::HS256, SECRET).unwrap();
    let verifier = |keys| JwtVerifier::<Staff>::new(keys).issuer(ISSUER).audience(AUDIENCE).clock(|| at(NOW));
    let report = verifier(keys()).explain(&good_token()).await;
    let step = report.failed_step().unwrap();
    assert_eq!((step.name(), step.error_kind()), ("claims_type", Some(InvalidClaims)));
    assert!(step.cause().unwrap().starts_with("missing claim `department`"), "{step:?}");
    assert!(step.expected().unwrap().ends_with("::Staff"), "{step:?}");
    assert!(step.cure().unwrap().contains("`Option`"), "{step:?}");

    // Another rejection does not hide it.
    let report = verifier(keys()).explain(&token(&claims_with("exp", json!(1)))).await;
    assert_eq!(report.error().unwrap().kind(), Expired);
    let last = report.steps().last().unwrap();
    assert_eq!((last.name(), last.outcome()), ("claims_type", Outcome::Failed), "{report}");
}

/// Panics if it is deserialized.
#[derive(Debug)]
struct Untouched;

impl<'de> serde::Deserialize<'de> for Untouched {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("the claims are deserialized")
    }
}

#[tokio::test]
async fn unproven_claims_are_checked_and_marked() {
    let keys = KeySet::hmac(Algorithm::HS256, secret::<32>(9)).unwrap();
    let verifier = JwtVerifier::<Untouched>::new(keys).issuer(ISSUER).audience("other").clock(|| at(NOW));
    let report = verifier.explain(&token(&claims_with("exp", json!(NOW - 1000)))).await;
    assert_eq!(report.error().unwrap().kind(), InvalidSignature);
    let outcomes: Vec<_> =
        report.steps().iter().map(|step| (step.name(), step.outcome().name(), step.is_proven())).collect();
    assert_eq!(
        outcomes,
        [
            ("size", "passed", true),
            ("form", "passed", true),
            ("header", "passed", true),
            ("crit", "passed", true),
            ("typ", "passed", true),
            ("alg", "passed", true),
            ("key", "passed", true),
            ("signature", "failed", true),
            ("payload", "passed", false),
            ("iss", "passed", false),
            ("aud", "failed", false),
            ("cnf", "passed", false),
            ("nbf", "passed", false),
            ("exp", "failed", false),
            ("iat", "passed", false),
            ("revocation", "skipped", false),
            ("claims_type", "skipped", false),
        ]
    );
    assert!(report.to_string().contains("; expected `other` (not proven)\n"), "{report}");
}

#[tokio::test]
async fn policies_add_their_step() {
    let request = http::Request::get("/orders").body(()).unwrap();
    let of = async |scopes: &str| explained(&token(&claims_with("scope", json!(scopes)))).await;
    let permitted = of("orders:read").await.with_policy("orders", &scope("orders:read"), &request);
    assert!(permitted.is_accepted());
    let last = permitted.steps().last().unwrap();
    assert_eq!((last.name(), last.subject(), last.outcome()), ("policy", Some("orders"), Outcome::Passed));

    let denied = of("orders:read")
        .await
        .with_policy("write", &scope("orders:write"), &request)
        .with_policy("admin", &claim("role", "admin"), &request)
        .with_policy("any", &when(|_: &tower_jwt_auth::Claims<Value>, _| true), &request);
    assert!(!denied.is_accepted() && denied.claims().is_some());
    assert_eq!(denied.error().unwrap().kind(), InsufficientScope);
    let outcomes: Vec<_> =
        denied.steps().iter().rev().take(3).map(|step| (step.subject().unwrap(), step.outcome())).collect();
    assert_eq!(outcomes, [("any", Outcome::Passed), ("admin", Outcome::Failed), ("write", Outcome::Failed)]);
    assert!(denied.cause().unwrap().contains("scope `orders:write`"), "{denied}");
    assert!(denied.cure().unwrap().contains("scope=orders:write"), "{denied}");
    assert!(denied.verdict().starts_with("rejected with 403 insufficient_scope"), "{denied}");

    let rejected = explained("opaque").await.with_policy("orders", &scope("orders:read"), &request);
    assert_eq!(rejected.steps().last().unwrap().outcome(), Outcome::Skipped);
    assert_eq!(rejected.error().unwrap().kind(), MalformedToken);
}

#[tokio::test]
async fn report_for_a_terminal_is_readable() {
    let report = with_claims(json!({"aud": "account", "exp": NOW - 120})).await;
    let expected = r"
ok    size          received 217 bytes; expected at most 16384 bytes
ok    form          received 3 parts; expected three parts of base64url
ok    header        a JSON object with an `alg`
ok    crit          expected no `crit`, no `b64: false`
ok    typ           received `JWT`; expected none, `JWT` or `at+jwt`
ok    alg           received `HS256`; expected the algorithm of a key
ok    key           received no `kid`, HS256; expected a key without `kid` (HS256); chosen by algorithm: a key without `kid`; 1 key held
ok    signature     HS256 with a key without `kid`; 1 key tried
ok    payload       a JSON object
ok    iss           received https://id.example.com; expected `https://id.example.com`
FAIL  aud           received account; expected `https://api.example.com`
ok    cnf           received none; expected none
ok    nbf           received none; expected none, or not after now (2027-01-15T08:00:00Z), leeway 1 min
FAIL  exp           received 1799999880 (2027-01-15T07:58:00Z); expected after now (2027-01-15T08:00:00Z), leeway 1 min
      cause: the token expired 2 min ago, and the leeway is 1 min
      cure: get a new token; if it was new, set both clocks with NTP, or raise JwtVerifier::leeway to more than 2 min
ok    iat           received none; expected none, or a number
skip  revocation    JwtVerifier::revocations is not set
ok    claims_type   expected serde_json::value::Value

rejected with 401 wrong_audience: the token is not for this audience
cause: the token is for `account`, expected `https://api.example.com`: Keycloak writes `account` without a mapper
cure: add an audience mapper for your API to the client or to a client scope in Keycloak
";
    assert_eq!(report.to_string(), expected.trim_start());
}

#[tokio::test]
async fn report_for_programs_has_stable_names() {
    let report = serde_json::to_value(with_claim("aud", json!("account")).await).unwrap();
    assert_eq!(report["accepted"], false);
    assert_eq!(
        report["error"],
        json!({
            "kind": "wrong_audience",
            "status": 401,
            "description": "the token is not for this audience",
            "source": format!("the verifier expects the audience `{AUDIENCE}`"),
        })
    );
    assert_eq!(report["failed_step"], "aud");
    assert!(report["cause"].is_string() && report["cure"].is_string());
    let aud = report["steps"].as_array().unwrap().iter().find(|step| step["name"] == "aud").unwrap();
    assert_eq!(
        *aud,
        json!({
            "name": "aud",
            "outcome": "failed",
            "proven": true,
            "error_kind": "wrong_audience",
            "expected": format!("`{AUDIENCE}`"),
            "received": "account",
            "cause": report["cause"],
            "cure": report["cure"],
        })
    );
    let accepted = serde_json::to_value(explained(&good_token()).await).unwrap();
    assert_eq!((&accepted["accepted"], &accepted["error"]), (&json!(true), &Value::Null));
}

#[tokio::test]
async fn hostile_tokens_cannot_control_the_report() {
    let hostile = "\u{1b}]0;owned\u{7}\r\n\u{9b}31m\u{202e}ok    aud\nok  accepted";
    let header = json!({"alg": hostile, "kid": hostile, "typ": hostile, "crit": hostile});
    let claims = json!({
        "iss": hostile, "aud": [hostile], "exp": hostile, "nbf": hostile, "iat": hostile, "cnf": {hostile: hostile},
        "sub": hostile, "client_id": hostile, hostile: hostile,
    });
    let huge = "x".repeat(100_000);
    let tokens = [
        token_of(&header.to_string(), &claims.to_string()),
        token_of(r#"{"alg":"HS256","typ":"\u001b[2J\u202e"}"#, &claims.to_string()),
        token(&claims),
        token(&claims_with("iss", json!(hostile))),
        token(&claims_with("aud", json!(vec![hostile; 100]))),
        token(&claims_with("iss", json!(huge))),
        format!("{hostile}.{hostile}.{hostile}"),
        hostile.to_owned(),
        ".".repeat(2_000_000),
        format!("{}.{huge}.{huge}", base64url(huge.as_bytes())),
        token_of(&"[".repeat(5000), &"[".repeat(5000)),
        token_of(r#"{"alg":"HS256"}"#, &format!("{{\"a\":{}", "[".repeat(5000))),
    ];
    let verifier = verifier().require_claim("client_id", "web").revocations(Revocations::new());
    for verifier in [verifier.clone(), verifier.max_token_bytes(usize::MAX)] {
        for token in &tokens {
            let report = verifier.explain(token).await;
            assert!(!report.is_accepted());
            assert_agreeing(&report, token);
            let shown = report.to_string();
            assert!(shown.len() < 20_000, "{} bytes", shown.len());
            assert_eq!(shown.lines().filter(|line| line.starts_with("ok  accepted")).count(), 0, "{shown}");
            assert!(!shown.contains('\u{202e}'), "{shown:?}");
        }
    }
}

#[tokio::test]
async fn report_has_no_secret_and_no_signature() {
    let good = good_token();
    let signature = good.rsplit('.').next().unwrap();
    let forged = format!("{}.{}", good.rsplit_once('.').unwrap().0, base64url([7; 32]));
    for token in
        [good.clone(), forged.clone(), format!("Bearer {good}"), format!("{good}.a"), good.replace('.', "")]
    {
        let shown = shown(&explained(&token).await);
        for hidden in [
            &signature[..12],
            "a secret of",
            &base64url(SECRET)[..12],
            &base64url([7; 32])[..12],
            &good[..30],
        ] {
            assert!(!shown.contains(hidden), "{hidden} in {shown}");
        }
    }
}

/// Fits every second time.
#[derive(Debug)]
struct EverySecond;

impl<'de> serde::Deserialize<'de> for EverySecond {
    fn deserialize<D: serde::Deserializer<'de>>(claims: D) -> Result<Self, D::Error> {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        serde::de::IgnoredAny::deserialize(claims)?;
        match CALLS.fetch_add(1, Ordering::Relaxed) % 2 {
            0 => Err(serde::de::Error::custom("not this time")),
            _ => Ok(Self),
        }
    }
}

#[tokio::test]
async fn steps_follow_the_verdict_if_time_passes() {
    // The token expires after the verification.
    let reads = AtomicU64::new(0);
    let verifier = verifier().clock(move || match reads.fetch_add(1, Ordering::Relaxed) {
        0 => at(NOW),
        _ => at(NOW + 1000),
    });
    let report = verifier.explain(&good_token()).await;
    assert!(report.is_accepted() && report.failed_step().is_none(), "{report}");
    let exp = step(&report, "exp");
    assert_eq!((exp.outcome(), exp.detail()), (Outcome::Passed, Some("passed, but would fail now")));

    let keys = KeySet::hmac(Algorithm::HS256, SECRET).unwrap();
    let verifier = JwtVerifier::<EverySecond>::new(keys).issuer(ISSUER).audience(AUDIENCE).clock(|| at(NOW));
    let report = verifier.without_cache().explain(&good_token()).await;
    assert_eq!(report.error().map(AuthError::kind), Some(InvalidClaims));
    assert_eq!(report.failed_step().map(Step::name), Some("claims_type"), "{report}");
}

#[test]
fn explanation_can_run_on_any_thread() {
    fn is_send<T: Send>(_: &T) {}
    let verifier = verifier();
    is_send(&verifier.explain("opaque"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_verdict(sample in samples()) {
        let (verifier, token) = (ours(), sample.token());
        let verdict = verifier.verify(&token);
        let tower_jwt_auth::Verdict::Ready(verdict) = verdict else { panic!("local keys are never waited for") };
        let kind = verdict.err().map(|error| error.kind());
        assert_explained(&verifier, &token, kind).now_or_never().expect("local keys are never waited for");
    }
}

#[cfg(feature = "remote-keys-core")]
mod fetched {
    use tower_jwt_auth::AuthErrorKind;

    use super::*;
    use crate::remote_keys::{Provider, token_from};

    fn verifier(provider: &Provider) -> JwtVerifier<Value> {
        JwtVerifier::new(provider.keys()).issuer(ISSUER).audience(AUDIENCE).clock(|| at(NOW))
    }

    #[tokio::test(start_paused = true)]
    async fn fetches_keys_as_a_request_does() {
        let provider = Provider::of(&["k1"]);
        let report = verifier(&provider).explain(&token_from(ISSUER, "k1")).await;
        assert!(report.is_accepted(), "{report}");
        assert_eq!(provider.requests(), 1);
        assert_eq!(step(&report, "key").expected(), Some("`k1` (EdDSA)"));
    }

    #[tokio::test(start_paused = true)]
    async fn explains_why_keys_are_unavailable() {
        let provider = Provider::new();
        let report = verifier(&provider).explain(&token_from(ISSUER, "k1")).await;
        assert_eq!(report.error().map(AuthError::kind), Some(AuthErrorKind::KeysUnavailable));
        let step = report.failed_step().unwrap();
        assert_eq!(step.name(), "key");
        assert!(step.cause().unwrap().contains("down"), "{report}");
        assert!(step.cure().unwrap().contains("HttpsClient::proxy"), "{report}");
    }

    #[tokio::test(start_paused = true)]
    async fn wrong_claims_start_no_fetch() {
        let provider = Provider::of(&["k1"]);
        let report = verifier(&provider).explain(&token_from("https://other.example", "k1")).await;
        assert_eq!(report.error().map(AuthError::kind), Some(AuthErrorKind::WrongIssuer));
        assert_eq!(provider.requests(), 0);
        assert_eq!(step(&report, "key").outcome(), Outcome::Skipped, "{report}");
        assert!(!step(&report, "iss").is_proven());
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_kid_names_the_fetched_keys() {
        let provider = Provider::of(&["k1"]);
        let report = verifier(&provider).explain(&token_from(ISSUER, "k2")).await;
        assert_eq!(report.error().map(AuthError::kind), Some(AuthErrorKind::UnknownKey));
        assert!(report.cause().unwrap().contains("`k2`"), "{report}");
        assert!(report.cure().unwrap().contains("whose keys are fetched"), "{report}");
    }
}
