//! The overhead of fetched keys compared to local keys, and the effect of a hanging provider on requests
//! whose keys are held, as two tables.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::{Request, Response, StatusCode};
use tokio::runtime::Runtime;
use tower_jwt_auth::cache::CacheSettings;
use tower_jwt_auth::jwks::{ClientFuture, HttpClient, RemoteKeys};
use tower_jwt_auth::{JwtVerifier, Verdict};

use self::support::{Issuer, User, authorization, median, request, send, service};

/// Serves a JWK set until it is told to hang.
struct Provider {
    jwks: Vec<u8>,
    hangs: Arc<AtomicBool>,
}

impl HttpClient for Provider {
    fn fetch(&self, _: Request<Vec<u8>>, _: usize) -> ClientFuture {
        if self.hangs.load(Ordering::Relaxed) {
            return Box::pin(std::future::pending());
        }
        let response = Response::new(self.jwks.clone());
        Box::pin(async { Ok(response) })
    }
}

fn main() {
    let runtime = Runtime::new().expect("the system has threads");
    let hangs = Arc::new(AtomicBool::new(false));
    let issuer = Issuer::rs256();
    let provider = Provider { jwks: issuer.jwks(), hangs: Arc::clone(&hangs) };
    let keys = RemoteKeys::jwks_with("https://id.example.com/jwks.json", provider)
        .expect("the address is good")
        .cooldown(Duration::from_millis(10));
    runtime.block_on(keys.ready()).expect("the provider answers at once");
    let remote = issuer.verifier_of(keys);
    let tokens = issuer.tokens();
    overhead(&issuer.verifier(), &remote, &tokens);
    hang(&runtime, &remote, &tokens, &hangs);
}

#[expect(clippy::print_stdout, reason = "it prints a table")]
fn overhead(local: &JwtVerifier<User>, remote: &JwtVerifier<User>, tokens: &[String]) {
    println!("{:24}{:>12}{:>12}{:>12}", "ns a request", "local", "fetched", "difference");
    let cached = |verifier: &JwtVerifier<User>| verifier.clone().cache(CacheSettings::new());
    for (name, local, remote) in [
        ("RS256", local.clone(), remote.clone()),
        // Work that does not depend on the keys is small in this row.
        ("RS256, cached", cached(local), cached(remote)),
    ] {
        let (mut local, mut remote) = (service(local), service(remote));
        let round = |service: &mut _| {
            let requests: Vec<_> = tokens.iter().map(|token| request(Some(&authorization(token)))).collect();
            let start = Instant::now();
            for request in requests {
                assert_eq!(send(service, request).status(), StatusCode::OK);
            }
            start.elapsed().as_nanos() as f64 / tokens.len() as f64
        };
        let (mut at_hand, mut fetched) = (Vec::new(), Vec::new());
        for _ in 0..100 {
            at_hand.push(round(&mut local));
            fetched.push(round(&mut remote));
        }
        let (at_hand, fetched) = (median(at_hand), median(fetched));
        println!("{name:24}{at_hand:>12.0}{fetched:>12.0}{:>12.0}", fetched - at_hand);
    }
}

/// Measures the time of a thousand tasks with a good token while others send tokens with an unknown key.
#[expect(clippy::print_stdout, reason = "it prints a table")]
fn hang(runtime: &Runtime, verifier: &JwtVerifier<User>, tokens: &[String], hangs: &AtomicBool) {
    println!("\n{:24}{:>12}{:>12}{:>12}", "1,000 tasks, us a token", "median", "p99", "p99.9");
    let tokens: Arc<[String]> = tokens.into();
    // In turn, so that other load on the machine affects both.
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..20 {
        let is_hung = round % 2;
        hangs.store(is_hung == 1, Ordering::Relaxed);
        times[is_hung].extend(runtime.block_on(verify_in_tasks(verifier, &tokens)));
    }
    for (name, mut times) in ["provider answers", "provider hangs"].into_iter().zip(times) {
        times.sort_unstable();
        let at = |part: f64| times[(times.len() as f64 * part) as usize].as_nanos() as f64 / 1000.0;
        println!("{name:24}{:>12.1}{:>12.1}{:>12.1}", at(0.5), at(0.99), at(0.999));
    }
}

async fn verify_in_tasks(verifier: &JwtVerifier<User>, tokens: &Arc<[String]>) -> Vec<Duration> {
    // A header whose key is not held.
    let stranger = tokens[0].replacen("eyJ", "eyJraWQiOiJ4IiwiYWxnIjoiUlMyNTYifQ.eyJ", 1);
    let stranger: String = stranger.split('.').take(2).chain(["AAAA"]).collect::<Vec<_>>().join(".");
    let strangers: Vec<_> = (0..100)
        .map(|_| {
            let (verifier, stranger) = (verifier.clone(), stranger.clone());
            tokio::spawn(async move { verifier.verify(&stranger).await.is_err() })
        })
        .collect();
    let tasks: Vec<_> = (0..1000)
        .map(|task| {
            let (verifier, tokens) = (verifier.clone(), Arc::clone(tokens));
            tokio::spawn(async move {
                let mut times = Vec::new();
                for turn in 0..10 {
                    let token = &tokens[(task + turn) % tokens.len()];
                    let start = Instant::now();
                    assert!(matches!(verifier.verify(token), Verdict::Ready(Ok(_))));
                    times.push(start.elapsed());
                    tokio::task::yield_now().await;
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.expect("no task panics"));
    }
    for stranger in strangers {
        assert!(stranger.await.expect("no task panics"));
    }
    times
}
