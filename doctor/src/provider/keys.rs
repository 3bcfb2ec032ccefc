//! The keys of a JWK set, as the library uses them.

use std::collections::HashMap;
use std::io;

use serde_json::{Map, Value};
use tower_jwt_auth::keys::JwksRules;
use tower_jwt_auth::{Algorithm, ConfigError, Key, KeySet};

use crate::escape::quoted;
use crate::screen::{Mark, Screen};

/// The keys that the library uses, and the lines about the others.
#[derive(Default)]
pub(crate) struct Keys {
    used: Vec<UsedKey>,
    skipped: Vec<String>,
    /// The reason that the whole set is unusable.
    error: Option<ConfigError>,
    /// True if the set has a symmetric key, which everyone can read.
    has_secret: bool,
}

struct UsedKey {
    kid: Option<String>,
    algorithm: Algorithm,
    states_algorithm: bool,
    form: String,
}

/// The limit of `RemoteKeys` for a fetched set.
const MOST_KEYS: usize = 100;

/// The most keys that the library tries for one token.
const MOST_CANDIDATES: usize = 4;

impl Keys {
    pub(crate) fn read(body: &[u8]) -> Self {
        let set = KeySet::jwks_with(body, &JwksRules::new().max_keys(MOST_KEYS));
        let (skipped, error) = match set {
            Ok(set) => (set.skipped_keys().to_vec(), None),
            Err(error) => (error.skipped_keys().to_vec(), Some(error)),
        };
        let members: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
        let jwks = members.get("keys").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let is_skipped = |index: usize| skipped.iter().any(|key| key.index() == index);
        let used = jwks.iter().enumerate().filter(|(index, _)| !is_skipped(*index));
        Self {
            used: used.filter_map(|(_, jwk)| UsedKey::read(jwk)).collect(),
            skipped: skipped
                .iter()
                .map(|key| match jwks.get(key.index()).filter(|jwk| is_symmetric(jwk)) {
                    // No rule accepts it in a fetched set, so the text of the library does not fit.
                    Some(jwk) => symmetric_key(key.index(), jwk),
                    None => key.to_string(),
                })
                .collect(),
            error,
            has_secret: jwks.iter().any(is_symmetric),
        }
    }

    /// Returns true if the library can verify tokens with these keys.
    pub(crate) fn are_usable(&self) -> bool {
        self.error.is_none()
    }

    /// Returns true if the set publishes a symmetric key. Anyone can sign with it.
    pub(crate) fn have_secret(&self) -> bool {
        self.has_secret
    }

    /// Returns a line for each used key, and then one for each skipped key.
    pub(crate) fn lines(&self) -> Vec<String> {
        let skipped = self.skipped.iter().map(|skipped| format!("skipped: {skipped}"));
        self.used.iter().map(UsedKey::line).chain(skipped).collect()
    }

    /// Returns the algorithms of the used keys, each once.
    pub(crate) fn algorithms(&self) -> Vec<&'static str> {
        let mut algorithms: Vec<_> = self.used.iter().map(|key| key.algorithm.as_str()).collect();
        algorithms.sort_unstable();
        algorithms.dedup();
        algorithms
    }

    pub(crate) fn print(&self, out: &mut Screen) -> io::Result<()> {
        for key in &self.used {
            out.row(Mark::Pass, "key", &key.line())?;
        }
        for skipped in &self.skipped {
            out.row(Mark::Info, "skipped", skipped)?;
        }
        if let Some(error) = self.error.as_ref().filter(|error| error.skipped_keys().is_empty()) {
            out.row(Mark::Fail, "JWK set", &error.to_string())?;
        } else if self.error.is_some() {
            out.row(Mark::Fail, "JWK set", "no key can be used")?;
        }
        for (mark, warning) in self.warnings() {
            out.note(mark, &warning)?;
        }
        Ok(())
    }

    fn warnings(&self) -> Vec<(Mark, String)> {
        let mut warnings = Vec::new();
        if self.has_secret {
            let text = "The set has a symmetric key, which anyone can read and sign with.\nThe library never uses it. \
                        Replace it at the provider.";
            warnings.push((Mark::Fail, text.to_owned()));
        }
        let is_guessed = |key: &&UsedKey| !key.states_algorithm && key.form.starts_with("RSA");
        if self.used.iter().any(|key| is_guessed(&key)) {
            let text = "An RSA key without `alg` serves RS256.\nIf the provider signs with another algorithm: \
                        .rules(JwksRules::new().rsa_algorithm(Algorithm::PS256))";
            warnings.push((Mark::Info, text.to_owned()));
        }
        if self.used.iter().any(|key| key.kid.is_none()) {
            let text = "A key without `kid` serves only tokens without `kid`.";
            warnings.push((Mark::Warn, text.to_owned()));
        }
        let mut same = HashMap::new();
        for key in &self.used {
            *same.entry((&key.kid, key.algorithm)).or_insert(0) += 1;
        }
        if let Some(count) = same.values().max().filter(|count| **count > MOST_CANDIDATES) {
            warnings.push((
                Mark::Warn,
                format!("{count} keys have the same `kid` and algorithm. A token is tried with {MOST_CANDIDATES} of them."),
            ));
        }
        warnings
    }
}

impl UsedKey {
    fn line(&self) -> String {
        let kid = self.kid.as_deref().map_or_else(|| "no kid".to_owned(), quoted);
        let algorithm = match self.states_algorithm {
            true => self.algorithm.to_string(),
            false => format!("{} (the key has no `alg`)", self.algorithm),
        };
        format!("{kid}: {algorithm}, {}", self.form)
    }

    fn read(jwk: &Value) -> Option<Self> {
        let key = Key::try_from(jwk).ok()?;
        Some(Self {
            kid: key.kid().map(str::to_owned),
            algorithm: key.algorithm(),
            states_algorithm: jwk["alg"].is_string(),
            form: form(jwk),
        })
    }
}

fn is_symmetric(jwk: &Value) -> bool {
    jwk["kty"] == "oct"
}

fn symmetric_key(index: usize, jwk: &Value) -> String {
    let kid = jwk["kid"].as_str().map_or_else(String::new, |kid| format!(" ({})", quoted(kid)));
    format!("key {index}{kid}: it is a symmetric key, which is never used from a published set")
}

/// Returns the type and size of a key that the library has read.
fn form(jwk: &Value) -> String {
    let text = |name: &str| jwk[name].as_str().unwrap_or_default();
    match text("kty") {
        "RSA" => {
            // Base64url has 6 bits a character. A modulus has a multiple of 8 bits.
            let bits = text("n").trim_start_matches('A').len() * 6 / 8 * 8;
            format!("RSA with {bits} bits")
        }
        "EC" | "OKP" => text("crv").to_owned(),
        other => other.to_owned(),
    }
}
