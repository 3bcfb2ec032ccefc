//! Signing with the RustCrypto crates.

use getrandom::SysRng;
use p256::elliptic_curve::Generate;
use pkcs1::UintRef;
use pkcs8::EncodePrivateKey;
use rsa::signature::{RandomizedSigner, SignatureEncoding, Signer};
use rsa::{BoxedUint, pkcs1v15, pss};
use sha2::{Sha256, Sha384, Sha512};

use super::super::{PrivateMaterial, Sign};
use super::has;
use crate::algorithm::Algorithm;
use crate::config_error::ConfigError;
use crate::key_type::{Curve, KeyType};

/// A private key, ready to sign with one algorithm.
pub(crate) enum PrivateKey {
    Rs256(pkcs1v15::SigningKey<Sha256>),
    Rs384(pkcs1v15::SigningKey<Sha384>),
    Rs512(pkcs1v15::SigningKey<Sha512>),
    Ps256(pss::SigningKey<Sha256>),
    Ps384(pss::SigningKey<Sha384>),
    Ps512(pss::SigningKey<Sha512>),
    Es256(p256::ecdsa::SigningKey),
    Es384(p384::ecdsa::SigningKey),
    Es512(p521::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
}

impl Sign for PrivateKey {
    fn supports(algorithm: Algorithm) -> Result<(), ConfigError> {
        has(algorithm)
    }

    fn prepare(algorithm: Algorithm, material: &PrivateMaterial<'_>) -> Option<Self> {
        match material {
            PrivateMaterial::Rsa(key) => {
                let primes = vec![unsigned(key.prime1), unsigned(key.prime2)];
                let (n, e, d) = (key.modulus, key.public_exponent, key.private_exponent);
                let key =
                    rsa::PrivateKey::from_components(unsigned(n), unsigned(e), unsigned(d), primes).ok()?;
                match algorithm {
                    Algorithm::RS256 => Some(Self::Rs256(pkcs1v15::SigningKey::new(key))),
                    Algorithm::RS384 => Some(Self::Rs384(pkcs1v15::SigningKey::new(key))),
                    Algorithm::RS512 => Some(Self::Rs512(pkcs1v15::SigningKey::new(key))),
                    Algorithm::PS256 => Some(Self::Ps256(pss::SigningKey::new(key))),
                    Algorithm::PS384 => Some(Self::Ps384(pss::SigningKey::new(key))),
                    Algorithm::PS512 => Some(Self::Ps512(pss::SigningKey::new(key))),
                    _ => None,
                }
            }
            PrivateMaterial::Ec(Curve::P256, number) => {
                p256::ecdsa::SigningKey::from_slice(number).ok().map(Self::Es256)
            }
            PrivateMaterial::Ec(Curve::P384, number) => {
                p384::ecdsa::SigningKey::from_slice(number).ok().map(Self::Es384)
            }
            PrivateMaterial::Ec(Curve::P521, number) => {
                p521::ecdsa::SigningKey::from_slice(number).ok().map(Self::Es512)
            }
            PrivateMaterial::Ed25519(seed) => {
                ed25519_dalek::SigningKey::try_from(*seed).ok().map(Self::Ed25519)
            }
            PrivateMaterial::MlDsa { .. } => None,
        }
    }

    fn generate(algorithm: Algorithm) -> Option<Vec<u8>> {
        let document = match algorithm.key_type() {
            KeyType::Secret | KeyType::MlDsa(_) => return None,
            KeyType::Rsa => rsa::PrivateKey::new(&mut SysRng, 2048).ok()?.to_pkcs8_der(),
            KeyType::Ec(Curve::P256) => {
                p256::SecretKey::try_generate_from_rng(&mut SysRng).ok()?.to_pkcs8_der()
            }
            KeyType::Ec(Curve::P384) => {
                p384::SecretKey::try_generate_from_rng(&mut SysRng).ok()?.to_pkcs8_der()
            }
            KeyType::Ec(Curve::P521) => {
                p521::SecretKey::try_generate_from_rng(&mut SysRng).ok()?.to_pkcs8_der()
            }
            KeyType::Ed25519 => {
                let mut seed = [0; 32];
                getrandom::fill(&mut seed).ok()?;
                ed25519_dalek::SigningKey::from_bytes(&seed).to_pkcs8_der()
            }
        };
        Some(document.ok()?.as_bytes().to_vec())
    }

    fn public(&self) -> Option<Vec<u8>> {
        match self {
            Self::Es256(key) => Some(key.verifying_key().to_sec1_point(false).as_bytes().to_vec()),
            Self::Es384(key) => Some(key.verifying_key().to_sec1_point(false).as_bytes().to_vec()),
            Self::Es512(key) => Some(key.verifying_key().to_sec1_point(false).as_bytes().to_vec()),
            Self::Ed25519(key) => Some(key.verifying_key().as_bytes().to_vec()),
            _ => None,
        }
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Rs256(key) => blinded(key, message),
            Self::Rs384(key) => blinded(key, message),
            Self::Rs512(key) => blinded(key, message),
            Self::Ps256(key) => blinded(key, message),
            Self::Ps384(key) => blinded(key, message),
            Self::Ps512(key) => blinded(key, message),
            Self::Es256(key) => {
                key.try_sign(message).ok().map(|signature: p256::ecdsa::Signature| signature.to_vec())
            }
            Self::Es384(key) => {
                key.try_sign(message).ok().map(|signature: p384::ecdsa::Signature| signature.to_vec())
            }
            Self::Es512(key) => {
                key.try_sign(message).ok().map(|signature: p521::ecdsa::Signature| signature.to_vec())
            }
            Self::Ed25519(key) => key.try_sign(message).ok().map(|signature| signature.to_vec()),
        }
    }
}

/// Signs with RSA blinding, even for PKCS #1 v1.5, which needs no random numbers. Otherwise the timing could reveal the
/// key.
fn blinded<S: SignatureEncoding, K: RandomizedSigner<S>>(key: &K, message: &[u8]) -> Option<Vec<u8>> {
    key.try_sign_with_rng(&mut SysRng, message).ok().map(|signature| signature.to_vec())
}

fn unsigned(number: UintRef<'_>) -> BoxedUint {
    BoxedUint::from_be_slice_vartime(number.as_bytes())
}
