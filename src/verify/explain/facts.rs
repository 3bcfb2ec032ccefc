//! The facts that all steps are derived from.

use std::time::Duration;

use super::form_steps::Form;
use super::payload::{Members, Purpose};
use crate::credential::Credential;
use crate::error::AuthError;
use crate::verify::jws::Header;
use crate::verify::key_set::KeySet;
use crate::verify::rules::Rules;

/// The token, the verifier's settings, and the verdict.
pub(super) struct Facts<'f> {
    pub(super) rules: &'f Rules,
    pub(super) keys: &'f KeySet,
    /// True if the key source fetches keys.
    pub(super) can_refresh: bool,
    pub(super) now: Duration,
    pub(super) credential: Credential<'f>,
    /// The error of the verifier.
    pub(super) error: Option<&'f AuthError>,
    pub(super) form: &'f Form<'f>,
    /// The header, if the verifier can read it. It may have an extension.
    pub(super) header: Option<Header<'f>>,
    /// The payload, if it is safe to parse.
    pub(super) payload: Option<&'f str>,
    pub(super) header_members: Members<'f>,
    pub(super) members: Members<'f>,
}

impl Facts<'_> {
    pub(super) fn purpose(&self) -> Purpose {
        Purpose::of(&self.header_members, &self.members)
    }
}
