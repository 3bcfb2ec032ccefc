//! Clients that begin a request and do not go on.

use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::http::{JSON, answer, signin_request};
use crate::support::{Demo, settings};

const LIMIT: Duration = Duration::from_millis(100);

/// Far from the defaults.
const DEADLINE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn with_headers_are_hung_up_on() {
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
        // An error is that the server closed with some of the request unread.
        let _ = timeout(DEADLINE, stream.read_to_end(&mut Vec::new())).await.expect(name);
        assert!(start.elapsed() >= LIMIT, "{name}: {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn with_the_body_are_told() {
    let mut settings = settings("sqlite::memory:");
    settings.limits.request = LIMIT;
    let demo = Demo::start_with(settings).await;
    let start = Instant::now();
    let request = signin_request(JSON, br#"{"email":"eze@example.com","password":"okon"}"#);
    let stream = demo.send(&request[..request.len() - 1]).await;
    let answer = timeout(DEADLINE, answer(stream)).await.expect("an answer");
    assert_eq!(answer.status, 408);
    assert_eq!(answer.body, r#"{"error":"timed_out","message":"the request took too long"}"#);
    assert!(start.elapsed() >= LIMIT, "{:?}", start.elapsed());
}

/// What they have sent is kept in memory until it is at its end.
#[tokio::test]
async fn with_long_headers_are_told_before_the_end() {
    let demo = Demo::start().await;
    let begun = |length| format!("GET /protected/ HTTP/1.1\r\nHost: demo\r\nX-Long: {}", "x".repeat(length));
    let whole = format!("{}\r\nConnection: close\r\n\r\n", begun(12 * 1024));
    assert_eq!(demo.exchange(whole.as_bytes()).await.status, 401);
    let stream = demo.send(begun(20 * 1024).as_bytes()).await;
    let answer = timeout(DEADLINE, answer(stream)).await.expect("an answer");
    assert_eq!((answer.status, answer.body.as_str()), (431, ""));
}
