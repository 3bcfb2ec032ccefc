//! Claims that a provider states about a token (RFC 7662), judged like the payload of a JWT.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::rules::{Rules, safe_text};
use super::stream::{Pass, Registered};
use super::{base64url, claim_diagnosis};
use crate::claims::{Claims, TokenInfo};
use crate::conditions::Conditions;
use crate::error::AuthError;
use crate::kind::AuthErrorKind;
use crate::observe::{About, MayBeLogged};
use crate::registered::NumericDate;
use crate::revocation::Revocable;

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
        let mut pass = Pass::over(text, &self.expected.wanted);
        let claims = pass.claims();
        let registered = pass.registered().map_err(AuthErrorKind::from)?;
        self.judge_provider(registered, statement.provider)?;
        self.expected.judge(text, registered, self.now())?;
        // Without an `iss`, the token is from the issuer of the endpoint.
        let issuer = registered.issuer.as_deref().or(statement.provider);
        let revocable = match &self.revocations {
            Some(revocations) => {
                let mut ids = registered.identity();
                ids.issuer = issuer.unwrap_or_default();
                revocations.revocable(&ids)
            }
            None => Revocable::default(),
        };
        let expiry = registered.expiry;
        let is_configured = || statement.provider.is_some() || !self.expected.issuers.is_empty();
        let may_be_logged = MayBeLogged::new(is_configured, || false);
        let info = TokenInfo::with(expiry.and_then(NumericDate::to_system_time), issuer, None, may_be_logged);
        let end = |expiry: NumericDate| expiry.since_epoch().saturating_add(self.expected.leeway);
        let conditions = Conditions {
            rules: self.id,
            judged_at: statement.asked_at,
            // With the leeway: within it, requests would otherwise ask the provider one by one.
            expires_at: expiry.map_or(Duration::MAX, end),
            heap_bytes: u32::try_from(text.len()).unwrap_or(u32::MAX),
            revocable,
            ..Conditions::default()
        };
        match claims {
            Ok(claims) => Ok(Claims::verified(claims, info, conditions)),
            Err(_) => Err(AuthErrorKind::InvalidClaims),
        }
    }

    /// Rejects tokens of other issuers, even if no issuer was configured.
    fn judge_provider(
        &self,
        registered: &Registered<'_>,
        provider: Option<&str>,
    ) -> Result<(), AuthErrorKind> {
        let is_other = match (&registered.issuer, provider) {
            (Some(issuer), Some(provider)) if self.expected.issuers.is_empty() => **issuer != *provider,
            _ => false,
        };
        if is_other { Err(AuthErrorKind::WrongIssuer) } else { Ok(()) }
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
        // The diagnosis reads payloads as they are in a token.
        let encoded = base64url::encode(statement.text.as_bytes());
        let encoded = encoded.as_bytes();
        let cause = match (kind, statement.provider) {
            (AuthErrorKind::WrongAudience, _) => claim_diagnosis::audience(encoded, expected),
            (AuthErrorKind::WrongIssuer, Some(provider)) if expected.issuers.is_empty() => {
                format!("the verifier expects the issuer `{provider}`")
            }
            (AuthErrorKind::WrongIssuer, _) => {
                claim_diagnosis::issuer(encoded, &expected.issuers, &expected.wanted)
            }
            (AuthErrorKind::WrongClaim, _) => claim_diagnosis::required_claim(encoded, expected),
            (AuthErrorKind::SenderConstrained, _) => SENDER_CONSTRAINED.to_owned(),
            (AuthErrorKind::InvalidClaims, _) => claim_diagnosis::explain::<C>(encoded, &expected.wanted),
            _ => return error,
        };
        // Both verifiers have setters of the same names.
        error.with_source(cause.replace("JwtVerifier::", "Introspection::"))
    }
}

/// The cause of [`SenderConstrained`](AuthErrorKind::SenderConstrained).
pub(crate) const SENDER_CONSTRAINED: &str = "the token is bound to a key of the client (RFC 7800, RFC 9449), and the verifier does not check the key: if something \
     else does, set Introspection::insecure_ignore_confirmation";
