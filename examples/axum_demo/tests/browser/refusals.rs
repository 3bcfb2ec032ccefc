//! Answers that are no success, and no answer at all: one clear sentence each.

use serde_json::{Value, json};

use crate::page::Page;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn each_refusal_is_one_sentence() {
    let page = Page::open().await;
    for (status, retry_after, message, expected) in [
        (401, "", "the email or the password is wrong", "The email or the password is wrong."),
        (422, "", "a password has at most 72 bytes", "A password has at most 72 bytes."),
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
            "many requests from your network are waiting",
            "Many requests from your network are waiting: try again in 1 second.",
        ),
        (503, "1", "the server is too busy", "The server is too busy: try again in 1 second."),
        (503, "", "the users cannot be looked up", "The users cannot be looked up: try again in a moment."),
        (500, "", "something went wrong on our side", "Something went wrong on our side."),
    ] {
        let body = json!({ "error": "made_up", "message": message });
        answer_all(&page, status, "application/json", retry_after, &body).await;
        page.sign_in("okon").await;
        page.shows("#signin [role=alert]", expected).await;
    }
}

/// As the library answers on the protected route.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn problem_details_are_shown() {
    let page = Page::open_signed_in().await;
    let body = json!({ "title": "the user of the token cannot be looked up", "status": 503 });
    answer_all(&page, 503, "application/problem+json", "5", &body).await;
    page.click("#call").await;
    page.shows("#answer", "The user of the token cannot be looked up: try again in 5 seconds.").await;
    page.shows("#answer", r#""title": "the user of the token cannot be looked up""#).await;
    page.click("#signout").await;
    page.shows("#notice", "You are still signed in. The user of the token cannot be looked up: try").await;
}

/// Has every request of the page answered with this.
async fn answer_all(page: &Page, status: u16, content_type: &str, retry_after: &str, body: &Value) {
    let headers = json!({ "Content-Type": content_type, "Retry-After": retry_after });
    let answer = json!({ "status": status, "headers": headers });
    let body = json!(body.to_string());
    let stub = format!("void (window.fetch = async () => new Response({body}, {answer}))");
    let _: Option<bool> = page.eval(&stub).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn a_server_that_is_not_there_is_told_of() {
    let page = Page::open_signed_in().await;
    let offline = json!({ "offline": true, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
    page.devtools("Network.enable", json!({})).await;
    page.devtools("Network.emulateNetworkConditions", offline).await;

    page.click("#call").await;
    page.shows("#answer", "The server cannot be reached: see whether it is running, and try again.").await;
    page.click("#signout").await;
    page.shows("#notice", "You are still signed in. The server cannot be reached").await;
    page.click("#refresh").await;
    page.shows("#notice", "The server cannot be reached").await;
    assert_eq!(page.text("#account-heading").await, "Hello, Eze Sunday", "still signed in");
}
