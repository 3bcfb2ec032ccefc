//! Shared state under many orders of events. See CONTRIBUTING.md.

mod issuers;
mod keys;
mod revocations;

use std::sync::{Arc, LazyLock, Mutex};

use shuttle::future::block_on;
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner, thread};
use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
use tower_jwt_auth::{Algorithm, AuthErrorKind, JwtVerifier, Key, RegisteredClaims};

const ISSUER: &str = "https://id.example.com";

/// The number of orders per scheduler, unless the environment sets another one.
const ORDERS: usize = 1000;

/// Two keys of the same issuer, with a token each and the set that contains the key.
static OLD: LazyLock<Signed> = LazyLock::new(|| Signed::new("old"));
static NEW: LazyLock<Signed> = LazyLock::new(|| Signed::new("new"));

struct Signed {
    key: Key,
    jwks: String,
    token: String,
}

impl Signed {
    fn new(kid: &'static str) -> Self {
        let signed = Arc::new(Mutex::new(None));
        let result = Arc::clone(&signed);
        // Issuers use shuttle's primitives too, which work only inside a run.
        let sign = move || {
            let key = SigningKey::generate(Algorithm::EdDSA).unwrap().with_kid(kid);
            let (issuer, key) = (TokenIssuer::new(key.clone(), ISSUER), key.verifying_key());
            let token = issuer.issue(&serde_json::json!({ "sid": kid })).unwrap().into_string();
            *result.lock().unwrap() = Some(Self { key, jwks: issuer.jwks(), token });
        };
        run(RandomScheduler::new(1), Arc::new(sign));
        signed.lock().unwrap().take().unwrap()
    }
}

/// Runs the body in random orders. Then runs it in orders that delay one task at a few points, which finds
/// bugs that need a rare order.
fn explore(body: impl Fn() + Send + Sync + 'static) {
    let _ = (&*OLD, &*NEW);
    let orders = std::env::var("ORDERS").map_or(ORDERS, |orders| orders.parse().unwrap());
    let body = Arc::new(body);
    run(RandomScheduler::new(orders), Arc::clone(&body));
    run(PctScheduler::new(3, orders), body);
}

fn run(scheduler: impl Scheduler + Send + 'static, body: Arc<impl Fn() + Send + Sync + 'static>) {
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    config.max_steps = MaxSteps::FailAfter(100_000);
    config.failure_persistence = FailurePersistence::Print;
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(move || body());
}

/// Verifies a token like a request does.
fn ask(verifier: &JwtVerifier<RegisteredClaims>, signed: &Signed) -> Result<(), AuthErrorKind> {
    match block_on(verifier.verify(&signed.token).into_future()) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.kind()),
    }
}

/// Lets other tasks run for a random number of steps.
fn later() {
    for _ in 0..thread_rng().gen_range(0..20) {
        thread::yield_now();
    }
}

/// Lets other tasks run until the condition holds. If it never does, the run fails with too many steps.
fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        thread::yield_now();
    }
}
