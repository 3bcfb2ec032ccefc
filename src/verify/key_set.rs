use std::fmt::{self, Formatter};
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::base64url::Buffer;
use super::jwk::{JwksRules, read_set};
use super::jws::{Header, Jws, USUAL_HEADER};
use super::key::{Key, KnownHeader};
use crate::algorithm::Algorithm;
use crate::conditions::unique_id;
use crate::config_error::{ConfigError, ConfigProblem, SkippedKey};
use crate::crypto::Fingerprint;

/// The most keys a token is tried with. Signature checks are the most expensive work that a client can cause without
/// valid credentials.
pub(crate) const MOST_CANDIDATES: usize = 4;

/// The set of keys that may sign tokens.
///
/// The verifier selects keys by the token's `alg` and `kid`, and tries at most four:
///
/// - For a token with a `kid`: first the keys with exactly this `kid`, then local keys without a `kid`. A key without a `kid`
///   in a JWK set serves only tokens without a `kid`.
/// - For a token without a `kid`: all keys of its algorithm.
///
/// ```
/// use tower_jwt_auth::KeySet;
///
/// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
/// let keys = KeySet::jwks(r#"{"keys": [
///     {"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
///     {"kty": "RSA", "use": "enc", "kid": "k2", "n": "AQAB", "e": "AQAB"}
/// ]}"#)?;
/// assert_eq!(keys.len(), 1);
/// assert_eq!(keys.skipped_keys()[0].to_string(), "key 1 (`k2`): the JWK cannot be used: its `use` is not `sig`");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KeySet {
    /// Clones have the same ID; all other sets have different ones.
    id: u64,
    keys: Vec<Key>,
    skipped: Vec<SkippedKey>,
}

impl KeySet {
    /// Creates a set of these keys.
    ///
    /// With an empty set, the verifier rejects every token.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Self {
        Self { id: unique_id(), keys: keys.into_iter().collect(), skipped: Vec::new() }
    }

    /// Creates a set of one secret, like [`Key::hmac`]. Decode a Base64 secret first.
    ///
    /// # Errors
    ///
    /// The same as for [`Key::hmac`].
    pub fn hmac(algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Key::hmac(algorithm, secret).map(Self::from)
    }

    /// Creates a set of one public key in PEM, like [`Key::pem`].
    ///
    /// # Errors
    ///
    /// The same as for [`Key::pem`].
    pub fn pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Key::pem(algorithm, pem).map(Self::from)
    }

    /// Reads a JWK set from JSON text ([RFC 7517, section 5](https://www.rfc-editor.org/rfc/rfc7517#section-5)).
    ///
    /// Keys that cannot be used are skipped. Log [`skipped_keys`](Self::skipped_keys) to see them. Symmetric keys are skipped,
    /// too, unless [`JwksRules`] allow them.
    ///
    /// # Errors
    ///
    /// The text is not a JWK set, or no key in it can be used.
    pub fn jwks(json: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Self::jwks_with(json, &JwksRules::new())
    }

    /// Reads a JWK set from JSON text with custom rules.
    ///
    /// # Errors
    ///
    /// The same as for [`jwks`](Self::jwks).
    pub fn jwks_with(json: impl AsRef<[u8]>, rules: &JwksRules) -> Result<Self, ConfigError> {
        let (keys, skipped) = read_set(json.as_ref(), rules)?;
        if keys.is_empty() {
            return Err(ConfigProblem::NoUsableKeys { skipped }.into());
        }
        Ok(Self { id: unique_id(), keys, skipped })
    }

    /// Reads a JWK set from a file.
    ///
    /// To reload the file while the service runs, use a [`KeyStore`](crate::keys::KeyStore).
    ///
    /// # Errors
    ///
    /// The file cannot be read, or one of the errors of [`jwks`](Self::jwks).
    pub fn jwks_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Self::jwks_file_with(path, &JwksRules::new())
    }

    /// Reads a JWK set from a file with custom rules.
    ///
    /// # Errors
    ///
    /// The same as for [`jwks_file`](Self::jwks_file).
    pub fn jwks_file_with(path: impl AsRef<Path>, rules: &JwksRules) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let json = fs::read(path)
            .map_err(|error| ConfigProblem::UnreadableFile { path: path.into(), source: error }.into())?;
        Self::jwks_with(json, rules)
    }

    /// Adds a key.
    #[must_use]
    pub fn add_key(self, key: Key) -> Self {
        self.add_keys(key.into())
    }

    /// Adds the keys of another set.
    #[must_use]
    pub fn add_keys(mut self, other: Self) -> Self {
        self.skipped.extend(other.skipped);
        let keys = self.keys.into_iter().chain(other.keys).map(Key::forgetful);
        Self { id: unique_id(), keys: keys.collect(), skipped: self.skipped }
    }

    /// Returns the number of usable keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns true if there is no usable key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Returns the skipped keys of the JWK set, each with the reason.
    #[must_use]
    pub fn skipped_keys(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// Returns the keys that may have signed a token with this `alg` and `kid`. Keys with the same `kid` come first.
    pub(crate) fn candidates(&self, algorithm: Algorithm, kid: Option<&str>) -> impl Iterator<Item = &Key> {
        let of_name = move |wanted: bool| {
            let keys = self.keys.iter().filter(move |key| key.algorithm() == algorithm && key.serves(kid));
            keys.filter(move |key| kid.is_some_and(|kid| key.is_named(kid)) == wanted)
        };
        of_name(true).chain(of_name(false)).take(MOST_CANDIDATES)
    }

    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Returns the key that verified an earlier token with the same header.
    #[inline]
    pub(crate) fn who_knows(&self, encoded_header: &[u8]) -> Option<(&Key, &KnownHeader)> {
        self.keys.iter().find_map(|key| key.knows(encoded_header).map(|known| (key, known)))
    }

    /// Returns true if a token with this signer and `kid` would still be tried with the signer's key.
    #[inline]
    pub(crate) fn still_trusts(&self, signer: &Fingerprint, kid: Option<&str>) -> bool {
        let held = self.keys.iter().find(|key| key.fingerprint() == signer && key.serves(kid));
        held.is_some_and(|key| self.keys.len() <= MOST_CANDIDATES || self.would_try(key, kid))
    }

    /// Returns true if an equal key is among the candidates.
    fn would_try(&self, key: &Key, kid: Option<&str>) -> bool {
        self.candidates(key.algorithm(), kid).any(|other| other.fingerprint() == key.fingerprint())
    }

    /// Returns the token's `kid` if the set has a key with it.
    pub(crate) fn name_in(&self, token: &[u8]) -> Option<String> {
        let mut buffer = Buffer::<USUAL_HEADER>::new();
        let header = Header::read(Jws::split(token)?.header, &mut buffer).ok()?;
        header.kid.as_deref().filter(|kid| self.has_named(kid)).map(str::to_owned)
    }

    /// Returns true if this set has a key for this `kid` that `held` lacks.
    pub(crate) fn has_other(&self, held: &Self, kid: Option<&str>) -> bool {
        let is_same =
            |key: &Key, other: &Key| key.fingerprint() == other.fingerprint() && key.kid() == other.kid();
        let mut keys = self.keys.iter().filter(|key| key.serves(kid));
        keys.any(|key| !held.keys.iter().any(|other| is_same(key, other)))
    }

    /// Returns true if a key has this `kid`, for any algorithm.
    pub(crate) fn has_named(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.is_named(kid))
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet").field("keys", &self.keys).field("skipped", &self.skipped).finish()
    }
}

impl From<Key> for KeySet {
    fn from(key: Key) -> Self {
        Self::new([key])
    }
}

/// Reads a JWK set from parsed JSON, like [`KeySet::jwks`].
impl TryFrom<&Value> for KeySet {
    type Error = ConfigError;

    fn try_from(set: &Value) -> Result<Self, ConfigError> {
        Self::jwks(set.to_string())
    }
}
