//! The relative cost of requests, as a table: with and without the cache, accepted and rejected, compared
//! to `jsonwebtoken::decode` and the bare signature check.
//!
//! ```sh
//! taskset -c 1 cargo bench --bench bars --features dpop
//! ```
//!
//! The first row of each block is the baseline of the others. In each round all rows of a block take turns,
//! so that other load on the machine affects them alike. Times and ratios are medians of five runs, and
//! each run repeats the setup. The last column has the lowest and the highest ratio.

#[path = "support/dpop_client.rs"]
mod dpop_client;
#[path = "support/raw.rs"]
mod raw;
mod support;

use std::hint::black_box;
use std::iter::{self, zip};
use std::time::{Duration, Instant};

use http::{HeaderValue, Request, StatusCode};
use tower_jwt_auth::JwtVerifier;
use tower_jwt_auth::cache::CacheSettings;
use tower_jwt_auth::dpop::Dpop;

use self::dpop_client::{Client, bound_request};
use self::raw::{bare_check, signed_and_signature};
use self::support::{Issuer, User, authorization, median, request, send, service};

const RUNS: usize = 5;
/// Requests in a turn. A turn is short so that the system interrupts few of them.
const TURN: usize = 100;
/// Requests are built a few at a time, outside the timed part. They are as warm in the CPU cache as
/// requests that a server has just read.
const BATCH: usize = 20;

/// A row of the table.
struct Subject<'a> {
    name: String,
    /// Returns nanoseconds per request.
    turn: Box<dyn FnMut() -> f64 + 'a>,
}

#[expect(clippy::print_stdout, reason = "it prints a table")]
fn main() {
    println!("| {:37} | {:>8} | {:>5} | {:11} |", "", "ns", "ratio", "in all runs");
    println!("|---|---|---|---|");
    hits();
    signature();
    proofs();
    // Many more tokens than the cache holds.
    misses("each token once", 140_000, 400);
    misses("100,000 tokens in turn", 100_000, 2_000);
    misses("20,000 tokens in turn", 20_000, 400);
    misses("12,000 tokens in turn", 12_000, 240);
}

/// Requests that need no signature check.
fn hits() {
    let [hs256, others @ ..] = Issuer::all();
    let tokens = hs256.some_tokens(1_000);
    let others = others.map(|issuer| (issuer.some_tokens(1_000), issuer));
    compare(20, 1_000, || {
        let mut subjects = vec![
            decode("HS256, jsonwebtoken", &hs256, &tokens),
            accepted("HS256, without cache", uncached(&hs256), shared(&tokens)),
            rejected("no token", uncached(&hs256)),
            accepted("HS256, cached, 1 token", cached(&hs256), shared(&tokens[..1])),
            accepted("HS256, cached, 1,000 tokens", cached(&hs256), shared(&tokens)),
        ];
        subjects.extend(others.iter().map(|(tokens, issuer)| {
            let name = format!("{}, cached, 1,000 tokens", issuer.algorithm);
            accepted(&name, cached(issuer), shared(tokens))
        }));
        subjects
    });
}

/// Requests whose cost is the signature check.
fn signature() {
    let rs256 = Issuer::rs256();
    let tokens = rs256.some_tokens(1_000);
    compare(10, 300, || {
        vec![
            raw("RS256, signature alone", &rs256, &tokens),
            accepted("RS256, without cache", uncached(&rs256), shared(&tokens)),
        ]
    });
}

/// Requests with DPoP proofs, and with bearer tokens to the same verifier. The tokens are cached.
fn proofs() {
    const ROUNDS: usize = 310;

    let (issuer, client) = (Issuer::hs256(), Client::new());
    let tokens = issuer.bound_tokens(&client.thumbprint(), 1_000);
    let unbound = issuer.some_tokens(1_000);
    // Each proof is accepted once. Each run has a verifier that remembers none.
    let proofs = client.proofs(&tokens, ROUNDS * TURN);
    let verifier = || {
        let dpop = Dpop::new("https://api.example.com").expect("the URL is valid");
        cached(&issuer).dpop(dpop.max_age(Duration::from_secs(3600)))
    };
    compare(10, ROUNDS - 10, || {
        let requests = zip(tokens.iter().cycle(), &proofs).map(|(token, proof)| bound_request(token, proof));
        vec![
            raw("DPoP ES256, signature alone", &Issuer::es256(), &proofs),
            layer("DPoP ES256, cached tokens", verifier(), requests, StatusCode::OK),
            accepted("bearer tokens beside DPoP, cached", verifier(), shared(&unbound)),
        ]
    });
}

/// Requests that gain little or nothing from the cache. The cache is full after the warm-up rounds.
fn misses(name: &str, tokens: usize, warm_up: usize) {
    let hs256 = Issuer::hs256();
    let tokens = hs256.some_tokens(tokens);
    compare(warm_up, 1_000, || {
        vec![
            accepted(&format!("{name}, without cache"), uncached(&hs256), copied(&tokens)),
            accepted(&format!("{name}, cache on"), cached(&hs256), copied(&tokens)),
        ]
    });
}

fn uncached(issuer: &Issuer) -> JwtVerifier<User> {
    issuer.verifier()
}

fn cached(issuer: &Issuer) -> JwtVerifier<User> {
    issuer.verifier().cache(CacheSettings::new())
}

/// Header values that share their bytes each time a token is repeated.
fn shared(tokens: &[String]) -> impl Iterator<Item = Option<HeaderValue>> + use<> {
    let values: Vec<_> = tokens.iter().map(|token| Some(authorization(token))).collect();
    (0..).map(move |n| values[n % values.len()].clone())
}

/// Header values with freshly written bytes, as in a server. The tokens do not fit into the CPU caches.
fn copied(tokens: &[String]) -> impl Iterator<Item = Option<HeaderValue>> {
    tokens.iter().cycle().map(|token| Some(authorization(token)))
}

fn accepted<'a>(
    name: &str,
    verifier: JwtVerifier<User>,
    values: impl Iterator<Item = Option<HeaderValue>> + 'a,
) -> Subject<'a> {
    layer(name, verifier, values.map(|value| request(value.as_ref())), StatusCode::OK)
}

fn rejected(name: &str, verifier: JwtVerifier<User>) -> Subject<'static> {
    layer(name, verifier, iter::repeat_with(|| request(None)), StatusCode::UNAUTHORIZED)
}

fn layer<'a>(
    name: &str,
    verifier: JwtVerifier<User>,
    mut requests: impl Iterator<Item = Request<()>> + 'a,
    expected: StatusCode,
) -> Subject<'a> {
    let mut service = service(verifier);
    subject(name, move || {
        let requests: Vec<_> = requests.by_ref().take(BATCH).collect();
        assert_eq!(requests.len(), BATCH);
        let start = Instant::now();
        for request in requests {
            assert_eq!(send(&mut service, request).status(), expected);
        }
        start.elapsed().as_nanos()
    })
}

fn decode<'a>(name: &str, issuer: &Issuer, tokens: &'a [String]) -> Subject<'a> {
    let (key, validation) = issuer.decoding();
    let mut tokens = tokens.iter().cycle();
    subject(name, move || {
        let start = Instant::now();
        for token in tokens.by_ref().take(BATCH) {
            black_box(jsonwebtoken::decode::<User>(token, &key, &validation).expect("the token is good"));
        }
        start.elapsed().as_nanos()
    })
}

fn raw<'a>(name: &str, issuer: &Issuer, tokens: &'a [String]) -> Subject<'a> {
    let check = bare_check(issuer);
    let parts: Vec<_> = tokens.iter().map(|token| signed_and_signature(token)).collect();
    let mut turns = (0..parts.len()).cycle();
    subject(name, move || {
        let start = Instant::now();
        for n in turns.by_ref().take(BATCH) {
            let (signed, signature) = &parts[n];
            assert!(check(signed, signature));
        }
        start.elapsed().as_nanos()
    })
}

/// `batch` returns the nanoseconds for one batch.
fn subject<'a>(name: &str, mut batch: impl FnMut() -> u128 + 'a) -> Subject<'a> {
    let turn = move || (0..TURN / BATCH).map(|_| batch()).sum::<u128>() as f64 / TURN as f64;
    Subject { name: name.to_owned(), turn: Box::new(turn) }
}

/// Prints a block of the table.
#[expect(clippy::print_stdout, reason = "it prints a table")]
fn compare<'a>(warm_up: usize, rounds: usize, subjects: impl Fn() -> Vec<Subject<'a>>) {
    let runs: Vec<_> = (0..RUNS).map(|_| run(warm_up, rounds, subjects())).collect();
    for (n, Subject { name, .. }) in subjects().iter().enumerate() {
        let mut ratios: Vec<_> = runs.iter().map(|times| times[n] / times[0]).collect();
        ratios.sort_by(f64::total_cmp);
        let (low, high) = (ratios[0], ratios[RUNS - 1]);
        let (time, ratio) = (median(runs.iter().map(|times| times[n]).collect()), median(ratios));
        println!("| {name:37} | {time:>8.0} | {ratio:>5.3} | {low:.3}-{high:.3} |");
    }
}

/// Returns the means of the rounds after the warm-up.
fn run(warm_up: usize, rounds: usize, mut subjects: Vec<Subject<'_>>) -> Vec<f64> {
    let mut times = vec![Vec::new(); subjects.len()];
    for round in 0..warm_up + rounds {
        for (subject, times) in zip(&mut subjects, &mut times) {
            let time = (subject.turn)();
            if round >= warm_up {
                times.push(time);
            }
        }
    }
    times.into_iter().map(mean).collect()
}

/// Leaves out the slowest tenth, which the system interrupted. A median would show either hits or misses if
/// the tokens in turn are a mix of both.
fn mean(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.truncate(times.len() * 9 / 10);
    times.iter().sum::<f64>() / times.len() as f64
}
