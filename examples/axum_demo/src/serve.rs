//! Accepts connections until shutdown, and limits their number and duration.
//!
//! A request runs to its end even if the client leaves. Until then it keeps the place of its connection.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use crate::App;
use crate::client_address::Client;
use crate::limits::Limits;
use crate::per_client::Visit;
use crate::settings::SettingError;

/// Maximum size of the headers of a request. hyper's default of 400 KiB is too much for a thousand connections.
const BUFFER: usize = 16 * 1024;

/// The place of a connection and its request, until both have ended.
struct Place {
    _place: OwnedSemaphorePermit,
    _share: Visit,
    stopped: watch::Receiver<()>,
}

/// Listens on the address. Port 0 means any free port.
///
/// # Errors
///
/// Fails if the address is in use or does not belong to this machine.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, SettingError> {
    TcpListener::bind(address).await.map_err(|error| {
        SettingError::new("DEMO_ADDR", format!("cannot listen on {address}: {error}; choose another address"))
    })
}

/// Serves until `stop` completes, then lets running requests finish and closes the database.
///
/// `axum::serve` has no limit on connections and waits for slow clients forever.
pub async fn serve(mut listener: TcpListener, app: App, limits: Limits, stop: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(limits.connections));
    // Signals shutdown to all connections. `closed` completes when the last one and its request have ended.
    let (stopping, stopped) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            (place, stream, peer) = accept(&mut listener, &places) => {
                // Closes the connection if the peer has no share left.
                let Some(share) = app.peers.visit(&Client::new(peer.ip())) else { continue };
                let place = Arc::new(Place { _place: place, _share: share, stopped: stopped.clone() });
                tokio::spawn(converse(stream, peer, app.router.clone(), limits, place));
            }
            () = &mut stop => break,
        }
    }
    drop((listener, stopped));
    stopping.send_replace(());
    let _ = timeout(limits.shutdown, stopping.closed()).await;
    // SQLite then merges its log into the database file. The timeout is for a server that does not respond.
    let _ = timeout(limits.shutdown, app.sessions.close()).await;
}

/// Accepts the next connection when there is a place for it.
async fn accept(
    listener: &mut TcpListener,
    places: &Arc<Semaphore>,
) -> (OwnedSemaphorePermit, TcpStream, SocketAddr) {
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    // axum's `accept` retries after a pause if too many files are open.
    let (stream, peer) = Listener::accept(listener).await;
    (place, stream, peer)
}

/// Serves one connection until its time limit or shutdown.
async fn converse(stream: TcpStream, peer: SocketAddr, app: Router, limits: Limits, place: Arc<Place>) {
    let mut stopped = place.stopped.clone();
    let app = TowerToHyperService::new(app);
    let app = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let (response, place) = (app.call(request), Arc::clone(&place));
        // hyper drops the future of this service if the client leaves, but not the task.
        let task = tokio::spawn(async move {
            let response = response.await;
            drop(place);
            response
        });
        // An error, which is a panic of the task, closes the connection.
        async move { task.await.map(|Ok(response)| response) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.headers).max_buf_size(BUFFER);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), app));
    tokio::select! {
        // An error means the client left, was too slow or sent no valid HTTP. There is nothing left to do.
        _ = &mut connection => return,
        () = sleep(limits.connection) => {}
        _ = stopped.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(limits.shutdown, connection).await;
}
