//! Revocation by the claims of a request.

use std::error::Error;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::revocation::Revocations;
use tower_jwt_auth::{Algorithm, AuthError, Claims, JwtVerifier, KeySet};

use crate::support::*;

const LIFETIME: Duration = Duration::from_secs(900);

fn listed<C: serde::de::DeserializeOwned + Send + Sync + 'static>() -> (Revocations, JwtVerifier<C>) {
    let list = Revocations::new().clock(|| at(NOW));
    let verifier = JwtVerifier::<C>::new(KeySet::hmac(Algorithm::HS256, SECRET).unwrap())
        .issuer(ISSUER)
        .audience(AUDIENCE)
        .clock(|| at(NOW))
        .revocations(list.clone());
    (list, verifier)
}

fn token_with(more: &Value) -> String {
    let mut claims = good_claims();
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    token(&claims)
}

fn cause(error: &AuthError) -> String {
    error.source().unwrap().to_string()
}

#[tokio::test]
async fn revokes_by_claims() {
    let names = json!({"jti": "t1", "sid": "s1", "sub": "u1", "iat": NOW});
    let tokens = [
        ("the token", names.clone()),
        ("of the session", json!({"jti": "t2", "sid": "s1", "sub": "u1", "iat": NOW + 1})),
        ("of the subject", json!({"jti": "t3", "sid": "s2", "sub": "u1", "iat": NOW})),
        ("of the subject, issued later", json!({"jti": "t4", "sid": "s3", "sub": "u1", "iat": NOW + 1})),
        ("of another subject", json!({"jti": "t5", "sid": "s4", "sub": "u2", "iat": NOW})),
    ];
    type Revoke = fn(&Revocations, &Claims<Value>) -> Result<(), AuthError>;
    let rows: [(&str, Revoke, &[&str]); 3] = [
        ("jti", |list, user| list.revoke_token_of(user).map(drop), &["the token"]),
        (
            "sid",
            |list, user| list.revoke_session_of(user, LIFETIME).map(drop),
            &["the token", "of the session"],
        ),
        (
            "sub",
            |list, user| list.revoke_subject_of(user, LIFETIME).map(drop),
            &["the token", "of the subject"],
        ),
    ];
    for (by, revoke, revoked) in rows {
        let (list, verifier) = listed::<Value>();
        let user = verifier.verify(&token_with(&names)).await.unwrap();
        revoke(&list, &user).unwrap();
        for (name, claims) in &tokens {
            let rejected = rejection(&verifier, &token_with(claims)).await;
            assert_eq!(rejected, revoked.contains(name).then_some(Revoked), "by {by}: {name}");
        }
        assert_eq!(list.len(), 1, "{by}");
    }
}

/// A verifier with a leeway may accept a token from an issuer whose clock is ahead.
#[tokio::test]
async fn revokes_subject_of_issuer_with_fast_clock() {
    let (list, verifier) = listed::<Value>();
    let token = token_with(&json!({"iat": NOW + 30}));
    let user = verifier.verify(&token).await.unwrap();
    drop(list.revoke_subject_of(&user, LIFETIME).unwrap());
    assert_eq!(rejection(&verifier, &token).await, Some(Revoked));
}

#[cfg(feature = "shared-revocations")]
mod with_store {
    use std::sync::{Arc, Mutex};

    use tower_jwt_auth::revocation::{
        Revocation, RevocationPage, RevocationStore, SharedRevocations, StoreFuture,
    };
    use tower_jwt_auth::token::TokenInfo;

    use super::*;

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<Revocation>>>);

    impl RevocationStore for Written {
        fn write(&self, revocations: Vec<Revocation>) -> StoreFuture<()> {
            self.0.lock().unwrap().extend(revocations);
            Box::pin(async { Ok(()) })
        }

        fn read(&self, _: Option<String>) -> StoreFuture<RevocationPage> {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test]
    async fn entries_last_as_long_as_their_tokens() {
        let store = Written::default();
        let list = SharedRevocations::new(store.clone()).start().unwrap().clock(|| at(NOW));
        let claims = json!({"jti": "t1", "sid": "s1", "sub": "u1"});
        let expiring = |seconds| {
            let token = TokenInfo::new().with_issuer(ISSUER).with_expires_at(at(NOW + seconds));
            Claims::from_parts(claims.clone(), token)
        };
        let endless = Claims::from_parts(claims.clone(), TokenInfo::new().with_issuer(ISSUER));
        for user in [expiring(300), expiring(2000), endless] {
            list.revoke_token_of(&user).unwrap().await.unwrap();
            list.revoke_session_of(&user, LIFETIME).unwrap().await.unwrap();
            list.revoke_subject_of(&user, LIFETIME).unwrap().await.unwrap();
        }
        let written = store.0.lock().unwrap();
        let ends: Vec<_> =
            [Some(300), Some(900), Some(900), Some(2000), Some(2000), Some(2000), None, None, None]
                .into_iter()
                .map(|end: Option<u64>| end.map(|end| at(NOW + end)))
                .collect();
        assert_eq!(written.iter().map(Revocation::expires_at).collect::<Vec<_>>(), ends);
        for entries in written.chunks(3) {
            let [token, session, subject] = entries else { panic!("three methods") };
            assert!(entries.iter().all(|entry| entry.issuer() == ISSUER));
            assert_eq!((token.jti(), session.sid(), subject.sub()), (Some("t1"), Some("s1"), Some("u1")));
            assert_eq!(subject.issued_until(), Some(at(NOW)));
        }
    }

    #[tokio::test]
    async fn unconfirmed_revocation_is_a_503() {
        struct Down;

        impl RevocationStore for Down {
            fn write(&self, _: Vec<Revocation>) -> StoreFuture<()> {
                Box::pin(std::future::pending())
            }

            fn read(&self, _: Option<String>) -> StoreFuture<RevocationPage> {
                Box::pin(std::future::pending())
            }
        }

        let list = SharedRevocations::new(Down).write_timeout(Duration::from_millis(10)).start().unwrap();
        let token = TokenInfo::new().with_issuer(ISSUER).with_expires_at(at(NOW + 300));
        let user = Claims::from_parts(json!({"sid": "s1"}), token);
        let sign_out = async || -> Result<(), AuthError> {
            list.revoke_session_of(&user, LIFETIME)?.await?;
            Ok(())
        };
        let error = sign_out().await.unwrap_err();
        assert_eq!((error.kind(), error.status().as_u16()), (RevocationsUnavailable, 503));
        let expected = "the shared store has not confirmed the revocation; it applies in this process only";
        assert_eq!(cause(&error), expected);
    }
}

#[derive(Deserialize, Serialize)]
struct Session {
    #[serde(rename = "sid")]
    session: String,
}

#[tokio::test]
async fn claims_type_names_the_session() {
    let (list, verifier) = listed::<Session>();
    let token = token_with(&json!({"sid": "s1"}));
    let user = verifier.verify(&token).await.unwrap();
    list.revoke_session_of(&user, LIFETIME).unwrap().await.unwrap();
    assert_eq!(verifier.verify(&token).await.err().unwrap().kind(), Revoked);
}

#[tokio::test]
async fn rejects_what_would_revoke_nothing() {
    /// Shows the session in another form than the token.
    #[derive(Deserialize, Serialize)]
    struct Shortened {
        #[serde(serialize_with = "stars")]
        sid: String,
    }

    fn stars<S: serde::Serializer>(_: &str, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }

    let another = "cannot revoke: the verifier uses another revocation list, or its token has another `sid` than the claims";
    let missing = "cannot revoke: the serialized claims have no string `sid`";
    let (list, verifier) = listed::<Value>();
    let revoke = |list: &Revocations, user: &Claims<Value>| {
        list.revoke_session_of(user, LIFETIME).map(drop).unwrap_err()
    };

    let user = verifier.verify(&token_with(&json!({"sid": "s1"}))).await.unwrap();
    let other_list = Revocations::new();
    let rows = [
        ("another list", revoke(&other_list, &user), RevocationsUnavailable, another),
        ("no sid", revoke(&list, &verifier.verify(&good_token()).await.unwrap()), InvalidClaims, missing),
        ("sid of another type", revoke(&list, &Claims::new(json!({"sid": 1}))), InvalidClaims, missing),
        ("empty sid", revoke(&list, &Claims::new(json!({"sid": ""}))), InvalidClaims, missing),
        ("no object", revoke(&list, &Claims::new(json!("s1"))), InvalidClaims, missing),
        (
            "no issuer",
            revoke(&list, &Claims::new(json!({"sid": "s1"}))),
            WrongIssuer,
            "cannot revoke: the claims have no issuer",
        ),
    ];
    for (name, error, kind, reason) in rows {
        assert_eq!((error.kind(), cause(&error).as_str()), (kind, reason), "{name}");
    }
    assert!(list.is_empty() && other_list.is_empty());

    let (list, verifier) = listed::<Shortened>();
    let user = verifier.verify(&token_with(&json!({"sid": "s1"}))).await.unwrap();
    let error = list.revoke_session_of(&user, LIFETIME).map(drop).unwrap_err();
    assert_eq!((error.kind(), cause(&error).as_str()), (RevocationsUnavailable, another));
    assert!(list.is_empty());
}

#[tokio::test]
async fn rejection_is_in_the_challenge_of_the_layer() {
    let layer = tower_jwt_auth::JwtAuthLayer::new(verifier()).realm("shop").unwrap();
    let inner = tower::service_fn(async |request: http::Request<String>| {
        let user = Claims::<Value>::find(request.extensions()).unwrap();
        let error = Revocations::new().revoke_session_of(user, LIFETIME).map(drop).unwrap_err();
        Ok::<_, std::convert::Infallible>(http::Response::<String>::from(error))
    });
    let service = tower_layer::Layer::layer(&layer, inner);
    let Ok(response) = tower::ServiceExt::oneshot(service, bearer(&good_token())).await;
    let challenge = response.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with(r#"Bearer realm="shop", error="invalid_token""#), "{challenge}");
}

/// Tokens without `iss` are listed without an issuer.
#[tokio::test]
async fn tokens_without_an_issuer_can_be_revoked() {
    let list = Revocations::new();
    let verifier = verifier().insecure_any_issuer().revocations(list.clone());
    let claims = json!({"aud": AUDIENCE, "exp": NOW + 300, "sid": "s1"});
    let token = token(&claims);
    let user = verifier.verify(&token).await.unwrap();
    drop(list.revoke_session_of(&user, LIFETIME).unwrap());
    assert_eq!(rejection(&verifier, &token).await, Some(Revoked));
}

/// A logout token names the session of other tokens. Its verifier needs no list.
#[tokio::test]
async fn logout_token_revokes_the_session_of_others() {
    let (list, verifier) = listed::<Value>();
    let logout = JwtVerifier::<Session>::new(KeySet::hmac(Algorithm::HS256, SECRET).unwrap())
        .issuer(ISSUER)
        .audience("client")
        .token_type("logout+jwt")
        .clock(|| at(NOW));
    let posted = json!({"iss": ISSUER, "aud": "client", "exp": NOW + 120, "jti": "l1", "sid": "s1"});
    let posted = token_of(r#"{"alg":"HS256","typ":"logout+jwt"}"#, &posted.to_string());
    let posted = logout.verify(&posted).await.unwrap();
    drop(list.revoke_session_of(&posted, LIFETIME).unwrap());
    assert_eq!(rejection(&verifier, &token_with(&json!({"sid": "s1"}))).await, Some(Revoked));
}
