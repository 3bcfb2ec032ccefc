//! Tests of the public API, one module for each topic.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod allocations;
mod answers;
#[cfg(feature = "api-keys")]
mod api_key;
mod auto_traits;
mod cache;
mod caching;
mod claims;
#[cfg(feature = "axum")]
mod credentials;
mod differential;
#[cfg(feature = "dpop")]
mod dpop;
#[cfg(feature = "tracing")]
mod events;
#[cfg(feature = "explain")]
mod explain;
#[cfg(feature = "axum")]
mod extract;
mod grpc;
mod guide;
mod inside;
#[cfg(feature = "introspection")]
mod introspection;
#[cfg(feature = "issue")]
mod issue;
mod issuers;
mod keys;
#[cfg(feature = "metrics")]
mod measurements;
mod modes;
#[cfg(feature = "mtls")]
mod mtls;
mod policies;
mod principal;
mod private_names;
mod providers;
mod readme;
mod reject;
#[cfg(feature = "remote-keys-core")]
mod remote_keys;
mod requirements;
mod resource;
mod revocation;
#[cfg(all(
    feature = "issue",
    feature = "metrics",
    feature = "redis",
    feature = "remote-keys-core",
    feature = "tracing"
))]
mod secrets;
#[cfg(feature = "settings")]
mod settings;
#[cfg(feature = "shared-revocations")]
mod shared_revocations;
mod sign_out;
mod support;
mod threats;
mod token_sources;
mod tower_contract;
#[cfg(feature = "axum")]
mod websocket;
