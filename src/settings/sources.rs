//! The parts that all verifiers of the same settings share: keys, HTTP client and client authentication.

use super::client::Client;
use super::dpop::dpop;
use super::fetch;
use super::introspection::Provider;
use super::issuer::{Issuer, Keys};
use super::names::Names;
use super::values::{IssuerValues, Values};
use crate::config_error::ConfigError;
use crate::dpop::Dpop;
use crate::jwks::RemoteKeys;

pub(super) struct Sources {
    /// The keys of each issuer.
    pub(super) keys: Vec<Keys>,
    pub(super) provider: Option<Provider>,
    /// All verifiers share the memory of accepted proofs.
    pub(super) dpop: Option<Dpop>,
}

impl Sources {
    /// Reads files, and prepares fetches. `set` has the paths of the settings that are set.
    pub(super) fn read(values: &Values, set: &[&str], names: &Names) -> Result<Self, ConfigError> {
        check_cache(values, set, names)?;
        let is_set = |group: &str| set.iter().any(|path| path.starts_with(group));
        if is_set("api_keys.") {
            check_api_keys(values, names)?;
        }
        let mut client = None;
        let issuers = issuers(values, names);
        let keys = issuers.iter().map(|issuer| issuer.keys(values, &mut client));
        let keys = keys.collect::<Result<Vec<_>, ConfigError>>()?;
        let keys_of = |name: &str, client: Client| {
            // The same provider may issue JWTs, too: its keys are fetched once.
            let known = issuers.iter().zip(&keys).find_map(|(issuer, keys)| issuer.discovered_as(name, keys));
            match known {
                Some(keys) => Ok(keys),
                None => Ok(fetch::limited(RemoteKeys::discover_with(name, client)?, &values.fetch)),
            }
        };
        let provider = match is_set("introspection.") {
            true => Some(Provider::new(values, names, &mut client, keys_of)?),
            false => None,
        };
        let dpop = dpop(&values.dpop, set, names)?;
        let sources = Self { keys, provider, dpop };
        match set.iter().find_map(|path| Some((path, sources.why_unused(path)?))) {
            Some((path, reason)) => {
                Err(names.invalid(path, format!("it has no effect, since {reason}; remove it")))
            }
            None => Ok(sources),
        }
    }

    /// Returns all fetched keys, each once.
    pub(super) fn remote_keys(&self) -> Vec<RemoteKeys> {
        let fetched = self.keys.iter().filter_map(|keys| match keys {
            Keys::Fetched(keys) => Some(keys.clone()),
            Keys::Followed(_) | Keys::Fixed(_) => None,
        });
        let mut fetched: Vec<_> = fetched.collect();
        let signing = self.provider.as_ref().and_then(|provider| provider.keys.as_ref());
        let other = signing.filter(|keys| !fetched.iter().any(|known| known.is_same(keys)));
        fetched.extend(other.cloned());
        fetched
    }

    fn why_unused(&self, path: &str) -> Option<&'static str> {
        let group = path.split('.').next().unwrap_or(path);
        let (has_jwts, has_provider) = (!self.keys.is_empty(), self.provider.is_some());
        match group {
            "fetch" if self.remote_keys().is_empty() => Some("no keys are fetched"),
            "http" if self.remote_keys().is_empty() && !has_provider => Some("nothing is fetched"),
            "cache" if !has_jwts => Some("no JWTs are accepted"),
            "leeway_secs" | "max_token_bytes" | "dpop" if !has_jwts && !has_provider => {
                Some("only API keys are accepted")
            }
            _ => None,
        }
    }
}

fn check_cache(values: &Values, set: &[&str], names: &Names) -> Result<(), ConfigError> {
    let limit = set.iter().find(|path| path.starts_with("cache.") && **path != "cache.enabled");
    match limit.filter(|_| values.cache.enabled == Some(false)) {
        Some(path) => Err(names.conflict("cache.enabled", path, "the cache is off; remove one")),
        None => Ok(()),
    }
}

fn check_api_keys(values: &Values, names: &Names) -> Result<(), ConfigError> {
    match (&values.api_keys.prefix, &values.api_keys.file) {
        (None, _) => Err(names.missing("api_keys.prefix", "API keys are recognized by it; set it")),
        (_, None) => {
            Err(names.missing("api_keys.file", "there are no API keys; set the file with their records"))
        }
        _ => Ok(()),
    }
}

/// Returns the settings of each issuer of JWTs. There is none if only other credentials are configured.
pub(super) fn issuers<'a>(values: &'a Values, names: &'a Names) -> Vec<Issuer<'a>> {
    let Values { main, issuers, .. } = values;
    let issuer = |values: IssuerValues, at: String| Issuer { values, names, at };
    if !issuers.is_empty() {
        let each = issuers.iter().enumerate();
        return each.map(|(number, values)| issuer(values.clone(), format!("issuers[{number}]."))).collect();
    }
    if *main == IssuerValues::default() && values.has_other_credentials() {
        return Vec::new();
    }
    let single = issuer(main.clone(), String::new());
    if main.issuer.len() < 2 || !single.may_be_several() {
        return vec![single];
    }
    let each = main.issuer.iter().map(|name| IssuerValues { issuer: vec![name.clone()], ..main.clone() });
    each.map(|values| issuer(values, String::new())).collect()
}
