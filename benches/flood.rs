//! The overhead of a cache that never hits: the same requests with and without it, in turn, as a table.

mod support;

use std::time::Instant;

use http::StatusCode;
use tower_jwt_auth::cache::CacheSettings;

use self::support::{Issuer, authorization, median, request, send, service};

/// Many times more tokens than the cache holds.
const TOKENS: usize = 40_000;
const ROOM: usize = 2_000;
const BATCH: usize = 2_000;
const ROUNDS: usize = 400;

#[expect(clippy::print_stdout, reason = "it prints a table")]
fn main() {
    println!("{:24}{:>12}{:>12}{:>8}", "ns a request", "no cache", "cache", "ratio");
    for issuer in Issuer::all() {
        let tokens = issuer.some_tokens(TOKENS);
        report(&format!("{:?}, good", issuer.algorithm), &issuer, &tokens, StatusCode::OK);
        if issuer.is_secret() {
            let tokens = Issuer::forger().some_tokens(TOKENS);
            report("HS256, forged", &issuer, &tokens, StatusCode::UNAUTHORIZED);
        }
    }
}

#[expect(clippy::print_stdout, reason = "it prints a table")]
fn report(name: &str, issuer: &Issuer, tokens: &[String], expected: StatusCode) {
    let values: Vec<_> = tokens.iter().map(|token| authorization(token)).collect();
    let mut plain = service(issuer.verifier());
    let mut cached = service(issuer.verifier().cache(CacheSettings::new().max_entries(ROOM)));
    // Fills the cache before the measurement.
    for token in issuer.some_tokens(2 * ROOM) {
        send(&mut cached, request(Some(&authorization(&token))));
    }
    let mut turns = values.iter().cycle();
    let mut round = |service: &mut _| {
        let requests: Vec<_> = turns.by_ref().take(BATCH).map(|value| request(Some(value))).collect();
        let start = Instant::now();
        for request in requests {
            assert_eq!(send(service, request).status(), expected);
        }
        start.elapsed().as_nanos() as f64 / BATCH as f64
    };
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(round(&mut plain));
        with.push(round(&mut cached));
    }
    let (without, with) = (median(without), median(with));
    println!("{name:24}{without:>12.0}{with:>12.0}{:>8.3}", with / without);
}
