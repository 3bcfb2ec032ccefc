//! `POST /signin`: exchanges an email and a password for tokens.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::AppState;
use crate::client_address::Client;
use crate::error::ApiError;
use crate::password::{Password, PasswordHash};
use crate::users::User;

#[derive(Deserialize)]
pub(crate) struct Credentials {
    email: String,
    password: String,
    /// Ignores other members. A flattened field also makes serde reject arrays such as `["email", "password"]`.
    #[serde(flatten)]
    _others: IgnoredAny,
}

pub(crate) async fn sign_in(
    State(app): State<AppState>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Result<Json<Credentials>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(Credentials { email, password, .. }) = body?;
    let password = Password::new(password)?;
    let user = app.check(&email, password, &app.proxies.client(peer, &headers)).await?;
    app.sign_ins.begin(user, &headers).await
}

impl AppState {
    /// Returns the user with this email and password.
    ///
    /// The order matters: nothing is counted before the request has a place, and everything that is counted is checked.
    /// A client that disconnects saves neither, because `serve` runs each request to its end.
    async fn check(&self, email: &str, password: Password, client: &Client) -> Result<User, ApiError> {
        let visit = self.passwords.gate.visit(client)?;
        let is_known = self.attempts.is_known(email, client).await?;
        self.attempts.look(client, is_known)?;
        let place = self.passwords.gate.enter(visit, is_known).await?;
        let attempt = self.attempts.begin(email, client, is_known).await?;
        let (user, hash) = match self.users.by_email(email).await? {
            Some((user, hash)) => (Some(user), hash),
            None => (None, PasswordHash::of_nobody()),
        };
        let right = self.passwords.check(place, password, hash).await?;
        let user = user.filter(|_| right).ok_or(ApiError::WRONG_CREDENTIALS)?;
        self.attempts.succeeded(attempt, email, client).await;
        Ok(user)
    }
}
