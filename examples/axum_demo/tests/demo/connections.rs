//! Limits on the duration and number of connections, and clients that leave early.

use std::time::{Duration, Instant};

use axum_demo::Limits;
use sqlx::{Connection, SqliteConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use crate::http::{SIGNIN_BODY, answer, get_request};
use crate::support::{Demo, ScratchFile, proxied_settings, settings};

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

/// The default limits leave 900 connections to others.
#[tokio::test]
async fn peers_have_a_share_of_the_connections() {
    let mut direct = settings("sqlite::memory:");
    direct.limits.connections_of_a_peer = Limits::default().connections_of_a_peer;
    let mut proxied = proxied_settings("sqlite::memory:");
    proxied.limits.connections_of_a_peer = direct.limits.connections_of_a_peer;
    for (name, settings, expected) in [("direct", direct, false), ("behind a proxy", proxied, true)] {
        let demo = Demo::start_with(settings).await;
        let mut idle = Vec::new();
        for _ in 0..100 {
            idle.push(demo.send(b"").await);
        }
        assert_eq!(is_served(&demo, FIRST).await, expected, "{name}: the same peer");
        assert!(is_served(&demo, SECOND).await, "{name}: another peer");
        idle.pop();
        let deadline = Instant::now() + DEADLINE;
        while !is_served(&demo, FIRST).await {
            assert!(Instant::now() < deadline, "{name}: a closed connection returns its share");
        }
    }
}

/// Leaving early saves a client nothing.
#[tokio::test]
async fn requests_of_clients_that_left_keep_their_place() {
    let file = ScratchFile::new("left.sqlite3");
    let mut settings = settings(&file.url());
    settings.limits.connections_of_a_peer = 1;
    let demo = Demo::start_with(settings).await;
    let mut other = SqliteConnection::connect(&file.url()).await.unwrap();
    // The sign-in waits for this lock.
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let mut stream = demo.begin_signin().await;
    stream.write_all(SIGNIN_BODY).await.unwrap();
    drop(stream);
    for _ in 0..20 {
        assert!(!is_served(&demo, FIRST).await);
    }
    assert!(is_served(&demo, SECOND).await);

    lock.rollback().await.unwrap();
    // A password check takes long on a busy machine.
    let deadline = Instant::now() + 12 * DEADLINE;
    while !is_served(&demo, FIRST).await {
        assert!(Instant::now() < deadline, "the request should end");
    }
}

#[tokio::test]
async fn requests_finish_after_the_client_leaves() {
    let file = ScratchFile::new("finished.sqlite3");
    let demo = Demo::start_with(settings(&file.url())).await;
    let mut stream = demo.begin_signin().await;
    stream.write_all(SIGNIN_BODY).await.unwrap();
    drop(stream);
    // The shutdown waits for the request.
    demo.stop().await.unwrap();
    let mut database = SqliteConnection::connect(&file.url()).await.unwrap();
    let sessions: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sessions").fetch_one(&mut database).await.unwrap();
    assert_eq!(sessions, 1);
}

const FIRST: [u8; 4] = [127, 0, 0, 1];
const SECOND: [u8; 4] = [127, 0, 0, 2];

/// Sends a request from this address. Returns false if the server closes the connection without a response.
async fn is_served(demo: &Demo, address: [u8; 4]) -> bool {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((address, 0).into()).unwrap();
    let mut response = Vec::new();
    let exchange = async {
        let mut stream: TcpStream = socket.connect(demo.address).await?;
        stream.write_all(&get_request("/protected/", &[])).await?;
        stream.read_to_end(&mut response).await
    };
    // An error means that the server closed before it read the request.
    let _ = timeout(DEADLINE, exchange).await.expect("the server should respond or close the connection");
    response.starts_with(b"HTTP/1.1 401")
}
