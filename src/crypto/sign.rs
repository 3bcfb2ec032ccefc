//! Private keys and the signing interface of a back end.

use pkcs1::RsaPrivateKeyRef;

use crate::algorithm::Algorithm;
use crate::config_error::ConfigError;
use crate::key_type::{Curve, KeyType, ParameterSet};

/// The bytes of a private key, before a back end prepares it.
pub(crate) enum PrivateMaterial<'a> {
    /// An `RSAPrivateKey` (RFC 8017, appendix A.1.2).
    Rsa(Box<RsaPrivateKeyRef<'a>>),
    /// A big-endian number with the length of the curve.
    Ec(Curve, &'a [u8]),
    /// The seed (RFC 8032, section 5.1.5).
    Ed25519(&'a [u8]),
    /// The whole PKCS #8 document, because the seed is optional (RFC 9881, section 6).
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

    /// Returns true for a placeholder such as `[7; 32]`.
    pub(crate) fn is_one_byte_repeated(&self) -> bool {
        match self {
            Self::Rsa(_) | Self::MlDsa { seed: None, .. } => false,
            Self::Ec(_, bytes) | Self::Ed25519(bytes) | Self::MlDsa { seed: Some(bytes), .. } => {
                bytes.windows(2).all(|pair| pair[0] == pair[1])
            }
        }
    }
}

/// The private key type of a back end.
pub(crate) trait Sign: Sized {
    /// Rejects algorithms and processors that the back end does not support.
    fn supports(_: Algorithm) -> Result<(), ConfigError> {
        Ok(())
    }

    /// Prepares a private key. Returns `None` if the bytes are not a valid key.
    ///
    /// `algorithm` selects the padding and the hash of an RSA key.
    fn prepare(algorithm: Algorithm, material: &PrivateMaterial<'_>) -> Option<Self>;

    /// Generates a private key as PKCS #8. Returns `None` without random numbers. It is not called for HMAC.
    fn generate(algorithm: Algorithm) -> Option<Vec<u8>>;

    /// Returns the public key: an uncompressed point, or the bytes of an Ed25519 or ML-DSA key.
    ///
    /// Returns `None` for RSA, whose material contains the public key.
    fn public(&self) -> Option<Vec<u8>>;

    /// Signs a message. Returns `None` without random numbers.
    fn sign(&self, message: &[u8]) -> Option<Vec<u8>>;
}
