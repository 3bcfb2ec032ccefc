//! The cost of a revocation list for a request.
//!
//! - no list
//! - an empty list
//! - 100,000 tokens
//! - 100,000 tokens, sessions and subjects together, which cause three lookups

mod support;

use std::time::{Duration, Instant, SystemTime};

use http::{HeaderValue, StatusCode};
use tower_jwt_auth::JwtVerifier;
use tower_jwt_auth::cache::CacheSettings;
use tower_jwt_auth::revocation::Revocations;

use self::support::{ISSUER, Issuer, User, authorization, median, request, send, service};

const ROUNDS: usize = 400;
const BATCH: usize = 16;

#[expect(clippy::print_stdout, reason = "it prints a table")]
fn main() {
    let issuer = Issuer::hs256();
    let tokens: Vec<_> = issuer.tokens().iter().map(|token| authorization(token)).collect();
    let empty = Revocations::new();
    let start = Instant::now();
    let tokens_only = list(100_000, |_| 0);
    println!("revoking 100,000 tokens: {} ms", start.elapsed().as_millis());
    let all_sorts = list(100_000, |n| n % 3);
    println!("nanoseconds a request, medians of {ROUNDS} rounds");
    println!("{:18}{:>8}{:>8}{:>10}{:>10}", "", "none", "empty", "tokens", "all sorts");
    for (name, cache) in [("HS256", None), ("HS256, cached", Some(CacheSettings::new()))] {
        let verifier = || match &cache {
            None => issuer.verifier(),
            Some(cache) => issuer.verifier().cache(cache.clone()),
        };
        let with = |list: &Revocations| verifier().revocations(list.clone());
        let verifiers = [verifier(), with(&empty), with(&tokens_only), with(&all_sorts)];
        let [none, empty, tokens_only, all_sorts] = measure(&verifiers, &tokens);
        println!("{name:18}{none:>8.0}{empty:>8.0}{tokens_only:>10.0}{all_sorts:>10.0}");
    }
}

fn list(len: usize, sort: impl Fn(usize) -> usize) -> Revocations {
    let revocations = Revocations::new();
    let now = SystemTime::now();
    let expiry = now + Duration::from_secs(900);
    for n in 0..len {
        let name = format!("revoked-{n}");
        drop(match sort(n) {
            0 => revocations.revoke_token(ISSUER, &name, expiry),
            1 => revocations.revoke_session(ISSUER, &name, expiry),
            _ => revocations.revoke_subject(ISSUER, &name, now, expiry),
        });
    }
    revocations
}

/// Returns the medians of rounds in which all take turns.
fn measure(verifiers: &[JwtVerifier<User>; 4], tokens: &[HeaderValue]) -> [f64; 4] {
    let mut services = verifiers.each_ref().map(|verifier| service(verifier.clone()));
    let mut times = [const { Vec::new() }; 4];
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
