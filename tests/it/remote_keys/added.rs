//! Two key sources for one issuer.

use serde_json::Value;
use tokio::time::Instant;
use tower_jwt_auth::AuthErrorKind::{InvalidSignature, KeysUnavailable, UnknownKey, WrongIssuer};
use tower_jwt_auth::cache::CacheSettings;
use tower_jwt_auth::jwks::RemoteKeys;
use tower_jwt_auth::keys::KeyStore;
use tower_jwt_auth::{Algorithm, JwtVerifier, Key, KeySet};

use super::looks::old_and_new;
use super::{Provider, at_once, key_set, pass, rejection, seconds, token};
use crate::keys::{SECRET, signer};
use crate::support::{AUDIENCE, ISSUER, NOW, at, for_oracle, good_claims};

fn verifier(first: &Provider, second: &Provider) -> JwtVerifier<Value> {
    let verifier = super::verifier(&first.keys());
    verifier.add_keys(second.keys()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn uses_keys_of_both_sources() {
    let (first, second) = (Provider::of(&["a"]), Provider::of(&["b"]));
    let verifier = verifier(&first, &second);
    assert_eq!((first.requests(), second.requests()), (0, 0), "nothing is fetched before it is needed");
    assert_eq!(rejection(&verifier, "b").await, None);
    assert_eq!(rejection(&verifier, "a").await, None);
    assert!(at_once(verifier.verify(&token("b"))).is_ok());
    assert_eq!((first.requests(), second.requests()), (1, 1));

    // A rotation of either source is found, and an unknown key is looked up at both.
    second.serve(&["b", "c"]);
    assert_eq!(rejection(&verifier, "c").await, None);
    first.serve(&["d"]);
    assert_eq!(rejection(&verifier, "d").await, None);
    assert_eq!((first.requests(), second.requests()), (3, 3));
    assert_eq!(rejection(&verifier, "a").await, Some(UnknownKey));

    // Three sources, one of which is local.
    let local = KeySet::from(Key::hmac(Algorithm::HS256, SECRET).unwrap().with_kid("local"));
    let verifier = verifier.add_keys(local).unwrap();
    let header = jsonwebtoken::Header { kid: Some("local".into()), ..Default::default() };
    let signed = jsonwebtoken::encode(&header, &good_claims(), &signer(Algorithm::HS256)).unwrap();
    assert!(at_once(verifier.verify(&signed)).is_ok());
    assert!(at_once(verifier.verify(&token("d"))).is_ok());
}

#[tokio::test(start_paused = true)]
async fn source_outage_does_not_affect_the_other() {
    for hangs in [false, true] {
        let (first, second) = (Provider::new(), Provider::of(&["b"]));
        if hangs {
            first.hang();
        }
        let verifier = verifier(&first, &second);
        let start = Instant::now();
        assert_eq!(rejection(&verifier, "b").await, None);
        assert_eq!(start.elapsed(), seconds(0), "hangs: {hangs}");
        second.serve(&["c"]);
        assert_eq!(rejection(&verifier, "c").await, None);
        assert_eq!(start.elapsed(), seconds(0), "hangs: {hangs}");
        // The hanging source may have this key.
        assert_eq!(rejection(&verifier, "x").await, Some(KeysUnavailable), "hangs: {hangs}");

        first.serve(&["a"]);
        pass(60).await;
        assert_eq!(rejection(&verifier, "a").await, None);
        assert_eq!(rejection(&verifier, "x").await, Some(UnknownKey));
    }
}

#[tokio::test(start_paused = true)]
async fn hanging_source_does_not_delay_replaced_keys() {
    for kid in [Some("same"), None] {
        // During a fetch of the other source, and after it.
        for (hanging, tenths) in (0..16).map(|number| (number % 2, 5 * number as u64)) {
            let [(old, old_token), (new, new_token)] = old_and_new(kid);
            let providers = [Provider::new(), Provider::new()];
            providers[hanging].hang();
            let up = &providers[1 - hanging];
            up.serve_set(&old);
            let verifier = verifier(&providers[0], &providers[1]);
            if kid.is_some() {
                assert_eq!(super::rejection_of(&verifier, &old_token).await, None);
            } else {
                let _ = super::rejection_of(&verifier, &old_token).await;
                assert!(at_once(verifier.verify(&old_token)).is_ok());
            }
            up.serve_set(&new);
            tokio::time::sleep(std::time::Duration::from_millis(100 * tenths)).await;
            let start = Instant::now();
            assert_eq!(super::rejection_of(&verifier, &new_token).await, None, "{kid:?} {tenths}");
            assert_eq!(start.elapsed(), seconds(0), "{kid:?} {tenths}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn withdrawn_key_of_one_source_is_not_trusted() {
    let (remote, store) = (Provider::of(&["a"]), KeyStore::new(key_set(&["b"])));
    let verifier = super::verifier(&remote.keys()).cache(CacheSettings::new());
    let verifier = verifier.add_keys(store.clone()).unwrap();
    for _ in 0..3 {
        assert_eq!(rejection(&verifier, "a").await, None);
        assert_eq!(rejection(&verifier, "b").await, None);
    }
    store.replace(key_set(&["c"]));
    assert_eq!(rejection(&verifier, "b").await, Some(UnknownKey));
    assert_eq!(rejection(&verifier, "c").await, None);
    assert_eq!(rejection(&verifier, "a").await, None);
}

#[tokio::test(start_paused = true)]
async fn tries_four_keys_of_both_sources_together() {
    let unnamed =
        |number| Key::hmac(Algorithm::HS256, format!("secret number {number} of thirty-two bytes")).unwrap();
    let good = KeySet::hmac(Algorithm::HS256, SECRET).unwrap();
    let header = jsonwebtoken::Header::new(for_oracle(Algorithm::HS256));
    let signed = jsonwebtoken::encode(&header, &good_claims(), &signer(Algorithm::HS256)).unwrap();
    for (others, expected) in [(3, None), (4, Some(InvalidSignature))] {
        let others = KeySet::new((0..others).map(unnamed));
        let verifier = JwtVerifier::<Value>::new(others).issuer(ISSUER).audience(AUDIENCE);
        let verifier = verifier.clock(|| at(NOW)).add_keys(good.clone()).unwrap();
        assert_eq!(at_once(verifier.verify(&signed)).err(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn rejects_sources_of_two_issuers() {
    let discovered = |issuer| RemoteKeys::discover_with(issuer, Provider::of(&["a"])).unwrap();
    let bare = || Provider::of(&["a"]).keys();
    let local = || key_set(&["a"]);
    let new = |verifier: JwtVerifier<Value>| verifier.audience(AUDIENCE).clock(|| at(NOW));

    let error = JwtVerifier::<Value>::new(discovered(ISSUER)).add_keys(discovered("https://b.example.com"));
    assert_eq!(
        error.unwrap_err().to_string(),
        "issuer mismatch: the added keys are from `https://b.example.com`, but the verifier expects \
         `https://id.example.com`; use Issuers, with a verifier for each"
    );
    // Either source may name the issuer, and tokens need it.
    for verifier in [
        new(JwtVerifier::new(local())).add_keys(discovered("https://b.example.com")).unwrap(),
        new(JwtVerifier::new(discovered("https://b.example.com"))).add_keys(local()).unwrap(),
        // If neither does, every token is rejected until the verifier names one.
        new(JwtVerifier::new(local())).add_keys(bare()).unwrap(),
        new(JwtVerifier::new(bare())).add_keys(local()).unwrap(),
    ] {
        assert_eq!(rejection(&verifier, "a").await, Some(WrongIssuer));
        assert_eq!(rejection(&verifier.clone().issuer(ISSUER), "a").await, None);
        assert_eq!(rejection(&verifier.insecure_any_issuer(), "a").await, None);
    }
    let verifier = new(JwtVerifier::new(local())).add_keys(local()).unwrap();
    assert_eq!(rejection(&verifier, "a").await, None, "local keys leave it to the application");
}
