//! Signatures checked by AWS-LC.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm,
};
use jsonwebtoken::Algorithm;

use super::{Check, Material};

/// A key made ready for one algorithm.
#[derive(Clone)]
pub(crate) enum VerifyingKey {
    Secret(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

impl Check for VerifyingKey {
    fn prepare(algorithm: Algorithm, material: Material<'_>) -> Option<Self> {
        match material {
            Material::Secret(secret) => {
                let key = hmac::Key::new(hmac_algorithm(algorithm)?, secret);
                Some(Self::Secret(key.into()))
            }
            Material::Rsa { n, e } => RsaPublicKeyComponents { n, e }
                .to_parsed_public_key(rsa_parameters(algorithm)?)
                .ok()
                .map(Self::Public),
            Material::P256(point) => public(&signature::ECDSA_P256_SHA256_FIXED, point),
            Material::P384(point) => public(&signature::ECDSA_P384_SHA384_FIXED, point),
            Material::Ed25519(key) => public(&signature::ED25519, key),
        }
    }

    #[inline]
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Secret(key) => hmac::verify(key, message, signature).is_ok(),
            Self::Public(key) => key.verify_sig(message, signature).is_ok(),
        }
    }
}

fn public(algorithm: &'static dyn VerificationAlgorithm, bytes: &[u8]) -> Option<VerifyingKey> {
    ParsedPublicKey::new(algorithm, bytes).ok().map(VerifyingKey::Public)
}

fn hmac_algorithm(algorithm: Algorithm) -> Option<hmac::Algorithm> {
    match algorithm {
        Algorithm::HS256 => Some(hmac::HMAC_SHA256),
        Algorithm::HS384 => Some(hmac::HMAC_SHA384),
        Algorithm::HS512 => Some(hmac::HMAC_SHA512),
        _ => None,
    }
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::RS256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}
