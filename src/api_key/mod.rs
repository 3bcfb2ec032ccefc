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
mod lookup;
mod record;
mod rules;
mod table;

use std::error::Error;
use std::fmt::{self, Formatter};
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use serde::de::DeserializeOwned;

pub use self::key::ApiKey;
use self::lookup::KeyLookup;
pub use self::record::ApiKeyRecord;
use self::rules::{PresentedKey, Rules};
use self::table::KeyTable;
#[cfg(doc)]
use crate::claims::Claims;
use crate::config_error::ConfigError;
use crate::credential::Credential;
use crate::file_follower::FileFollower;
#[cfg(doc)]
use crate::kind::AuthErrorKind as Kind;
use crate::lookups::{LookupSettings, LookupStats};
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
/// clients that have the secret. A [`lookup`](Self::lookup) that fails is 503, [`Unavailable`](Kind::Unavailable).
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
    source: Source<C>,
}

/// The records of the keys.
enum Source<C> {
    Fixed(Arc<KeyTable<C>>),
    File(FileFollower<KeyTable<C>>),
    Lookup(KeyLookup<C>),
}

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
        Ok(Self { rules, source: Source::Fixed(Arc::new(KeyTable::new(prefix, records)?)) })
    }

    /// Creates a verifier for the keys in a file, which it reads again.
    ///
    /// The file is a JSON array of [records](ApiKeyRecord). A background task reads it every five seconds. A change takes
    /// effect within 10 s. The task runs in the tokio runtime of the first use, whose timers must be enabled. Outside
    /// a runtime, the keys stay those of the first read.
    ///
    /// If the file cannot be read, is larger than 1 MiB or has an unusable record, the last good keys stay in use. The log
    /// and the metric `jwt_auth_file_reads_total` show it.
    ///
    /// ```no_run
    /// use tower_jwt_auth::api_key::ApiKeys;
    ///
    /// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// let keys = ApiKeys::<serde_json::Value>::file("acme", "/etc/my-service/api-keys.json")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - The file cannot be read, or is not a JSON array of records.
    /// - A member at any depth has a name that begins with `$serde_json::private::`.
    /// - One of the errors of [`new`](Self::new).
    ///
    /// # Security
    ///
    /// A deleted file does not withdraw its keys. To withdraw all keys, write an empty array.
    pub fn file(prefix: &str, path: impl AsRef<Path>) -> Result<Self, ConfigError>
    where
        C: DeserializeOwned + Send + Sync + 'static,
    {
        let rules = Arc::new(Rules::new(prefix)?);
        let prefix = prefix.to_owned();
        let file = FileFollower::open(path, move |json| KeyTable::from_json(&prefix, json))?;
        Ok(Self { rules, source: Source::File(file) })
    }

    /// Creates a verifier that looks up the records of keys, by their ID.
    ///
    /// The records may be in a database, for example.
    /// `look_up` returns `None` for an ID that does not exist. It returns an error if it cannot tell: the request then gets
    /// 503 with [`Unavailable`](Kind::Unavailable). So does a request whose lookup times out. Only keys with a right
    /// checksum cause a lookup.
    ///
    /// ```
    /// use tower_jwt_auth::ConfigError;
    /// use tower_jwt_auth::api_key::{ApiKeyRecord, ApiKeys};
    ///
    /// #[derive(Clone)]
    /// struct Database; // a connection pool
    ///
    /// impl Database {
    ///     async fn hash_and_owner(&self, id: &str) -> std::io::Result<Option<(String, String)>> {
    ///         // SELECT hash, owner FROM api_keys WHERE id = ..
    /// #       Ok((id == "4vJ8kQ2mX7Zp").then(Default::default))
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), ConfigError> {
    /// # let database = Database;
    /// let keys = ApiKeys::lookup("acme", move |id: String| {
    ///     let database = database.clone(); // for each lookup
    ///     async move {
    ///         let row = database.hash_and_owner(&id).await?;
    ///         Ok::<_, std::io::Error>(row.map(|(hash, owner)| ApiKeyRecord::from_parts(id, hash, owner)))
    ///     }
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Remembered records
    ///
    /// A record is remembered by its ID for 60 s, so most requests need no lookup. A key that is deleted or changed in the
    /// database is rejected after this time at the latest, and at once after [`forget`](Self::forget). An unknown ID is
    /// remembered for 5 s. [`lookup_settings`](Self::lookup_settings) sets these times and the limits.
    ///
    /// A lookup runs in the tokio runtime of the request, whose timers must be enabled. It continues if its client
    /// disconnects.
    ///
    /// # Errors
    ///
    /// The prefix is not a letter and up to 31 letters, digits and `_`.
    ///
    /// # Security
    ///
    /// Anyone can send keys with invented IDs and right checksums. Their lookups are limited, and never evict or delay
    /// remembered keys. During such a flood, other keys may get 503.
    ///
    /// The response time may tell whether an ID exists. IDs are not secret.
    pub fn lookup<F, Fut, E>(prefix: &str, look_up: F) -> Result<Self, ConfigError>
    where
        F: Fn(String) -> Fut + Send + Sync + 'static, // Clone first: `move |id| { let db = db.clone(); async move { .. } }`.
        Fut: Future<Output = Result<Option<ApiKeyRecord<C>>, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>, // Name it: `Ok::<_, YourError>(..)`.
    {
        let rules = Arc::new(Rules::new(prefix)?);
        Ok(Self { rules, source: Source::Lookup(KeyLookup::new(look_up)) })
    }

    /// Sets the limits of a [`lookup`](Self::lookup). Forgets all remembered records.
    ///
    /// The default is [`LookupSettings::new`]. Verifiers without a lookup ignore it.
    pub fn lookup_settings(mut self, settings: LookupSettings) -> Self {
        if let Source::Lookup(lookup) = &mut self.source {
            lookup.set(settings);
        }
        self
    }

    /// Returns the statistics of the [`lookup`](Self::lookup), or `None` without one.
    #[must_use]
    pub fn lookup_stats(&self) -> Option<LookupStats> {
        match &self.source {
            Source::Lookup(lookup) => Some(lookup.stats()),
            _ => None,
        }
    }

    /// Forgets the looked-up record of a key, so that a change takes effect at once.
    ///
    /// It has an effect on this verifier and its clones only. The answer of a running lookup is not used: its requests get
    /// 503 and may retry.
    pub fn forget(&self, id: &str) {
        if let Source::Lookup(lookup) = &self.source {
            lookup.forget(id);
        }
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

impl<C: Send + Sync + 'static> Verify for ApiKeys<C> {
    type Claims = C;

    fn verify(&self, credential: Credential<'_>) -> Verdict<C> {
        let key = match self.rules.read(credential.token()) {
            Ok(key) => key,
            Err(error) => return Verdict::Ready(Err(error)),
        };
        let judge = |key: PresentedKey, keys: &KeyTable<C>| {
            let found = keys.get(&key.id);
            Verdict::Ready(self.rules.judge(key, found).cloned())
        };
        match &self.source {
            Source::Fixed(keys) => judge(key, keys),
            Source::File(file) => judge(key, &file.current()),
            Source::Lookup(lookup) => lookup.verify(&self.rules, key),
        }
    }
}

impl<C> Clone for ApiKeys<C> {
    fn clone(&self) -> Self {
        Self { rules: Arc::clone(&self.rules), source: self.source.clone() }
    }
}

impl<C> Clone for Source<C> {
    fn clone(&self) -> Self {
        match self {
            Self::Fixed(keys) => Self::Fixed(Arc::clone(keys)),
            Self::File(file) => Self::File(file.clone()),
            Self::Lookup(lookup) => Self::Lookup(lookup.clone()),
        }
    }
}

impl<C> fmt::Debug for ApiKeys<C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeys").field("prefix", &self.rules.prefix).finish_non_exhaustive()
    }
}
