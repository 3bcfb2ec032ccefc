use std::fmt::{self, Formatter};
use std::mem;

use axum_core::body::Body;
use axum_core::response::IntoResponse;
use http::{Response, StatusCode};

use super::{Reject, set_headers};
use crate::error::AuthError;
use crate::head::Head;

/// A [`Reject`] for axum: a closure that returns any [`IntoResponse`].
///
/// ```
/// use axum::{Json, Router, routing::get};
/// use serde_json::json;
/// use tower_jwt_auth::reject::RespondWith;
/// # use http::Request;
/// # use tower::ServiceExt;
/// # use tower_jwt_auth::{Algorithm, JwtAuthLayer, JwtVerifier, KeySet, RegisteredClaims};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let verifier = JwtVerifier::<RegisteredClaims>::new(KeySet::hmac(Algorithm::HS256, b"a secret of thirty-two bytes ...")?);
/// let layer = JwtAuthLayer::new(verifier).on_reject(RespondWith::new(|error, _| {
///     Json(json!({"code": error.kind().name(), "message": error.to_string()}))
/// }));
/// let app: Router = Router::new().route("/", get(async || "hello")).layer(layer);
///
/// let response = app.oneshot(Request::get("/").body(axum::body::Body::empty())?).await?;
/// assert_eq!(response.status(), 401);
/// assert_eq!(response.headers()["content-type"], "application/json");
/// assert_eq!(response.headers()["www-authenticate"], r#"Bearer realm="api""#);
/// # Ok(())
/// # }
/// ```
///
/// - A response with status 200, such as that of a bare `Json`, gets the status of the error. Any other status stays, as
///   in `(StatusCode::NOT_FOUND, Json(..))`.
/// - The headers of [`AuthError::response`] are added, such as `WWW-Authenticate`. A header that the closure sets
///   replaces the one of the same name.
/// - For full control of the response, also for a status 200, use
///   [`reject_with`](crate::JwtAuthLayer::reject_with).
///
/// The closure may read the request, so the layer copies method, URI and headers of each request that it accepts.
#[derive(Clone)]
pub struct RespondWith<F>(F);

impl<F> RespondWith<F> {
    /// Creates the value to pass to [`on_reject`](crate::JwtAuthLayer::on_reject).
    #[must_use]
    pub fn new<T>(respond: F) -> Self
    where
        F: Fn(&AuthError, Head<'_>) -> T,
        T: IntoResponse,
    {
        Self(respond)
    }
}

impl<F, T> Reject<Body> for RespondWith<F>
where
    F: Fn(&AuthError, Head<'_>) -> T,
    T: IntoResponse,
{
    fn reject(&self, error: &AuthError, request: Head<'_>) -> Response<Body> {
        let mut response = (self.0)(error, request).into_response();
        let (defaults, ()) = error.response(()).into_parts();
        if response.status() == StatusCode::OK {
            *response.status_mut() = defaults.status;
        }
        let own = mem::replace(response.headers_mut(), defaults.headers);
        set_headers(response.headers_mut(), own);
        response
    }
}

impl<F> fmt::Debug for RespondWith<F> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("RespondWith(..)")
    }
}
