//! `POST /signin`: exchanges an email and a password for tokens.

use std::net::SocketAddr;

use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::attempts::Attempts;
use crate::client_address::TrustedProxies;
use crate::error::ApiError;
use crate::password::{Password, PasswordGate, PasswordHash};
use crate::signed_in::SignIns;
use crate::users::Users;

pub(crate) const MAX_BODY_BYTES: usize = 8 * 1024;

/// The state for sign-in and sign-up. Clones share it.
#[derive(Clone)]
pub(crate) struct SignIn {
    pub(crate) users: Users,
    pub(crate) sign_ins: SignIns,
    pub(crate) gate: PasswordGate,
    pub(crate) attempts: Attempts,
    pub(crate) proxies: TrustedProxies,
}

#[derive(Deserialize)]
struct Credentials {
    email: String,
    password: String,
    /// Ignores other members. A flattened field also makes serde reject arrays such as `["email", "password"]`.
    #[serde(flatten)]
    _others: IgnoredAny,
}

pub(crate) fn routes(sign_in: SignIn) -> Router {
    Router::new()
        .route("/signin", post(self::sign_in))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(sign_in)
}

async fn sign_in(
    State(app): State<SignIn>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Result<Json<Credentials>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(Credentials { email, password, .. }) = body?;
    let password = Password::new(password)?;
    let client = app.proxies.client(peer, &headers);
    // These two checks come before any query, so a flood costs almost nothing.
    app.attempts.look(&client)?;
    let place = app.gate.enter(&client).await?;
    let attempt = app.attempts.begin(&email, &client).await?;
    let (user, hash) = match app.users.by_email(&email).await? {
        Some((user, hash)) => (Some(user), hash),
        None => (None, PasswordHash::of_nobody()),
    };
    let right = place.check(password, hash).await?;
    let user = user.filter(|_| right).ok_or(ApiError::WrongCredentials)?;
    app.attempts.succeeded(attempt).await?;
    app.sign_ins.begin(user).await
}
