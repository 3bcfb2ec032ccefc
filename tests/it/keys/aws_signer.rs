//! Tokens and JWKs for the algorithms that jsonwebtoken lacks, by AWS-LC with the private keys of the fixtures.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use tower_jwt_auth::Algorithm;

use super::{der, fixture};
use crate::support::{NOW, base64url};

/// A good token, as [`token`](super::token) gives it.
pub(crate) fn token(algorithm: Algorithm, kid: Option<&str>) -> String {
    let mut header = json!({"alg": algorithm, "typ": "JWT", "kid": kid});
    header.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let claims = json!({"sub": "42", "exp": NOW + 300});
    let signed = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
    let signature = p521().sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    format!("{signed}.{}", base64url(signature))
}

/// The public key, as [`jwk_of`](super::jwk_of) gives it.
pub(crate) fn jwk(algorithm: Algorithm) -> Value {
    let pair = p521();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(66);
    json!({"kty": "EC", "crv": "P-521", "alg": algorithm, "x": base64url(x), "y": base64url(y)})
}

fn p521() -> EcdsaKeyPair {
    let der = der(&fixture("p521.private.pem"));
    EcdsaKeyPair::from_pkcs8(&ECDSA_P521_SHA512_FIXED_SIGNING, &der).unwrap()
}
