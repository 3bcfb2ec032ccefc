//! HMAC (RFC 2104) with RustCrypto's `hmac` and `sha2`, for every back end.
//!
//! Copying their prepared key for each token takes a few instructions. AWS-LC would create a whole context.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384, Sha512};

use super::key_detection::KeyMaterial;
use crate::algorithm::Algorithm;
use crate::config_error::{ConfigError, ConfigProblem};

/// A secret, prepared for one algorithm: the hash state already includes the key.
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

#[cfg(any(feature = "dpop", feature = "issue"))]
impl Secret {
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Hs256(key) => mac(key, message),
            Self::Hs384(key) => mac(key, message),
            Self::Hs512(key) => mac(key, message),
        }
    }
}

#[cfg(any(feature = "dpop", feature = "issue"))]
fn mac<M: Mac + Clone>(key: &M, message: &[u8]) -> Vec<u8> {
    key.clone().chain_update(message).finalize().into_bytes().to_vec()
}

/// Compares in constant time.
fn is_mac<M: Mac + Clone>(key: &M, message: &[u8], signature: &[u8]) -> bool {
    let mut mac = key.clone();
    mac.update(message);
    mac.verify_slice(signature).is_ok()
}

/// Rejects secrets that are too short, and keys and certificates, which others may be able to read.
pub(crate) fn check(secret: &[u8], algorithm: Algorithm) -> Result<(), ConfigError> {
    let needed = hash_bytes(algorithm);
    let got = counted(secret, needed);
    if got < needed {
        return Err(ConfigProblem::SecretTooShort { algorithm, needed, got, length: secret.len() }.into());
    }
    match KeyMaterial::detect(secret) {
        Some(found) => Err(ConfigProblem::WrongKeyType { algorithm, key: found.kind.as_secret() }.into()),
        None => Ok(()),
    }
}

/// Returns the length of the hash, which is the minimum length of a secret (RFC 7518, section 3.2).
pub(crate) const fn hash_bytes(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::HS384 => 48,
        Algorithm::HS512 => 64,
        _ => 32,
    }
}

/// Returns the number of bytes that count toward the minimum.
///
/// - A repeated pattern shorter than `needed` counts once.
/// - Trailing zeros do not count, because HMAC pads short secrets with zeros (RFC 2104, section 2).
/// - Trailing white space and `=` do not count in text. They do not count in other bytes either, if they follow a
///   pattern.
fn counted(secret: &[u8], needed: usize) -> usize {
    let up_to =
        |counts: fn(&u8) -> bool| &secret[..secret.iter().rposition(counts).map_or(0, |last| last + 1)];
    let unpadded = up_to(|byte| !matches!(byte, 0 | b'=') && !byte.is_ascii_whitespace());
    let counting = if str::from_utf8(secret).is_ok() { unpadded } else { up_to(|byte| *byte != 0) };
    [unpadded, counting].into_iter().find_map(|part| pattern(part, needed)).unwrap_or(counting.len())
}

/// Returns the length of a repeated pattern that is shorter than `needed`, if there is one.
fn pattern(bytes: &[u8], needed: usize) -> Option<usize> {
    let repeats = |len: &usize| bytes[*len..] == bytes[..bytes.len() - len];
    (1..needed.min(bytes.len() / 2 + 1)).find(repeats)
}
