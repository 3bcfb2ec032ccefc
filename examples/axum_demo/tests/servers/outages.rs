//! A shared server crashes and recovers. Sign-outs stay in effect.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use crate::process::{Servers, process_with_errors};
use crate::redis_server::Server as RedisServer;

#[ignore = "needs PostgreSQL and Redis: .ci/run runs it"]
#[tokio::test(flavor = "multi_thread")]
async fn redis_outage_loses_no_sign_out() {
    let mut servers = Servers::start("crash");
    let [first, second] = [servers.process(), servers.process()];
    let staying = first.sign_in().await.bearer();
    for _ in 0..2 {
        let (before, meanwhile) = (first.sign_in().await.bearer(), first.sign_in().await.bearer());
        assert_eq!(first.sign_out("/signout", &before).await.status, 204);
        servers.redis.kill();
        assert_eq!(second.sign_out("/signout", &meanwhile).await.status, 204);
        assert_eq!(second.protected(&[&meanwhile]).await.status, 401, "at once");
        for process in [&first, &second] {
            assert_eq!(process.protected(&[&staying]).await.status, 200, "the process keeps serving");
        }
        // A new process has no revocation list yet.
        let third = servers.process();
        assert_eq!(third.protected(&[&staying]).await.status, 503);
        assert_eq!(third.signin("eze@example.com", "okon").await.status, 200);

        servers.redis.restart();
        let fourth = servers.process();
        for process in [&first, &second, &third, &fourth] {
            process.refuses_within_a_second(&before).await;
            process.refuses_within_a_second(&meanwhile).await;
            process.answers_within_a_second(&staying, 200).await;
        }
    }
}

#[ignore = "needs PostgreSQL and Redis: .ci/run runs it"]
#[tokio::test(flavor = "multi_thread")]
async fn logs_redis_outages_to_standard_error() {
    let next = |errors: &Receiver<String>| errors.recv_timeout(Duration::from_secs(20)).unwrap();
    let away = |line: String, consequence: &str| {
        assert!(line.starts_with("REDIS_URL: Redis does not respond ("), "{line}");
        assert!(line.ends_with(&format!("): {consequence}")), "{line}");
    };
    let mut redis = RedisServer::start("demo-told");
    let (first, errors) = process_with_errors(&redis);
    redis.kill();
    away(
        next(&errors),
        "sign-outs do not reach other processes; after a minute, tokens are rejected with 503 until it does",
    );
    let (second, errors_of_second) = process_with_errors(&redis);
    away(next(&errors_of_second), "tokens are rejected with 503 until it does");
    redis.restart();
    for errors in [errors, errors_of_second] {
        assert_eq!(next(&errors), "REDIS_URL: Redis responds again");
    }
    drop((first, second));
}

#[ignore = "needs PostgreSQL and Redis: .ci/run runs it"]
#[tokio::test(flavor = "multi_thread")]
async fn new_process_restores_lost_sign_outs() {
    let mut servers = Servers::start("both");
    let [first, second] = [servers.process(), servers.process()];
    let leaving = first.sign_in().await.bearer();
    servers.redis.kill();
    assert_eq!(second.sign_out("/signout", &leaving).await.status, 204);
    drop(second);
    servers.redis.restart();
    // Its successor reads the database and writes to Redis.
    let _third = servers.process();
    first.refuses_within_a_second(&leaving).await;
}

#[ignore = "needs PostgreSQL and Redis: .ci/run runs it"]
#[tokio::test(flavor = "multi_thread")]
async fn redis_data_loss_loses_no_sign_out() {
    let mut servers = Servers::start("forgets");
    let [first, second] = [servers.process(), servers.process()];
    let sessions = [first.sign_in().await, first.sign_in().await, first.sign_in().await];
    let [before, after, staying] = sessions.map(|answer| answer.bearer());
    assert_eq!(first.sign_out("/signout", &before).await.status, 204);
    second.refuses_within_a_second(&before).await;
    servers.redis.kill();
    servers.redis.forget();
    servers.redis.restart();
    let third = servers.process();
    assert_eq!(second.sign_out("/signout", &after).await.status, 204);
    for process in [&first, &second, &third] {
        process.refuses_within_a_second(&before).await;
        process.refuses_within_a_second(&after).await;
        process.answers_within_a_second(&staying, 200).await;
    }

    // Only the database still has the sign-outs.
    for process in [first, second, third] {
        process.stop();
    }
    servers.redis.kill();
    servers.redis.forget();
    servers.redis.restart();
    let next = servers.process();
    for revoked in [&before, &after] {
        assert_eq!(next.protected(&[revoked]).await.status, 401);
    }
    assert_eq!(next.protected(&[&staying]).await.status, 200);
}

#[ignore = "needs PostgreSQL and Redis: .ci/run runs it"]
#[tokio::test(flavor = "multi_thread")]
async fn postgresql_outage_loses_no_sign_out() {
    let servers = Servers::start("postgres");
    let processes = [servers.process(), servers.process()];
    let [first, second] = &processes;
    let (leaving, staying) = (first.sign_in().await, first.sign_in().await);
    let (credentials, cookie) = ([staying.bearer()], staying.cookie());
    let credentials = credentials.each_ref().map(String::as_str);
    servers.postgres.stop();
    for process in &processes {
        let answers = tokio::join!(
            process.protected(&credentials),
            process.signin("eze@example.com", "okon"),
            process.refresh(&cookie),
        );
        assert_eq!([answers.0.status, answers.1.status, answers.2.status], [503; 3]);
    }
    // The database cannot store the sign-out, but it counts.
    assert_eq!(first.sign_out("/signout", &leaving.bearer()).await.status, 503);
    servers.postgres.start_again();
    for process in &processes {
        process.refuses_within_a_second(&leaving.bearer()).await;
        assert_eq!(process.protected(&credentials).await.status, 200);
        assert_eq!(process.signin("eze@example.com", "okon").await.status, 200);
    }
    assert_eq!(second.refresh(&cookie).await.status, 200);
}
