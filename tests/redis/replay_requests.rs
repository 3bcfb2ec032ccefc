//! Requests with DPoP proofs to two processes with one Redis.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use http::{Method, Request, Response};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_jwt_auth::dpop::{Dpop, DpopKey, RedisReplayStore};
use tower_jwt_auth::issue::TokenIssuer;
use tower_jwt_auth::token::Binding;
use tower_jwt_auth::{Algorithm, AuthError, AuthErrorKind, JwtAuthLayer, JwtVerifier};

use super::replay::has_all_records;
use super::server::Server;

const URL: &str = "https://api.example.com/orders";

/// A client with a token, and the issuer that the processes trust.
struct Client {
    issuer: TokenIssuer,
    key: DpopKey,
    token: String,
}

impl Client {
    fn new() -> Self {
        let issuer = TokenIssuer::for_tests();
        let key = DpopKey::generate(Algorithm::ES256).unwrap();
        let binding = Binding::to_key(key.thumbprint());
        let token = issuer.clone().bound_to(binding).issue(&json!({"sub": "42"})).unwrap();
        Self { issuer, key, token: token.as_str().to_owned() }
    }

    async fn process(&self, server: &Server) -> Process {
        let store = RedisReplayStore::new(&server.url()).unwrap();
        store.connect().await.unwrap();
        let dpop = Dpop::new("https://api.example.com").unwrap().replay_store(store);
        Process(JwtAuthLayer::new(self.issuer.verifier().dpop(dpop)))
    }

    /// Signs a proof, which makes each request another one.
    fn request(&self) -> Request<()> {
        let proof = self.key.proof(&Method::GET, URL, Some(&self.token), None).unwrap();
        let authorization = format!("DPoP {}", self.token);
        Request::get(URL).header("authorization", authorization).header("dpop", proof).body(()).unwrap()
    }
}

#[derive(Clone)]
struct Process(JwtAuthLayer<JwtVerifier<Value>>);

impl Process {
    async fn send(&self, request: &Request<()>) -> Outcome {
        let handler = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())));
        let response = self.0.layer(handler).ready().await.unwrap().call(request.clone()).await.unwrap();
        let kind = response.extensions().get().map(AuthError::kind);
        (response.status().as_u16(), kind)
    }

    /// Sends new requests until one is accepted.
    async fn recovers(&self, client: &Client) {
        let start = Instant::now();
        loop {
            match self.send(&client.request()).await {
                ACCEPTED => return,
                other => assert_eq!(other, UNAVAILABLE),
            }
            assert!(start.elapsed() < Duration::from_secs(5), "the store does not recover");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

type Outcome = (u16, Option<AuthErrorKind>);

const ACCEPTED: Outcome = (200, None);
const REPLAYED: Outcome = (401, Some(AuthErrorKind::ReplayedProof));
const UNAVAILABLE: Outcome = (503, Some(AuthErrorKind::Unavailable));

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn one_of_100_copied_requests_is_accepted() {
    let (server, client) = (Server::start("replay-requests"), Client::new());
    let processes = [client.process(&server).await, client.process(&server).await];
    has_all_records(&server);
    for _ in 0..20 {
        let request = client.request();
        let mut copies = JoinSet::new();
        for n in 0..100 {
            let (process, request) = (processes[n % 2].clone(), request.clone());
            copies.spawn(async move { process.send(&request).await });
        }
        let outcomes = copies.join_all().await;
        let count = |expected| outcomes.iter().filter(|outcome| **outcome == expected).count();
        assert_eq!((count(ACCEPTED), count(REPLAYED)), (1, 99), "{outcomes:?}");
    }
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn no_request_is_accepted_twice_around_an_outage() {
    let (mut server, client) = (Server::start("replay-outage"), Client::new());
    let (first, second) = (client.process(&server).await, client.process(&server).await);
    has_all_records(&server);
    let before = client.request();
    assert_eq!(first.send(&before).await, ACCEPTED);

    server.kill();
    let during = client.request();
    for n in 0..20 {
        let began = Instant::now();
        assert_eq!(first.send(&client.request()).await, UNAVAILABLE);
        assert_eq!(second.send(&client.request()).await, UNAVAILABLE);
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        // Each process knows the proofs that it has seen.
        assert_eq!(first.send(&before).await, REPLAYED);
        assert_eq!(second.send(&before).await, if n == 0 { UNAVAILABLE } else { REPLAYED });
        assert_eq!(first.send(&during).await, if n == 0 { UNAVAILABLE } else { REPLAYED });
    }

    server.forget();
    server.restart();
    let third = client.process(&server).await;
    for process in [&first, &second, &third] {
        let new = client.request();
        assert_eq!(process.send(&new).await, UNAVAILABLE, "the server has lost its records");
    }
    assert_eq!(third.send(&before).await, UNAVAILABLE);
    assert_eq!(third.send(&before).await, REPLAYED);

    has_all_records(&server);
    first.recovers(&client).await;
    second.recovers(&client).await;
    let after = client.request();
    assert_eq!(second.send(&after).await, ACCEPTED);
    assert_eq!(first.send(&after).await, REPLAYED);
}

#[tokio::test]
#[ignore = "needs redis-server: .ci/run runs it"]
async fn hanging_server_gets_503_by_the_deadline() {
    let (server, client) = (Server::start("replay-deadline"), Client::new());
    let process = client.process(&server).await;
    has_all_records(&server);
    assert_eq!(process.send(&client.request()).await, ACCEPTED);
    server.signal("-STOP");
    for _ in 0..10 {
        let began = Instant::now();
        assert_eq!(process.send(&client.request()).await, UNAVAILABLE);
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }
    server.signal("-CONT");
    process.recovers(&client).await;
}
