//! JWT bearer authentication.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod challenge;
mod claims;
mod config_error;
mod error;
#[cfg(feature = "axum")]
mod extract;
mod future;
mod gate;
mod kind;
mod layer;
mod principal;
mod registered;
mod reject;
mod service;
mod token;
mod verify;

pub use jsonwebtoken::{Algorithm, jwk};

pub use self::claims::{Claims, TokenInfo};
pub use self::config_error::ConfigError;
pub use self::error::AuthError;
pub use self::future::ResponseFuture;
pub use self::kind::AuthErrorKind;
pub use self::layer::JwtAuthLayer;
pub use self::principal::{Principal, PrincipalFuture, PrincipalLayer};
pub use self::registered::{Audience, NumericDate, RegisteredClaims};
pub use self::reject::{EmptyBody, Head, Reject};
pub use self::service::JwtAuth;
pub use self::token::TokenSource;
pub use self::verify::{
    JwksRules, JwtVerifier, Key, KeySet, KeySource, KeyStore, KeysRef, PendingVerdict, Refresh, SkippedKey,
    Verdict, VerdictFuture, Verify,
};
