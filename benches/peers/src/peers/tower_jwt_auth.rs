//! This library, as in its README.

use tower::Layer;
use tower_jwt_auth::{Algorithm, Claims, JwtAuthLayer, JwtVerifier, Key, KeySet};

use crate::peer::{Layered, Peer, orders};
use crate::tokens::{AUDIENCE, ISSUER, Issuer, KID, User};

pub(super) fn open(issuer: &Issuer) -> Box<dyn Peer> {
    layered(verifier(issuer).without_cache())
}

pub(super) fn open_cached(issuer: &Issuer) -> Box<dyn Peer> {
    layered(verifier(issuer))
}

fn layered(verifier: JwtVerifier<User>) -> Box<dyn Peer> {
    let inner = orders::<(), _, ()>(|user: &Claims<User>| &user.email);
    Box::new(Layered::new(JwtAuthLayer::new(verifier).layer(inner)))
}

fn verifier(issuer: &Issuer) -> JwtVerifier<User> {
    let key = match issuer.algorithm {
        Algorithm::HS256 => Key::hmac(issuer.algorithm, issuer.key),
        _ => Key::pem(issuer.algorithm, issuer.key),
    };
    let keys = KeySet::from(key.expect("the fixture is a key").with_kid(KID));
    JwtVerifier::new(keys).issuer(ISSUER).audience(AUDIENCE)
}
