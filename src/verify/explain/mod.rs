//! Explains a verification step by step.

mod advice;
mod audience_advice;
mod claim_advice;
mod claim_steps;
mod explanation;
mod facts;
mod form_steps;
mod header_steps;
mod issuer_advice;
mod key_advice;
mod key_steps;
mod one_claim;
mod payload;
mod sender_advice;
mod sender_steps;
mod shown;
mod step;
mod type_step;

use serde::de::DeserializeOwned;

pub(crate) use self::advice::kind as advice_of;
pub use self::explanation::Explanation;
use self::facts::Facts;
use self::form_steps::Form;
use self::payload::Members;
pub(crate) use self::shown::source as source_of;
pub(crate) use self::step::Advice;
pub use self::step::{Outcome, Step};
use super::base64url::{Buffer, decode_to_vec};
use super::json;
use super::jwt::JwtVerifier;
use super::key_set::KeySet;
use super::rules::{USUAL_PAYLOAD, payload_text};
use crate::credential::Credential;
use crate::error::AuthError;
use crate::kind::AuthErrorKind;

impl<C> JwtVerifier<C>
where
    C: DeserializeOwned + Send + Sync + 'static,
{
    /// Verifies a token and reports every step (feature `explain`).
    ///
    /// This runs [`verify`](Self::verify), with its cache, and fetches keys as for a request. Then it checks each step by
    /// itself, also after a failed one, so that you see all problems at once. The [module](crate::explain) has an example.
    ///
    /// # Security
    ///
    /// The report is for developers: do not send it to clients. Do not call this for each request, since it is slower than
    /// [`verify`](Self::verify).
    pub async fn explain<'a>(&self, credential: impl Into<Credential<'a>>) -> Explanation<C> {
        let credential = credential.into();
        let verified = self.verify(credential).await;
        let steps = self.steps(&self.keys.current(), credential, verified.as_ref().err());
        Explanation::new(verified, steps)
    }

    fn steps(&self, keys: &KeySet, credential: Credential<'_>, error: Option<&AuthError>) -> Vec<Step> {
        let form = Form::of(credential.token());
        let header = form.header.and_then(decode_to_vec).unwrap_or_default();
        let mut buffer = Buffer::<USUAL_PAYLOAD>::new();
        let payload = form.payload.and_then(|encoded| payload_text(encoded, &mut buffer).ok());
        let members = payload.and_then(Members::read);
        let facts = Facts {
            rules: &self.rules,
            keys,
            can_refresh: self.keys.can_refresh(),
            now: self.rules.now(),
            credential,
            error,
            form: &form,
            header: json::object(&header),
            payload: payload.filter(|_| members.is_some()),
            header_members: json::object_text(&header).and_then(Members::read).unwrap_or_default(),
            members: members.unwrap_or_default(),
        };
        let mut steps = vec![form.size_step(self.rules.max_token_bytes), form.form_step()];
        steps.extend(header_steps::steps(&facts));
        let (key_steps, is_signed) = key_steps::steps(&facts);
        steps.extend(key_steps);
        let is_proven = is_signed || error.is_none();
        let claim_steps =
            claim_steps::steps(&facts).into_iter().chain([type_step::claims_type::<C>(&facts, is_proven)]);
        let claim_steps = claim_steps.chain(sender_steps::steps(&facts));
        steps.extend(claim_steps.map(|step| step.proven_if(is_proven)));
        reconciled(steps, error)
    }
}

/// Makes the steps agree with the verdict. They differ from it if the keys, the clock or the revocations have changed since.
fn reconciled(mut steps: Vec<Step>, error: Option<&AuthError>) -> Vec<Step> {
    let Some(error) = error else {
        let agreeing = |step: Step| match step.is_failed() {
            true => step.pass().with_detail("passed, but would fail now"),
            false => step,
        };
        return steps.into_iter().map(agreeing).collect();
    };
    let kind = error.kind();
    if steps.iter().any(|step| step.error_kind() == Some(kind)) {
        return steps;
    }
    let source = shown::source(error);
    let advice = advice::kind(kind, source.as_deref());
    let name = match kind {
        // Of the parts of a JwtVerifier, only the memory of proofs has this kind.
        AuthErrorKind::Unavailable if steps.iter().any(|step| step.name() == "proof") => "proof",
        _ => step_of(kind),
    };
    match steps.iter().position(|step| step.name() == name) {
        Some(position) => steps[position] = steps[position].clone().fail(kind, &advice),
        None => steps.push(Step::passed(name).fail(kind, &advice)),
    }
    steps
}

/// Returns the step whose failure has this kind. Errors of a custom key source count as those of the key.
fn step_of(kind: AuthErrorKind) -> &'static str {
    match kind {
        AuthErrorKind::TokenTooLarge => "size",
        AuthErrorKind::MalformedToken => "form",
        AuthErrorKind::UnsupportedToken => "crit",
        AuthErrorKind::WrongTokenType => "typ",
        AuthErrorKind::UnsupportedAlgorithm => "alg",
        AuthErrorKind::InvalidSignature => "signature",
        AuthErrorKind::InvalidClaims => "claims_type",
        AuthErrorKind::WrongIssuer => "iss",
        AuthErrorKind::WrongAudience => "aud",
        AuthErrorKind::WrongClaim => "required_claim",
        AuthErrorKind::SenderConstrained | AuthErrorKind::MissingBinding => "cnf",
        AuthErrorKind::MissingCertificate | AuthErrorKind::WrongCertificate => "certificate",
        AuthErrorKind::MissingProof
        | AuthErrorKind::MalformedProof
        | AuthErrorKind::InvalidProofSignature
        | AuthErrorKind::WrongProofRequest
        | AuthErrorKind::WrongProofToken
        | AuthErrorKind::WrongProofTime
        | AuthErrorKind::WrongProofNonce
        | AuthErrorKind::WrongProofKey
        | AuthErrorKind::ReplayedProof => "proof",
        AuthErrorKind::NotYetValid => "nbf",
        AuthErrorKind::MissingExpiry | AuthErrorKind::Expired => "exp",
        AuthErrorKind::Revoked | AuthErrorKind::RevocationsUnavailable => "revocation",
        _ => "key",
    }
}
