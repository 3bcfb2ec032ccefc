//! A whole request through the layer, compared to the bare signature check and `jsonwebtoken::decode`; and
//! rejections.

#[path = "support/raw.rs"]
mod raw;
mod support;

use std::convert::Infallible;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion};
use http::{HeaderValue, Request, Response, StatusCode};
use tower::Service;
use tower_jwt_auth::cache::CacheSettings;
use tower_jwt_auth::{AuthError, AuthErrorKind};

use self::raw::{bare_check, signed_and_signature};
use self::support::{Issuer, ScopedUser, User, authorization, request, scoped_service, send, service};

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .nresamples(10_000)
        .configure_from_args();
    for issuer in Issuer::all() {
        accept(&mut criterion, &issuer);
    }
    scope(&mut criterion);
    cached(&mut criterion);
    reject(&mut criterion);
    criterion.final_summary();
}

fn accept(criterion: &mut Criterion, issuer: &Issuer) {
    let mut group = criterion.benchmark_group(format!("request/{:?}", issuer.algorithm));
    let tokens = issuer.tokens();

    let parts: Vec<_> = tokens.iter().map(|token| signed_and_signature(token)).collect();
    let check = bare_check(issuer);
    group.bench_function("raw", |bencher| {
        let mut parts = parts.iter().cycle();
        bencher.iter(|| {
            let (signed, signature) = parts.next().expect("a cycle has no end");
            assert!(check(signed, signature));
        });
    });

    let (key, validation) = issuer.decoding();
    group.bench_function("jsonwebtoken", |bencher| {
        let mut tokens = tokens.iter().cycle();
        bencher.iter(|| {
            let token = tokens.next().expect("a cycle has no end");
            jsonwebtoken::decode::<User>(token, &key, &validation).expect("the token is good")
        });
    });

    let tokens = carrying(&tokens);
    let cached = issuer.verifier().cache(CacheSettings::new());
    bench_service(&mut group, "layer", &mut service(issuer.verifier()), &tokens, StatusCode::OK);
    bench_service(&mut group, "layer_cached", &mut service(cached), &tokens, StatusCode::OK);
}

/// A claims type with scopes, one of which is required.
fn scope(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scope");
    let issuer = Issuer::hs256();
    let tokens = carrying(&issuer.tokens());
    let verifier = || issuer.verifier_into::<ScopedUser>();
    bench_service(&mut group, "layer", &mut service(verifier()), &tokens, StatusCode::OK);
    bench_service(&mut group, "require_layer", &mut scoped_service(verifier()), &tokens, StatusCode::OK);
}

/// Cached tokens: one repeated token, or many in turn.
fn cached(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cached");
    let issuer = Issuer::hs256();
    for count in [1, 1_000, 100_000] {
        let cache = CacheSettings::new().max_entries(2 * count).max_bytes(4096 * count.max(100));
        let tokens = carrying(&issuer.some_tokens(count));
        let mut service = service(issuer.verifier().cache(cache));
        bench_service(&mut group, &count.to_string(), &mut service, &tokens, StatusCode::OK);
    }
}

fn reject(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reject");
    let issuer = Issuer::hs256();
    let mut bench = |name, kind, values: &[Option<HeaderValue>]| {
        let mut service = service(issuer.verifier());
        for value in values {
            let response = send(&mut service, request(value.as_ref()));
            let error = response.extensions().get::<AuthError>();
            assert_eq!(error.map(AuthError::kind), Some(kind), "{name}");
        }
        bench_service(&mut group, name, &mut service, values, StatusCode::UNAUTHORIZED);
    };
    bench("no_header", AuthErrorKind::MissingCredential, &[None]);
    let forged = carrying(&Issuer::forger().tokens());
    bench("forged", AuthErrorKind::InvalidSignature, &forged);
    bench("expired", AuthErrorKind::Expired, &carrying(&issuer.expired_tokens()));
    bench("garbage_8k", AuthErrorKind::MalformedToken, &carrying(&garbage()));
}

/// Requests are built a few at a time, outside the timed part. They are as warm in the CPU cache as
/// requests that a server has just read. The timed part ends when the service has dropped its request,
/// which takes about 50 ns that no layer can save.
fn bench_service<S>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    service: &mut S,
    values: &[Option<HeaderValue>],
    expected: StatusCode,
) where
    S: Service<Request<()>, Response = Response<()>, Error = Infallible>,
{
    group.bench_function(name, |bencher| {
        let mut values = values.iter().cycle();
        bencher.iter_batched(
            || request(values.next().expect("a cycle has no end").as_ref()),
            |request| assert_eq!(send(service, request).status(), expected),
            BatchSize::NumIterations(BATCH),
        );
    });
}

const BATCH: u64 = 16;

/// Returns header values with these tokens.
fn carrying(tokens: &[String]) -> Vec<Option<HeaderValue>> {
    tokens.iter().map(|token| Some(authorization(token))).collect()
}

/// Returns 8 KiB of base64url without a dot. There are eight of them, so that they stay in the CPU cache.
fn garbage() -> Vec<String> {
    (1..=8)
        .map(|step: usize| {
            let bytes: Vec<_> = (0..6144).map(|n| (n * step * 37) as u8).collect();
            BASE64_URL_SAFE_NO_PAD.encode(bytes)
        })
        .collect()
}
