//! Signatures checked by graviola.

use std::sync::Arc;

use graviola::hashing::{Sha256, Sha384};
use graviola::signing::ecdsa::{self, P256, P384};
use graviola::signing::eddsa::Ed25519VerifyingKey;
use graviola::signing::rsa;
use pkcs1::UintRef;
use spki::der::Encode;

use super::{Check, Material, bits};
use crate::algorithm::Algorithm;
use crate::config_error::{ConfigError, ConfigProblem};

/// A public key made ready for one algorithm. graviola's keys cannot be copied, so that copies share one.
#[derive(Clone)]
pub(crate) enum PublicKey {
    Rsa(Arc<rsa::VerifyingKey>, RsaCheck),
    Es256(Arc<ecdsa::VerifyingKey<P256>>),
    Es384(Arc<ecdsa::VerifyingKey<P384>>),
    Ed25519(Arc<Ed25519VerifyingKey>),
}

/// Takes the signature, then the message.
type RsaCheck = fn(&rsa::VerifyingKey, &[u8], &[u8]) -> Result<(), graviola::Error>;

impl Check for PublicKey {
    fn supports(algorithm: Algorithm, material: Material<'_>) -> Result<(), ConfigError> {
        usable_here(algorithm)?;
        match material {
            // It takes others, too, but compares in whole words, and so refuses good signatures.
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
            Material::Secret(_) => None,
            Material::Rsa { n, e } => {
                let (modulus, public_exponent) = (UintRef::new(n).ok()?, UintRef::new(e).ok()?);
                let der = pkcs1::RsaPublicKeyRef { modulus, public_exponent }.to_der().ok()?;
                let key = rsa::VerifyingKey::from_pkcs1_der(&der).ok()?;
                Some(Self::Rsa(key.into(), rsa_check(algorithm)?))
            }
            Material::P256(point) => {
                let key = ecdsa::VerifyingKey::from_x962_uncompressed(point).ok()?;
                Some(Self::Es256(key.into()))
            }
            Material::P384(point) => {
                let key = ecdsa::VerifyingKey::from_x962_uncompressed(point).ok()?;
                Some(Self::Es384(key.into()))
            }
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

/// Whether graviola can be used on this machine; it panics otherwise.
pub(crate) fn usable_here(algorithm: Algorithm) -> Result<(), ConfigError> {
    check_processor(algorithm, &processor())
}

/// Whether the processor has all of its features that graviola asks for.
fn check_processor(algorithm: Algorithm, features: &[Feature]) -> Result<(), ConfigError> {
    match features.iter().find(|(_, present)| !present) {
        Some((missing, _)) => Err(unsupported(algorithm, PROCESSOR, format!("one without {missing}"))),
        None => Ok(()),
    }
}

fn unsupported(algorithm: Algorithm, needed: &'static str, got: String) -> ConfigError {
    ConfigProblem::UnsupportedByBackEnd { back_end: "graviola", algorithm, needed, got }.into()
}

/// What graviola asks of a processor, and whether this one has it.
type Feature = (&'static str, bool);

#[cfg(target_arch = "x86_64")]
const PROCESSOR: &str = "a processor with adx, aes, avx2, bmi1, bmi2 and pclmulqdq";
#[cfg(target_arch = "aarch64")]
const PROCESSOR: &str = "a processor with aes, neon, pmull and sha2";

/// graviola itself looks for all of these but bmi2, which its assembler uses all the same, and panics at each use where
/// it misses one. The last stands for what a later version may look for.
#[cfg(target_arch = "x86_64")]
fn processor() -> [Feature; 7] {
    use std::arch::is_x86_feature_detected;
    [
        ("adx", is_x86_feature_detected!("adx")),
        ("aes", is_x86_feature_detected!("aes")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("bmi1", is_x86_feature_detected!("bmi1")),
        ("bmi2", is_x86_feature_detected!("bmi2")),
        ("pclmulqdq", is_x86_feature_detected!("pclmulqdq")),
        ("what else graviola asks for", graviola::util::is_cpu_supported()),
    ]
}

/// The last stands for what a later version may look for.
#[cfg(target_arch = "aarch64")]
fn processor() -> [Feature; 5] {
    use std::arch::is_aarch64_feature_detected;
    [
        ("aes", is_aarch64_feature_detected!("aes")),
        ("neon", is_aarch64_feature_detected!("neon")),
        ("pmull", is_aarch64_feature_detected!("pmull")),
        ("sha2", is_aarch64_feature_detected!("sha2")),
        ("what else graviola asks for", graviola::util::is_cpu_supported()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_processor_lacks_is_named() {
        let error =
            |features: &[Feature]| check_processor(Algorithm::ES256, features).unwrap_err().to_string();
        let expected = |feature| format!("graviola needs {PROCESSOR} for ES256, got one without {feature}");
        assert_eq!(error(&[("adx", false)]), expected("adx"));
        assert_eq!(error(&[("aes", true), ("bmi2", false), ("sha2", true)]), expected("bmi2"));
        assert_eq!(error(&[("aes", false), ("adx", false)]), expected("aes"));
        assert!(check_processor(Algorithm::ES256, &[("adx", true), ("aes", true)]).is_ok());
    }

    #[test]
    fn what_is_asked_of_a_processor_is_said() {
        let names = processor().map(|(name, _)| name);
        let [first @ .., last, _] = &names[..] else { panic!("there are features") };
        assert_eq!(PROCESSOR, format!("a processor with {} and {last}", first.join(", ")));
    }
}
