//! Tokens and JWKs for the algorithms that jsonwebtoken lacks. AWS-LC signs with the private keys of the
//! fixtures.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, KeyPair, ML_DSA_44_SIGNING, ML_DSA_65_SIGNING,
    ML_DSA_87_SIGNING, PqdsaKeyPair,
};
use serde_json::{Value, json};
use tower_jwt_auth::Algorithm;

use super::{der, fixture};
use crate::support::base64url;

/// Returns a token like [`token_with`](super::token_with).
pub(crate) fn token(algorithm: Algorithm, kid: Option<&str>, claims: &Value) -> String {
    let mut header = json!({"alg": algorithm, "typ": "JWT", "kid": kid});
    header.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let signed = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
    format!("{signed}.{}", base64url(sign(algorithm, signed.as_bytes())))
}

/// Returns the signature of a message.
pub(crate) fn sign(algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
    if algorithm == Algorithm::ES512 {
        return p521().sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec();
    }
    let key = ml_dsa(algorithm);
    let mut signature = vec![0; key.algorithm().signature_len()];
    key.sign(message, &mut signature).unwrap();
    signature
}

/// Returns the public key like [`jwk_of`](super::jwk_of).
pub(crate) fn jwk(algorithm: Algorithm) -> Value {
    if algorithm != Algorithm::ES512 {
        let public = base64url(ml_dsa(algorithm).public_key());
        return json!({"kty": "AKP", "alg": algorithm, "pub": public});
    }
    let pair = p521();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(66);
    json!({"kty": "EC", "crv": "P-521", "alg": algorithm, "x": base64url(x), "y": base64url(y)})
}

fn p521() -> EcdsaKeyPair {
    let der = der(&fixture("p521.private.pem"));
    EcdsaKeyPair::from_pkcs8(&ECDSA_P521_SHA512_FIXED_SIGNING, &der).unwrap()
}

fn ml_dsa(algorithm: Algorithm) -> PqdsaKeyPair {
    let (parameters, name) = match algorithm {
        Algorithm::MlDsa44 => (&ML_DSA_44_SIGNING, "mldsa44.private.pem"),
        Algorithm::MlDsa65 => (&ML_DSA_65_SIGNING, "mldsa65.private.pem"),
        _ => (&ML_DSA_87_SIGNING, "mldsa87.private.pem"),
    };
    PqdsaKeyPair::from_pkcs8(parameters, &der(&fixture(name))).unwrap()
}
