//! Taking connections, so many at once and each for so long, until told to stop.

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
use crate::limits::Limits;
use crate::settings::SettingError;

/// How much of a request is held until its headers are at their end. Of hyper's own limit, 400 KiB, a thousand connections
/// hold too much.
const BUFFER: usize = 16 * 1024;

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

/// Serves until `stop` is ready, then lets the requests under way finish, and closes the database.
///
/// `axum::serve` would do, but it waits for slow clients for ever, and for any number of them.
pub async fn serve(mut listener: TcpListener, app: App, limits: Limits, stop: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(limits.connections));
    // Tells every connection, and knows when the last one is gone.
    let (stopping, stopped) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            (place, stream, peer) = accept(&mut listener, &places) => {
                let (app, stopped) = (app.router.clone(), stopped.clone());
                tokio::spawn(async move {
                    converse(stream, peer, app, limits, stopped).await;
                    drop(place);
                });
            }
            () = &mut stop => break,
        }
    }
    drop((listener, stopped));
    stopping.send_replace(());
    stopping.closed().await;
    // SQLite then has all in one file. A server that does not answer is not waited for.
    let _ = timeout(limits.shutdown, app.database.close()).await;
}

/// The next connection, as soon as there is a place for it.
async fn accept(
    listener: &mut TcpListener,
    places: &Arc<Semaphore>,
) -> (OwnedSemaphorePermit, TcpStream, SocketAddr) {
    let place = Arc::clone(places).acquire_owned().await.expect("nobody closes the semaphore");
    // axum's accept, which waits a little and goes on when there are too many open files.
    let (stream, peer) = Listener::accept(listener).await;
    (place, stream, peer)
}

/// Answers the requests of one connection, until its time is over or the server stops.
async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    app: Router,
    limits: Limits,
    mut stopped: watch::Receiver<()>,
) {
    let app = TowerToHyperService::new(app);
    let app = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        app.call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.headers).max_buf_size(BUFFER);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), app));
    tokio::select! {
        // If it fails, the client is gone, was too slow or does not speak HTTP: nothing is left to do.
        _ = &mut connection => return,
        () = sleep(limits.connection) => {}
        _ = stopped.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(limits.shutdown, connection).await;
}
