//! Stopping.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::support::{Demo, answer, settings, signin_request};

#[tokio::test]
async fn lets_requests_finish() {
    let demo = Demo::start().await;
    let address = demo.address;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = br#"{"email":"eze@example.com","password":"okon"}"#;
    stream
        .write_all(&signin_request("application/json", body))
        .await
        .unwrap();
    // The password takes longer than this to check.
    sleep(Duration::from_millis(50)).await;

    let stopped = demo.stop();
    let answer = answer(stream).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    stopped.await.unwrap();
    TcpStream::connect(address).await.unwrap_err();
}

#[tokio::test]
async fn does_not_wait_for_ever() {
    let mut settings = settings("sqlite::memory:");
    settings.limits.shutdown = Duration::from_millis(100);
    let demo = Demo::start_with(settings).await;
    let mut stalled = TcpStream::connect(demo.address).await.unwrap();
    stalled
        .write_all(b"POST /signin HTTP/1.1\r\nHost: demo\r\n")
        .await
        .unwrap();
    sleep(Duration::from_millis(50)).await;

    let start = Instant::now();
    timeout(Duration::from_secs(3), demo.stop())
        .await
        .expect("an end")
        .unwrap();
    assert!(
        start.elapsed() >= Duration::from_millis(100),
        "{:?}",
        start.elapsed()
    );
}
