//! Error sources of this crate.

use std::error::Error;
use std::fmt::{self, Debug, Display, Formatter};

/// The cause of a missing layer. Only for logs and developers, because it names a type of the application.
#[derive(Debug)]
pub(super) struct MissingClaims {
    of: &'static str,
}

impl MissingClaims {
    pub(super) fn of<C>() -> Self {
        Self { of: std::any::type_name::<C>() }
    }
}

impl Display for MissingClaims {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { of } = self;
        write!(
            f,
            "no claims of type `{of}` in this request: put a JwtAuthLayer outside the service that needs them, with a \
             `JwtVerifier::<{of}>` (in axum, `.layer` covers only the routes added before it, and the layer added last \
             runs first)"
        )
    }
}

impl Error for MissingClaims {}

/// A cause with a constant text.
pub(crate) struct FixedCause(pub(crate) &'static str);

impl Display for FixedCause {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Debug for FixedCause {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Debug::fmt(self.0, f)
    }
}

impl Error for FixedCause {}
