//! Signatures: checking them, and with `issue` making them. Cryptography itself is a library's.
//!
//! The back end checks and makes signatures with public and private keys. Secrets are used by the same library whatever the
//! back end.

#[cfg(feature = "aws-lc-rs")]
mod aws_lc;
// A back end that is on but not used is only tested.
#[cfg(all(
    feature = "graviola",
    any(target_arch = "x86_64", target_arch = "aarch64"),
    any(test, not(any(feature = "aws-lc-rs", feature = "rust-crypto"))),
))]
mod graviola;
pub(crate) mod key_detection;
mod material;
#[cfg(not(any(
    feature = "aws-lc-rs",
    feature = "rust-crypto",
    all(feature = "graviola", any(target_arch = "x86_64", target_arch = "aarch64")),
)))]
mod none;
pub(crate) mod oid;
#[cfg(all(feature = "rust-crypto", any(test, not(feature = "aws-lc-rs"))))]
mod rust_crypto;
pub(crate) mod secret;
#[cfg(feature = "issue")]
mod sign;
#[cfg(test)]
mod tests;

#[cfg(feature = "aws-lc-rs")]
use self::aws_lc as back_end;
#[cfg(all(
    feature = "graviola",
    any(target_arch = "x86_64", target_arch = "aarch64"),
    not(any(feature = "aws-lc-rs", feature = "rust-crypto")),
))]
use self::graviola as back_end;
#[cfg(not(any(
    feature = "aws-lc-rs",
    feature = "rust-crypto",
    all(feature = "graviola", any(target_arch = "x86_64", target_arch = "aarch64")),
)))]
use self::none as back_end;
#[cfg(all(feature = "rust-crypto", not(feature = "aws-lc-rs")))]
use self::rust_crypto as back_end;

#[cfg(feature = "issue")]
pub(crate) use self::back_end::PrivateKey;
pub(crate) use self::material::{Fingerprint, Material};
#[cfg(feature = "issue")]
pub(crate) use self::sign::{PrivateMaterial, Sign};

use self::back_end::PublicKey;
use self::secret::Secret;
use crate::algorithm::Algorithm;
use crate::config_error::{ConfigError, ConfigProblem};

/// A key made ready for one algorithm, and for no other.
#[derive(Clone)]
pub(crate) enum VerifyingKey<P = PublicKey> {
    Secret(Box<Secret>),
    Public(P),
}

impl<P: Check> VerifyingKey<P> {
    pub(crate) fn prepare(algorithm: Algorithm, material: Material<'_>) -> Result<Self, ConfigError> {
        material.check(algorithm)?;
        let key = match material {
            Material::Secret(secret) => {
                Secret::prepare(algorithm, secret).map(|secret| Self::Secret(secret.into()))
            }
            public => {
                P::supports(algorithm, public)?;
                P::prepare(algorithm, public).map(Self::Public)
            }
        };
        key.ok_or_else(|| {
            ConfigProblem::MalformedKey { reason: "its numbers are not those of a key of its type" }.into()
        })
    }

    /// Whether `signature` is what the key's owner made of `message`.
    #[inline]
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Secret(key) => key.verify(message, signature),
            Self::Public(key) => key.verify(message, signature),
        }
    }
}

/// What any back end is asked for; each gives a type of public keys with this one constructor and this one method.
pub(crate) trait Check: Sized {
    /// Whether the back end can use such a key, here, for this algorithm: those that can use whatever has been
    /// [checked](Material::check), and anywhere, leave this as it is.
    fn supports(_: Algorithm, _: Material<'_>) -> Result<(), ConfigError> {
        Ok(())
    }

    /// Makes a public key ready for one algorithm; `None` where the bytes are no such key. The material has been
    /// [checked](Material::check), and is [supported](Self::supports).
    fn prepare(algorithm: Algorithm, material: Material<'_>) -> Option<Self>;

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool;
}
