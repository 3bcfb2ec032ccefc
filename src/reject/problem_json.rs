use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use serde::Serialize;

use super::{Reads, Reject};
use crate::error::AuthError;
use crate::head::Head;
use crate::kind::AuthErrorKind;

/// A [`Reject`] that sends problem details as `application/problem+json`.
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
///
/// The body is a JSON object ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)). The status and the other headers are
/// those of [`EmptyBody`](super::EmptyBody).
///
/// | Member | Value |
/// |---|---|
/// | `type` | the URL of the documentation of the [`AuthErrorKind`]; it never changes |
/// | `title` | the description of the kind |
/// | `status` | the HTTP status |
/// | `detail` | only if a layer is missing, in builds with debug assertions: the fix, for the developer |
/// | `scope` | only if the request requires scopes: their names |
///
/// It supports every body type that is `From<String>`: the one of axum, `http_body_util::Full`, `String`.
#[derive(Clone, Debug, Default)]
pub struct ProblemJson(());

impl ProblemJson {
    /// Creates the value to pass to [`on_reject`](crate::JwtAuthLayer::on_reject).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// The members in the order of the JSON.
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
        let body = serde_json::to_string(&problem).expect("strings and a number serialize");
        let mut response = error.response(B::from(body));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }

    fn reads(&self) -> Reads {
        Reads::Error
    }
}

/// Returns the name of the variant: the name of the kind in upper camel case.
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

    /// The documentation has an anchor with the name of each variant.
    #[test]
    fn type_names_the_variant() {
        for kind in AuthErrorKind::ALL {
            assert_eq!(variant(kind), format!("{kind:?}"));
        }
    }
}
