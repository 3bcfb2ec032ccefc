//! Settings for DPoP-bound tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Method, Request};
use serde_json::{Value, json};
use tower_jwt_auth::AuthErrorKind::{MissingCredential, ReplayedProof, SenderConstrained, WrongProofNonce};
use tower_jwt_auth::dpop::{DpopKey, ProofId, ReplayFuture, ReplayStore};
use tower_jwt_auth::settings::AuthSettings;
use tower_jwt_auth::{Algorithm, AuthError, AuthErrorKind};

use super::{error_of, from_json, from_vars, hmac, signed};
use crate::support::*;

fn with_dpop(dpop: &Value) -> AuthSettings {
    from_json(hmac(json!({"dpop": dpop})))
}

/// Sends a token with a proof for this base URL. Returns the kind of the rejection.
async fn send(settings: &AuthSettings, key: &DpopKey, base: &str) -> Option<AuthErrorKind> {
    let token = signed(&json!({"cnf": {"jkt": key.thumbprint().to_string()}}));
    let proof = key.proof(&Method::GET, &format!("{base}/orders"), Some(&token), None).unwrap();
    let request =
        Request::get("/orders").header("authorization", format!("DPoP {token}")).header("dpop", proof);
    kind_of(settings, request.body(String::new()).unwrap()).await
}

async fn kind_of(settings: &AuthSettings, request: Request<String>) -> Option<AuthErrorKind> {
    let response = ask(&settings.layer::<Value>().unwrap(), request).await;
    response.extensions().get::<AuthError>().map(AuthError::kind)
}

#[tokio::test]
async fn settings_accept_bound_tokens() {
    let key = DpopKey::generate(Algorithm::ES256).unwrap();
    let two = with_dpop(&json!({"public_url": [AUDIENCE, "https://b.example.com"]}));
    for base in [AUDIENCE, "https://b.example.com"] {
        assert_eq!(send(&two, &key, base).await, None, "{base}");
    }
    let nonces =
        with_dpop(&json!({"public_url": AUDIENCE, "nonce_secret": "a secret of thirty-two bytes ..."}));
    assert_eq!(send(&nonces, &key, AUDIENCE).await, Some(WrongProofNonce));
    let folder = Folder::new("settings_accept_bound_tokens");
    let file = folder.write("nonce-secret", "a secret of thirty-two bytes ...\n");
    let nonces = with_dpop(&json!({"public_url": AUDIENCE, "nonce_secret_file": file}));
    assert_eq!(send(&nonces, &key, AUDIENCE).await, Some(WrongProofNonce));
    let variables = [
        ("AUTH_ISSUER", ISSUER),
        ("AUTH_AUDIENCE", AUDIENCE),
        ("AUTH_HMAC_SECRET", "a secret of thirty-two bytes ..."),
        ("AUTH_DPOP_PUBLIC_URL", AUDIENCE),
        ("AUTH_DPOP_REQUIRED", "true"),
    ];
    let required = from_vars(&variables).unwrap();
    assert_eq!(send(&required, &key, AUDIENCE).await, None);
    // The layer offers no `Bearer`, so it does not read the token.
    assert_eq!(kind_of(&required, bearer(&signed(&json!({})))).await, Some(MissingCredential));
    let bound = signed(&json!({"cnf": {"jkt": key.thumbprint().to_string()}}));
    assert_eq!(kind_of(&from_json(hmac(json!({}))), bearer(&bound)).await, Some(SenderConstrained));
}

#[tokio::test]
async fn layers_of_settings_share_accepted_proofs() {
    let settings = with_dpop(&json!({"public_url": AUDIENCE}));
    let key = DpopKey::generate(Algorithm::ES256).unwrap();
    let token = signed(&json!({"cnf": {"jkt": key.thumbprint().to_string()}}));
    let proof = key.proof(&Method::GET, &format!("{AUDIENCE}/orders"), Some(&token), None).unwrap();
    let request = || {
        let request = Request::get("/orders").header("authorization", format!("DPoP {token}"));
        request.header("dpop", &proof).body(String::new()).unwrap()
    };
    assert_eq!(kind_of(&settings, request()).await, None);
    assert_eq!(kind_of(&settings.clone(), request()).await, Some(ReplayedProof));
}

/// Counts the proofs, and has seen all of them.
struct Seen(Arc<AtomicUsize>);

impl ReplayStore for Seen {
    fn record(&self, _: ProofId, _: Duration) -> ReplayFuture {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(false) })
    }
}

#[tokio::test]
async fn settings_use_the_replay_store() {
    let asked = Arc::new(AtomicUsize::new(0));
    let settings = with_dpop(&json!({"public_url": AUDIENCE})).replay_store(Seen(Arc::clone(&asked)));
    let key = DpopKey::generate(Algorithm::ES256).unwrap();
    assert_eq!(send(&settings, &key, AUDIENCE).await, Some(ReplayedProof));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[test]
fn rejects_unusable_dpop_settings() {
    for (name, settings, expected) in [
        (
            "no URL",
            hmac(json!({"dpop": {"required": true}})),
            "missing setting `dpop.public_url`: a proof names the URL of its request; set the URL that clients use",
        ),
        (
            "plain http",
            hmac(json!({"dpop": {"public_url": "http://api.example.com"}})),
            "invalid setting `dpop.public_url`: invalid URL `http://api.example.com`: it needs to begin with `https://`",
        ),
        (
            "two secrets",
            hmac(json!({"dpop": {"public_url": AUDIENCE, "nonce_secret": "a", "nonce_secret_file": "a"}})),
            "conflicting settings `dpop.nonce_secret` and `dpop.nonce_secret_file`: both are the secret; remove one",
        ),
        (
            "short secret",
            hmac(json!({"dpop": {"public_url": AUDIENCE, "nonce_secret": "hunter2"}})),
            "invalid setting `dpop.nonce_secret`: HS256 needs a secret of at least 32 bytes, got 7",
        ),
        (
            "file",
            hmac(json!({"dpop": {"public_url": AUDIENCE, "nonce_secret_file": "hunter2"}})),
            "invalid setting `dpop.nonce_secret_file`: it needs the path of a readable file",
        ),
    ] {
        assert_eq!(error_of(settings), expected, "{name}");
    }
}
