use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::{Request, Response};

/// Sends the HTTP requests of [`RemoteKeys`](crate::jwks::RemoteKeys) and `Introspection`.
///
/// The crate's own client is `HttpsClient` (feature `remote-keys`). Implement this trait to use your application's
/// client, or to test without a network:
///
/// ```
/// use http::{Request, Response};
/// use tower_jwt_auth::jwks::{ClientFuture, HttpClient, RemoteKeys};
/// use tower_jwt_auth::{JwtVerifier, RegisteredClaims};
///
/// struct Fake;
///
/// impl HttpClient for Fake {
///     fn fetch(&self, request: Request<Vec<u8>>, _: usize) -> ClientFuture {
///         assert_eq!(request.uri(), "https://id.example.com/jwks.json");
///         let keys = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k1",
///             "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
///         Box::pin(async { Ok(Response::new(keys.into())) })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let keys = RemoteKeys::jwks_with("https://id.example.com/jwks.json", Fake)?;
/// keys.ready().await?;
/// let verifier = JwtVerifier::<RegisteredClaims>::new(keys).issuer("https://id.example.com");
/// # Ok(())
/// # }
/// ```
///
/// A client that authenticates each request. It fetches the keys of a Kubernetes cluster with the token of the pod:
///
#[cfg_attr(feature = "remote-keys", doc = "```no_run")]
#[cfg_attr(not(feature = "remote-keys"), doc = "```ignore")]
/// use http::header::{AUTHORIZATION, HeaderValue};
/// use http::Request;
/// use tower_jwt_auth::jwks::{ClientFuture, HttpClient, HttpsClient, RemoteKeys};
/// use tower_jwt_auth::JwtVerifier;
///
/// const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
///
/// struct InCluster(HttpsClient);
///
/// impl HttpClient for InCluster {
///     fn fetch(&self, mut request: Request<Vec<u8>>, limit: usize) -> ClientFuture {
///         let client = self.0.clone();
///         Box::pin(async move {
///             // Read for each fetch: Kubernetes replaces the file before the token expires.
///             let token = std::fs::read_to_string(format!("{ACCOUNT}/token"))?;
///             let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim()))?;
///             value.set_sensitive(true);
///             request.headers_mut().insert(AUTHORIZATION, value);
///             client.fetch(request, limit).await
///         })
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = InCluster(HttpsClient::new().add_root_certificates(std::fs::read(format!("{ACCOUNT}/ca.crt"))?)?);
/// let keys = RemoteKeys::jwks_with("https://kubernetes.default.svc/openid/v1/jwks", client)?;
/// let verifier = JwtVerifier::<serde_json::Value>::new(keys)
///     .issuer("https://kubernetes.default.svc.cluster.local")
///     .audience("https://api.example.com");
/// # Ok(())
/// # }
/// ```
pub trait HttpClient: Send + Sync {
    /// Sends the request and reads the whole response, whatever its status.
    ///
    /// - The request is a `GET` without a body. `Introspection` also sends a `POST` with a form: keep connections open for
    ///   it, since such requests follow each other.
    /// - A `POST` may be repeated after a failed connection.
    /// - Do not follow redirects.
    /// - Return an error if the response body is larger than `limit` bytes. Otherwise a provider could fill the memory.
    /// - No timeout is needed: the caller drops the future when its own timeout ends.
    fn fetch(&self, request: Request<Vec<u8>>, limit: usize) -> ClientFuture;

    /// Returns true if `http://` is allowed for hosts other than this machine.
    ///
    /// The default is false.
    ///
    /// # Security
    ///
    /// Anyone who can change a plain response can insert a key and sign tokens. Return true only if something else,
    /// such as a service mesh, protects the connection.
    fn allows_plain_http(&self) -> bool {
        false
    }
}

impl<T: HttpClient + ?Sized> HttpClient for Arc<T> {
    fn fetch(&self, request: Request<Vec<u8>>, limit: usize) -> ClientFuture {
        (**self).fetch(request, limit)
    }

    fn allows_plain_http(&self) -> bool {
        (**self).allows_plain_http()
    }
}

/// The future that [`HttpClient::fetch`] returns.
pub type ClientFuture =
    Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, Box<dyn Error + Send + Sync>>> + Send>>;
