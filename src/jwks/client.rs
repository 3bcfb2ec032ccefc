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
pub trait HttpClient: Send + Sync {
    /// Sends the request and reads the whole response, whatever its status.
    ///
    /// - The request is a `GET` without a body. `Introspection` also sends a `POST` with a form: keep connections open for
    ///   it, since such requests follow each other.
    /// - A `POST` may be repeated after a failed connection.
    /// - Do not follow redirects: the request may have a header that only this host may see.
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
