//! Shutdown.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::{SIGNIN_BODY, answer};
use crate::support::{Demo, ScratchFile, settings};

/// Shorter than the limit in these tests.
const DEADLINE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn running_requests_finish() {
    let demo = Demo::start().await;
    let address = demo.address;
    let mut stream = demo.begin_signin().await;
    let mut stopped = demo.stop();
    timeout(Duration::from_millis(50), &mut stopped)
        .await
        .expect_err("the server should wait for the sign-in");
    TcpStream::connect(address).await.expect_err("the server should not listen any longer");

    stream.write_all(SIGNIN_BODY).await.unwrap();
    assert_eq!(answer(stream).await.status, 200);
    timeout(DEADLINE, stopped).await.expect("the server should stop").unwrap();
}

#[tokio::test]
async fn shutdown_leaves_one_database_file() {
    let file = ScratchFile::new("stop.sqlite3");
    let demo = Demo::start_with(settings(&file.url())).await;
    demo.sign_in().await;
    assert!(file.beside("-wal").exists());
    demo.stop().await.unwrap();
    assert!(!file.beside("-wal").exists());
}

#[tokio::test]
async fn shutdown_does_not_wait_forever() {
    let mut settings = settings("sqlite::memory:");
    settings.limits.shutdown = Duration::from_millis(100);
    let demo = Demo::start_with(settings).await;
    let _stalled = demo.begin_signin().await;

    let start = Instant::now();
    timeout(DEADLINE, demo.stop()).await.expect("the server should stop").unwrap();
    assert!(start.elapsed() >= Duration::from_millis(100), "{:?}", start.elapsed());
}
