//! Tokens that are bound to keys (RFC 9449) and certificates (RFC 8705). The clients are in `client.mjs`.

use axum::Router;
use serde::Deserialize;
use serde_json::json;
use tokio::task::spawn_blocking;
use tower_jwt_auth::dpop::Dpop;
use tower_jwt_auth::mtls::ClientCertificateLayer;

use crate::certificates::Authority;
use crate::node::{fixture, node};
use crate::provider::{AUDIENCE, Provider};
use crate::service::{is_proxy, orders, serve, serve_tls, with_nonces};

#[derive(Deserialize)]
struct Outcome {
    name: String,
    expected: String,
    actual: String,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it needs npm's oidc-provider: run .ci/provider"]
async fn bound_tokens_need_their_sender() {
    let (provider, authority) = (Provider::start(), Authority::generate());
    let app = |url: &str, settings: fn(Dpop) -> Dpop| orders(&provider, settings(Dpop::new(url).unwrap()));
    let nested = |app| Router::new().nest("/v1", app);
    let client_cert = ClientCertificateLayer::client_cert(is_proxy);
    let xfcc = ClientCertificateLayer::x_forwarded_client_cert(is_proxy);
    let argument = json!({
        "issuer": provider.issuer,
        "clients": {"alice": authority.certify("alice"), "mallory": authority.certify("mallory")},
        "tlsAuthority": fixture("tls-ca.pem"),
        "services": {
            "open": serve(|url| app(url, |dpop| dpop.add_public_url(AUDIENCE).unwrap())).await,
            "nonces": serve(|url| app(url, |dpop| with_nonces(dpop, b"a secret of thirty-two bytes ..."))).await,
            "foreign": serve(|url| app(url, |dpop| with_nonces(dpop, b"another secret of thirty-two ..."))).await,
            "required": serve(|url| app(url, Dpop::required)).await,
            "nested": serve(|url| nested(app(&format!("{url}/v1"), |dpop| dpop))).await.replace("/orders", "/v1/orders"),
            "tls": serve_tls(&authority, |url| app(url, |dpop| dpop)).await,
            "clientCert": serve_tls(&authority, |url| app(url, |dpop| dpop).layer(client_cert)).await,
            "xfcc": serve_tls(&authority, |url| app(url, |dpop| dpop).layer(xfcc)).await,
        },
    });
    let clients = spawn_blocking(move || node("client.mjs", &argument).output());
    let output = clients.await.unwrap().unwrap();
    assert!(output.status.success(), "the clients failed: see above");
    let outcomes: Vec<Outcome> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(outcomes.len() > 300, "only {} requests", outcomes.len());
    let wrong: Vec<_> = outcomes
        .iter()
        .filter(|Outcome { expected, actual, .. }| actual != expected)
        .map(|Outcome { name, expected, actual }| format!("{name}: expected {expected}, got {actual}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
