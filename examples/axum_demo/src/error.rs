//! Error responses: problem details ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)), as from the library's layer.
//!
//! `type` is for programs and never changes. `title` is a message for people. `Retry-After` is set if a retry may help.

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
pub(crate) enum ApiError {
    BodyTooLarge,
    BodyUnreadable,
    CrossSite,
    EmailTaken,
    EmailUnfit,
    FirstNameUnfit,
    Internal(Box<dyn Error + Send + Sync>),
    JsonBroken,
    JsonExpected,
    JsonUnfit,
    LastNameUnfit,
    MethodNotAllowed,
    NotFound,
    PasswordHasNul,
    PasswordTooLong,
    /// The reason, in one sentence.
    PasswordWeak(String),
    RefreshInvalid,
    TimedOut,
    /// The whole server is at capacity, not just this client.
    TooBusy,
    TooManyAtOnce,
    TooManyAttempts {
        /// In seconds.
        retry_after: u64,
    },
    TooManySignUps {
        /// In seconds.
        retry_after: u64,
    },
    Unavailable(sqlx::Error),
    WrongCredentials,
}

/// In the order of serialization.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
}

impl ApiError {
    /// Wraps a bug or a broken environment. The cause goes to standard error and never to the client.
    pub(crate) fn internal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }

    /// Returns the status, the fragment of `type`, and the title.
    fn describe(&self) -> (StatusCode, &'static str, &str) {
        use StatusCode as Status;
        match self {
            Self::BodyTooLarge => {
                (Status::PAYLOAD_TOO_LARGE, "body_too_large", "the body is larger than 8 KiB")
            }
            Self::BodyUnreadable => (Status::BAD_REQUEST, "body_unreadable", "the body could not be read"),
            Self::CrossSite => (Status::FORBIDDEN, "cross_site", "requests from other sites are not allowed"),
            Self::EmailTaken => {
                (Status::CONFLICT, "email_taken", "an account with this email already exists")
            }
            Self::EmailUnfit => (
                Status::UNPROCESSABLE_ENTITY,
                "email_unfit",
                "the email must be a valid address in ASCII, such as name@example.com; in a domain, write other letters \
                 as xn--",
            ),
            Self::FirstNameUnfit => (Status::UNPROCESSABLE_ENTITY, "first_name_unfit", UNFIT_NAME),
            Self::Internal(_) => {
                (Status::INTERNAL_SERVER_ERROR, "internal", "something went wrong on our side")
            }
            Self::JsonBroken => (Status::BAD_REQUEST, "json_broken", "the body is not valid JSON"),
            Self::JsonExpected => (
                Status::UNSUPPORTED_MEDIA_TYPE,
                "json_expected",
                "the body must be JSON, with the header Content-Type: application/json",
            ),
            Self::JsonUnfit => (
                Status::UNPROCESSABLE_ENTITY,
                "json_unfit",
                "the body must be a JSON object with the strings \"email\" and \"password\"; sign-up also needs \
                 \"first_name\" and \"last_name\"",
            ),
            Self::LastNameUnfit => (Status::UNPROCESSABLE_ENTITY, "last_name_unfit", UNFIT_NAME),
            Self::MethodNotAllowed => {
                (Status::METHOD_NOT_ALLOWED, "method_not_allowed", "this route does not support the method")
            }
            Self::NotFound => (Status::NOT_FOUND, "not_found", "there is no such route"),
            Self::PasswordHasNul => (
                Status::UNPROCESSABLE_ENTITY,
                "password_has_nul",
                "a password cannot contain the character U+0000",
            ),
            Self::PasswordTooLong => {
                (Status::UNPROCESSABLE_ENTITY, "password_too_long", "a password can have at most 72 bytes")
            }
            Self::PasswordWeak(why) => (Status::UNPROCESSABLE_ENTITY, "password_weak", why),
            Self::RefreshInvalid => {
                (Status::UNAUTHORIZED, "refresh_invalid", "the session has ended, sign in again")
            }
            Self::TimedOut => (Status::REQUEST_TIMEOUT, "timed_out", "the request took too long"),
            Self::TooBusy => (Status::SERVICE_UNAVAILABLE, "too_busy", "the server is too busy right now"),
            Self::TooManyAtOnce => (
                Status::TOO_MANY_REQUESTS,
                "too_many_at_once",
                "too many requests from your network are waiting",
            ),
            Self::TooManyAttempts { .. } => {
                (Status::TOO_MANY_REQUESTS, "too_many_attempts", "too many attempts have failed")
            }
            Self::TooManySignUps { .. } => (
                Status::TOO_MANY_REQUESTS,
                "too_many_sign_ups",
                "too many accounts were created from your network",
            ),
            Self::Unavailable(_) => {
                (Status::SERVICE_UNAVAILABLE, "unavailable", "the database is unavailable")
            }
            Self::WrongCredentials => {
                (Status::UNAUTHORIZED, "wrong_credentials", "the email or the password is wrong")
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match &self {
            Self::Internal(cause) => eprintln!("internal error: {cause}"),
            Self::Unavailable(cause) => report_database(cause),
            _ => {}
        }
        let (status, kind, title) = self.describe();
        let problem = Problem { r#type: format!("{TYPES}#{kind}"), title, status: status.as_u16() };
        let content_type = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (status, content_type, Json(problem)).into_response();
        let retry_after = match self {
            Self::TooManyAttempts { retry_after } | Self::TooManySignUps { retry_after } => Some(retry_after),
            Self::TooManyAtOnce => Some(1),
            _ => (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1),
        };
        if let Some(seconds) = retry_after {
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
        Self::Unavailable(error)
    }
}

/// Drops axum's message: it may quote the body, and so a password.
impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        match rejection {
            JsonRejection::JsonDataError(_) => Self::JsonUnfit,
            JsonRejection::JsonSyntaxError(_) => Self::JsonBroken,
            JsonRejection::MissingJsonContentType(_) => Self::JsonExpected,
            other if other.status() == StatusCode::PAYLOAD_TOO_LARGE => Self::BodyTooLarge,
            _ => Self::BodyUnreadable,
        }
    }
}
