//! The page of a running demo, as a user sees it.

use std::fmt::Debug;
use std::future::pending;
use std::time::Duration;

use axum_demo::{Settings, app, listen, serve};
use serde::de::DeserializeOwned;
use serde_json::json;
use thirtyfour::{By, WebDriver, WebElement, WindowHandle};
use tokio::time::{Instant, sleep};

use crate::browser::ChromeDriver;

/// Time limit for changes of the page on a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

/// Time between two checks of the page.
const POLL: Duration = Duration::from_millis(50);

pub(crate) struct Page {
    /// Closes the browser on drop, which must happen before chromedriver ends. The drop blocks its thread, so tests
    /// need a multi-threaded runtime.
    pub(crate) driver: WebDriver,
    url: String,
    _chromedriver: ChromeDriver,
}

impl Page {
    /// Starts a demo and opens its page, signed out.
    pub(crate) async fn open() -> Self {
        let url = start_demo().await;
        let chromedriver = ChromeDriver::start();
        let page = Self { driver: chromedriver.browser().await, url, _chromedriver: chromedriver };
        page.load().await;
        page.shows("#account-heading", "Sign in").await;
        page
    }

    /// Starts a demo and opens its page, signed in as the first user.
    pub(crate) async fn open_signed_in() -> Self {
        let page = Self::open().await;
        page.sign_in("okon").await;
        page.shows("#account-heading", "Hello, Eze Sunday").await;
        page
    }

    /// Loads the page into the current tab.
    pub(crate) async fn load(&self) {
        self.driver.goto(&self.url).await.unwrap();
    }

    /// Loads the page into a new tab, which becomes the current one.
    pub(crate) async fn load_in_new_tab(&self) -> WindowHandle {
        let tab = self.driver.new_tab().await.unwrap();
        self.switch_to(&tab).await;
        self.load().await;
        tab
    }

    pub(crate) async fn switch_to(&self, tab: &WindowHandle) {
        self.driver.switch_to_window(tab.clone()).await.unwrap();
    }

    /// Fills in the form with the email of the first user and submits it.
    pub(crate) async fn sign_in(&self, password: &str) {
        self.fill("#signin-email", "eze@example.com").await;
        self.fill("#signin-password", password).await;
        self.click("#signin [type=submit]").await;
    }

    pub(crate) async fn fill(&self, selector: &str, text: &str) {
        let field = self.visible(selector).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    pub(crate) async fn click(&self, selector: &str) {
        self.visible(selector).await.click().await.unwrap();
    }

    /// Returns the text of an element.
    pub(crate) async fn text(&self, selector: &str) -> String {
        self.visible(selector).await.text().await.unwrap()
    }

    async fn visible(&self, selector: &str) -> WebElement {
        let expression = format!("document.querySelector({})?.checkVisibility()", json!(selector));
        self.until(&format!("{selector} to be visible"), &expression).await;
        self.driver.find(By::Css(selector)).await.unwrap()
    }

    /// Waits until an element contains this text.
    pub(crate) async fn shows(&self, selector: &str, text: &str) {
        let expression =
            format!("document.querySelector({})?.innerText.includes({})", json!(selector), json!(text));
        self.until(&format!("{selector} to show {text:?}"), &expression).await;
    }

    /// Waits until an element has the focus.
    pub(crate) async fn focuses(&self, selector: &str) {
        let expression = format!("document.activeElement.matches({})", json!(selector));
        self.until(&format!("{selector} to have the focus"), &expression).await;
    }

    /// Waits until a JavaScript expression is true.
    pub(crate) async fn until(&self, expected: &str, expression: &str) {
        let deadline = Instant::now() + DEADLINE;
        while !self.eval::<Option<bool>>(expression).await.unwrap_or(false) {
            if Instant::now() > deadline {
                let focus: String = self.eval("document.activeElement.outerHTML.slice(0, 200)").await;
                let text: String = self.eval("document.body.innerText").await;
                panic!("expected {expected}; the focus is on {focus}, and the page says:\n{text}");
            }
            sleep(POLL).await;
        }
    }

    /// Returns the value of a JavaScript expression.
    pub(crate) async fn eval<T: DeserializeOwned + Debug>(&self, expression: &str) -> T {
        let answer = self.driver.execute(format!("return {expression}"), vec![]).await;
        answer.and_then(|value| value.convert()).unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    /// Sends a command of the DevTools protocol.
    pub(crate) async fn devtools(&self, method: &str, parameters: serde_json::Value) {
        self.driver.cdp().send_raw(method, parameters).await.unwrap();
    }

    /// Checks that no script failed and that the content security policy blocked nothing. Ignores messages about the
    /// status of responses, which each test checks itself.
    pub(crate) async fn has_a_quiet_console(&self) {
        let log = self.driver.browser_log().await.unwrap();
        let wrong: Vec<_> = log
            .iter()
            .filter(|entry| entry.level == "SEVERE" || entry.level == "WARNING")
            .map(|entry| &entry.message)
            .filter(|message| !message.contains("the server responded with a status of"))
            .collect();
        assert!(wrong.is_empty(), "expected nothing on the console, found {wrong:#?}");
    }
}

/// Starts a demo with a database in memory, until the test ends. Returns the URL of its page.
async fn start_demo() -> String {
    let variables = [("DEMO_ADDR", "127.0.0.1:0"), ("DATABASE_URL", "sqlite::memory:")];
    let settings = Settings::read(variables.map(|(name, value)| (name.into(), value.into()))).unwrap();
    let listener = listen(settings.address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app(&settings).await.unwrap();
    tokio::spawn(serve(listener, app, settings.limits, pending()));
    format!("http://{address}/")
}
