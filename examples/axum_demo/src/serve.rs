//! Taking connections, with time limits, until told to stop.

use std::net::SocketAddr;
use std::pin::pin;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::limits::Limits;
use crate::settings::SettingError;

/// Listens on the address; port 0 stands for any free one.
///
/// # Errors
///
/// The address is in use, or not one of this machine.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, SettingError> {
    TcpListener::bind(address).await.map_err(|error| {
        SettingError::new("DEMO_ADDR", format!("cannot listen on {address}, choose another: {error}"))
    })
}

/// Serves until `stop` is ready, then lets the requests under way finish.
///
/// `axum::serve` would do, but it waits for a slow client's headers for ever.
pub async fn serve(mut listener: TcpListener, app: Router, limits: Limits, stop: impl Future<Output = ()>) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.headers);
    let connections = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            // axum's accept, which waits a little and goes on when there are too many open files.
            (stream, _) = Listener::accept(&mut listener) => {
                let service = TowerToHyperService::new(app.clone());
                // If it fails, the client is gone, was too slow or does not speak HTTP: nothing is left to do.
                tokio::spawn(connections.watch(http.serve_connection(TokioIo::new(stream), service)));
            }
            () = &mut stop => break,
        }
    }
    drop(listener);
    // If it runs out, the connections still open end with the process.
    let _ = timeout(limits.shutdown, connections.shutdown()).await;
}
