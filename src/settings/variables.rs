//! Settings from environment variables.

use std::ffi::OsString;

use super::fields::{FIELDS, Field, Kind};
use super::names::{Names, nearest, variable_paths};
use super::raw::Raw;
use crate::config_error::{ConfigError, ConfigProblem};

/// Reads the variables that begin with `prefix` and `_`.
pub(super) fn read(
    names: &Names,
    prefix: &str,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, Raw)>, ConfigError> {
    // Sorted, so that of several errors always the same one is reported.
    let mut variables: Vec<_> = variables.collect();
    variables.sort();
    let mut root = Vec::new();
    for (name, value) in variables {
        let name = name.to_string_lossy();
        let Some(rest) = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')) else {
            continue;
        };
        let is_named = |field: &&Field| {
            variable_paths().any(|path| path == field.path) && names.name(field.path) == name
        };
        let Some(field) = FIELDS.iter().find(is_named) else {
            if is_of_kubernetes(rest) {
                continue;
            }
            return Err(unknown(prefix, rest));
        };
        let value = value
            .into_string()
            .map_err(|_| names.invalid(field.path, "it is not valid UTF-8"))
            .and_then(|text| raw(field.kind, text).map_err(|reason| names.invalid(field.path, reason)))?;
        insert(&mut root, field.path, value);
    }
    Ok(root)
}

/// Compares names without the prefix, which would make all of them look alike.
fn unknown(prefix: &str, rest: &str) -> ConfigError {
    let known = variable_paths().map(|path| path.replace('.', "_").to_ascii_uppercase());
    let nearest = nearest(rest, known).map(|name| format!("{prefix}_{name}"));
    ConfigProblem::UnknownSetting { name: format!("{prefix}_{rest}"), nearest }.into()
}

/// Converts the text of a variable: lists are separated by commas, and claims are a JSON object.
fn raw(kind: Kind, text: String) -> Result<Raw, &'static str> {
    match kind {
        Kind::List(_) if !text.is_empty() => {
            Ok(Raw::List(text.split(',').map(|item| Raw::Text(item.trim().to_owned())).collect()))
        }
        Kind::Claims if !text.is_empty() => serde_json::from_str(&text)
            .map_err(|_| "it needs a JSON object of claims, such as `{\"email_verified\": true}`"),
        _ => Ok(Raw::Text(text)),
    }
}

/// Inserts a value at its path, for example `cache.max_bytes`.
fn insert(table: &mut Vec<(String, Raw)>, path: &str, value: Raw) {
    let Some((group, rest)) = path.split_once('.') else {
        table.push((path.to_owned(), value));
        return;
    };
    match table.iter_mut().find(|(name, _)| name == group) {
        Some((_, Raw::Table(inner))) => insert(inner, rest, value),
        _ => {
            let mut inner = Vec::new();
            insert(&mut inner, rest, value);
            table.push((group.to_owned(), Raw::Table(inner)));
        }
    }
}

/// Returns true for the variables that Kubernetes sets for each service of a namespace. A service named `auth` makes
/// `AUTH_SERVICE_HOST`, `AUTH_SERVICE_PORT_HTTP`, `AUTH_PORT` and `AUTH_PORT_80_TCP_ADDR`.
pub(super) fn is_of_kubernetes(rest: &str) -> bool {
    let is_after = |name: &str, word: &str| {
        name.strip_suffix(word).is_some_and(|before| before.is_empty() || before.ends_with('_'))
    };
    let ports = format!("_{rest}");
    is_after(rest, "SERVICE_HOST")
        || is_after(rest, "SERVICE_PORT")
        || is_after(rest, "PORT")
        || ports.contains("_SERVICE_PORT_")
        || ports.match_indices("_PORT_").any(|(at, word)| {
            let number = ports[at + word.len()..].split('_').next().unwrap_or_default();
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        })
}
