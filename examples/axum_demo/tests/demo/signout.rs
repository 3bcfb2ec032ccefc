//! Signing out: which tokens end, and which do not.

use crate::http::{Answer, request};
use crate::support::{Demo, ScratchFile, settings};

async fn sign_out(demo: &Demo, authorization: &[&str]) -> Answer {
    demo.exchange(&request("POST", "/signout", authorization)).await
}

const REVOKED: &str =
    r#"Bearer realm="api", error="invalid_token", error_description="the token has been revoked""#;

#[tokio::test]
async fn ends_this_session_and_no_other() {
    let demo = Demo::start().await;
    let (mine, others) = (demo.bearer().await, demo.bearer().await);
    let answer = sign_out(&demo, &[&mine]).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    assert_eq!(answer.header("cache-control"), Some("no-store"));

    for answer in [demo.protected(&[&mine]).await, sign_out(&demo, &[&mine]).await] {
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("www-authenticate"), Some(REVOKED));
    }
    assert_eq!(demo.protected(&[&others]).await.status, 200, "signed in within the same second, perhaps");
    assert_eq!(demo.protected(&[&demo.bearer().await]).await.status, 200, "and again");
}

#[tokio::test]
async fn takes_a_token() {
    let demo = Demo::start().await;
    let answer = sign_out(&demo, &[]).await;
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(r#"Bearer realm="api""#)));
    assert_eq!(answer.json()["title"], "the request carries no bearer token");
    let answer = demo.exchange(&request("GET", "/signout", &[&demo.bearer().await])).await;
    assert_eq!(answer.status, 405);
}

#[tokio::test]
async fn is_done_even_if_nobody_waits_for_the_answer() {
    let file = ScratchFile::new("gone_before_the_answer.sqlite3");
    let demo = Demo::start_with(settings(&file.url())).await;
    for _ in 0..4 {
        let authorization = demo.bearer().await;
        drop(demo.send(&request("POST", "/signout", &[&authorization])).await);
        // Either nothing has come of it, or all: never a session that is over on disk and good in memory.
        let still_good = demo.protected(&[&authorization]).await.status == 200;
        let again = sign_out(&demo, &[&authorization]).await.status;
        assert_eq!(again == 204, still_good, "{still_good} {again}");
    }
}

#[tokio::test]
async fn outlives_a_restart() {
    let file = ScratchFile::new("signed_out.sqlite3");
    let demo = Demo::start_with(settings(&file.url())).await;
    let (mine, others) = (demo.bearer().await, demo.bearer().await);
    assert_eq!(sign_out(&demo, &[&mine]).await.status, 204);
    demo.stop().await.unwrap();

    let demo = Demo::start_with(settings(&file.url())).await;
    assert_eq!(demo.protected(&[&mine]).await.header("www-authenticate"), Some(REVOKED));
    assert_eq!(demo.protected(&[&others]).await.status, 200);
}
