//! `jwt_authorizer::AuthorizationLayer` with one static key, the only one its algorithm list admits.

use axum07::body::Body;
use jsonwebtoken9::TokenData;
use jwt_authorizer::{IntoLayer, JwtAuthorizer, Validation};
use tower::Layer;
use tower_jwt_auth::Algorithm;

use super::jsonwebtoken9::algorithm;
use crate::peer::{Layered, Peer, now, orders};
use crate::tokens::{AUDIENCE, ISSUER, Issuer, User};

pub(super) fn open(issuer: &Issuer) -> Box<dyn Peer> {
    let authorizer = match issuer.algorithm {
        Algorithm::HS256 => JwtAuthorizer::<User>::from_secret(issuer.key),
        Algorithm::RS256 => JwtAuthorizer::from_rsa_pem_text(issuer.key),
        Algorithm::ES256 => JwtAuthorizer::from_ec_pem_text(issuer.key),
        _ => JwtAuthorizer::from_ed_pem_text(issuer.key),
    };
    let validation =
        Validation::new().iss(&[ISSUER]).aud(&[AUDIENCE]).nbf(true).algs(vec![algorithm(issuer)]);
    let authorizer = now(authorizer.validation(validation).build()).expect("the fixture is a key");
    // Reads the claims in place; the crate's own extractor clones them.
    let inner = orders::<(), _, Body>(|data: &TokenData<User>| &data.claims.email);
    Box::new(Layered::new(authorizer.into_layer().layer(inner)))
}
