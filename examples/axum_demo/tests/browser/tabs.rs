//! Several tabs share one refresh cookie.

use crate::page::Page;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn sign_out_reaches_other_tabs() {
    let page = Page::open_signed_in().await;
    let first = page.driver.window().await.unwrap();
    page.load_in_new_tab().await;
    page.shows("#account-heading", "Hello, Eze Sunday").await;
    page.click("#signout").await;
    page.shows("#account-heading", "Sign in").await;

    page.switch_to(&first).await;
    page.shows("#notice", "You have signed out in another tab.").await;
    page.shows("#account-heading", "Sign in").await;
    page.click("#call").await;
    page.shows("#answer", "401 Unauthorized").await;
}

/// Tabs must take turns: each value of the cookie works once, and a second use ends the session.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn tabs_refresh_one_after_the_other() {
    let page = Page::open_signed_in().await;
    let first = page.driver.window().await.unwrap();
    let second = page.load_in_new_tab().await;
    page.shows("#account-heading", "Hello, Eze Sunday").await;
    // Both start when this tab releases the lock.
    let hold = "void navigator.locks.request('refresh cookie', () => new Promise((done) => { window.letGo = done; }))";
    let _: Option<bool> = page.eval(hold).await;
    for tab in [&first, &second] {
        page.switch_to(tab).await;
        page.click("#refresh").await;
    }
    page.until(
        "both tabs to wait for the lock",
        "navigator.locks.query().then(({ pending }) => pending.length === 2)",
    )
    .await;
    let _: Option<bool> = page.eval("void window.letGo()").await;
    for tab in [&second, &first] {
        page.switch_to(tab).await;
        page.shows("#notice", "New access token").await;
        page.click("#call").await;
        page.shows("#answer", "200 OK").await;
    }
}

/// A tab may have been frozen at the time of the message.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn visible_again_tab_checks_the_session() {
    let page = Page::open_signed_in().await;
    // Signs out without the page, as if it had missed the message.
    let _: Option<bool> = page
        .eval(
            "(async () => {
                const { access_token } = await (await fetch('/refresh', { method: 'POST' })).json();
                await fetch('/signout', { method: 'POST', headers: { Authorization: `Bearer ${access_token}` } });
            })()",
        )
        .await;
    assert_eq!(page.text("#account-heading").await, "Hello, Eze Sunday", "the page does not know yet");
    let _: Option<bool> = page.eval("void document.dispatchEvent(new Event('visibilitychange'))").await;
    page.shows("#notice", "Your session has ended: sign in again.").await;
    page.shows("#account-heading", "Sign in").await;
}
