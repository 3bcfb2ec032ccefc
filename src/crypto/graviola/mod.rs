//! Verification and signing with graviola.

mod processor;
#[cfg(feature = "issue")]
mod sign;

use std::sync::Arc;

use graviola::hashing::{Sha256, Sha384};
use graviola::signing::ecdsa::{self, P256, P384};
use graviola::signing::eddsa::Ed25519VerifyingKey;
use graviola::signing::rsa;
use pkcs1::UintRef;
use spki::der::Encode;

use self::processor::usable_here;
use super::material::bits;
use super::{Check, Material};
use crate::algorithm::Algorithm;
use crate::config_error::{ConfigError, ConfigProblem};
use crate::key_type::{Curve, KeyType};

#[cfg(feature = "issue")]
pub(crate) use self::sign::PrivateKey;

/// A public key, ready to verify signatures of one algorithm. Clones share the key, because graviola's types are not
/// `Clone`.
#[derive(Clone)]
pub(crate) enum PublicKey {
    Rsa(Arc<rsa::VerifyingKey>, RsaCheck),
    Es256(Arc<ecdsa::VerifyingKey<P256>>),
    Es384(Arc<ecdsa::VerifyingKey<P384>>),
    Ed25519(Arc<Ed25519VerifyingKey>),
}

/// The arguments are the key, the signature and the message.
type RsaCheck = fn(&rsa::VerifyingKey, &[u8], &[u8]) -> Result<(), graviola::Error>;

impl Check for PublicKey {
    fn supports(algorithm: Algorithm, material: Material<'_>) -> Result<(), ConfigError> {
        has(algorithm)?;
        usable_here(algorithm)?;
        match material {
            // graviola accepts other lengths, but compares whole words and then rejects valid signatures.
            Material::Rsa { n, .. } if !bits(n).is_multiple_of(64) => {
                Err(unsupported(algorithm, "an RSA modulus of a multiple of 64 bits", bits(n).to_string()))
            }
            Material::Rsa { e, .. } if bits(e) > 32 => {
                Err(unsupported(algorithm, "an RSA exponent of at most 32 bits", bits(e).to_string()))
            }
            _ => Ok(()),
        }
    }

    fn prepare(algorithm: Algorithm, material: Material<'_>) -> Option<Self> {
        match material {
            Material::Secret(_) | Material::MlDsa(..) => None,
            Material::Rsa { n, e } => {
                let (modulus, public_exponent) = (UintRef::new(n).ok()?, UintRef::new(e).ok()?);
                let der = pkcs1::RsaPublicKeyRef { modulus, public_exponent }.to_der().ok()?;
                let key = rsa::VerifyingKey::from_pkcs1_der(&der).ok()?;
                Some(Self::Rsa(key.into(), rsa_check(algorithm)?))
            }
            Material::Ec(Curve::P256, point) => {
                let key = ecdsa::VerifyingKey::from_x962_uncompressed(point).ok()?;
                Some(Self::Es256(key.into()))
            }
            Material::Ec(Curve::P384, point) => {
                let key = ecdsa::VerifyingKey::from_x962_uncompressed(point).ok()?;
                Some(Self::Es384(key.into()))
            }
            Material::Ec(Curve::P521, _) => None,
            Material::Ed25519(key) => {
                let key = Ed25519VerifyingKey::from_bytes(key).ok()?;
                Some(Self::Ed25519(key.into()))
            }
        }
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa(key, check) => check(key, signature, message),
            Self::Es256(key) => key.verify::<Sha256>(&[message], signature),
            Self::Es384(key) => key.verify::<Sha384>(&[message], signature),
            Self::Ed25519(key) => key.verify(signature, message),
        }
        .is_ok()
    }
}

fn rsa_check(algorithm: Algorithm) -> Option<RsaCheck> {
    match algorithm {
        Algorithm::RS256 => Some(rsa::VerifyingKey::verify_pkcs1_sha256),
        Algorithm::RS384 => Some(rsa::VerifyingKey::verify_pkcs1_sha384),
        Algorithm::RS512 => Some(rsa::VerifyingKey::verify_pkcs1_sha512),
        Algorithm::PS256 => Some(rsa::VerifyingKey::verify_pss_sha256),
        Algorithm::PS384 => Some(rsa::VerifyingKey::verify_pss_sha384),
        Algorithm::PS512 => Some(rsa::VerifyingKey::verify_pss_sha512),
        _ => None,
    }
}

/// Rejects algorithms that graviola does not implement.
fn has(algorithm: Algorithm) -> Result<(), ConfigError> {
    let instead = match algorithm.key_type() {
        KeyType::Ec(Curve::P521) => "`aws-lc-rs` or `rust-crypto`",
        KeyType::MlDsa(_) => "`aws-lc-rs`",
        _ => return Ok(()),
    };
    Err(ConfigProblem::NotInBackEnd { back_end: "graviola", algorithm, instead }.into())
}

fn unsupported(algorithm: Algorithm, needed: &'static str, got: String) -> ConfigError {
    ConfigProblem::UnsupportedByBackEnd { back_end: "graviola", algorithm, needed, got }.into()
}
