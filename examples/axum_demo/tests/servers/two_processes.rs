//! Two processes behind one address act as one.

use std::net::Ipv4Addr;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;

use crate::forwarder::Forwarder;
use crate::http::{Answer, JSON, answer, signin_request};
use crate::process::Servers;

#[ignore = "needs PostgreSQL and Redis: .ci/run runs it"]
#[tokio::test(flavor = "multi_thread")]
async fn both_processes_share_sessions() {
    let servers = Servers::start("session");
    let processes = [servers.process(), servers.process()];
    let front = Forwarder::start([processes[0].address, processes[1].address]).await;
    let signed_in = front.sign_in().await;
    let (mut cookie, mut credentials) = (signed_in.cookie(), vec![signed_in.bearer()]);
    // Alternates between both.
    for _ in 0..4 {
        let answer = front.refresh(&cookie).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        (cookie, _) = (answer.cookie(), credentials.push(answer.bearer()));
    }
    for credential in credentials.iter().flat_map(|credential| [credential, credential]) {
        assert_eq!(front.protected(&[credential]).await.status, 200);
    }
    assert_eq!(front.connections(), 1 + 4 + 10);

    assert_eq!(front.sign_out("/signout", &credentials[0]).await.status, 204);
    for process in &processes {
        for credential in &credentials {
            process.refuses_within_a_second(credential).await;
        }
        assert_eq!(process.refresh(&cookie).await.status, 401);
    }
    for _ in 0..2 {
        assert_eq!(front.protected(&[&credentials[0]]).await.status, 401);
    }
}

#[ignore = "needs PostgreSQL and Redis: .ci/run runs it"]
#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_in_both_within_a_second() {
    let servers = Servers::start("within-a-second");
    let processes = [servers.process(), servers.process()];
    for turn in 0..4 {
        let (here, there) = (&processes[turn % 2], &processes[(turn + 1) % 2]);
        let signed_in = here.sign_in().await;
        assert_eq!(there.protected(&[&signed_in.bearer()]).await.status, 200);
        assert_eq!(here.sign_out("/signout", &signed_in.bearer()).await.status, 204);
        there.refuses_within_a_second(&signed_in.bearer()).await;
    }

    let [here, there] = &processes;
    let sessions = [here.sign_in().await, there.sign_in().await];
    assert_eq!(here.sign_out("/signout/everywhere", &sessions[0].bearer()).await.status, 204);
    for session in sessions {
        here.refuses_within_a_second(&session.bearer()).await;
        there.refuses_within_a_second(&session.bearer()).await;
    }

    let signed_in = here.sign_in().await;
    let refreshed = here.refresh(&signed_in.cookie()).await;
    assert_eq!(there.refresh(&signed_in.cookie()).await.status, 401, "used a second time");
    for credential in [signed_in.bearer(), refreshed.bearer()] {
        here.refuses_within_a_second(&credential).await;
        there.refuses_within_a_second(&credential).await;
    }
}

#[ignore = "needs PostgreSQL and Redis: .ci/run runs it"]
#[tokio::test(flavor = "multi_thread")]
async fn both_processes_count_wrong_passwords() {
    let servers = Servers::start("attempts");
    let processes = [servers.process(), servers.process()];
    let front = Forwarder::start([processes[0].address, processes[1].address]).await;
    let (home, guesser) = (Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3));
    assert_eq!(signin_from(home, &front, "okon").await.status, 200);

    let mut guesses = 0;
    let refused = loop {
        let answer = signin_from(guesser, &front, "wrong").await;
        if answer.status != 401 {
            break answer;
        }
        guesses += 1;
    };
    assert_eq!((refused.status, refused.error().as_str()), (429, "too_many_attempts"));
    // Five failures are free. It would be ten if each process had its own count. On a busy machine a check may last
    // longer than the first delays of 1, 2, 4 and 8 seconds.
    assert!((5..10).contains(&guesses), "{guesses}");
    assert_eq!(signin_from(home, &front, "okon").await.status, 200);
}

/// Signs the first user in from a local address, with a forged `X-Forwarded-For`.
async fn signin_from(address: Ipv4Addr, front: &Forwarder, password: &str) -> Answer {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((address, 0).into()).unwrap();
    let mut stream = socket.connect(front.address).await.unwrap();
    let body = format!(r#"{{"email":"eze@example.com","password":"{password}"}}"#);
    let content_type = format!("{JSON}\r\nX-Forwarded-For: 127.0.0.2");
    stream.write_all(&signin_request(&content_type, body.as_bytes())).await.unwrap();
    answer(stream).await
}
