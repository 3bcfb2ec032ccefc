//! A rotation seen by a verifier in another process: the set is served and fetched over a real socket.

use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tower_jwt_auth::AuthErrorKind::{InvalidSignature, UnknownKey};
use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
use tower_jwt_auth::jwks::{HttpsClient, RemoteKeys};
use tower_jwt_auth::{Algorithm, AuthErrorKind, JwtAuthLayer, JwtVerifier};

use super::{ManualClock, kid, published};
use crate::keys::fixture;
use crate::support::{AUDIENCE, ISSUER, ask, assert_rejected, bearer};

/// Serves the keys on this machine and returns their URL.
async fn serve(issuer: &TokenIssuer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = TowerToHyperService::new(issuer.jwks_service());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone()));
        }
    });
    format!("http://{address}/jwks.json")
}

/// Waits until keys are fetched that were published after this call.
async fn fetched_again(keys: &RemoteKeys) {
    let (start, begun) = (Instant::now(), keys.stats().fetches());
    // The next fetch may already be in flight.
    while keys.stats().fetches() < begun + 2 {
        assert!(start.elapsed() < Duration::from_secs(10), "keys are not fetched again: {:?}", keys.stats());
        sleep(Duration::from_millis(5)).await;
    }
}

#[track_caller]
fn assert_unfit(name: &str, response: &Response<String>, kind: AuthErrorKind, description: &str) {
    let challenge =
        format!(r#"Bearer realm="api", error="invalid_token", error_description="{description}""#);
    assert_rejected(name, response, 401, kind, &[("www-authenticate", &challenge)]);
}

#[tokio::test]
async fn verifier_trusts_only_published_keys() {
    let clock = ManualClock::new();
    let key = |kid: &str| SigningKey::generate(Algorithm::EdDSA).unwrap().with_kid(kid);
    let issuer_with = |key: SigningKey| {
        let clock = clock.clone();
        TokenIssuer::new(key, ISSUER)
            .audience(AUDIENCE)
            .lifetime(Duration::from_secs(100))
            .publish_ahead(Duration::from_secs(1000))
            .clock(move || clock.time())
    };
    let old_key = key("old");
    let issuer = issuer_with(old_key.clone());
    let client = HttpsClient::new().add_root_certificates(fixture("tls-ca.pem")).unwrap();
    // No token causes a fetch: the keys must arrive first.
    let keys = RemoteKeys::jwks_with(&serve(&issuer).await, client)
        .unwrap()
        .refresh_between(Duration::from_millis(20), Duration::from_millis(20))
        .cooldown(Duration::from_secs(1_000_000));
    keys.ready().await.unwrap();
    let verifier = JwtVerifier::<Value>::new(keys.clone()).issuer(ISSUER).audience(AUDIENCE);
    let layer = JwtAuthLayer::new(verifier.clock({
        let clock = clock.clone();
        move || clock.time()
    }));
    let request = |issuer: &TokenIssuer| -> (String, Request<String>) {
        let token = issuer.issue(&json!({"email": "eze@example.com"})).unwrap();
        (kid(&token), bearer(token.as_str()))
    };

    let stranger = issuer_with(key("new"));
    let early = ask(&layer, request(&stranger).1).await;
    assert_unfit("never published", &early, UnknownKey, "the token is not signed with a known key");

    issuer.rotate(key("new")).unwrap();
    fetched_again(&keys).await;
    let mut last_of_the_old = None;
    for (time, signs) in [(0, "old"), (999, "old"), (1000, "new"), (1098, "new")] {
        clock.set(time);
        let (kid, request) = request(&issuer);
        assert_eq!(kid, signs, "{time}");
        if signs == "old" {
            last_of_the_old = Some(request.clone());
        }
        for request in [request, last_of_the_old.clone().unwrap()] {
            assert_eq!(ask(&layer, request).await.status(), 200, "{time}");
        }
    }
    assert_eq!(published(&issuer), ["old", "new"]);

    clock.set(1160);
    assert_eq!(published(&issuer), ["new"]);
    fetched_again(&keys).await;
    assert_eq!(ask(&layer, request(&issuer).1).await.status(), 200);
    // A process may still have the old key.
    let (named, late) = request(&issuer_with(old_key));
    assert_eq!(named, "old");
    let late = ask(&layer, late).await;
    assert_unfit("no longer published", &late, UnknownKey, "the token is not signed with a known key");
    let forged = ask(&layer, request(&stranger).1).await;
    assert_unfit(
        "another of that name",
        &forged,
        InvalidSignature,
        "the signature of the token is not valid",
    );
    assert_eq!(keys.stats().failures(), 0);
}
