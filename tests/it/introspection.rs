//! Opaque tokens, with a fake provider and paused time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tower_jwt_auth::AuthErrorKind::{
    Expired, InvalidClaims, InvalidToken, NotYetValid, Revoked, SenderConstrained, TokenTooLarge,
    Unavailable, WrongAudience, WrongClaim, WrongIssuer, WrongTokenType,
};
use tower_jwt_auth::introspection::{ClientAuth, Introspection};
use tower_jwt_auth::jwks::{ClientFuture, HttpClient};
use tower_jwt_auth::policy::scope;
use tower_jwt_auth::revocation::Revocations;
use tower_jwt_auth::verifiers::{AnyOf, LookupSettings};
use tower_jwt_auth::{AuthErrorKind, Credential, JwtAuthLayer, Verdict};

use crate::support::{AUDIENCE, ISSUER, NOW, ask, assert_rejected, at, bearer, good_token, verifier};

const ENDPOINT: &str = "https://id.example.com/introspect";
const TOKEN: &str = "2YotnFZFEjr1zCsicMWpAA";

/// A provider, and the client that asks it.
#[derive(Clone)]
struct Provider(Arc<Mutex<State>>);

struct State {
    answer: Answer,
    delay: Duration,
    requests: Vec<Received>,
}

/// A request sent to the provider.
#[derive(Clone)]
struct Received {
    method: Method,
    uri: String,
    headers: HeaderMap,
    body: String,
}

type Answer = Arc<dyn Fn(&str) -> Result<Response<Vec<u8>>, String> + Send + Sync>;

impl Provider {
    /// Returns a provider that says this about every token.
    fn saying(response: &Value) -> Self {
        let text = response.to_string();
        Self::answering(move |_| Ok(Response::new(text.clone().into())))
    }

    fn answering(answer: impl Fn(&str) -> Result<Response<Vec<u8>>, String> + Send + Sync + 'static) -> Self {
        let state = State { answer: Arc::new(answer), delay: Duration::ZERO, requests: Vec::new() };
        Self(Arc::new(Mutex::new(state)))
    }

    fn now_says(&self, response: &Value) {
        let text = response.to_string();
        self.0.lock().unwrap().answer = Arc::new(move |_| Ok(Response::new(text.clone().into())));
    }

    fn hang(&self) {
        self.0.lock().unwrap().delay = Duration::from_secs(1_000_000);
    }

    fn requests(&self) -> Vec<Received> {
        self.0.lock().unwrap().requests.clone()
    }

    fn verifier(&self) -> Introspection<Value> {
        let auth = ClientAuth::basic("api", "hunter2");
        let verifier = Introspection::endpoint_with(ENDPOINT, auth, self.clone()).unwrap();
        let began = Instant::now();
        verifier.clock(move || at(NOW) + began.elapsed())
    }
}

impl HttpClient for Provider {
    fn fetch(&self, request: Request<Vec<u8>>, _: usize) -> ClientFuture {
        let (parts, body) = request.into_parts();
        let uri = parts.uri.to_string();
        let mut state = self.0.lock().unwrap();
        let body = String::from_utf8(body).unwrap();
        state.requests.push(Received {
            method: parts.method,
            uri: uri.clone(),
            headers: parts.headers,
            body,
        });
        let (answer, delay) = (Arc::clone(&state.answer), state.delay);
        drop(state);
        Box::pin(async move {
            sleep(delay).await;
            answer(&uri).map_err(Into::into)
        })
    }
}

fn active() -> Value {
    json!({"active": true, "sub": "eze", "scope": "orders:read"})
}

/// Returns the usual response with one more member.
fn active_with(name: &str, value: impl Into<Value>) -> Value {
    let mut response = active();
    response[name] = value.into();
    response
}

async fn kind(verifier: &Introspection<Value>) -> Option<AuthErrorKind> {
    verifier.verify(TOKEN).await.err().map(|error| error.kind())
}

fn status(code: u16, body: &str) -> Provider {
    let body = body.to_owned();
    Provider::answering(move |_| Ok(Response::builder().status(code).body(body.clone().into()).unwrap()))
}

fn cause(error: &tower_jwt_auth::AuthError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn judges_responses_like_tokens() {
    type Set = fn(Introspection<Value>) -> Introspection<Value>;
    let plain: Set = |verifier| verifier;
    let audience: Set = |verifier| verifier.audience(AUDIENCE);
    let issuer: Set = |verifier| verifier.issuer(ISSUER);
    let cnf = json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"});
    for (name, response, set, expected) in [
        ("good", active(), plain, None),
        ("inactive", json!({"active": false}), plain, Some(InvalidToken)),
        ("inactive with claims", json!({"active": false, "sub": "eze"}), plain, Some(InvalidToken)),
        ("exp in the future", active_with("exp", NOW + 300), plain, None),
        ("exp within leeway", active_with("exp", NOW - 59), plain, None),
        ("exp has passed", active_with("exp", NOW - 60), plain, Some(Expired)),
        ("exp of another type", active_with("exp", "soon"), plain, Some(InvalidClaims)),
        ("nbf in the future", active_with("nbf", NOW + 100), plain, Some(NotYetValid)),
        ("nbf within leeway", active_with("nbf", NOW + 60), plain, None),
        ("any iss without a setting", active_with("iss", ISSUER), plain, None),
        ("right iss", active_with("iss", ISSUER), issuer, None),
        ("no iss", active(), issuer, Some(WrongIssuer)),
        ("other iss", active_with("iss", "https://evil.example.com"), issuer, Some(WrongIssuer)),
        ("iss of another type", active_with("iss", json!([ISSUER])), issuer, Some(InvalidClaims)),
        ("right aud", active_with("aud", AUDIENCE), audience, None),
        ("one of two aud", active_with("aud", json!(["other", AUDIENCE])), audience, None),
        ("no aud", active(), audience, Some(WrongAudience)),
        ("other aud", active_with("aud", "other"), audience, Some(WrongAudience)),
        ("aud not expected", active_with("aud", AUDIENCE), plain, Some(WrongAudience)),
        ("any aud", active_with("aud", "other"), (|v| v.insecure_any_audience()) as Set, None),
        ("cnf", active_with("cnf", cnf.clone()), plain, Some(SenderConstrained)),
        ("cnf ignored", active_with("cnf", cnf), (|v| v.insecure_ignore_confirmation()) as Set, None),
        ("bearer", active_with("token_type", "bearer"), plain, None),
        ("Bearer", active_with("token_type", "Bearer"), plain, None),
        ("DPoP", active_with("token_type", "DPoP"), plain, Some(SenderConstrained)),
        ("refresh token", active_with("token_type", "refresh_token"), plain, Some(WrongTokenType)),
        ("other token type", active_with("token_type", "N_A"), plain, Some(WrongTokenType)),
        ("no token type", active(), (|v| v.access_tokens_only()) as Set, Some(WrongTokenType)),
        ("token type", active_with("token_type", "Bearer"), (|v| v.access_tokens_only()) as Set, None),
        ("refresh token of Hydra", active_with("token_use", "refresh_token"), plain, Some(WrongTokenType)),
        ("access token of Hydra", active_with("token_use", "access_token"), plain, None),
        ("refresh token of Keycloak", active_with("typ", "Refresh"), plain, Some(WrongTokenType)),
        ("offline token of Keycloak", active_with("typ", "Offline"), plain, Some(WrongTokenType)),
        ("ID token of Keycloak", active_with("typ", "ID"), plain, Some(WrongTokenType)),
        ("access token of Keycloak", active_with("typ", "Bearer"), plain, None),
        ("required claim", active(), (|v| v.require_claim("sub", "eze")) as Set, None),
        ("other claim", active(), (|v| v.require_claim("sub", "ada")) as Set, Some(WrongClaim)),
    ] {
        assert_eq!(kind(&set(Provider::saying(&response).verifier())).await, expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn unusable_responses_are_failures() {
    let deep = format!(r#"{{"active":true,"a":{}1{}}}"#, "[".repeat(2000), "]".repeat(2000));
    for (name, body) in [
        ("empty", ""),
        ("no JSON", "<html>"),
        ("no object", r#"["active"]"#),
        ("no active", r#"{"sub":"eze"}"#),
        ("active is a text", r#"{"active":"true"}"#),
        ("active is a number", r#"{"active":1}"#),
        ("active is null", r#"{"active":null}"#),
        ("active twice", r#"{"active":false,"active":true}"#),
        ("active twice, true first", r#"{"active":true,"active":false}"#),
        ("escaped active", r#"{"active":false,"\u0061ctive":true}"#),
        ("token type of another type", r#"{"active":true,"token_type":1}"#),
        ("cut short", r#"{"active":true,"sub":"#),
        ("more after it", r#"{"active":true} {"active":true}"#),
        ("private name", r#"{"active":true,"$serde_json::private::RawValue":"{}"}"#),
        ("too deep", deep.as_str()),
        ("a JWT", "eyJhbGciOiJFUzI1NiJ9.e30.AAAA"),
    ] {
        let error = status(200, body).verifier().verify(TOKEN).await.unwrap_err();
        assert_eq!((error.kind(), error.status().as_u16()), (Unavailable, 503), "{name}");
        assert!(!cause(&error).is_empty(), "{name}");
    }
    // A registered claim twice.
    let twice = r#"{"active":true,"aud":"other","aud":"https://api.example.com"}"#;
    assert_eq!(kind(&status(200, twice).verifier().audience(AUDIENCE)).await, Some(InvalidClaims));
}

#[tokio::test(start_paused = true)]
async fn failures_name_their_cause() {
    for (code, body, expected) in [
        (400, "", "the response has status 400"),
        (
            401,
            r#"{"error":"invalid_client"}"#,
            "status 401 (`invalid_client`); check the client's ID, secret",
        ),
        (403, r#"{"error":"<b>bold</b>"}"#, "status 403; check the client's ID"),
        (404, "", "status 404; check the URL of the endpoint"),
        (302, "", "status 302"),
        (500, r#"{"active":true}"#, "status 500"),
        (204, r#"{"active":true}"#, "status 204"),
        (201, r#"{"active":true}"#, "status 201"),
    ] {
        let error = status(code, body).verifier().verify(TOKEN).await.unwrap_err();
        assert_eq!(error.kind(), Unavailable, "{code}");
        let cause = cause(&error);
        assert!(
            cause.starts_with("cannot introspect the token at `https://id.example.com/introspect`"),
            "{cause}"
        );
        assert!(cause.contains(expected), "{cause}");
        assert!(!cause.contains(TOKEN) && !cause.contains("hunter2") && !cause.contains('<'), "{cause}");
    }
    let busy = Provider::answering(|_| {
        Ok(Response::builder().status(429).header("retry-after", "17").body(Vec::new()).unwrap())
    });
    let error = busy.verifier().verify(TOKEN).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(17)));
}

#[tokio::test(start_paused = true)]
async fn authenticates_as_the_provider_expects() {
    let (id, secret) = ("api: ünï", "a&b=c %+:");
    for (auth, authorization, form) in [
        (
            ClientAuth::basic(id, secret),
            // base64 of `api%3A+%C3%BCn%C3%AF:a%26b%3Dc+%25%2B%3A`
            Some("Basic YXBpJTNBKyVDMyVCQ24lQzMlQUY6YSUyNmIlM0RjKyUyNSUyQiUzQQ=="),
            "token=a%2Bb&token_type_hint=access_token",
        ),
        (
            ClientAuth::post(id, secret),
            None,
            "token=a%2Bb&token_type_hint=access_token&client_id=api%3A+%C3%BCn%C3%AF&client_secret=a%26b%3Dc+%25%2B%3A",
        ),
    ] {
        let provider = Provider::saying(&active());
        let verifier = Introspection::<Value>::endpoint_with(ENDPOINT, auth, provider.clone()).unwrap();
        verifier.verify("a+b").await.unwrap();
        let requests = provider.requests();
        let [request] = &requests[..] else { panic!("one request") };
        assert_eq!((&request.method, request.uri.as_str()), (&Method::POST, ENDPOINT));
        let header = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("authorization"), authorization);
        assert_eq!(header("content-type"), Some("application/x-www-form-urlencoded"));
        assert_eq!(header("accept"), Some("application/json"));
        assert_eq!(request.body, form);
        assert!(request.headers.get("authorization").is_none_or(http::HeaderValue::is_sensitive));
    }
}

#[cfg(feature = "issue")]
#[tokio::test(start_paused = true)]
async fn authenticates_by_signed_assertion() {
    use tower_jwt_auth::issue::SigningKey;
    use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet};

    let key = SigningKey::generate(Algorithm::ES256).unwrap();
    let trusted = KeySet::from(key.verifying_key());
    let provider = Provider::saying(&active());
    let auth = ClientAuth::private_key_jwt("api", key);
    let verifier = Introspection::<Value>::endpoint_with(ENDPOINT, auth, provider.clone()).unwrap();
    let mut ids = Vec::new();
    for token in ["one", "two"] {
        verifier.verify(token).await.unwrap();
        let body = provider.requests().pop().unwrap().body;
        let form: std::collections::HashMap<String, String> =
            form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        assert_eq!(form["client_id"], "api");
        assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        let assertions = JwtVerifier::<Value>::new(trusted.clone()).issuer("api").audience(ENDPOINT);
        let claims = assertions.verify(&form["client_assertion"]).await.unwrap();
        assert_eq!(claims["sub"], "api");
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 60);
        ids.push(claims["jti"].clone());
    }
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn secrets_do_not_show() {
    let auth = ClientAuth::post("api", "hunter2");
    assert_eq!(format!("{auth:?}"), r#"ClientAuth { method: "client_secret_post", client_id: "api" }"#);
    let verifier = Provider::saying(&active()).verifier();
    assert!(!format!("{verifier:?}").contains("hunter2"));
}

#[tokio::test(start_paused = true)]
async fn finds_the_endpoint_by_discovery() {
    let document = json!({"issuer": ISSUER, "jwks_uri": 5, "introspection_endpoint": ENDPOINT});
    let provider = Provider::answering(move |uri| {
        let body = if uri == ENDPOINT { active_with("iss", ISSUER) } else { document.clone() };
        Ok(Response::new(body.to_string().into()))
    });
    let auth = ClientAuth::basic("api", "secret");
    let verifier = Introspection::<Value>::discover_with(ISSUER, auth, provider.clone()).unwrap();
    for token in ["a", "b", "c"] {
        verifier.verify(token).await.unwrap();
    }
    let uris: Vec<_> = provider.requests().into_iter().map(|request| request.uri).collect();
    let discovery = "https://id.example.com/.well-known/openid-configuration";
    assert_eq!(uris, [discovery, ENDPOINT, ENDPOINT, ENDPOINT]);
    // The secret goes to the endpoint alone.
    assert!(provider.requests()[0].headers.get("authorization").is_none());

    let other = Introspection::<Value>::discover_with(ISSUER, ClientAuth::basic("api", "secret"), {
        let document = json!({"issuer": ISSUER, "introspection_endpoint": ENDPOINT});
        Provider::answering(move |uri| {
            let evil = active_with("iss", "https://evil.example.com");
            let body = if uri == ENDPOINT { &evil } else { &document };
            Ok(Response::new(body.to_string().into()))
        })
    });
    assert_eq!(kind(&other.unwrap()).await, Some(WrongIssuer));
}

#[tokio::test(start_paused = true)]
async fn rejects_unusable_discovery_documents() {
    for (document, expected) in [
        (json!({"issuer": ISSUER}), "no valid `issuer` and `introspection_endpoint`"),
        (
            json!({"issuer": "https://evil.example.com", "introspection_endpoint": ENDPOINT}),
            "issuer mismatch: the discovery document says `https://evil.example.com`",
        ),
        (
            json!({"issuer": ISSUER, "introspection_endpoint": "http://id.example.com/"}),
            "invalid `introspection_endpoint`",
        ),
    ] {
        let auth = ClientAuth::basic("api", "secret");
        let provider = Provider::saying(&document);
        let verifier = Introspection::<Value>::discover_with(ISSUER, auth, provider.clone()).unwrap();
        let error = verifier.verify(TOKEN).await.unwrap_err();
        assert_eq!(error.kind(), Unavailable);
        assert!(cause(&error).contains(expected), "{}", cause(&error));
        assert!(provider.requests().iter().all(|request| request.body.is_empty()), "no token was sent");
    }
    for url in ["http://id.example.com/introspect", "id.example.com", "https://user:password@id.example.com/"]
    {
        let auth = ClientAuth::basic("api", "secret");
        assert!(
            Introspection::<Value>::endpoint_with(url, auth, Provider::saying(&active())).is_err(),
            "{url}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn odd_tokens_cause_no_call() {
    let provider = Provider::saying(&active());
    let verifier = provider.verifier().max_token_bytes(64);
    let long = "a".repeat(65);
    for (token, expected) in [
        (long.as_bytes(), TokenTooLarge),
        (b"with space", InvalidToken),
        (b"line\r\nbreak", InvalidToken),
        ("ünï".as_bytes(), InvalidToken),
        (b"\xff\xfe", InvalidToken),
        (b"", InvalidToken),
    ] {
        let credential = Credential::new(tower_jwt_auth::verifiers::Scheme::BEARER, token);
        assert_eq!(verifier.verify(credential).await.unwrap_err().kind(), expected);
    }
    assert!(provider.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn thousand_requests_make_one_call() {
    let provider = Provider::saying(&active());
    provider.0.lock().unwrap().delay = Duration::from_secs(1);
    let layer = JwtAuthLayer::new(provider.verifier()).require(scope("orders:read"));
    let requests: Vec<_> = (0..1000)
        .map(|_| {
            let layer = layer.clone();
            tokio::spawn(async move { ask(&layer, bearer(TOKEN)).await.status() })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(provider.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn rejects_what_the_provider_revokes_within_a_minute() {
    let provider = Provider::saying(&active());
    let verifier = provider.verifier();
    assert_eq!(kind(&verifier).await, None);
    provider.now_says(&json!({"active": false}));
    sleep(Duration::from_secs(44)).await;
    assert_eq!(kind(&verifier).await, None);
    sleep(Duration::from_secs(16)).await;
    assert_eq!(kind(&verifier).await, Some(InvalidToken));

    // The answer never outlives the token.
    let provider = Provider::saying(&active_with("exp", NOW + 10));
    let verifier = provider.verifier();
    assert_eq!(kind(&verifier).await, None);
    sleep(Duration::from_secs(71)).await;
    assert_eq!(kind(&verifier).await, Some(Expired));
}

#[tokio::test(start_paused = true)]
async fn hanging_provider_delays_only_unknown_tokens() {
    let provider = Provider::saying(&active());
    let introspection = provider.verifier().lookup_settings(LookupSettings::new().max_waiting(100));
    introspection.verify(TOKEN).await.unwrap();
    let layer = JwtAuthLayer::new(AnyOf::new().jwt(verifier()).opaque(introspection.clone()));
    provider.hang();
    let began = Instant::now();
    let flood: Vec<_> = (0..10_000).map(|n| introspection.verify(&format!("made-up-{n}"))).collect();
    let waiting = flood.iter().filter(|verdict| matches!(verdict, Verdict::Pending(_))).count();
    assert_eq!(waiting, 100);
    assert_eq!(ask(&layer, bearer(TOKEN)).await.status(), StatusCode::OK);
    assert_eq!(ask(&layer, bearer(&good_token())).await.status(), StatusCode::OK);
    assert_eq!(began.elapsed(), Duration::ZERO);
    for verdict in flood {
        assert_eq!(verdict.await.unwrap_err().kind(), Unavailable);
    }
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    sleep(Duration::from_millis(1)).await;
    let response = ask(&layer, bearer("another")).await;
    assert_eq!(
        (response.status(), &response.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"1".parse().unwrap())
    );
    assert!(response.headers().get("www-authenticate").is_none());
    assert_eq!(ask(&layer, bearer(TOKEN)).await.status(), StatusCode::OK);
    assert!(introspection.lookup_stats().limited() > 9000);
}

#[tokio::test(start_paused = true)]
async fn revocations_take_effect_at_once() {
    let revocations = Revocations::new().clock(|| at(NOW));
    let mut response = active_with("iss", ISSUER);
    response["jti"] = "t-1".into();
    let verifier = Provider::saying(&response).verifier().issuer(ISSUER).revocations(revocations.clone());
    assert_eq!(kind(&verifier).await, None);
    drop(revocations.revoke_token(ISSUER, "t-1", at(NOW + 300)));
    assert_eq!(kind(&verifier).await, Some(Revoked));
}

#[tokio::test(start_paused = true)]
async fn layer_answers_as_for_a_token() {
    for (response, kind, description) in [
        (json!({"active": false}), InvalidToken, "the token is not valid"),
        (active_with("exp", NOW - 300), Expired, "the token has expired"),
    ] {
        let layer = JwtAuthLayer::new(Provider::saying(&response).verifier());
        let answer = ask(&layer, bearer(TOKEN)).await;
        let challenge =
            format!(r#"Bearer realm="api", error="invalid_token", error_description="{description}""#);
        assert_rejected(description, &answer, 401, kind, &[("www-authenticate", &challenge)]);
    }
    let layer = JwtAuthLayer::new(Provider::saying(&active()).verifier()).require(scope("orders:write"));
    let answer = ask(&layer, bearer(TOKEN)).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

#[cfg(feature = "issue")]
mod signed {
    use tower_jwt_auth::issue::{SigningKey, TokenIssuer};
    use tower_jwt_auth::{Algorithm, KeySet};

    use super::*;
    use crate::support::token_of;

    fn keys() -> KeySet {
        KeySet::hmac(Algorithm::HS256, crate::support::SECRET).unwrap()
    }

    fn response(header: &str, claims: &Value) -> Provider {
        status(200, &token_of(header, &claims.to_string()))
    }

    #[tokio::test(start_paused = true)]
    async fn requires_signed_responses() {
        const HEADER: &str = r#"{"alg":"HS256","typ":"token-introspection+jwt"}"#;
        let good = json!({"iss": ISSUER, "aud": "api", "iat": NOW, "token_introspection": active_with("iss", ISSUER)});
        let with = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            claims
        };
        for (name, provider, expected) in [
            ("good", response(HEADER, &good), None),
            (
                "inactive",
                response(HEADER, &with("token_introspection", json!({"active": false}))),
                Some(InvalidToken),
            ),
            ("not signed", Provider::saying(&active()), Some(Unavailable)),
            ("another type", response(r#"{"alg":"HS256","typ":"JWT"}"#, &good), Some(Unavailable)),
            ("no type", response(r#"{"alg":"HS256"}"#, &good), Some(Unavailable)),
            (
                "another issuer",
                response(HEADER, &with("iss", "https://evil.example.com".into())),
                Some(Unavailable),
            ),
            ("for another client", response(HEADER, &with("aud", "other".into())), Some(Unavailable)),
            ("too old", response(HEADER, &with("iat", (NOW - 361).into())), Some(Unavailable)),
            ("from the future", response(HEADER, &with("iat", (NOW + 61).into())), Some(Unavailable)),
            ("not old", response(HEADER, &with("iat", (NOW - 359).into())), None),
            (
                "no answer in it",
                response(HEADER, &json!({"iss": ISSUER, "aud": "api", "iat": NOW})),
                Some(Unavailable),
            ),
            (
                "a text in it",
                response(HEADER, &with("token_introspection", "active".into())),
                Some(Unavailable),
            ),
        ] {
            let verifier = provider.verifier().issuer(ISSUER).signed_responses(keys());
            let error = verifier.verify(TOKEN).await.err();
            assert_eq!(error.map(|error| error.kind()), expected, "{name}");
        }
        let forged = response(HEADER, &good);
        let other = KeySet::hmac(Algorithm::HS256, b"another secret of thirty-two ...").unwrap();
        let verifier = forged.verifier().issuer(ISSUER).signed_responses(other);
        assert_eq!(kind(&verifier).await, Some(Unavailable));
        let accept = forged.requests()[0].headers["accept"].clone();
        assert_eq!(accept, "application/token-introspection+jwt");
        // Without any known issuer, nobody vouches for the response.
        let verifier = response(HEADER, &good).verifier().signed_responses(keys());
        assert_eq!(kind(&verifier).await, Some(Unavailable));
    }

    #[tokio::test(start_paused = true)]
    async fn access_tokens_are_no_responses() {
        // The provider signs access tokens with the same key.
        let issuer =
            TokenIssuer::new(SigningKey::hmac(Algorithm::HS256, crate::support::SECRET).unwrap(), ISSUER);
        let token = issuer.audience("api").issue(&json!({"token_introspection": active()})).unwrap();
        let verifier = status(200, token.as_str()).verifier().issuer(ISSUER).signed_responses(keys());
        assert_eq!(kind(&verifier).await, Some(Unavailable));
    }
}
