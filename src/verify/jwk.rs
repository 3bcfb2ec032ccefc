//! JSON Web Keys, read one by one, so that an odd one cannot spoil the others (RFC 7517).

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::base64url::decode_to_vec;
use super::crypto::Material;
use super::json::{self, Text};
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
}

impl JwksRules {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self { rsa_algorithm: Algorithm::RS256 }
    }

    /// Sets the one algorithm that an RSA key without `alg` serves, as in the sets of Entra ID. The default is RS256.
    #[must_use]
    pub fn rsa_algorithm(mut self, algorithm: Algorithm) -> Self {
        self.rsa_algorithm = algorithm;
        self
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

/// Reads a JWK set: the keys that can be used, and the others.
pub(crate) fn read_set(json: &[u8], rules: &JwksRules) -> Result<(Vec<Key>, Vec<SkippedKey>), ConfigError> {
    #[derive(Deserialize)]
    struct Set<'a> {
        #[serde(borrow)]
        keys: Vec<&'a RawValue>,
    }

    let set: Set<'_> = json::object(json).ok_or(ConfigError::MalformedJwk { expected: "a JWK set" })?;
    let (mut keys, mut skipped) = (Vec::new(), Vec::new());
    for (position, member) in set.keys.into_iter().enumerate() {
        let member = member.get().as_bytes();
        match Jwk::parse(member).and_then(|jwk| jwk.read(rules)) {
            Ok(key) => keys.push(key),
            Err(reason) => skipped.push(SkippedKey { position, kid: kid_of(member), reason: reason.into() }),
        }
    }
    Ok((keys, skipped))
}

/// The `kid` of what need not be a JWK otherwise.
fn kid_of(json: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        kid: String,
    }

    json::object::<Named>(json).map(|named| named.kid)
}

/// The members of a JWK that decide something.
#[derive(Deserialize)]
pub(crate) struct Jwk<'a> {
    #[serde(borrow)]
    kty: Text<'a>,
    #[serde(borrow, default, deserialize_with = "json::some")]
    kid: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "json::some")]
    alg: Option<Text<'a>>,
    #[serde(borrow, default, rename = "use", deserialize_with = "json::some")]
    public_key_use: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "json::some")]
    key_ops: Option<Vec<Text<'a>>>,
    #[serde(borrow, default, deserialize_with = "json::some")]
    crv: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "json::some")]
    x: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "json::some")]
    y: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "json::some")]
    n: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "json::some")]
    e: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "json::some")]
    k: Option<Text<'a>>,
    #[serde(default, deserialize_with = "json::some")]
    d: Option<IgnoredAny>,
}

impl<'a> Jwk<'a> {
    pub(crate) fn parse(json: &'a [u8]) -> Result<Self, ConfigError> {
        json::object(json).ok_or(ConfigError::MalformedJwk { expected: "a JWK" })
    }

    /// Makes the key ready, if it is one that signatures can be checked with.
    pub(crate) fn read(&self, rules: &JwksRules) -> Result<Key, ConfigError> {
        if self.public_key_use.as_deref().is_some_and(|purpose| purpose != "sig") {
            return Err(unusable("its `use` is not `sig`"));
        }
        if self.key_ops.as_deref().is_some_and(|operations| operations.iter().all(|one| &**one != "verify")) {
            return Err(unusable("its `key_ops` do not have `verify`"));
        }
        if self.d.is_some() {
            return Err(ConfigError::PrivateKey);
        }
        let stated = self.alg.as_deref().map(algorithm).transpose()?;
        let kid = self.kid.as_ref().map(|kid| kid.to_string());
        match (&*self.kty, self.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (number(&self.n, "n")?, number(&self.e, "e")?);
                Key::from_jwk(stated.unwrap_or(rules.rsa_algorithm), kid, Material::Rsa { n: &n, e: &e })
            }
            ("EC", Some("P-256")) => {
                Key::from_jwk(stated.unwrap_or(Algorithm::ES256), kid, Material::P256(&self.point()?))
            }
            ("EC", Some("P-384")) => {
                Key::from_jwk(stated.unwrap_or(Algorithm::ES384), kid, Material::P384(&self.point()?))
            }
            ("OKP", Some("Ed25519")) => {
                let x = number(&self.x, "x")?;
                Key::from_jwk(stated.unwrap_or(Algorithm::EdDSA), kid, Material::Ed25519(&x))
            }
            ("oct", _) => {
                let secret = number(&self.k, "k")?;
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
        let (x, y) = (number(&self.x, "x")?, number(&self.y, "y")?);
        if x.len() != y.len() {
            return Err(unusable("its `x` and `y` are not of the same length"));
        }
        Ok([&[4], &*x, &*y].concat())
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

fn number(member: &Option<Text<'_>>, name: &'static str) -> Result<Vec<u8>, ConfigError> {
    let missing = match name {
        "n" => "its `n` is missing or not base64url",
        "e" => "its `e` is missing or not base64url",
        "x" => "its `x` is missing or not base64url",
        "y" => "its `y` is missing or not base64url",
        _ => "its `k` is missing or not base64url",
    };
    member.as_ref().and_then(|text| decode_to_vec(text.as_bytes())).ok_or(unusable(missing))
}

fn unusable(reason: &'static str) -> ConfigError {
    ConfigError::UnusableJwk { reason }
}
