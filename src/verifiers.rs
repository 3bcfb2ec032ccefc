//! Several verifiers behind one layer, and custom verifiers.
//!
//! [`AnyOf`] selects a verifier by the scheme, the prefix or the form of the token. [`Issuers`] selects by the issuer
//! of a JWT. A custom verifier implements [`Verify`](crate::Verify) and declares its [schemes](Challenges).
//!
//! ```
//! use tower_jwt_auth::verifiers::{AnyOf, Issuers};
//! use tower_jwt_auth::{Algorithm, JwtAuthLayer, JwtVerifier, KeySet, RegisteredClaims};
//!
//! # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
//! let staff = JwtVerifier::<RegisteredClaims>::new(KeySet::hmac(Algorithm::HS256, b"a secret of thirty-two bytes ...")?)
//!     .issuer("https://staff.example.com")
//!     .audience("https://api.example.com");
//! let partners = JwtVerifier::new(KeySet::hmac(Algorithm::HS256, b"another secret of thirty-two ...")?)
//!     .issuer("https://partners.example.com")
//!     .audience("https://api.example.com");
//! let verifier = AnyOf::new().jwt(Issuers::new([staff, partners])?);
//! let layer = JwtAuthLayer::new(verifier);
//! # Ok(())
//! # }
//! ```

pub use crate::challenges::Challenges;
#[cfg(any(feature = "api-keys", feature = "introspection"))]
pub use crate::lookups::{LookupSettings, LookupStats};
pub use crate::scheme::Scheme;
#[cfg(feature = "remote-keys-core")]
pub use crate::verify::IssuerResolver;
pub use crate::verify::{AnyOf, Issuers, PendingVerdict, VerdictFuture};
