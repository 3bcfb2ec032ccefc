//! Sign-out.

use crate::http::{Answer, request};
use crate::support::{Demo, ScratchFile, settings};

async fn sign_out(demo: &Demo, authorization: &[&str]) -> Answer {
    demo.exchange(&request("POST", "/signout", authorization)).await
}

const REVOKED: &str =
    r#"Bearer realm="api", error="invalid_token", error_description="the token has been revoked""#;

#[tokio::test]
async fn ends_only_this_session() {
    let demo = Demo::start().await;
    let (mine, others) = (demo.bearer().await, demo.bearer().await);
    let answer = sign_out(&demo, &[&mine]).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    assert_eq!(answer.header("cache-control"), Some("no-store"));

    for answer in [demo.protected(&[&mine]).await, sign_out(&demo, &[&mine]).await] {
        assert_eq!(answer.status, 401);
        assert_eq!(answer.header("www-authenticate"), Some(REVOKED));
    }
    assert_eq!(demo.protected(&[&others]).await.status, 200, "maybe signed in within the same second");
    assert_eq!(demo.protected(&[&demo.bearer().await]).await.status, 200, "signed in again");
}

#[tokio::test]
async fn requires_a_token() {
    let demo = Demo::start().await;
    let answer = sign_out(&demo, &[]).await;
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(r#"Bearer realm="api""#)));
    assert_eq!(answer.json()["title"], "the request carries no bearer token");
    let answer = demo.exchange(&request("GET", "/signout", &[&demo.bearer().await])).await;
    assert_eq!(answer.status, 405);
}

#[tokio::test]
async fn completes_if_the_client_disconnects() {
    let file = ScratchFile::new("gone_before_the_answer.sqlite3");
    let demo = Demo::start_with(settings(&file.url())).await;
    for _ in 0..4 {
        let authorization = demo.bearer().await;
        drop(demo.send(&request("POST", "/signout", &[&authorization])).await);
        // All or nothing: a session never ends on disk and stays valid in memory.
        let still_good = demo.protected(&[&authorization]).await.status == 200;
        let again = sign_out(&demo, &[&authorization]).await.status;
        assert_eq!(again == 204, still_good, "{still_good} {again}");
    }
}

#[tokio::test]
async fn lasts_after_a_restart() {
    let file = ScratchFile::new("signed_out.sqlite3");
    let demo = Demo::start_with(settings(&file.url())).await;
    let (mine, others) = (demo.bearer().await, demo.bearer().await);
    assert_eq!(sign_out(&demo, &[&mine]).await.status, 204);
    demo.stop().await.unwrap();

    let demo = Demo::start_with(settings(&file.url())).await;
    assert_eq!(demo.protected(&[&mine]).await.header("www-authenticate"), Some(REVOKED));
    assert_eq!(demo.protected(&[&others]).await.status, 200);
}
