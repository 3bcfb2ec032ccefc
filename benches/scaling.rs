//! The throughput gained by a second thread on one shared layer: requests per second with two threads and
//! with one, as a table.
//!
//! It needs two idle cores.

mod support;

use std::convert::Infallible;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use std::{hint, thread};

use http::{HeaderValue, Request, Response, StatusCode};
use tower::Service;
use tower_jwt_auth::cache::CacheSettings;

use self::support::{Issuer, authorization, median, request, send, service};

/// Requests of one thread in one round. They are built before the clock starts. There are few enough to
/// stay in the core's caches, like requests that a server has just read. 4,096 of them would measure memory
/// access.
const BATCH: usize = 512;
const ROUNDS: usize = 400;

#[expect(clippy::print_stdout, reason = "it prints a table")]
fn main() {
    println!("{:32}{:>12}{:>12}{:>8}", "ns a request", "1 thread", "2 threads", "ratio");
    for issuer in Issuer::all() {
        let service = service(issuer.verifier());
        report(&format!("{:?}", issuer.algorithm), &service, &issuer.some_tokens(1000));
    }
    for (name, count) in [("cached, 1,000 tokens", 1000), ("cached, one token", 1)] {
        let issuer = Issuer::hs256();
        let service = service(issuer.verifier().cache(CacheSettings::new()));
        report(name, &service, &issuer.some_tokens(count));
    }

    fn report(name: &str, service: &impl Shared, tokens: &[String]) {
        let values: Vec<_> = tokens.iter().map(|token| authorization(token)).collect();
        round(service, &values, 1);
        // In turn, so that other load on the machine affects both.
        let (mut one, mut two) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            one.push(round(service, &values, 1));
            two.push(round(service, &values, 2));
        }
        let (one, two) = (median(one) / BATCH as f64, median(two) / (2 * BATCH) as f64);
        println!("{name:32}{one:>12.0}{two:>12.0}{:>8.2}", one / two);
    }
}

/// A service whose clones share the state of the layer.
trait Shared: Service<Request<()>, Response = Response<()>, Error = Infallible> + Clone + Sync {}

impl<S> Shared for S where S: Service<Request<()>, Response = Response<()>, Error = Infallible> + Clone + Sync {}

/// Returns the nanoseconds that all threads need for one batch each.
fn round(service: &impl Shared, values: &[HeaderValue], threads: usize) -> f64 {
    let (made, started) = (Barrier::new(threads), AtomicUsize::new(0));
    let batch = |thread: usize| {
        // Each thread starts with another token.
        let values = values.iter().cycle().skip(thread * values.len() / threads);
        let requests: Vec<Request<()>> = values.take(BATCH).map(|value| request(Some(value))).collect();
        let mut service = service.clone();
        made.wait();
        // Waking up takes too long, so threads spin for the last few steps.
        started.fetch_add(1, Ordering::AcqRel);
        while started.load(Ordering::Acquire) < threads {
            hint::spin_loop();
        }
        let start = Instant::now();
        for request in requests {
            assert_eq!(send(&mut service, request).status(), StatusCode::OK);
        }
        (start, Instant::now())
    };
    let spans = thread::scope(|scope| {
        let batch = &batch;
        let others: Vec<_> = (1..threads).map(|thread| scope.spawn(move || batch(thread))).collect();
        let mut spans = vec![batch(0)];
        spans.extend(others.into_iter().map(|other| other.join().expect("no request fails")));
        spans
    });
    let start = spans.iter().map(|(start, _)| *start).min().expect("there is a thread");
    let end = spans.iter().map(|(_, end)| *end).max().expect("there is a thread");
    (end - start).as_nanos() as f64
}
