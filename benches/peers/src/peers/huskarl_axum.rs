//! `huskarl_axum::layers::ValidatorLayer` with a `CustomValidator`, one static key and its default back
//! end. Its `Rfc9068Validator` requires claims that the tokens do not have. Its extractor is in a handler
//! without a router.

use std::sync::Arc;

use axum::body::Body;
use axum::handler::Handler;
use http::StatusCode;
use huskarl_axum::extractors::ValidatedToken;
use huskarl_axum::layers::ValidatorLayer;
use huskarl_axum::resource_server::core::crypto::verifier::{
    JwsVerifier, JwsVerifierFactory, JwsVerifierPlatform,
};
use huskarl_axum::resource_server::core::jwk::Jwk;
use huskarl_axum::resource_server::core::platform::MaybeSendBoxFuture;
use huskarl_axum::resource_server::core::{EndpointUrl, Error};
use huskarl_axum::resource_server::validator::custom::CustomValidator;
use huskarl_crypto_native::NativeVerifierPlatform;
use huskarl_crypto_native::symmetric::SymmetricKey;
use serde::Deserialize;
use tower::Layer;
use tower_jwt_auth::Algorithm;

use crate::peer::{Layered, Peer, now, read};
use crate::tokens::{AUDIENCE, ISSUER, Issuer};

pub(super) fn open(issuer: &Issuer) -> Box<dyn Peer> {
    let validator = CustomValidator::builder()
        .with_claims::<User>()
        .allowed_signing_algorithms(vec![issuer.alg().to_owned()])
        .iss(ISSUER)
        .aud(AUDIENCE)
        .jws_verifier_factory(Static(verifier(issuer)))
        .build();
    let validator = now(validator).expect("the key is there");
    let layer = ValidatorLayer::builder().validator(validator).build().authenticated();
    Box::new(Layered::<_, Body>::new(layer.layer(orders.with_state(()))))
}

async fn orders(user: ValidatedToken<User>) -> StatusCode {
    read(&user.claims.email)
}

/// The claims that the crate does not read itself.
#[derive(Clone, Deserialize)]
struct User {
    #[expect(dead_code, reason = "the other peers read it, too")]
    scope: String,
    email: String,
}

fn verifier(issuer: &Issuer) -> Arc<dyn JwsVerifier> {
    let mut jwks: serde_json::Value = serde_json::from_str(&issuer.jwks()).expect("it is JSON");
    let jwk = jwks["keys"][0].take();
    match issuer.algorithm {
        Algorithm::HS256 => {
            let jwk: Jwk = serde_json::from_value(jwk).expect("it is a JWK");
            let jwk = jwk.private_jwk().expect("it is a secret").try_into().expect("it is a secret");
            Arc::new(SymmetricKey::from_jwk(jwk).expect("it is long enough"))
        }
        _ => {
            let jwk = serde_json::from_value(jwk).expect("it is a JWK");
            let verifier = NativeVerifierPlatform.create_verifier_from_jwk(jwk);
            now(verifier).expect("the algorithm is known")
        }
    }
}

/// A static key in place of fetched ones.
struct Static(Arc<dyn JwsVerifier>);

impl JwsVerifierFactory for Static {
    fn build(
        &self,
        _: Option<&EndpointUrl>,
        _: Arc<dyn JwsVerifierPlatform>,
    ) -> MaybeSendBoxFuture<'static, Result<Arc<dyn JwsVerifier>, Error>> {
        Box::pin(std::future::ready(Ok(Arc::clone(&self.0))))
    }
}
