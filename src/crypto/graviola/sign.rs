//! Signing with graviola.

use graviola::hashing::{Sha256, Sha384};
use graviola::signing::ecdsa::{self, P256, P384};
use graviola::signing::eddsa::Ed25519SigningKey;
use graviola::signing::rsa::{self, KeySize};
use sec1::der::Encode;

use super::super::{PrivateMaterial, Sign};
use super::has;
use super::processor::usable_here;
use crate::algorithm::Algorithm;
use crate::config_error::ConfigError;
use crate::key_type::{Curve, KeyType};

/// A private key, ready to sign with one algorithm.
pub(crate) enum PrivateKey {
    Rsa(Box<rsa::SigningKey>, RsaSign),
    Es256(ecdsa::SigningKey<P256>),
    Es384(ecdsa::SigningKey<P384>),
    Ed25519(Ed25519SigningKey),
}

/// The arguments are the key, the buffer for the signature and the message.
type RsaSign = for<'a> fn(&rsa::SigningKey, &'a mut [u8], &[u8]) -> Result<&'a [u8], graviola::Error>;

impl Sign for PrivateKey {
    fn supports(algorithm: Algorithm) -> Result<(), ConfigError> {
        has(algorithm)?;
        usable_here(algorithm)
    }

    fn prepare(algorithm: Algorithm, material: &PrivateMaterial<'_>) -> Option<Self> {
        match material {
            PrivateMaterial::Rsa(key) => {
                let key = rsa::SigningKey::from_pkcs1_der(&key.to_der().ok()?).ok()?;
                Some(Self::Rsa(key.into(), rsa_sign(algorithm)?))
            }
            PrivateMaterial::Ec(curve, number) => match curve {
                Curve::P256 => ec(number).map(Self::Es256),
                Curve::P384 => ec(number).map(Self::Es384),
                Curve::P521 => None,
            },
            PrivateMaterial::Ed25519(seed) => Ed25519SigningKey::from_bytes(seed).ok().map(Self::Ed25519),
            PrivateMaterial::MlDsa { .. } => None,
        }
    }

    fn generate(algorithm: Algorithm) -> Option<Vec<u8>> {
        let mut room = [0; 2048];
        let der = match algorithm.key_type() {
            KeyType::Secret | KeyType::Ec(Curve::P521) | KeyType::MlDsa(_) => return None,
            KeyType::Rsa => rsa::SigningKey::generate(KeySize::Rsa2048).ok()?.to_pkcs8_der(&mut room),
            KeyType::Ec(Curve::P256) => ecdsa::SigningKey::<P256>::generate().ok()?.to_pkcs8_der(&mut room),
            KeyType::Ec(Curve::P384) => ecdsa::SigningKey::<P384>::generate().ok()?.to_pkcs8_der(&mut room),
            KeyType::Ed25519 => Ed25519SigningKey::generate().ok()?.to_pkcs8_der(&mut room),
        };
        der.ok().map(<[u8]>::to_vec)
    }

    fn public(&self) -> Option<Vec<u8>> {
        match self {
            Self::Rsa(..) => None,
            Self::Es256(key) => point(key),
            Self::Es384(key) => point(key),
            Self::Ed25519(key) => Some(key.public_key().as_bytes().to_vec()),
        }
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Rsa(key, sign) => {
                let mut signature = vec![0; key.modulus_len_bytes()];
                sign(key, &mut signature, message).ok()?;
                Some(signature)
            }
            Self::Es256(key) => key.sign::<Sha256>(&[message], &mut [0; 64]).ok().map(<[u8]>::to_vec),
            Self::Es384(key) => key.sign::<Sha384>(&[message], &mut [0; 96]).ok().map(<[u8]>::to_vec),
            Self::Ed25519(key) => Some(key.sign(message).to_vec()),
        }
    }
}

fn ec<C: ecdsa::Curve>(number: &[u8]) -> Option<ecdsa::SigningKey<C>> {
    let key = sec1::EcPrivateKey { private_key: number, parameters: None, public_key: None };
    ecdsa::SigningKey::from_sec1_der(&key.to_der().ok()?).ok()
}

/// Returns the public point. graviola exports public keys only as DER.
fn point<C: ecdsa::Curve>(key: &ecdsa::SigningKey<C>) -> Option<Vec<u8>> {
    let mut room = [0; 256];
    let info = spki::SubjectPublicKeyInfoRef::try_from(key.to_spki_der(&mut room).ok()?).ok()?;
    info.subject_public_key.as_bytes().map(<[u8]>::to_vec)
}

fn rsa_sign(algorithm: Algorithm) -> Option<RsaSign> {
    match algorithm {
        Algorithm::RS256 => Some(rsa::SigningKey::sign_pkcs1_sha256),
        Algorithm::RS384 => Some(rsa::SigningKey::sign_pkcs1_sha384),
        Algorithm::RS512 => Some(rsa::SigningKey::sign_pkcs1_sha512),
        Algorithm::PS256 => Some(rsa::SigningKey::sign_pss_sha256),
        Algorithm::PS384 => Some(rsa::SigningKey::sign_pss_sha384),
        Algorithm::PS512 => Some(rsa::SigningKey::sign_pss_sha512),
        _ => None,
    }
}
