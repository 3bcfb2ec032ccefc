//! Shared by most tests: tokens, a verifier and a service.

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

/// The current time in these tests, in seconds since 1970.
pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const SECRET: &[u8; 32] = b"a secret of thirty-two bytes ...";
pub(crate) const ISSUER: &str = "https://id.example.com";
pub(crate) const AUDIENCE: &str = "https://api.example.com";

/// Returns secrets that differ in their first byte.
pub(crate) fn secret<const N: usize>(number: u8) -> [u8; N] {
    std::array::from_fn(|place| if place == 0 { number } else { place as u8 })
}

pub(crate) fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Returns a verifier for tokens signed with [`SECRET`].
pub(crate) fn verifier() -> JwtVerifier<Value> {
    JwtVerifier::new(KeySet::hmac(Algorithm::HS256, SECRET).unwrap())
        .issuer(ISSUER)
        .audience(AUDIENCE)
        .clock(|| at(NOW))
        // Most tests check the whole verification; those of the cache turn it on.
        .without_cache()
}

/// Returns the claims of a token that [`verifier`] accepts.
pub(crate) fn good_claims() -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "42", "exp": NOW + 300, "email": "eze@example.com"})
}

/// Returns the claims of a good token with one changed; `null` removes it.
pub(crate) fn claims_with(name: &str, value: Value) -> Value {
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

/// Returns a token with these claims and an ordinary header, signed with [`SECRET`].
pub(crate) fn token(claims: &Value) -> String {
    token_of(r#"{"alg":"HS256","typ":"JWT"}"#, &claims.to_string())
}

/// Returns a token with exactly this header and payload, signed with [`SECRET`].
pub(crate) fn token_of(header: &str, payload: &str) -> String {
    sign_parts(&format!("{}.{}", base64url(header), base64url(payload)))
}

/// Converts the algorithm to the type of jsonwebtoken, the oracle.
pub(crate) fn for_oracle(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    algorithm.as_str().parse().unwrap()
}

/// The algorithms that the oracle supports.
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

/// Returns the algorithms that the back end supports.
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

/// Appends the signature to the first two parts of a token.
pub(crate) fn sign_parts(signed: &str) -> String {
    let key = EncodingKey::from_secret(SECRET).unwrap();
    let signature =
        jsonwebtoken::crypto::sign(signed.as_bytes(), &key, for_oracle(Algorithm::HS256)).unwrap();
    format!("{signed}.{signature}")
}

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns why a verifier rejects a token; `None` if it accepts it.
///
/// With the feature `explain`, an explanation must have the same verdict.
pub(crate) async fn rejection(verifier: &JwtVerifier<Value>, token: &str) -> Option<AuthErrorKind> {
    let kind = verifier.verify(token).await.err().map(|error| error.kind());
    assert_explained(&verifier.clone().without_cache(), token, kind).await;
    kind
}

#[cfg(feature = "explain")]
use crate::explain::assert_explained;

#[cfg(not(feature = "explain"))]
async fn assert_explained(_: &JwtVerifier<Value>, _: &str, _: Option<AuthErrorKind>) {}

pub(crate) fn get(authorization: &str) -> Request<String> {
    Request::get("/orders").header("authorization", authorization).body(String::new()).unwrap()
}

pub(crate) fn bearer(token: &str) -> Request<String> {
    get(&format!("Bearer {token}"))
}

/// Sends a request through a layer to a service that returns the email in the claims.
pub(crate) async fn ask<L>(layer: &L, request: Request<String>) -> Response<String>
where
    L: Layer<InnerService>,
    L::Service: Service<Request<String>, Response = Response<String>, Error = Infallible>,
{
    ask_service(hello, layer, request).await
}

/// Like [`ask`], with a service that returns a text about the request.
pub(crate) async fn ask_service<L>(
    answer: fn(&Request<String>) -> String,
    layer: &L,
    request: Request<String>,
) -> Response<String>
where
    L: Layer<InnerService>,
    L::Service: Service<Request<String>, Response = Response<String>, Error = Infallible>,
{
    let Ok(response) = layer.layer(InnerService(answer)).oneshot(request).await;
    response
}

/// The inner service in most tests. It returns a text about the request at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InnerService(pub(crate) fn(&Request<String>) -> String);

pub(crate) fn hello(request: &Request<String>) -> String {
    let name = request
        .extensions()
        .get::<Claims<Value>>()
        .map_or("stranger".to_owned(), |claims| claims["email"].as_str().unwrap_or("nobody").to_owned());
    format!("Hello {name}")
}

impl Service<Request<String>> for InnerService {
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

/// Asserts status, kind and all headers of a rejection. The header texts are spelled out because clients
/// see them.
#[track_caller]
pub(crate) fn assert_rejected<B>(
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

/// Runs the test in its own thread and runtime. A deadlock fails the test instead of hanging it.
#[cfg(feature = "remote-keys-core")]
pub(crate) fn without_deadlock<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let (done, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(test());
        done.send(()).unwrap();
    });
    end.recv_timeout(std::time::Duration::from_secs(20)).expect("it ends without a panic");
}

/// An empty folder, removed at the end of the test.
#[cfg(feature = "api-keys")]
pub(crate) struct Folder(std::path::PathBuf);

#[cfg(feature = "api-keys")]
impl Folder {
    pub(crate) fn new(test: &str) -> Self {
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.join(name)
    }

    /// Writes a file and returns its path.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> std::path::PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

#[cfg(feature = "api-keys")]
impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
