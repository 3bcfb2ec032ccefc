use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Response, StatusCode};

use super::grpc_form::Form;
use super::{EmptyBody, Reads, Reject};
use crate::error::AuthError;
use crate::head::Head;

/// A [`Reject`] for gRPC: the answer is a status of gRPC, and not of HTTP.
///
/// A gRPC request is a `POST` whose content type is `application/grpc`, `application/grpc-web` or
/// `application/grpc-web-text`, alone or followed by `+` or `;`. Its response has headers only ("Trailers-Only" in the
/// [protocol](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)): HTTP status 200, `grpc-status` and
/// `grpc-message`, beside the headers of the default, which a client finds in the metadata. Every other request is answered
/// as by [`EmptyBody`]. The client chooses the content type, so count refusals by the [`AuthError`] in the response or by the
/// metrics, and not by the HTTP status.
///
/// | HTTP | gRPC |
/// |---|---|
/// | 401 | 16, `UNAUTHENTICATED` |
/// | 403 | 7, `PERMISSION_DENIED` |
/// | 400 | 3, `INVALID_ARGUMENT` |
/// | 503 | 14, `UNAVAILABLE` |
/// | 500 | 13, `INTERNAL` |
///
/// A layer without it answers a gRPC client, too: of most statuses of HTTP such a client makes the same code by itself, but has
/// no message. A [`RequireLayer`](crate::RequireLayer) inside needs none of its own.
///
/// A handler says the same with `Status::new(error.grpc_status().into(), error.to_string())`.
///
/// gRPC-web is answered alike, in its own content type; its clients read a status in the headers. Where they are in a browser
/// and of another origin, CORS has to expose `grpc-status` and `grpc-message`. `tonic_web`'s layer can stand on either
/// side of this one.
///
/// ```
/// # use http::{Request, Response};
/// # use tower::{ServiceBuilder, ServiceExt};
/// # use tower_jwt_auth::reject::Grpc;
/// # use tower_jwt_auth::{Algorithm, JwtAuthLayer, JwtVerifier, KeySet, RegisteredClaims};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let verifier = JwtVerifier::<RegisteredClaims>::new(KeySet::hmac(Algorithm::HS256, b"a secret of thirty-two bytes ...")?);
/// let service = ServiceBuilder::new()
///     .layer(JwtAuthLayer::new(verifier).on_reject(Grpc::new()))
///     .service_fn(async |_: Request<String>| Ok::<_, std::io::Error>(Response::new(String::new())));
///
/// let call = Request::post("/orders.Orders/List").header("content-type", "application/grpc").body(String::new())?;
/// let response = service.oneshot(call).await?;
/// assert_eq!(response.status(), 200);
/// assert_eq!(response.headers()["grpc-status"], "16");
/// assert_eq!(response.headers()["grpc-message"], "the request carries no bearer token");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Grpc(());

impl Grpc {
    /// Creates the value to pass to [`on_reject`](crate::JwtAuthLayer::on_reject).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl<B: Default> Reject<B> for Grpc {
    fn reject(&self, error: &AuthError, request: Head<'_>) -> Response<B> {
        let mut response = EmptyBody.reject(error, request);
        if let Some(form) = Form::of(request) {
            *response.status_mut() = StatusCode::OK;
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, form.content_type());
            headers.insert(GRPC_STATUS, HeaderValue::from(error.grpc_status()));
            // It may be sent as it is: printable ASCII without `%`.
            headers.insert(GRPC_MESSAGE, HeaderValue::from_static(error.kind().description()));
        }
        response
    }

    fn reads(&self) -> Reads {
        Reads::Grpc
    }
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
