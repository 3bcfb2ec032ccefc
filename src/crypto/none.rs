//! The error for a build without a back end. The types below prevent further compile errors.

use super::{Check, Material};
#[cfg(feature = "issue")]
use super::{PrivateMaterial, Sign};
use crate::algorithm::Algorithm;

compile_error!(
    "tower-jwt-auth has no cryptographic back end: enable its feature `aws-lc-rs` (the default), `rust-crypto` or \
     `graviola` (only on x86-64 and aarch64)"
);

/// A public key that cannot exist.
#[derive(Clone)]
pub(crate) enum PublicKey {}

impl Check for PublicKey {
    fn prepare(_: Algorithm, _: Material<'_>) -> Option<Self> {
        None
    }

    fn verify(&self, _: &[u8], _: &[u8]) -> bool {
        match *self {}
    }
}

/// A private key that cannot exist.
#[cfg(feature = "issue")]
pub(crate) enum PrivateKey {}

#[cfg(feature = "issue")]
impl Sign for PrivateKey {
    fn prepare(_: Algorithm, _: &PrivateMaterial<'_>) -> Option<Self> {
        None
    }

    fn generate(_: Algorithm) -> Option<Vec<u8>> {
        None
    }

    fn public(&self) -> Option<Vec<u8>> {
        match *self {}
    }

    fn sign(&self, _: &[u8]) -> Option<Vec<u8>> {
        match *self {}
    }
}
