//! Sign-up, and sign-out from all sessions.

use crate::page::Page;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn new_user_signs_up_and_out_everywhere() {
    let page = Page::open().await;
    page.click("#to-signup").await;
    page.shows("#account-heading", "Create an account").await;
    page.focuses("#signup-first-name").await;
    page.fill("#signup-first-name", "Ada").await;
    page.fill("#signup-last-name", " ").await;
    page.fill("#signup-email", "ada@example.com").await;
    page.fill("#signup-password", "password123").await;

    page.click("#signup [type=submit]").await;
    page.shows("#signup-last-name-error", "A name must have 1 to 100 characters").await;
    page.focuses("#signup-last-name[aria-invalid=true]").await;

    page.fill("#signup-last-name", "Lovelace").await;
    page.click("#signup [type=submit]").await;
    page.shows("#signup-password-error", "The password is easy to guess: ").await;
    page.focuses("#signup-password[aria-invalid=true]").await;
    assert_eq!(page.text("#account-heading").await, "Create an account", "still signed out");

    page.fill("#signup-password", "seventeen calm herons on the weir").await;
    page.click("#signup [type=submit]").await;
    page.shows("#account-heading", "Hello, Ada Lovelace").await;
    page.focuses("#account-heading").await;
    page.click("#call").await;
    page.shows("#answer", r#""email": "ada@example.com""#).await;

    page.click("#signout-everywhere").await;
    page.shows("#notice", "You have signed out everywhere.").await;
    page.focuses("#account-heading").await;
    page.driver.refresh().await.unwrap();
    page.shows("#account-heading", "Sign in").await;
    page.has_a_quiet_console().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver: .ci/run runs it"]
async fn rejects_an_email_with_an_account() {
    let page = Page::open().await;
    page.click("#to-signup").await;
    page.fill("#signup-first-name", "Eze").await;
    page.fill("#signup-last-name", "Sunday").await;
    page.fill("#signup-email", "eze@example.com").await;
    page.fill("#signup-password", "seventeen calm herons on the weir").await;
    page.click("#signup [type=submit]").await;
    page.shows("#signup-email-error", "An account with this email already exists: sign in instead.").await;
    page.focuses("#signup-email").await;
}
