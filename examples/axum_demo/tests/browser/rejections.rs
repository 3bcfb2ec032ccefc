//! Rejections and outages: the page shows one clear sentence for each.

use serde_json::{Value, json};

use crate::page::Page;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn shows_each_rejection_as_one_sentence() {
    let page = Page::open().await;
    for (status, retry_after, message, expected) in [
        (401, "", "the email or the password is wrong", "The email or the password is wrong."),
        (422, "", "a password can have at most 72 bytes", "A password can have at most 72 bytes."),
        (
            429,
            "30",
            "too many attempts have failed",
            "Too many attempts have failed: try again in 30 seconds.",
        ),
        (
            429,
            "600",
            "too many attempts have failed",
            "Too many attempts have failed: try again in 10 minutes.",
        ),
        (
            429,
            "1",
            "too many requests from your network are waiting",
            "Too many requests from your network are waiting: try again in 1 second.",
        ),
        (503, "1", "the server is too busy", "The server is too busy: try again in 1 second."),
        (503, "", "the users cannot be looked up", "The users cannot be looked up: try again in a moment."),
        (500, "", "something went wrong on our side", "Something went wrong on our side."),
    ] {
        let body =
            json!({ "type": "https://demo.example/problems#made_up", "title": message, "status": status });
        answer_all(&page, status, retry_after, &body).await;
        page.sign_in("okon").await;
        page.shows("#signin [role=alert]", expected).await;
    }
}

/// The response is like that of the library on the protected route.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn shows_problem_details() {
    let page = Page::open_signed_in().await;
    let body = json!({ "title": "the user of the token cannot be looked up", "status": 503 });
    answer_all(&page, 503, "5", &body).await;
    page.click("#call").await;
    page.shows("#answer", "The user of the token cannot be looked up: try again in 5 seconds.").await;
    page.shows("#answer", r#""title": "the user of the token cannot be looked up""#).await;
    page.click("#signout").await;
    page.shows("#notice", "You are still signed in. The user of the token cannot be looked up: try").await;
}

/// Replaces all responses to the page.
async fn answer_all(page: &Page, status: u16, retry_after: &str, body: &Value) {
    let headers = json!({ "Content-Type": "application/problem+json", "Retry-After": retry_after });
    let answer = json!({ "status": status, "headers": headers });
    let body = json!(body.to_string());
    let stub = format!("void (window.fetch = async () => new Response({body}, {answer}))");
    let _: Option<bool> = page.eval(&stub).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn shows_that_the_server_is_offline() {
    let page = Page::open_signed_in().await;
    let offline = json!({ "offline": true, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
    page.devtools("Network.enable", json!({})).await;
    page.devtools("Network.emulateNetworkConditions", offline).await;

    page.click("#call").await;
    page.shows("#answer", "Cannot reach the server: check that it is running, and try again.").await;
    page.click("#signout").await;
    page.shows("#notice", "You are still signed in. Cannot reach the server").await;
    page.click("#refresh").await;
    page.shows("#notice", "Cannot reach the server").await;
    assert_eq!(page.text("#account-heading").await, "Hello, Eze Sunday", "still signed in");
}
