//! What the claims of a token must say (RFC 7519, section 4.1).

use std::time::Duration;

use super::required::{self, RequiredClaim};
use super::stream::{AudienceClaim, Malformed, Registered, Wanted};
use crate::kind::AuthErrorKind;
use crate::revocation::TokenIds;

/// What a verifier demands of the claims.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) issuers: Vec<String>,
    /// Whether no token will do where there are none.
    pub(crate) issuer_needed: bool,
    pub(crate) wanted: Wanted,
    pub(crate) claims: Vec<RequiredClaim>,
    pub(crate) leeway: Duration,
    pub(crate) any_audience: bool,
    pub(crate) allow_missing_expiry: bool,
    pub(crate) ignore_confirmation: bool,
}

impl Registered<'_> {
    /// What the token may have been revoked by.
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

/// The time of a clock that stands before 1970, and is wrong in an unknown way. No token is valid then.
pub(crate) const UNKNOWN_TIME: Duration = Duration::MAX;

impl Expected {
    /// Judges the claims of a payload at `now`, the time since 1970.
    pub(crate) fn judge(
        &self,
        payload: &str,
        registered: &Registered<'_>,
        now: Duration,
    ) -> Result<(), AuthErrorKind> {
        if self.issuers.is_empty() {
            if self.issuer_needed {
                return Err(AuthErrorKind::WrongIssuer);
            }
        } else if !registered
            .issuer
            .as_ref()
            .is_some_and(|issuer| self.issuers.iter().any(|name| *name == **issuer))
        {
            return Err(AuthErrorKind::WrongIssuer);
        }
        self.judge_audience(registered.audience)?;
        if !self.claims.is_empty() && !required::are_met(payload, &self.claims)? {
            return Err(AuthErrorKind::WrongClaim);
        }
        if registered.sender_constrained && !self.ignore_confirmation {
            return Err(AuthErrorKind::SenderConstrained);
        }
        let expiry = registered.expiry;
        if expiry.is_none() && !self.allow_missing_expiry {
            return Err(AuthErrorKind::MissingExpiry);
        }
        if registered.not_before.is_some_and(|begin| now.saturating_add(self.leeway) < begin.since_epoch()) {
            return Err(AuthErrorKind::NotYetValid);
        }
        if expiry.is_some_and(|end| now >= end.since_epoch().saturating_add(self.leeway)) {
            return Err(AuthErrorKind::Expired);
        }
        if now == UNKNOWN_TIME {
            return Err(AuthErrorKind::NotYetValid);
        }
        Ok(())
    }

    fn judge_audience(&self, audience: AudienceClaim) -> Result<(), AuthErrorKind> {
        let good = match audience {
            _ if self.any_audience => true,
            AudienceClaim::Missing => self.wanted.audiences.is_empty(),
            // A token that is for somebody is for nobody else: RFC 7519, section 4.1.3.
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
