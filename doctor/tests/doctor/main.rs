//! Runs the program as users do.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod api_key;
mod explain;
mod mint;
mod proof;
mod provider;
mod readme;
mod settings;
mod support;
