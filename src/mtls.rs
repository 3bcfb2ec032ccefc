//! Tokens that are bound to a client certificate (RFC 8705, feature `mtls`).

pub use crate::verify::mtls::{ClientCertificate, Mtls};
