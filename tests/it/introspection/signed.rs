use http::Response;
use serde_json::{Value, json};
use tower_jwt_auth::AuthErrorKind::{self, InvalidToken, Unavailable, WrongAudience};
use tower_jwt_auth::introspection::Introspection;
use tower_jwt_auth::{Algorithm, KeySet};

use super::{Provider, TOKEN, active, active_with, rejection};
use crate::keys::{jwk_of, set_of, signer};
use crate::support::{AUDIENCE, ISSUER, NOW, for_oracle};

const SIGNED: &str = "application/token-introspection+jwt";

fn sign(typ: &str, payload: &Value) -> String {
    let mut header = jsonwebtoken::Header::new(for_oracle(Algorithm::EdDSA));
    header.typ = Some(typ.to_owned());
    jsonwebtoken::encode(&header, payload, &signer(Algorithm::EdDSA)).unwrap()
}

fn envelope(response: &Value) -> Value {
    json!({"iss": ISSUER, "aud": "api", "iat": NOW, "token_introspection": response})
}

fn verifier(provider: &Provider) -> Introspection<Value> {
    let keys = KeySet::jwks(set_of(&[jwk_of(Algorithm::EdDSA)])).unwrap();
    provider.verifier().issuer(ISSUER).audience(AUDIENCE).signed_responses(keys)
}

fn serve(provider: &Provider, content_type: &str, body: &str) {
    let (content_type, body) = (content_type.to_owned(), body.to_owned());
    provider.answer(move |_| {
        Ok(Response::builder().header("content-type", &content_type).body(body.clone().into()).unwrap())
    });
}

async fn kind(content_type: &str, body: &str) -> Option<AuthErrorKind> {
    let provider = Provider::saying("");
    serve(&provider, content_type, body);
    let kind = super::kind(&verifier(&provider), TOKEN).await;
    assert_eq!(provider.last().headers()["accept"], SIGNED);
    kind
}

#[tokio::test(start_paused = true)]
async fn judges_signed_responses() {
    for (response, expected) in [
        (active(), None),
        (json!({"active": false}), Some(InvalidToken)),
        (active_with("x", json!({"$serde_json::private::RawValue": "1"})), Some(Unavailable)),
        (active_with("$serde_json::private::RawValue", json!("{\"scope\":\"admin\"}")), Some(Unavailable)),
        (active_with("aud", json!("other")), Some(WrongAudience)),
        (json!({"active": "true"}), Some(Unavailable)),
        (json!("active"), Some(Unavailable)),
    ] {
        let body = sign("token-introspection+jwt", &envelope(&response));
        assert_eq!(kind(SIGNED, &body).await, expected, "{response}");
        assert_eq!(kind("Application/Token-Introspection+JWT; charset=utf-8", &body).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn rejects_downgrades_and_forgeries() {
    let good = envelope(&active());
    let with = |name: &str, value: Value| {
        let mut envelope = good.clone();
        envelope[name] = value;
        sign("token-introspection+jwt", &envelope)
    };
    let twice = crate::support::token_of(
        r#"{"alg":"HS256","typ":"token-introspection+jwt"}"#,
        &format!(r#"{{"iss":"{ISSUER}","aud":"api","iat":{NOW},"token_introspection":{{"active":true}}}}"#),
    );
    let mut forged = sign("token-introspection+jwt", &good);
    forged.replace_range(forged.len() - 10..forged.len() - 9, if forged.ends_with('A') { "B" } else { "_" });
    for (name, content_type, body) in [
        ("plain JSON", "application/json", active().to_string()),
        ("plain JSON as a JWT", SIGNED, active().to_string()),
        ("JWT as JSON", "application/json", sign("token-introspection+jwt", &good)),
        ("an access token", SIGNED, sign("at+jwt", &good)),
        ("no type", SIGNED, sign("JWT", &good)),
        ("another issuer", SIGNED, with("iss", json!("https://other.example.com"))),
        ("another client", SIGNED, with("aud", json!("other"))),
        ("no audience", SIGNED, with("aud", json!([]))),
        ("old", SIGNED, with("iat", json!(NOW - 361))),
        ("of the future", SIGNED, with("iat", json!(NOW + 61))),
        ("no time", SIGNED, with("iat", json!(null))),
        ("no response", SIGNED, with("token_introspection", json!(null))),
        ("another key", SIGNED, twice),
        ("forged", SIGNED, forged),
    ] {
        assert_eq!(kind(content_type, &body).await, Some(Unavailable), "{name}");
    }
    for age in [-60_i64, 360] {
        let body = with("iat", json!(NOW as i64 - age));
        assert_eq!(kind(SIGNED, &body).await, None, "{age}");
    }
}

#[tokio::test(start_paused = true)]
async fn explains_downgrade_for_logs() {
    let provider = Provider::saying("");
    serve(&provider, "application/json", &active().to_string());
    let (kind, cause) = rejection(&verifier(&provider)).await;
    assert_eq!(kind, Unavailable);
    assert!(cause.starts_with("the introspection response is not signed"), "{cause}");
}
