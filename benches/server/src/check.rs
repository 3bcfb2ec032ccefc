//! A few requests to each route.

use std::io;

use crate::app::Route;
use crate::load::{Connection, request};
use crate::server::Server;
use crate::support::Issuer;

/// # Panics
///
/// Panics if a route has the wrong status.
pub(crate) async fn check() -> io::Result<()> {
    let server = Server::start()?;
    let mut connection = Connection::open(server.address).await?;
    for issuer in Issuer::all() {
        let tokens = issuer.some_tokens(3);
        let forged = forged(&tokens);
        for route in Route::ALL {
            let path = route.path(&issuer);
            let refused = if matches!(route, Route::Open | Route::EmptyLayer) { 200 } else { 401 };
            // The cache holds each of them when it comes again.
            for token in tokens.iter().chain(&tokens) {
                assert_eq!(connection.status(&request(&path, Some(token))).await?, 200, "{path}");
            }
            assert_eq!(connection.status(&request(&path, Some(&forged))).await?, refused, "{path}, forged");
            assert_eq!(connection.status(&request(&path, None)).await?, refused, "{path}, no token");
        }
    }
    println!("all statuses are right");
    Ok(())
}

/// The claims of one token under the signature of another.
fn forged(tokens: &[String]) -> String {
    let (claims, _) = tokens[0].rsplit_once('.').expect("a token has dots");
    let (_, signature) = tokens[1].rsplit_once('.').expect("a token has dots");
    format!("{claims}.{signature}")
}
