//! Reads private keys in PEM and DER.

use pkcs1::{RsaPrivateKeyRef, RsaPublicKeyRef};
use pkcs8::PrivateKeyInfoRef;
use sec1::{EcParameters, EcPrivateKey};
use spki::der::asn1::{AnyRef, OctetStringRef};
use spki::der::zeroize::Zeroizing;
use spki::der::{Decode, SliceReader, Tag, Tagged};
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use crate::config_error::{ConfigError, ConfigProblem};
use crate::crypto::PrivateMaterial;
use crate::crypto::key_detection::Kind;
use crate::crypto::oid::{EC, ED25519, RSA};
use crate::key_type::{Curve, ParameterSet};
use crate::verify::pem::Expected;

/// The format of a private key.
pub(crate) enum Form {
    Pkcs8,
    Pkcs1,
    Sec1,
    Any,
}

/// Reads a PEM and returns its format and DER.
pub(crate) fn from_pem(pem: &[u8]) -> Result<(Form, Zeroizing<Vec<u8>>), ConfigError> {
    let (label, der) = PRIVATE.read(pem)?;
    let form = match label {
        "RSA PRIVATE KEY" => Form::Pkcs1,
        "EC PRIVATE KEY" => Form::Sec1,
        _ => Form::Pkcs8,
    };
    Ok((form, der.into()))
}

pub(crate) const PRIVATE: Expected = Expected {
    labels: &["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"],
    // OpenSSL writes the curve first, and many servers keep certificates, requests or parameters in the same file.
    is_key: |label| label.ends_with("PRIVATE KEY"),
    refuse: not_private,
    error: |reason| ConfigProblem::MalformedKey { reason },
    not_pem: "it is not a private key in PEM; it needs to begin with `-----BEGIN PRIVATE KEY-----`, \
        `-----BEGIN RSA PRIVATE KEY-----` or `-----BEGIN EC PRIVATE KEY-----`",
    not_der: "it is not a private key in DER; `openssl pkey -outform der` writes one",
};

fn not_private(kind: Kind) -> Option<ConfigProblem> {
    let malformed = |reason| Some(ConfigProblem::MalformedKey { reason });
    match kind {
        Kind::PublicKey | Kind::Certificate | Kind::SshPublicKey => Some(ConfigProblem::PublicKey),
        Kind::EncryptedPrivateKey => malformed("it is encrypted; `openssl pkey` decrypts it"),
        Kind::SshPrivateKey => {
            malformed("it is a private SSH key; `ssh-keygen -p -m PKCS8 -f FILE` converts it to PEM")
        }
        Kind::Jwk => malformed("it is a JWK; convert it to PEM"),
        _ => None,
    }
}

/// Reads a private key in DER.
pub(crate) fn from_der<'a>(form: &Form, der: &'a [u8]) -> Result<PrivateMaterial<'a>, Reason> {
    match form {
        Form::Pkcs8 => pkcs8(der),
        Form::Pkcs1 => pkcs1(der),
        Form::Sec1 => sec1(der, None),
        Form::Any if SubjectPublicKeyInfoRef::from_der(der).is_ok() => Err(Reason::Public),
        Form::Any if RsaPublicKeyRef::from_der(der).is_ok() => Err(Reason::Public),
        Form::Any if RsaPrivateKeyRef::from_der(der).is_ok() || is_multi_prime(der) => pkcs1(der),
        Form::Any if EcPrivateKey::from_der(der).is_ok() => sec1(der, None),
        Form::Any => pkcs8(der),
    }
}

/// The reason that a private key cannot be used.
pub(crate) enum Reason {
    Public,
    Malformed,
    MultiPrime,
    OtherCurve,
    OtherType,
}

fn pkcs8(der: &[u8]) -> Result<PrivateMaterial<'_>, Reason> {
    let info = PrivateKeyInfoRef::from_der(der).map_err(|_| Reason::Malformed)?;
    let key = info.private_key.as_bytes();
    match info.algorithm.oid {
        RSA => pkcs1(key),
        ED25519 => {
            let seed: &OctetStringRef = Decode::from_der(key).map_err(|_| Reason::Malformed)?;
            Ok(PrivateMaterial::Ed25519(seed.as_bytes()))
        }
        EC => sec1(key, Some(info.algorithm.parameters_oid().map_err(|_| Reason::OtherCurve)?)),
        other => {
            let set = ParameterSet::of_oid(other).ok_or(Reason::OtherType)?;
            Ok(PrivateMaterial::MlDsa { set, pkcs8: der, seed: ml_dsa_seed(key) })
        }
    }
}

/// Returns the seed of an ML-DSA key: alone with the tag `[0]`, or first in a sequence. An expanded key has none.
fn ml_dsa_seed(key: &[u8]) -> Option<&[u8]> {
    let key: AnyRef<'_> = Decode::from_der(key).ok()?;
    match key.tag() {
        Tag::ContextSpecific { .. } => Some(key.value()),
        Tag::Sequence => Some(AnyRef::decode(&mut SliceReader::new(key.value()).ok()?).ok()?.value()),
        _ => None,
    }
}

fn pkcs1(der: &[u8]) -> Result<PrivateMaterial<'_>, Reason> {
    if is_multi_prime(der) {
        return Err(Reason::MultiPrime);
    }
    let key = RsaPrivateKeyRef::from_der(der).map_err(|_| Reason::Malformed)?;
    Ok(PrivateMaterial::Rsa(key.into()))
}

/// Returns true if the key begins with version 1 and an integer (RFC 8017, appendix A.1.2).
fn is_multi_prime(der: &[u8]) -> bool {
    AnyRef::from_der(der).is_ok_and(|key| key.value().starts_with(&[2, 1, 1, 2]))
}

/// Reads an EC key. The curve is named by the key, by its PKCS #8 envelope (`around`), or by both.
fn sec1(der: &[u8], around: Option<ObjectIdentifier>) -> Result<PrivateMaterial<'_>, Reason> {
    let key = EcPrivateKey::from_der(der).map_err(|_| Reason::Malformed)?;
    let own = key.parameters.and_then(EcParameters::named_curve);
    if own.is_some() && around.is_some() && own != around {
        return Err(Reason::Malformed);
    }
    let curve = own.or(around).and_then(Curve::of_oid).ok_or(Reason::OtherCurve)?;
    if key.private_key.len() != curve.bytes() {
        return Err(Reason::Malformed);
    }
    Ok(PrivateMaterial::Ec(curve, key.private_key))
}
