use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use serde::Serialize;

use super::{Reads, Reject};
use crate::error::AuthError;
use crate::head::Head;
use crate::kind::AuthErrorKind;

/// A [`Reject`] that says what is wrong as problem details
/// ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)): `application/problem+json`.
///
/// Status and headers are those of the default. `type` is one URL for each [`AuthErrorKind`], that of
/// its documentation, and stays as it is; `title` is what the kind says of itself; `scope` is there if scopes are needed;
/// and `detail` is there if a layer is missing, for the developer, in builds with debug assertions only.
///
/// It makes any body that can be made of a [`String`]: axum's, `http_body_util::Full`, a `String`.
///
/// ```
/// use http::{Request, Response};
/// use tower::{ServiceBuilder, ServiceExt};
/// use tower_jwt_auth::reject::ProblemJson;
/// use tower_jwt_auth::{Algorithm, JwtAuthLayer, JwtVerifier, KeySet, RegisteredClaims};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let verifier = JwtVerifier::<RegisteredClaims>::new(KeySet::hmac(Algorithm::HS256, b"a secret of thirty-two bytes ...")?);
/// let service = ServiceBuilder::new()
///     .layer(JwtAuthLayer::new(verifier).on_reject(ProblemJson::new()))
///     .service_fn(async |_: Request<String>| Ok::<_, std::io::Error>(Response::new(String::new())));
///
/// let response = service.oneshot(Request::new(String::new())).await?;
/// assert_eq!(response.headers()["content-type"], "application/problem+json");
/// assert!(response.body().ends_with(r#""title":"the request carries no bearer token","status":401}"#));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ProblemJson(());

impl ProblemJson {
    /// Creates the value to pass to [`on_reject`](crate::JwtAuthLayer::on_reject).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// In the order in which they are written.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
}

impl<B: From<String>> Reject<B> for ProblemJson {
    fn reject(&self, error: &AuthError, _: Head<'_>) -> Response<B> {
        let problem = Problem {
            r#type: format!("{KINDS}#variant.{}", variant(error.kind())),
            title: error.kind().description(),
            status: error.status().as_u16(),
            detail: error.hint(cfg!(debug_assertions)),
            scope: error.required_scope(),
        };
        let body = serde_json::to_string(&problem).expect("texts and a number are JSON");
        let mut response = error.response(B::from(body));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }

    fn reads(&self) -> Reads {
        Reads::Error
    }
}

/// The name of the variant: that of the kind without underscores, in upper camel case.
fn variant(kind: AuthErrorKind) -> String {
    let mut words: Vec<_> = kind.name().split('_').map(str::to_owned).collect();
    for word in &mut words {
        word[..1].make_ascii_uppercase();
    }
    words.concat()
}

const KINDS: &str = "https://docs.rs/tower-jwt-auth/latest/tower_jwt_auth/enum.AuthErrorKind.html";

#[cfg(test)]
mod tests {
    use super::*;

    /// The documentation has an anchor for each variant.
    #[test]
    fn type_names_the_variant() {
        for kind in AuthErrorKind::ALL {
            assert_eq!(variant(kind), format!("{kind:?}"));
        }
    }
}
