//! A store that several processes share (RFC 9449, section 11.1), with paused time.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::dpop::{ProofId, ReplayFuture, ReplayStore};
use tower_jwt_auth::token::Thumbprint;
use tower_jwt_auth::verifiers::Scheme;
use tower_jwt_auth::{Credential, Head, Verdict};

use super::*;

const REPLAYED: &str =
    r#"error="invalid_dpop_proof", error_description="the DPoP proof has been used before""#;

/// A store with the same answer to every call.
#[derive(Clone)]
struct Store {
    answer: Answer,
    calls: Arc<Mutex<Vec<(ProofId, Duration)>>>,
}

#[derive(Clone, Copy)]
enum Answer {
    New,
    Known,
    Fails,
    Hangs,
    TakesMillis(u64),
}

impl Store {
    fn new(answer: Answer) -> Self {
        Self { answer, calls: Arc::default() }
    }

    fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    fn layer(&self) -> Layer {
        layer_with(dpop().replay_store(self.clone()))
    }
}

impl ReplayStore for Store {
    fn record(&self, proof: ProofId, keep: Duration) -> ReplayFuture {
        self.calls.lock().unwrap().push((proof, keep));
        let answer = self.answer;
        Box::pin(async move {
            match answer {
                Answer::New => Ok(true),
                Answer::Known => Ok(false),
                Answer::Fails => Err("connection refused".into()),
                Answer::Hangs => std::future::pending().await,
                Answer::TakesMillis(millis) => {
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    Ok(true)
                }
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn store_decides_about_each_proof() {
    let retry = [("retry-after", "1")];
    for (name, answer, kind, waited) in [
        ("new", Answer::New, None, 0),
        ("slow", Answer::TakesMillis(249), None, 249),
        ("known", Answer::Known, Some(ReplayedProof), 0),
        ("fails", Answer::Fails, Some(Unavailable), 0),
        ("hangs", Answer::Hangs, Some(Unavailable), 250),
        ("too slow", Answer::TakesMillis(1000), Some(Unavailable), 250),
    ] {
        let (store, start) = (Store::new(answer), Instant::now());
        let response = try_proof(&store.layer(), |proof| proof).await;
        match kind {
            None => assert_accepted(name, &response),
            Some(ReplayedProof) => assert_refused(name, &response, ReplayedProof, REPLAYED),
            Some(kind) => assert_rejected(name, &response, 503, kind, &retry),
        }
        let passed = start.elapsed().as_millis();
        assert!((waited..waited + 5).contains(&passed), "{name}: {passed} ms");
        assert_eq!(store.calls(), 1, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn causes_name_the_store() {
    for (answer, expected) in [
        (Answer::Fails, "cannot record the DPoP proof: connection refused"),
        (Answer::Hangs, "cannot record the DPoP proof: timed out after 250ms"),
    ] {
        let response = try_proof(&Store::new(answer).layer(), |proof| proof).await;
        let error = response.extensions().get::<AuthError>().unwrap();
        assert_eq!(std::error::Error::source(error).unwrap().to_string(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn timeout_is_a_setting() {
    let store = Store::new(Answer::Hangs);
    let layer = layer_with(dpop().replay_store(store).replay_timeout(Duration::from_secs(2)));
    let start = Instant::now();
    assert_eq!(kind_of(&try_proof(&layer, |proof| proof).await), Some(Unavailable));
    assert!((2000..2005).contains(&start.elapsed().as_millis()));
}

/// A proof is kept for five seconds longer than it is accepted, and for the time that the store may take.
#[tokio::test]
async fn store_gets_the_proof_and_its_lifetime() {
    let key: Thumbprint = thumbprint(&public_jwk(Algorithm::ES256)).parse().unwrap();
    let set = dpop().max_age(Duration::from_secs(30)).max_ahead(Duration::from_secs(2));
    let set = set.replay_timeout(Duration::from_secs(1));
    let endless = dpop().max_age(Duration::MAX).max_ahead(Duration::MAX);
    const CENTURY: u64 = 100 * 365 * 24 * 60 * 60;
    for (name, dpop, iat, valid_from, kept_millis) in [
        ("defaults", dpop(), NOW - 7, NOW - 12, 58_250),
        ("ahead", dpop(), NOW + 5, NOW, 70_250),
        ("settings", set, NOW - 7, NOW - 9, 29_000),
        ("no limits", endless, NOW - 7, 0, 1000 * CENTURY),
    ] {
        let store = Store::new(Answer::New);
        let layer = layer_with(dpop.replay_store(store.clone()));
        assert_accepted(name, &try_proof(&layer, |proof| proof.claim("iat", iat).claim("jti", "j")).await);
        let [(id, kept)] = store.calls.lock().unwrap()[..] else { panic!("{name}: one call") };
        assert_eq!(id, ProofId::new(key.as_bytes(), "j", at(0)), "{name}");
        assert_eq!(id.valid_from(), at(valid_from), "{name}");
        assert_eq!(kept, Duration::from_millis(kept_millis), "{name}");
        // A store may add it to the time.
        assert!(std::time::Instant::now().checked_add(kept).is_some(), "{name}");
    }
}

/// Returns true if the verdict needs no waiting.
fn is_ready(layer_dpop: &Dpop, scheme: Scheme<'_>, token: &str, request: &Request<String>) -> bool {
    let head = Head::from(request);
    let credential = Credential::new(scheme, token.as_bytes()).with_request(&head);
    matches!(verifier().dpop(layer_dpop.clone()).verify(credential), Verdict::Ready(_))
}

#[tokio::test]
async fn only_good_proofs_wait_for_the_store() {
    let store = Store::new(Answer::Hangs);
    let dpop = dpop().replay_store(store.clone());
    let (bound, unbound) = (bound_token(), good_token());
    let expired = token(&claims_with("exp", json!(NOW - 300)));
    let forged = format!("{}{}", &bound[..bound.len() - 4], "AAAA");
    let good = |token: &str| Proof::of(token).sign();
    for (name, scheme, token, proof) in [
        ("bearer token", Scheme::BEARER, &unbound, String::new()),
        ("bound token as bearer", Scheme::BEARER, &bound, good(&bound)),
        ("expired token", Scheme::DPOP, &expired, good(&expired)),
        ("forged token", Scheme::DPOP, &forged, good(&forged)),
        ("token that is not bound", Scheme::DPOP, &unbound, good(&unbound)),
        ("no proof", Scheme::DPOP, &bound, String::new()),
        ("proof for another token", Scheme::DPOP, &bound, good(&unbound)),
        ("proof for another method", Scheme::DPOP, &bound, Proof::of(&bound).claim("htm", "PUT").sign()),
        ("old proof", Scheme::DPOP, &bound, Proof::of(&bound).claim("iat", NOW - 60).sign()),
        ("forged proof", Scheme::DPOP, &bound, format!("{}A", good(&bound))),
    ] {
        assert!(is_ready(&dpop, scheme, token, &send(token, &proof)), "{name}");
        assert_eq!(store.calls(), 0, "{name}");
    }
    assert!(!is_ready(&dpop, Scheme::DPOP, &bound, &send(&bound, &good(&bound))), "a good one");
    assert_eq!(store.calls(), 1);
}

/// The memory of the process knows its own proofs.
#[tokio::test(start_paused = true)]
async fn store_is_asked_once_about_a_proof() {
    for answer in [Answer::New, Answer::Known, Answer::Fails, Answer::Hangs] {
        let (store, token) = (Store::new(answer), bound_token());
        let layer = store.layer();
        let proof = Proof::of(&token).sign();
        ask(&layer, send(&token, &proof)).await;
        let response = ask(&layer, send(&token, &proof)).await;
        assert_refused("again", &response, ReplayedProof, REPLAYED);
        assert_eq!(store.calls(), 1);
    }
}

#[tokio::test]
async fn cancelled_request_uses_up_its_proof() {
    let (store, token) = (Store::new(Answer::Hangs), bound_token());
    let layer = store.layer();
    let request = send(&token, &Proof::of(&token).sign());
    let waiting = ask(&layer, request.clone());
    assert!(tokio::time::timeout(Duration::from_millis(1), waiting).await.is_err());
    assert_eq!(kind_of(&ask(&layer, request).await), Some(ReplayedProof));
}

/// A flood of proofs must not stop a service that has a store.
#[tokio::test]
async fn full_memory_leaves_the_decision_to_the_store() {
    for (name, answer, kind) in [("new", Answer::New, None), ("known", Answer::Known, Some(ReplayedProof))] {
        let store = Store::new(answer);
        let layer = layer_with(dpop().max_proofs(0).replay_store(store.clone()));
        for _ in 0..2 {
            assert_eq!(kind_of(&try_proof(&layer, |proof| proof).await), kind, "{name}");
        }
        assert_eq!(store.calls(), 2, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_requests_are_bounded() {
    let store = Store::new(Answer::Hangs);
    let layer = store.layer();
    let waiting: Vec<_> = (0..4096)
        .map(|_| {
            let layer = layer.clone();
            tokio::spawn(async move { kind_of(&try_proof(&layer, |proof| proof).await) })
        })
        .collect();
    while store.calls() < 4096 {
        tokio::task::yield_now().await;
    }
    let response = try_proof(&layer, |proof| proof).await;
    assert_rejected("one too many", &response, 503, Unavailable, &[("retry-after", "5")]);
    assert_eq!(store.calls(), 4096);
    assert_accepted("bearer", &ask(&layer, bearer(&good_token())).await);
    for waited in waiting {
        assert_eq!(waited.await.unwrap(), Some(Unavailable));
    }
    assert_eq!(kind_of(&try_proof(&layer, |proof| proof).await), Some(Unavailable));
    assert_eq!(store.calls(), 4097, "there is room again");
}

#[test]
fn store_needs_a_runtime() {
    let (store, token) = (Store::new(Answer::New), bound_token());
    let request = send(&token, &Proof::of(&token).sign());
    let head = Head::from(&request);
    let credential = Credential::new(Scheme::DPOP, token.as_bytes()).with_request(&head);
    match verifier().dpop(dpop().replay_store(store.clone())).verify(credential) {
        Verdict::Ready(Err(error)) => assert_eq!(error.kind(), Unavailable),
        other => panic!("{other:?}"),
    }
    assert_eq!(store.calls(), 0);
}

/// A store of a test for several processes.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<HashSet<ProofId>>>);

impl ReplayStore for Shared {
    fn record(&self, proof: ProofId, _: Duration) -> ReplayFuture {
        let is_new = self.0.lock().unwrap().insert(proof);
        Box::pin(async move {
            tokio::task::yield_now().await;
            Ok(is_new)
        })
    }
}

#[tokio::test]
async fn processes_accept_a_proof_once() {
    let store = Shared::default();
    let processes: Vec<_> = (0..3).map(|_| layer_with(dpop().replay_store(store.clone()))).collect();
    for _ in 0..10 {
        let token = bound_token();
        let proof = Proof::of(&token).sign();
        let mut statuses = Vec::new();
        for layer in &processes {
            statuses.push(ask(layer, send(&token, &proof)).await.status().as_u16());
        }
        assert_eq!(statuses, [200, 401, 401]);
    }
}
