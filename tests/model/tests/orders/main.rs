//! What waits and shares, through many orders of events. See CONTRIBUTING.md.

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

/// How many orders each scheduler tries, unless the environment says otherwise.
const ORDERS: usize = 1000;

/// Two keys, with the same issuer, a token each and the set that it is in.
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
        // Issuers share something, too, which is nowhere else.
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

/// Runs it through orders that are chosen at random, and through those that put one task off at a few points, which finds
/// what takes few but special ones.
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

/// Asks as a request does, and tells what came of it.
fn ask(verifier: &JwtVerifier<RegisteredClaims>, signed: &Signed) -> Result<(), AuthErrorKind> {
    match block_on(verifier.verify(&signed.token).into_future()) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.kind()),
    }
}

/// Lets others go on for a while, which chance says how long is.
fn later() {
    for _ in 0..thread_rng().gen_range(0..20) {
        thread::yield_now();
    }
}

/// Lets others go on until it is so; where it never is, the run ends as one that takes too many steps.
fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        thread::yield_now();
    }
}
