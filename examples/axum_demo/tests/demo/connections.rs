//! Limits on the duration and number of connections.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::time::{sleep, timeout};

use crate::http::{SIGNIN_BODY, answer};
use crate::support::{Demo, settings};

const LIMIT: Duration = Duration::from_millis(100);

/// Shorter than the defaults of the server.
const DEADLINE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn drops_clients_that_never_read() {
    let mut settings = settings("sqlite::memory:");
    settings.limits.connection = LIMIT;
    settings.limits.shutdown = LIMIT;
    // Small buffers block the responses of the server soon.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(4096).unwrap();
    socket.bind(settings.address).unwrap();
    let demo = Demo::start_on(socket.listen(16).unwrap(), settings).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();

    let start = Instant::now();
    let mut stream = socket.connect(demo.address).await.unwrap();
    let requests = b"GET /protected/ HTTP/1.1\r\nHost: demo\r\n\r\n".repeat(1000);
    let asking = async { while stream.write_all(&requests).await.is_ok() {} };
    timeout(DEADLINE, asking).await.expect("the server should close the connection");
    assert!(start.elapsed() >= LIMIT, "{:?}", start.elapsed());
}

#[tokio::test]
async fn old_connections_finish_their_request() {
    let mut settings = settings("sqlite::memory:");
    // The server must request the body within this time.
    let limit = LIMIT * 5;
    settings.limits.connection = limit;
    let demo = Demo::start_with(settings).await;
    let mut stream = demo.begin_signin().await;
    sleep(limit * 2).await;
    stream.write_all(SIGNIN_BODY).await.unwrap();
    let answer = timeout(DEADLINE, answer(stream)).await.expect("the server should close the connection");
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let mut settings = settings("sqlite::memory:");
    settings.limits.connections = 2;
    settings.limits.headers = LIMIT;
    let demo = Demo::start_with(settings).await;
    let start = Instant::now();
    let _idle = [demo.send(b"").await, demo.send(b"").await];
    let waiting = demo.protected(&[]);
    let answer = timeout(DEADLINE, waiting).await.expect("a place should become free");
    assert_eq!(answer.status, 401);
    assert!(start.elapsed() >= LIMIT, "{:?}", start.elapsed());
}
