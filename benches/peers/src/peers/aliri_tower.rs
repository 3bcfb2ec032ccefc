//! `aliri_tower`'s JWT layer, with an authority over a static JWK set and any scope allowed. The claims are
//! our own type. It contains aliri's types wherever aliri requires them.

use aliri::Jwks;
use aliri::jwa::Algorithm;
use aliri::jwt::{
    Audience, Audiences, CoreClaims, CoreValidator, Issuer as IssuerName, IssuerRef, Subject, SubjectRef,
};
use aliri_clock::UnixTime;
use aliri_oauth2::{Authority, HasScope, Scope};
use aliri_tower::Oauth2Authorizer;
use bytes::Bytes;
use http_body_util::Empty;
use serde::Deserialize;
use tower::Layer;

use crate::peer::{Layered, Peer, orders};
use crate::tokens::{AUDIENCE, ISSUER, Issuer};

pub(super) fn open(issuer: &Issuer) -> Option<Box<dyn Peer>> {
    let algorithm = match issuer.algorithm {
        tower_jwt_auth::Algorithm::HS256 => Algorithm::HS256,
        tower_jwt_auth::Algorithm::RS256 => Algorithm::RS256,
        tower_jwt_auth::Algorithm::ES256 => Algorithm::ES256,
        _ => return None,
    };
    let jwks: Jwks = serde_json::from_str(&issuer.jwks()).expect("the JWK set is well-formed");
    let validator = CoreValidator::default()
        .check_not_before()
        .add_approved_algorithm(algorithm)
        .add_allowed_audience(Audience::from_static(AUDIENCE))
        .require_issuer(IssuerName::from_static(ISSUER));
    let layer = Oauth2Authorizer::new()
        .with_claims::<User>()
        .with_terse_error_handler::<Empty<Bytes>>()
        .jwt_layer(Authority::new(jwks, validator));
    Some(Box::new(Layered::<_, ()>::new(layer.layer(orders(|user: &User| &user.email)))))
}

#[derive(Clone, Deserialize)]
struct User {
    iss: IssuerName,
    sub: Subject,
    aud: Audiences,
    exp: UnixTime,
    #[expect(dead_code, reason = "the other peers read it, too")]
    iat: u64,
    nbf: UnixTime,
    #[expect(dead_code, reason = "the other peers read it, too")]
    jti: String,
    scope: Scope,
    email: String,
}

impl CoreClaims for User {
    fn nbf(&self) -> Option<UnixTime> {
        Some(self.nbf)
    }

    fn exp(&self) -> Option<UnixTime> {
        Some(self.exp)
    }

    fn aud(&self) -> &Audiences {
        &self.aud
    }

    fn iss(&self) -> Option<&IssuerRef> {
        Some(&self.iss)
    }

    fn sub(&self) -> Option<&SubjectRef> {
        Some(&self.sub)
    }
}

impl HasScope for User {
    fn scope(&self) -> &Scope {
        &self.scope
    }
}
