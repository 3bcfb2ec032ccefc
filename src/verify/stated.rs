//! Claims that a provider states about a token (RFC 7662), judged like the payload of a JWT.

use std::error::Error;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::claim_diagnosis;
use super::heap_bytes::heap_bytes;
use super::rules::{Proof, Rules, safe_text};
use crate::claims::Claims;
use crate::error::AuthError;
use crate::kind::AuthErrorKind;
use crate::observe::About;

/// The claims of an active token, as its provider states them.
pub(crate) struct Statement<'a> {
    /// A JSON object.
    pub(crate) text: &'a str,
    /// The issuer that the endpoint belongs to, if it is known.
    pub(crate) provider: Option<&'a str>,
    /// The time of the request, since 1970. The claims are remembered from then on.
    pub(crate) asked_at: Duration,
}

impl Rules {
    /// Judges the claims, except the revocations: see [`judge_use`](Self::judge_use).
    pub(crate) fn judge_stated<C>(&self, statement: &Statement<'_>) -> Result<Claims<C>, AuthError>
    where
        C: DeserializeOwned + 'static,
    {
        self.judge_statement(statement).map_err(|kind| self.explain_statement::<C>(kind, statement))
    }

    fn judge_statement<C>(&self, statement: &Statement<'_>) -> Result<Claims<C>, AuthErrorKind>
    where
        C: DeserializeOwned + 'static,
    {
        let text = safe_text(statement.text.as_bytes())?;
        let proof =
            Proof { provider: statement.provider, asked_at: Some(statement.asked_at), ..Proof::default() };
        // The revocations are judged at each use.
        let mut claims = self.judge_claims::<C>(text, &proof, || false, |_| Ok(()))?;
        claims.set_heap_bytes(heap_bytes::<C>(text));
        Ok(claims)
    }

    /// Rejects a revoked token, at each use.
    pub(crate) fn judge_use<C>(&self, claims: &Claims<C>) -> Result<(), AuthError> {
        self.judge_revocations(&claims.conditions().revocable).map_err(|kind| {
            let error = AuthError::new(kind).about(claims.about()).proven();
            match kind {
                AuthErrorKind::RevocationsUnavailable => error.with_retry_after(Duration::from_secs(1)),
                _ => error,
            }
        })
    }

    /// Adds details for logs, as for a JWT.
    #[cold]
    fn explain_statement<C>(&self, kind: AuthErrorKind, statement: &Statement<'_>) -> AuthError
    where
        C: DeserializeOwned,
    {
        let expected = &self.expected;
        let issuer = || match &expected.issuers[..] {
            [] => statement.provider.map(str::to_owned),
            issuers => Some(issuers.join(" ")),
        };
        let error = AuthError::new(kind).about(About::new(issuer, || None)).proven();
        match (kind, statement.provider) {
            (AuthErrorKind::WrongIssuer, Some(provider)) if expected.issuers.is_empty() => {
                error.with_source(format!("the verifier expects the issuer `{provider}`"))
            }
            _ => {
                let error = claim_diagnosis::explain_claims::<C>(error, statement.text.as_bytes(), expected);
                // Both verifiers have setters of the same names.
                let cause =
                    error.source().map(|cause| cause.to_string().replace("JwtVerifier::", "Introspection::"));
                match cause {
                    Some(cause) => error.with_source(cause),
                    None => error,
                }
            }
        }
    }
}

/// The cause of [`SenderConstrained`](AuthErrorKind::SenderConstrained).
pub(crate) const SENDER_CONSTRAINED: &str = "the token is bound to its sender (`cnf`), and the verifier does not support this binding: \
     set Introspection::dpop or mtls, or insecure_ignore_confirmation if something else checks the sender";
