//! DPoP: tokens that are bound to a key of the client (RFC 9449, feature `dpop`).
//!
//! The provider writes the thumbprint of a client's key into the token: `cnf.jkt`. With each request, the client signs a small
//! JWT for this method, URL and token: the *proof*, in the header `DPoP`. A stolen token is worthless without the key.
//!
#![cfg_attr(feature = "issue", doc = "```")]
#![cfg_attr(not(feature = "issue"), doc = "```ignore")]
//! use http::{Method, Request, Response};
//! use serde_json::{Value, json};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_jwt_auth::dpop::{Dpop, DpopKey};
//! use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
//! use tower_jwt_auth::token::Binding;
//! use tower_jwt_auth::{Algorithm, JwtAuthLayer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let issuer = TokenIssuer::new(SigningKey::generate(Algorithm::ES256)?, "https://id.example.com");
//! let verifier = issuer.verifier::<Value>().dpop(Dpop::new("https://api.example.com")?);
//! # let handler = service_fn(async |_: Request<String>| Ok::<_, std::convert::Infallible>(Response::new(String::new())));
//! let service = JwtAuthLayer::new(verifier).layer(handler);
//!
//! let key = DpopKey::generate(Algorithm::ES256)?; // the client keeps it
//! let token = issuer.bound_to(Binding::to_key(key.thumbprint())).issue(&json!({"sub": "42"}))?;
//! let proof = key.proof(&Method::GET, "https://api.example.com/orders", Some(token.as_str()), None)?;
//!
//! let request = |authorization: String| {
//!     let request = Request::get("/orders").header("authorization", authorization);
//!     request.header("dpop", &proof).body(String::new()).unwrap()
//! };
//! let good = service.clone().oneshot(request(format!("DPoP {}", token.as_str()))).await?;
//! assert_eq!(good.status(), 200);
//! let replayed = service.clone().oneshot(request(format!("DPoP {}", token.as_str()))).await?;
//! assert_eq!(replayed.status(), 401);
//! let stolen = service.oneshot(request(format!("Bearer {}", token.as_str()))).await?;
//! assert_eq!(stolen.status(), 401);
//! # Ok(())
//! # }
//! ```
//!
//! [`JwtVerifier::dpop`](crate::JwtVerifier::dpop) and `Introspection::dpop` accept bound tokens. Bearer tokens are still
//! accepted, unless [`Dpop::required`] is set. The [guide](crate::guide::sender_constrained) has a page about providers,
//! proxies and browsers.
//!
//! # Checks
//!
//! The token is verified first, as any other. Then come these checks, in this order
//! ([RFC 9449, section 4.3](https://www.rfc-editor.org/rfc/rfc9449#section-4.3)). The first that fails decides the
//! [kind](crate::AuthErrorKind) of the error.
//!
//! | check | kind |
//! |---|---|
//! | the token has `cnf` with `jkt` ([section 6.1](https://www.rfc-editor.org/rfc/rfc9449#section-6.1)) | `MissingBinding` |
//! | its scheme is `DPoP` ([section 7.1](https://www.rfc-editor.org/rfc/rfc9449#section-7.1)) | `SenderConstrained` |
//! | there is a header `DPoP` | `MissingProof` |
//! | there is one, and it is a JWT with `typ` `dpop+jwt`, an accepted `alg` and a public `jwk` | `MalformedProof` |
//! | the thumbprint of `jwk` is `cnf.jkt` ([RFC 7638](https://www.rfc-editor.org/rfc/rfc7638)) | `WrongProofKey` |
//! | the proof has `jti`, `htm`, `htu`, `iat` and `ath` | `MalformedProof` |
//! | `htm` is the method, and `htu` the URL of the request, without query | `WrongProofRequest` |
//! | `ath` is the SHA-256 of the token | `WrongProofToken` |
//! | with [`Dpop::nonces`]: `nonce` is a current nonce of this service | `WrongProofNonce` |
//! | `iat` is at most [`max_age`](Dpop::max_age) old and [`max_ahead`](Dpop::max_ahead) ahead | `WrongProofTime` |
//! | the signature | `InvalidProofSignature` |
//! | nobody has used the proof before ([section 11.1](https://www.rfc-editor.org/rfc/rfc9449#section-11.1)) | `ReplayedProof` |
//!
//! URLs are compared after normalization ([RFC 3986, section 6.2](https://www.rfc-editor.org/rfc/rfc3986#section-6.2)). `exp`
//! and `nbf` of a proof are checked if they are present.
//!
//! # Public URL
//!
//! A service does not know the URL that its clients use. [`Dpop::new`] takes it, and the path of the request as the layer sees
//! it follows. Add what a proxy or axum's `nest` removes from the path:
//!
//! | clients send | the layer sees | `Dpop::new` |
//! |---|---|---|
//! | `https://api.example.com/orders` | `/orders` | `https://api.example.com` |
//! | `https://example.com/api/orders` | `/orders` | `https://example.com/api` |
//!
//! [`Dpop::add_public_url`] is for several host names, [`Dpop::public_url_from`] for tenants behind a trusted proxy. `Host` and
//! `X-Forwarded-Host` are never read by themselves, because clients can write them.
//!
//! # Replays
//!
//! A process remembers each proof until it is too old, and accepts it once. Several processes each accept it once, unless they
//! share a [`ReplayStore`], such as `RedisReplayStore` (feature `redis`). A full memory without a store and a store that fails
//! reject new proofs with 503: the check is never skipped.
//!
//! Create one `Dpop` for a service, and give a clone to each verifier. If two layers verify the same request, each needs its
//! own: with clones of one, the second rejects the proof.
//!
//! # Challenges
//!
//! A 401 has a `WWW-Authenticate` field for each accepted scheme. The error is in that of the client's scheme:
//!
//! ```text
//! www-authenticate: Bearer realm="api"
//! www-authenticate: DPoP realm="api", error="invalid_dpop_proof",
//!     error_description="the DPoP proof is not for this request", algs="ES256 ES384 EdDSA PS256 RS256"
//! ```
//!
//! - `invalid_dpop_proof`: the proof is wrong.
//! - `use_dpop_nonce`: the client repeats the request with the nonce in `DPoP-Nonce`.
//! - `invalid_token`: the token is wrong, or bound to another key.
//!
//! A browser of another origin needs CORS: allow the request headers `Authorization` and `DPoP`, and expose `DPoP-Nonce` and
//! `WWW-Authenticate`.
//!
//! # Security
//!
//! - **Stolen tokens**, from a log, a database or another service, are useless without the key.
//! - **Stolen proofs** work for one method, URL and token, for a minute, and only if the client has not used them. The body, the
//!   query and other headers are not signed: TLS protects them.
//! - **Proofs made in advance**, by a script in the page, work later unless [`Dpop::nonces`] is set. Such a script can also
//!   sign proofs while it runs. A key that cannot be exported (WebCrypto) does not leave the browser.
//! - **Clocks.** Proofs are rejected if the clocks of client and service differ by more than `max_ahead` or `max_age`.
//!   Synchronize yours with NTP.
//! - **Load.** The key of a client is in its proof, so anyone with a bound token of your provider can cause the parsing of a
//!   key and a signature check. All other checks except replays come before the signature. Limit the rate of requests as you
//!   do for tokens.
//! - **Logs** have neither proofs nor nonces.

#[cfg(feature = "issue")]
pub use crate::issue::dpop_key::DpopKey;
#[cfg(feature = "redis")]
pub use crate::verify::dpop::RedisReplayStore;
pub use crate::verify::dpop::{Dpop, ProofId, ReplayFuture, ReplayStore};
