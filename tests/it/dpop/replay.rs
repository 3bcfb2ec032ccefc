//! Proofs that come twice (RFC 9449, section 11.1), without a store.

use std::sync::Barrier;

use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::verifiers::Scheme;
use tower_jwt_auth::{Credential, Head, Verdict};

use super::*;

const REPLAYED: &str =
    r#"error="invalid_dpop_proof", error_description="the DPoP proof has been used before""#;

#[tokio::test]
async fn accepts_a_proof_once() {
    let (layer, token) = (layer(), bound_token());
    let proof = Proof::of(&token).sign();
    assert_accepted("first", &ask(&layer, send(&token, &proof)).await);
    for _ in 0..2 {
        assert_refused("again", &ask(&layer, send(&token, &proof)).await, ReplayedProof, REPLAYED);
    }
    assert_accepted("another", &ask(&layer, send(&token, &Proof::of(&token).sign())).await);
}

/// A proof is known by its key and its `jti`.
#[tokio::test]
async fn same_jti_is_the_same_proof() {
    let (layer, token) = (layer(), bound_token());
    let proof = |name: &str, value: Value| Proof::of(&token).claim("jti", "j").claim(name, value).sign();
    assert_accepted("first", &ask(&layer, send(&token, &proof("iat", json!(NOW)))).await);
    for (name, value) in [
        ("iat", json!(NOW - 1)),
        ("htu", json!("https://API.example.com/orders")),
        ("exp", json!(NOW + 9)),
        ("other", json!(1)),
    ] {
        let response = ask(&layer, send(&token, &proof(name, value))).await;
        assert_refused(name, &response, ReplayedProof, REPLAYED);
    }
    let mut post = send(&token, &proof("htm", json!("POST")));
    *post.method_mut() = http::Method::POST;
    assert_refused("method", &ask(&layer, post).await, ReplayedProof, REPLAYED);
    // Another client may choose the same `jti`.
    let other = token_bound_to(Algorithm::EdDSA);
    let proof = Proof::by(Algorithm::EdDSA, &other).claim("jti", "j").sign();
    assert_accepted("another key", &ask(&layer, send(&other, &proof)).await);
}

/// Otherwise a forged proof could use up the `jti` of a good one.
#[tokio::test]
async fn rejected_proofs_do_not_count() {
    let (layer, token) = (layer(), bound_token());
    let good = Proof::of(&token);
    let signed = good.sign();
    let forged = format!("{}.{}", signed.rsplit_once('.').unwrap().0, base64url([7; 64]));
    for (name, proof, kind) in [
        ("forged", forged, InvalidProofSignature),
        ("for another method", good.clone().claim("htm", "POST").sign(), WrongProofRequest),
        ("for another token", good.clone().claim("ath", "x").sign(), WrongProofToken),
        ("too old", good.clone().claim("iat", NOW - 60).sign(), WrongProofTime),
    ] {
        assert_eq!(kind_of(&ask(&layer, send(&token, &proof)).await), Some(kind), "{name}");
    }
    assert_accepted("good", &ask(&layer, send(&token, &signed)).await);
}

#[test]
fn accepts_one_of_many_concurrent_copies() {
    const COPIES: usize = 100;
    let (verifier, token) = (verifier().dpop(dpop()), bound_token());
    for _ in 0..10 {
        let request = send(&token, &Proof::of(&token).sign());
        let barrier = Barrier::new(COPIES);
        let verify = || {
            let head = Head::from(&request);
            let credential = Credential::new(Scheme::DPOP, token.as_bytes()).with_request(&head);
            barrier.wait();
            match verifier.verify(credential) {
                Verdict::Ready(verdict) => verdict.map_err(|error| error.kind()),
                Verdict::Pending(_) => panic!("the verdict is pending"),
            }
        };
        let verdicts: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..COPIES).map(|_| scope.spawn(verify)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap().err()).collect()
        });
        let count = |verdict| verdicts.iter().filter(|other| **other == verdict).count();
        assert_eq!((count(None), count(Some(ReplayedProof))), (1, COPIES - 1));
    }
}

#[tokio::test]
async fn clones_share_the_memory() {
    let shared = dpop();
    let token = bound_token();
    for (name, second, is_accepted) in [
        ("clone", shared.clone(), false),
        ("another one", dpop(), true),
        ("changed clone", shared.clone().required(), true),
    ] {
        let proof = Proof::of(&token).sign();
        assert_accepted(name, &ask(&layer_with(shared.clone()), send(&token, &proof)).await);
        let response = ask(&layer_with(second), send(&token, &proof)).await;
        assert_eq!(response.status() == 200, is_accepted, "{name}");
    }
}

#[tokio::test]
async fn full_memory_accepts_no_new_proof() {
    let layer = layer_with(dpop().max_proofs(2));
    let token = bound_token();
    let proofs: Vec<_> = (0..3).map(|_| Proof::of(&token).sign()).collect();
    for proof in &proofs[..2] {
        assert_accepted("room", &ask(&layer, send(&token, proof)).await);
    }
    for _ in 0..2 {
        let response = ask(&layer, send(&token, &proofs[2])).await;
        assert_rejected("full", &response, 503, Unavailable, &[("retry-after", "5")]);
    }
    for proof in &proofs[..2] {
        assert_refused("again", &ask(&layer, send(&token, proof)).await, ReplayedProof, REPLAYED);
    }
    assert_accepted("bearer", &ask(&layer, bearer(&good_token())).await);
}

/// Proofs that this process has accepted are replays until they are too old.
#[tokio::test]
async fn proofs_are_too_old_before_they_are_forgotten() {
    let clock = Clock::new();
    let (layer, token) = (clock.layer(dpop()), long_lived_token());
    let proof = Proof::of(&token).claim("iat", NOW + 5).sign();
    assert_accepted("first", &ask(&layer, send(&token, &proof)).await);
    for (time, kind) in [(NOW + 64, ReplayedProof), (NOW + 65, WrongProofTime), (NOW, ReplayedProof)] {
        clock.set(time);
        assert_eq!(kind_of(&ask(&layer, send(&token, &proof)).await), Some(kind), "{time}");
    }
}
