//! Clients that begin a request and do not go on.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Demo, answer, settings};

const LIMIT: Duration = Duration::from_millis(100);

/// Far from both the limit and the defaults.
const DEADLINE: Duration = Duration::from_secs(3);

#[tokio::test]
async fn with_headers_are_hung_up_on() {
    let mut settings = settings("sqlite::memory:");
    settings.limits.headers = LIMIT;
    let demo = Demo::start_with(settings).await;
    for (name, sent) in [
        ("nothing", ""),
        ("half a line", "GET /prot"),
        ("some headers", "GET /protected/ HTTP/1.1\r\nHost: demo\r\n"),
        (
            "no second request",
            "GET /protected/ HTTP/1.1\r\nHost: demo\r\n\r\n",
        ),
    ] {
        let start = Instant::now();
        let mut stream = TcpStream::connect(demo.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
        assert!(
            (LIMIT..DEADLINE).contains(&start.elapsed()),
            "{name}: {:?}",
            start.elapsed()
        );
    }
}

#[tokio::test]
async fn with_the_body_are_told() {
    let mut settings = settings("sqlite::memory:");
    settings.limits.request = LIMIT;
    let demo = Demo::start_with(settings).await;
    let start = Instant::now();
    let mut stream = TcpStream::connect(demo.address).await.unwrap();
    let head =
        "POST /signin HTTP/1.1\r\nHost: demo\r\nContent-Type: application/json\r\nContent-Length: 45\r\n\r\n";
    stream
        .write_all(format!("{head}{{\"email\":").as_bytes())
        .await
        .unwrap();
    let answer = answer(stream).await;
    assert_eq!(answer.status, 408);
    assert_eq!(
        answer.body,
        r#"{"error":"timed_out","message":"the request took too long"}"#
    );
    assert!(
        (LIMIT..DEADLINE).contains(&start.elapsed()),
        "{:?}",
        start.elapsed()
    );
}
