use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::{Request, Response};

/// Sends the requests of [`RemoteKeys`](crate::jwks::RemoteKeys).
///
/// `HttpsClient` (feature `http-client`) is the one that comes with this crate. Implement it to use a client that
/// your application has anyway, or to have no network in a test:
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
/// A client that adds a token of its own to each request, here that of the pod, for the API server of a Kubernetes cluster:
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
///             // Read for each fetch, since Kubernetes replaces the file before the token expires.
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
    /// Sends a request with its body, and reads the whole answer, whatever its status. The body of a `GET` is empty.
    ///
    /// It must not follow redirects, and must end with an error where the body has more than `limit` bytes, so that no
    /// provider can fill the memory. It need not set a limit of time: the future is dropped when there is no more of it.
    fn fetch(&self, request: Request<Vec<u8>>, limit: usize) -> ClientFuture;

    /// Whether addresses may begin with `http://`, and not only those of this machine: because something else keeps
    /// others from changing what comes back. Whoever can, can sign tokens.
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

/// What an [`HttpClient`] answers with.
pub type ClientFuture =
    Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, Box<dyn Error + Send + Sync>>> + Send>>;
