//! The extractor of `axum_jwt_auth`, with a `LocalDecoder`, in a handler without a router.

use std::sync::Arc;

use axum::body::Body;
use axum::handler::Handler;
use axum_jwt_auth::{Claims, Decoder, LocalDecoder};
use http::StatusCode;
use jsonwebtoken10::{Algorithm, DecodingKey, Validation};

use crate::peer::{Layered, Peer, read};
use crate::tokens::{AUDIENCE, ISSUER, Issuer, User};

pub(super) fn open(issuer: &Issuer) -> Box<dyn Peer> {
    let (key, validation) = decoding(issuer);
    let decoder = LocalDecoder::new(vec![key], validation).expect("key, algorithm and audience are there");
    let decoder: Decoder<User> = Arc::new(decoder);
    Box::new(Layered::<_, Body>::new(orders.with_state(decoder)))
}

async fn orders(user: Claims<User>) -> StatusCode {
    read(&user.claims.email)
}

/// Like [`Issuer::decoding`].
fn decoding(issuer: &Issuer) -> (DecodingKey, Validation) {
    let key = issuer.key.as_bytes();
    let algorithm = issuer.alg().parse().expect("version 10 has all four");
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
