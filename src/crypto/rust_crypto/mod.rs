//! Verification and signing with the RustCrypto crates.

#[cfg(feature = "issue")]
mod sign;

use rsa::signature::Verifier;
use rsa::{BoxedUint, pkcs1v15, pss};
use sha2::{Sha256, Sha384, Sha512};

use super::{Check, Material};
use crate::algorithm::Algorithm;
use crate::config_error::{ConfigError, ConfigProblem};
use crate::key_type::{Curve, KeyType};

#[cfg(feature = "issue")]
pub(crate) use self::sign::PrivateKey;

/// A public key, ready to verify signatures of one algorithm.
#[derive(Clone)]
pub(crate) enum PublicKey {
    Rs256(pkcs1v15::VerifyingKey<Sha256>),
    Rs384(pkcs1v15::VerifyingKey<Sha384>),
    Rs512(pkcs1v15::VerifyingKey<Sha512>),
    Ps256(pss::VerifyingKey<Sha256>),
    Ps384(pss::VerifyingKey<Sha384>),
    Ps512(pss::VerifyingKey<Sha512>),
    Es256(p256::ecdsa::VerifyingKey),
    Es384(p384::ecdsa::VerifyingKey),
    Es512(p521::ecdsa::VerifyingKey),
    Ed25519(ed25519_dalek::VerifyingKey),
}

/// Rejects algorithms that this back end does not implement.
fn has(algorithm: Algorithm) -> Result<(), ConfigError> {
    match algorithm.key_type() {
        KeyType::MlDsa(_) => {
            let back_end = "rust-crypto";
            Err(ConfigProblem::NotInBackEnd { back_end, algorithm, instead: "`aws-lc-rs`" }.into())
        }
        _ => Ok(()),
    }
}

impl Check for PublicKey {
    fn supports(algorithm: Algorithm, _: Material<'_>) -> Result<(), ConfigError> {
        has(algorithm)
    }

    fn prepare(algorithm: Algorithm, material: Material<'_>) -> Option<Self> {
        match material {
            Material::Secret(_) | Material::MlDsa(..) => None,
            Material::Rsa { n, e } => {
                let key = rsa::PublicKey::new(unsigned(n), unsigned(e)).ok()?;
                match algorithm {
                    Algorithm::RS256 => Some(Self::Rs256(pkcs1v15::VerifyingKey::new(key))),
                    Algorithm::RS384 => Some(Self::Rs384(pkcs1v15::VerifyingKey::new(key))),
                    Algorithm::RS512 => Some(Self::Rs512(pkcs1v15::VerifyingKey::new(key))),
                    Algorithm::PS256 => Some(Self::Ps256(pss::VerifyingKey::new(key))),
                    Algorithm::PS384 => Some(Self::Ps384(pss::VerifyingKey::new(key))),
                    Algorithm::PS512 => Some(Self::Ps512(pss::VerifyingKey::new(key))),
                    _ => None,
                }
            }
            Material::Ec(Curve::P256, point) => {
                p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok().map(Self::Es256)
            }
            Material::Ec(Curve::P384, point) => {
                p384::ecdsa::VerifyingKey::from_sec1_bytes(point).ok().map(Self::Es384)
            }
            Material::Ec(Curve::P521, point) => {
                p521::ecdsa::VerifyingKey::from_sec1_bytes(point).ok().map(Self::Es512)
            }
            Material::Ed25519(key) => {
                ed25519_dalek::VerifyingKey::from_bytes(key.try_into().ok()?).ok().map(Self::Ed25519)
            }
        }
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rs256(key) => public(key, message, pkcs1v15::Signature::try_from(signature).ok()),
            Self::Rs384(key) => public(key, message, pkcs1v15::Signature::try_from(signature).ok()),
            Self::Rs512(key) => public(key, message, pkcs1v15::Signature::try_from(signature).ok()),
            Self::Ps256(key) => public(key, message, pss::Signature::try_from(signature).ok()),
            Self::Ps384(key) => public(key, message, pss::Signature::try_from(signature).ok()),
            Self::Ps512(key) => public(key, message, pss::Signature::try_from(signature).ok()),
            Self::Es256(key) => public(key, message, p256::ecdsa::Signature::from_slice(signature).ok()),
            Self::Es384(key) => public(key, message, p384::ecdsa::Signature::from_slice(signature).ok()),
            Self::Es512(key) => public(key, message, p521::ecdsa::Signature::from_slice(signature).ok()),
            Self::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
        }
    }
}

fn public<S, K: Verifier<S>>(key: &K, message: &[u8], signature: Option<S>) -> bool {
    signature.is_some_and(|signature| key.verify(message, &signature).is_ok())
}

fn unsigned(bytes: &[u8]) -> BoxedUint {
    BoxedUint::from_be_slice_vartime(bytes)
}
