//! The signature check alone.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use spki::der::Document;
use tower_jwt_auth::Algorithm;

use crate::support::Issuer;

/// Splits a token into its signed part and its signature.
pub(crate) fn signed_and_signature(token: &str) -> (&str, Vec<u8>) {
    let (signed, signature) = token.rsplit_once('.').expect("a token has dots");
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature);
    (signed, signature.expect("a signature is base64url"))
}

pub(crate) type Check = Box<dyn Fn(&str, &[u8]) -> bool>;

/// Returns AWS-LC's check alone, with a prepared key.
pub(crate) fn bare_check(issuer: &Issuer) -> Check {
    let algorithm: &'static dyn VerificationAlgorithm = match issuer.algorithm {
        Algorithm::HS256 => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, issuer.key);
            return Box::new(move |signed, signature| {
                hmac::verify(&key, signed.as_bytes(), signature).is_ok()
            });
        }
        Algorithm::RS256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::ES256 => &ECDSA_P256_SHA256_FIXED,
        _ => &ED25519,
    };
    let pem = std::str::from_utf8(issuer.key).expect("PEM is text");
    let (_, der) = Document::from_pem(pem).expect("the fixture is PEM");
    let key = ParsedPublicKey::new(algorithm, der.as_bytes()).expect("the fixture is a key");
    Box::new(move |signed, signature| key.verify_sig(signed.as_bytes(), signature).is_ok())
}
