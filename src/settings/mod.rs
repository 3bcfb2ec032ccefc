//! Settings from the environment or a file.
//!
//! Two variables protect a service:
//!
//! ```sh
//! AUTH_ISSUER=https://id.example.com
//! AUTH_AUDIENCE=https://api.example.com
//! ```
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
//! use axum::{Router, routing::get};
//! use tower_jwt_auth::settings::AuthSettings;
//! use tower_jwt_auth::{Claims, ConfigError, RegisteredClaims};
//!
//! fn app(settings: &AuthSettings) -> Result<Router, ConfigError> {
//!     let hello = async |user: Claims<RegisteredClaims>| format!("Hello {}", user.sub.as_deref().unwrap_or("nobody"));
//!     Ok(Router::new().route("/", get(hello)).layer(settings.layer::<RegisteredClaims>()?))
//! }
//!
//! # fn main() -> Result<(), ConfigError> {
//! # let variables = [("AUTH_ISSUER", "https://id.example.com"), ("AUTH_AUDIENCE", "https://api.example.com")];
//! # #[cfg(any())]
//! let settings = AuthSettings::from_env("AUTH")?;
//! # let settings = AuthSettings::from_vars("AUTH", variables)?;
//! let app = app(&settings)?;
//! # Ok(())
//! # }
//! ```
//!
//! The same settings can be part of any file that serde reads: [`AuthSettings`] shows one. The guide has a
//! [page](crate::guide::settings) about them.
//!
//! # All settings
//!
//! The variable of a setting has its name in upper case, with the prefix and `_` for each dot. A flag is `true` or
//! `false`.
//!
#![doc = include_str!("table.md")]

mod check;
mod client;
mod dpop;
mod fetch;
mod fields;
mod introspection;
mod issuer;
mod names;
mod raw;
mod secret_file;
mod sources;
#[cfg(test)]
mod tests;
mod values;
mod variables;

use std::ffi::OsString;
use std::fmt::{self, Formatter};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::de::{self, Deserialize, DeserializeOwned, Deserializer};

use self::issuer::{Issuer, Keys};
use self::names::Names;
use self::raw::Raw;
use self::sources::Sources;
use self::values::{ApiKeyValues, Values};
use crate::api_key::ApiKeys;
use crate::cache::CacheSettings;
use crate::config_error::ConfigError;
use crate::dpop::{Dpop, ReplayStore};
use crate::introspection::Introspection;
use crate::jwks::RemoteKeys;
use crate::layer::JwtAuthLayer;
use crate::revocation::Revocations;
use crate::verifiers::{AnyOf, Issuers};
use crate::verify::JwtVerifier;

/// The settings that a deployment changes, such as issuer, audience and keys.
///
/// Read them from [variables](Self::from_env), or as a part of your own settings in any format with types that serde knows:
///
/// ```
/// use tower_jwt_auth::settings::AuthSettings;
///
/// #[derive(serde::Deserialize)]
/// struct Settings {
///     auth: AuthSettings,
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let settings: Settings = serde_json::from_str(
///     r#"{"auth": {
///         "issuer": "https://id.example.com",
///         "audience": ["https://api.example.com"],
///         "cache": {"max_entries": 50000}
///     }}"#,
/// )?;
/// let layer = settings.auth.layer::<serde_json::Value>()?;
///
/// let typo = serde_json::from_str::<AuthSettings>(r#"{"isuer": "https://id.example.com"}"#).err().unwrap();
/// assert_eq!(typo.to_string(), "unknown setting `isuer`; did you mean `issuer`?");
/// # Ok(())
/// # }
/// ```
///
/// JWTs of several issuers, [opaque tokens](crate::introspection) and [API keys](crate::api_key) can be configured at once.
/// Each credential goes to one verifier, by its form: see [`AnyOf`].
///
/// The settings create the same verifiers and layers as the builders, with the same defaults. There are these differences:
///
/// - An issuer and an audience are required. To accept any, set `insecure_any_issuer` or `insecure_any_audience`. For
///   opaque tokens, required claims or `access_tokens_only` suffice.
/// - Numbers have limits, so that a typo cannot turn a check off.
/// - Settings that contradict each other or have no effect are errors.
/// - Keys and secrets in files, and the file of root certificates, are read again when they change, as with
///   [`KeyFile`](crate::keys::KeyFile).
/// - The file of the secret for DPoP nonces is read once.
/// - If opaque tokens are configured and JWTs are not, the provider is also asked about JWTs.
///
/// All verifiers and layers of these settings and their clones share the keys of JWTs. Nothing is read or fetched before the
/// first one is created.
///
/// # Security
///
/// Neither errors nor `Debug` show a secret. An error names the setting and never quotes its value, unless it is the URL of a
/// provider. The errors of a parser, such as for a file that is not valid TOML, are not errors of this crate and may quote lines.
#[derive(Clone, Default)]
pub struct AuthSettings {
    values: Arc<Values>,
    /// The paths of the settings that are not at their defaults.
    set: Arc<[&'static str]>,
    names: Names,
    revocations: Option<Revocations>,
    replay_store: Option<Arc<dyn ReplayStore>>,
    sources: Arc<OnceLock<Sources>>,
}

impl AuthSettings {
    /// Reads the variables of the process that begin with `prefix` and `_`.
    ///
    /// With the prefix `AUTH`, the setting `issuer` is `AUTH_ISSUER`, and `cache.max_age_secs` is `AUTH_CACHE_MAX_AGE_SECS`.
    ///
    /// - A list is separated by commas: `AUTH_AUDIENCE=https://a.example.com,https://b.example.com`.
    /// - `AUTH_REQUIRED_CLAIMS` is a JSON object: `{"email_verified": true}`.
    /// - A list of issuers in `AUTH_ISSUER` has one audience in common, and the keys of each are discovered. Issuers with
    ///   their own settings (`issuers`) need a file.
    /// - The variables that Kubernetes sets for a service with the name of the prefix are ignored.
    ///
    /// # Errors
    ///
    /// A variable is unknown, empty, not UTF-8, or not of the right type. Other errors are those of [`verifier`](Self::verifier).
    pub fn from_env(prefix: &str) -> Result<Self, ConfigError> {
        Self::from_vars(prefix, std::env::vars_os())
    }

    /// Like [`from_env`](Self::from_env), with variables that you pass, for example in tests.
    ///
    /// ```
    /// use tower_jwt_auth::settings::AuthSettings;
    ///
    /// let variables = [("AUTH_ISSUER", "https://id.example.com"), ("AUTH_LEEWAY_SECS", "1m")];
    /// let error = AuthSettings::from_vars("AUTH", variables).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "invalid setting `AUTH_LEEWAY_SECS`: it needs a whole number of seconds from 0 to 3600"
    /// );
    /// ```
    ///
    /// # Errors
    ///
    /// The same as for [`from_env`](Self::from_env).
    pub fn from_vars<N, V>(
        prefix: &str,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, ConfigError>
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let prefix = prefix.trim_end_matches('_');
        if prefix.is_empty() {
            let reason =
                "it is empty, so that every variable would be a setting; use a prefix such as `AUTH`";
            return Err(Names::Fields.invalid("prefix", reason));
        }
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        let names = Names::Variables { prefix: prefix.to_owned() };
        Self::checked(variables::read(&names, prefix, variables)?, names)
    }

    /// Rejects credentials that are on this revocation list. By default there is none.
    #[must_use]
    pub fn revocations(self, revocations: Revocations) -> Self {
        Self { revocations: Some(revocations), ..self }
    }

    /// Shares accepted DPoP proofs with other processes.
    ///
    /// By default each process has its own memory. It has no effect unless `dpop.public_url` is set. See [`Dpop::replay_store`].
    #[must_use]
    pub fn replay_store(self, store: impl ReplayStore + 'static) -> Self {
        Self { replay_store: Some(Arc::new(store)), ..self }
    }

    /// Creates the verifier.
    ///
    /// It accepts the JWTs of all configured issuers, opaque tokens if `introspection` is configured, and API keys if
    /// `api_keys` is.
    ///
    /// # Errors
    ///
    /// - Nothing is configured that verifies credentials, or keys without an issuer or an audience.
    /// - Two settings contradict each other, or one has no effect.
    /// - A file cannot be read, or a key, secret or URL is invalid.
    pub fn verifier<C>(&self) -> Result<AnyOf<C>, ConfigError>
    where
        C: DeserializeOwned + Send + Sync + 'static,
    {
        let sources = self.sources()?;
        let mut verifier = AnyOf::new();
        if let Some(provider) = &sources.provider {
            if self.revocations.is_some() && self.values.introspection.issuer.is_none() {
                let reason =
                    "the revocation list finds a token by its issuer; set the issuer of opaque tokens";
                return Err(self.names.missing("introspection.issuer", reason));
            }
            let opaque = provider.verifier(&self.values, &self.names)?;
            let opaque = self.revocations.iter().cloned().fold(opaque, Introspection::revocations);
            let opaque = self.dpop()?.into_iter().fold(opaque, Introspection::dpop);
            // The provider can also be asked about JWTs, unless they are verified below.
            verifier = verifier.jwt(opaque.clone()).opaque(opaque);
        }
        let mut jwts = self.jwt_verifiers()?;
        verifier = match jwts.len() {
            0 => verifier,
            1 => verifier.jwt(jwts.remove(0)),
            _ => verifier.jwt(self.of_several(jwts)?),
        };
        let ApiKeyValues { prefix: Some(prefix), file: Some(file) } = &self.values.api_keys else {
            return Ok(verifier);
        };
        let keys = ApiKeys::file(prefix, file).map_err(|error| self.names.about("api_keys.file", error))?;
        let keys = self.revocations.iter().cloned().fold(keys, ApiKeys::revocations);
        verifier
            .prefix(&format!("{prefix}_"), keys)
            .map_err(|error| self.names.about("api_keys.prefix", error))
    }

    /// Creates the verifier of each issuer of JWTs, in the order of the settings.
    ///
    /// Tools need them to `explain` a token. Otherwise use [`verifier`](Self::verifier), which selects one by `iss`. Each
    /// call creates new verifiers, with caches of their own.
    ///
    /// # Errors
    ///
    /// The same as for [`verifier`](Self::verifier).
    pub fn jwt_verifiers<C>(&self) -> Result<Vec<JwtVerifier<C>>, ConfigError>
    where
        C: DeserializeOwned + Send + Sync + 'static,
    {
        let issuers = sources::issuers(&self.values, &self.names);
        let verifiers = issuers.iter().zip(&self.sources()?.keys);
        let dpop = self.dpop()?;
        let verifier = |(issuer, keys): (&Issuer<'_>, &Keys)| {
            let verifier = self.limited(issuer.verifier(keys.clone())?);
            Ok(dpop.iter().cloned().fold(verifier, JwtVerifier::dpop))
        };
        verifiers.map(verifier).collect()
    }

    /// Creates the layer, with the verifier and the settings of the challenge.
    ///
    /// # Errors
    ///
    /// The same as for [`verifier`](Self::verifier), or the realm, the scopes or the metadata URL of the challenge are
    /// invalid.
    pub fn layer<C>(&self) -> Result<JwtAuthLayer<AnyOf<C>>, ConfigError>
    where
        C: DeserializeOwned + Send + Sync + 'static,
    {
        let Values { realm, challenge_scope, resource_metadata_url, .. } = &*self.values;
        let mut layer = JwtAuthLayer::new(self.verifier()?);
        if let Some(realm) = realm {
            layer = layer.realm(realm).map_err(|error| self.names.about("realm", error))?;
        }
        if let Some(scope) = challenge_scope {
            layer =
                layer.challenge_scope(scope).map_err(|error| self.names.about("challenge_scope", error))?;
        }
        if let Some(url) = resource_metadata_url {
            let about = |error| self.names.about("resource_metadata_url", error);
            layer = layer.resource_metadata(url).map_err(about)?;
        }
        Ok(layer)
    }

    /// Returns the fetched keys of all verifiers of these settings, for health checks.
    ///
    /// There is one for each issuer whose keys are fetched, also for signed introspection responses. It is empty if all keys
    /// are in files or variables.
    ///
    /// ```
    /// use tower_jwt_auth::ConfigError;
    /// use tower_jwt_auth::jwks::RemoteKeys;
    /// use tower_jwt_auth::settings::AuthSettings;
    ///
    /// /// Waits at start-up, and returns the check for a readiness probe.
    /// async fn readiness(settings: &AuthSettings) -> Result<impl Fn() -> bool, ConfigError> {
    ///     let keys = settings.remote_keys()?;
    ///     for keys in &keys {
    ///         if let Err(error) = keys.ready().await {
    ///             eprintln!("no keys yet: {error}");
    ///         }
    ///     }
    ///     Ok(move || keys.iter().all(RemoteKeys::is_ready))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The same as for [`verifier`](Self::verifier).
    pub fn remote_keys(&self) -> Result<Vec<RemoteKeys>, ConfigError> {
        Ok(self.sources()?.remote_keys())
    }

    fn checked(entries: Vec<(String, Raw)>, names: Names) -> Result<Self, ConfigError> {
        let (values, set) = check::check(entries, &names)?;
        Ok(Self { values: Arc::new(values), set: set.into(), names, ..Self::default() })
    }

    /// Returns the settings for DPoP, with the store of proofs.
    fn dpop(&self) -> Result<Option<Dpop>, ConfigError> {
        let dpop = self.sources()?.dpop.clone();
        Ok(match &self.replay_store {
            Some(store) => dpop.map(|dpop| dpop.replay_store(Arc::clone(store))),
            None => dpop,
        })
    }

    /// Returns the parts that all verifiers share, which are read once.
    fn sources(&self) -> Result<&Sources, ConfigError> {
        if let Some(sources) = self.sources.get() {
            return Ok(sources);
        }
        // An error is not kept: a file may be mounted later.
        let sources = Sources::read(&self.values, &self.set, &self.names)?;
        Ok(self.sources.get_or_init(|| sources))
    }

    fn of_several<C>(&self, verifiers: Vec<JwtVerifier<C>>) -> Result<Issuers<C>, ConfigError>
    where
        C: DeserializeOwned + Send + Sync + 'static,
    {
        let setting = if self.values.issuers.is_empty() { "issuer" } else { "issuers" };
        let issuers = Issuers::new(verifiers).map_err(|error| self.names.about(setting, error))?;
        Ok(self.values.max_token_bytes.into_iter().fold(issuers, Issuers::max_token_bytes))
    }

    /// Applies the limits that all issuers have in common.
    fn limited<C>(&self, mut verifier: JwtVerifier<C>) -> JwtVerifier<C> {
        let Values { leeway_secs, max_token_bytes, cache, .. } = &*self.values;
        if let Some(seconds) = leeway_secs {
            verifier = verifier.leeway(Duration::from_secs(*seconds));
        }
        if let Some(bytes) = max_token_bytes {
            verifier = verifier.max_token_bytes(*bytes);
        }
        if let Some(revocations) = &self.revocations {
            verifier = verifier.revocations(revocations.clone());
        }
        if cache.enabled == Some(false) {
            return verifier.without_cache();
        }
        let mut settings = CacheSettings::new();
        if let Some(entries) = cache.max_entries {
            settings = settings.max_entries(entries);
        }
        if let Some(bytes) = cache.max_bytes {
            settings = settings.max_bytes(bytes);
        }
        if let Some(seconds) = cache.max_age_secs {
            settings = settings.max_age(Duration::from_secs(seconds));
        }
        verifier.cache(settings)
    }
}

impl<'de> Deserialize<'de> for AuthSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Raw::deserialize(deserializer)? {
            Raw::Table(entries) => Self::checked(entries, Names::Fields).map_err(de::Error::custom),
            _ => Err(de::Error::custom("expected a table of settings")),
        }
    }
}

/// Shows the names of the settings that are set, and no value: a secret may be in the wrong setting.
impl fmt::Debug for AuthSettings {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthSettings").field("set", &self.set).finish_non_exhaustive()
    }
}
