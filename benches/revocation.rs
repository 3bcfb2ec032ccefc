//! What a list of revocations costs a request: none, an empty one, and one of 100,000 tokens.

mod support;

use std::time::{Duration, Instant, SystemTime};

use http::{HeaderValue, StatusCode};
use tower_jwt_auth::{JwtVerifier, Revocations, TokenCache};

use self::support::{ISSUER, Issuer, User, authorization, median, request, send, service};

const ROUNDS: usize = 400;
const BATCH: usize = 16;

#[expect(clippy::print_stdout, reason = "the table is what it is for")]
fn main() {
    let issuer = Issuer::hs256();
    let tokens: Vec<_> = issuer.tokens().iter().map(|token| authorization(token)).collect();
    let empty = Revocations::new();
    let start = Instant::now();
    let long = list(100_000);
    println!("revoking 100,000 tokens: {} ms", start.elapsed().as_millis());
    println!("nanoseconds a request, medians of {ROUNDS} rounds");
    println!("{:18}{:>8}{:>8}{:>10}", "", "none", "empty", "100,000");
    for (name, cache) in [("HS256", None), ("HS256, remembered", Some(TokenCache::new()))] {
        let verifier = || match &cache {
            None => issuer.verifier(),
            Some(cache) => issuer.verifier().cache(cache.clone()),
        };
        let verifiers =
            [verifier(), verifier().revocations(empty.clone()), verifier().revocations(long.clone())];
        let [none, empty, long] = measure(&verifiers, &tokens);
        println!("{name:18}{none:>8.0}{empty:>8.0}{long:>10.0}");
    }
}

fn list(len: usize) -> Revocations {
    let revocations = Revocations::new();
    let expiry = SystemTime::now() + Duration::from_secs(900);
    for n in 0..len {
        revocations.revoke_token(ISSUER, &format!("revoked-{n}"), expiry);
    }
    revocations
}

/// The medians of rounds in which all take turns.
fn measure(verifiers: &[JwtVerifier<User>; 3], tokens: &[HeaderValue]) -> [f64; 3] {
    let mut services = verifiers.each_ref().map(|verifier| service(verifier.clone()));
    let mut times = [const { Vec::new() }; 3];
    for round in 0..ROUNDS {
        for (service, times) in services.iter_mut().zip(&mut times) {
            let mut elapsed = Duration::ZERO;
            for batch in tokens.chunks(BATCH).skip(round % 4).step_by(4) {
                let requests: Vec<_> = batch.iter().map(|token| request(Some(token))).collect();
                let start = Instant::now();
                for request in requests {
                    assert_eq!(send(service, request).status(), StatusCode::OK);
                }
                elapsed += start.elapsed();
            }
            times.push(elapsed.as_nanos() as f64 / (tokens.len() / 4) as f64);
        }
    }
    times.map(median)
}
