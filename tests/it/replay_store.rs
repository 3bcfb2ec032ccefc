//! DPoP proofs that several processes share through a custom store.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::convert::Infallible;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use http::{Method, Request, Response};
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_jwt_auth::dpop::{Dpop, DpopKey, ProofId, ReplayFuture, ReplayStore};
use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
use tower_jwt_auth::token::Binding;
use tower_jwt_auth::{Algorithm, AuthError, AuthErrorKind, JwtAuthLayer, JwtVerifier};

const URL: &str = "https://api.example.com";

/// A store in memory that can be made to fail.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    behaviour: Behaviour,
    proofs: HashMap<ProofId, Duration>,
}

#[derive(Clone, Copy, Default)]
enum Behaviour {
    #[default]
    Good,
    Fails,
    Hangs,
}

impl Store {
    fn behave(&self, behaviour: Behaviour) {
        self.0.lock().unwrap().behaviour = behaviour;
    }
}

impl ReplayStore for Store {
    fn record(&self, proof: ProofId, keep: Duration) -> ReplayFuture {
        let mut inner = self.0.lock().unwrap();
        let is_new = inner.proofs.insert(proof, keep).is_none();
        match inner.behaviour {
            Behaviour::Good => Box::pin(async move { Ok(is_new) }),
            Behaviour::Fails => Box::pin(async { Err("the disk is full".into()) }),
            Behaviour::Hangs => Box::pin(std::future::pending()),
        }
    }
}

/// A client with a token.
struct Client {
    issuer: TokenIssuer,
    key: DpopKey,
    token: String,
}

impl Client {
    fn new() -> Self {
        let issuer =
            TokenIssuer::new(SigningKey::generate(Algorithm::ES256).unwrap(), "https://id.example.com");
        let key = DpopKey::generate(Algorithm::ES256).unwrap();
        let bound = issuer.clone().bound_to(Binding::to_key(key.thumbprint()));
        let token = bound.issue(&json!({"sub": "42"})).unwrap().as_str().to_owned();
        Self { issuer, key, token }
    }

    fn process(&self, store: impl ReplayStore + 'static) -> JwtAuthLayer<JwtVerifier<Value>> {
        self.process_with(Dpop::new(URL).unwrap().replay_store(store))
    }

    fn process_with(&self, dpop: Dpop) -> JwtAuthLayer<JwtVerifier<Value>> {
        JwtAuthLayer::new(self.issuer.verifier().dpop(dpop))
    }

    fn request(&self) -> Request<()> {
        let proof = self.key.proof(&Method::GET, URL, Some(&self.token), None).unwrap();
        let authorization = format!("DPoP {}", self.token);
        Request::get(URL).header("authorization", authorization).header("dpop", proof).body(()).unwrap()
    }
}

type Outcome = (u16, Option<AuthErrorKind>);

const ACCEPTED: Outcome = (200, None);
const REPLAYED: Outcome = (401, Some(AuthErrorKind::ReplayedProof));

async fn send(process: &JwtAuthLayer<JwtVerifier<Value>>, request: &Request<()>) -> Outcome {
    let handler = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())));
    let response = process.layer(handler).oneshot(request.clone()).await.unwrap();
    (response.status().as_u16(), response.extensions().get().map(AuthError::kind))
}

#[tokio::test]
async fn only_one_of_two_processes_accepts_a_proof() {
    let (client, store) = (Client::new(), Store::default());
    let shared: Arc<dyn ReplayStore> = Arc::new(store.clone());
    let (first, second) = (client.process(Arc::clone(&shared)), client.process(shared));
    let request = client.request();
    assert_eq!(send(&first, &request).await, ACCEPTED);
    assert_eq!(send(&second, &request).await, REPLAYED);
    assert_eq!(send(&first, &request).await, REPLAYED);
    assert_eq!(send(&second, &client.request()).await, ACCEPTED);

    // The store keeps a proof for longer than the default of `max_age`, by some seconds.
    let inner = store.0.lock().unwrap();
    assert_eq!(inner.proofs.len(), 2);
    for (proof, keep) in &inner.proofs {
        assert!((60..70).contains(&keep.as_secs()), "{keep:?}");
        // The `iat`, less the default of `max_ahead`.
        let age = proof.valid_from().elapsed().unwrap();
        assert!((5..10).contains(&age.as_secs()), "{age:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn failing_store_accepts_no_proof() {
    let cases = [
        ("fails", Behaviour::Fails, 0, "cannot record the DPoP proof: the disk is full"),
        ("hangs", Behaviour::Hangs, 300, "cannot record the DPoP proof: timed out after 300ms"),
    ];
    for (name, behaviour, millis, cause) in cases {
        let (client, store) = (Client::new(), Store::default());
        let dpop = Dpop::new(URL).unwrap().replay_store(store.clone());
        let first = client.process_with(dpop.replay_timeout(Duration::from_millis(300)));
        let second = client.process(store.clone());
        store.behave(behaviour);
        let request = client.request();
        let began = Instant::now();
        let handler = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())));
        let response = first.layer(handler).oneshot(request.clone()).await.unwrap();
        assert_eq!(response.status(), 503, "{name}");
        assert_eq!(response.headers()["retry-after"], "1", "{name}");
        let error = response.extensions().get::<AuthError>().unwrap();
        assert_eq!(std::error::Error::source(error).unwrap().to_string(), cause, "{name}");
        let elapsed = began.elapsed().as_millis();
        assert!((millis..millis + 2).contains(&elapsed), "{name}: {elapsed}");

        store.behave(Behaviour::Good);
        // Nobody knows whether the store has recorded it, so no process accepts it.
        assert_eq!(send(&first, &request).await, REPLAYED, "{name}");
        assert_eq!(send(&second, &request).await, REPLAYED, "{name}");
        assert_eq!(send(&first, &client.request()).await, ACCEPTED, "{name}");
    }
}

#[tokio::test]
async fn bearer_tokens_do_not_need_the_store() {
    let (client, store) = (Client::new(), Store::default());
    store.behave(Behaviour::Hangs);
    let process = client.process(store);
    let token = client.issuer.issue(&json!({"sub": "42"})).unwrap();
    let request = Request::get(URL).header("authorization", format!("Bearer {}", token.as_str())).body(());
    assert_eq!(send(&process, &request.unwrap()).await, ACCEPTED);
    assert_eq!(send(&process, &Request::get(URL).body(()).unwrap()).await.0, 401);
}

#[test]
fn proof_ids_are_hashes_of_key_and_jti() {
    let hash = |id: ProofId| {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        hasher.finish()
    };
    let now = SystemTime::now();
    let id = ProofId::new(&[1; 32], "a", now);
    // The SHA-256 of 32 bytes 0x01 and `a`.
    assert_eq!(id.to_string(), "Tcr6XAE9OmqEIwKqvSR3BtmJ29Qfk6GSs8mC9HAp_YI");
    assert_eq!(format!("{id:?}"), id.to_string());
    assert_eq!(id.valid_from(), now);
    let later = ProofId::new(&[1; 32], "a", now + Duration::from_secs(1));
    assert_eq!((id, hash(id)), (later, hash(later)), "the time does not count");
    for (name, other) in [
        ("another key", ProofId::new(&[2; 32], "a", now)),
        ("another jti", ProofId::new(&[1; 32], "b", now)),
        ("a longer jti", ProofId::new(&[1; 32], "aa", now)),
        ("no jti", ProofId::new(&[1; 32], "", now)),
    ] {
        assert_ne!(id, other, "{name}");
        assert_ne!(id.as_bytes(), other.as_bytes(), "{name}");
    }
}
