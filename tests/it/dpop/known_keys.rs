//! The cache of the keys of clients, which must change no verdict.

use tower_jwt_auth::AuthErrorKind::*;

use super::*;

/// Sends a good proof, so that its key and header are known.
async fn known() -> Layer {
    let layer = layer();
    assert_accepted("first", &try_proof(&layer, |proof| proof).await);
    layer
}

#[tokio::test]
async fn key_may_come_with_other_headers() {
    let layer = known().await;
    let token = bound_token();
    for _ in 0..2 {
        assert_accepted("same", &try_proof(&layer, |proof| proof).await);
        assert_accepted("kid", &try_proof(&layer, |proof| proof.header("kid", "k1")).await);
        assert_accepted("long", &try_proof(&layer, |proof| proof.header("kid", "k".repeat(3000))).await);
        let proof = Proof::of(&token);
        let spaced = proof.header.to_string().replace(':', ": ");
        let response = ask(&layer, send(&token, &proof.sign_text(spaced, proof.claims.to_string()))).await;
        assert_accepted("spaces", &response);
    }
}

#[tokio::test]
async fn known_key_excuses_no_other_header() {
    let layer = known().await;
    let mut private = public_jwk(Algorithm::ES256);
    private["d"] = json!("AAAA");
    for (name, member, value) in [
        ("typ", "typ", json!("JWT")),
        ("alg", "alg", json!("ES384")),
        ("alg none", "alg", json!("none")),
        ("no key", "jwk", json!(null)),
        ("private key", "jwk", private),
        ("crit", "crit", json!(["exp"])),
    ] {
        let response = try_proof(&layer, |proof| proof.header(member, value)).await;
        assert_eq!(kind_of(&response), Some(MalformedProof), "{name}");
    }
}

#[tokio::test]
async fn known_key_serves_only_its_own_tokens() {
    let layer = known().await;
    let other = token_bound_to(Algorithm::EdDSA);
    let response = ask(&layer, send(&other, &Proof::of(&other).sign())).await;
    assert_eq!(kind_of(&response), Some(WrongProofKey));
    assert_accepted("its own", &ask(&layer, send(&other, &Proof::by(Algorithm::EdDSA, &other).sign())).await);
}

#[tokio::test]
async fn known_key_still_verifies_signatures() {
    let layer = known().await;
    let token = bound_token();
    let proof = Proof::of(&token);
    let good = proof.sign();
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let other_claims = base64url(proof.claim("jti", "forged").claims.to_string());
    let response = ask(&layer, send(&token, &format!("{header}.{other_claims}.{signature}"))).await;
    assert_eq!(kind_of(&response), Some(InvalidProofSignature));
    assert_accepted("good", &ask(&layer, send(&token, &good)).await);
}

#[tokio::test]
async fn changed_algorithms_apply_to_known_keys() {
    let before = dpop();
    let after = before.clone().algorithms([Algorithm::EdDSA]).unwrap();
    assert_accepted("before", &try_proof(&layer_with(before.clone()), |proof| proof).await);
    let response = try_proof(&layer_with(after), |proof| proof).await;
    assert_eq!(kind_of(&response), Some(MalformedProof));
    assert_accepted("still", &try_proof(&layer_with(before), |proof| proof).await);
}

/// RS256 and PS256 have the same keys.
#[tokio::test]
async fn known_rsa_key_keeps_its_algorithm() {
    let (layer, token) = (layer(), token_bound_to(Algorithm::RS256));
    for _ in 0..2 {
        for algorithm in [Algorithm::RS256, Algorithm::PS256] {
            let response = ask(&layer, send(&token, &Proof::by(algorithm, &token).sign())).await;
            assert_accepted(algorithm.as_str(), &response);
        }
        let mixed = Proof::by(Algorithm::PS256, &token).header("alg", "RS256").sign();
        assert_eq!(kind_of(&ask(&layer, send(&token, &mixed)).await), Some(InvalidProofSignature));
    }
}
