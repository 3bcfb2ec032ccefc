//! Stopping.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::answer;
use crate::support::{Demo, settings};

const BODY: &[u8] = br#"{"email":"eze@example.com","password":"okon"}"#;

/// A sign-in that the server is at work on: it has asked for the body.
async fn begin_signin(demo: &Demo) -> TcpStream {
    let length = BODY.len();
    let head = format!(
        "POST /signin HTTP/1.1\r\nHost: demo\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    );
    let mut stream = demo.send(head.as_bytes()).await;
    let mut asked = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[tokio::test]
async fn lets_requests_finish() {
    let demo = Demo::start().await;
    let address = demo.address;
    let mut stream = begin_signin(&demo).await;
    let mut stopped = demo.stop();
    timeout(Duration::from_millis(50), &mut stopped).await.expect_err("it should wait for the sign-in");
    TcpStream::connect(address).await.expect_err("it should listen no more");

    stream.write_all(BODY).await.unwrap();
    assert_eq!(answer(stream).await.status, 200);
    timeout(Duration::from_secs(3), stopped).await.expect("it should stop").unwrap();
}

#[tokio::test]
async fn does_not_wait_for_ever() {
    let mut settings = settings("sqlite::memory:");
    settings.limits.shutdown = Duration::from_millis(100);
    let demo = Demo::start_with(settings).await;
    let _stalled = begin_signin(&demo).await;

    let start = Instant::now();
    timeout(Duration::from_secs(3), demo.stop()).await.expect("it should stop").unwrap();
    assert!(start.elapsed() >= Duration::from_millis(100), "{:?}", start.elapsed());
}
