//! Private keys in PEM and DER, taken apart.

use pkcs1::{RsaPrivateKeyRef, RsaPublicKeyRef};
use pkcs8::PrivateKeyInfoRef;
use sec1::{EcParameters, EcPrivateKey};
use spki::der::asn1::OctetStringRef;
use spki::der::{Decode, SecretDocument};
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::crypto::PrivateMaterial;
use crate::config_error::ConfigError;
use crate::verify::key::{EC, ED25519, P256, P384, RSA};

/// What kind of thing a PEM says it holds.
pub(crate) enum Form {
    Pkcs8,
    Pkcs1,
    Sec1,
    Any,
}

/// Takes a PEM apart: DER, and which.
pub(crate) fn from_pem(pem: &[u8]) -> Result<(Form, SecretDocument), ConfigError> {
    let malformed = ConfigError::MalformedKey { reason: "it is not a private key in PEM" };
    let Ok(text) = std::str::from_utf8(pem) else {
        return Err(malformed);
    };
    if text.contains("ENCRYPTED") {
        return Err(ConfigError::MalformedKey { reason: "it is encrypted; `openssl pkey` decrypts it" });
    }
    // OpenSSL writes the curve in front of the key, which names it, too.
    let text = text.split_once("-----END EC PARAMETERS-----").map_or(text, |(_, key)| key);
    match SecretDocument::from_pem(text.trim_ascii()) {
        Ok(("PRIVATE KEY", document)) => Ok((Form::Pkcs8, document)),
        Ok(("RSA PRIVATE KEY", document)) => Ok((Form::Pkcs1, document)),
        Ok(("EC PRIVATE KEY", document)) => Ok((Form::Sec1, document)),
        Ok(("PUBLIC KEY" | "RSA PUBLIC KEY" | "CERTIFICATE", _)) => Err(ConfigError::PublicKey),
        _ => Err(malformed),
    }
}

/// Takes DER apart.
pub(crate) fn from_der<'a>(form: &Form, der: &'a [u8]) -> Result<PrivateMaterial<'a>, Reason> {
    match form {
        Form::Pkcs8 => pkcs8(der),
        Form::Pkcs1 => pkcs1(der),
        Form::Sec1 => sec1(der, None),
        Form::Any if SubjectPublicKeyInfoRef::from_der(der).is_ok() => Err(Reason::Public),
        Form::Any if RsaPublicKeyRef::from_der(der).is_ok() => Err(Reason::Public),
        Form::Any if RsaPrivateKeyRef::from_der(der).is_ok() => pkcs1(der),
        Form::Any if EcPrivateKey::from_der(der).is_ok() => sec1(der, None),
        Form::Any => pkcs8(der),
    }
}

/// Why DER is no key that can be used.
pub(crate) enum Reason {
    Public,
    Malformed,
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
        _ => Err(Reason::OtherType),
    }
}

fn pkcs1(der: &[u8]) -> Result<PrivateMaterial<'_>, Reason> {
    let key = RsaPrivateKeyRef::from_der(der).map_err(|_| Reason::Malformed)?;
    Ok(PrivateMaterial::Rsa(key.into()))
}

/// The curve is named by the key, by what is around it, or by both.
fn sec1(der: &[u8], around: Option<ObjectIdentifier>) -> Result<PrivateMaterial<'_>, Reason> {
    let key = EcPrivateKey::from_der(der).map_err(|_| Reason::Malformed)?;
    let own = key.parameters.and_then(EcParameters::named_curve);
    if own.is_some() && around.is_some() && own != around {
        return Err(Reason::Malformed);
    }
    match own.or(around) {
        Some(P256) if key.private_key.len() == 32 => Ok(PrivateMaterial::P256(key.private_key)),
        Some(P384) if key.private_key.len() == 48 => Ok(PrivateMaterial::P384(key.private_key)),
        Some(P256 | P384) => Err(Reason::Malformed),
        _ => Err(Reason::OtherCurve),
    }
}
