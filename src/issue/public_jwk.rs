//! The published public key (RFC 7517).

use std::collections::BTreeMap;

use crate::algorithm::Algorithm;
use crate::binding::Thumbprint;
use crate::crypto::Material;
use crate::key_type::{Curve, ParameterSet};
use crate::verify::base64url::encode;

/// The numbers of a public key.
#[derive(Clone)]
pub(crate) enum PublicNumbers {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Ec(Curve, Vec<u8>),
    Ed25519(Vec<u8>),
    MlDsa(ParameterSet, Vec<u8>),
}

/// The members of a JWK, sorted by name. All values are strings.
pub(crate) type Jwk = BTreeMap<&'static str, String>;

impl PublicNumbers {
    pub(crate) fn material(&self) -> Material<'_> {
        match self {
            Self::Rsa { n, e } => Material::Rsa { n, e },
            Self::Ec(curve, point) => Material::Ec(*curve, point),
            Self::Ed25519(key) => Material::Ed25519(key),
            Self::MlDsa(set, key) => Material::MlDsa(*set, key),
        }
    }

    /// Returns the JWK for publication.
    pub(crate) fn jwk(&self, algorithm: Algorithm, kid: Option<&str>) -> Jwk {
        let mut jwk = self.required(algorithm);
        jwk.extend([("alg", algorithm.to_string()), ("use", "sig".to_owned())]);
        jwk.extend(kid.map(|kid| ("kid", kid.to_owned())));
        jwk
    }

    /// Returns the thumbprint (RFC 7638, section 3; RFC 8037, section 2; RFC 9964, section 6).
    pub(crate) fn thumbprint(&self, algorithm: Algorithm) -> Thumbprint {
        Thumbprint::of_jwk(&self.required(algorithm))
    }

    /// Returns the members that the thumbprint covers.
    pub(crate) fn required(&self, algorithm: Algorithm) -> Jwk {
        let texts = |members: &[(&'static str, &str)]| {
            members.iter().map(|(name, value)| (*name, (*value).to_owned())).collect::<Jwk>()
        };
        match self {
            Self::Rsa { n, e } => texts(&[("kty", "RSA"), ("n", &encode(n)), ("e", &encode(e))]),
            Self::Ec(curve, point) => ec(*curve, point),
            Self::Ed25519(key) => texts(&[("kty", "OKP"), ("crv", "Ed25519"), ("x", &encode(key))]),
            Self::MlDsa(_, key) => {
                texts(&[("kty", "AKP"), ("alg", algorithm.as_str()), ("pub", &encode(key))])
            }
        }
    }
}

/// Reads an uncompressed point: a format byte, then `x` and `y`.
fn ec(curve: Curve, point: &[u8]) -> Jwk {
    let (x, y) = point[1..].split_at(point.len() / 2);
    [("kty", "EC".to_owned()), ("crv", curve.name().to_owned()), ("x", encode(x)), ("y", encode(y))].into()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::verify::base64url::decode_to_vec;

    fn decoded(text: &str) -> Vec<u8> {
        decode_to_vec(text.as_bytes()).unwrap()
    }

    #[test]
    fn computes_the_thumbprints_of_rfcs() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZC\
            iFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c\
            7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44\
            -csFCur-kEgU8awapJzKnqDKgw";
        let x = "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs";
        let y = "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA";
        let point = [vec![4], decoded(x), decoded(y)].concat();
        for (name, numbers, algorithm, expected) in [
            (
                "RFC 7638, section 3.1",
                PublicNumbers::Rsa { n: decoded(n), e: decoded("AQAB") },
                Algorithm::RS256,
                "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
            ),
            (
                "RFC 8037, appendix A.3",
                PublicNumbers::Ed25519(decoded("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")),
                Algorithm::EdDSA,
                "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
            ),
            (
                "RFC 9449, section 6.1",
                PublicNumbers::Ec(Curve::P256, point),
                Algorithm::ES256,
                "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
            ),
        ] {
            assert_eq!(numbers.thumbprint(algorithm).to_string(), expected, "{name}");
        }
    }

    #[test]
    fn computes_the_thumbprints_of_rfc_9964() {
        let rows: Value =
            serde_json::from_str(include_str!("../../tests/fixtures/rfc-signatures.json")).unwrap();
        let rows = rows.as_array().unwrap().iter().map(|row| &row["jwk"]);
        let keys: Vec<_> = rows.filter(|jwk| jwk["kty"] == "AKP").collect();
        assert_eq!(keys.len(), 3);
        let sets = ParameterSet::ALL.into_iter();
        let algorithms = [Algorithm::MlDsa44, Algorithm::MlDsa65, Algorithm::MlDsa87];
        for ((jwk, set), algorithm) in keys.into_iter().zip(sets).zip(algorithms) {
            let public = decoded(jwk["pub"].as_str().unwrap());
            let thumbprint = PublicNumbers::MlDsa(set, public).thumbprint(algorithm);
            assert_eq!(thumbprint.to_string(), jwk["kid"], "{algorithm}");
        }
    }
}
