use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Response, StatusCode};

use super::grpc_form::Form;
use super::{EmptyBody, Reads, Reject};
use crate::error::AuthError;
use crate::head::Head;

/// A [`Reject`] that answers gRPC requests with a gRPC status.
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
///
/// # Response
///
/// A gRPC request is a `POST` whose content type is `application/grpc`, `application/grpc-web` or
/// `application/grpc-web-text`, alone or followed by `+` or `;`. Its response has HTTP status 200 and no body
/// ("Trailers-Only" in the [protocol](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)). It has the
/// headers `grpc-status` and `grpc-message`, and those of [`EmptyBody`], which clients find in the metadata.
///
/// | HTTP | gRPC |
/// |---|---|
/// | 401 | 16, `UNAUTHENTICATED` |
/// | 403 | 7, `PERMISSION_DENIED` |
/// | 400 | 3, `INVALID_ARGUMENT` |
/// | 503 | 14, `UNAVAILABLE` |
/// | 500 | 13, `INTERNAL` |
///
/// Every other request gets the response of [`EmptyBody`]. The client chooses the content type, so count rejections by
/// the metrics or by the [`AuthError`] in the response, not by the HTTP status.
///
/// # Where it is needed
///
/// - The default works for gRPC clients, too: they derive the same code from most HTTP statuses, but have no message.
/// - A [`RequireLayer`](crate::RequireLayer) inside the layer does not need it again.
/// - A handler returns the same status with `Status::new(error.grpc_status().into(), error.to_string())`.
///
/// # gRPC-web
///
/// The response is the same, with the content type of gRPC-web. Its clients read the status from the headers. For
/// browser clients of another origin, CORS must expose `grpc-status` and `grpc-message`. The layer of `tonic_web` can
/// be inside or outside this one.
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
            // Descriptions need no percent-encoding: they are printable ASCII without `%`.
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
