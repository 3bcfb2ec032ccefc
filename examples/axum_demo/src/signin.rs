//! `POST /signin`: an email and a password for a token.

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Json, Router};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::password::{Password, PasswordGate, PasswordHash};
use crate::tokens::{self, TokenKeys};
use crate::users::Users;

const MAX_BODY_BYTES: usize = 8 * 1024;

#[derive(Clone)]
struct SignIn {
    users: Users,
    keys: TokenKeys,
    gate: PasswordGate,
}

#[derive(Deserialize)]
struct Credentials {
    email: String,
    password: String,
    /// All other members. With a flattened field, serde takes objects only; without, `["email", "password"]` too.
    #[serde(flatten)]
    _others: IgnoredAny,
}

#[derive(Serialize)]
struct SignedIn {
    access_token: String,
    token_type: &'static str,
    /// In seconds.
    expires_in: u64,
}

pub(crate) fn routes(users: Users, keys: TokenKeys) -> Router {
    Router::new()
        .route("/signin", post(sign_in))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(SignIn { users, keys, gate: PasswordGate::new() })
}

async fn sign_in(
    State(app): State<SignIn>,
    body: Result<Json<Credentials>, JsonRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let Json(Credentials { email, password, .. }) = body?;
    let password = Password::new(password)?;
    // Before the database is asked, so that a flood costs next to nothing.
    let place = app.gate.enter()?;
    let (user, hash) = match app.users.by_email(&email).await? {
        Some((user, hash)) => (Some(user), hash),
        None => (None, PasswordHash::of_nobody()),
    };
    let right = place.check(password, hash).await?;
    let user = user.filter(|_| right).ok_or(ApiError::WrongCredentials)?;
    let signed_in =
        SignedIn { access_token: app.keys.sign(&user)?, token_type: "Bearer", expires_in: tokens::LIFETIME };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(signed_in)))
}
