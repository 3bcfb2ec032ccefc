use std::fmt::{self, Formatter};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::form::{self, Id};
use super::key::ApiKey;
use crate::claims::{Claims, TokenInfo};
use crate::conditions::Conditions;
use crate::config_error::{ConfigError, ConfigProblem};
use crate::crypto::Fingerprint;
use crate::observe::{About, MayBeLogged};
use crate::registered::NumericDate;
use crate::verify::base64url::Buffer;
use crate::verify::heap_bytes_of_json;

/// The stored form of an API key: everything except the secret.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_jwt_auth::api_key::{ApiKey, ApiKeyRecord};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let key = ApiKey::generate("acme")?;
/// let record = ApiKeyRecord::new(&key, serde_json::json!({"scope": "orders:read"}))
///     .name("ci")
///     .expires_at(SystemTime::now() + Duration::from_secs(90 * 24 * 3600));
/// let json = serde_json::to_string(&record)?; // {"id":"..","hash":"..","claims":{..},"expires_at":..,"name":"ci"}
/// let stored: ApiKeyRecord<serde_json::Value> = serde_json::from_str(&json)?;
/// assert_eq!(stored.id, key.id());
/// # Ok(())
/// # }
/// ```
///
/// In JSON, `expires_at` is a number of seconds since 1970. `expires_at` and `name` may be absent. Other members are
/// an error: a misspelled `expires_at` would make a key that never expires.
///
/// # Security
///
/// The record contains no secret. Anyone who can write records can make keys, so protect them from changes.
///
/// If users choose names of members in the claims, reject names that begin with `$serde_json::private::` before you store
/// the record. With some features of serde_json, a `Value` would later read another value there. Only
/// [`ApiKeys::file`](super::ApiKeys::file) rejects such records itself.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ApiKeyRecord<C> {
    /// The public ID of the key.
    pub id: String,
    /// The [hash](ApiKey::hash) of the key.
    pub hash: String,
    /// The claims of requests with this key.
    ///
    /// Policies find scopes and roles in them, as in those of a JWT.
    pub claims: C,
    /// The time when the key expires. `None` means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<NumericDate>,
    /// A name for logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip)]
    claims_bytes: Option<usize>,
}

impl<C> ApiKeyRecord<C> {
    /// Creates the record of a new key.
    #[must_use]
    pub fn new(key: &ApiKey, claims: C) -> Self {
        Self::from_parts(key.id(), key.hash(), claims)
    }

    /// Creates a record from stored values, for example the columns of a database.
    ///
    /// [`ApiKeys`](super::ApiKeys) checks the form of the values.
    #[must_use]
    pub fn from_parts(id: impl Into<String>, hash: impl Into<String>, claims: C) -> Self {
        Self { id: id.into(), hash: hash.into(), claims, expires_at: None, name: None, claims_bytes: None }
    }

    /// Sets the time when the key expires. The default is never.
    ///
    /// The time is rounded down to whole seconds. There is no leeway.
    #[must_use]
    pub fn expires_at(self, time: SystemTime) -> Self {
        Self { expires_at: Some(NumericDate::from_system_time(time)), ..self }
    }

    /// Sets a name for logs, for example of the owner or the purpose.
    ///
    /// Log events contain it as `key_name`.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// Sets the heap memory of the claims in bytes, if it is far from 512 bytes.
    ///
    /// [`LookupSettings::max_bytes`](crate::verifiers::LookupSettings::max_bytes) limits the sum for all remembered
    /// records. `Value` and `Map<String, Value>` of `serde_json` are measured, so they need no size.
    #[must_use]
    pub fn claims_bytes(self, bytes: usize) -> Self {
        Self { claims_bytes: Some(bytes), ..self }
    }
}

impl<C: 'static> ApiKeyRecord<C> {
    /// Estimates the heap memory of the claims and of the facts for logs.
    pub(super) fn heap_bytes(&self, prefix: &str) -> usize {
        let of_claims = self.claims_bytes.or_else(|| heap_bytes_of_json(&self.claims));
        let facts = prefix.len() + self.id.len() + self.name.as_ref().map_or(0, String::len);
        of_claims.unwrap_or(USUAL_CLAIMS_BYTES).saturating_add(ABOUT_BYTES + facts)
    }
}

impl<C> ApiKeyRecord<C> {
    /// Returns the ID and the claims of a request with the key. The hash is in their conditions.
    ///
    /// The conditions do not contain the expiry: a key in the cache of lookups stays known after it.
    pub(super) fn into_claims(
        self,
        prefix: &str,
        judged_at: Duration,
    ) -> Result<(Id, Claims<C>), ConfigError> {
        let Self { id: text, hash, claims, expires_at, name, claims_bytes: _ } = self;
        let invalid = |reason| ConfigProblem::InvalidApiKeyRecord { id: text.clone(), reason }.into();
        let id = form::id(&text).ok_or_else(|| invalid("its ID is not 12 letters and digits"))?;
        let signer = decode(&hash).ok_or_else(|| {
            invalid("its hash is not 43 characters of base64url; ApiKey::hash returns the right one")
        })?;
        let expiry = expires_at.and_then(NumericDate::to_system_time);
        let info = TokenInfo::with(expiry, Some(prefix), Some(&text), MayBeLogged::default());
        let conditions = Conditions {
            judged_at,
            expires_at: Duration::MAX,
            signer,
            about: About::api_key(prefix, Some(&text), name.as_deref()),
            ..Conditions::default()
        };
        Ok((id, Claims::verified(claims, info, conditions)))
    }
}

/// The heap memory of claims whose type tells nothing about it.
const USUAL_CLAIMS_BYTES: usize = 512;
/// The memory of the facts for logs, except their texts: four allocations.
const ABOUT_BYTES: usize = 160;

fn decode(hash: &str) -> Option<Fingerprint> {
    Buffer::<64>::new().decode(hash.as_bytes())?.try_into().ok()
}

/// Shows neither the hash nor the claims.
impl<C> fmt::Debug for ApiKeyRecord<C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyRecord")
            .field("id", &self.id)
            .field("expires_at", &self.expires_at)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
