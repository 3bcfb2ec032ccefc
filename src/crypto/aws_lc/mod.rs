//! Verification and signing with AWS-LC.

#[cfg(feature = "issue")]
mod sign;

use aws_lc_rs::signature::{
    self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm,
};

use super::{Check, Material};
use crate::algorithm::Algorithm;
use crate::key_type::{Curve, ParameterSet};

#[cfg(feature = "issue")]
pub(crate) use self::sign::PrivateKey;

/// A public key, ready to verify signatures of one algorithm.
#[derive(Clone)]
pub(crate) struct PublicKey(ParsedPublicKey);

impl Check for PublicKey {
    fn prepare(algorithm: Algorithm, material: Material<'_>) -> Option<Self> {
        match material {
            Material::Secret(_) => None,
            Material::Rsa { n, e } => RsaPublicKeyComponents { n, e }
                .to_parsed_public_key(rsa_parameters(algorithm)?)
                .ok()
                .map(Self),
            Material::Ec(Curve::P256, point) => parse(&signature::ECDSA_P256_SHA256_FIXED, point),
            Material::Ec(Curve::P384, point) => parse(&signature::ECDSA_P384_SHA384_FIXED, point),
            Material::Ec(Curve::P521, point) => parse(&signature::ECDSA_P521_SHA512_FIXED, point),
            Material::Ed25519(key) => parse(&signature::ED25519, key),
            Material::MlDsa(ParameterSet::MlDsa44, key) => parse(&signature::ML_DSA_44, key),
            Material::MlDsa(ParameterSet::MlDsa65, key) => parse(&signature::ML_DSA_65, key),
            Material::MlDsa(ParameterSet::MlDsa87, key) => parse(&signature::ML_DSA_87, key),
        }
    }

    #[inline]
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify_sig(message, signature).is_ok()
    }
}

fn parse(algorithm: &'static dyn VerificationAlgorithm, bytes: &[u8]) -> Option<PublicKey> {
    ParsedPublicKey::new(algorithm, bytes).ok().map(PublicKey)
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
