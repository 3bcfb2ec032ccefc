use std::fmt::{self, Display, Formatter};
use std::marker::PhantomData;

use tracing::Span;

use super::{Policy, Rule};
use crate::claims::Claims;
use crate::error::AuthError;
use crate::head::Head;

/// Records a value from the claims in the current `tracing` span.
///
/// ```
/// use tower_jwt_auth::policy::{scope, span_field};
/// use tower_jwt_auth::{Algorithm, Claims, JwtAuthLayer, JwtVerifier, KeySet};
///
/// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
/// # let keys = KeySet::hmac(Algorithm::HS256, b"a secret for this example, 32 bytes")?;
/// let user = span_field("user.id", |claims: &Claims<serde_json::Value>| claims["sub"].as_str().unwrap_or_default().to_owned());
/// let layer = JwtAuthLayer::new(JwtVerifier::new(keys)).require(user.and(scope("orders:read")));
///
/// // Outside this layer, with tower-http:
/// // TraceLayer::new_for_http().make_span_with(|_: &Request| info_span!("request", user.id = field::Empty))
/// # Ok(())
/// # }
/// ```
///
/// The rule permits everything. The span is that of an outer layer, such as tower-http's `TraceLayer`. It must declare
/// the field as empty. Otherwise nothing is recorded. Put this rule first, so that it also records requests that a
/// later rule rejects.
///
/// This is the only way in which the crate logs values that are known only from a token.
pub fn span_field<C, F, T>(name: &'static str, value: F) -> Rule<SpanField<C, F>>
where
    F: Fn(&Claims<C>) -> T,
    T: Display,
{
    Rule::new(SpanField { name, value, claims: PhantomData })
}

/// The policy of [`span_field`].
pub struct SpanField<C, F> {
    name: &'static str,
    value: F,
    claims: PhantomData<fn(&C)>,
}

impl<C, F, T> Policy<C> for SpanField<C, F>
where
    F: Fn(&Claims<C>) -> T,
    T: Display,
{
    fn check(&self, claims: &Claims<C>, _: Head<'_>) -> Result<(), AuthError> {
        let span = Span::current();
        if span.has_field(self.name) {
            // Recorded as a string, so that subscribers escape it: an attacker may have chosen the value.
            span.record(self.name, (self.value)(claims).to_string().as_str());
        }
        Ok(())
    }
}

impl<C, F: Clone> Clone for SpanField<C, F> {
    fn clone(&self) -> Self {
        Self { name: self.name, value: self.value.clone(), claims: PhantomData }
    }
}

impl<C, F> fmt::Debug for SpanField<C, F> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SpanField").field(&self.name).finish()
    }
}
