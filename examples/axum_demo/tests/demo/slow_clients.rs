//! Clients that start a request and stall.

use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::http::{JSON, answer, signin_request};
use crate::support::{Demo, settings};

const LIMIT: Duration = Duration::from_millis(100);

/// Shorter than the defaults of the server.
const DEADLINE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn slow_headers_close_the_connection() {
    let mut settings = settings("sqlite::memory:");
    settings.limits.headers = LIMIT;
    let demo = Demo::start_with(settings).await;
    let request = "GET /protected/ HTTP/1.1\r\nHost: demo\r\n";
    for (name, sent) in [
        ("nothing", ""),
        ("half a line", &request[..9]),
        ("some headers", request),
        ("no second request", &format!("{request}\r\n")),
    ] {
        let start = Instant::now();
        let mut stream = demo.send(sent.as_bytes()).await;
        // On an error, the server closed before it read the whole request.
        let _ = timeout(DEADLINE, stream.read_to_end(&mut Vec::new())).await.expect(name);
        assert!(start.elapsed() >= LIMIT, "{name}: {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn slow_bodies_get_408() {
    let mut settings = settings("sqlite::memory:");
    settings.limits.request = LIMIT;
    let demo = Demo::start_with(settings).await;
    let start = Instant::now();
    let request = signin_request(JSON, br#"{"email":"eze@example.com","password":"okon"}"#);
    let stream = demo.send(&request[..request.len() - 1]).await;
    let answer = timeout(DEADLINE, answer(stream)).await.expect("a response");
    assert_eq!(answer.status, 408);
    assert_eq!(answer.error(), "timed_out");
    assert_eq!(answer.json()["title"], "the request took too long");
    assert!(start.elapsed() >= LIMIT, "{:?}", start.elapsed());
}

/// The server buffers headers in memory until they end.
#[tokio::test]
async fn long_headers_get_431_early() {
    let demo = Demo::start().await;
    let begun = |length| format!("GET /protected/ HTTP/1.1\r\nHost: demo\r\nX-Long: {}", "x".repeat(length));
    let whole = format!("{}\r\nConnection: close\r\n\r\n", begun(12 * 1024));
    assert_eq!(demo.exchange(whole.as_bytes()).await.status, 401);
    let stream = demo.send(begun(20 * 1024).as_bytes()).await;
    let answer = timeout(DEADLINE, answer(stream)).await.expect("a response");
    assert_eq!((answer.status, answer.body.as_str()), (431, ""));
}
