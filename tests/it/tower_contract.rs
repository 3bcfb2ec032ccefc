//! tower's contract for middleware: readiness, clones, errors and capacity of the inner service.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::timeout;
use tower::limit::ConcurrencyLimitLayer;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::keys::{KeyIssuer, KeyLookup, KeySource, KeyStore, KeysRef, Refresh};
use tower_jwt_auth::policy::Anyone;
use tower_jwt_auth::{
    Algorithm, AuthError, AuthErrorKind, Claims, Credential, JwtAuthLayer, JwtVerifier, KeySet,
    PrincipalLayer, RequireLayer, Verdict, Verify,
};
use tower_layer::Layer;
use tower_test::mock;

use crate::support::*;

type Mock = mock::Mock<Request<String>, Response<String>>;
type Handle = mock::Handle<Request<String>, Response<String>>;

/// Accepts every token after a notification.
#[derive(Clone, Default)]
struct Waits(Arc<Notify>);

impl Verify for Waits {
    type Claims = Value;

    fn verify(&self, credential: Credential<'_>) -> Verdict<Value> {
        let (notify, token) = (Arc::clone(&self.0), credential.token().to_owned());
        Verdict::Pending(Box::pin(async move {
            notify.notified().await;
            match token.as_slice() {
                b"bad" => Err(AuthError::new(AuthErrorKind::UnknownKey)),
                _ => Ok(Claims::new(json!({"email": "late@example.com"}))),
            }
        }))
    }
}

fn mocked<V: Verify<Claims = Value> + Clone>(
    verifier: V,
) -> (mock::Spawn<tower_jwt_auth::JwtAuth<Mock, V>>, Handle) {
    mock::spawn_layer(JwtAuthLayer::new(verifier))
}

/// Returns the call that the inner service has received.
pub(crate) async fn call_of(handle: &mut Handle) -> (Request<String>, mock::SendResponse<Response<String>>) {
    soon(handle.next_request()).await.expect("the service is there")
}

/// Limits a wait for a mock that is never called or never responds. With paused time the limit costs
/// nothing.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(5), future).await.expect("it ends in time")
}

#[tokio::test(start_paused = true)]
async fn readiness_follows_the_inner_service() {
    let (mut service, mut handle) = mocked(verifier());
    handle.allow(0);
    assert!(service.poll_ready().is_pending());
    handle.allow(1);
    assert!(matches!(service.poll_ready(), Poll::Ready(Ok(()))));
    handle.send_error("broken");
    assert!(service.poll_ready().map_err(|error| error.to_string()) == Poll::Ready(Err("broken".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn calls_inner_service_at_once_and_keeps_errors() {
    let (mut service, mut handle) = mocked(verifier());
    handle.allow(1);
    assert!(service.poll_ready().is_ready());
    let response = service.call(bearer(&good_token()));
    let (request, reply) = call_of(&mut handle).await;
    assert_eq!(request.extensions().get::<Claims<Value>>().unwrap()["sub"], "42");
    reply.send_error("from inside");
    assert_eq!(soon(response).await.unwrap_err().to_string(), "from inside");
}

#[tokio::test(start_paused = true)]
async fn rejected_request_never_reaches_the_service() {
    let (mut service, mut handle) = mocked(verifier());
    handle.allow(1);
    assert!(service.poll_ready().is_ready());
    let response = soon(service.call(bearer("a.b.c"))).await.unwrap();
    assert_eq!(response.status(), 401);
    assert!(is_pending(handle.next_request()).await);
}

/// Polls a future once. Returns true if it is pending.
async fn is_pending<F: Future>(future: F) -> bool {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

#[tokio::test(start_paused = true)]
async fn waiting_request_calls_a_ready_service() {
    let verifier = Waits::default();
    let (mut service, mut handle) = mocked(verifier.clone());
    handle.allow(1);
    assert!(service.poll_ready().is_ready());
    let mut response = pin!(service.call(bearer("late")));
    assert!(is_pending(&mut response).await);

    // The mock panics if it is called without having been polled ready.
    handle.allow(0);
    verifier.0.notify_one();
    assert!(is_pending(&mut response).await, "accepted, but the inner service is not ready");
    handle.allow(1);
    assert!(is_pending(&mut response).await, "called, but no response yet");
    let (request, reply) = call_of(&mut handle).await;
    assert_eq!(request.extensions().get::<Claims<Value>>().unwrap()["email"], "late@example.com");
    reply.send_response(Response::new("done".to_owned()));
    assert_eq!(soon(response).await.unwrap().into_body(), "done");
}

#[tokio::test(start_paused = true)]
async fn waiting_request_can_be_rejected() {
    let verifier = Waits::default();
    let service = JwtAuthLayer::new(verifier.clone());
    verifier.0.notify_one();
    let response = ask(&service, bearer("bad")).await;
    let expected = r#"Bearer realm="api", error="invalid_token", error_description="the token is not signed with a known key""#;
    assert_rejected("after waiting", &response, 401, UnknownKey, &[("www-authenticate", expected)]);
}

#[tokio::test(start_paused = true)]
async fn passes_on_readiness_errors_after_waiting() {
    let verifier = Waits::default();
    let (mut service, mut handle) = mocked(verifier.clone());
    handle.allow(1);
    assert!(service.poll_ready().is_ready());
    let response = service.call(bearer("late"));
    handle.send_error("gone");
    verifier.0.notify_one();
    assert_eq!(soon(response).await.unwrap_err().to_string(), "gone");
}

#[tokio::test(start_paused = true)]
async fn waiting_tokens_hold_no_inner_capacity() {
    let waits = Waits::default();
    let limited = ServiceBuilder::new().layer(ConcurrencyLimitLayer::new(1)).service(InnerService(hello));
    let layer = JwtAuthLayer::new(waits.clone());
    let mut service = tower_layer::Layer::layer(&layer, limited);

    // One service waits with ten requests and stays in use itself.
    let mut waiting = Vec::new();
    for _ in 0..10 {
        let mut response = Box::pin(service.ready().await.unwrap().call(bearer("late")));
        assert!(is_pending(&mut response).await);
        waiting.push(response);
    }
    // A request without a token gets a response and a permit is free, although the limit is one.
    let other = service.clone();
    let answered =
        tokio::time::timeout(Duration::from_millis(200), other.oneshot(Request::new(String::new()))).await;
    assert_eq!(answered.expect("no permit is held").unwrap().status(), 401);

    drop(service);
    for response in waiting {
        waits.0.notify_one();
        assert_eq!(soon(response).await.unwrap().body(), "Hello late@example.com");
    }
}

#[tokio::test(start_paused = true)]
async fn works_around_a_buffer() {
    let service =
        ServiceBuilder::new().layer(JwtAuthLayer::new(verifier())).buffer(4).service(InnerService(hello));
    for _ in 0..20 {
        let response = service.clone().oneshot(bearer(&good_token())).await.unwrap();
        assert_eq!(response.body(), "Hello eze@example.com");
    }
    let waits = Waits::default();
    let service =
        ServiceBuilder::new().layer(JwtAuthLayer::new(waits.clone())).buffer(1).service(InnerService(hello));
    let (first, second) = (service.clone().oneshot(bearer("a")), service.oneshot(bearer("b")));
    let tell = async {
        waits.0.notify_one();
        tokio::task::yield_now().await;
        waits.0.notify_one();
    };
    let (first, second, ()) = soon(async { tokio::join!(first, second, tell) }).await;
    assert_eq!((first.unwrap().status().as_u16(), second.unwrap().status().as_u16()), (200, 200));
}

/// Panics if it is called before it is polled ready. Its clones are not ready.
struct Strict {
    ready: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { ready: false }
    }
}

impl Service<Request<String>> for Strict {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<String>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without being ready");
        ready(Ok(Response::new(String::new())))
    }
}

#[tokio::test(start_paused = true)]
async fn never_calls_an_unready_service() {
    let waits = Waits::default();
    let both = tower_layer::Layer::layer(&JwtAuthLayer::new(waits.clone()), Strict { ready: false });
    let mut at_once = tower_layer::Layer::layer(&JwtAuthLayer::new(verifier()), Strict { ready: false });
    for _ in 0..3 {
        let response = at_once.ready().await.unwrap().call(bearer(&good_token())).await;
        assert_eq!(response.unwrap().status(), 200);
        let mut service = both.clone();
        let response = service.ready().await.unwrap().call(bearer("late"));
        waits.0.notify_one();
        assert_eq!(response.await.unwrap().status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn accepted_request_does_not_clone_the_service() {
    #[derive(Debug)]
    struct NoClone;
    impl Clone for NoClone {
        fn clone(&self) -> Self {
            panic!("cloned");
        }
    }
    impl Service<Request<String>> for NoClone {
        type Response = Response<String>;
        type Error = Infallible;
        type Future = Ready<Result<Response<String>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<String>) -> Self::Future {
            ready(Ok(Response::new(String::new())))
        }
    }

    let mut service = tower_layer::Layer::layer(&JwtAuthLayer::new(verifier()), NoClone);
    assert_eq!(service.ready().await.unwrap().call(bearer(&good_token())).await.unwrap().status(), 200);
    assert_eq!(service.ready().await.unwrap().call(bearer("a.b.c")).await.unwrap().status(), 401);
}

#[test]
fn services_give_access_to_the_inner_one() {
    let mut auth = JwtAuthLayer::new(verifier()).layer(1);
    *auth.get_mut() += 1;
    assert_eq!((*auth.get_ref(), auth.into_inner()), (2, 2));

    let mut require = RequireLayer::<Value>::new(Anyone).layer(1);
    *require.get_mut() += 1;
    assert_eq!((*require.get_ref(), require.into_inner()), (2, 2));

    let find = async |_: Claims<Value>| Ok::<_, Infallible>(Some(()));
    let mut principal = PrincipalLayer::new(find).layer(1);
    *principal.get_mut() += 1;
    assert_eq!((*principal.get_ref(), principal.into_inner()), (2, 2));
}

/// Has no key until it is refreshed.
struct Late {
    keys: KeyStore,
    fetched: Option<KeySet>,
}

impl KeySource for Late {
    fn current(&self) -> KeysRef<'_> {
        self.keys.current()
    }

    fn refresh(&self, _: KeyLookup<'_>) -> Refresh {
        let (keys, fetched) = (self.keys.clone(), self.fetched.clone());
        Refresh::Pending(Box::pin(async move {
            tokio::task::yield_now().await;
            match fetched {
                Some(fetched) => {
                    keys.replace(fetched);
                    Ok(())
                }
                None => Err(AuthError::new(KeysUnavailable).with_retry_after(Duration::from_secs(7))),
            }
        }))
    }

    fn issuer(&self) -> KeyIssuer<'_> {
        KeyIssuer::Known(ISSUER)
    }
}

fn late(fetched: Option<KeySet>) -> JwtVerifier<Value> {
    let source = Late { keys: KeyStore::new(KeySet::new([])), fetched };
    JwtVerifier::new(source).audience(AUDIENCE).clock(|| at(NOW))
}

#[tokio::test(start_paused = true)]
async fn waits_for_a_missing_key() {
    let good = late(Some(KeySet::hmac(Algorithm::HS256, SECRET).unwrap()));
    assert!(matches!(good.verify(&good_token()), Verdict::Pending(_)));
    let layer = JwtAuthLayer::new(good.clone());
    assert_eq!(ask(&layer, bearer(&good_token())).await.body(), "Hello eze@example.com");
    assert!(matches!(good.verify(&good_token()), Verdict::Ready(Ok(_))), "held from now on");
    let stranger = token(&claims_with("iss", json!("https://other.example.com")));
    assert_eq!(rejection(&good, &stranger).await, Some(WrongIssuer), "the source brings its issuer");

    let other = late(Some(KeySet::hmac(Algorithm::HS512, secret::<64>(7)).unwrap()));
    assert_eq!(rejection(&other, &good_token()).await, Some(UnknownKey), "fetched, and still not there");

    let response = ask(&JwtAuthLayer::new(late(None)), bearer(&good_token())).await;
    assert_rejected("not fetched", &response, 503, KeysUnavailable, &[("retry-after", "7")]);
}

#[tokio::test(start_paused = true)]
async fn verifiers_share_one_key_source() {
    let fetched = Some(KeySet::hmac(Algorithm::HS256, SECRET).unwrap());
    let source: Arc<dyn KeySource> = Arc::new(Late { keys: KeyStore::new(KeySet::new([])), fetched });
    let verifier = || JwtVerifier::<Value>::new(Arc::clone(&source)).audience(AUDIENCE).clock(|| at(NOW));
    assert_eq!(rejection(&verifier(), &good_token()).await, None);
    assert!(matches!(verifier().verify(&good_token()), Verdict::Ready(Ok(_))), "fetched by the other one");
    let stranger = token(&claims_with("iss", json!("https://other.example.com")));
    assert_eq!(rejection(&verifier(), &stranger).await, Some(WrongIssuer), "the source brings its issuer");

    let fixed: Arc<dyn KeySource> = Arc::new(KeySet::new([]));
    assert!(source.can_refresh() && !fixed.can_refresh());
}

#[tokio::test(start_paused = true)]
async fn waits_only_for_otherwise_good_tokens() {
    let none = late(None);
    let none_alg = format!("{}.{}.", base64url(r#"{"alg":"none"}"#), base64url("{}"));
    let parts =
        |payload: &str, signature: &str| format!("{}.{payload}.{signature}", base64url(r#"{"alg":"HS256"}"#));
    let broken = [
        "abc".to_owned(),
        "a.b.c".to_owned(),
        "a.b.c.d.e".to_owned(),
        none_alg,
        "x".repeat(20_000),
        parts("AAAA", "aaa,bbb"),
        parts("AAAA", "AAAA x"),
        parts("@@@", "AAAA"),
        parts("AAAA", "AB"),
    ];
    for token in broken {
        assert!(matches!(none.verify(&token), Verdict::Ready(Err(_))), "{token}");
    }
    let layer = JwtAuthLayer::new(none);
    for header in [parts("AAAA", "aaa,bbb"), parts("AAAA", "AAAA x")] {
        assert_eq!(ask(&layer, bearer(&header)).await.status(), 400, "{header}");
    }
}

/// A type that records when it is deserialized.
struct Watched;

static WATCHED_IS_READ: AtomicBool = AtomicBool::new(false);

impl<'de> serde::Deserialize<'de> for Watched {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        WATCHED_IS_READ.store(true, Ordering::Relaxed);
        Ok(Self)
    }
}

#[tokio::test]
async fn unsigned_claims_never_reach_the_claims_type() {
    let source = Late { keys: KeyStore::new(KeySet::new([])), fetched: None };
    let verifier = JwtVerifier::<Watched>::new(source)
        .audience(AUDIENCE)
        .clock(|| at(NOW))
        .require_claim("groups", "staff");
    let claims = good_claims().to_string();
    let twice = claims.replacen('{', r#"{"groups":"staff","groups":"staff","#, 1);
    for payload in [&twice, &claims.replace(&(NOW + 300).to_string(), "null")] {
        let error = verifier.verify(&token_of(r#"{"alg":"HS256"}"#, payload)).await.err().unwrap();
        assert_eq!(error.kind(), InvalidClaims, "{payload}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("appears twice"), "{cause}");
        assert!(!WATCHED_IS_READ.load(Ordering::Relaxed), "{payload}");
    }
}
