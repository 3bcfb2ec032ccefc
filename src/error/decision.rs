//! The errors of policies, and how `and`, `or` and `not` combine them.

use std::sync::Arc;

use super::{AuthError, RequiredScope};
use crate::kind::AuthErrorKind;

impl AuthError {
    /// The token lacks a scope; [which](Self::needing), the rule knows that asked for it.
    pub(crate) fn lacking_scope() -> Self {
        Self { lacks_scope: true, ..Self::new(AuthErrorKind::InsufficientScope) }
    }

    /// The same as an error of a policy that cannot read a claim. The cause names the claim and says nothing of its value.
    pub(crate) fn undecided(self, cause: String) -> Self {
        Self { is_undecided: true, ..self }.with_source(cause)
    }

    /// Returns true if the policy was decided, and refuses.
    pub(crate) fn is_refusal(&self) -> bool {
        self.kind == AuthErrorKind::InsufficientScope && !self.is_undecided
    }

    /// The same for a rule's scopes, if a scope is what was missing.
    pub(crate) fn needing(mut self, rule: Option<&Arc<RequiredScope>>) -> Self {
        if self.lacks_scope {
            self.lacks_scope = false;
            self.scope = match (self.scope, rule) {
                (Some(own), Some(rule)) => {
                    RequiredScope::new(&format!("{} {}", rule.as_str(), own.as_str())).map(Arc::new)
                }
                (own, rule) => own.or(rule.cloned()),
            };
        }
        self
    }

    /// The same for the opposite of a rule, which no scope helps to meet.
    pub(crate) fn needing_none(mut self) -> Self {
        self.lacks_scope = false;
        self
    }

    /// What neither of two policies permitted: one that could not decide comes first, since it might have.
    pub(crate) fn or(mut self, other: Self) -> Self {
        if other.kind != AuthErrorKind::InsufficientScope && self.kind == AuthErrorKind::InsufficientScope {
            return other;
        }
        self.lacks_scope |= other.lacks_scope;
        self.is_undecided |= other.is_undecided;
        self.scope = self.scope.or(other.scope);
        self.source = self.source.or(other.source);
        self
    }
}
