//! Private keys, and what a back end has to do to sign.

use pkcs1::RsaPrivateKeyRef;

use crate::algorithm::Algorithm;
use crate::config_error::ConfigError;
use crate::key_type::{Curve, KeyType, ParameterSet};

/// A private key as its bytes, before a back end has made it ready.
pub(crate) enum PrivateMaterial<'a> {
    /// RFC 8017, appendix A.1.2.
    Rsa(Box<RsaPrivateKeyRef<'a>>),
    /// A number, big-endian, of the curve's length.
    Ec(Curve, &'a [u8]),
    /// The seed (RFC 8032, section 5.1.5).
    Ed25519(&'a [u8]),
    /// The whole PKCS #8 document, since not every one has the seed (RFC 9881, section 6).
    MlDsa {
        set: ParameterSet,
        #[allow(dead_code, reason = "not every back end has ML-DSA")]
        pkcs8: &'a [u8],
        seed: Option<&'a [u8]>,
    },
}

impl PrivateMaterial<'_> {
    pub(crate) fn key_type(&self) -> KeyType {
        match self {
            Self::Rsa(_) => KeyType::Rsa,
            Self::Ec(curve, _) => KeyType::Ec(*curve),
            Self::Ed25519(_) => KeyType::Ed25519,
            Self::MlDsa { set, .. } => KeyType::MlDsa(*set),
        }
    }

    /// True for a placeholder such as `[7; 32]`.
    pub(crate) fn is_one_byte_repeated(&self) -> bool {
        match self {
            Self::Rsa(_) | Self::MlDsa { seed: None, .. } => false,
            Self::Ec(_, bytes) | Self::Ed25519(bytes) | Self::MlDsa { seed: Some(bytes), .. } => {
                bytes.windows(2).all(|pair| pair[0] == pair[1])
            }
        }
    }
}

/// A private key of a back end.
pub(crate) trait Sign: Sized {
    /// Whether the back end can sign at all, here.
    fn supports(_: Algorithm) -> Result<(), ConfigError> {
        Ok(())
    }

    /// Makes a private key ready; `None` where the bytes are no such key. `algorithm` says how an RSA key signs.
    fn prepare(algorithm: Algorithm, material: &PrivateMaterial<'_>) -> Option<Self>;

    /// A new private key as PKCS #8; `None` where there are no random numbers. It is not asked for HMAC.
    fn generate(algorithm: Algorithm) -> Option<Vec<u8>>;

    /// The public key that belongs to it: a point, uncompressed, or the bytes of Ed25519 or ML-DSA. An RSA key has it in its
    /// material.
    fn public(&self) -> Option<Vec<u8>>;

    /// `None` where there are no random numbers.
    fn sign(&self, message: &[u8]) -> Option<Vec<u8>>;
}
