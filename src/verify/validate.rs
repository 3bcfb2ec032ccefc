//! Validation of the registered claims (RFC 7519, section 4.1).

use std::time::Duration;

use serde_json::Value;

use super::required::{self, RequiredClaim};
use super::stream::{AudienceClaim, Malformed, Registered, Wanted};
use crate::kind::AuthErrorKind;
use crate::registered::NumericDate;
use crate::revocation::TokenIds;

/// The requirements of a verifier for the claims.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) issuers: Vec<String>,
    /// True if every token is rejected while `issuers` is empty.
    pub(crate) issuer_needed: bool,
    pub(crate) wanted: Wanted,
    pub(crate) claims: Vec<RequiredClaim>,
    pub(crate) leeway: Duration,
    pub(crate) any_audience: bool,
    pub(crate) allow_missing_expiry: bool,
    pub(crate) ignore_confirmation: bool,
    /// True if bound tokens pass here, because the rules check their binding.
    pub(crate) checks_binding: bool,
}

impl Registered<'_> {
    /// Returns the IDs by which the token may be revoked.
    pub(crate) fn identity(&self) -> TokenIds<'_> {
        TokenIds {
            issuer: self.issuer.as_deref().unwrap_or_default(),
            token: self.names.token.as_deref(),
            session: self.names.session.as_deref(),
            subject: self.names.subject.as_deref(),
            issued_at: self.names.issued_at,
        }
    }
}

/// The time of a clock that is set before 1970. No token is valid then, because the real time is unknown.
pub(crate) const UNKNOWN_TIME: Duration = Duration::MAX;

impl Expected {
    /// Creates the default requirements.
    pub(crate) fn new() -> Self {
        Self {
            issuers: Vec::new(),
            issuer_needed: false,
            wanted: Wanted::default(),
            claims: Vec::new(),
            leeway: Duration::from_secs(60),
            any_audience: false,
            allow_missing_expiry: false,
            ignore_confirmation: false,
            checks_binding: false,
        }
    }

    /// Requires a claim to have this value, or another one of the same name.
    pub(crate) fn require_claim(&mut self, name: String, value: Value) {
        match self.claims.iter_mut().find(|known| known.name == name) {
            Some(known) => known.values.push(value),
            None => self.claims.push(RequiredClaim { name, values: vec![value] }),
        }
    }

    /// Validates the claims of a payload at `now`, the time since 1970.
    pub(crate) fn judge(
        &self,
        payload: &str,
        registered: &Registered<'_>,
        now: Duration,
    ) -> Result<(), AuthErrorKind> {
        self.judge_issuer(registered)?;
        self.judge_audience(registered.audience)?;
        if !self.claims.is_empty() && !required::are_met(payload, &self.claims)? {
            return Err(AuthErrorKind::WrongClaim);
        }
        self.judge_confirmation(registered)?;
        self.judge_expiry_presence(registered)?;
        self.judge_not_before(registered, now)?;
        self.judge_expiry(registered, now)?;
        if now == UNKNOWN_TIME {
            return Err(AuthErrorKind::NotYetValid);
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn judge_issuer(&self, registered: &Registered<'_>) -> Result<(), AuthErrorKind> {
        let issuer = registered.issuer.as_ref();
        let is_good = match self.issuers.is_empty() {
            true => !self.issuer_needed,
            false => issuer.is_some_and(|issuer| self.issuers.iter().any(|name| *name == **issuer)),
        };
        if is_good { Ok(()) } else { Err(AuthErrorKind::WrongIssuer) }
    }

    #[inline]
    pub(crate) fn judge_confirmation(&self, registered: &Registered<'_>) -> Result<(), AuthErrorKind> {
        let is_good = !registered.sender_constrained || self.ignore_confirmation || self.checks_binding;
        if is_good { Ok(()) } else { Err(AuthErrorKind::SenderConstrained) }
    }

    #[inline]
    pub(crate) fn judge_expiry_presence(&self, registered: &Registered<'_>) -> Result<(), AuthErrorKind> {
        let is_good = registered.expiry.is_some() || self.allow_missing_expiry;
        if is_good { Ok(()) } else { Err(AuthErrorKind::MissingExpiry) }
    }

    #[inline]
    pub(crate) fn judge_not_before(
        &self,
        registered: &Registered<'_>,
        now: Duration,
    ) -> Result<(), AuthErrorKind> {
        let is_early = |begin: NumericDate| now.saturating_add(self.leeway) < begin.since_epoch();
        if registered.not_before.is_some_and(is_early) { Err(AuthErrorKind::NotYetValid) } else { Ok(()) }
    }

    #[inline]
    pub(crate) fn judge_expiry(
        &self,
        registered: &Registered<'_>,
        now: Duration,
    ) -> Result<(), AuthErrorKind> {
        let is_late = |end: NumericDate| now >= end.since_epoch().saturating_add(self.leeway);
        if registered.expiry.is_some_and(is_late) { Err(AuthErrorKind::Expired) } else { Ok(()) }
    }

    #[inline]
    pub(crate) fn judge_audience(&self, audience: AudienceClaim) -> Result<(), AuthErrorKind> {
        let good = match audience {
            _ if self.any_audience => true,
            AudienceClaim::Missing => self.wanted.audiences.is_empty(),
            // A token with an audience is valid only for that audience (RFC 7519, section 4.1.3).
            AudienceClaim::Nobody | AudienceClaim::Stranger => false,
            AudienceClaim::Expected => true,
        };
        if good { Ok(()) } else { Err(AuthErrorKind::WrongAudience) }
    }
}

impl From<Malformed> for AuthErrorKind {
    fn from(_: Malformed) -> Self {
        Self::InvalidClaims
    }
}
