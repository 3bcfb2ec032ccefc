//! Many sign-ins at once.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::{Demo, answer, signin_request};

const SIGN_INS: usize = 200;

/// One in four with the right password.
async fn flood(demo: &Demo) -> Vec<TcpStream> {
    let right = signin_request(
        "application/json",
        br#"{"email":"eze@example.com","password":"okon"}"#,
    );
    let wrong = signin_request(
        "application/json",
        br#"{"email":"eze@example.com","password":"wrong"}"#,
    );
    let mut streams = Vec::new();
    for position in 0..SIGN_INS {
        let mut stream = TcpStream::connect(demo.address).await.unwrap();
        stream
            .write_all(if position % 4 == 0 { &right } else { &wrong })
            .await
            .unwrap();
        streams.push(stream);
    }
    streams
}

#[tokio::test(flavor = "multi_thread")]
async fn is_answered_in_part_and_leaves_the_rest_alone() {
    let demo = Demo::start().await;
    let authorization = format!("Bearer {}", demo.token().await);

    let mut answers = JoinSet::new();
    for stream in flood(&demo).await {
        answers.spawn(answer(stream));
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..10 {
        let start = Instant::now();
        assert_eq!(demo.protected(&[&authorization]).await.status, 200);
        slowest = slowest.max(start.elapsed());
    }
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");

    let (mut checked, mut too_busy) = (0, 0);
    for answer in answers.join_all().await {
        match answer.status {
            200 | 401 => checked += 1,
            503 => {
                assert_eq!(answer.header("retry-after"), Some("1"));
                assert_eq!(answer.json()["error"], "too_busy");
                too_busy += 1;
            }
            other => panic!("{other}: {}", answer.body),
        }
    }
    assert!(
        checked > 1 && too_busy > 0,
        "{checked} checked, {too_busy} too busy"
    );
    assert_eq!(demo.signin("eze@example.com", "okon").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_clients_that_leave_keeps_no_place() {
    let demo = Demo::start().await;
    drop(flood(&demo).await);

    let deadline = Instant::now() + Duration::from_secs(5);
    while demo.signin("eze@example.com", "okon").await.status != 200 {
        assert!(Instant::now() < deadline, "the places should be free again");
        sleep(Duration::from_millis(50)).await;
    }
}
