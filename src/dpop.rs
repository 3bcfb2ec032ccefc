//! Tokens that are bound to a key of the client (RFC 9449, feature `dpop`).

pub use crate::verify::dpop::{Dpop, ProofId, ReplayFuture, ReplayStore};
