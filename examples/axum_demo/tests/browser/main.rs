//! The demo's page, in a browser. Needs `chromium` and `chromedriver`:
//!
//! ```sh
//! cargo test -p axum_demo --test browser -- --ignored
//! ```

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod accessibility;
mod appearance;
mod browser;
mod page;
mod refusals;
mod session;
mod sign_in;
mod sign_up;
mod tabs;
