//! Sends a few requests to each route.

use std::io;

use crate::app::Route;
use crate::load::{Connection, request};
use crate::server::Server;
use crate::support::Issuer;

/// # Panics
///
/// Panics if a route returns the wrong status.
pub(crate) async fn check() -> io::Result<()> {
    let server = Server::start()?;
    let mut connection = Connection::open(server.address).await?;
    for issuer in Issuer::all() {
        let tokens = issuer.some_tokens(3);
        let forged = forged(&tokens);
        for route in Route::ALL {
            let path = route.path(&issuer);
            let rejected = if matches!(route, Route::Open | Route::EmptyLayer) { 200 } else { 401 };
            // The second time, each token is in the cache.
            for token in tokens.iter().chain(&tokens) {
                assert_eq!(connection.status(&request(&path, Some(token))).await?, 200, "{path}");
            }
            assert_eq!(connection.status(&request(&path, Some(&forged))).await?, rejected, "{path}, forged");
            assert_eq!(connection.status(&request(&path, None)).await?, rejected, "{path}, no token");
        }
    }
    println!("all statuses are right");
    Ok(())
}

/// Returns the claims of one token with the signature of another.
fn forged(tokens: &[String]) -> String {
    let (claims, _) = tokens[0].rsplit_once('.').expect("a token has dots");
    let (_, signature) = tokens[1].rsplit_once('.').expect("a token has dots");
    format!("{claims}.{signature}")
}
