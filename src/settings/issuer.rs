//! One issuer: its keys and its verifier.

use std::path::PathBuf;

use http::header::AUTHORIZATION;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::client::Client;
use super::fetch;
use super::names::Names;
use super::secret_file::read_bearer_token;
use super::values::{IssuerValues, Values};
use crate::algorithm::Algorithm;
use crate::config_error::ConfigError;
use crate::jwks::RemoteKeys;
use crate::keys::KeyFile;
use crate::verify::{JwtVerifier, KeySet};

/// The settings of one issuer, and their names in errors.
pub(super) struct Issuer<'a> {
    pub(super) values: IssuerValues,
    pub(super) names: &'a Names,
    /// The place of the settings, with a dot at the end, or empty.
    pub(super) at: String,
}

/// The keys of one issuer.
#[derive(Clone)]
pub(super) enum Keys {
    Fetched(RemoteKeys),
    Followed(Vec<KeyFile>),
    Fixed(KeySet),
}

/// The setting that the keys come from.
#[derive(Clone, Copy, PartialEq)]
enum Source {
    DiscoveryUrl,
    JwksUrl,
    JwksFile,
    PemFiles,
    HmacSecret,
    HmacSecretFile,
    Discovery,
}

impl Source {
    fn path(self) -> &'static str {
        match self {
            Self::DiscoveryUrl => "discovery_url",
            Self::JwksUrl => "jwks_url",
            Self::JwksFile => "jwks_file",
            Self::PemFiles => "pem_files",
            Self::HmacSecret => "hmac_secret",
            Self::HmacSecretFile => "hmac_secret_file",
            Self::Discovery => "issuer",
        }
    }

    fn is_fetched(self) -> bool {
        self.is_discovered() || self == Self::JwksUrl
    }

    /// Returns true if the keys are those that the issuer publishes.
    fn is_discovered(self) -> bool {
        matches!(self, Self::Discovery | Self::DiscoveryUrl)
    }
}

impl Issuer<'_> {
    /// Reads the keys, or prepares to fetch them with the client that all issuers share.
    pub(super) fn keys(&self, all: &Values, client: &mut Option<Client>) -> Result<Keys, ConfigError> {
        let source = self.source()?;
        self.check(source, all)?;
        let values = &self.values;
        let rejected = |error| self.names.about(&self.path(source.path()), error);
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let hmac = values.hmac_algorithm.unwrap_or(Algorithm::HS256);
        let keys = match source {
            Source::Discovery | Source::DiscoveryUrl | Source::JwksUrl => {
                let client = Client::shared(client, &all.http, self.names)?;
                let keys = match source {
                    Source::DiscoveryUrl => {
                        let issuer = values.issuer.first().map_or("", String::as_str);
                        RemoteKeys::discover_at_with(issuer, &text(&values.discovery_url), client)
                    }
                    Source::JwksUrl => RemoteKeys::jwks_with(&text(&values.jwks_url), client),
                    _ => RemoteKeys::discover_with(&self.discovered()?, client),
                };
                let keys = self.authenticated(keys.map_err(rejected)?)?;
                Keys::Fetched(fetch::limited(keys, &all.fetch))
            }
            Source::JwksFile => {
                Keys::Followed(vec![KeyFile::jwks(text(&values.jwks_file)).map_err(rejected)?])
            }
            Source::PemFiles => Keys::Followed(self.pem_files()?),
            Source::HmacSecret => {
                let secret = values.hmac_secret.as_ref().map_or("", |secret| secret.expose());
                Keys::Fixed(KeySet::hmac(hmac, secret).map_err(rejected)?)
            }
            Source::HmacSecretFile => {
                let file = KeyFile::hmac(hmac, text(&values.hmac_secret_file)).map_err(rejected)?;
                Keys::Followed(vec![file])
            }
        };
        Ok(keys)
    }

    /// Adds the token to requests for the keys.
    fn authenticated(&self, keys: RemoteKeys) -> Result<RemoteKeys, ConfigError> {
        let Some(file) = &self.values.bearer_token_file else {
            return Ok(keys);
        };
        let path = PathBuf::from(file);
        read_bearer_token(&path).map_err(|error| self.names.about(&self.path("bearer_token_file"), error))?;
        Ok(keys.request_header(AUTHORIZATION, move || Ok(read_bearer_token(&path)?)))
    }

    /// Returns true if the settings may be those of several issuers.
    pub(super) fn may_be_several(&self) -> bool {
        self.values.bearer_token_file.is_none()
            && self.source().is_ok_and(|source| source == Source::Discovery)
    }

    /// Returns the keys if they were discovered at this issuer.
    pub(super) fn discovered_as(&self, issuer: &str, keys: &Keys) -> Option<RemoteKeys> {
        match keys {
            Keys::Fetched(keys) if self.values.issuer == [issuer] => {
                self.source().is_ok_and(Source::is_discovered).then(|| keys.clone())
            }
            _ => None,
        }
    }

    /// Returns the only source of keys.
    fn source(&self) -> Result<Source, ConfigError> {
        let values = &self.values;
        let sources = [
            (Source::DiscoveryUrl, values.discovery_url.is_some()),
            (Source::JwksUrl, values.jwks_url.is_some()),
            (Source::JwksFile, values.jwks_file.is_some()),
            (Source::PemFiles, !values.pem_files.is_empty()),
            (Source::HmacSecret, values.hmac_secret.is_some()),
            (Source::HmacSecretFile, values.hmac_secret_file.is_some()),
        ];
        let mut given = sources.into_iter().filter_map(|(source, is_given)| is_given.then_some(source));
        match (given.next(), given.next()) {
            (Some(one), Some(other)) => {
                Err(self.conflict(one.path(), other.path(), "both are sources of keys; remove one"))
            }
            (Some(source), None) => Ok(source),
            (None, _) if !values.issuer.is_empty() => Ok(Source::Discovery),
            (None, _) => Err(self.missing(
                "issuer",
                "there are no keys to verify tokens with; set the issuer, or another source of keys",
            )),
        }
    }

    fn check(&self, source: Source, all: &Values) -> Result<(), ConfigError> {
        self.check_issuer(source)?;
        self.check_audience()?;
        self.check_algorithms(source)?;
        let values = &self.values;
        if values.access_tokens_only && values.token_type.is_some() {
            let reason = "both require a `typ`; remove one";
            return Err(self.conflict("access_tokens_only", "token_type", reason));
        }
        if values.pem_algorithm.is_some() && source != Source::PemFiles {
            return Err(self.without_effect("pem_algorithm", "pem_files"));
        }
        if values.hmac_algorithm.is_some() && !matches!(source, Source::HmacSecret | Source::HmacSecretFile) {
            return Err(self.without_effect("hmac_algorithm", "hmac_secret"));
        }
        if source.is_fetched() {
            return fetch::check(&all.fetch, self.names);
        }
        match values.bearer_token_file {
            Some(_) => {
                let reason = "it has no effect, since no keys are fetched; remove it";
                Err(self.names.invalid(&self.path("bearer_token_file"), reason))
            }
            None => Ok(()),
        }
    }

    fn check_issuer(&self, source: Source) -> Result<(), ConfigError> {
        let values = &self.values;
        if !self.at.is_empty() {
            return self.check_selected_issuer();
        }
        match values.issuer.len() {
            0 if !values.insecure_any_issuer => Err(self.missing(
                "issuer",
                format!(
                    "without it any `iss` would be accepted; set it, or `{}` to true",
                    self.name("insecure_any_issuer")
                ),
            )),
            0 if source == Source::DiscoveryUrl => Err(self
                .missing("issuer", "the discovery document must name it; set the `issuer` of the document")),
            0 => Ok(()),
            _ if values.insecure_any_issuer => {
                Err(self.conflict("issuer", "insecure_any_issuer", "the issuer would be ignored; remove one"))
            }
            1 => Ok(()),
            _ if values.bearer_token_file.is_some() => {
                let reason = "a provider must not get the token for another; list each issuer in a file, under `issuers`";
                Err(self.conflict("issuer", "bearer_token_file", reason))
            }
            _ => {
                let reason = "the keys of one issuer must not sign for another; list each issuer with its keys in \
                              a file, under `issuers`";
                Err(self.conflict("issuer", source.path(), reason))
            }
        }
    }

    /// Checks the issuer of one of several, which are selected by it.
    fn check_selected_issuer(&self) -> Result<(), ConfigError> {
        let values = &self.values;
        if values.insecure_any_issuer {
            let reason = "it has no effect, since tokens are selected by their issuer; remove it";
            return Err(self.names.invalid(&self.path("insecure_any_issuer"), reason));
        }
        match values.issuer.len() {
            0 => Err(self.missing("issuer", "tokens are selected by it; set the `iss` of its tokens")),
            1 => Ok(()),
            _ => {
                let reason = "it needs one issuer; list each with its keys under `issuers`";
                Err(self.names.invalid(&self.path("issuer"), reason))
            }
        }
    }

    fn check_audience(&self) -> Result<(), ConfigError> {
        let IssuerValues { audience, insecure_any_audience, .. } = &self.values;
        match (audience.is_empty(), insecure_any_audience) {
            (true, false) => Err(self.missing(
                "audience",
                format!(
                    "a token for another API must not work for this one; set the `aud` of its tokens, or `{}` to true",
                    self.name("insecure_any_audience")
                ),
            )),
            (false, true) => Err(self.conflict(
                "audience",
                "insecure_any_audience",
                "the audience would be ignored; remove one",
            )),
            _ => Ok(()),
        }
    }

    fn check_algorithms(&self, source: Source) -> Result<(), ConfigError> {
        let values = &self.values;
        let (path, algorithm) = match source {
            Source::PemFiles => ("pem_algorithm", values.pem_algorithm),
            Source::HmacSecret | Source::HmacSecretFile => {
                ("hmac_algorithm", Some(values.hmac_algorithm.unwrap_or(Algorithm::HS256)))
            }
            _ => return Ok(()),
        };
        match algorithm {
            Some(algorithm) if !values.algorithms.is_empty() && !values.algorithms.contains(&algorithm) => {
                Err(self.conflict(
                    "algorithms",
                    path,
                    "every token would be rejected; add the algorithm, or remove the list",
                ))
            }
            _ => Ok(()),
        }
    }

    fn pem_files(&self) -> Result<Vec<KeyFile>, ConfigError> {
        let Some(algorithm) = self.values.pem_algorithm else {
            let reason =
                format!("a key in PEM does not name its algorithm, which `{}` need", self.name("pem_files"));
            return Err(self.missing("pem_algorithm", reason));
        };
        let open = |file: &String| {
            KeyFile::pem(algorithm, file).map_err(|error| self.names.about(&self.path("pem_files"), error))
        };
        self.values.pem_files.iter().map(open).collect()
    }

    /// Returns the issuer, which must be a URL. The error does not quote it: it may be a secret in the wrong place.
    fn discovered(&self) -> Result<String, ConfigError> {
        let issuer = self.values.issuer.first().cloned().unwrap_or_default();
        match ["https://", "http://"].iter().any(|scheme| issuer.starts_with(scheme)) {
            true => Ok(issuer),
            false => {
                let reason = "its keys are fetched, so it needs to begin with `https://`; or set another source of keys";
                Err(self.names.invalid(&self.path("issuer"), reason))
            }
        }
    }

    /// Creates the verifier for tokens of this issuer.
    pub(super) fn verifier<C>(&self, keys: Keys) -> Result<JwtVerifier<C>, ConfigError>
    where
        C: DeserializeOwned + Send + Sync + 'static,
    {
        let values = &self.values;
        let mut verifier = match keys {
            Keys::Fetched(keys) => JwtVerifier::new(keys),
            Keys::Fixed(keys) => JwtVerifier::new(keys),
            Keys::Followed(files) => with_files(files)?,
        };
        verifier = match values.insecure_any_issuer {
            true => verifier.insecure_any_issuer(),
            false => values.issuer.iter().fold(verifier, JwtVerifier::issuer),
        };
        verifier = values.audience.iter().fold(verifier, JwtVerifier::add_audience);
        if values.insecure_any_audience {
            verifier = verifier.insecure_any_audience();
        }
        if !values.algorithms.is_empty() {
            verifier = verifier.algorithms(values.algorithms.iter().copied());
        }
        if values.access_tokens_only {
            verifier = verifier.access_tokens_only();
        }
        if let Some(typ) = &values.token_type {
            verifier = verifier.token_type(typ);
        }
        Ok(accepted_values(&values.required_claims)
            .fold(verifier, |verifier, (name, value)| verifier.require_claim(name, value.clone())))
    }

    fn path(&self, path: &str) -> String {
        format!("{}{path}", self.at)
    }

    fn name(&self, path: &str) -> String {
        self.names.name(&self.path(path))
    }

    fn missing(&self, path: &str, reason: impl Into<String>) -> ConfigError {
        self.names.missing(&self.path(path), reason)
    }

    fn conflict(&self, one: &str, other: &str, reason: &'static str) -> ConfigError {
        self.names.conflict(&self.path(one), &self.path(other), reason)
    }

    fn without_effect(&self, path: &str, needed: &str) -> ConfigError {
        self.names
            .invalid(&self.path(path), format!("it has no effect without `{}`; remove it", self.name(needed)))
    }
}

/// Returns each claim with each of its accepted values.
pub(super) fn accepted_values(claims: &Map<String, Value>) -> impl Iterator<Item = (&str, &Value)> {
    claims.iter().flat_map(|(name, accepted)| {
        let values = match accepted {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        values.iter().map(move |value| (name.as_str(), value))
    })
}

fn with_files<C>(files: Vec<KeyFile>) -> Result<JwtVerifier<C>, ConfigError>
where
    C: DeserializeOwned + Send + Sync + 'static,
{
    let mut files = files.into_iter();
    let first = files.next().expect("an empty list of files is rejected before");
    files.try_fold(JwtVerifier::new(first), JwtVerifier::add_keys)
}
