//! JWT authentication for any [tower](https://docs.rs/tower) service: axum, hyper, tonic.
//!
//! A [`JwtAuthLayer`] takes the token from a request, a [`JwtVerifier`] verifies it, and your handler gets the
//! [`Claims`] as your own type. All other requests get a response of [RFC 6750](https://www.rfc-editor.org/rfc/rfc6750).
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
//! use axum::{Router, routing::get};
//! use tower_jwt_auth::{Algorithm, Claims, ConfigError, JwtAuthLayer, JwtVerifier, KeySet};
//!
//! #[derive(serde::Deserialize)]
//! struct User {
//!     email: String,
//! }
//!
//! fn app(secret: &[u8]) -> Result<Router, ConfigError> {
//!     let verifier = JwtVerifier::<User>::new(KeySet::hmac(Algorithm::HS256, secret)?)
//!         .issuer("https://id.example.com")
//!         .audience("https://api.example.com");
//!     let hello = async |user: Claims<User>| format!("Hello {}", user.email);
//!     Ok(Router::new().route("/", get(hello)).layer(JwtAuthLayer::new(verifier)))
//! }
//! # assert!(app(b"a secret of thirty-two bytes ...").is_ok());
//! ```
//!
//! The [guide](guide/index.html) has a page for each task. Start with [getting started](guide/getting_started/index.html)
//! or the settings of [your provider](guide/providers/index.html). The [FAQ](guide/faq/index.html) explains each rejection.
//!
//! # Modules
//!
//! The crate root has the types that most applications name.
//!
//! | module | task | main items |
//! |---|---|---|
//! | [`keys`] | configure keys | `KeyStore`, `KeySource`, `JwksRules` |
//! | `jwks` | fetch keys from a provider (feature `remote-keys-core`) | `RemoteKeys`, `HttpsClient` |
//! | [`verifiers`] | accept several issuers or kinds of tokens | `Issuers`, `IssuerResolver`, `AnyOf` |
//! | `api_key` | accept API keys (feature `api-keys`) | `ApiKeys`, `ApiKey` |
//! | `introspection` | ask the provider about opaque tokens (feature `introspection`) | `Introspection` |
//! | `dpop` | accept tokens that are bound to a client's key (feature `dpop`) | `Dpop`, `DpopKey`, `ReplayStore` |
//! | `mtls` | accept tokens that are bound to a client certificate (feature `mtls`) | `Mtls`, `ClientCertificate` |
//! | `settings` | configure from the environment or a file (feature `settings`) | `AuthSettings` |
//! | `explain` | find out why a token is rejected (feature `explain`) | `Explanation` |
//! | [`cache`] | size the cache of verified tokens | `CacheSettings`, `CacheStats` |
//! | [`revocation`] | revoke tokens before they expire | `Revocations`, `SharedRevocations`, `RedisStore` |
//! | [`policy`] | require scopes, roles and other claims | `scope`, `role`, `claim`, `when`, `Policy` |
//! | [`reject`] | customize rejections | `Reject`, `ProblemJson`, `Grpc` |
//! | `extract` | axum extractors (feature `axum`) | `Permitted` |
//! | [`token`] | read what is known of a token besides its claims | `TokenInfo`, `NumericDate` |
//! | `issue` | sign tokens and rotate keys (feature `issue`) | `TokenIssuer`, `SigningKey`, `JwksService` |
//! | [`resource_metadata`] | tell clients where to get a token | `ProtectedResource` |
//! | `observability` | describe the metrics (feature `metrics`) | `describe_metrics` |
//! | [`services`] | name the services and futures of the layers | `ResponseFuture`, `RequireService` |
//!
//! # Features
//!
//! Signatures are checked by `aws-lc-rs` (default), `rust-crypto` or `graviola`: [deployment](guide/deployment/index.html)
//! compares them. The others are `axum` (default), `remote-keys`, `remote-keys-core`, `api-keys`, `introspection`, `dpop`, `mtls`,
//! `settings`, `explain`, `issue`, `shared-revocations`, `redis`, `redis-tls`, `tracing`, `metrics`, `test-util` and `jsonwebtoken-12`.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod algorithm;
#[cfg(feature = "api-keys")]
pub mod api_key;
mod binding;
pub mod cache;
mod caching;
mod challenge;
mod challenges;
mod claims;
mod conditions;
mod config_error;
mod credential;
mod crypto;
#[cfg(feature = "dpop")]
pub mod dpop;
mod error;
#[cfg(feature = "explain")]
pub mod explain;
#[cfg(feature = "axum")]
pub mod extract;
#[cfg(feature = "api-keys")]
#[cfg_attr(not(feature = "settings"), allow(dead_code, reason = "only key files use all of it"))]
mod file_follower;
#[cfg(feature = "mtls")]
mod forwarded_certificate;
mod future;
mod gate;
// Its snippets need all these features, and so do some of its links.
#[cfg(any(
    all(doc, not(doctest)),
    all(
        doctest,
        feature = "axum",
        feature = "dpop",
        feature = "explain",
        feature = "issue",
        feature = "metrics",
        feature = "mtls",
        feature = "redis",
        feature = "settings",
        feature = "test-util",
        feature = "tracing"
    )
))]
#[cfg_attr(
    not(all(
        feature = "axum",
        feature = "dpop",
        feature = "explain",
        feature = "issue",
        feature = "metrics",
        feature = "mtls",
        feature = "redis",
        feature = "settings",
        feature = "test-util",
        feature = "tracing"
    )),
    allow(rustdoc::broken_intra_doc_links, reason = "they are links to items of features that are off")
)]
#[cfg_attr(docsrs, doc(auto_cfg = false))]
pub mod guide;
mod head;
#[cfg(feature = "introspection")]
pub mod introspection;
#[cfg(feature = "issue")]
pub mod issue;
#[cfg(feature = "jsonwebtoken-12")]
mod jsonwebtoken_12;
#[cfg(feature = "remote-keys-core")]
pub mod jwks;
mod key_type;
pub mod keys;
mod kind;
mod layer;
#[cfg(any(feature = "api-keys", feature = "introspection"))]
mod lookups;
#[cfg(feature = "mtls")]
pub mod mtls;
#[cfg(feature = "metrics")]
pub mod observability;
#[cfg_attr(
    not(all(feature = "introspection", feature = "shared-revocations")),
    allow(dead_code, unused_imports, reason = "some parts need features that may be off")
)]
mod observe;
pub mod policy;
mod principal;
mod public_json;
#[cfg(feature = "redis")]
mod redis_client;
mod registered;
pub mod reject;
mod require;
pub mod resource_metadata;
pub mod revocation;
mod scheme;
mod service;
pub mod services;
#[cfg(feature = "settings")]
pub mod settings;
mod sign_out;
#[cfg_attr(tower_jwt_auth_model, path = "../tests/model/sync.rs")]
mod sync;
pub mod token;
mod token_source;
mod url;
pub mod verifiers;
mod verify;

pub use self::algorithm::Algorithm;
pub use self::claims::Claims;
pub use self::config_error::{ConfigError, ConfigErrorKind};
pub use self::credential::Credential;
pub use self::error::AuthError;
pub use self::head::Head;
pub use self::kind::AuthErrorKind;
pub use self::layer::JwtAuthLayer;
pub use self::principal::PrincipalLayer;
pub use self::registered::{Audience, RegisteredClaims};
pub use self::require::RequireLayer;
pub use self::service::JwtAuth;
pub use self::token_source::TokenSource;
pub use self::verify::{JwtVerifier, Key, KeySet, Verdict, Verify};

/// The snippets of the README are compiled with the documentation.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
mod readme {}
