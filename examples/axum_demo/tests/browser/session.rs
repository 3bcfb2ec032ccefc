//! A session, from sign-in to sign-out.

use crate::page::Page;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn calls_work_until_sign_out() {
    let page = Page::open_signed_in().await;
    page.click("#call").await;
    for line in ["GET /protected/", "200 OK", r#""first_name": "Eze""#] {
        page.shows("#answer", line).await;
    }
    page.click("#signout").await;
    page.shows("#notice", "You have signed out.").await;
    page.shows("#account-heading", "Sign in").await;
    page.focuses("#account-heading").await;
    assert!(!page.text("body").await.contains("jti"), "expected the claims to be gone");

    page.click("#call").await;
    page.shows("#answer", "401 Unauthorized").await;
    page.shows("#answer", r#"WWW-Authenticate: Bearer realm="api""#).await;
    page.shows("#answer", r#""title": "the request carries no bearer token""#).await;
    page.has_a_quiet_console().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn refresh_returns_a_new_token() {
    let page = Page::open_signed_in().await;
    let first = jti(&page).await;
    page.click("#refresh").await;
    page.shows("#notice", "New access token, valid for 15 minutes.").await;
    assert_ne!(jti(&page).await, first, "expected another jti");
    page.focuses("#refresh").await;
    page.click("#call").await;
    page.shows("#answer", "200 OK").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn reload_keeps_the_session() {
    let page = Page::open_signed_in().await;
    let before = jti(&page).await;
    page.driver.refresh().await.unwrap();
    page.shows("#account-heading", "Hello, Eze Sunday").await;
    assert_ne!(jti(&page).await, before, "expected a new token, because the old one was in memory only");
    page.has_a_quiet_console().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn reload_after_sign_out_stays_signed_out() {
    let page = Page::open_signed_in().await;
    page.click("#signout").await;
    page.shows("#notice", "You have signed out.").await;
    page.driver.refresh().await.unwrap();
    page.shows("#account-heading", "Sign in").await;
}

/// This happens after a restart with another secret: the session is still active and must end.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn sign_out_with_a_rejected_token_works() {
    let page = Page::open_signed_in().await;
    let token_is_refused = "void (() => {
        const { fetch } = window;
        window.fetch = (path, options) => {
            if (path === '/signout') options.headers.Authorization = 'Bearer a.b.c';
            return fetch(path, options);
        };
    })()";
    let _: Option<bool> = page.eval(token_is_refused).await;
    page.click("#signout").await;
    page.shows("#notice", "You have signed out.").await;
    page.driver.refresh().await.unwrap();
    page.shows("#account-heading", "Sign in").await;
}

/// Scripts find neither the access token nor the refresh token.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn stores_no_token_for_scripts() {
    let page = Page::open_signed_in().await;
    let stored: [String; 3] =
        page.eval("[JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie]").await;
    assert_eq!(stored, ["{}", "{}", ""], "localStorage, sessionStorage, document.cookie");
    let global: bool = page.eval("typeof held !== 'undefined'").await;
    assert!(!global, "expected no global variable with the token");
    let shown: bool = page.eval("/eyJ[\\w-]+\\.[\\w-]+\\.[\\w-]+/.test(document.body.innerHTML)").await;
    assert!(!shown, "expected no token in the document");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn refreshes_an_expiring_token_before_a_call() {
    let page = Page::open_signed_in().await;
    let first = jti(&page).await;
    // Advances the clock of the page to 10 seconds before the expiry of the token.
    let _: Option<bool> =
        page.eval("(() => { const now = Date.now; Date.now = () => now() + 890_000; })()").await;
    page.shows("#time-left", "0:0").await;
    page.click("#call").await;
    page.shows("#answer", "200 OK").await;
    assert_ne!(jti(&page).await, first, "expected a refresh before the call");
}

async fn jti(page: &Page) -> String {
    page.eval(
        "Array.from(document.querySelectorAll('#claims tr')).find((row) => row.cells[0].innerText === 'jti')\
         .cells[1].querySelector('code').innerText",
    )
    .await
}
