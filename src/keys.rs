//! Key sources and key rotation.
//!
//! A [`KeySet`](crate::KeySet) does not change. A [`KeyStore`] contains one that you can replace. `jwks::RemoteKeys`
//! (feature `remote-keys`) fetches one from a provider. All of them implement [`KeySource`], as your own source can.
//!
//! ```
//! use tower_jwt_auth::keys::KeyStore;
//! use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet, RegisteredClaims};
//!
//! # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
//! let keys = KeyStore::new(KeySet::hmac(Algorithm::HS256, b"a secret of thirty-two bytes ...")?);
//! let verifier = JwtVerifier::<RegisteredClaims>::new(keys.clone());
//! // Later, for all verifiers that share the store:
//! keys.replace(KeySet::hmac(Algorithm::HS256, b"another secret of thirty-two ...")?);
//! # Ok(())
//! # }
//! ```

pub use crate::algorithm::UnknownAlgorithm;
pub use crate::config_error::SkippedKey;
#[cfg(feature = "settings")]
pub use crate::verify::KeyFile;
pub use crate::verify::{
    JwksRules, KeyIssuer, KeyLookup, KeySource, KeyStore, KeysRef, PendingRefresh, Refresh,
};
