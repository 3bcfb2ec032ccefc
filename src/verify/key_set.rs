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

/// How many keys a token is tried against at the most: a signature check is the dearest thing a stranger can ask for.
pub(crate) const MOST_CANDIDATES: usize = 4;

/// The keys that tokens may be signed with.
///
/// A token's `kid` is compared exactly; keys of that name are tried first, then local keys that were given none (a key
/// without `kid` in a JWK set serves only tokens without). A token without one is tried against all keys of its
/// algorithm. In any case at most four keys are tried.
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
    /// The same for clones alone.
    id: u64,
    keys: Vec<Key>,
    skipped: Vec<SkippedKey>,
}

impl KeySet {
    /// Keys that were made ready one by one. With none of them, every token is refused.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Self {
        Self { id: unique_id(), keys: keys.into_iter().collect(), skipped: Vec::new() }
    }

    /// One secret; short for [`Key::hmac`]. A secret that is shown in Base64 may have to be decoded first.
    ///
    /// # Errors
    ///
    /// As [`Key::hmac`].
    pub fn hmac(algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Key::hmac(algorithm, secret).map(Self::from)
    }

    /// One public key; short for [`Key::pem`].
    ///
    /// # Errors
    ///
    /// As [`Key::pem`].
    pub fn pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Key::pem(algorithm, pem).map(Self::from)
    }

    /// A JWK set as JSON text ([RFC 7517, section 5](https://www.rfc-editor.org/rfc/rfc7517#section-5)).
    ///
    /// A key that cannot be used is left out and [listed](Self::skipped_keys), which is all that tells of it: log the list.
    /// Symmetric keys are left out, too, unless [`JwksRules`] allow them.
    ///
    /// # Errors
    ///
    /// If the text is no JWK set, or no key in it can be used.
    pub fn jwks(json: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Self::jwks_with(json, &JwksRules::new())
    }

    /// The same as [`jwks`](Self::jwks), with rules for what the set leaves open and for what is accepted.
    ///
    /// # Errors
    ///
    /// As [`jwks`](Self::jwks).
    pub fn jwks_with(json: impl AsRef<[u8]>, rules: &JwksRules) -> Result<Self, ConfigError> {
        let (keys, skipped) = read_set(json.as_ref(), rules)?;
        if keys.is_empty() {
            return Err(ConfigProblem::NoUsableKeys { skipped }.into());
        }
        Ok(Self { id: unique_id(), keys, skipped })
    }

    /// A JWK set from a file. To read it again while the service runs, put it into a [`KeyStore`](crate::keys::KeyStore).
    ///
    /// # Errors
    ///
    /// If the file cannot be read, and as [`jwks`](Self::jwks).
    pub fn jwks_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Self::jwks_file_with(path, &JwksRules::new())
    }

    /// The same as [`jwks_file`](Self::jwks_file), with rules for what the set leaves open and for what is accepted.
    ///
    /// # Errors
    ///
    /// As [`jwks_file`](Self::jwks_file).
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

    /// How many keys can be used.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key that can be used.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys of the JWK set that are not used, and why.
    #[must_use]
    pub fn skipped_keys(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// The keys that may have signed a token with this `alg` and `kid`, those of that very name first.
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

    /// The key that has signed a token with this very header before.
    #[inline]
    pub(crate) fn who_knows(&self, encoded_header: &[u8]) -> Option<(&Key, &KnownHeader)> {
        self.keys.iter().find_map(|key| key.knows(encoded_header).map(|known| (key, known)))
    }

    /// Whether the key that signed a token before, with this `kid` in its header, would still be tried.
    #[inline]
    pub(crate) fn still_trusts(&self, signer: &Fingerprint, kid: Option<&str>) -> bool {
        let held = self.keys.iter().find(|key| key.fingerprint() == signer && key.serves(kid));
        held.is_some_and(|key| self.keys.len() <= MOST_CANDIDATES || self.would_try(key, kid))
    }

    /// Whether a key like this one is among those that a token is tried against.
    fn would_try(&self, key: &Key, kid: Option<&str>) -> bool {
        self.candidates(key.algorithm(), kid).any(|other| other.fingerprint() == key.fingerprint())
    }

    /// The `kid` that a token has, if a key of that name is held.
    pub(crate) fn name_in(&self, token: &[u8]) -> Option<String> {
        let mut buffer = Buffer::<USUAL_HEADER>::new();
        let header = Header::read(Jws::split(token)?.header, &mut buffer).ok()?;
        header.kid.as_deref().filter(|kid| self.has_named(kid)).map(str::to_owned)
    }

    /// Returns true if there is a key that may have signed a token with this `kid`, and that is not in `held`.
    pub(crate) fn has_other(&self, held: &Self, kid: Option<&str>) -> bool {
        let is_same =
            |key: &Key, other: &Key| key.fingerprint() == other.fingerprint() && key.kid() == other.kid();
        let mut keys = self.keys.iter().filter(|key| key.serves(kid));
        keys.any(|key| !held.keys.iter().any(|other| is_same(key, other)))
    }

    /// Whether there is a key of this name, for whatever algorithm.
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

/// From parsed JSON. The same as [`KeySet::jwks`] with its text.
impl TryFrom<&Value> for KeySet {
    type Error = ConfigError;

    fn try_from(set: &Value) -> Result<Self, ConfigError> {
        Self::jwks(set.to_string())
    }
}
