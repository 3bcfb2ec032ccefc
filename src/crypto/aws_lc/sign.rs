//! Signing with AWS-LC.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, PqdsaKeyPair, PqdsaSigningAlgorithm,
    RsaEncoding,
};
use sec1::der::Encode;

use super::super::{PrivateMaterial, Sign};
use crate::algorithm::Algorithm;
use crate::key_type::{Curve, KeyType, ParameterSet};

/// A private key, ready to sign with one algorithm.
pub(crate) enum PrivateKey {
    Rsa(rsa::KeyPair, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    MlDsa(PqdsaKeyPair),
}

impl Sign for PrivateKey {
    fn prepare(algorithm: Algorithm, material: &PrivateMaterial<'_>) -> Option<Self> {
        match material {
            PrivateMaterial::Rsa(key) => {
                let key = rsa::KeyPair::from_der(&key.to_der().ok()?).ok()?;
                Some(Self::Rsa(key, rsa_encoding(algorithm)?))
            }
            PrivateMaterial::Ec(curve, number) => ec(*curve, number),
            PrivateMaterial::Ed25519(seed) => {
                Ed25519KeyPair::from_seed_unchecked(seed).ok().map(Self::Ed25519)
            }
            PrivateMaterial::MlDsa { set, pkcs8, .. } => {
                PqdsaKeyPair::from_pkcs8(ml_dsa(*set), pkcs8).ok().map(Self::MlDsa)
            }
        }
    }

    fn generate(algorithm: Algorithm) -> Option<Vec<u8>> {
        let document = match algorithm.key_type() {
            KeyType::Secret => return None,
            KeyType::Rsa => {
                let key = rsa::KeyPair::generate(KeySize::Rsa2048).ok()?;
                return Some(key.as_der().ok()?.as_ref().to_vec());
            }
            KeyType::Ec(curve) => EcdsaKeyPair::generate(ecdsa(curve)).ok()?.to_pkcs8v1(),
            KeyType::Ed25519 => Ed25519KeyPair::generate().ok()?.to_pkcs8v1(),
            KeyType::MlDsa(set) => PqdsaKeyPair::generate(ml_dsa(set)).ok()?.to_pkcs8v1(),
        };
        Some(document.ok()?.as_ref().to_vec())
    }

    fn public(&self) -> Option<Vec<u8>> {
        match self {
            Self::Rsa(..) => None,
            Self::Ec(key) => Some(key.public_key().as_ref().to_vec()),
            Self::Ed25519(key) => Some(key.public_key().as_ref().to_vec()),
            Self::MlDsa(key) => Some(key.public_key().as_ref().to_vec()),
        }
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        // AWS-LC ignores this argument and uses its own random numbers.
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(*encoding, &random, message, &mut signature).ok()?;
                Some(signature)
            }
            Self::Ec(key) => Some(key.sign(&random, message).ok()?.as_ref().to_vec()),
            Self::Ed25519(key) => Some(key.try_sign(message).ok()?.as_ref().to_vec()),
            Self::MlDsa(key) => {
                let mut signature = vec![0; key.algorithm().signature_len()];
                key.sign(message, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}

fn ecdsa(curve: Curve) -> &'static EcdsaSigningAlgorithm {
    match curve {
        Curve::P256 => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        Curve::P384 => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
        Curve::P521 => &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
    }
}

fn ml_dsa(set: ParameterSet) -> &'static PqdsaSigningAlgorithm {
    match set {
        ParameterSet::MlDsa44 => &signature::ML_DSA_44_SIGNING,
        ParameterSet::MlDsa65 => &signature::ML_DSA_65_SIGNING,
        ParameterSet::MlDsa87 => &signature::ML_DSA_87_SIGNING,
    }
}

/// Reads the private key from DER: AWS-LC computes the public key only for this format.
fn ec(curve: Curve, number: &[u8]) -> Option<PrivateKey> {
    let key = sec1::EcPrivateKey {
        private_key: number,
        parameters: Some(sec1::EcParameters::NamedCurve(curve.oid())),
        public_key: None,
    };
    EcdsaKeyPair::from_private_key_der(ecdsa(curve), &key.to_der().ok()?).ok().map(PrivateKey::Ec)
}

fn rsa_encoding(algorithm: Algorithm) -> Option<&'static dyn RsaEncoding> {
    match algorithm {
        Algorithm::RS256 => Some(&signature::RSA_PKCS1_SHA256),
        Algorithm::RS384 => Some(&signature::RSA_PKCS1_SHA384),
        Algorithm::RS512 => Some(&signature::RSA_PKCS1_SHA512),
        Algorithm::PS256 => Some(&signature::RSA_PSS_SHA256),
        Algorithm::PS384 => Some(&signature::RSA_PSS_SHA384),
        Algorithm::PS512 => Some(&signature::RSA_PSS_SHA512),
        _ => None,
    }
}
