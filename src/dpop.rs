//! Tokens that are bound to a key of the client (RFC 9449, feature `dpop`).

#[cfg(feature = "issue")]
pub use crate::issue::dpop_key::DpopKey;
pub use crate::verify::dpop::{Dpop, ProofId, ReplayFuture, ReplayStore};
