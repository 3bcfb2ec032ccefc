//! HMAC (RFC 2104), by RustCrypto's `hmac` and `sha2` whatever checks the other signatures: a ready key of theirs is
//! copied for each token in a few instructions, while AWS-LC sets up a whole context.

use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::Algorithm;
use sha2::{Sha256, Sha384, Sha512};

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
