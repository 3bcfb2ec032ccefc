//! JSON Web Keys, read one by one, so that an odd one cannot spoil the others (RFC 7517).

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use jsonwebtoken::{Algorithm, jwk};
use serde::Deserialize;

use super::base64url::decode_to_vec;
use super::crypto::Material;
use super::json::{self, Loose};
use super::key::Key;
use crate::config_error::ConfigError;

/// How a JWK set is read where the set itself does not say.
///
/// ```
/// use tower_jwt_auth::{Algorithm, JwksRules};
///
/// let rules = JwksRules::new().rsa_algorithm(Algorithm::PS256);
/// ```
#[derive(Clone, Debug)]
pub struct JwksRules {
    rsa_algorithm: Algorithm,
    most_keys: usize,
    secrets: bool,
}

impl JwksRules {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self { rsa_algorithm: Algorithm::RS256, most_keys: usize::MAX, secrets: true }
    }

    /// Sets the one algorithm that an RSA key without `alg` serves, as in the sets of Entra ID. The default is RS256.
    #[must_use]
    pub fn rsa_algorithm(mut self, algorithm: Algorithm) -> Self {
        self.rsa_algorithm = algorithm;
        self
    }
}

#[cfg(feature = "remote-keys")]
impl JwksRules {
    /// The same for a set that everybody can read, and whose size somebody else decides on.
    pub(crate) fn for_public_sets(&self) -> Self {
        Self { most_keys: 100, secrets: false, ..self.clone() }
    }
}

impl Default for JwksRules {
    fn default() -> Self {
        Self::new()
    }
}

/// A key of a JWK set that is not used, and why.
#[derive(Clone, Debug)]
pub struct SkippedKey {
    position: usize,
    kid: Option<String>,
    reason: Box<ConfigError>,
}

impl SkippedKey {
    /// Its place in the set, from 0.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// Its `kid`, if it has one that can be read.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Why it is not used.
    #[must_use]
    pub fn reason(&self) -> &ConfigError {
        &self.reason
    }
}

impl Display for SkippedKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "key {}", self.position)?;
        if let Some(kid) = &self.kid {
            // Whoever wrote the set may have put a line break in.
            write!(f, " ({})", kid.escape_debug())?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl Key {
    /// A JWK as JSON text ([RFC 7517, section 4](https://www.rfc-editor.org/rfc/rfc7517#section-4)). It serves what
    /// its `kid` says, or any token where it has none; an RSA key without `alg` serves RS256.
    ///
    /// # Errors
    ///
    /// If the text is no JWK, or one that signatures cannot be checked with: of another `kty`, `crv`, `alg`, `use` or
    /// `key_ops`, private, or too short.
    pub fn jwk(json: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Jwk::parse(json.as_ref())?.read(&JwksRules::new()).map(Self::standing_alone)
    }
}

/// From the types of jsonwebtoken; the same as [`Key::jwk`] with the text of the JWK. They forget an `alg` that they do
/// not know, such as `Ed25519`, and all private members: the former are refused here, the latter go unnoticed.
impl TryFrom<&jwk::Jwk> for Key {
    type Error = ConfigError;

    fn try_from(jwk: &jwk::Jwk) -> Result<Self, ConfigError> {
        let json = serde_json::to_vec(jwk).map_err(|_| ConfigError::MalformedJwk { expected: "a JWK" })?;
        Self::jwk(json)
    }
}

/// Reads a JWK set: the keys that can be used, and the others.
pub(crate) fn read_set(json: &[u8], rules: &JwksRules) -> Result<(Vec<Key>, Vec<SkippedKey>), ConfigError> {
    #[derive(Deserialize)]
    struct Set<'a> {
        #[serde(borrow)]
        keys: Vec<Jwk<'a>>,
    }

    let set: Set<'_> = json::object(json).ok_or(ConfigError::MalformedJwk { expected: "a JWK set" })?;
    if set.keys.len() > rules.most_keys {
        return Err(ConfigError::TooManyKeys { most: rules.most_keys, got: set.keys.len() });
    }
    let (mut keys, mut skipped) = (Vec::new(), Vec::new());
    for (position, jwk) in set.keys.iter().enumerate() {
        match jwk.read(rules) {
            Ok(key) => keys.push(key),
            Err(reason) => {
                let kid = jwk.text("kid").ok().flatten().map(str::to_owned);
                skipped.push(SkippedKey { position, kid, reason: reason.into() });
            }
        }
    }
    Ok((keys, skipped))
}

/// A JWK, or whatever stands in its place: nothing is judged before it is [read](Self::read), so that one that is odd
/// does not end the reading of a set. (What serde_json itself cannot read does: lone surrogates, numbers out of range,
/// more than 128 levels.)
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Jwk<'a>(#[serde(borrow)] Loose<'a>);

const MALFORMED: ConfigError = ConfigError::MalformedJwk { expected: "a JWK" };

impl<'a> Jwk<'a> {
    pub(crate) fn parse(json: &'a [u8]) -> Result<Self, ConfigError> {
        json::object(json).ok_or(MALFORMED)
    }

    /// Makes the key ready, if it is one that signatures can be checked with.
    pub(crate) fn read(&self, rules: &JwksRules) -> Result<Key, ConfigError> {
        let (kty, crv) = (self.text("kty")?.ok_or(MALFORMED)?, self.text("crv")?);
        let kid = self.text("kid")?.map(str::to_owned);
        let (stated, operations) = (self.text("alg")?, self.array("key_ops")?);
        if self.text("use")?.is_some_and(|purpose| purpose != "sig") {
            return Err(unusable("its `use` is not `sig`"));
        }
        if operations.is_some_and(|operations| !operations.contains(&"verify")) {
            return Err(unusable("its `key_ops` do not have `verify`"));
        }
        if self.member("d")?.is_some() {
            return Err(ConfigError::PrivateKey);
        }
        let stated = stated.map(algorithm).transpose()?;
        match (kty, crv) {
            ("RSA", _) => {
                let n = self.number("n", "its `n` is missing or not base64url")?;
                let e = self.number("e", "its `e` is missing or not base64url")?;
                Key::from_jwk(stated.unwrap_or(rules.rsa_algorithm), kid, Material::Rsa { n: &n, e: &e })
            }
            ("EC", Some("P-256")) => {
                Key::from_jwk(stated.unwrap_or(Algorithm::ES256), kid, Material::P256(&self.point()?))
            }
            ("EC", Some("P-384")) => {
                Key::from_jwk(stated.unwrap_or(Algorithm::ES384), kid, Material::P384(&self.point()?))
            }
            ("OKP", Some("Ed25519")) => {
                let x = self.number("x", "its `x` is missing or not base64url")?;
                Key::from_jwk(stated.unwrap_or(Algorithm::EdDSA), kid, Material::Ed25519(&x))
            }
            ("oct", _) if !rules.secrets => Err(unusable("a secret that everybody can read is none")),
            ("oct", _) => {
                let secret = self.number("k", "its `k` is missing or not base64url")?;
                let stated = stated.ok_or(unusable("a symmetric key needs an `alg`"))?;
                Key::from_jwk(stated, kid, Material::Secret(&secret))
            }
            ("EC" | "OKP", _) => Err(unusable("its `crv` is not supported")),
            _ => Err(unusable("its `kty` is not supported")),
        }
    }

    /// The point of an elliptic curve, uncompressed. Both halves have the same length, so that none can be made up for
    /// by the other (RFC 7518, section 6.2.1.2).
    fn point(&self) -> Result<Vec<u8>, ConfigError> {
        let x = self.number("x", "its `x` is missing or not base64url")?;
        let y = self.number("y", "its `y` is missing or not base64url")?;
        if x.len() != y.len() {
            return Err(unusable("its `x` and `y` are not of the same length"));
        }
        Ok([&[4], &*x, &*y].concat())
    }

    fn number(&self, name: &str, missing: &'static str) -> Result<Vec<u8>, ConfigError> {
        self.text(name)?.and_then(|text| decode_to_vec(text.as_bytes())).ok_or(unusable(missing))
    }

    fn text(&self, name: &str) -> Result<Option<&str>, ConfigError> {
        match self.member(name)? {
            None => Ok(None),
            Some(Loose::Text(text)) => Ok(Some(text)),
            Some(_) => Err(MALFORMED),
        }
    }

    fn array(&self, name: &str) -> Result<Option<Vec<&str>>, ConfigError> {
        match self.member(name)? {
            None => Ok(None),
            Some(Loose::Array(items)) => {
                let texts = items.iter().map(|item| item.as_text().map(|text| &**text).ok_or(MALFORMED));
                texts.collect::<Result<_, _>>().map(Some)
            }
            Some(_) => Err(MALFORMED),
        }
    }

    /// A member of this name, which must not stand there twice (RFC 7517, section 4).
    fn member(&self, name: &str) -> Result<Option<&Loose<'a>>, ConfigError> {
        let Loose::Object(members) = &self.0 else {
            return Err(MALFORMED);
        };
        let mut found = members.iter().filter(|(other, _)| **other == *name).map(|(_, member)| member);
        match (found.next(), found.next()) {
            (member, None) => Ok(member),
            _ => Err(MALFORMED),
        }
    }
}

/// The algorithm of that exact name, of a JWK or of a token's header.
pub(crate) fn algorithm(name: &str) -> Result<Algorithm, ConfigError> {
    match name {
        // RFC 9864, section 2.2.
        "Ed25519" => Ok(Algorithm::EdDSA),
        name => Algorithm::from_str(name).map_err(|_| unusable("its `alg` is not supported")),
    }
}

fn unusable(reason: &'static str) -> ConfigError {
    ConfigError::UnusableJwk { reason }
}
