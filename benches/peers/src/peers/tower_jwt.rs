//! `tower_jwt::JwtLayer` with a local key.

use tower::Layer;
use tower_jwt::{JwtLayer, RequestClaim};

use super::jsonwebtoken9::decoding;
use crate::peer::{Layered, Peer, orders};
use crate::tokens::{Issuer, User};

pub(super) fn open(issuer: &Issuer) -> Box<dyn Peer> {
    let (key, validation) = decoding(issuer);
    let inner = orders::<(), _, ()>(|user: &RequestClaim<User>| &user.claim.email);
    Box::new(Layered::new(JwtLayer::<User, _>::new(validation, key).layer(inner)))
}
