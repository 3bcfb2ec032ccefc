//! Error responses: problem details ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)), as from the library's layer.
//!
//! `type` is for programs and never changes. `title` is a message for people. `Retry-After` is set if a retry may help.

use std::borrow::Cow;
use std::error::Error;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The fragment names the kind of error.
const TYPES: &str = "https://demo.example/problems";

const UNFIT_NAME: &str = "a name must have 1 to 100 characters and no control characters";

#[derive(Debug)]
pub(crate) struct ApiError {
    status: u16,
    kind: &'static str,
    title: Cow<'static, str>,
    /// In seconds.
    retry_after: Option<u64>,
    /// Goes to standard error and never to the client.
    cause: Option<Box<dyn Error + Send + Sync>>,
}

/// In the order of serialization.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
}

impl ApiError {
    pub(crate) const BODY_TOO_LARGE: Self = Self::new(413, "body_too_large", "the body is larger than 8 KiB");
    pub(crate) const BODY_UNREADABLE: Self = Self::new(400, "body_unreadable", "the body could not be read");
    pub(crate) const CROSS_SITE: Self =
        Self::new(403, "cross_site", "requests from other sites are not allowed");
    pub(crate) const EMAIL_TAKEN: Self =
        Self::new(409, "email_taken", "an account with this email already exists");
    pub(crate) const EMAIL_UNFIT: Self =
        Self::new(422, "email_unfit", "the email must be an ASCII address, such as name@example.com");
    pub(crate) const FIRST_NAME_UNFIT: Self = Self::new(422, "first_name_unfit", UNFIT_NAME);
    pub(crate) const JSON_BROKEN: Self = Self::new(400, "json_broken", "the body is not valid JSON");
    pub(crate) const JSON_EXPECTED: Self = Self::new(
        415,
        "json_expected",
        "the body must be JSON, with the header Content-Type: application/json",
    );
    pub(crate) const JSON_UNFIT: Self = Self::new(
        422,
        "json_unfit",
        "the body must be a JSON object with the strings \"email\" and \"password\"; sign-up also needs \
         \"first_name\" and \"last_name\"",
    );
    pub(crate) const LAST_NAME_UNFIT: Self = Self::new(422, "last_name_unfit", UNFIT_NAME);
    pub(crate) const METHOD_NOT_ALLOWED: Self =
        Self::new(405, "method_not_allowed", "this route does not support the method");
    pub(crate) const NOT_FOUND: Self = Self::new(404, "not_found", "there is no such route");
    pub(crate) const PASSWORD_HAS_NUL: Self =
        Self::new(422, "password_has_nul", "a password cannot contain the character U+0000");
    pub(crate) const PASSWORD_TOO_LONG: Self =
        Self::new(422, "password_too_long", "a password can have at most 72 bytes");
    pub(crate) const REFRESH_INVALID: Self =
        Self::new(401, "refresh_invalid", "the session has ended, sign in again");
    /// The revocation list may be out of date.
    pub(crate) const REVOCATIONS_UNAVAILABLE: Self =
        Self::new(503, "revocations_unavailable", "the list of ended sessions is unavailable").retry_after(1);
    pub(crate) const TIMED_OUT: Self = Self::new(408, "timed_out", "the request took too long");
    /// The whole server is at capacity, not just this client.
    pub(crate) const TOO_BUSY: Self =
        Self::new(503, "too_busy", "the server is too busy right now").retry_after(1);
    pub(crate) const TOO_MANY_AT_ONCE: Self =
        Self::new(429, "too_many_at_once", "too many requests from your network are waiting").retry_after(1);
    pub(crate) const UNAVAILABLE: Self =
        Self::new(503, "unavailable", "the database is unavailable").retry_after(1);
    pub(crate) const WRONG_CREDENTIALS: Self =
        Self::new(401, "wrong_credentials", "the email or the password is wrong");

    pub(crate) const fn too_many_attempts(seconds: u64) -> Self {
        Self::new(429, "too_many_attempts", "too many attempts have failed").retry_after(seconds)
    }

    pub(crate) const fn too_many_refreshes(seconds: u64) -> Self {
        Self::new(429, "too_many_refreshes", "the session is refreshed too often").retry_after(seconds)
    }

    pub(crate) const fn too_many_sign_ups(seconds: u64) -> Self {
        Self::new(429, "too_many_sign_ups", "too many accounts were created from your network")
            .retry_after(seconds)
    }

    /// `why` is one sentence.
    pub(crate) fn password_weak(why: String) -> Self {
        Self { title: why.into(), ..Self::new(422, "password_weak", "") }
    }

    /// Wraps a bug or a broken environment.
    pub(crate) fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { cause: Some(cause.into()), ..Self::new(500, "internal", "something went wrong on our side") }
    }

    const fn new(status: u16, kind: &'static str, title: &'static str) -> Self {
        Self { status, kind, title: Cow::Borrowed(title), retry_after: None, cause: None }
    }

    const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match &self.cause {
            Some(cause) if self.status == 503 => report_database(&**cause),
            Some(cause) => eprintln!("internal error: {cause}"),
            None => {}
        }
        let status = StatusCode::from_u16(self.status).expect("all numbers above are statuses");
        let problem =
            Problem { r#type: format!("{TYPES}#{}", self.kind), title: &self.title, status: self.status };
        let content_type = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (status, content_type, Json(problem)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// Logs a failed query to standard error. The client gets a 503 without the cause.
pub(crate) fn report_database(cause: &dyn Error) {
    eprintln!("database error: {cause}");
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        Self { cause: Some(error.into()), ..Self::UNAVAILABLE }
    }
}

/// Drops axum's message: it may quote the body, and so a password.
impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        match rejection {
            JsonRejection::JsonDataError(_) => Self::JSON_UNFIT,
            JsonRejection::JsonSyntaxError(_) => Self::JSON_BROKEN,
            JsonRejection::MissingJsonContentType(_) => Self::JSON_EXPECTED,
            other if other.status() == StatusCode::PAYLOAD_TOO_LARGE => Self::BODY_TOO_LARGE,
            _ => Self::BODY_UNREADABLE,
        }
    }
}
