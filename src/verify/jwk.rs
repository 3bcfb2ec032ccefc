//! JSON Web Keys (RFC 7517). The keys of a set are read one by one, so that an invalid key does not affect the others.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use super::base64url::decode_to_vec;
use super::json::{self, Loose, Text};
use super::key::Key;
use crate::algorithm::Algorithm;
#[cfg(feature = "dpop")]
use crate::binding::Thumbprint;
use crate::config_error::{ConfigError, ConfigProblem, SkippedKey, quoted};
use crate::crypto::Material;
use crate::key_type::{Curve, KeyType};

/// Rules for reading a JWK set: the accepted keys, their number, and defaults.
///
/// ```
/// use tower_jwt_auth::keys::JwksRules;
/// use tower_jwt_auth::Algorithm;
///
/// // The trust bundle of a SPIFFE trust domain.
/// let rules = JwksRules::new().add_use("jwt-svid");
///
/// // A provider that signs with PS256, but whose keys have no `alg`.
/// let rules = JwksRules::new().rsa_algorithm(Algorithm::PS256);
/// ```
#[derive(Clone, Debug)]
pub struct JwksRules {
    rsa_algorithm: Algorithm,
    more_uses: Vec<String>,
    /// The reason for skipping symmetric keys; `None` if they are allowed.
    no_symmetric_keys: Option<&'static str>,
    max_keys: Option<usize>,
}

/// The default limit of keys in a fetched set.
#[cfg(feature = "remote-keys-core")]
const MAX_FETCHED_KEYS: usize = 100;

impl JwksRules {
    /// Creates the default rules.
    #[must_use]
    pub fn new() -> Self {
        Self {
            rsa_algorithm: Algorithm::RS256,
            more_uses: Vec::new(),
            no_symmetric_keys: Some(
                "it is a symmetric key, which JwksRules::allow_symmetric_keys would accept",
            ),
            max_keys: None,
        }
    }

    /// Sets the algorithm of RSA keys without `alg`. The default is RS256.
    ///
    /// Such keys are common, for example in the sets of Entra ID.
    #[must_use]
    pub fn rsa_algorithm(mut self, algorithm: Algorithm) -> Self {
        self.rsa_algorithm = algorithm;
        self
    }

    /// Also accepts keys with this `use`, for example `jwt-svid`.
    ///
    /// By default `use` must be `sig` or absent
    /// ([RFC 7517, section 4.2](https://www.rfc-editor.org/rfc/rfc7517#section-4.2)). SPIFFE uses `jwt-svid`
    /// ([SPIFFE trust domain and bundle, section 4.2](https://spiffe.io/docs/latest/spiffe-specs/spiffe_trust_domain_and_bundle/)).
    #[must_use]
    pub fn add_use(mut self, purpose: impl Into<String>) -> Self {
        self.more_uses.push(purpose.into());
        self
    }

    /// Accepts symmetric keys (`kty` `oct`) from a text or a file.
    ///
    /// By default they are skipped.
    ///
    /// # Security
    ///
    /// Anyone who can read such a set can sign tokens. `RemoteKeys` always skips symmetric keys.
    #[must_use]
    pub fn allow_symmetric_keys(mut self) -> Self {
        self.no_symmetric_keys = None;
        self
    }

    /// Sets the most keys that a set may have.
    ///
    /// The default is 100 for a fetched set, and no limit for a text or a file.
    #[must_use]
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.max_keys = Some(keys);
        self
    }

    fn serve(&self, purpose: &str) -> bool {
        purpose == "sig" || self.more_uses.iter().any(|other| other == purpose)
    }
}

#[cfg(feature = "remote-keys-core")]
impl JwksRules {
    /// Returns these rules for a set that is public and whose size a provider decides.
    pub(crate) fn for_public_sets(&self) -> Self {
        let max_keys = self.max_keys.or(Some(MAX_FETCHED_KEYS));
        let no_symmetric_keys = Some("it is a symmetric key, and a fetched set is public");
        Self { max_keys, no_symmetric_keys, ..self.clone() }
    }
}

impl Default for JwksRules {
    fn default() -> Self {
        Self::new()
    }
}

impl Key {
    /// Reads a JWK from JSON text
    /// ([RFC 7517, section 4](https://www.rfc-editor.org/rfc/rfc7517#section-4)).
    ///
    /// The key serves tokens with its `kid` or none. A key without `kid` serves any token. An RSA key without `alg` serves
    /// RS256.
    ///
    /// # Errors
    ///
    /// - The text is not a JWK.
    /// - The `kty`, `crv`, `alg`, `use` or `key_ops` of the key is not supported.
    /// - The key is private, symmetric or too short.
    pub fn jwk(json: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Self::jwk_with(json, &JwksRules::new())
    }

    /// Reads a JWK from JSON text with custom rules.
    ///
    /// ```
    /// use tower_jwt_auth::keys::JwksRules;
    /// use tower_jwt_auth::{Algorithm, Key};
    ///
    /// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// let jwk = r#"{"kty": "oct", "alg": "HS256", "k": "YSBzZWNyZXQgZm9yIHRoaXMgZXhhbXBsZSwgMzIgYnl0ZXM"}"#;
    /// let key = Key::jwk_with(jwk, &JwksRules::new().allow_symmetric_keys())?;
    /// assert_eq!(key.algorithm(), Algorithm::HS256);
    /// assert!(Key::jwk(jwk).is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The same as for [`jwk`](Self::jwk).
    pub fn jwk_with(json: impl AsRef<[u8]>, rules: &JwksRules) -> Result<Self, ConfigError> {
        Jwk::parse(json.as_ref())?.read(rules).map(Self::standing_alone)
    }
}

/// Reads a JWK from parsed JSON, like [`Key::jwk`].
impl TryFrom<&Value> for Key {
    type Error = ConfigError;

    fn try_from(jwk: &Value) -> Result<Self, ConfigError> {
        Self::jwk(jwk.to_string())
    }
}

/// Reads a JWK set. Returns the usable keys and the skipped ones.
pub(crate) fn read_set(json: &[u8], rules: &JwksRules) -> Result<(Vec<Key>, Vec<SkippedKey>), ConfigError> {
    let json = json::without_mark(json);
    let marked;
    let texts = match json::elements(json, "keys") {
        Some(texts) => texts,
        None => {
            marked = json::with_unreadable_marked(json);
            json::elements(marked.as_bytes(), "keys").ok_or_else(|| ConfigProblem::NOT_A_SET.into())?
        }
    };
    if let Some(max) = rules.max_keys.filter(|max| texts.len() > *max) {
        return Err(ConfigProblem::TooManyKeys { max, got: texts.len() }.into());
    }
    let (mut keys, mut skipped) = (Vec::new(), Vec::new());
    for (position, text) in texts.into_iter().enumerate() {
        match Jwk::parse_element(text).and_then(|jwk| jwk.read(rules)) {
            Ok(key) => keys.push(key),
            Err(reason) => skipped.push(SkippedKey::new(position, kid_of(text), reason)),
        }
    }
    Ok((keys, skipped))
}

/// Returns the `kid` of a JWK, even if other members are invalid.
fn kid_of(jwk: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow, default)]
        kid: Option<Text<'a>>,
    }

    json::object::<Named<'_>>(jwk.as_bytes())?.kid.map(|kid| kid.to_string())
}

/// The members of a JWK. [`read`](Self::read) checks them.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Jwk<'a>(#[serde(borrow)] Loose<'a>);

impl<'a> Jwk<'a> {
    fn parse(json: &'a [u8]) -> Result<Self, ConfigError> {
        json::object(json).ok_or_else(|| ConfigProblem::NOT_A_JWK.into())
    }

    /// Parses an element of a set, which is known to be JSON.
    fn parse_element(text: &'a str) -> Result<Self, ConfigError> {
        Self::parse(text.as_bytes()).map_err(|error| match text.starts_with('{') {
            true => invalid(
                "one of its members cannot be read: a lone surrogate, a control character, a byte that is not UTF-8, a number \
                 out of range or more than 128 levels",
            ),
            false => error,
        })
    }

    /// Creates the key, if it can verify signatures.
    fn read(&self, rules: &JwksRules) -> Result<Key, ConfigError> {
        let (kty, crv) =
            (self.text("kty")?.ok_or_else(|| invalid("its `kty` is missing"))?, self.text("crv")?);
        let kid = self.text("kid")?.map(str::to_owned);
        let (stated, operations) = (self.text("alg")?, self.array("key_ops")?);
        match self.text("use")? {
            Some("enc") if !rules.serve("enc") => return Err(unsupported("its `use` is not `sig`")),
            Some(other) if !rules.serve(other) => {
                let purpose = quoted(other);
                return Err(unsupported(format!(
                    "its `use` {purpose} is not supported; JwksRules::add_use allows it"
                )));
            }
            _ => {}
        }
        if operations.is_some_and(|operations| !operations.contains(&"verify")) {
            return Err(unsupported("its `key_ops` do not have `verify`"));
        }
        let private = if kty == "AKP" { "priv" } else { "d" };
        if self.member(private)?.is_some() {
            return Err(ConfigProblem::PrivateKey.into());
        }
        let stated = stated
            .map(|name| Algorithm::named(name).ok_or_else(|| unsupported_algorithm(name)))
            .transpose()?;
        match (kty, crv) {
            ("RSA", _) => {
                let (n, e) = (self.number("n")?, self.number("e")?);
                let material = Material::Rsa { n: stripped(&n), e: stripped(&e) };
                Key::from_jwk(stated.unwrap_or(rules.rsa_algorithm), kid, material)
                    .map(|key| key.assume_algorithm(stated.is_none()))
            }
            ("EC", Some(crv)) => {
                let curve = Curve::ALL.into_iter().find(|curve| curve.name() == crv);
                let curve = curve.ok_or_else(|| unsupported_curve(crv))?;
                let algorithm = stated.unwrap_or(Algorithm::of_curve(curve));
                Key::from_jwk(algorithm, kid, Material::Ec(curve, &self.point(curve.bytes())?))
            }
            ("OKP", Some("Ed25519")) => {
                Key::from_jwk(stated.unwrap_or(Algorithm::EdDSA), kid, Material::Ed25519(&self.number("x")?))
            }
            ("AKP", _) => {
                let stated =
                    stated.ok_or_else(|| invalid("an AKP key needs an `alg` (RFC 9964, section 3)"))?;
                match stated.key_type() {
                    KeyType::MlDsa(set) => {
                        Key::from_jwk(stated, kid, Material::MlDsa(set, &self.number("pub")?))
                    }
                    _ => Err(ConfigProblem::WrongKeyType { algorithm: stated, key: "an AKP key" }.into()),
                }
            }
            ("oct", _) => match rules.no_symmetric_keys {
                Some(reason) => Err(unsupported(reason)),
                None => {
                    let secret = self.number("k")?;
                    let stated = stated.ok_or_else(|| invalid("a symmetric key needs an `alg`"))?;
                    Key::from_jwk(stated, kid, Material::Secret(&secret))
                }
            },
            ("EC" | "OKP", None) => Err(invalid("its `crv` is missing")),
            ("OKP", Some(crv)) => Err(unsupported_curve(crv)),
            (kty, _) => Err(unsupported(format!("its `kty` {} is not supported", quoted(kty)))),
        }
    }

    /// Creates the public key that a client presents in a header. Returns `None` if it has another thumbprint.
    #[cfg(feature = "dpop")]
    pub(super) fn presented(
        &self,
        algorithm: Algorithm,
        expected: Thumbprint,
    ) -> Result<Option<Key>, ConfigError> {
        // Private members of all key types (RFC 7518, section 6; RFC 9964, section 3).
        for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
            if self.has(name) {
                return Err(ConfigProblem::PrivateKey.into());
            }
        }
        let key = self.read(&JwksRules::new().rsa_algorithm(algorithm))?;
        if key.algorithm() != algorithm {
            return Err(ConfigProblem::WrongKeyType { algorithm, key: "a key of another algorithm" }.into());
        }
        Ok((self.thumbprint()? == expected).then_some(key))
    }

    /// Returns the thumbprint of a key that can be read (RFC 7638, section 3).
    #[cfg(feature = "dpop")]
    fn thumbprint(&self) -> Result<Thumbprint, ConfigError> {
        let names: &[&str] = match self.text("kty")? {
            Some("EC") => &["crv", "kty", "x", "y"],
            Some("OKP") => &["crv", "kty", "x"],
            Some("RSA") => &["e", "kty", "n"],
            _ => &["alg", "kty", "pub"],
        };
        let required = names.iter().map(|name| Ok((*name, self.text(name)?)));
        Ok(Thumbprint::of_jwk(&required.collect::<Result<_, ConfigError>>()?))
    }

    #[cfg(feature = "dpop")]
    fn has(&self, name: &str) -> bool {
        matches!(&self.0, Loose::Object(members) if members.iter().any(|(other, _)| **other == *name))
    }

    /// Returns the uncompressed point of an elliptic curve. Each coordinate must have the length of the curve's field (RFC 7518,
    /// section 6.2.1.2), unlike the numbers of an RSA key.
    fn point(&self, length: usize) -> Result<Vec<u8>, ConfigError> {
        let (x, y) = (self.number("x")?, self.number("y")?);
        for (name, coordinate) in [("x", &x), ("y", &y)] {
            let got = coordinate.len();
            if got != length {
                return Err(invalid(format!(
                    "its `{name}` needs {length} bytes, got {got} (RFC 7518, section 6.2.1.2)"
                )));
            }
        }
        Ok([&[4], &*x, &*y].concat())
    }

    fn number(&self, name: &str) -> Result<Vec<u8>, ConfigError> {
        let text = self.text(name)?;
        if text.is_none() && self.member("x5c")?.is_some() {
            return Err(invalid(format!("its `{name}` is missing, and a certificate in `x5c` is not read")));
        }
        let number = text.and_then(|text| decode_to_vec(text.as_bytes()));
        number.ok_or_else(|| invalid(format!("its `{name}` is missing or not base64url")))
    }

    fn text(&self, name: &str) -> Result<Option<&str>, ConfigError> {
        match self.member(name)? {
            None => Ok(None),
            Some(Loose::Text(text)) => Ok(Some(text)),
            Some(_) => Err(invalid(format!("its `{name}` is not a string"))),
        }
    }

    fn array(&self, name: &str) -> Result<Option<Vec<&str>>, ConfigError> {
        let mistyped = || invalid(format!("its `{name}` is not an array of strings"));
        match self.member(name)? {
            None => Ok(None),
            Some(Loose::Array(items)) => {
                let texts = items.iter().map(|item| item.as_text().map(|text| &**text).ok_or_else(mistyped));
                texts.collect::<Result<_, _>>().map(Some)
            }
            Some(_) => Err(mistyped()),
        }
    }

    /// Returns the member with this name. It must not appear twice (RFC 7517, section 4). `null` means absent.
    fn member(&self, name: &str) -> Result<Option<&Loose<'a>>, ConfigError> {
        let Loose::Object(members) = &self.0 else {
            return Err(ConfigProblem::NOT_A_JWK.into());
        };
        let mut found = members.iter().filter(|(other, _)| **other == *name).map(|(_, member)| member);
        match (found.next(), found.next()) {
            (member, None) => Ok(member.filter(|member| !matches!(member, Loose::Null))),
            _ => Err(invalid(format!("its `{name}` appears twice"))),
        }
    }
}

/// Removes leading zero bytes. Some providers write them, although RFC 7518, section 6.3.1.1 forbids it.
fn stripped(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

fn unsupported_curve(crv: &str) -> ConfigError {
    unsupported(format!("its `crv` {} is not supported", quoted(crv)))
}

fn unsupported_algorithm(name: &str) -> ConfigError {
    // RFC 7515, section 4.1.1.
    let hint = match Algorithm::meant_by(name) {
        Some(meant) => format!(": names are case-sensitive, `{meant}` is"),
        None => String::new(),
    };
    unsupported(format!("its `alg` {} is not supported{hint}", quoted(name)))
}

fn invalid(reason: impl Into<Cow<'static, str>>) -> ConfigError {
    ConfigProblem::InvalidJwk { reason: reason.into() }.into()
}

fn unsupported(reason: impl Into<Cow<'static, str>>) -> ConfigError {
    ConfigProblem::UnsupportedJwk { reason: reason.into() }.into()
}
