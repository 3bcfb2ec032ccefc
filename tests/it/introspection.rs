//! Introspection, with a fake client and paused time. `wire` has a real server and a real client.

mod claims;
mod client_auth;
mod discovery;
mod failures;
#[cfg(feature = "issue")]
mod signed;
#[cfg(feature = "remote-keys")]
mod wire;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use serde_json::{Value, json};
use tokio::time::sleep;
use tower_jwt_auth::introspection::{ClientAuth, Introspection};
use tower_jwt_auth::jwks::{ClientFuture, HttpClient};
use tower_jwt_auth::{AuthErrorKind, Verdict};

use crate::support::{AUDIENCE, ISSUER, NOW, at};

pub(crate) const ENDPOINT: &str = "https://id.example.com/introspect";
pub(crate) const TOKEN: &str = "2YotnFZFEjr1zCsicMWpAA";

/// A provider, and the client that asks it.
#[derive(Clone)]
pub(crate) struct Provider(Arc<Mutex<State>>);

struct State {
    answer: Answer,
    /// The time until a response.
    delay: Duration,
    requests: Vec<Request<Vec<u8>>>,
}

type Answer = Arc<dyn Fn(&Request<Vec<u8>>) -> Result<Response<Vec<u8>>, String> + Send + Sync>;

impl Provider {
    /// Returns a provider that says this about every token.
    pub(crate) fn saying(response: impl ToString) -> Self {
        let answer: Answer = Arc::new(|_| Err("down".into()));
        let provider =
            Self(Arc::new(Mutex::new(State { answer, delay: Duration::ZERO, requests: Vec::new() })));
        provider.say(response);
        provider
    }

    pub(crate) fn say(&self, response: impl ToString) {
        let body = response.to_string();
        self.answer(move |_| Ok(Response::new(body.clone().into())));
    }

    pub(crate) fn fail(&self) {
        self.answer(|_| Err("down".into()));
    }

    pub(crate) fn respond(&self, status: u16, header: (&'static str, &'static str), body: &str) {
        let body = body.to_owned();
        self.answer(move |_| {
            let response = Response::builder().status(status).header(header.0, header.1);
            Ok(response.body(body.clone().into()).unwrap())
        });
    }

    pub(crate) fn answer(
        &self,
        answer: impl Fn(&Request<Vec<u8>>) -> Result<Response<Vec<u8>>, String> + Send + Sync + 'static,
    ) {
        self.0.lock().unwrap().answer = Arc::new(answer);
    }

    fn delay(&self, delay: Duration) {
        self.0.lock().unwrap().delay = delay;
    }

    pub(crate) fn requests(&self) -> usize {
        self.0.lock().unwrap().requests.len()
    }

    fn last(&self) -> Request<Vec<u8>> {
        self.0.lock().unwrap().requests.last().unwrap().clone()
    }

    fn urls(&self) -> Vec<String> {
        self.0.lock().unwrap().requests.iter().map(|request| request.uri().to_string()).collect()
    }

    pub(crate) fn verifier(&self) -> Introspection<Value> {
        Introspection::endpoint_with(ENDPOINT, auth(), self.clone()).unwrap().clock(|| at(NOW))
    }
}

impl HttpClient for Provider {
    fn fetch(&self, request: Request<Vec<u8>>, _: usize) -> ClientFuture {
        let mut state = self.0.lock().unwrap();
        state.requests.push(request.clone());
        let (answer, delay) = (Arc::clone(&state.answer), state.delay);
        Box::pin(async move {
            if delay > Duration::ZERO {
                sleep(delay).await;
            }
            answer(&request).map_err(Into::into)
        })
    }
}

fn auth() -> ClientAuth {
    ClientAuth::basic("api", "secret")
}

/// Returns a response about an active token, with this member added or replaced.
pub(crate) fn active_with(name: &str, value: Value) -> Value {
    let mut response = json!({
        "active": true, "iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 300, "scope": "orders:read",
        "email": "eze@example.com", "token_type": "Bearer",
    });
    response[name] = value;
    response
}

pub(crate) fn active() -> Value {
    active_with("sub", json!("42"))
}

async fn kind(verifier: &Introspection<Value>, token: &str) -> Option<AuthErrorKind> {
    verifier.verify(token).await.err().map(|error| error.kind())
}

/// Returns the kind and the cause for logs.
async fn rejection(verifier: &Introspection<Value>) -> (AuthErrorKind, String) {
    let error = verifier.verify(TOKEN).await.unwrap_err();
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    (error.kind(), cause)
}

fn is_ready(verdict: &Verdict<Value>) -> bool {
    matches!(verdict, Verdict::Ready(_))
}
