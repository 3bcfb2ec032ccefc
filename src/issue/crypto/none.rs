//! No back end: `verify/crypto/none.rs` has said so.

use super::{PrivateMaterial, Sign};
use crate::algorithm::Algorithm;

/// A key that cannot exist.
pub(crate) enum PrivateKey {}

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
