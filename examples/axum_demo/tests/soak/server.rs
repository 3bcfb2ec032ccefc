//! A process under test: the demo, and a service that trusts a provider with rotating keys.
//!
//! It reads commands from standard input and writes responses to standard output.

use std::alloc::System;
use std::env;
use std::future::pending;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use axum::routing::{get, post};
use axum::{Json, Router};
use axum_demo::{Settings, app, listen, serve};
use cap::Cap;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tower_jwt_auth::cache::CacheSettings;
use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
use tower_jwt_auth::jwks::RemoteKeys;
use tower_jwt_auth::{Algorithm, Claims, JwtAuthLayer, JwtVerifier, RegisteredClaims};

/// The `JWT_SECRET` of the demo.
pub(crate) const SECRET: &str = "a secret for soaks, of 32 bytes+";

/// Time between two new keys of the provider. A key signs a little later. Tokens outlive several keys.
const BETWEEN_KEYS: Duration = Duration::from_secs(4);
const PUBLISHED_AHEAD: Duration = Duration::from_secs(3);
const LIFETIME: Duration = Duration::from_secs(30);

/// Counts Rust allocations. C libraries bypass it.
#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

const AUDIENCE: &str = "https://api.example.com";

/// Runs until a command stops the server or standard input ends.
pub(crate) fn run() {
    let runtime = Runtime::new().unwrap();
    let (stop, stopped) = oneshot::channel();
    let (demo, demo_served) = runtime.block_on(start_demo(stopped));
    let provider = watch::Sender::new(true);
    let (service, keys, verifier) = runtime.block_on(start_service(provider.subscribe()));
    say(&format!("{demo} {service}"));
    for line in io::stdin().lines().map_while(Result::ok) {
        match &*line {
            "heap" => say(&(HEAP.allocated() / 1024).to_string()),
            "tasks" => say(&runtime.metrics().num_alive_tasks().to_string()),
            "provider away" => drop(provider.send_replace(false)),
            "provider back" => drop(provider.send_replace(true)),
            "keys" => {
                let (keys, cache) = (keys.stats(), verifier.cache_stats().unwrap());
                say(&format!(
                    "{} fetches, {} failed, {} unknown keys, {} stale uses, {} keys held; {} of the tokens from the cache",
                    keys.fetches(),
                    keys.failures(),
                    keys.unknown_keys(),
                    keys.stale_uses(),
                    keys.keys(),
                    cache.hits(),
                ));
            }
            "stop" => break,
            other => panic!("{other}"),
        }
    }
    stop.send(()).unwrap();
    runtime.block_on(demo_served).unwrap();
}

fn say(line: &str) {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}").unwrap();
    output.flush().unwrap();
}

/// Starts the demo with low limits, so that clients reach them often.
async fn start_demo(stopped: oneshot::Receiver<()>) -> (SocketAddr, JoinHandle<()>) {
    let fixed = [("DEMO_ADDR", "127.0.0.1:0"), ("JWT_SECRET", SECRET), ("TRUSTED_PROXIES", "1")];
    let fixed = fixed.map(|(name, value)| (name.into(), value.into()));
    // The last value of a variable counts.
    let mut settings = Settings::read(env::vars_os().chain(fixed)).unwrap();
    // Visitors refresh many times a second.
    settings.limits.session_refreshes = 10_000;
    settings.limits.headers = Duration::from_secs(2);
    settings.limits.connection = Duration::from_secs(20);
    let listener = listen(settings.address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app(&settings).await.unwrap();
    let stop = async { stopped.await.unwrap() };
    (address, tokio::spawn(serve(listener, app, settings.limits, stop)))
}

/// Starts a provider, which can go down, and a service that trusts its keys and issues its tokens.
async fn start_service(
    is_there: watch::Receiver<bool>,
) -> (SocketAddr, RemoteKeys, JwtVerifier<RegisteredClaims>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let name = format!("http://{}", listener.local_addr().unwrap());
    let issuer = TokenIssuer::new(new_key(), &name)
        .audience(AUDIENCE)
        .lifetime(LIFETIME)
        .publish_ahead(PUBLISHED_AHEAD);
    tokio::spawn(rotate(issuer.clone()));
    tokio::spawn(provide(listener, issuer.clone(), is_there));

    let keys = RemoteKeys::discover(&name)
        .unwrap()
        .refresh_between(Duration::from_secs(1), Duration::from_secs(1))
        .retry_between(Duration::from_millis(200), Duration::from_secs(1))
        .cooldown(Duration::from_secs(1));
    let verifier =
        JwtVerifier::new(keys.clone()).audience(AUDIENCE).cache(CacheSettings::new().max_entries(100));
    let issue = async move || issuer.issue(&json!({"sub": "eze"})).unwrap().into_string();
    let service = Router::new()
        .route("/", get(async |claims: Claims<RegisteredClaims>| claims.token().kid().unwrap().to_owned()))
        .layer(JwtAuthLayer::new(verifier.clone()))
        .route("/token", post(issue));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, service).await.unwrap() });
    (address, keys, verifier)
}

async fn rotate(issuer: TokenIssuer) {
    loop {
        sleep(BETWEEN_KEYS).await;
        issuer.rotate_at(new_key(), SystemTime::now() + PUBLISHED_AHEAD).unwrap();
    }
}

fn new_key() -> SigningKey {
    SigningKey::generate(Algorithm::EdDSA).unwrap()
}

/// Runs the provider. During an outage nothing listens on its address.
async fn provide(listener: TcpListener, issuer: TokenIssuer, mut is_there: watch::Receiver<bool>) {
    let address = listener.local_addr().unwrap();
    let metadata =
        json!({"issuer": format!("http://{address}"), "jwks_uri": format!("http://{address}/jwks.json")});
    let routes = Router::new()
        .route("/.well-known/openid-configuration", get(async move || Json(metadata)))
        .route_service("/jwks.json", issuer.jwks_service());
    let mut listener = Some(listener);
    loop {
        let listening = match listener.take() {
            Some(listener) => listener,
            None => listen(address).await.unwrap(),
        };
        let mut until = is_there.clone();
        let away = async move {
            if until.wait_for(|there| !there).await.is_err() {
                pending::<()>().await;
            }
        };
        axum::serve(listening, routes.clone()).with_graceful_shutdown(away).await.unwrap();
        if is_there.wait_for(|there| *there).await.is_err() {
            return;
        }
    }
}
