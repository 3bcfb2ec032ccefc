//! Judging what a provider says about a token.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::claims::Claims;
use crate::error::{AuthError, FixedCause};
use crate::kind::AuthErrorKind;
use crate::lookups::{Answer, Blame, Failure};
use crate::observe::About;
use crate::verify::{Proof, Rules, explain_claims, json, safe_object};

/// The members of a response that have no counterpart in a JWT (RFC 7662, section 2.2).
#[derive(Deserialize)]
struct Response {
    active: bool,
    token_type: Option<String>,
    /// The kind of the token, as Ory Hydra and Cognito state it.
    token_use: Option<Value>,
    /// The kind of the token, as Keycloak states it.
    typ: Option<Value>,
}

/// Judges the JSON text of a response. An active token is judged like a JWT whose signature is valid.
pub(super) fn judge<C>(text: &[u8], rules: &Rules, needs_token_type: bool) -> Answer<C>
where
    C: DeserializeOwned + 'static,
{
    let Some(response) = json::object::<Response>(text) else {
        return failed("the response is no JSON object with exactly one `active` that is true or false");
    };
    if !response.active {
        return Answer::Rejected(AuthError::new(AuthErrorKind::InvalidToken).because(INACTIVE));
    }
    let Ok(payload) = safe_object(text) else {
        return failed("the response has too many nested values, or members with reserved names");
    };
    if let Err(error) = response.judge_type(rules, needs_token_type) {
        return Answer::Rejected(error.proven());
    }
    let heap_bytes = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let proof = Proof { heap_bytes, ..Proof::default() };
    let judged: Result<Claims<C>, _> = rules.judge_claims(payload, proof, || false);
    match judged {
        Ok(claims) => Answer::Accepted(claims),
        Err(kind) => Answer::Rejected(diagnose::<C>(kind, payload, rules)),
    }
}

const INACTIVE: &FixedCause =
    &FixedCause("the provider says that the token is not active: it is unknown, expired or revoked");

fn failed<C>(cause: &str) -> Answer<C> {
    Answer::Failed(Failure { cause: cause.into(), blame: Blame::Unclear, retry_after: None })
}

impl Response {
    /// Accepts only access tokens that a bearer may use. Some endpoints also know refresh tokens and ID tokens.
    fn judge_type(&self, rules: &Rules, needs_token_type: bool) -> Result<(), AuthError> {
        let wrong =
            |cause: &'static FixedCause| Err(AuthError::new(AuthErrorKind::WrongTokenType).because(cause));
        match self.token_type.as_deref() {
            Some(name) if name.eq_ignore_ascii_case("bearer") => {}
            Some(name) if name.eq_ignore_ascii_case("dpop") => {
                if !rules.expected.ignore_confirmation {
                    return Err(AuthError::new(AuthErrorKind::SenderConstrained).because(BOUND));
                }
            }
            Some(_) => return wrong(OTHER_TYPE),
            None if needs_token_type => return wrong(NO_TYPE),
            None => {}
        }
        let is = |value: &Option<Value>, names: &[&str]| {
            let text = value.as_ref().and_then(Value::as_str);
            text.is_some_and(|text| names.iter().any(|name| text.eq_ignore_ascii_case(name)))
        };
        if is(&self.token_use, &["refresh_token", "refresh", "id_token", "id"])
            || is(&self.typ, &["Refresh", "Offline", "ID", "Logout"])
        {
            return wrong(NO_ACCESS_TOKEN);
        }
        Ok(())
    }
}

const BOUND: &FixedCause = &FixedCause("the token is bound to a key (`token_type` is `DPoP`)");
const OTHER_TYPE: &FixedCause = &FixedCause("the `token_type` of the token is not `Bearer`");
const NO_TYPE: &FixedCause = &FixedCause(
    "the response has no `token_type`, as for a refresh token: Introspection::access_tokens_only requires it",
);
const NO_ACCESS_TOKEN: &FixedCause =
    &FixedCause("the token is a refresh token or an ID token, not an access token");

/// Adds the cause for logs.
fn diagnose<C: DeserializeOwned>(kind: AuthErrorKind, payload: &str, rules: &Rules) -> AuthError {
    let expected = &rules.expected;
    let issuer = || (!expected.issuers.is_empty()).then(|| expected.issuers.join(" "));
    let error = AuthError::from(kind).about(About::new(issuer, || None)).proven();
    explain_claims::<C>(error, payload.as_bytes(), expected)
}
