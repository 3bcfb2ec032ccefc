//! Interoperability with the npm package `jose`: each side accepts keys and tokens of the other. `.ci/jose`
//! installs it and runs this.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::env;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};
use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
use tower_jwt_auth::{Algorithm, AuthErrorKind, JwtVerifier, Key, KeySet};

const ISSUER: &str = "https://id.example.com";
const AUDIENCE: &str = "https://api.example.com";
const ALGORITHMS: [Algorithm; 6] = [
    Algorithm::ES256,
    Algorithm::ES512,
    Algorithm::EdDSA,
    Algorithm::MlDsa44,
    Algorithm::MlDsa65,
    Algorithm::MlDsa87,
];

/// Runs `jose` with our keys and tokens. Returns its verdicts, and its own keys and tokens.
fn jose(jwks: &[Value], tokens: &Map<String, Value>) -> Value {
    let folder = env::var("JOSE_FOLDER").expect("JOSE_FOLDER is not set: run .ci/jose, which installs jose");
    let node = format!("{folder}/node_modules/.bin/node");
    let mut child = Command::new(&node)
        .arg(format!("{folder}/peer.mjs"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{node} cannot be started: {error}; run .ci/jose"));
    let input = json!({
        "algorithms": ALGORITHMS,
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "jwks": {"keys": jwks},
        "tokens": tokens,
    });
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "jose has failed; its error is above");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns the token with one bit of its signature flipped.
fn forged(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{signed}.{other}{}", &signature[1..])
}

#[tokio::test]
#[ignore = "it needs npm's jose: run .ci/jose"]
async fn jose_and_this_crate_accept_each_others_tokens() {
    let (mut jwks, mut tokens) = (Vec::new(), Map::new());
    for algorithm in ALGORITHMS {
        let key = SigningKey::generate(algorithm).unwrap();
        let issuer = TokenIssuer::new(key, ISSUER).audience(AUDIENCE);
        let token = issuer.issue(&json!({"sub": "42"})).unwrap();
        let set: Value = serde_json::from_str(&issuer.jwks()).unwrap();
        jwks.push(set["keys"][0].clone());
        tokens.insert(format!("{algorithm}"), token.as_str().into());
        tokens.insert(format!("{algorithm}, forged"), forged(token.as_str()).into());
    }
    let answer = jose(&jwks, &tokens);

    for algorithm in ALGORITHMS {
        let verdict = |name: String| &answer["verdicts"][name];
        assert_eq!(verdict(format!("{algorithm}")), "42", "jose on our {algorithm}");
        let of_forged = verdict(format!("{algorithm}, forged"));
        assert_eq!(of_forged, "ERR_JWS_SIGNATURE_VERIFICATION_FAILED", "jose on a forged {algorithm}");

        let theirs = &answer["theirs"][algorithm.as_str()];
        let text = |name: &str| theirs[name].as_str().unwrap_or_else(|| panic!("jose gives no `{name}`"));
        let from_jwk = Key::try_from(&theirs["jwk"]).unwrap();
        for key in [from_jwk, Key::pem(algorithm, text("spki")).unwrap()] {
            let verifier = JwtVerifier::<Value>::new(KeySet::from(key)).issuer(ISSUER).audience(AUDIENCE);
            let claims = verifier.verify(text("token")).await;
            let claims = claims.unwrap_or_else(|error| panic!("a {algorithm} token of jose: {error}"));
            assert_eq!(claims["sub"], "42", "{algorithm}");
            let refusal = verifier.verify(&forged(text("token"))).await.unwrap_err();
            assert_eq!(refusal.kind(), AuthErrorKind::InvalidSignature, "{algorithm}");
        }

        // The same private key has the same thumbprint here.
        let key = SigningKey::pem(algorithm, text("pkcs8")).unwrap();
        assert_eq!(key.kid(), theirs["jwk"]["kid"].as_str(), "{algorithm}");
    }
}
