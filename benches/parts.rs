//! The cost of each step of an accepted HS256 request, measured alone. In a whole request a step finds
//! other data in the CPU caches, so the steps do not add up exactly to the whole.

mod support;

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac as aws_lc;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use base64_simd::{Out, URL_SAFE_NO_PAD};
use criterion::{BatchSize, Criterion};
use hmac::{Hmac, KeyInit, Mac};
use http::Extensions;
use serde::Deserialize;
use sha2::Sha256;
use tower_jwt_auth::cache::CacheSettings;
use tower_jwt_auth::{Claims, Credential, Verdict, Verify};

use self::support::{Issuer, User, authorization, request, send, service};

/// A claims type without fields, so that only the claims needed by the verifier are read.
#[derive(Deserialize)]
struct Nothing {}

/// Accepts every token and returns prepared claims.
#[derive(Clone)]
struct AcceptAll(Claims<User>);

impl Verify for AcceptAll {
    type Claims = User;

    fn verify(&self, _: Credential<'_>) -> Verdict<User> {
        Verdict::Ready(Ok(self.0.clone()))
    }
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .nresamples(10_000)
        .configure_from_args();
    let issuer = Issuer::hs256();
    let tokens = issuer.tokens();
    steps(&mut criterion, &issuer, &tokens);
    wholes(&mut criterion, &issuer, &tokens);
    criterion.final_summary();
}

/// The steps of a verifier, one after the other.
fn steps(criterion: &mut Criterion, issuer: &Issuer, tokens: &[String]) {
    let mut group = criterion.benchmark_group("step");
    let parts: Vec<_> = tokens.iter().map(|token| token.rsplit_once('.').expect("it has dots")).collect();
    let signatures: Vec<_> =
        parts.iter().map(|(_, text)| BASE64_URL_SAFE_NO_PAD.decode(text).expect("it is base64url")).collect();
    let encoded: Vec<_> =
        parts.iter().map(|(signed, _)| signed.split_once('.').expect("it has dots").1).collect();
    let payloads: Vec<_> =
        encoded.iter().map(|text| BASE64_URL_SAFE_NO_PAD.decode(text).expect("it is base64url")).collect();

    group.bench_function("signature, hmac and sha2", |bencher| {
        let key = Hmac::<Sha256>::new_from_slice(issuer.key).expect("a key may have any length");
        let mut turns = parts.iter().zip(&signatures).cycle();
        bencher.iter(|| {
            let ((signed, _), signature) = turns.next().expect("a cycle has no end");
            assert!(key.clone().chain_update(signed).verify_slice(signature).is_ok());
        });
    });
    group.bench_function("signature, aws-lc-rs", |bencher| {
        let key = aws_lc::Key::new(aws_lc::HMAC_SHA256, issuer.key);
        let mut turns = parts.iter().zip(&signatures).cycle();
        bencher.iter(|| {
            let ((signed, _), signature) = turns.next().expect("a cycle has no end");
            assert!(aws_lc::verify(&key, signed.as_bytes(), signature).is_ok());
        });
    });
    group.bench_function("payload out of base64url", |bencher| {
        let mut turns = encoded.iter().cycle();
        let mut buffer = [0; 4096];
        bencher.iter(|| {
            let text = turns.next().expect("a cycle has no end").as_bytes();
            black_box(URL_SAFE_NO_PAD.decode(text, Out::from_slice(&mut buffer)).expect("it is base64url"));
        });
    });
    group.bench_function("payload is UTF-8", |bencher| {
        let mut turns = payloads.iter().cycle();
        bencher.iter(|| std::str::from_utf8(turns.next().expect("a cycle has no end")).is_ok());
    });
    group.bench_function("payload into the claims type", |bencher| {
        let mut turns = payloads.iter().map(|bytes| str::from_utf8(bytes).expect("JSON is UTF-8")).cycle();
        bencher.iter(|| serde_json::from_str::<User>(turns.next().expect("a cycle has no end")));
    });
    group.bench_function("clock", |bencher| bencher.iter(SystemTime::now));
    group.bench_function("claims into the extensions", |bencher| {
        let claims = Claims::new(());
        bencher.iter_batched_ref(
            Extensions::new,
            |extensions| drop(extensions.insert(claims.clone())),
            BatchSize::NumIterations(16),
        );
    });
}

/// Whole verifications, for comparison with the sum of the steps.
fn wholes(criterion: &mut Criterion, issuer: &Issuer, tokens: &[String]) {
    let mut group = criterion.benchmark_group("whole");
    let mut bench = |name: &str, verify: &dyn Fn(&str) -> bool| {
        group.bench_function(name, |bencher| {
            let mut turns = tokens.iter().cycle();
            bencher.iter(|| assert!(verify(turns.next().expect("a cycle has no end"))));
        });
    };
    let verifier = issuer.verifier();
    bench("verifier", &|token| matches!(verifier.verify(token), Verdict::Ready(Ok(_))));
    let cached = issuer.verifier().cache(CacheSettings::new());
    bench("verifier, cached", &|token| matches!(cached.verify(token), Verdict::Ready(Ok(_))));
    let bare = issuer.verifier_into::<Nothing>();
    bench("verifier, with no claims of the application's", &|token| {
        matches!(bare.verify(token), Verdict::Ready(Ok(_)))
    });

    let value = authorization(&tokens[0]);
    group.bench_function("layer, with no verifier", |bencher| {
        let Verdict::Ready(Ok(claims)) = verifier.verify(&tokens[0]) else {
            panic!("the token is good");
        };
        let mut service = service(AcceptAll(claims));
        bencher.iter_batched(
            || request(Some(&value)),
            |request| assert!(send(&mut service, request).status().is_success()),
            BatchSize::NumIterations(16),
        );
    });
    group.bench_function("request dropped", |bencher| {
        bencher.iter_batched(|| request(Some(&value)), drop, BatchSize::NumIterations(16));
    });
}
