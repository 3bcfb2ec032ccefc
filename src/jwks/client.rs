use std::error::Error;
use std::future::Future;
use std::pin::Pin;

use http::{Request, Response};

/// Fetches the documents that [`RemoteKeys`](crate::RemoteKeys) asks for.
///
/// `HttpsClient` (feature `http-client`) is the one that comes with this crate. Implement it to use a client that
/// your application has anyway, or to have no network in a test:
///
/// ```
/// use http::{Request, Response};
/// use tower_jwt_auth::{ClientFuture, HttpClient, JwtVerifier, RegisteredClaims, RemoteKeys};
///
/// struct Fake;
///
/// impl HttpClient for Fake {
///     fn fetch(&self, request: Request<()>, _: usize) -> ClientFuture {
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
pub trait HttpClient: Send + Sync {
    /// Sends a request, and reads the whole answer, whatever its status.
    ///
    /// It must not follow redirects, and must end with an error where the body has more than `limit` bytes, so that no
    /// provider can fill the memory. It need not set a limit of time: the future is dropped when there is no more of it.
    fn fetch(&self, request: Request<()>, limit: usize) -> ClientFuture;

    /// Whether addresses may begin with `http://`, and not only those of this machine: because something else keeps
    /// others from changing what comes back. Whoever can, can sign tokens.
    fn allows_plain_http(&self) -> bool {
        false
    }
}

/// What an [`HttpClient`] answers with.
pub type ClientFuture =
    Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, Box<dyn Error + Send + Sync>>> + Send>>;
