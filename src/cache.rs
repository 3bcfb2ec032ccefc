//! Caching verified tokens.
//!
//! ```
//! use tower_jwt_auth::cache::CacheSettings;
//! use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet, RegisteredClaims};
//!
//! # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
//! let keys = KeySet::hmac(Algorithm::HS256, b"a secret of thirty-two bytes ...")?;
//! let verifier = JwtVerifier::<RegisteredClaims>::new(keys).cache(CacheSettings::new());
//! assert_eq!(verifier.cache_stats().unwrap().misses(), 0);
//! # Ok(())
//! # }
//! ```

pub use crate::verify::{CacheSettings, CacheStats};
