//! Stopping.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::{SIGNIN_BODY, answer};
use crate::support::{Demo, ScratchFile, settings};

/// Far from the limit that the tests are given.
const DEADLINE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn lets_requests_finish() {
    let demo = Demo::start().await;
    let address = demo.address;
    let mut stream = demo.begin_signin().await;
    let mut stopped = demo.stop();
    timeout(Duration::from_millis(50), &mut stopped).await.expect_err("it should wait for the sign-in");
    TcpStream::connect(address).await.expect_err("it should listen no more");

    stream.write_all(SIGNIN_BODY).await.unwrap();
    assert_eq!(answer(stream).await.status, 200);
    timeout(DEADLINE, stopped).await.expect("it should stop").unwrap();
}

#[tokio::test]
async fn leaves_one_file() {
    let file = ScratchFile::new("stop.sqlite3");
    let demo = Demo::start_with(settings(&file.url())).await;
    demo.sign_in().await;
    assert!(file.beside("-wal").exists());
    demo.stop().await.unwrap();
    assert!(!file.beside("-wal").exists());
}

#[tokio::test]
async fn does_not_wait_for_ever() {
    let mut settings = settings("sqlite::memory:");
    settings.limits.shutdown = Duration::from_millis(100);
    let demo = Demo::start_with(settings).await;
    let _stalled = demo.begin_signin().await;

    let start = Instant::now();
    timeout(DEADLINE, demo.stop()).await.expect("it should stop").unwrap();
    assert!(start.elapsed() >= Duration::from_millis(100), "{:?}", start.elapsed());
}
