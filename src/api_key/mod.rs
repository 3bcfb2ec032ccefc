//! API keys for scripts and services (feature `api-keys`).
//!
//! [`ApiKeys`] verifies keys that you generate and hand out. Behind the layer, a request with a key has [`Claims`] like one
//! with a JWT. Policies, extractors and rejections work for both.
//!
//! ```
//! use http::{Request, Response};
//! use std::convert::Infallible;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_jwt_auth::api_key::{ApiKey, ApiKeyRecord, ApiKeys};
//! use tower_jwt_auth::policy::scope;
//! use tower_jwt_auth::{JwtAuthLayer, TokenSource};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Once for each key: show the key to its owner, and store the record.
//! let key = ApiKey::generate("acme")?;
//! println!("Your API key: {}", key.expose());
//! let record = ApiKeyRecord::new(&key, serde_json::json!({"scope": "orders:read"})).name("ci");
//! let stored = serde_json::to_string(&record)?;
//!
//! // In the service:
//! let keys = ApiKeys::<serde_json::Value>::new("acme", [serde_json::from_str(&stored)?])?;
//! let layer = JwtAuthLayer::new(keys)
//!     .add_token_source(TokenSource::header("x-api-key".parse()?))
//!     .require(scope("orders:read"));
//! let service = ServiceBuilder::new()
//!     .layer(layer)
//!     .service(service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new()))));
//!
//! // Authorization: Bearer acme_.., or:
//! let request = Request::get("/").header("x-api-key", key.expose()).body(())?;
//! assert_eq!(service.clone().oneshot(request).await?.status(), 200);
//!
//! let mistyped = key.expose().replace("acme_", "acme_x");
//! let request = Request::get("/").header("x-api-key", mistyped).body(())?;
//! assert_eq!(service.oneshot(request).await?.status(), 401);
//! # Ok(())
//! # }
//! ```
//!
//! To accept JWTs as well, route by the prefix: `AnyOf::new().prefix("acme_", keys)?.jwt(verifier)`, see
//! [`AnyOf`](crate::verifiers::AnyOf).
//!
//! # Why a fast hash is enough
//!
//! A slow hash such as bcrypt protects passwords, because people choose passwords that can be guessed. The secret of a key
//! is 178 random bits. Nobody can guess it, with any number of attempts and with any hash. A slow hash would add 100 ms of
//! processor time to each request, and a flood of invented keys would overload the service. So the stored hash is one
//! HMAC-SHA-256, which takes less than a microsecond.

mod form;
mod key;
mod record;
mod rules;
mod table;

use std::fmt::{self, Formatter};
use std::sync::Arc;
use std::time::SystemTime;

pub use self::key::ApiKey;
pub use self::record::ApiKeyRecord;
use self::rules::Rules;
use self::table::KeyTable;
#[cfg(doc)]
use crate::claims::Claims;
use crate::config_error::ConfigError;
use crate::credential::Credential;
use crate::revocation::Revocations;
use crate::verify::{Verdict, Verify};

/// Verifies API keys with one prefix.
///
/// The [module](self) has an example.
///
/// # Rejections
///
/// | the key | kind | status |
/// |---|---|---|
/// | has another form or prefix, or the checksum is wrong | [`MalformedApiKey`](Kind::MalformedApiKey) | 401 |
/// | is unknown, or its secret is wrong | [`InvalidToken`](Kind::InvalidToken) | 401 |
/// | has expired | [`Expired`](Kind::Expired) | 401 |
/// | has been revoked | [`Revoked`](Kind::Revoked) | 401 |
/// | may have been revoked: the list is out of date | [`RevocationsUnavailable`](Kind::RevocationsUnavailable) | 503 |
///
/// Clients get the same response for an unknown key as for a wrong secret, after the same time. The last three are only for
/// clients that have the secret.
///
/// # Claims, logs and revocation
///
/// [`TokenInfo`](crate::token::TokenInfo) has the prefix as the issuer, the ID of the key as the `kid`, and its expiry.
/// Log events have these as `issuer` and `kid`, and the name of the record as `key_name`. They contain no ID that a client
/// has invented.
///
/// Revoke a key by its prefix and ID. Pass `None` as the expiry, unless the record has one:
///
/// ```
/// use tower_jwt_auth::api_key::{ApiKey, ApiKeyRecord, ApiKeys};
/// use tower_jwt_auth::revocation::Revocations;
/// use tower_jwt_auth::AuthErrorKind;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_jwt_auth::ConfigError> {
/// use tower_jwt_auth::{Credential, Verify};
///
/// let key = ApiKey::generate("acme")?;
/// let revocations = Revocations::new();
/// let keys = ApiKeys::new("acme", [ApiKeyRecord::new(&key, "Eze")])?.revocations(revocations.clone());
/// assert_eq!(*keys.verify(key.expose().into()).await.unwrap(), "Eze");
///
/// drop(revocations.revoke_token("acme", key.id(), None));
/// let error = keys.verify(key.expose().into()).await.unwrap_err();
/// assert_eq!(error.kind(), AuthErrorKind::Revoked);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct ApiKeys<C> {
    rules: Arc<Rules>,
    keys: Arc<KeyTable<C>>,
}

#[cfg(doc)]
use crate::kind::AuthErrorKind as Kind;

impl<C> ApiKeys<C> {
    /// Creates a verifier for a fixed set of keys.
    ///
    /// `prefix` is that of [`ApiKey::generate`], without the underscore. A key is found at once, without waiting and without
    /// an allocation.
    ///
    /// # Errors
    ///
    /// - The prefix is not a letter and up to 31 letters, digits and `_`.
    /// - Two records have the same ID.
    /// - The ID or the hash of a record is malformed. The error names the ID.
    pub fn new(
        prefix: &str,
        records: impl IntoIterator<Item = ApiKeyRecord<C>>,
    ) -> Result<Self, ConfigError> {
        let rules = Arc::new(Rules::new(prefix)?);
        Ok(Self { rules, keys: Arc::new(KeyTable::new(prefix, records)?) })
    }

    /// Rejects the keys on this list.
    ///
    /// An entry has the prefix as its issuer, and the ID of the key as its `jti`.
    pub fn revocations(self, revocations: Revocations) -> Self {
        self.set(|rules| rules.revocations = Some(revocations))
    }

    /// Replaces the system clock, for tests.
    pub fn clock(self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.set(|rules| rules.clock = Some(Arc::new(now)))
    }

    fn set(mut self, change: impl FnOnce(&mut Rules)) -> Self {
        change(Arc::make_mut(&mut self.rules));
        self
    }
}

impl<C: Send + Sync> Verify for ApiKeys<C> {
    type Claims = C;

    fn verify(&self, credential: Credential<'_>) -> Verdict<C> {
        let key = self.rules.read(credential.token());
        Verdict::Ready(key.and_then(|key| {
            let found = self.keys.get(&key.id);
            self.rules.judge(key, found).cloned()
        }))
    }
}

impl<C> Clone for ApiKeys<C> {
    fn clone(&self) -> Self {
        Self { rules: Arc::clone(&self.rules), keys: Arc::clone(&self.keys) }
    }
}

impl<C> fmt::Debug for ApiKeys<C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeys").field("prefix", &self.rules.prefix).finish_non_exhaustive()
    }
}
