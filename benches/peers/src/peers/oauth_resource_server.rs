//! `oauth_resource_server::http_layer::HttpAuthLayer`, with the key set it starts from.

use std::sync::Arc;

use oauth_resource_server::http_layer::HttpAuthLayer;
use oauth_resource_server::{AuthorizedToken, KeyNaming, OAuthConfig, OAuthValidator};
use tower::Layer;
use tower_jwt_auth::Algorithm;

use crate::peer::{Layered, Peer, orders};
use crate::tokens::{AUDIENCE, ISSUER, Issuer};

pub(super) fn open(issuer: &Issuer) -> Option<Box<dyn Peer>> {
    if issuer.algorithm == Algorithm::HS256 {
        return None;
    }
    let config = OAuthConfig {
        enabled: true,
        issuer: ISSUER.to_owned(),
        jwks_uri: Some(format!("{ISSUER}/jwks")),
        audience: AUDIENCE.to_owned(),
        resource: AUDIENCE.to_owned(),
        algorithms: vec![issuer.alg().to_owned()],
        allow_unscoped_tokens: true,
        ..OAuthConfig::default()
    };
    let config = config.resolve(KeyNaming::Dotted("oauth")).expect("the configuration is complete");
    let config = config.expect("it is enabled");
    let validator = OAuthValidator::builder(&config).initial_jwks(&issuer.jwks()).build();
    let validator = Arc::new(validator.expect("the JWK set is well-formed"));
    let layer = HttpAuthLayer::builder().oauth(validator).build().expect("it has a validator");
    Some(Box::new(Layered::new(layer.layer(orders::<(), _, ()>(email)))))
}

/// Reads the claims as JSON. `claims_as::<User>()` would copy all of them before it makes a struct.
fn email(token: &AuthorizedToken) -> &str {
    token.claims().get("email").and_then(|email| email.as_str()).expect("the token has an email")
}
