//! Proofs of our own client key, `DpopKey`, for the provider and for a service.

use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode};
use tower_jwt_auth::Algorithm;
use tower_jwt_auth::dpop::{Dpop, DpopKey};
use tower_jwt_auth::jwks::{HttpClient, HttpsClient};

use crate::provider::{Provider, token_in};
use crate::service::{orders, serve, with_nonces};

#[tokio::test]
#[ignore = "it needs npm's oidc-provider: run .ci/provider"]
async fn provider_and_service_accept_our_proofs() {
    let provider = Provider::start();
    let service = serve(|url| {
        orders(&provider, with_nonces(Dpop::new(url).unwrap(), b"a secret of thirty-two bytes ..."))
    })
    .await;
    for algorithm in
        [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA, Algorithm::PS256, Algorithm::RS256]
    {
        let key = DpopKey::generate(algorithm).unwrap();
        for format in ["jwt", "opaque"] {
            let response = send(provider.token_request(format), &key, None).await;
            let token = token_in(response.body());
            let request = Request::get(&service).header(AUTHORIZATION, format!("DPoP {token}"));
            let response = send(request.body(Vec::new()).unwrap(), &key, Some(&token)).await;
            assert_eq!(response.status(), StatusCode::OK, "{algorithm:?} {format} {response:?}");
        }
    }
}

/// Sends a request without a nonce, and again with the nonce of the rejection.
async fn send(request: Request<Vec<u8>>, key: &DpopKey, token: Option<&str>) -> Response<Vec<u8>> {
    let rejection = send_with_nonce(request.clone(), key, token, None).await;
    let nonce = rejection.headers()["dpop-nonce"].to_str().unwrap();
    send_with_nonce(request, key, token, Some(nonce)).await
}

async fn send_with_nonce(
    mut request: Request<Vec<u8>>,
    key: &DpopKey,
    token: Option<&str>,
    nonce: Option<&str>,
) -> Response<Vec<u8>> {
    let proof = key.proof(request.method(), &request.uri().to_string(), token, nonce).unwrap();
    request.headers_mut().insert("dpop", proof.parse().unwrap());
    HttpsClient::new().fetch(request, 100_000).await.unwrap()
}
