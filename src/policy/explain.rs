//! The step of a policy in an explanation.

use super::Policy;
use crate::error::AuthError;
use crate::head::Head;
use crate::verify::explain::{Advice, Explanation, Step, advice_of, source_of};

impl<C> Explanation<C> {
    /// Adds the step of a policy: does it permit this request to the token's holder?
    ///
    /// The policy is not asked if the verifier rejects the token. With several policies, the first error counts.
    ///
    /// ```
    /// use tower_jwt_auth::policy::scope;
    /// # use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), tower_jwt_auth::ConfigError> {
    /// # let keys = KeySet::hmac(Algorithm::HS256, b"a secret for this example, 32 bytes")?;
    /// # let verifier = JwtVerifier::<serde_json::Value>::new(keys);
    /// # let token = "opaque";
    /// let request = http::Request::get("/orders").body(()).unwrap();
    /// let report = verifier.explain(token).await.with_policy("orders", &scope("orders:read"), &request);
    /// assert_eq!(report.steps().last().unwrap().subject(), Some("orders"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_policy<'r, P>(self, name: &str, policy: &P, request: impl Into<Head<'r>>) -> Self
    where
        P: Policy<C> + ?Sized,
    {
        let Some(claims) = self.claims() else {
            let step = Step::skipped("policy", "the token is rejected").with_subject(name);
            return self.with_step(step, None);
        };
        let step = Step::passed("policy").with_subject(name);
        match policy.check(claims, request.into()) {
            Ok(()) => self.with_step(step, None),
            Err(error) => self.with_step(step.fail(error.kind(), &denied(name, &error)), Some(error)),
        }
    }
}

fn denied(name: &str, error: &AuthError) -> Advice {
    let source = source_of(error);
    match error.required_scope() {
        Some(scope) => Advice::new(
            format!("the policy `{name}` requires the scope `{scope}`, which the token does not grant"),
            format!(
                "request a token with `scope={scope}`, and let the provider grant it to the client and the user"
            ),
        ),
        None => advice_of(error.kind(), source.as_deref()),
    }
}
