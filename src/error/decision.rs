//! The errors of policies, and their combination by `and`, `or` and `not`.

use std::sync::Arc;

use super::{AuthError, RequiredScope};
use crate::kind::AuthErrorKind;

impl AuthError {
    /// Creates the error for a missing scope. The rule then adds its scopes with [`needing`](Self::needing).
    pub(crate) fn lacking_scope() -> Self {
        Self { lacks_scope: true, ..Self::new(AuthErrorKind::InsufficientScope) }
    }

    /// Marks the error of a policy that cannot read a claim. The cause names the claim, but not its value.
    pub(crate) fn undecided(self, cause: String) -> Self {
        Self { is_undecided: true, ..self }.with_source(cause)
    }

    /// Returns true if the policy reached a decision and rejects.
    pub(crate) fn is_refusal(&self) -> bool {
        self.kind == AuthErrorKind::InsufficientScope && !self.is_undecided
    }

    /// Adds the scopes of a rule, if a scope is missing.
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

    /// Removes the mark of a missing scope, for a negated rule: no scope can satisfy it.
    pub(crate) fn needing_none(mut self) -> Self {
        self.lacks_scope = false;
        self
    }

    /// Combines the errors of two policies that both reject. A policy that could not decide takes precedence, because
    /// it might have permitted the request.
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
