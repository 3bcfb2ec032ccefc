//! Several verifiers behind one layer, and verifiers of your own.
//!
//! [`AnyOf`] chooses a verifier by the scheme, the prefix or the form of the token, [`Issuers`] by the issuer of a JWT. A
//! verifier of your own implements [`Verify`](crate::Verify) and says which [schemes](Challenges) clients may use.
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
pub use crate::scheme::Scheme;
#[cfg(feature = "remote-keys-core")]
pub use crate::verify::IssuerResolver;
pub use crate::verify::{AnyOf, Issuers, PendingVerdict, VerdictFuture};
