//! What every bench starts from: tokens as an identity provider makes them, and requests that carry them.

#![allow(dead_code, unused_imports, reason = "each bench uses a part of it")]

mod requests;
mod tokens;

pub(crate) use self::requests::{authorization, request, send, service};
pub(crate) use self::tokens::{Issuer, User};
