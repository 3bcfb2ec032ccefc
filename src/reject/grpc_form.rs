//! Detection of gRPC requests.

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};

use crate::head::Head;

/// A variant of gRPC, by its content type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Native,
    Web,
    WebText,
}

impl Form {
    /// Returns the form of a gRPC request: a `POST` with one of the three types, alone or followed by `+` or `;`.
    pub(super) fn of(request: Head<'_>) -> Option<Self> {
        let asked =
            request.headers().get(CONTENT_TYPE).filter(|_| request.method() == Method::POST)?.as_bytes();
        [Self::Native, Self::Web, Self::WebText].into_iter().find(|form| {
            let (name, known) = (form.name().as_bytes(), form.name().len());
            asked.get(..known).is_some_and(|start| start.eq_ignore_ascii_case(name))
                && matches!(asked.get(known), None | Some(b'+' | b';'))
        })
    }

    pub(super) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }

    fn name(self) -> &'static str {
        match self {
            Self::Native => "application/grpc",
            Self::Web => "application/grpc-web",
            Self::WebText => "application/grpc-web-text",
        }
    }
}
