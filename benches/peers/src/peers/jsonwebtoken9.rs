//! Key and validation for peers that use version 9 of jsonwebtoken.

use jsonwebtoken9::{Algorithm, DecodingKey, Validation};

use crate::tokens::{AUDIENCE, ISSUER, Issuer};

pub(super) fn algorithm(issuer: &Issuer) -> Algorithm {
    issuer.alg().parse().expect("version 9 has all four")
}

/// Like [`Issuer::decoding`].
pub(super) fn decoding(issuer: &Issuer) -> (DecodingKey, Validation) {
    let key = issuer.key.as_bytes();
    let algorithm = algorithm(issuer);
    let key = match algorithm {
        Algorithm::HS256 => Ok(DecodingKey::from_secret(key)),
        Algorithm::RS256 => DecodingKey::from_rsa_pem(key),
        Algorithm::ES256 => DecodingKey::from_ec_pem(key),
        _ => DecodingKey::from_ed_pem(key),
    };
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.validate_nbf = true;
    (key.expect("the fixture is a key"), validation)
}
