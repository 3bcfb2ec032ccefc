use std::fmt::{self, Formatter};
use std::sync::Arc;

use super::private_key::{self, Form, Reason};
use super::public_jwk::{Jwk, PublicNumbers};
use crate::algorithm::Algorithm;
use crate::config_error::{ConfigError, ConfigProblem};
use crate::crypto::oid::{OTHER_CURVE, OTHER_TYPE};
use crate::crypto::secret::Secret;
use crate::crypto::{PrivateKey, PrivateMaterial, Sign};
use crate::verify::Key;

/// A private key or secret that signs tokens with one algorithm. Clones share it.
///
/// ```
/// use tower_jwt_auth::issue::SigningKey;
/// use tower_jwt_auth::Algorithm;
///
/// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
/// let key = SigningKey::generate(Algorithm::EdDSA)?.with_kid("2026-01");
/// assert_eq!(format!("{key:?}"), r#"SigningKey { kid: Some("2026-01"), algorithm: EdDSA, .. }"#);
///
/// let error = SigningKey::hmac(Algorithm::HS256, b"a short one").unwrap_err();
/// assert_eq!(error.to_string(), "HS256 needs a secret of at least 32 bytes, got 11");
/// # Ok(())
/// # }
/// ```
///
/// The [back end](crate#features) that verifies signatures also makes them. HMACs use the crates `hmac` and `sha2`.
///
/// # Security
///
/// The secret or private key cannot be read back, and `Debug` does not show it.
#[derive(Clone)]
pub struct SigningKey {
    algorithm: Algorithm,
    kid: Option<String>,
    signer: Signer,
    verifying: Key,
    /// `None` for a secret.
    public: Option<PublicNumbers>,
}

#[derive(Clone)]
enum Signer {
    Secret(Arc<Secret>),
    Private(Arc<PrivateKey>),
}

impl SigningKey {
    /// Creates a signing key from a secret, for HS256, HS384 or HS512.
    ///
    /// It has no `kid` until you [set one](Self::with_kid), and is never published.
    ///
    /// # Errors
    ///
    /// Same as [`Key::hmac`].
    pub fn hmac(algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let verifying = Key::hmac(algorithm, &secret)?;
        let secret = Secret::prepare(algorithm, secret.as_ref()).expect("the key has been checked");
        Ok(Self { algorithm, kid: None, signer: Signer::Secret(Arc::new(secret)), verifying, public: None })
    }

    /// Reads a private key in PEM.
    ///
    /// - `PRIVATE KEY` ([RFC 5958](https://www.rfc-editor.org/rfc/rfc5958))
    /// - `RSA PRIVATE KEY` ([RFC 8017, appendix A.1.2](https://www.rfc-editor.org/rfc/rfc8017#appendix-A.1.2))
    /// - `EC PRIVATE KEY` ([RFC 5915](https://www.rfc-editor.org/rfc/rfc5915))
    ///
    /// The `kid` is the thumbprint ([RFC 7638](https://www.rfc-editor.org/rfc/rfc7638)) until you
    /// [set another](Self::with_kid). An ML-DSA key may be a seed, an expanded key or both
    /// ([RFC 9881, section 6](https://www.rfc-editor.org/rfc/rfc9881#section-6)); prefer the seed.
    ///
    /// Lines may have any length and end in LF, CR LF or CR. Text around the key and other PEM blocks are ignored.
    ///
    /// # Errors
    ///
    /// - The text is something else, such as a public key, a certificate or an encrypted key. The error says what was
    ///   found and what to do.
    /// - The key does not match the algorithm, or the back end cannot use it.
    /// - The halves of an RSA key do not match, or it has less than 2048 or more than 8192 bits. For other keys the
    ///   public half is computed.
    /// - An EC or Ed25519 key, or the seed of an ML-DSA key, is one byte repeated.
    pub fn pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let (form, document) = private_key::from_pem(pem.as_ref())?;
        Self::read(algorithm, &form, &document)
    }

    /// Reads a private key in DER, in the same three formats as [`pem`](Self::pem).
    ///
    /// # Errors
    ///
    /// Same as [`pem`](Self::pem).
    pub fn der(algorithm: Algorithm, der: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        Self::read(algorithm, &Form::Any, der.as_ref())
    }

    /// Generates a new key that is lost when the process ends.
    ///
    /// Use it for tests, and for issuers that are their own only verifier. RSA keys have 2048 bits and are slow to
    /// generate. Secrets are as long as the hash.
    ///
    /// # Errors
    ///
    /// - The back end does not support the algorithm or this processor.
    /// - The operating system returns no random numbers.
    pub fn generate(algorithm: Algorithm) -> Result<Self, ConfigError> {
        let secret = |bytes: &mut [u8]| {
            // Zero bytes at the end of a secret do not count.
            while bytes.last() == Some(&0) {
                getrandom::fill(bytes).map_err(|_| ConfigProblem::NoRandomness.into())?;
            }
            Self::hmac(algorithm, bytes)
        };
        match algorithm {
            Algorithm::HS256 => secret(&mut [0; 32]),
            Algorithm::HS384 => secret(&mut [0; 48]),
            Algorithm::HS512 => secret(&mut [0; 64]),
            _ => {
                PrivateKey::supports(algorithm)?;
                let der =
                    PrivateKey::generate(algorithm).ok_or_else(|| ConfigProblem::NoRandomness.into())?;
                Self::read(algorithm, &Form::Pkcs8, &der)
            }
        }
    }

    /// Sets the `kid` in the header of every token and in the public key.
    #[must_use]
    pub fn with_kid(mut self, kid: impl Into<String>) -> Self {
        let kid = kid.into();
        self.verifying = self.verifying.with_kid(kid.clone());
        self.kid = Some(kid);
        self
    }

    /// Returns the `kid`, if the key has one.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Returns the algorithm that it signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the verifying key: the public key, or the secret itself.
    #[must_use]
    pub fn verifying_key(&self) -> Key {
        self.verifying.clone().forgetful()
    }

    /// Returns the public key, if there is one.
    pub(crate) fn jwk(&self) -> Option<Jwk> {
        Some(self.public.as_ref()?.jwk(self.algorithm, self.kid()))
    }

    /// Returns the numbers of the public key, if there is one.
    #[cfg(feature = "dpop")]
    pub(crate) fn public(&self) -> Option<&PublicNumbers> {
        self.public.as_ref()
    }

    /// Signs. `None` if the operating system returns no random numbers.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match &self.signer {
            Signer::Secret(secret) => Some(secret.sign(message)),
            Signer::Private(key) => key.sign(message),
        }
    }

    fn read(algorithm: Algorithm, form: &Form, der: &[u8]) -> Result<Self, ConfigError> {
        let material = private_key::from_der(form, der).map_err(|reason| match reason {
            Reason::Public => ConfigProblem::PublicKey.into(),
            Reason::Malformed => private_key::PRIVATE.explain_der(der),
            Reason::MultiPrime => ConfigProblem::MalformedKey {
                reason: "it is an RSA key with more than two primes, which is not supported; generate one with two",
            }
            .into(),
            Reason::OtherCurve => {
                ConfigProblem::WrongKeyType { algorithm, key: OTHER_CURVE }.into()
            }
            Reason::OtherType => {
                ConfigProblem::WrongKeyType { algorithm, key: OTHER_TYPE }.into()
            }
        })?;
        Self::prepare(algorithm, &material)
    }

    fn prepare(algorithm: Algorithm, material: &PrivateMaterial<'_>) -> Result<Self, ConfigError> {
        let halves = || -> ConfigError {
            ConfigProblem::MalformedKey { reason: "its numbers are not those of a private key" }.into()
        };
        let key_type = material.key_type();
        if key_type != algorithm.key_type() {
            return Err(ConfigProblem::WrongKeyType { algorithm, key: key_type.name() }.into());
        }
        PrivateKey::supports(algorithm)?;
        if let PrivateMaterial::Rsa(key) = material {
            // Check the public half first, before any library reads the private one.
            let public = PublicNumbers::Rsa {
                n: key.modulus.as_bytes().to_vec(),
                e: key.public_exponent.as_bytes().to_vec(),
            };
            let verifying = Key::from_jwk(algorithm, None, public.material())?;
            let private = PrivateKey::prepare(algorithm, material).ok_or_else(halves)?;
            return Self::of_halves(algorithm, private, public, verifying);
        }
        let private = PrivateKey::prepare(algorithm, material).ok_or_else(halves)?;
        let bytes = private.public().ok_or_else(halves)?;
        if material.is_one_byte_repeated() {
            return Err(ConfigProblem::MalformedKey {
                reason: "it is one byte repeated, which anyone can guess; generate a random key",
            }
            .into());
        }
        let public = match material {
            PrivateMaterial::Ec(curve, _) => PublicNumbers::Ec(*curve, bytes),
            PrivateMaterial::MlDsa { set, .. } => PublicNumbers::MlDsa(*set, bytes),
            PrivateMaterial::Ed25519(_) | PrivateMaterial::Rsa(_) => PublicNumbers::Ed25519(bytes),
        };
        let verifying = Key::from_jwk(algorithm, None, public.material())?;
        Self::of_halves(algorithm, private, public, verifying)
    }

    /// Signs once, to reject a key whose signatures no verifier would accept.
    fn of_halves(
        algorithm: Algorithm,
        private: PrivateKey,
        public: PublicNumbers,
        verifying: Key,
    ) -> Result<Self, ConfigError> {
        let message = b"a signature to try the key with";
        // Not every back end checks this itself.
        if !private.sign(message).is_some_and(|signature| verifying.verify(message, &signature)) {
            return Err(
                ConfigProblem::MalformedKey { reason: "its private and public halves do not match" }.into()
            );
        }
        let kid = public.thumbprint(algorithm).to_string();
        let signer = Signer::Private(Arc::new(private));
        Ok(Self { algorithm, kid: None, signer, verifying, public: Some(public) }.with_kid(kid))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
