//! The claims of a proof (RFC 9449, section 4.2 and section 4.3, check 3).

use tower_jwt_auth::AuthErrorKind::*;

use super::*;

const MALFORMED: &str =
    r#"error="invalid_dpop_proof", error_description="the DPoP proof is not well-formed""#;

#[tokio::test]
async fn requires_every_claim() {
    for name in ["jti", "htm", "htu", "iat", "ath"] {
        let response = try_proof(&layer(), |proof| proof.claim(name, json!(null))).await;
        assert_refused(name, &response, MalformedProof, MALFORMED);
    }
}

#[tokio::test]
async fn rejects_claims_of_another_type() {
    for (name, values) in [
        ("jti", [json!(7), json!([]), json!("")]),
        ("htm", [json!(7), json!(["GET"]), json!(true)]),
        ("htu", [json!(7), json!([URL]), json!({})]),
        ("iat", [json!(NOW.to_string()), json!([NOW]), json!(true)]),
        ("ath", [json!(7), json!([]), json!({})]),
        ("nonce", [json!(7), json!([]), json!(true)]),
        ("exp", [json!("x"), json!([]), json!(true)]),
        ("nbf", [json!("x"), json!([]), json!(true)]),
    ] {
        for value in values {
            let response = try_proof(&layer(), |proof| proof.claim(name, value.clone())).await;
            assert_refused(&format!("{name} {value}"), &response, MalformedProof, MALFORMED);
        }
    }
}

#[tokio::test]
async fn rejects_null_claims() {
    for name in ["jti", "htm", "htu", "iat", "ath", "nonce", "exp", "nbf"] {
        let response = try_proof(&layer(), |mut proof| {
            proof.claims[name] = Value::Null;
            proof
        })
        .await;
        assert_refused(name, &response, MalformedProof, MALFORMED);
    }
}

#[tokio::test]
async fn rejects_duplicate_members() {
    let token = bound_token();
    let proof = Proof::of(&token);
    let (header, claims) = (proof.header.to_string(), proof.claims.to_string());
    let twice = |object: &str, member: &str| format!("{},{member}}}", &object[..object.len() - 1]);
    let jwk = public_jwk(Algorithm::ES256);
    for (name, signed) in [
        ("typ", proof.sign_text(twice(&header, r#""typ":"dpop+jwt""#), &claims)),
        ("alg", proof.sign_text(twice(&header, r#""alg":"ES256""#), &claims)),
        ("jwk", proof.sign_text(twice(&header, &format!(r#""jwk":{jwk}"#)), &claims)),
        ("x", proof.sign_text(header.replace(r#""crv""#, &format!(r#""x":{},"crv""#, jwk["x"])), &claims)),
        ("jti", proof.sign_text(&header, twice(&claims, r#""jti":"other""#))),
        ("htm", proof.sign_text(&header, twice(&claims, r#""htm":"GET""#))),
        ("htu", proof.sign_text(&header, twice(&claims, r#""htu":"https://api.example.com/orders""#))),
        ("iat", proof.sign_text(&header, twice(&claims, r#""iat":1800000000"#))),
        ("ath, escaped", proof.sign_text(&header, twice(&claims, r#""\u0061th":"x""#))),
    ] {
        assert_refused(name, &ask(&layer(), send(&token, &signed)).await, MalformedProof, MALFORMED);
    }
}

#[tokio::test]
async fn reads_escaped_members() {
    let token = bound_token();
    let proof = Proof::of(&token);
    let escaped = |text: &str| {
        text.replace("\"typ\"", r#""\u0074yp""#)
            .replace("\"htm\"", r#""h\u0074m""#)
            .replace("GET", r"\u0047ET")
    };
    let signed = proof.sign_text(escaped(&proof.header.to_string()), escaped(&proof.claims.to_string()));
    assert_accepted("escapes", &ask(&layer(), send(&token, &signed)).await);
}
