//! `POST /signup`: creates an account and signs the user in.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::AppState;
use crate::error::ApiError;
use crate::new_password::NewPassword;
use crate::password::Password;
use crate::users::normal_email;

/// Maximum length of an email address (RFC 5321, section 4.5.3.1.3).
const LONGEST_EMAIL: usize = 254;

const LONGEST_NAME: usize = 100;

#[derive(Deserialize)]
pub(crate) struct Application {
    email: String,
    password: String,
    first_name: String,
    last_name: String,
    /// Ignores other members and makes serde reject arrays.
    #[serde(flatten)]
    _others: IgnoredAny,
}

pub(crate) async fn sign_up(
    State(app): State<AppState>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Result<Json<Application>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(Application { email, password, first_name, last_name, .. }) = body?;
    let email = email_address(&email)?;
    let first_name = name(&first_name).ok_or(ApiError::FIRST_NAME_UNFIT)?;
    let last_name = name(&last_name).ok_or(ApiError::LAST_NAME_UNFIT)?;
    let words = [&email[..], first_name, last_name].map(str::to_owned).to_vec();
    let password = NewPassword::new(Password::new(password)?, words)?;
    let client = app.proxies.client(peer, &headers);
    app.attempts.look(&client, false)?;
    let visit = app.passwords.gate.visit(&client)?;
    let place = app.passwords.gate.enter(visit, false).await?;
    let attempt = app.attempts.begin_sign_up(&client).await?;
    let hash = app.passwords.hash(place, password).await?;
    let user = app.users.insert(&email, first_name, last_name, hash).await?.ok_or(ApiError::EMAIL_TAKEN)?;
    app.attempts.succeeded(attempt, &email, &client).await;
    Ok((StatusCode::CREATED, app.sign_ins.begin(user, &headers).await?).into_response())
}

/// Returns the normal form of an email address. Only a message to it could prove that it exists.
///
/// Other letters are not allowed: two addresses could look the same and belong to different accounts. A mailbox has the
/// characters of RFC 5322, section 3.2.3.
fn email_address(text: &str) -> Result<String, ApiError> {
    let email = normal_email(text);
    let is_one = text.is_ascii()
        && email.len() <= LONGEST_EMAIL
        && email.split_once('@').is_some_and(|(mailbox, host)| {
            !mailbox.is_empty()
                && mailbox.bytes().all(|byte| byte.is_ascii_graphic() && !br#"\"(),:;<>[]"#.contains(&byte))
                && host.contains('.')
                && host.split('.').all(|label| {
                    !label.is_empty()
                        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                })
        });
    is_one.then_some(email).ok_or(ApiError::EMAIL_UNFIT)
}

fn name(text: &str) -> Option<&str> {
    let text = text.trim();
    let is_one = !text.is_empty() && text.chars().count() <= LONGEST_NAME && !text.contains(char::is_control);
    is_one.then_some(text)
}
