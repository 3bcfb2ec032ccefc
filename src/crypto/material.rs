//! The bytes of keys, and the checks that apply to every back end.

use sha2::{Digest, Sha256};

use super::secret;
use crate::algorithm::Algorithm;
use crate::config_error::{ConfigError, ConfigProblem};
use crate::key_type::{Curve, KeyType, ParameterSet};

/// The bytes of a key, before a back end prepares it.
#[derive(Clone, Copy)]
pub(crate) enum Material<'a> {
    Secret(&'a [u8]),
    /// Modulus and exponent, big-endian, without leading zeros.
    Rsa {
        n: &'a [u8],
        e: &'a [u8],
    },
    /// An uncompressed point on the curve (SEC 1, section 2.3.3).
    Ec(Curve, &'a [u8]),
    Ed25519(&'a [u8]),
    /// The encoding of FIPS 204, section 7.2.
    MlDsa(ParameterSet, &'a [u8]),
}

/// A hash of the algorithm and the key bytes. Keys with equal fingerprints verify the same signatures.
pub(crate) type Fingerprint = [u8; 32];

impl Material<'_> {
    pub(crate) fn fingerprint(self, algorithm: Algorithm) -> Fingerprint {
        let (first, second): (&[u8], &[u8]) = match self {
            Self::Rsa { n, e } => (n, e),
            Self::Secret(bytes) | Self::Ec(_, bytes) | Self::Ed25519(bytes) | Self::MlDsa(_, bytes) => {
                (bytes, &[])
            }
        };
        // The lengths separate the parts. The algorithm implies the type of the key.
        let lengths = [first.len() as u64, second.len() as u64].map(u64::to_be_bytes).concat();
        let hash = Sha256::new().chain_update(lengths).chain_update(first).chain_update(second);
        hash.chain_update(algorithm.as_str()).finalize().into()
    }

    /// Checks the requirements that every back end has.
    pub(super) fn check(self, algorithm: Algorithm) -> Result<(), ConfigError> {
        if self.key_type() != algorithm.key_type() {
            return Err(ConfigProblem::WrongKeyType { algorithm, key: self.key_type().name() }.into());
        }
        match self {
            Self::Secret(secret) => secret::check(secret, algorithm),
            Self::Rsa { n, e } => check_rsa(n, e),
            Self::Ec(curve, point) => check_point(point, curve.bytes()),
            Self::Ed25519(key) => check_ed25519(key),
            Self::MlDsa(set, key) => check_ml_dsa(set, key),
        }
    }

    fn key_type(self) -> KeyType {
        match self {
            Self::Secret(_) => KeyType::Secret,
            Self::Rsa { .. } => KeyType::Rsa,
            Self::Ec(curve, _) => KeyType::Ec(curve),
            Self::Ed25519(_) => KeyType::Ed25519,
            Self::MlDsa(set, _) => KeyType::MlDsa(set),
        }
    }
}

fn check_rsa(n: &[u8], e: &[u8]) -> Result<(), ConfigError> {
    let Some(last) = n.last() else {
        return Err(ConfigProblem::MalformedKey { reason: "the RSA modulus is empty" }.into());
    };
    // Every number has only one encoding (RFC 7518, section 6.3.1.1).
    if n.first() == Some(&0) || e.first() == Some(&0) {
        return Err(ConfigProblem::MalformedKey { reason: "an RSA number begins with a zero byte" }.into());
    }
    let bits = bits(n);
    if !(2048..=8192).contains(&bits) {
        return Err(ConfigProblem::RsaKeySize { bits }.into());
    }
    if last % 2 == 0 {
        return Err(ConfigProblem::MalformedKey { reason: "the RSA modulus is even" }.into());
    }
    let exponent = e.iter().try_fold(0_u64, |value, &byte| value.checked_mul(256)?.checked_add(byte.into()));
    match exponent {
        Some(value) if value >= 3 && value % 2 == 1 && value < 1 << 33 => Ok(()),
        _ => Err(ConfigProblem::MalformedKey {
            reason: "the RSA exponent is not an odd number from 3 to 2^33",
        }
        .into()),
    }
}

/// Returns the length in bits of a big-endian number without leading zero bytes.
pub(super) fn bits(number: &[u8]) -> usize {
    number.len() * 8 - number.first().map_or(0, |first| first.leading_zeros() as usize)
}

fn check_point(point: &[u8], coordinate: usize) -> Result<(), ConfigError> {
    if point.first() == Some(&4) && point.len() == 1 + 2 * coordinate {
        Ok(())
    } else {
        Err(ConfigProblem::MalformedKey {
            reason: "the point must be uncompressed and have the length of its curve",
        }
        .into())
    }
}

fn check_ed25519(key: &[u8]) -> Result<(), ConfigError> {
    let Ok(mut y) = <[u8; 32]>::try_from(key) else {
        return Err(ConfigProblem::MalformedKey { reason: "an Ed25519 key has 32 bytes" }.into());
    };
    // Neither of the two checks depends on the sign of x.
    y[31] &= 0x7f;
    let not_reduced = y[0] >= 0xed && y[1..31].iter().all(|byte| *byte == 0xff) && y[31] == 0x7f;
    if not_reduced || SMALL_ORDER.contains(&y) {
        return Err(ConfigProblem::MalformedKey {
            reason: "the Ed25519 point has small order: anyone can forge its signatures",
        }
        .into());
    }
    Ok(())
}

/// Checks only the length: all bytes of the right length are a public key, with ten bits for each coefficient (FIPS
/// 204, algorithm 23).
fn check_ml_dsa(set: ParameterSet, key: &[u8]) -> Result<(), ConfigError> {
    if key.len() == set.public_key_bytes() {
        return Ok(());
    }
    Err(ConfigProblem::MalformedKey {
        reason: match set {
            ParameterSet::MlDsa44 => "an ML-DSA-44 key has 1312 bytes",
            ParameterSet::MlDsa65 => "an ML-DSA-65 key has 1952 bytes",
            ParameterSet::MlDsa87 => "an ML-DSA-87 key has 2592 bytes",
        },
    }
    .into())
}

/// The y coordinates, little-endian, of the eight points on edwards25519 whose order divides the cofactor: 0, 1, -1,
/// and the two of order eight. RFC 7748, section 6.1 describes the same points on curve25519.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    small(1, 0, 0),
    small(0xec, 0xff, 0x7f),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

const fn small(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}
