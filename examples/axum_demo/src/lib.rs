//! A small axum application around `tower-jwt-auth`: sign in, get a token, call a protected route, stay signed in.
//!
//! The way of a request:
//!
//! 1. `serve` takes the connection, within the [`Limits`], and gives the request to [`app`], which first refuses what other
//!    sites' pages send (`public_url`).
//! 2. `GET /` (`page`) is the page that does the following in a browser.
//! 3. `POST /signin` (`signin`): the request waits its turn at the `gate`, where each client has a share of the places
//!    (`per_client`). The attempt is counted (`attempts`), by account and by `client_address`. The password is checked in
//!    `password`, the user is in `users`. A session begins (`sessions`), and `signed_in` answers with an access token
//!    (`tokens`), and with a refresh token (`refresh_tokens`) in a cookie (`cookies`).
//! 4. `POST /signup` (`signup`): the same with a `new_password`, and a new user.
//! 5. `POST /refresh` (`refresh`): the refresh token for the next of both (`rotation`). One that comes twice ends the
//!    session.
//! 6. `GET /protected/` (`protected`): the library checks the access token, `users` turns its claims into the user.
//! 7. `POST /signout` (`signout`): `sessions` writes down that the session is over, and no token of it is good any more.
//! 8. Whatever the demo itself refuses is an `ApiError` (`error`), and looks the same everywhere. The library answers refused
//!    tokens, with problem details (`ProblemJson`).
//!
//! `settings` reads the environment, `database` opens the database, SQLite or PostgreSQL, and `revoked` the list of what is revoked, in
//! memory or by Redis; `main.rs` puts it all together.

mod attempts;
mod client_address;
mod clock;
mod cookies;
mod database;
mod database_url;
mod error;
mod gate;
mod held_back;
mod known_addresses;
mod limits;
mod migrations;
mod new_password;
mod page;
mod password;
mod per_client;
mod protected;
mod public_url;
mod random;
mod refresh;
mod refresh_tokens;
mod revoked;
mod rotation;
mod serve;
mod sessions;
mod settings;
mod signed_in;
mod signin;
mod signout;
mod signup;
mod tokens;
mod users;

use axum::http::{HeaderValue, header};
use axum::{Router, middleware};
use sqlx::AnyPool;
use std::fmt::{self, Formatter};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::attempts::Attempts;
pub use crate::clock::Clock;
use crate::cookies::RefreshCookie;
use crate::error::ApiError;
pub use crate::limits::Limits;
use crate::password::PasswordGate;
pub use crate::serve::{listen, serve};
use crate::sessions::Sessions;
pub use crate::settings::{SettingError, Settings};
use crate::signed_in::SignIns;
use crate::signin::SignIn;
use crate::users::Users;

/// The whole application, for [`serve`], which closes its database when it stops.
pub struct App {
    pub(crate) router: Router,
    pub(crate) database: AnyPool,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").finish_non_exhaustive()
    }
}

/// Makes the application: opens the database, whose tables are made on the first start, and sets up the routes.
///
/// # Errors
///
/// The database cannot be opened, or belongs to another program.
pub async fn app(settings: &Settings) -> Result<App, SettingError> {
    let Settings { clock, limits, .. } = settings;
    let database = database::open(&settings.database).await?;
    let revocations = revoked::list(settings).await?;
    let sessions = Sessions::open(database.clone(), revocations, clock.clone(), limits.sessions)
        .await
        .map_err(|error| SettingError::new("DATABASE_URL", error.to_string()))?;
    let now = clock.clone();
    let issuer = settings.issuer.clone().clock(move || now.now());
    let cookie = RefreshCookie { secure: settings.public_url.is_some() };
    let users = Users::new(database.clone());
    let sign_ins = SignIns { issuer, sessions, cookie };
    let sign_in = SignIn {
        users: users.clone(),
        sign_ins: sign_ins.clone(),
        gate: PasswordGate::new(limits),
        attempts: Attempts::new(database.clone(), clock.clone(), *limits),
        proxies: settings.proxies,
    };
    let router = Router::new()
        .merge(page::routes())
        .merge(signup::routes(sign_in.clone()))
        .merge(signin::routes(sign_in.clone()))
        .merge(protected::routes(users, &sign_ins))
        .merge(refresh::routes(sign_in, limits))
        .merge(signout::routes(sign_ins))
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(middleware::from_fn_with_state(limits.request, limits::time_limit))
        .layer(public_url::csrf_layer(settings.public_url.as_ref())?)
        // The page says its own.
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ));
    Ok(App { router, database })
}
