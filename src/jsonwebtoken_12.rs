//! Conversions between this crate's types and those of jsonwebtoken 12.

use jsonwebtoken::jwk::{Jwk, JwkSet};

use crate::algorithm::{Algorithm, UnknownAlgorithm};
use crate::config_error::{ConfigError, ConfigProblem};
use crate::verify::{Key, KeySet};

impl TryFrom<jsonwebtoken::Algorithm> for Algorithm {
    type Error = UnknownAlgorithm;

    fn try_from(algorithm: jsonwebtoken::Algorithm) -> Result<Self, UnknownAlgorithm> {
        // jsonwebtoken exposes the name only through serde.
        serde_json::to_value(algorithm)
            .ok()
            .as_ref()
            .and_then(|name| name.as_str())
            .unwrap_or_default()
            .parse()
    }
}

/// jsonwebtoken 12 supports neither ES512 nor ML-DSA.
impl TryFrom<Algorithm> for jsonwebtoken::Algorithm {
    type Error = UnknownAlgorithm;

    fn try_from(algorithm: Algorithm) -> Result<Self, UnknownAlgorithm> {
        algorithm.as_str().parse().map_err(|_| UnknownAlgorithm::to("jsonwebtoken 12", algorithm))
    }
}

/// Same as [`Key::jwk`] with the text of the JWK.
///
/// jsonwebtoken drops an unknown `alg`, such as `Ed25519`, and the private members of a key. The conversion rejects the
/// former and cannot detect the latter.
impl TryFrom<&Jwk> for Key {
    type Error = ConfigError;

    fn try_from(jwk: &Jwk) -> Result<Self, ConfigError> {
        let json = serde_json::to_vec(jwk).map_err(|_| ConfigProblem::NOT_A_JWK.into())?;
        Self::jwk(json)
    }
}

/// Same as [`KeySet::jwks`] with the text of the set.
impl TryFrom<&JwkSet> for KeySet {
    type Error = ConfigError;

    fn try_from(set: &JwkSet) -> Result<Self, ConfigError> {
        let json = serde_json::to_vec(set).map_err(|_| ConfigProblem::NOT_A_SET.into())?;
        Self::jwks(json)
    }
}
