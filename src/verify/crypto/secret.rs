//! HMAC (RFC 2104), by RustCrypto's `hmac` and `sha2` whatever checks the other signatures: a ready key of theirs is
//! copied for each token in a few instructions, while AWS-LC sets up a whole context.

use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::Algorithm;
use sha2::{Sha256, Sha384, Sha512};

use crate::config_error::ConfigError;
use crate::verify::key_material::KeyMaterial;

/// A secret made ready for one algorithm: the hash has taken in the key.
#[derive(Clone)]
pub(crate) enum Secret {
    Hs256(Hmac<Sha256>),
    Hs384(Hmac<Sha384>),
    Hs512(Hmac<Sha512>),
}

impl Secret {
    pub(crate) fn prepare(algorithm: Algorithm, secret: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::HS256 => Hmac::new_from_slice(secret).ok().map(Self::Hs256),
            Algorithm::HS384 => Hmac::new_from_slice(secret).ok().map(Self::Hs384),
            Algorithm::HS512 => Hmac::new_from_slice(secret).ok().map(Self::Hs512),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hs256(key) => is_mac(key, message, signature),
            Self::Hs384(key) => is_mac(key, message, signature),
            Self::Hs512(key) => is_mac(key, message, signature),
        }
    }
}

#[cfg(feature = "issue")]
impl Secret {
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Hs256(key) => mac(key, message),
            Self::Hs384(key) => mac(key, message),
            Self::Hs512(key) => mac(key, message),
        }
    }
}

#[cfg(feature = "issue")]
fn mac<M: Mac + Clone>(key: &M, message: &[u8]) -> Vec<u8> {
    key.clone().chain_update(message).finalize().into_bytes().to_vec()
}

/// Compares in constant time.
fn is_mac<M: Mac + Clone>(key: &M, message: &[u8], signature: &[u8]) -> bool {
    key.clone().chain_update(message).verify_slice(signature).is_ok()
}

/// Refuses a secret that is too short, and key material, which others may be able to read.
pub(crate) fn check(secret: &[u8], algorithm: Algorithm, needed: usize) -> Result<(), ConfigError> {
    let got = counted(secret, needed);
    if got < needed {
        return Err(ConfigError::SecretTooShort { algorithm, needed, got, length: secret.len() });
    }
    match KeyMaterial::detect(secret) {
        Some(found) => Err(ConfigError::WrongKeyType { algorithm, key: found.kind.as_secret() }),
        None => Ok(()),
    }
}

/// The bytes that count: not the zeros at the end, which HMAC adds to any short secret (RFC 2104, section 2), and a pattern
/// shorter than `needed` only once.
fn counted(secret: &[u8], needed: usize) -> usize {
    let len = secret.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let is_pattern = |part: &usize| secret[*part..len] == secret[..len - part];
    (1..needed.min(len / 2 + 1)).find(is_pattern).unwrap_or(len)
}
