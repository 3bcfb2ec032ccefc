//! The names of settings in errors.

use super::fields::{FIELDS, Kind};
use crate::config_error::{ConfigError, ConfigErrorKind, ConfigProblem};

/// The origin of the settings, which decides how errors name them.
#[derive(Clone, Debug, Default)]
pub(super) enum Names {
    /// A file: `cache.max_bytes`.
    #[default]
    Fields,
    /// Variables with a prefix: `AUTH_CACHE_MAX_BYTES`.
    Variables { prefix: String },
}

impl Names {
    pub(super) fn name(&self, path: &str) -> String {
        match self {
            Self::Fields => path.to_owned(),
            Self::Variables { prefix } => format!("{prefix}_{}", path.replace('.', "_").to_ascii_uppercase()),
        }
    }

    pub(super) fn invalid(&self, path: &str, reason: impl Into<String>) -> ConfigError {
        ConfigProblem::InvalidSetting { name: self.name(path), reason: reason.into() }.into()
    }

    /// An error for a setting that is needed.
    pub(super) fn missing(&self, path: &str, reason: impl Into<String>) -> ConfigError {
        ConfigProblem::MissingSetting { name: self.name(path), reason: reason.into() }.into()
    }

    /// An error for two settings that exclude each other.
    pub(super) fn conflict(&self, one: &str, other: &str, reason: &'static str) -> ConfigError {
        ConfigProblem::ConflictingSettings { one: self.name(one), other: self.name(other), reason }.into()
    }

    /// Adds the name to the error of a setting. The path of an unreadable file is left out: it may be a secret that was meant
    /// for another setting.
    pub(super) fn about(&self, path: &str, error: ConfigError) -> ConfigError {
        let name = self.name(path);
        match error.kind() {
            ConfigErrorKind::UnreadableFile => ConfigProblem::UnreadableSetting { name, error }.into(),
            _ => ConfigProblem::RejectedSetting { name, error }.into(),
        }
    }
}

/// Returns all paths that can be set by variables.
pub(super) fn variable_paths() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().filter(|field| !matches!(field.kind, Kind::Issuers)).map(|field| field.path)
}

/// Returns the candidate that differs in the fewest letters, if it is similar.
pub(super) fn nearest(name: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    let most = (name.len() / 3).clamp(1, 4);
    let distances = candidates.map(|candidate| (distance(name, &candidate), candidate));
    distances.min().filter(|(distance, _)| *distance <= most).map(|(_, candidate)| candidate)
}

/// Returns how many characters must be added, removed or replaced to get from one name to the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (above, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], above + 1);
        for (place, other) in other.chars().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[place + 1];
            row[place + 1] = replaced.min(diagonal + 1).min(row[place] + 1);
        }
    }
    row[row.len() - 1]
}
