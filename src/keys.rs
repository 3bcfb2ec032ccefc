//! Keys that change while they are in use, and how JWK sets are read.
//!
//! A [`KeySet`](crate::KeySet) stays as it is. A [`KeyStore`] holds one that you can replace, and `jwks::RemoteKeys` (feature
//! `remote-keys`) fetches one from a provider. All of them are a [`KeySource`], which you can implement for others.
//!
//! ```
//! use tower_jwt_auth::keys::KeyStore;
//! use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet, RegisteredClaims};
//!
//! # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
//! let keys = KeyStore::new(KeySet::hmac(Algorithm::HS256, b"a secret of thirty-two bytes ...")?);
//! let verifier = JwtVerifier::<RegisteredClaims>::new(keys.clone());
//! // Later, for all verifiers that share it:
//! keys.replace(KeySet::hmac(Algorithm::HS256, b"another secret of thirty-two ...")?);
//! # Ok(())
//! # }
//! ```

pub use crate::algorithm::UnknownAlgorithm;
pub use crate::config_error::SkippedKey;
pub use crate::verify::{
    JwksRules, KeyIssuer, KeyLookup, KeySource, KeyStore, KeysRef, PendingRefresh, Refresh,
};
