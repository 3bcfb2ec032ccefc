//! Fetched keys, with a fake client and paused time. `faults` has a real server and a real client.

mod added;
mod discovery;
#[cfg(feature = "remote-keys")]
mod faults;
mod idle;
mod jwks_rules;
mod looks;
mod outage;
mod request_header;
mod rotation;
mod runtime;
mod waiting;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use jsonwebtoken::Header;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tower_jwt_auth::jwks::{ClientFuture, HttpClient, RemoteKeys};
use tower_jwt_auth::{Algorithm, AuthErrorKind, Claims, JwtVerifier, KeySet, Verdict};

use crate::keys::{jwk_with, set_of, signer};
use crate::support::{AUDIENCE, ISSUER, NOW, at, claims_with, for_oracle};

const JWKS: &str = "https://id.example.com/jwks.json";

/// A provider, and the client that fetches from it.
#[derive(Clone)]
pub(crate) struct Provider(Arc<Mutex<State>>);

struct State {
    answer: Answer,
    /// The time until a response.
    delay: Duration,
    requests: Vec<Received>,
}

/// A request sent to the provider.
struct Received {
    at: Instant,
    uri: String,
    headers: HeaderMap,
}

type Answer = Arc<dyn Fn(&Request<Vec<u8>>) -> Result<Response<Vec<u8>>, String> + Send + Sync>;

impl Provider {
    pub(crate) fn new() -> Self {
        let state =
            State { answer: Arc::new(|_| Err("down".into())), delay: Duration::ZERO, requests: Vec::new() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Returns a provider that serves keys with these names.
    pub(crate) fn of(kids: &[&str]) -> Self {
        let provider = Self::new();
        provider.serve(kids);
        provider
    }

    pub(crate) fn serve(&self, kids: &[&str]) {
        self.serve_set(&jwks(kids));
    }

    fn serve_set(&self, set: &str) {
        let body = set.to_owned();
        self.answer(move |_| Ok(Response::new(body.clone().into())));
    }

    pub(crate) fn fail(&self) {
        self.answer(|_| Err("down".into()));
    }

    pub(crate) fn hang(&self) {
        self.fail();
        self.delay(Duration::from_secs(1_000_000));
    }

    pub(crate) fn answer(
        &self,
        answer: impl Fn(&Request<Vec<u8>>) -> Result<Response<Vec<u8>>, String> + Send + Sync + 'static,
    ) {
        let mut state = self.0.lock().unwrap();
        (state.answer, state.delay) = (Arc::new(answer), Duration::ZERO);
    }

    fn delay(&self, delay: Duration) {
        self.0.lock().unwrap().delay = delay;
    }

    /// Returns the number of requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.0.lock().unwrap().requests.len()
    }

    pub(crate) fn keys(&self) -> RemoteKeys {
        RemoteKeys::jwks_with(JWKS, self.clone()).unwrap()
    }
}

impl HttpClient for Provider {
    fn fetch(&self, request: Request<Vec<u8>>, _: usize) -> ClientFuture {
        let mut state = self.0.lock().unwrap();
        let asked = Received {
            at: Instant::now(),
            uri: request.uri().to_string(),
            headers: request.headers().clone(),
        };
        state.requests.push(asked);
        let (answer, delay) = (Arc::clone(&state.answer), state.delay);
        Box::pin(async move {
            // A sleep of zero would still yield.
            if delay > Duration::ZERO {
                sleep(delay).await;
            }
            answer(&request).map_err(Into::into)
        })
    }
}

fn jwks(kids: &[&str]) -> String {
    let keys: Vec<_> = kids.iter().map(|kid| jwk_with(Algorithm::EdDSA, json!({ "kid": kid }))).collect();
    set_of(&keys)
}

/// Returns keys with these names.
pub(crate) fn key_set(kids: &[&str]) -> KeySet {
    KeySet::jwks(jwks(kids)).unwrap()
}

fn verifier(keys: &RemoteKeys) -> JwtVerifier<Value> {
    JwtVerifier::new(keys.clone()).issuer(ISSUER).audience(AUDIENCE).clock(|| at(NOW))
}

/// Returns a good token, signed with the key of this name.
fn token(kid: &str) -> String {
    token_from(ISSUER, kid)
}

pub(crate) fn token_from(issuer: &str, kid: &str) -> String {
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(for_oracle(Algorithm::EdDSA)) };
    jsonwebtoken::encode(&header, &claims_with("iss", json!(issuer)), &signer(Algorithm::EdDSA)).unwrap()
}

/// Returns why a token with the key of this name is rejected; `None` if it is accepted.
async fn rejection(verifier: &JwtVerifier<Value>, kid: &str) -> Option<AuthErrorKind> {
    rejection_of(verifier, &token(kid)).await
}

/// Like `support::rejection`, without an explanation, which could fetch keys.
async fn rejection_of(verifier: &JwtVerifier<Value>, token: &str) -> Option<AuthErrorKind> {
    verifier.verify(token).await.err().map(|error| error.kind())
}

/// Returns a verdict that must be ready at once.
#[track_caller]
fn at_once(verdict: Verdict<Value>) -> Result<Claims<Value>, AuthErrorKind> {
    match verdict {
        Verdict::Ready(result) => result.map_err(|error| error.kind()),
        Verdict::Pending(_) => panic!("the verdict is pending"),
    }
}

/// Lets time pass, with everything that is due in it.
async fn pass(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
