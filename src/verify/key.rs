use std::fmt::{self, Formatter};
use std::sync::OnceLock;

use pkcs1::RsaPublicKeyRef;
use spki::SubjectPublicKeyInfoRef;
use spki::der::Decode;

use super::jws::{Header, TokenType};
use super::pem::Expected;
use crate::algorithm::Algorithm;
use crate::config_error::{ConfigError, ConfigProblem};
use crate::crypto::key_detection::Kind;
use crate::crypto::oid::{EC, ED25519, OTHER_CURVE, OTHER_TYPE, RSA};
use crate::crypto::{Fingerprint, Material, VerifyingKey};
use crate::key_type::{Curve, ParameterSet};

/// A key for one algorithm, ready to check signatures.
///
/// ```
/// use tower_jwt_auth::{Algorithm, Key, KeySet};
///
/// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
/// let keys = KeySet::new([
///     Key::hmac(Algorithm::HS256, b"the secret of this year, 32 bytes")?.with_kid("2026"),
///     Key::hmac(Algorithm::HS256, b"the secret of last year, 32 bytes")?.with_kid("2025"),
/// ]);
///
/// let error = Key::hmac(Algorithm::HS256, b"a short one").unwrap_err();
/// assert_eq!(error.to_string(), "HS256 needs a secret of at least 32 bytes, got 11");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Key {
    name: Name,
    algorithm: Algorithm,
    /// True if the JWK has no `alg`, so a setting chose the algorithm.
    algorithm_is_assumed: bool,
    ready: VerifyingKey,
    fingerprint: Fingerprint,
    /// The header of the first token verified with this key. An issuer sends the same header with every token.
    header: OnceLock<KnownHeader>,
}

/// A parsed header. A token with the same encoded header is not parsed again.
#[derive(Clone)]
pub(crate) struct KnownHeader {
    encoded: Box<[u8]>,
    pub(crate) kid: Option<Box<str>>,
    pub(crate) token_type: TokenType,
}

/// Selects the tokens a key serves by their `kid`.
#[derive(Clone, Debug)]
enum Name {
    /// A local key without a `kid` serves any token.
    Any,
    /// A key without a `kid` in a JWK set serves only tokens without a `kid`.
    Missing,
    /// A key with this `kid` serves tokens with the same `kid` or none.
    Kid(String),
}

impl Key {
    /// Creates a key from a secret, for HS256, HS384 or HS512.
    ///
    /// The bytes are used as they are. Most libraries sign with the bytes of the text itself. Some providers show a
    /// secret in Base64 and sign with the decoded bytes. Decode such a secret first, for example with the crate
    /// `base64`: `Key::hmac(Algorithm::HS256, STANDARD.decode(text)?)`.
    ///
    /// The minimum length does not count these bytes:
    ///
    /// - zero bytes at the end, because HMAC pads short secrets with zeros
    ///   ([RFC 2104, section 2](https://www.rfc-editor.org/rfc/rfc2104#section-2)). One random secret in 256 ends in a zero
    ///   byte, so generate a few bytes more than the minimum.
    /// - repetitions of a pattern
    /// - white space and `=` at the end of a text
    ///
    /// # Errors
    ///
    /// - The secret is shorter than the hash: 32, 48 or 64 bytes
    ///   ([RFC 7518, section 3.2](https://www.rfc-editor.org/rfc/rfc7518#section-3.2)).
    /// - The secret is a key or certificate: PEM, DER, JWK, XML, SSH or PGP, also as base64, hex, a list of bytes or UTF-16.
    ///   Bare numbers look random and are not detected. Examples are the `n` of a JWK, the 32 bytes of an Ed25519 key,
    ///   the 65 bytes of an uncompressed EC point and the `pub` of an ML-DSA key.
    /// - The algorithm is not an HMAC.
    pub fn hmac(algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Self::local(algorithm, Material::Secret(secret.as_ref()))
    }

    /// Reads a public key in PEM: `PUBLIC KEY` or `RSA PUBLIC KEY`
    /// ([RFC 7468, section 13](https://www.rfc-editor.org/rfc/rfc7468#section-13)).
    ///
    /// Lines may have any length and end in LF, CR LF or CR. White space and text around the key are ignored.
    ///
    /// # Errors
    ///
    /// - The text is not a public key, for example a private key or a certificate. The error says what it is, and how
    ///   to get the public key.
    /// - The key does not fit the algorithm, or the [back end](crate#features) does not support the algorithm.
    /// - An RSA key has less than 2048 or more than 8192 bits.
    pub fn pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let (label, der) = PUBLIC.read(pem.as_ref())?;
        match label {
            "RSA PUBLIC KEY" => Self::pkcs1(algorithm, &der),
            _ => Self::spki(algorithm, &der),
        }
    }

    /// Reads a public key in DER: a `SubjectPublicKeyInfo`
    /// ([RFC 5280, section 4.1.2.7](https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.7)), or an `RSAPublicKey`
    /// ([RFC 8017, appendix A.1.1](https://www.rfc-editor.org/rfc/rfc8017#appendix-A.1.1)).
    ///
    /// # Errors
    ///
    /// The same as for [`pem`](Self::pem).
    pub fn der(algorithm: Algorithm, der: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let der = der.as_ref();
        if RsaPublicKeyRef::from_der(der).is_ok() {
            Self::pkcs1(algorithm, der)
        } else {
            Self::spki(algorithm, der)
        }
    }

    /// Sets the `kid`. The key then serves only tokens with exactly this `kid` or none.
    #[must_use]
    pub fn with_kid(self, kid: impl Into<String>) -> Self {
        Self { name: Name::Kid(kid.into()), ..self }
    }

    /// Returns the `kid` of the key, if it has one.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        match &self.name {
            Name::Kid(kid) => Some(kid),
            _ => None,
        }
    }

    /// Returns the algorithm of the key.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn from_jwk(
        algorithm: Algorithm,
        kid: Option<String>,
        material: Material<'_>,
    ) -> Result<Self, ConfigError> {
        let name = kid.map_or(Name::Missing, Name::Kid);
        Self::prepare(name, algorithm, material)
    }

    pub(crate) fn assume_algorithm(self, algorithm_is_assumed: bool) -> Self {
        Self { algorithm_is_assumed, ..self }
    }

    pub(crate) fn algorithm_is_assumed(&self) -> bool {
        self.algorithm_is_assumed
    }

    /// Makes a single key without a `kid` serve any token.
    pub(crate) fn standing_alone(self) -> Self {
        match self.name {
            Name::Missing => Self { name: Name::Any, ..self },
            _ => self,
        }
    }

    /// Forgets the known header. It is valid for one set only, because the set decides which keys a token is tried with.
    pub(crate) fn forgetful(self) -> Self {
        Self { header: OnceLock::new(), ..self }
    }

    /// Returns the known header if it equals `encoded`.
    #[inline]
    pub(crate) fn knows(&self, encoded: &[u8]) -> Option<&KnownHeader> {
        self.header.get().filter(|known| *known.encoded == *encoded)
    }

    /// Remembers the header of the first verified token, unless it is unusually long.
    pub(crate) fn remember(&self, encoded: &[u8], header: &Header<'_>) {
        if encoded.len() <= LONGEST_KNOWN_HEADER {
            self.header.get_or_init(|| KnownHeader {
                encoded: encoded.into(),
                kid: header.kid.as_deref().map(Into::into),
                token_type: header.token_type(),
            });
        }
    }

    /// Returns the fingerprint of the key bytes and the algorithm. The `kid` is not part of it.
    #[inline]
    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    pub(crate) fn is_named(&self, kid: &str) -> bool {
        self.kid() == Some(kid)
    }

    /// Returns true if this key may have signed a token with this `kid`.
    #[inline]
    pub(crate) fn serves(&self, kid: Option<&str>) -> bool {
        match (&self.name, kid) {
            (Name::Any, _) | (_, None) => true,
            (Name::Missing, Some(_)) => false,
            (Name::Kid(own), Some(kid)) => own == kid,
        }
    }

    #[inline]
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.ready.verify(message, signature)
    }

    fn local(algorithm: Algorithm, material: Material<'_>) -> Result<Self, ConfigError> {
        Self::prepare(Name::Any, algorithm, material)
    }

    fn prepare(name: Name, algorithm: Algorithm, material: Material<'_>) -> Result<Self, ConfigError> {
        let ready = VerifyingKey::prepare(algorithm, material)?;
        Ok(Self {
            name,
            algorithm,
            algorithm_is_assumed: false,
            ready,
            fingerprint: material.fingerprint(algorithm),
            header: OnceLock::new(),
        })
    }

    fn pkcs1(algorithm: Algorithm, der: &[u8]) -> Result<Self, ConfigError> {
        let key = RsaPublicKeyRef::from_der(der)
            .map_err(|_| ConfigProblem::MalformedKey { reason: "it is not an RSA public key" }.into())?;
        Self::local(algorithm, Material::Rsa { n: key.modulus.as_bytes(), e: key.public_exponent.as_bytes() })
    }

    fn spki(algorithm: Algorithm, der: &[u8]) -> Result<Self, ConfigError> {
        let malformed = || PUBLIC.explain_der(der);
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| malformed())?;
        let bits = info.subject_public_key.as_bytes().ok_or_else(malformed)?;
        match info.algorithm.oid {
            RSA => Self::pkcs1(algorithm, bits),
            ED25519 => Self::local(algorithm, Material::Ed25519(bits)),
            EC => match info.algorithm.parameters_oid().ok().and_then(Curve::of_oid) {
                Some(curve) => Self::local(algorithm, Material::Ec(curve, bits)),
                None => Err(ConfigProblem::WrongKeyType { algorithm, key: OTHER_CURVE }.into()),
            },
            other => match ParameterSet::of_oid(other) {
                Some(set) => Self::local(algorithm, Material::MlDsa(set, bits)),
                None => Err(ConfigProblem::WrongKeyType { algorithm, key: OTHER_TYPE }.into()),
            },
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("name", &self.name)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

const LONGEST_KNOWN_HEADER: usize = 512;

const PUBLIC: Expected = Expected {
    labels: &["PUBLIC KEY", "RSA PUBLIC KEY"],
    is_key: |label| label != "EC PARAMETERS",
    refuse: not_public,
    error: |reason| ConfigProblem::MalformedKey { reason },
    not_pem: "it is not a public key in PEM; it needs to begin with `-----BEGIN PUBLIC KEY-----` or \
        `-----BEGIN RSA PUBLIC KEY-----`",
    not_der: "it is not a public key in DER; `openssl pkey -pubin -outform der` writes one",
};

fn not_public(kind: Kind) -> Option<ConfigProblem> {
    let malformed = |reason| Some(ConfigProblem::MalformedKey { reason });
    match kind {
        Kind::PrivateKey | Kind::EncryptedPrivateKey => Some(ConfigProblem::PrivateKey),
        Kind::Certificate => Some(ConfigProblem::Certificate),
        Kind::SshPublicKey => {
            malformed("it is an SSH key; `ssh-keygen -e -m PKCS8 -f FILE` converts it to PEM")
        }
        Kind::SshPrivateKey => {
            malformed("it is a private SSH key; `ssh-keygen -e -m PKCS8 -f FILE` writes its public key")
        }
        Kind::Jwk => malformed("it is a JWK; use `Key::jwk` or `KeySet::jwks`"),
        _ => None,
    }
}
