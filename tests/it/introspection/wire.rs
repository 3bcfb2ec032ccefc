use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use std::future::IntoFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tower_jwt_auth::introspection::Introspection;

use super::auth;

/// Starts a server whose connections close after this many responses, when the next request arrives if `late`. Returns its
/// URL and the number of connections.
async fn start(responses: usize, late: bool) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/introspect", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut request = [0; 4096];
                for _ in 0..responses {
                    if stream.read(&mut request).await.unwrap_or(0) == 0 {
                        return;
                    }
                    let response = b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"active\":true}";
                    stream.write_all(response).await.unwrap();
                }
                if late {
                    let _ = stream.read(&mut request).await;
                }
            });
        }
    });
    (url, connections)
}

async fn ask(verifier: &Introspection<Value>, calls: usize) {
    for n in 0..calls {
        let verdict = timeout(Duration::from_secs(5), verifier.verify(&format!("token{n}")).into_future());
        verdict.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn keeps_connections_open() {
    let (url, connections) = start(100, false).await;
    ask(&Introspection::endpoint(&url, auth()).unwrap(), 20).await;
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn closed_connection_fails_no_call() {
    for late in [false, true] {
        let (url, connections) = start(1, late).await;
        ask(&Introspection::endpoint(&url, auth()).unwrap(), 10).await;
        assert!(connections.load(Ordering::Relaxed) >= 10, "{late}");
    }
}
