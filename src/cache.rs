//! Caching verified tokens: on by default.
//!
//! ```
//! use tower_jwt_auth::cache::CacheSettings;
//! use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet, RegisteredClaims};
//!
//! # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
//! let keys = KeySet::hmac(Algorithm::HS256, b"a secret of thirty-two bytes ...")?;
//! let verifier = JwtVerifier::<RegisteredClaims>::new(keys);
//! let large = verifier.clone().cache(CacheSettings::new().max_entries(100_000).max_bytes(256 * 1024 * 1024));
//! let off = verifier.clone().without_cache();
//! assert_eq!(verifier.cache_stats().unwrap().misses(), 0);
//! assert!(off.cache_stats().is_none());
//! # Ok(())
//! # }
//! ```

pub use crate::verify::{CacheSettings, CacheStats};
