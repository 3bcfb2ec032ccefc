//! Tokens, a verifier and a service that most tests need.

use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Request, Response};
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_jwt_auth::{Algorithm, AuthError, AuthErrorKind, Claims, JwtVerifier, KeySet};
use tower_layer::Layer;
use tower_service::Service;

/// The moment at which everything in these tests happens, in seconds since 1970.
pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const SECRET: &[u8; 32] = b"a secret of thirty-two bytes ...";
pub(crate) const ISSUER: &str = "https://id.example.com";
pub(crate) const AUDIENCE: &str = "https://api.example.com";

/// Secrets that differ by their first byte.
pub(crate) fn secret<const N: usize>(number: u8) -> [u8; N] {
    std::array::from_fn(|place| if place == 0 { number } else { place as u8 })
}

pub(crate) fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Trusts tokens that are signed with [`SECRET`].
pub(crate) fn verifier() -> JwtVerifier<Value> {
    JwtVerifier::new(KeySet::hmac(Algorithm::HS256, SECRET).unwrap())
        .issuer(ISSUER)
        .audience(AUDIENCE)
        .clock(|| at(NOW))
        // Every test checks the whole verdict; those of the cache turn it on.
        .without_cache()
}

/// The claims of a token that [`verifier`] accepts.
pub(crate) fn good_claims() -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "42", "exp": NOW + 300, "email": "eze@example.com"})
}

/// The claims of a good token, but for one; `null` leaves it out.
pub(crate) fn claims_but(name: &str, value: Value) -> Value {
    let mut claims = good_claims();
    let members = claims.as_object_mut().unwrap();
    match value {
        Value::Null => members.remove(name),
        value => members.insert(name.to_owned(), value),
    };
    claims
}

pub(crate) fn good_token() -> String {
    token(&good_claims())
}

/// A token with these claims and an ordinary header, signed with [`SECRET`].
pub(crate) fn token(claims: &Value) -> String {
    token_of(r#"{"alg":"HS256","typ":"JWT"}"#, &claims.to_string())
}

/// A token of just these two texts, signed with [`SECRET`].
pub(crate) fn token_of(header: &str, payload: &str) -> String {
    sign_parts(&format!("{}.{}", base64url(header), base64url(payload)))
}

/// The algorithm by its name in jsonwebtoken, the oracle.
pub(crate) fn for_oracle(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    algorithm.as_str().parse().unwrap()
}

/// The algorithms that the oracle has as well.
pub(crate) const WITH_ORACLE: [Algorithm; 12] = [
    Algorithm::HS256,
    Algorithm::HS384,
    Algorithm::HS512,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// The algorithms that the back end has.
pub(crate) fn supported() -> impl Iterator<Item = Algorithm> {
    Algorithm::ALL.iter().copied().filter(|algorithm| match algorithm {
        Algorithm::ES512 => !crate::keys::GRAVIOLA,
        Algorithm::MlDsa44 | Algorithm::MlDsa65 | Algorithm::MlDsa87 => cfg!(feature = "aws-lc-rs"),
        _ => true,
    })
}

pub(crate) fn is_hmac(algorithm: Algorithm) -> bool {
    algorithm.as_str().starts_with("HS")
}

/// Adds the signature to the first two parts of a token.
pub(crate) fn sign_parts(signed: &str) -> String {
    let key = EncodingKey::from_secret(SECRET).unwrap();
    let signature =
        jsonwebtoken::crypto::sign(signed.as_bytes(), &key, for_oracle(Algorithm::HS256)).unwrap();
    format!("{signed}.{signature}")
}

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Why a verifier refuses a token; `None` if it does not.
pub(crate) async fn refusal(verifier: &JwtVerifier<Value>, token: &str) -> Option<AuthErrorKind> {
    verifier.verify(token).await.err().map(|error| error.kind())
}

pub(crate) fn get(authorization: &str) -> Request<String> {
    Request::get("/orders").header("authorization", authorization).body(String::new()).unwrap()
}

pub(crate) fn bearer(token: &str) -> Request<String> {
    get(&format!("Bearer {token}"))
}

/// Sends a request through a layer to a service that answers with the e-mail address in the claims.
pub(crate) async fn ask<L>(layer: &L, request: Request<String>) -> Response<String>
where
    L: Layer<Inside>,
    L::Service: Service<Request<String>, Response = Response<String>, Error = Infallible>,
{
    ask_what(hello, layer, request).await
}

/// The same to a service that answers with what it makes of the request.
pub(crate) async fn ask_what<L>(
    answer: fn(&Request<String>) -> String,
    layer: &L,
    request: Request<String>,
) -> Response<String>
where
    L: Layer<Inside>,
    L::Service: Service<Request<String>, Response = Response<String>, Error = Infallible>,
{
    let Ok(response) = layer.layer(Inside(answer)).oneshot(request).await;
    response
}

/// The service behind the layer in most tests: answers at once with a text about the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inside(pub(crate) fn(&Request<String>) -> String);

pub(crate) fn hello(request: &Request<String>) -> String {
    let name = request
        .extensions()
        .get::<Claims<Value>>()
        .map_or("stranger".to_owned(), |claims| claims["email"].as_str().unwrap_or("nobody").to_owned());
    format!("Hello {name}")
}

impl Service<Request<String>> for Inside {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<String>) -> Self::Future {
        std::future::ready(Ok(Response::new((self.0)(&request))))
    }
}

/// Asserts status, kind and all headers of a refusal. The header texts are written out, since they are what a client
/// sees.
#[track_caller]
pub(crate) fn assert_refused<B>(
    name: &str,
    response: &Response<B>,
    status: u16,
    kind: AuthErrorKind,
    headers: &[(&str, &str)],
) {
    assert_eq!(response.status(), status, "{name}");
    let sent: Vec<_> =
        response.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let mut expected = vec![("cache-control", "no-store")];
    expected.extend(headers);
    assert_eq!(sent, expected, "{name}");
    let error = response.extensions().get::<AuthError>().unwrap_or_else(|| panic!("{name}: no AuthError"));
    assert_eq!(error.kind(), kind, "{name}");
}

/// Runs this in a thread and a runtime of its own. A deadlock fails the test, and does not hang it.
#[cfg(feature = "remote-keys-core")]
pub(crate) fn without_deadlock<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let (done, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(test());
        done.send(()).unwrap();
    });
    end.recv_timeout(std::time::Duration::from_secs(20)).expect("it ends, and does not panic");
}
