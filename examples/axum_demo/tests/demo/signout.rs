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

    let answer = demo.protected(&[&mine]).await;
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(REVOKED)));
    assert_eq!(sign_out(&demo, &[&mine]).await.status, 204, "it can be repeated");
    assert_eq!(demo.protected(&[&others]).await.status, 200, "maybe signed in within the same second");
    assert_eq!(demo.protected(&[&demo.bearer().await]).await.status, 200, "signed in again");
}

#[tokio::test]
async fn requires_a_token_or_a_cookie() {
    let demo = Demo::start().await;
    let answer = sign_out(&demo, &[]).await;
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(r#"Bearer realm="api""#)));
    assert_eq!(answer.json()["title"], "the request carries no bearer token");
    let answer =
        demo.sign_out_with_cookie("/signout", "refresh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").await;
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(r#"Bearer realm="api""#)));
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
        assert_eq!(sign_out(&demo, &[&authorization]).await.status, 204);
        assert_eq!(demo.protected(&[&authorization]).await.status, 401);
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

#[tokio::test]
async fn cookie_is_enough() {
    let demo = Demo::start().await;
    for path in ["/signout", "/signout/everywhere"] {
        let (mine, others) = (demo.sign_in().await, demo.sign_in().await);
        let answer = demo.sign_out_with_cookie(path, &mine.cookie()).await;
        assert_eq!((answer.status, answer.cookie().as_str()), (204, "refresh="));
        assert_eq!(demo.protected(&[&mine.bearer()]).await.status, 401);
        let expected = if path == "/signout" { 200 } else { 401 };
        assert_eq!(demo.protected(&[&others.bearer()]).await.status, expected);
    }
}
