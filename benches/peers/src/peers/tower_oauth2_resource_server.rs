//! `tower_oauth2_resource_server`, with a static JWK set for its only tenant.

use tower::Layer;
use tower_oauth2_resource_server::server::OAuth2ResourceServer;
use tower_oauth2_resource_server::tenant::TenantConfiguration;
use tower_oauth2_resource_server::validation::ClaimsValidationSpec;

use crate::peer::{Layered, Peer, now, orders};
use crate::tokens::{AUDIENCE, ISSUER, Issuer, User};

pub(super) fn open(issuer: &Issuer) -> Box<dyn Peer> {
    let algorithm = issuer.alg().parse().expect("version 11 has all four");
    let tenant = TenantConfiguration::static_builder(issuer.jwks())
        .claims_validation(ClaimsValidationSpec::recommended(ISSUER, &vec![AUDIENCE.to_owned()]))
        .allowed_algorithms(&[algorithm])
        .build();
    let server =
        OAuth2ResourceServer::<User>::builder().add_tenant(tenant.expect("the JWK set is well-formed"));
    let layer = now(server.build()).expect("one tenant is configured").into_layer();
    Box::new(Layered::new(layer.layer(orders::<(), _, ()>(|user: &User| &user.email))))
}
