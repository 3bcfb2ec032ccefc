//! Several tabs, which share one refresh cookie.

use crate::page::Page;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn a_sign_out_is_seen_in_other_tabs() {
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

/// Each value of the cookie is good for one use, and using one twice ends the session: so that tabs must take turns.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn tabs_refresh_one_after_the_other() {
    let page = Page::open_signed_in().await;
    let first = page.driver.window().await.unwrap();
    let second = page.load_in_new_tab().await;
    page.shows("#account-heading", "Hello, Eze Sunday").await;
    // Both begin as soon as this tab lets go of the lock.
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
        page.shows("#notice", "Here is another token").await;
        page.click("#call").await;
        page.shows("#answer", "200 OK").await;
    }
}

/// A tab may have been frozen when the others were told.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn a_tab_that_comes_back_into_view_looks_whether_the_session_is_there() {
    let page = Page::open_signed_in().await;
    // Behind the back of the page, as if the message had not come.
    let _: Option<bool> = page
        .eval(
            "(async () => {
                const { access_token } = await (await fetch('/refresh', { method: 'POST' })).json();
                await fetch('/signout', { method: 'POST', headers: { Authorization: `Bearer ${access_token}` } });
            })()",
        )
        .await;
    assert_eq!(page.text("#account-heading").await, "Hello, Eze Sunday", "it does not know yet");
    let _: Option<bool> = page.eval("void document.dispatchEvent(new Event('visibilitychange'))").await;
    page.shows("#notice", "Your session is over: sign in again.").await;
    page.shows("#account-heading", "Sign in").await;
}
