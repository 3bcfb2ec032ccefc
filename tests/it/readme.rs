//! The token that the README tells a reader to send to its first example.

use serde_json::Value;
use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet};

const README: &str = include_str!("../../README.md");

#[tokio::test]
async fn readme_token_is_accepted() {
    let keys = KeySet::hmac(Algorithm::HS256, between("Algorithm::HS256, b\"", "\"")).unwrap();
    let verifier = JwtVerifier::<Value>::new(keys).issuer(between(".issuer(\"", "\""));
    let token = between("TOKEN=", "\ncurl").replace("\\\n", "");
    let claims = verifier.verify(&token).await.unwrap();
    assert_eq!(claims["email"], between("`Hello ", "`"));
}

/// Returns the first text of the README between these two.
fn between(before: &str, after: &str) -> &'static str {
    README.split_once(before).unwrap().1.split_once(after).unwrap().0
}
