//! Log output, as lines of `tracing_subscriber::fmt`.

use std::io;
use std::sync::{Arc, Mutex};

use http::Request;
use serde_json::{Value, json};
use tower::{ServiceBuilder, ServiceExt};
use tower_jwt_auth::policy::{claim, scope, span_field};
#[cfg(feature = "remote-keys-core")]
use tower_jwt_auth::verifiers::{IssuerResolver, Issuers};
use tower_jwt_auth::{
    Algorithm, Claims, JwtAuthLayer, JwtVerifier, Key, KeySet, PrincipalLayer, RequireLayer,
};
use tracing::subscriber::DefaultGuard;

use crate::support::*;

/// The log output of this thread while this value lives.
pub(crate) struct Log {
    lines: Arc<Mutex<Vec<u8>>>,
    _guard: DefaultGuard,
}

impl Log {
    pub(crate) fn begin() -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&lines);
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .without_time()
            .with_ansi(false)
            .with_writer(move || Lines(Arc::clone(&writer)))
            .finish();
        Self { lines, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// Returns the log output since the last call.
    pub(crate) fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.lines.lock().unwrap())).unwrap()
    }
}

struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns a verifier whose key has a `kid`.
fn named() -> JwtVerifier<Value> {
    let key = Key::hmac(Algorithm::HS256, SECRET).unwrap().with_kid("k1");
    JwtVerifier::new(KeySet::from(key)).issuer(ISSUER).audience(AUDIENCE).clock(|| at(NOW))
}

fn named_token(kid: &str, claims: &Value) -> String {
    token_of(&json!({"alg": "HS256", "kid": kid}).to_string(), &claims.to_string())
}

#[tokio::test]
async fn each_rejection_logs_one_event_with_its_cause() {
    let layer = JwtAuthLayer::new(named());
    let expired = claims_with("exp", json!(NOW - 100));
    let forged = format!("{}.AAAA", named_token("k1", &good_claims()).rsplit_once('.').unwrap().0);
    for (name, request, expected) in [
        ("good", bearer(&named_token("k1", &good_claims())), ""),
        (
            "none",
            Request::new(String::new()),
            " INFO tower_jwt_auth: request rejected: the request carries no bearer token \
             kind=\"missing_credential\" status=401\n",
        ),
        (
            "two in one header",
            get("Bearer a, Bearer b"),
            " INFO tower_jwt_auth: request rejected: the credential is not a single well-formed bearer token \
             kind=\"malformed_credential\" status=400\n",
        ),
        (
            "expired",
            bearer(&named_token("k1", &expired)),
            " INFO tower_jwt_auth: request rejected: the token has expired kind=\"expired\" status=401 \
             issuer=\"https://id.example.com\" kid=\"k1\"\n",
        ),
        (
            "forged, with the name of a key that is held",
            bearer(&forged),
            " INFO tower_jwt_auth: request rejected: the signature of the token is not valid \
             kind=\"invalid_signature\" status=401 issuer=\"https://id.example.com\" kid=\"k1\"\n",
        ),
        (
            "a name that a stranger has thought of",
            bearer(&named_token("\u{1b}[2Jmine", &good_claims())),
            " INFO tower_jwt_auth: request rejected: the token is not signed with a known key \
             kind=\"unknown_key\" status=401 issuer=\"https://id.example.com\" \
             cause=\"no key has the `kid` of the token; the verifier has `k1` (HS256)\"\n",
        ),
    ] {
        let log = Log::begin();
        ask(&layer, request).await;
        assert_eq!(log.take(), expected, "{name}");
    }
}

#[tokio::test]
async fn event_names_faulty_settings_or_service() {
    let log = Log::begin();
    let no_audience =
        JwtVerifier::<Value>::new(KeySet::hmac(Algorithm::HS256, SECRET).unwrap()).clock(|| at(NOW));
    ask(&JwtAuthLayer::new(no_audience), bearer(&good_token())).await;
    assert_eq!(
        log.take(),
        " INFO tower_jwt_auth: request rejected: the token is not for this audience kind=\"wrong_audience\" status=401 \
         cause=\"the token names an audience and the verifier expects none: set JwtVerifier::audience, or \
         insecure_any_audience\"\n"
    );

    let lookup = |_: Claims<Value>| async { Err::<Option<u8>, _>(io::Error::other("the database is away")) };
    let layers =
        ServiceBuilder::new().layer(JwtAuthLayer::new(verifier())).layer(PrincipalLayer::new(lookup));
    let response = layers.service(InnerService(hello)).oneshot(bearer(&good_token())).await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(
        log.take(),
        " WARN tower_jwt_auth: request rejected: the user of the token cannot be looked up \
         kind=\"principal_unavailable\" status=503 issuer=\"https://id.example.com\" cause=\"the database is away\"\n"
    );

    let layer = RequireLayer::<Value>::new(scope("read"));
    ask(&layer, Request::new(String::new())).await;
    let line = log.take();
    let logged =
        "ERROR tower_jwt_auth: request rejected: the server is not set up to authenticate this request ";
    assert!(line.starts_with(logged) && line.contains("cause=\"no claims of type"), "{line}");
    assert_eq!(line.lines().count(), 1);
}

#[tokio::test]
async fn policy_rejection_logs_only_configured_issuers() {
    let rule = || RequireLayer::<Value>::new(scope("read"));
    let log = Log::begin();
    let layers = ServiceBuilder::new().layer(JwtAuthLayer::new(named())).layer(rule());
    let request = bearer(&named_token("k1", &good_claims()));
    layers.service(InnerService(hello)).oneshot(request).await.unwrap();
    let rejected = " INFO tower_jwt_auth: request rejected: the token does not permit this request kind=\"insufficient_scope\" status=403";
    assert_eq!(log.take(), format!("{rejected} issuer=\"https://id.example.com\" kid=\"k1\"\n"));

    // Otherwise the issuer would be the value of a claim.
    let anyone = JwtAuthLayer::new(named().insecure_any_issuer());
    let layers = ServiceBuilder::new().layer(anyone.require(claim("tenant", "acme")));
    let request = bearer(&named_token("k1", &good_claims()));
    layers.service(InnerService(hello)).oneshot(request).await.unwrap();
    assert_eq!(log.take(), format!("{rejected} kid=\"k1\"\n"));
}

const LINE: &str = "x\n INFO tower_jwt_auth: a user signed in\u{1b}[2J";

/// The resolver is asked for an issuer that the client has written.
#[cfg(feature = "remote-keys-core")]
#[tokio::test]
async fn issuer_names_cannot_inject_log_lines() {
    let log = Log::begin();
    let resolver = IssuerResolver::new(async |issuer: String| {
        Err::<Option<JwtVerifier<Value>>, _>(io::Error::other(format!("no tenant {issuer}")))
    });
    let layer = JwtAuthLayer::new(Issuers::default().resolver(resolver));
    for (name, issuer, longest) in
        [("a line", LINE.to_owned(), 300), ("a long one", "\u{1b}".repeat(1000), 7000)]
    {
        let claims = claims_with("iss", json!(issuer)).to_string();
        let unsigned = format!("{}.{}.AAAA", base64url(r#"{"alg":"HS256"}"#), base64url(claims));
        assert_eq!(ask(&layer, bearer(&unsigned)).await.status(), 503);
        let logged = log.take();
        assert!(
            logged.lines().count() == 1 && !logged.contains('\u{1b}') && logged.len() < longest,
            "{name}: {logged:?}"
        );
    }
}

#[cfg(feature = "remote-keys-core")]
#[tokio::test(start_paused = true)]
async fn logs_failed_renewal() {
    use std::sync::atomic::{AtomicBool, Ordering};

    let log = Log::begin();
    let is_up = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&is_up);
    let resolver = IssuerResolver::new(move |_: String| {
        let answer =
            state.load(Ordering::SeqCst).then(verifier).ok_or(io::Error::other("the database is away"));
        async { answer.map(Some) }
    });
    let layer = JwtAuthLayer::new(Issuers::default().resolver(resolver));
    assert_eq!(ask(&layer, bearer(&good_token())).await.status(), 200);
    is_up.store(false, Ordering::SeqCst);
    tokio::time::sleep(std::time::Duration::from_secs(600)).await;
    for _ in 0..3 {
        assert_eq!(ask(&layer, bearer(&good_token())).await.status(), 200);
    }
    let expected = " WARN tower_jwt_auth: cannot renew the verifier of an issuer \
                    issuer=\"https://id.example.com\" cause=\"the database is away\"\n";
    assert_eq!(log.take(), expected);
}

#[tokio::test]
async fn span_fields_cannot_inject_log_lines() {
    let log = Log::begin();
    let subject = span_field("user.id", |claims: &Claims<Value>| claims["sub"].as_str().unwrap().to_owned());
    let span = tracing::info_span!("request", user.id = tracing::field::Empty);
    let _entered = span.enter();
    let request = bearer(&token(&claims_with("sub", json!(LINE))));
    ask(&JwtAuthLayer::new(verifier()).require(subject.and(scope("read"))), request).await;
    let logged = log.take();
    assert!(logged.lines().count() == 1 && !logged.contains('\u{1b}'), "{logged:?}");
}

/// However the response is made, and even though an extractor's error is itself a response.
#[cfg(feature = "axum")]
#[tokio::test]
async fn logs_each_rejection_once() {
    use axum::body::Body;
    use axum::response::{IntoResponse, Response};
    use axum::routing::get;
    use tower_jwt_auth::{AuthError, Head};

    let log = Log::begin();
    let by_hand = |error: &AuthError, _: Head<'_>| -> Response {
        let response = error.clone().into_response();
        response.map(|_| Body::from("by hand"))
    };
    let handler = async |_: Claims<Value>| "hello";
    let layer = JwtAuthLayer::new(verifier()).reject_with(by_hand);
    let app = axum::Router::new().route("/", get(handler)).layer(layer);
    app.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(log.take().matches("request rejected").count(), 1);

    // The layer accepts the request, the extractor does not.
    let app = axum::Router::new().route("/", get(handler)).layer(JwtAuthLayer::new(verifier()).optional());
    let response = app.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(log.take().matches("request rejected").count(), 1);

    // The extractor rejects the request, and the layer makes the body.
    let layer =
        JwtAuthLayer::new(verifier()).optional().on_reject(tower_jwt_auth::reject::ProblemJson::new());
    let app = axum::Router::new().route("/", get(handler)).layer(layer);
    let response = app.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(log.take().matches("request rejected").count(), 1);
}

#[tokio::test]
async fn span_contains_only_requested_claims() {
    let subject = span_field("user.id", |claims: &Claims<Value>| claims["sub"].as_str().unwrap().to_owned());
    let in_span = async |layer: JwtAuthLayer<_, _, _>, log: &Log| {
        let span = tracing::info_span!("request", user.id = tracing::field::Empty);
        let _entered = span.enter();
        let response = ask(&layer, bearer(&good_token())).await;
        assert_eq!(response.status(), 403);
        log.take()
    };
    let log = Log::begin();
    let logged = in_span(JwtAuthLayer::new(verifier()).require(subject.and(scope("read"))), &log).await;
    assert!(
        logged.starts_with(" INFO request{user.id=\"42\"}: tower_jwt_auth: request rejected"),
        "{logged}"
    );

    let span = tracing::info_span!("request", other = tracing::field::Empty);
    let _entered = span.enter();
    let subject = span_field("user.id", |_: &Claims<Value>| -> &str { panic!("no span has this field") });
    ask(&JwtAuthLayer::new(verifier()).require(subject), bearer(&good_token())).await;
    assert_eq!(log.take(), "");
}

#[cfg(feature = "remote-keys-core")]
#[tokio::test(start_paused = true)]
async fn logs_provider_outage_and_recovery() {
    use crate::remote_keys::Provider;

    let log = Log::begin();
    let provider = Provider::new();
    let keys = provider.keys();
    assert!(!keys.is_ready());
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    assert_eq!(
        log.take(),
        " WARN tower_jwt_auth: cannot fetch keys provider=\"https://id.example.com/jwks.json\" failures=1 \
         serve_on=false cause=\"cannot fetch `https://id.example.com/jwks.json`: the request failed: down\"\n"
    );

    provider.serve(&["k1", "k2"]);
    keys.ready().await.unwrap();
    assert_eq!(
        log.take(),
        " INFO tower_jwt_auth: fetched keys after failures provider=\"https://id.example.com/jwks.json\" \
         keys=2 failures=1\n"
    );
}

#[cfg(feature = "remote-keys-core")]
#[tokio::test(start_paused = true)]
async fn logs_skipped_keys_when_they_change() {
    use http::Response;

    use crate::keys::{jwk_with, set_of};
    use crate::remote_keys::Provider;

    let named = |kid: &str, purpose| jwk_with(Algorithm::EdDSA, json!({"kid": kid, "use": purpose}));
    let provider = Provider::new();
    let serve = |keys: &[Value]| {
        let set = set_of(keys);
        provider.answer(move |_| Ok(Response::new(set.clone().into())));
    };
    let fetched = async || tokio::time::sleep(std::time::Duration::from_secs(601)).await;
    let log = Log::begin();
    let warnings =
        || log.take().lines().filter(|line| line.contains(" WARN ")).collect::<Vec<_>>().join("\n");
    serve(&[named("a", "sig"), named("b\nc", "enc")]);
    provider.keys().ready().await.unwrap();
    let keys = provider.keys();
    keys.ready().await.unwrap();
    log.take();

    // The same skipped key at another position.
    serve(&[named("new", "sig"), named("a", "sig"), named("b\nc", "enc")]);
    fetched().await;
    assert_eq!(warnings(), "");
    serve(&[named("a", "sig"), named("d", "enc"), named("b\nc", "enc")]);
    fetched().await;
    let logged = warnings();
    assert_eq!(logged.lines().count(), 1, "{logged}");
    assert!(
        logged.starts_with(" WARN tower_jwt_auth: skipped unusable keys of the provider provider="),
        "{logged}"
    );
    assert!(logged.contains("skipped=2 reasons=\"key 1 (`d`): "), "{logged}");
    assert!(logged.contains("; key 2 (`b") && logged.contains("its `use` is not `sig`"), "{logged}");
    serve(&[named("a", "sig")]);
    fetched().await;
    assert_eq!(warnings(), "");
}

/// The store is retried many times, and the outage is logged once.
#[cfg(feature = "shared-revocations")]
#[tokio::test(start_paused = true)]
async fn logs_store_outage_and_recovery() {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tower_jwt_auth::revocation::{
        Revocation, RevocationPage, RevocationStore, SharedRevocations, StoreFuture,
    };

    struct Store(Arc<AtomicBool>);

    impl RevocationStore for Store {
        fn write(&self, _: Vec<Revocation>) -> StoreFuture<()> {
            Box::pin(async { Ok(()) })
        }

        fn read(&self, _: Option<String>) -> StoreFuture<RevocationPage> {
            let is_away = self.0.load(Ordering::Relaxed);
            Box::pin(async move {
                if is_away { Err("away".into()) } else { Ok(RevocationPage::last(Vec::new(), "1".into())) }
            })
        }
    }

    let log = Log::begin();
    let is_away = Arc::new(AtomicBool::new(true));
    let list = SharedRevocations::new(Store(Arc::clone(&is_away))).start().unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let logged = log.take();
    let (first, rest) = logged.split_once('\n').unwrap();
    let expected = " WARN tower_jwt_auth: the revocation store failed call=\"read\" cause=\"away\"";
    assert_eq!(first, expected);
    assert!(rest.lines().count() > 5 && rest.lines().all(|line| line.starts_with("DEBUG ")), "{rest}");

    is_away.store(false, Ordering::Relaxed);
    list.ready().await.unwrap();
    let logged = log.take();
    let last = logged.lines().last().unwrap();
    assert!(
        last.starts_with(" INFO tower_jwt_auth: the revocation store works again call=\"read\""),
        "{last}"
    );
}

/// The file is read every five seconds, and each problem is logged once.
#[cfg(feature = "settings")]
#[tokio::test(start_paused = true)]
async fn logs_each_problem_of_a_file_once() {
    use tower_jwt_auth::keys::{KeyFile, KeySource};

    let folder = Folder::new("logs_each_problem_of_a_file_once");
    let secret = folder.write("secret", SECRET);
    let path = secret.display();
    let pass = async || tokio::time::sleep(std::time::Duration::from_secs(61)).await;
    let log = Log::begin();
    let keys = KeyFile::hmac(Algorithm::HS256, &secret).unwrap();
    assert_eq!(keys.current().len(), 1);
    pass().await;
    assert_eq!(log.take(), "");
    let visible = || {
        let lines = log.take();
        lines.lines().filter(|line| !line.starts_with("DEBUG ")).collect::<Vec<_>>().join("\n")
    };
    folder.write("secret", "hunter2");
    pass().await;
    assert_eq!(
        visible(),
        format!(
            " WARN tower_jwt_auth: cannot read the followed file path=\"{path}\" failures=1 \
             cause=\"cannot use `{path}`: HS256 needs a secret of at least 32 bytes, got 7\""
        )
    );
    std::fs::remove_file(&secret).unwrap();
    pass().await;
    let logged = visible();
    let expected =
        format!(" WARN tower_jwt_auth: cannot read the followed file path=\"{path}\" failures=13 ");
    assert!(logged.starts_with(&expected) && logged.lines().count() == 1, "{logged}");
    folder.write("secret", SECRET);
    pass().await;
    let expected =
        format!(" INFO tower_jwt_auth: read the followed file after failures path=\"{path}\" failures=24\n");
    assert_eq!(log.take(), expected);
}
