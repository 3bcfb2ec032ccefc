//! The `DPoP` header and the JOSE header of the proof (RFC 9449, section 4.3, checks 1, 2, 4, 5, 6 and 7).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use tower_jwt_auth::AuthErrorKind::*;

use super::*;

const MALFORMED: &str =
    r#"error="invalid_dpop_proof", error_description="the DPoP proof is not well-formed""#;
const MISSING: &str = r#"error="invalid_dpop_proof", error_description="the request carries no DPoP proof""#;
const FORGED: &str =
    r#"error="invalid_dpop_proof", error_description="the signature of the DPoP proof is not valid""#;

#[tokio::test]
async fn requires_a_proof() {
    let response = ask(&layer(), get(&format!("DPoP {}", bound_token()))).await;
    assert_refused("no header", &response, MissingProof, MISSING);
    let response = ask(&layer(), send(&bound_token(), "")).await;
    assert_refused("empty header", &response, MalformedProof, MALFORMED);
}

#[tokio::test]
async fn rejects_several_proofs() {
    let token = bound_token();
    let proof = || Proof::of(&token).sign();
    let one = proof();
    for (name, first, second) in
        [("different", proof(), proof()), ("equal", one.clone(), one), ("empty", proof(), String::new())]
    {
        let mut request = send(&token, &first);
        request.headers_mut().append("dpop", second.parse().unwrap());
        assert_refused(name, &ask(&layer(), request).await, MalformedProof, MALFORMED);
    }
    for separator in [",", ", ", " "] {
        let both = format!("{}{separator}{}", proof(), proof());
        assert_refused(separator, &ask(&layer(), send(&token, &both)).await, MalformedProof, MALFORMED);
    }
}

#[tokio::test]
async fn rejects_other_forms_than_a_jwt() {
    let token = bound_token();
    let good = Proof::of(&token).sign();
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let text = Proof::of(&token);
    for (name, proof) in [
        ("one part", header.to_owned()),
        ("two parts", format!("{header}.{payload}")),
        ("four parts", format!("{good}.{signature}")),
        ("five parts", format!("{good}.{signature}.{signature}")),
        ("with a scheme", format!("DPoP {good}")),
        ("quoted", format!("\"{good}\"")),
        ("padded header", format!("{header}=.{payload}.{signature}")),
        ("padded payload", format!("{header}.{payload}=.{signature}")),
        ("header not base64url", format!("{header}+.{payload}.{signature}")),
        ("no header", format!(".{payload}.{signature}")),
        ("no payload", format!("{header}..{signature}")),
        ("header not JSON", text.sign_text("typ", text.claims.to_string())),
        ("header an array", text.sign_text("[]", text.claims.to_string())),
        ("payload not JSON", text.sign_text(text.header.to_string(), "jti")),
        ("payload an array", text.sign_text(text.header.to_string(), "[]")),
        ("payload not UTF-8", text.sign_text(text.header.to_string(), b"{\"jti\":\"\xff\"}")),
        (
            "with a byte order mark",
            text.sign_text(text.header.to_string(), format!("\u{feff}{}", text.claims)),
        ),
    ] {
        assert_refused(name, &ask(&layer(), send(&token, &proof)).await, MalformedProof, MALFORMED);
    }
}

#[tokio::test]
async fn requires_the_type_of_a_proof() {
    for typ in [
        json!(null),
        json!("JWT"),
        json!("at+jwt"),
        json!("DPOP+JWT"),
        json!("application/dpop+jwt"),
        json!(7),
    ] {
        let response = try_proof(&layer(), |proof| proof.header("typ", typ.clone())).await;
        assert_refused(&typ.to_string(), &response, MalformedProof, MALFORMED);
    }
}

#[tokio::test]
async fn requires_an_accepted_algorithm() {
    for alg in [
        json!(null),
        json!("none"),
        json!("None"),
        json!(""),
        json!("HS256"),
        json!("HS512"),
        json!("ES512"),
        json!("PS512"),
        json!("RS1"),
        json!("es256"),
        json!("ES256K"),
        json!("RSA-OAEP"),
        json!(7),
        json!(["ES256"]),
    ] {
        let response = try_proof(&layer(), |proof| proof.header("alg", alg.clone())).await;
        assert_refused(&alg.to_string(), &response, MalformedProof, MALFORMED);
    }
    // Accepted, but not for this key.
    for alg in ["ES384", "EdDSA", "RS256", "PS256"] {
        let response = try_proof(&layer(), |proof| proof.header("alg", alg)).await;
        assert_refused(alg, &response, MalformedProof, MALFORMED);
    }
}

/// A key of the client must not count as a secret for an HMAC, nor may the secret of the service.
#[tokio::test]
async fn rejects_symmetric_proofs() {
    let token = bound_token();
    let header = json!({"typ": "dpop+jwt", "alg": "HS256", "jwk": {"kty": "oct", "k": base64url(SECRET)}});
    let mut signed = vec![sign_parts(&format!(
        "{}.{}",
        base64url(header.to_string()),
        base64url(Proof::of(&token).claims.to_string())
    ))];
    let proof = Proof::of(&token).header("alg", "HS256");
    signed.push(sign_parts(&format!(
        "{}.{}",
        base64url(proof.header.to_string()),
        base64url(proof.claims.to_string())
    )));
    for proof in signed {
        assert_refused("HS256", &ask(&layer(), send(&token, &proof)).await, MalformedProof, MALFORMED);
    }
}

#[tokio::test]
async fn requires_a_public_key() {
    let good = public_jwk(Algorithm::ES256);
    let with = |name: &str, value: Value| {
        let mut jwk = good.clone();
        jwk[name] = value;
        jwk
    };
    for (name, jwk) in [
        ("missing", json!(null)),
        ("text", json!("key")),
        ("array", json!([good])),
        ("empty", json!({})),
        ("private", with("d", json!("AAAA"))),
        ("private and null", with("d", json!(null))),
        ("private members of RSA", with("dp", json!("AAAA"))),
        ("private member of ML-DSA", with("priv", json!("AAAA"))),
        ("secret", with("k", json!("AAAA"))),
        ("for encryption", with("use", json!("enc"))),
        ("for another operation", with("key_ops", json!(["sign"]))),
        ("incomplete", with("x", json!(null))),
        ("symmetric", json!({"kty": "oct", "k": base64url(SECRET)})),
        ("unknown type", with("kty", json!("EC2"))),
        ("of another algorithm", with("alg", json!("ES384"))),
        ("reference", json!({"jku": "https://evil.example/jwks.json"})),
    ] {
        let response = try_proof(&layer(), |proof| proof.header("jwk", jwk)).await;
        assert_refused(name, &response, MalformedProof, MALFORMED);
    }
}

/// Also if the provider has bound the token to it.
#[tokio::test]
async fn rejects_unusable_keys() {
    let good = public_jwk(Algorithm::ES256);
    let with = |name: &str, value: &str| {
        let mut jwk = good.clone();
        jwk[name] = json!(value);
        jwk
    };
    for (name, jwk) in [
        ("not on the curve", with("x", &base64url([1; 32]))),
        ("too short", with("x", &base64url([1; 31]))),
        ("padded", with("x", &format!("{}=", good["x"].as_str().unwrap()))),
        ("unknown curve", with("crv", "P-257")),
        ("another curve", with("crv", "P-384")),
    ] {
        let token = token(&claims_with("cnf", json!({"jkt": thumbprint(&jwk)})));
        let proof = Proof::of(&token).header("jwk", jwk.clone()).sign();
        let response = ask(&layer(), send(&token, &proof)).await;
        assert_refused(name, &response, MalformedProof, MALFORMED);
        let response = try_proof(&layer(), |proof| proof.header("jwk", jwk)).await;
        assert_refused(name, &response, MalformedProof, MALFORMED);
    }
}

#[tokio::test]
async fn rejects_unsupported_extensions() {
    for (name, value) in
        [("crit", json!(["exp"])), ("crit", json!([])), ("b64", json!(false)), ("b64", json!(true))]
    {
        let response = try_proof(&layer(), |proof| proof.header(name, value.clone())).await;
        assert_refused(name, &response, MalformedProof, MALFORMED);
    }
}

#[tokio::test]
async fn rejects_wrong_signatures() {
    let token = bound_token();
    let good = Proof::of(&token).sign();
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let other = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let by_other = base64url(other.sign(&SystemRandom::new(), signed.as_bytes()).unwrap());
    for (name, signature) in [
        ("empty", String::new()),
        ("of another key", by_other),
        ("of another proof", Proof::of(&token).sign().rsplit_once('.').unwrap().1.to_owned()),
        ("zeros", base64url([0; 64])),
        ("short", base64url([1; 63])),
        ("padded", format!("{signature}=")),
        ("not base64url", format!("{}!", &signature[1..])),
    ] {
        let response = ask(&layer(), send(&token, &format!("{signed}.{signature}"))).await;
        assert_refused(name, &response, InvalidProofSignature, FORGED);
    }
}
