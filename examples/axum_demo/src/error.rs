//! What the demo answers when it refuses: a status and `{"error": "...", "message": "..."}`.
//!
//! `error` is for programs and stays the same; `message` is for people. `Retry-After` says when to try again, if that may
//! help. Refusals of tokens are not here: the library answers with the headers of RFC 6750 and with problem details
//! (RFC 9457).

use std::error::Error;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

const UNFIT_NAME: &str =
    "a name has at least one and at most 100 characters, none of them a control character";

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
    /// Why, in one sentence.
    PasswordWeak(String),
    RefreshInvalid,
    TimedOut,
    /// The whole server has as many requests as it can take.
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

#[derive(Serialize)]
struct Refusal<'a> {
    error: &'static str,
    message: &'a str,
}

impl ApiError {
    /// A fault of ours: the client is told that there was one, standard error is told which.
    pub(crate) fn internal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }

    fn describe(&self) -> (StatusCode, &'static str, &str) {
        use StatusCode as Status;
        match self {
            Self::BodyTooLarge => {
                (Status::PAYLOAD_TOO_LARGE, "body_too_large", "the body is larger than 8 KiB")
            }
            Self::BodyUnreadable => (Status::BAD_REQUEST, "body_unreadable", "the body could not be read"),
            Self::CrossSite => {
                (Status::FORBIDDEN, "cross_site", "the pages of other sites cannot ask for this")
            }
            Self::EmailTaken => (Status::CONFLICT, "email_taken", "there is an account with this email"),
            Self::EmailUnfit => (
                Status::UNPROCESSABLE_ENTITY,
                "email_unfit",
                "the email must be an address, as in name@example.com",
            ),
            Self::FirstNameUnfit => (Status::UNPROCESSABLE_ENTITY, "first_name_unfit", UNFIT_NAME),
            Self::Internal(_) => {
                (Status::INTERNAL_SERVER_ERROR, "internal", "something went wrong on our side")
            }
            Self::JsonBroken => (Status::BAD_REQUEST, "json_broken", "the body is not valid JSON"),
            Self::JsonExpected => (
                Status::UNSUPPORTED_MEDIA_TYPE,
                "json_expected",
                "send JSON, with the header Content-Type: application/json",
            ),
            Self::JsonUnfit => (
                Status::UNPROCESSABLE_ENTITY,
                "json_unfit",
                "the body must be a JSON object with the strings \"email\" and \"password\", to sign up also \
                 \"first_name\" and \"last_name\"",
            ),
            Self::LastNameUnfit => (Status::UNPROCESSABLE_ENTITY, "last_name_unfit", UNFIT_NAME),
            Self::MethodNotAllowed => {
                (Status::METHOD_NOT_ALLOWED, "method_not_allowed", "this address does not take that method")
            }
            Self::NotFound => (Status::NOT_FOUND, "not_found", "there is nothing at this address"),
            Self::PasswordHasNul => (
                Status::UNPROCESSABLE_ENTITY,
                "password_has_nul",
                "a password cannot hold the character U+0000",
            ),
            Self::PasswordTooLong => {
                (Status::UNPROCESSABLE_ENTITY, "password_too_long", "a password has at most 72 bytes")
            }
            Self::PasswordWeak(why) => (Status::UNPROCESSABLE_ENTITY, "password_weak", why),
            Self::RefreshInvalid => {
                (Status::UNAUTHORIZED, "refresh_invalid", "the session is over, sign in again")
            }
            Self::TimedOut => (Status::REQUEST_TIMEOUT, "timed_out", "the request took too long"),
            Self::TooBusy => (Status::SERVICE_UNAVAILABLE, "too_busy", "the server is too busy right now"),
            Self::TooManyAtOnce => {
                (Status::TOO_MANY_REQUESTS, "too_many_at_once", "many requests from your network are waiting")
            }
            Self::TooManyAttempts { .. } => {
                (Status::TOO_MANY_REQUESTS, "too_many_attempts", "too many attempts have failed")
            }
            Self::TooManySignUps { .. } => (
                Status::TOO_MANY_REQUESTS,
                "too_many_sign_ups",
                "too many accounts were created from your network",
            ),
            Self::Unavailable(_) => {
                (Status::SERVICE_UNAVAILABLE, "unavailable", "the database gives no answer")
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
        let (status, error, message) = self.describe();
        let mut response = (status, Json(Refusal { error, message })).into_response();
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

/// One line on standard error: the database gave no answer. Clients are told 503, whichever route they asked.
pub(crate) fn report_database(cause: &dyn Error) {
    eprintln!("database error: {cause}");
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(error)
    }
}

/// axum's own texts are not passed on: they quote the body, which may hold a password.
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
