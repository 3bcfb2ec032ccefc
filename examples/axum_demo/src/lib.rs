//! A small axum application around `tower-jwt-auth`: sign in, get a token, call a protected route, stay signed in.
//!
//! How a request is handled:
//!
//! 1. `serve` accepts the connection within the [`Limits`] and passes the request to [`app`]. First, `public_url`
//!    rejects requests from the pages of other sites.
//! 2. `GET /` (`page`) returns the page that does all of the following in a browser.
//! 3. `POST /signin` (`signin`) goes through these steps:
//!    - The request waits its turn at the `gate`, which gives each client a share of the places (`per_client`) and keeps
//!      some for `known_addresses`.
//!    - `attempts` counts the attempt, by account and by `client_address`, in the windows of `counts`.
//!    - `users` finds the user, and `password` checks the password.
//!    - `sessions` starts a session. `signed_in` responds with an access token (`tokens`) and a refresh token
//!      (`refresh_tokens`) in a cookie (`cookies`).
//! 4. `POST /signup` (`signup`) does the same with a `new_password` and a new user.
//! 5. `POST /refresh` (`refresh`) exchanges the refresh token for new tokens (`rotation`). Reuse ends the session.
//! 6. `GET /protected/` (`protected`): the library checks the access token, and `users` loads the user.
//! 7. `POST /signout` (`signout`) ends the session (`ending`). All its tokens become invalid. What the database cannot
//!    store is written later.
//! 8. Rejections by the demo are `ApiError`s (`error`). The library responds to bad tokens. Both send problem details.
//!
//! `settings` reads the environment. `database` opens SQLite or PostgreSQL. `revoked` opens the revocation list, in
//! memory or shared through Redis. `demo_account` creates an account to try. `main.rs` puts these together.

mod attempts;
mod client_address;
mod clock;
mod cookies;
mod counts;
mod database;
mod database_url;
mod demo_account;
mod ending;
mod error;
mod gate;
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

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, header};
use axum::routing::post;
use axum::{Router, middleware};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::attempts::Attempts;
use crate::client_address::TrustedProxies;
pub use crate::clock::Clock;
use crate::cookies::RefreshCookie;
use crate::counts::Counts;
use crate::error::ApiError;
use crate::gate::Gate;
use crate::known_addresses::KnownAddresses;
pub use crate::limits::Limits;
use crate::password::Passwords;
use crate::per_client::PerClient;
pub use crate::serve::{listen, serve};
use crate::sessions::Sessions;
pub use crate::settings::{SettingError, Settings};
use crate::signed_in::SignIns;
use crate::users::Users;

const MAX_BODY_BYTES: usize = 8 * 1024;

/// The state of sign-in, sign-up and refresh. Clones share it.
#[derive(Clone)]
pub(crate) struct AppState {
    users: Users,
    sign_ins: SignIns,
    passwords: Passwords,
    refreshes: Gate,
    attempts: Attempts,
    proxies: TrustedProxies,
}

/// The whole application. [`serve`] runs it and closes its database on shutdown.
#[derive(Debug)]
pub struct App {
    pub(crate) router: Router,
    pub(crate) sessions: Sessions,
    /// The email and the password of the demo account in one line, if [`app`] has just created it.
    pub notice: Option<&'static str>,
    /// The clients as the server sees them, with their share of the connections.
    pub(crate) peers: PerClient,
}

/// Creates the application: opens the database and sets up the routes.
///
/// The first start creates the tables, and the demo account if there is no public URL.
///
/// # Errors
///
/// - The database cannot be opened or belongs to another program.
/// - The settings of Redis or of other credentials are invalid.
pub async fn app(settings: &Settings) -> Result<App, SettingError> {
    let Settings { clock, limits, .. } = settings;
    let unusable = |error: sqlx::Error| SettingError::new("DATABASE_URL", error.to_string());
    let (database, is_new) = database::open(&settings.database).await?;
    let is_public = settings.public_url.is_some();
    let notice = demo_account::prepare(&database, is_new, is_public).await.map_err(unusable)?;
    let revocations = revoked::list(settings).await?;
    let counts = Counts::new(clock.clone());
    let sessions = Sessions::open(database.clone(), revocations, clock.clone(), counts.clone(), *limits)
        .await
        .map_err(unusable)?;
    let now = clock.clone();
    let issuer = settings.issuer.clone().clock(move || now.now());
    let cookie = RefreshCookie { secure: is_public };
    let users = Users::new(database.clone());
    let sign_ins = SignIns { issuer, sessions: sessions.clone(), cookie };
    let protected = protected::routes(users.clone(), &sign_ins, settings.credentials.as_ref());
    let known = KnownAddresses { pool: database.clone(), clock: clock.clone() };
    let state = AppState {
        users,
        sign_ins: sign_ins.clone(),
        passwords: Passwords::new(limits),
        refreshes: refresh::gate(limits),
        attempts: Attempts { pool: database, counts, known, limits: *limits },
        proxies: settings.proxies,
    };
    let text = HeaderValue::from_static;
    let two_years = is_public.then(|| text("max-age=63072000"));
    let router = Router::new()
        .route("/signup", post(signup::sign_up))
        .route("/signin", post(signin::sign_in))
        .route("/refresh", post(refresh::refresh))
        .with_state(state)
        .merge(page::routes())
        .merge(protected.map_err(|error| SettingError::auth(&error))?)
        .merge(signout::routes(sign_ins))
        .fallback(async || ApiError::NOT_FOUND)
        .method_not_allowed_fallback(async || ApiError::METHOD_NOT_ALLOWED)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(limits.request, limits::time_limit))
        .layer(public_url::csrf_layer(settings.public_url.as_ref()))
        // The page sets its own value.
        .layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, text("no-store")))
        .layer(SetResponseHeaderLayer::overriding(header::X_CONTENT_TYPE_OPTIONS, text("nosniff")))
        .layer(SetResponseHeaderLayer::overriding(header::STRICT_TRANSPORT_SECURITY, two_years));
    // The connections of a proxy are those of all clients.
    let is_direct = settings.proxies == TrustedProxies(0) && !is_public;
    let share = if is_direct { limits.connections_of_a_peer } else { limits.connections };
    Ok(App { router, sessions, notice, peers: PerClient::new(share, share) })
}
