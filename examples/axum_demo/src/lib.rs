//! A small axum application around `tower-jwt-auth`: sign in, get a token, call a protected route.
//!
//! The way of a request:
//!
//! 0. `GET /` (`page`) is the page that does all of this in a browser.
//! 1. `serve` takes the connection, within the [`Limits`], and gives the request to [`app`].
//! 2. `POST /signin` (`signin`): the password is checked in `password`, the user is in `users`, the token comes
//!    from `tokens`.
//! 3. `GET /protected/` (`protected`): the library checks the token, `users` turns its claims into the user.
//! 4. `POST /signout` (`signout`): `sessions` writes down that the session is over, and no token of it is good any more.
//! 5. Whatever the demo itself refuses is an `ApiError` (`error`), and looks the same everywhere.
//!
//! `settings` reads the environment; `main.rs` puts it all together.

mod database;
mod database_url;
mod error;
mod limits;
mod migrations;
mod page;
mod password;
mod protected;
mod random;
mod serve;
mod sessions;
mod settings;
mod signin;
mod signout;
mod tokens;
mod users;

use axum::{Router, middleware};

use crate::error::ApiError;
pub use crate::limits::Limits;
pub use crate::serve::{listen, serve};
use crate::sessions::Sessions;
pub use crate::settings::{SettingError, Settings};
use crate::users::Users;

/// The whole application: opens the database, whose tables are made on the first start, and sets up the routes.
///
/// # Errors
///
/// The database cannot be opened, or belongs to another program.
pub async fn app(settings: &Settings) -> Result<Router, SettingError> {
    let database = database::open(&settings.database).await?;
    let users = Users::new(database.clone());
    let sessions = Sessions::open(database)
        .await
        .map_err(|error| SettingError::new("DATABASE_URL", error.to_string()))?;
    Ok(Router::new()
        .merge(page::routes())
        .merge(signin::routes(users.clone(), settings.issuer.clone()))
        .merge(protected::routes(users, &sessions, &settings.issuer))
        .merge(signout::routes(sessions, &settings.issuer))
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(middleware::from_fn_with_state(settings.limits.request, limits::time_limit)))
}
