//! Claims that say what a caller may do, under a name that differs in case from the field that should read them.

/// The names under which providers have roles and scopes.
pub(crate) const USUAL_NAMES: [&str; 8] =
    ["groups", "permissions", "realm_access", "resource_access", "role", "roles", "scope", "scp"];

/// Returns the field that a claim seems to be meant for. The type takes the claim for an unknown one and the field for absent,
/// so that `role("suspended").not()` would permit what it must not.
#[inline]
pub(crate) fn meant_field<'f>(name: &str, fields: &[&'f str]) -> Option<&'f str> {
    let is_usual = USUAL_NAMES.iter().any(|usual| usual.eq_ignore_ascii_case(name));
    if !is_usual || fields.contains(&name) {
        return None;
    }
    fields.iter().copied().find(|field| field.eq_ignore_ascii_case(name))
}
