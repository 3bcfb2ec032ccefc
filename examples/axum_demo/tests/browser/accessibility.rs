//! Accessibility.

use axum::http::Method;
use serde_json::Value;
use thirtyfour::common::command::FormatRequestData;
use thirtyfour::{By, ElementId, RequestData, SessionId};

use crate::page::Page;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn each_control_has_a_name() {
    let page = Page::open().await;
    assert_eq!(
        names(&page).await,
        ["Email", "Password", "Sign in", "Create an account", "Call GET /protected/"]
    );
    page.click("#to-signup").await;
    assert_eq!(
        names(&page).await,
        ["First name", "Last name", "Email", "Password", "Create account", "Sign in", "Call GET /protected/"]
    );
    page.click("#to-signin").await;
    page.sign_in("okon").await;
    page.shows("#account-heading", "Hello, Eze Sunday").await;
    assert_eq!(names(&page).await, ["Sign out", "Sign out everywhere", "Call GET /protected/", "Refresh"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn page_has_landmarks_and_headings() {
    let page = Page::open_signed_in().await;
    for landmark in ["header", "main", "footer"] {
        let count: u32 = page.eval(&format!("document.querySelectorAll('body > {landmark}').length")).await;
        assert_eq!(count, 1, "expected one {landmark}");
    }
    let headings: Vec<String> = page
        .eval("Array.from(document.querySelectorAll('h1, h2, h3'), (h) => `${h.localName} ${h.innerText}`)")
        .await;
    assert_eq!(headings, ["h1 Hello, Eze Sunday", "h2 The protected route", "h2 The access token"]);
    let title: String = page.eval("document.title").await;
    assert_eq!(title, "Hello, Eze Sunday · tower-jwt-auth demo");
}

/// Screen readers announce changes of live regions. The countdown must not change one.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn countdown_is_not_announced_every_second() {
    let page = Page::open_signed_in().await;
    let watch = "void (window.changes = [], new MutationObserver((seen) => window.changes.push(...seen))\
                 .observe(document.body, { subtree: true, childList: true, characterData: true }))";
    let _: Option<bool> = page.eval(watch).await;
    page.until(
        "the countdown to change twice",
        "window.changes.filter((change) => change.target.id === 'time-left').length > 1",
    )
    .await;
    let announced: Vec<String> = page
        .eval(
            "window.changes.map(({ target }) => target.closest('[role=status], [role=alert], [aria-live]')?.id)\
             .filter(Boolean)",
        )
        .await;
    assert!(announced.is_empty(), "expected no announcement, found {announced:?}");
    let role: String = page.eval("document.querySelector('#time-left').role").await;
    assert_eq!(role, "timer", "screen readers can read it on request");
}

/// Returns the accessible names of all visible controls, as the browser computes them.
async fn names(page: &Page) -> Vec<String> {
    let mut names = Vec::new();
    for control in page.driver.find_all(By::Css("a, button, input, select, textarea")).await.unwrap() {
        if control.is_displayed().await.unwrap() {
            let answer = page.driver.cmd(ComputedLabel(control.element_id())).await.unwrap();
            names.push(answer.value::<Value>().unwrap().as_str().unwrap_or_default().to_owned());
        }
    }
    names
}

/// <https://www.w3.org/TR/webdriver2/#get-computed-label>
#[derive(Debug)]
struct ComputedLabel(ElementId);

impl FormatRequestData for ComputedLabel {
    fn format_request(&self, session: &SessionId) -> RequestData {
        RequestData::new(Method::GET, format!("session/{session}/element/{}/computedlabel", self.0))
    }
}
