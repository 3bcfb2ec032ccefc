//! The guide: one page for each task, with examples that are compiled and run as tests.
//!
//! | page | answers |
//! |---|---|
//! | [Getting started](getting_started) | How do I protect a route and read the claims? |
//! | [Frameworks](frameworks) | How does the layer fit into axum, hyper, tonic and MCP servers? |
//! | [Providers](providers) | Which settings do Keycloak, Auth0, Entra ID and 33 others need? |
//! | [Token sources](token_sources) | How do I read tokens from cookies, headers, queries and WebSockets? |
//! | [API keys and opaque tokens](other_credentials) | How do I accept credentials that are not JWTs? |
//! | [Sender-constrained tokens](sender_constrained) | How do I accept tokens bound by DPoP or mutual TLS? |
//! | [Authorization](authorization) | How do I require scopes and roles, make a token optional, load the user? |
//! | [Error responses](error_responses) | What does a client see, and how do I change the body? |
//! | [Caching and revocation](caching_and_revocation) | What is cached, and how do I revoke a token? |
//! | [Issuing tokens](issuing_tokens) | How do I sign tokens and rotate keys? |
//! | [Settings](settings) | How do I configure all of it from the environment or a file? |
//! | [Observability](observability) | What is logged and measured? |
//! | [Deployment](deployment) | What do proxies, CORS, HTTP/2 and several processes need? |
//! | [Testing](testing) | How do I test a service behind the layer? |
//! | [Security model](security_model) | What is checked, and what is up to you? |
//! | [Migration](migration) | How do I move here from another crate? |
//! | [FAQ](faq) | Why is my token rejected? |

#[doc = include_str!("getting_started.md")]
pub mod getting_started {}
#[doc = include_str!("frameworks.md")]
pub mod frameworks {}
#[doc = include_str!("providers.md")]
pub mod providers {}
#[doc = include_str!("token_sources.md")]
pub mod token_sources {}
#[doc = include_str!("other_credentials.md")]
pub mod other_credentials {}
#[doc = include_str!("sender_constrained.md")]
pub mod sender_constrained {}
#[doc = include_str!("authorization.md")]
pub mod authorization {}
#[doc = include_str!("error_responses.md")]
pub mod error_responses {}
#[doc = include_str!("caching_and_revocation.md")]
pub mod caching_and_revocation {}
#[doc = include_str!("issuing_tokens.md")]
pub mod issuing_tokens {}
#[doc = include_str!("settings.md")]
pub mod settings {}
#[doc = include_str!("observability.md")]
pub mod observability {}
#[doc = include_str!("deployment.md")]
pub mod deployment {}
#[doc = include_str!("testing.md")]
pub mod testing {}
#[doc = include_str!("security_model.md")]
pub mod security_model {}
#[doc = include_str!("migration.md")]
pub mod migration {}
#[doc = include_str!("faq.md")]
pub mod faq {}
