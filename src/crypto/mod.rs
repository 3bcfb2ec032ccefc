//! Verification of signatures, and signing with the feature `issue`. A library does the cryptography.
//!
//! The back end verifies and signs with asymmetric keys. HMAC uses the same library with every back end.

#[cfg(feature = "aws-lc-rs")]
mod aws_lc;
// An enabled back end that is not the selected one is compiled only for tests.
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

/// A key, ready to verify signatures of exactly one algorithm.
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
            ConfigProblem::MalformedKey { reason: "its numbers do not form a valid key of its type" }.into()
        })
    }

    /// Returns true if `signature` is a valid signature of `message`.
    #[inline]
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Secret(key) => key.verify(message, signature),
            Self::Public(key) => key.verify(message, signature),
        }
    }
}

/// The public key type of a back end.
pub(crate) trait Check: Sized {
    /// Rejects keys, algorithms and processors that the back end does not support.
    ///
    /// The default accepts everything that [`Material::check`] accepts.
    fn supports(_: Algorithm, _: Material<'_>) -> Result<(), ConfigError> {
        Ok(())
    }

    /// Prepares a public key for one algorithm. Returns `None` if the bytes are not a valid key.
    ///
    /// The caller has already called [`Material::check`] and [`supports`](Self::supports).
    fn prepare(algorithm: Algorithm, material: Material<'_>) -> Option<Self>;

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool;
}
