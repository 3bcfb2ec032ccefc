//! Tokens signed with ML-DSA.

use serde_json::json;
use tower_jwt_auth::{Algorithm, AuthErrorKind, Key, KeySet};

use super::super::{decode, der, fixture, jwk_of, rejection_with, token, token_with};
use super::ALL;
use crate::support::{NOW, base64url};

#[tokio::test]
async fn accepts_tokens_of_every_key_form() {
    for (algorithm, name, signature_bytes) in ALL {
        let pem = fixture(name);
        let token = token(algorithm, None);
        let signature = token.rsplit('.').next().unwrap();
        assert_eq!(signature.len(), (signature_bytes * 4usize).div_ceil(3), "{algorithm}");
        let (signed, _) = token.rsplit_once('.').unwrap();
        let mut bytes = decode(&signature.into());
        bytes[signature_bytes / 2] ^= 1;
        let forged = format!("{signed}.{}", base64url(bytes));
        for key in [
            Key::pem(algorithm, &pem).unwrap(),
            Key::der(algorithm, der(&pem)).unwrap(),
            Key::jwk(jwk_of(algorithm).to_string()).unwrap(),
        ] {
            assert_eq!(rejection_with(KeySet::from(key.clone()), &token).await, None, "{algorithm}");
            let rejection = rejection_with(KeySet::from(key), &forged).await;
            assert_eq!(rejection, Some(AuthErrorKind::InvalidSignature), "{algorithm}");
        }
    }
}

#[tokio::test]
async fn default_limit_leaves_seven_kilobytes_for_claims() {
    let keys = KeySet::pem(Algorithm::MlDsa87, fixture("mldsa87.public.pem")).unwrap();
    let claims = |bytes: usize| json!({"exp": NOW + 300, "groups": "g".repeat(bytes)});
    let good = token_with(Algorithm::MlDsa87, Some("a name"), &claims(7_500));
    assert_eq!(rejection_with(keys.clone(), &good).await, None);
    let large = token_with(Algorithm::MlDsa87, Some("a name"), &claims(7_700));
    assert_eq!(rejection_with(keys, &large).await, Some(AuthErrorKind::TokenTooLarge));
}
