//! JWT bearer authentication in front of any [tower](https://docs.rs/tower) service: axum, hyper, tonic.
//!
//! A [`JwtAuthLayer`] finds the token of a request, decides whether to trust it, and hands its claims to the service
//! inside, as a type of your own. Everything that is not a good token is refused as
//! [RFC 6750](https://www.rfc-editor.org/rfc/rfc6750) says.
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
//! use axum::{Router, routing::get};
//! use tower_jwt_auth::{Algorithm, Claims, JwtAuthLayer, JwtVerifier, KeySet};
//!
//! #[derive(serde::Deserialize)]
//! struct User {
//!     email: String,
//! }
//!
//! async fn hello(user: Claims<User>) -> String {
//!     format!("Hello {}", user.email)
//! }
//!
//! fn app(secret: &[u8]) -> Result<Router, tower_jwt_auth::ConfigError> {
//!     let keys = KeySet::hmac(Algorithm::HS256, secret)?;
//!     let verifier = JwtVerifier::<User>::new(keys)
//!         .issuer("https://id.example.com")
//!         .audience("https://api.example.com");
//!     Ok(Router::new().route("/protected/", get(hello)).layer(JwtAuthLayer::new(verifier)))
//! }
//!
//! assert_eq!(app(b"short").unwrap_err().to_string(), "HS256 needs a secret of at least 32 bytes, got 5");
//! assert!(app(b"a secret of thirty-two bytes ...").is_ok());
//! ```
//!
//! # The way of a request
//!
//! 1. [`JwtAuth`] is called with the request, as any tower service is.
//! 2. A [`TokenSource`] finds the one credential in it, `Authorization: Bearer` by default.
//! 3. A [`Verify`], ordinarily the [`JwtVerifier`], judges the token: its size and form, the key that the header names
//!    among those of a [`KeySource`](keys::KeySource), the signature, and then the claims. A token that was accepted before is
//!    found in the [`cache`], which is on by default.
//! 4. A [`Policy`](policy::Policy) may be asked whether the claims permit this request: in the layer
//!    ([`require`](JwtAuthLayer::require)), or on a route ([`RequireLayer`]).
//! 5. The [`Claims`] are put into the request's extensions, and the service inside is called at once. Otherwise a
//!    [`Reject`](reject::Reject) makes the response, and the service never sees the request.
//!
//! A request waits only where the token's key is not held and the [`KeySource`](keys::KeySource) can look for newer ones, or where an
//! `IssuerResolver` (feature `remote-keys`) has to look up its issuer.
//! [`PrincipalLayer`] stands inside and turns the claims into your application's own user.
//!
//! # Keys from a provider
//!
//! `RemoteKeys` (feature `remote-keys`) is the [`KeySource`](keys::KeySource) for any OpenID provider: it finds the keys, fetches them ahead of
//! time, and keeps them through outages. Await its `ready` at start-up, before you listen, so that no request waits for the
//! first fetch. [`JwtVerifier::add_keys`] adds a second key set of the same issuer. [`Issuers`](verifiers::Issuers) holds a verifier for each of
//! several issuers.
//!
#![doc = include_str!("guide/providers.md")]
//!
//! # Modules
//!
//! The root has what nearly every application names. The rest is in the module of its capability:
//!
//! | module | names |
//! |---|---|
//! | [`verifiers`] | `AnyOf`, `Issuers`, `IssuerResolver`, `Scheme`, `Challenges` |
//! | [`keys`] | `KeyStore`, `KeySource`, `JwksRules`, `SkippedKey` |
//! | `jwks` | `RemoteKeys`, `HttpsClient`, `HttpClient` |
//! | [`policy`] | `scope`, `role`, `claim`, `when`, `Policy`, `Rule`, `Scopes`, `Roles` |
//! | [`reject`] | `Reject`, `ProblemJson`, `Grpc`, `EmptyBody` |
//! | `extract` | `Permitted` |
//! | [`token`] | `TokenInfo`, `NumericDate` |
//! | [`cache`] | `CacheSettings`, `CacheStats` |
//! | [`revocation`] | `Revocations`, `Revocation`, `SharedRevocations`, `RedisStore` |
//! | `issue` | `TokenIssuer`, `SigningKey`, `JwksService` |
//! | [`resource_metadata`] | `ProtectedResource` |
//! | [`services`] | the services and futures of the layers |
//!
//! # Other credentials
//!
//! [`AnyOf`](verifiers::AnyOf) puts several verifiers behind one layer, for JWTs, API keys and opaque tokens. It chooses by the
//! scheme, the prefix or the form of the token, and gives each credential to exactly one of them. Your own verifier implements
//! [`Verify`]: it sees the [`Credential`] with the request around it, and may add headers to the response.
//!
//! # Who may do what
//!
//! The module [`policy`] has rules about scopes, roles, claims and requests. They go into [`JwtAuthLayer::require`] or into a
//! [`RequireLayer`]; in axum a policy that is a type can be named by an extractor, `Permitted`.
//!
//! ```
//! use tower_jwt_auth::RequireLayer;
//! use tower_jwt_auth::policy::claim;
//!
//! let layer = RequireLayer::<serde_json::Value>::new(claim("email_verified", true).and(claim("tenant", "acme")));
//! ```
//!
//! # Tokens from elsewhere, and none at all
//!
//! [`TokenSource`] reads a token from other headers, cookies, the query, the subprotocols of a WebSocket, or wherever a
//! function finds it. A request with two credentials is rejected, unless you let the [first source
//! win](JwtAuthLayer::prefer_first_token_source). [`JwtAuthLayer::optional`], [`allow_invalid`](JwtAuthLayer::allow_invalid) and
//! [`skip_when`](JwtAuthLayer::skip_when) let requests pass without good claims.
//!
//! # Answers
//!
//! A refusal has an empty body, unless a [`Reject`](reject::Reject) makes another one: [`ProblemJson`](reject::ProblemJson), [`Grpc`](reject::Grpc) or a closure. It makes the
//! bodies for handlers and extractors as well. Every refusal
//! has `Cache-Control: no-store`, and the [`AuthError`] in its extensions for whatever logs and counts outside.
//! Clients that upload large bodies [may not see a refusal](reject::Reject#uploads).
//! [`ProtectedResource`](resource_metadata::ProtectedResource) tells clients where to get a token, as MCP servers have to.
//!
//! # Tokens of one's own
//!
//! A `TokenIssuer` (feature `issue`) signs claims of your own, publishes the public keys as a JWK set, and rotates them so that
//! no verifier refuses a good token. In the tests of a service, `TokenIssuer::for_tests()` (feature
//! `test-util`) is an issuer with a key of its own, and its `verifier()` the verifier that trusts it.
//!
//! # Tokens that end early
//!
//! [`Revocations`](revocation::Revocations) is a list of tokens, sessions and subjects that [`JwtVerifier::revocations`] holds every token against.
//! `SharedRevocations` (feature `shared-revocations`) shares it among processes, by a `RevocationStore`, of which `RedisStore` (feature
//! `redis`) is one.
//!
//! # Logs and measurements
//!
#![doc = include_str!("guide/observability.md")]
//!
//! The example `metrics` has a log and an endpoint for Prometheus. With both features off nothing of this is compiled.
//!
//! # In axum
//!
//! - `Router::layer` covers the routes that stand before it, and unknown paths, too (but not where the router is merged into
//!   another one: do not rely on it); `route_layer` covers routes alone, so that strangers can tell a path that is there
//!   (401) from one that is not (404).
//! - Of several layers the one that is added last runs first: [`RequireLayer`] or [`PrincipalLayer`], then
//!   [`JwtAuthLayer`], then tower-http's `csrf` if there are cookies (with the origins that CORS allows as trusted), then CORS,
//!   so that a preflight request, which carries no token, is answered before it is refused, and a page of another origin can
//!   read a refusal (its `WWW-Authenticate` and `Retry-After` only if CORS exposes them).
//! - Inside of `nest`, policies and predicates see the path without the part that has led there; what is around the outer
//!   router sees all of it.
//! - A handler takes [`Claims<C>`](Claims), `Option<Claims<C>>` behind an optional layer, or
//!   `Result<Claims<C>, AuthError>` to answer itself; the user of a [`PrincipalLayer`] is an `Extension<User>`.
//! - In tests of a router, `.layer(Extension(Claims::new(user)))` stands in for the layer, with no token.
//! - The same line is a development switch: `if development { app.layer(Extension(Claims::new(developer))) } else {
//!   app.layer(layer) }`. It lets everybody in as that user. Do not leave the layer out instead, as tower's `option_layer` does: without it every extractor, also
//!   `Option<Claims<C>>`, answers 500.
//! - With [aide](https://docs.rs/aide), a handler takes `Extension<Claims<C>>`, which aide knows as an extractor without
//!   parameters of its own.
//!
//! # In tonic
//!
//! - `Server::builder().layer(JwtAuthLayer::new(verifier).on_reject(Grpc::new()))` guards all services; here the layer that is added
//!   first runs first. For a layer on one service there is `tonic::service::LayerExt`: `layer.named_layer(service)`.
//! - A handler finds its claims with [`Claims::find(request.extensions())`](Claims::find). A policy sees
//!   `/package.Service/Method` as the path.
//! - A stream outlives the moment in which its token was judged: end it at [`TokenInfo::expires_at`](token::TokenInfo::expires_at).
//!
//! # In MCP servers
//!
//! - [`ProtectedResource`](resource_metadata::ProtectedResource) tells clients where to get a token, as the Model Context Protocol requires.
//! - The streamable HTTP service of [rmcp](https://docs.rs/rmcp) hands the parts of the request to its tools. A tool takes
//!   `Extension(parts): Extension<http::request::Parts>` (of `rmcp::handler::server::tool`) and finds its claims with
//!   [`Claims::find(&parts.extensions)`](Claims::find). They are those of the request that carries the call, so they are new
//!   for each call of a session.
//!
//! # Features
//!
//! | feature | default | what it does |
//! |---|---|---|
//! | `aws-lc-rs` | yes | RSA, EC, Ed25519 and ML-DSA signatures are checked by [AWS-LC](https://docs.rs/aws-lc-rs): the fastest; builds a C library |
//! | `rust-crypto` | no | they are checked by the [RustCrypto](https://github.com/RustCrypto) crates: Rust alone; no ML-DSA |
//! | `graviola` | no | they are checked by [graviola](https://docs.rs/graviola): no C compiler, x86-64 and aarch64 only; no ES512, no ML-DSA |
//! | `remote-keys` | no | `RemoteKeys`: keys from any OpenID provider, fetched by `HttpsClient`, which brings its own TLS (rustls on aws-lc-rs, so that it builds a C library) |
//! | `remote-keys-core` | no | `RemoteKeys` without an HTTP client, for an `HttpClient` of your own; `IssuerResolver`: tenants that are looked up, in a database for example |
//! | `issue` | no | `TokenIssuer`: tokens of one's own, and keys that rotate |
//! | `shared-revocations` | no | `SharedRevocations`: what is revoked in one process is in all of them, by a store of your own |
//! | `redis` | no | `RedisStore`: the same by [Redis](https://redis.io) or [Valkey](https://valkey.io) |
//! | `redis-tls` | no | TLS for it (`rediss://`): rustls on aws-lc-rs, so that it builds a C library |
//! | `test-util` | no | for tests: `TokenIssuer::for_tests`, and `check_revocation_store` for a store of your own. Switch it on under `[dev-dependencies]`; includes `issue` |
//! | `tracing` | no | an event for each refusal, and for what goes wrong in the background, by [`tracing`](https://docs.rs/tracing) |
//! | `metrics` | no | counts and times, by [`metrics`](https://docs.rs/metrics) |
//! | `jsonwebtoken-12` | no | conversions from and to the algorithms and JWKs of [jsonwebtoken](https://docs.rs/jsonwebtoken/12) 12 |
//! | `axum` | yes | [`Claims`], `Option<Claims<C>>` and `Permitted<C, P>` are extractors of axum 0.8 |
//!
//! At least one of the first three is needed; of several that are on, the first in this list is used. No back
//! end sets anything for the whole process. (`redis-tls` may install a provider for rustls: see `RedisStore::new`.)
//!
//! Choose `aws-lc-rs` where a C compiler is at hand: it is the fastest on the whole. Choose `graviola` where none is, and
//! the processor is of the last ten years: it needs Rust 1.89, takes RSA keys of a multiple of 64 bits only, and is young.
//! Choose `rust-crypto` everywhere else: it takes six times as long for RS256 and five times for ES256. HMACs are checked by the crates `hmac` and `sha2` with all of them, so that none
//! checks an HMAC in a FIPS-validated module: where that is asked for, use public keys.
//!
//! The advisory [RUSTSEC-2023-0071](https://rustsec.org/advisories/RUSTSEC-2023-0071.html) is about private keys in the
//! `rsa` crate before 0.10, whose authors call that version the remedy. `rust-crypto` uses it: public keys, and with `issue`
//! private ones, to sign and always blinded. Where a scanner still names it, its database does not yet say which version is good.
//!
//! # Security
//!
//! - A key has one algorithm, fixed when it is made. A token's `alg` only selects among keys, so it cannot turn a public
//!   key into a secret, and `none` selects nothing.
//! - No address and no key out of a token (`jku`, `x5u`, `jwk`, `iss`) is ever used, and none that is not `https` (but for
//!   this machine's), unless the client is told to. The number of fetches that tokens can cause is bounded by a cooldown.
//! - `exp` is required, unless [`insecure_allow_missing_expiry`](JwtVerifier::insecure_allow_missing_expiry) is set. `iss` and `aud` are required, and compared byte for byte, where they are configured: configure
//!   both. A token that is for some audience is refused where none is configured.
//! - A policy that could not decide never becomes a yes, and a rule that names nothing permits nobody.
//! - What could be read in two ways is refused: claims that stand there twice, base64url that is not canonical, two
//!   credentials in one request.
//! - Everything that comes from the wire has a limit. Nothing of a token is logged, shown in an error or sent back.
//! - A bearer token is as good as a password to whoever holds it: serve it over TLS only, and keep its life short.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod algorithm;
pub mod cache;
mod caching;
mod challenge;
mod challenges;
mod claims;
mod conditions;
mod config_error;
mod credential;
mod crypto;
mod error;
#[cfg(feature = "axum")]
pub mod extract;
mod future;
mod gate;
// Its pages link to items of all these features.
#[cfg(all(
    doc,
    feature = "axum",
    feature = "issue",
    feature = "metrics",
    feature = "redis",
    feature = "remote-keys",
    feature = "test-util",
    feature = "tracing"
))]
#[cfg_attr(docsrs, doc(auto_cfg = false))]
pub mod guide;
mod head;
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
#[cfg(feature = "metrics")]
pub mod observability;
#[cfg_attr(
    not(all(feature = "remote-keys-core", feature = "shared-revocations")),
    allow(dead_code, unused_imports, reason = "it tells of all parts, of which some are off")
)]
mod observe;
pub mod policy;
mod principal;
mod public_json;
mod registered;
pub mod reject;
mod require;
pub mod resource_metadata;
pub mod revocation;
mod scheme;
mod service;
pub mod services;
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

/// The snippets of the README are tested with the documentation.
#[cfg(all(
    doctest,
    feature = "axum",
    feature = "issue",
    feature = "remote-keys",
    feature = "redis",
    feature = "test-util",
    feature = "tracing"
))]
#[doc = include_str!("../README.md")]
mod readme {}
