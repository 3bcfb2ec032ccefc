//! A file with `AuthSettings`, in TOML or JSON.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use serde_json::Value;
use tower_jwt_auth::settings::AuthSettings;

use crate::escape::quoted;
use crate::files;
use crate::outcome::Failure;

/// Where the settings are.
#[derive(Args, Debug)]
pub(crate) struct FileArguments {
    /// Read the service's settings from this TOML or JSON file
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Table of the file that has the settings, such as `auth`
    #[arg(long, requires = "settings")]
    table: Option<String>,
}

/// The settings of a file: checked, and as they are written.
pub(crate) struct SettingsFile {
    pub(crate) settings: AuthSettings,
    values: Value,
}

impl FileArguments {
    /// Reads the file, if the command line names one.
    pub(crate) fn read(&self) -> Result<Option<SettingsFile>, Failure> {
        let Some(path) = &self.settings else {
            return Ok(None);
        };
        let mut values = parse(path)?;
        if let Some(table) = &self.table {
            let found = values.get_mut(table).map(Value::take);
            values = found.ok_or_else(|| format!("`{}` has no table {}", path.display(), quoted(table)))?;
        }
        let settings = AuthSettings::deserialize(&values)
            .map_err(|error| format!("`{}`: {error}{}", path.display(), self.hint(&values)))?;
        Ok(Some(SettingsFile { settings, values }))
    }

    fn hint(&self, values: &Value) -> String {
        match self.table.is_none() && values.get("auth").is_some_and(Value::is_object) {
            true => "; if the settings are in the table `auth`, add --table auth".to_owned(),
            false => String::new(),
        }
    }
}

impl SettingsFile {
    /// Returns the only issuer.
    pub(crate) fn issuer(&self) -> Result<String, Failure> {
        match &self.texts("issuer")[..] {
            [issuer] => Ok(issuer.clone()),
            _ => Err("the settings have not exactly one issuer: set --issuer, --audience and --key".into()),
        }
    }

    /// Returns each required claim with its first accepted value.
    pub(crate) fn required_claims(&self) -> Vec<(String, Value)> {
        let claims = self.values.get("required_claims").and_then(Value::as_object);
        let first = |accepted: &Value| accepted.get(0).unwrap_or(accepted).clone();
        claims.into_iter().flatten().map(|(name, accepted)| (name.clone(), first(accepted))).collect()
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.values.get(name) == Some(&Value::Bool(true))
    }

    /// Returns a text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.as_str()
    }

    /// Returns the texts of a setting that is a text or a list.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        match self.values.get(name) {
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(Value::String(text)) => vec![text.clone()],
            _ => Vec::new(),
        }
    }
}

/// Parses a file. Errors have no text of the file, as it may be a secret.
fn parse(path: &Path) -> Result<Value, Failure> {
    let text =
        String::from_utf8(files::read(path)?).map_err(|_| format!("`{}` is not UTF-8", path.display()))?;
    let invalid = |line: usize, format| format!("`{}`: line {line} is not valid {format}", path.display());
    if path.extension().is_some_and(|extension| extension == "json") {
        return Ok(serde_json::from_str(&text).map_err(|error| invalid(error.line(), "JSON"))?);
    }
    let table: toml::Table = toml::from_str(&text).map_err(|error| {
        let end = error.span().map_or(0, |span| span.start.min(text.len()));
        invalid(text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count() + 1, "TOML")
    })?;
    Ok(serde_json::to_value(table)?)
}
