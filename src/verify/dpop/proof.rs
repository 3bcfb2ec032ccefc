//! A DPoP proof (RFC 9449, section 4.2).

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::algorithm::Algorithm;
use crate::binding::Thumbprint;
use crate::error::{AuthError, FixedCause};
use crate::kind::AuthErrorKind;
use crate::registered::NumericDate;
use crate::verify::base64url::Buffer;
use crate::verify::json::{self, Text};
use crate::verify::jwk::Jwk;
use crate::verify::jws::Jws;
use crate::verify::key::Key;

/// The longest accepted proof, in bytes. One with an ML-DSA-87 key has about 11,300, with an RSA key of 8192 bits 3,500.
const MAX_BYTES: usize = 12 * 1024;
/// Longer headers and payloads are decoded on the heap.
pub(super) const USUAL_PART: usize = 1536;

/// Splits the value of the header.
pub(super) fn split(value: &[u8]) -> Result<Jws<'_>, AuthError> {
    let jws = Jws::split(value).filter(|_| value.len() <= MAX_BYTES);
    jws.ok_or_else(|| malformed(NOT_A_JWT))
}

/// The JOSE header. Other members are ignored.
#[derive(Deserialize)]
pub(super) struct ProofHeader<'a> {
    #[serde(borrow)]
    typ: Text<'a>,
    #[serde(borrow)]
    alg: Text<'a>,
    #[serde(borrow, default)]
    jwk: Option<Jwk<'a>>,
    #[serde(default, deserialize_with = "json::some")]
    crit: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "json::some")]
    b64: Option<IgnoredAny>,
}

impl<'a> ProofHeader<'a> {
    pub(super) fn read(encoded: &[u8], buffer: &'a mut Buffer<USUAL_PART>) -> Result<Self, AuthError> {
        let bytes = buffer.decode(encoded).ok_or_else(|| malformed(NOT_A_JWT))?;
        json::object_text(bytes)
            .filter(|text| json::is_shallow(text))
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| malformed(HEADER))
    }

    /// Returns the key in the header, which must have this thumbprint, if the proof may be signed with it.
    pub(super) fn key(&self, accepted: &[Algorithm], expected: Thumbprint) -> Result<Key, AuthError> {
        if *self.typ != *"dpop+jwt" {
            return Err(malformed(TYPE));
        }
        if self.crit.is_some() || self.b64.is_some() {
            return Err(malformed(EXTENSION));
        }
        let algorithm = Algorithm::named(&self.alg).filter(|algorithm| accepted.contains(algorithm));
        let algorithm = algorithm.ok_or_else(|| malformed(ALGORITHM))?;
        let jwk = self.jwk.as_ref().ok_or_else(|| malformed(NO_KEY))?;
        match jwk.presented(algorithm, expected) {
            Ok(Some(key)) => Ok(key),
            Ok(None) => Err(AuthError::new(AuthErrorKind::WrongProofKey).because(OTHER_KEY)),
            Err(error) => {
                let cause = format!("the `jwk` of the proof cannot be used: {error}");
                Err(AuthError::new(AuthErrorKind::MalformedProof).with_source(cause))
            }
        }
    }
}

/// The claims. Other members are ignored.
#[derive(Deserialize)]
pub(super) struct ProofClaims<'a> {
    #[serde(borrow)]
    pub(super) jti: Text<'a>,
    #[serde(borrow)]
    pub(super) htm: Text<'a>,
    #[serde(borrow)]
    pub(super) htu: Text<'a>,
    pub(super) iat: NumericDate,
    #[serde(borrow)]
    pub(super) ath: Text<'a>,
    #[serde(borrow, default, deserialize_with = "json::some")]
    pub(super) nonce: Option<Text<'a>>,
    /// Not required, but a JWT is not valid outside of both times (RFC 7519, sections 4.1.4 and 4.1.5).
    #[serde(default, deserialize_with = "json::some")]
    pub(super) exp: Option<NumericDate>,
    #[serde(default, deserialize_with = "json::some")]
    pub(super) nbf: Option<NumericDate>,
}

impl<'a> ProofClaims<'a> {
    pub(super) fn read(encoded: &[u8], buffer: &'a mut Buffer<USUAL_PART>) -> Result<Self, AuthError> {
        let bytes = buffer.decode(encoded).ok_or_else(|| malformed(NOT_A_JWT))?;
        json::object_text(bytes)
            .filter(|text| json::is_shallow(text))
            .and_then(|text| serde_json::from_str(text).ok())
            .filter(|claims: &Self| !claims.jti.is_empty())
            .ok_or_else(|| malformed(CLAIMS))
    }
}

fn malformed(cause: &'static FixedCause) -> AuthError {
    AuthError::new(AuthErrorKind::MalformedProof).because(cause)
}

const NOT_A_JWT: &FixedCause =
    &FixedCause("the proof is not a JWT: it needs three parts in canonical base64url and at most 12 KiB");
const HEADER: &FixedCause =
    &FixedCause("the header of the proof is not a JSON object with `typ`, `alg` and `jwk`");
const TYPE: &FixedCause = &FixedCause("the `typ` of the proof is not `dpop+jwt`");
const EXTENSION: &FixedCause =
    &FixedCause("the header of the proof has `crit` or `b64`, which are not supported");
const ALGORITHM: &FixedCause =
    &FixedCause("the `alg` of the proof is not accepted; Dpop::algorithms sets the accepted ones");
const NO_KEY: &FixedCause = &FixedCause("the header of the proof has no `jwk`");
const OTHER_KEY: &FixedCause =
    &FixedCause("the `jkt` in the token's `cnf` is not the thumbprint of the key in the header of the proof");
const CLAIMS: &FixedCause = &FixedCause(
    "the payload of the proof is not a JSON object with the strings `jti`, `htm`, `htu` and `ath` and the number `iat`, \
     each of them once",
);
