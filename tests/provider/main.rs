//! Tokens of a real OpenID provider, npm's `oidc-provider`, over real sockets. `.ci/provider` installs it and runs this.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod bound;
mod node;
mod opaque;
mod provider;
mod service;
