//! Tokens that are bound to keys (RFC 9449) and certificates (RFC 8705). The clients are in `client.mjs`.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::task::spawn_blocking;
use tower_jwt_auth::dpop::Dpop;

use crate::node::{fixture, installed, node};
use crate::provider::{AUDIENCE, Provider};
use crate::service::{serve, serve_tls};

#[derive(Deserialize)]
struct Outcome {
    name: String,
    expected: String,
    actual: String,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it needs npm's oidc-provider: run .ci/provider"]
async fn bound_tokens_need_their_sender() {
    let provider = Provider::start();
    let nonces =
        |dpop: Dpop, secret: &str| dpop.nonces(secret).unwrap().nonce_lifetime(Duration::from_secs(4));
    let argument = json!({
        "issuer": provider.issuer,
        "folder": installed(""),
        "tlsAuthority": fixture("tls-ca.pem"),
        "services": {
            "open": serve(&provider, |dpop| dpop.add_public_url(AUDIENCE).unwrap()).await,
            "nonces": serve(&provider, |dpop| nonces(dpop, "a secret of thirty-two bytes ...")).await,
            "foreign": serve(&provider, |dpop| nonces(dpop, "another secret of thirty-two ...")).await,
            "required": serve(&provider, Dpop::required).await,
            "tls": serve_tls(&provider).await,
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
