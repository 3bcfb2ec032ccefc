//! What users of the crate notice, a module a topic.

mod answers;
mod auto_traits;
mod claims;
mod differential;
#[cfg(feature = "axum")]
mod extract;
mod keys;
mod principal;
mod support;
mod tower_contract;
