//! Tokens of a real OpenID provider, npm's `oidc-provider`, over real sockets. `.ci/provider` installs and runs it.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod bound;
mod certificates;
mod node;
mod opaque;
mod proofs;
mod provider;
mod service;
