//! Checks untyped settings against the table of fields. No error quotes a value, since it may be a secret.

use serde_json::{Map, Value};

use super::fields::{FIELDS, Field, Kind};
use super::names::{Names, nearest};
use super::raw::Raw;
use super::values::Values;
use crate::algorithm::Algorithm;
use crate::api_key::ApiKeys;
use crate::challenge::checked_scopes;
use crate::config_error::{ConfigError, ConfigProblem};

/// Checks the names and types of all settings. Also returns the paths of those that are set.
pub(super) fn check(
    entries: Vec<(String, Raw)>,
    names: &Names,
) -> Result<(Values, Vec<&'static str>), ConfigError> {
    let mut all = Table { names, shown: "", base: "", in_issuer: false }.check(entries)?;
    let is_set = |field: &&Field| match field.path.split_once('.') {
        Some((group, path)) => all.get(group).is_some_and(|group| group.get(path).is_some()),
        None => all.contains_key(field.path),
    };
    let set: Vec<_> = FIELDS.iter().filter(is_set).collect();
    let own = || set.iter().filter(|field| field.per_issuer);
    if let Some(field) = own().next().filter(|_| all.contains_key("issuers")) {
        let reason = "with several issuers, each has its own; move it into them";
        return Err(names.conflict(field.path, "issuers", reason));
    }
    let main: Map<_, _> = own().filter_map(|field| all.remove_entry(field.path)).collect();
    all.insert("main".to_owned(), main.into());
    let values = serde_json::from_value(all.into()).expect("the table has the names and types of the fields");
    Ok((values, set.into_iter().map(|field| field.path).collect()))
}

/// A table of settings: all of them, those of one issuer, or a group such as `cache`.
struct Table<'a> {
    names: &'a Names,
    /// The place of the table in errors, with a dot at the end.
    shown: &'a str,
    /// The begin of its paths in `FIELDS`.
    base: &'a str,
    in_issuer: bool,
}

impl Table<'_> {
    fn check(&self, entries: Vec<(String, Raw)>) -> Result<Map<String, Value>, ConfigError> {
        entries.into_iter().map(|(key, raw)| Ok((key.clone(), self.check_entry(&key, raw)?))).collect()
    }

    fn check_entry(&self, key: &str, raw: Raw) -> Result<Value, ConfigError> {
        let (path, shown) = (format!("{}{key}", self.base), format!("{}{key}", self.shown));
        let field = FIELDS.iter().find(|field| field.path == path);
        let group = format!("{path}.");
        match (field, raw) {
            // The path of a field has dots, its name has none.
            _ if key.contains('.') => Err(self.names.invalid(
                &shown,
                "a name has no dot; write a table, such as `cache`, with the setting in it",
            )),
            (Some(field), _) if self.in_issuer && !field.per_issuer => {
                Err(self.names.invalid(&shown, "it applies to all issuers; move it out of `issuers`"))
            }
            (Some(Field { kind: Kind::Issuers, .. }), raw) => self.check_issuers(&shown, raw),
            (Some(field), raw) => {
                checked(field.kind, raw).map_err(|reason| self.names.invalid(&shown, reason))
            }
            (None, raw) if !self.in_issuer && FIELDS.iter().any(|field| field.path.starts_with(&group)) => {
                let Raw::Table(entries) = raw else {
                    return Err(self.names.invalid(&shown, "it needs a table of settings"));
                };
                let table = Table { names: self.names, shown: &group, base: &group, in_issuer: false };
                table.check(entries).map(Value::from)
            }
            (None, _) => {
                let known = FIELDS.iter().filter(|field| !self.in_issuer || field.per_issuer);
                let known = known.filter_map(|field| field.path.strip_prefix(self.base));
                let siblings = known.map(|path| path.split('.').next().unwrap_or(path).to_owned());
                let nearest = nearest(key, siblings).map(|name| format!("{}{name}", self.shown));
                Err(ConfigProblem::UnknownSetting { name: shown, nearest }.into())
            }
        }
    }

    fn check_issuers(&self, shown: &str, raw: Raw) -> Result<Value, ConfigError> {
        let issuers = match raw {
            Raw::List(issuers) if !issuers.is_empty() => issuers,
            _ => return Err(self.names.invalid(shown, "it needs a list of tables, one for each issuer")),
        };
        let check = |(number, issuer): (usize, Raw)| {
            let shown = format!("{shown}[{number}]");
            let Raw::Table(entries) = issuer else {
                return Err(self.names.invalid(&shown, "it needs a table of settings"));
            };
            let table = Table { names: self.names, shown: &format!("{shown}."), base: "", in_issuer: true };
            table.check(entries).map(Value::from)
        };
        issuers.into_iter().enumerate().map(check).collect()
    }
}

/// Returns the value in the type of its field, or what is needed.
fn checked(kind: Kind, raw: Raw) -> Result<Value, String> {
    match raw {
        Raw::Null => return Err(EMPTY.to_owned()),
        Raw::Text(text) if text.is_empty() => return Err(EMPTY.to_owned()),
        _ => {}
    }
    match (kind, raw) {
        (Kind::List(kind), Raw::List(items)) if !items.is_empty() => {
            items.into_iter().map(|item| checked(*kind, item)).collect()
        }
        (Kind::List(_), Raw::List(_)) => Err(EMPTY.to_owned()),
        (Kind::List(kind), single) => Ok(vec![checked(*kind, single)?].into()),
        (Kind::Secret, Raw::Text(secret)) => Ok(secret.into()),
        (Kind::Flag, Raw::Flag(flag)) => Ok(flag.into()),
        (Kind::Flag, Raw::Text(text)) if text == "true" => Ok(true.into()),
        (Kind::Flag, Raw::Text(text)) if text == "false" => Ok(false.into()),
        (Kind::Flag, _) => Err("it needs `true` or `false`".to_owned()),
        (Kind::Number { unit, min, max }, raw) => {
            number(&raw).filter(|number| (min..=max).contains(number)).map(Value::from).ok_or_else(|| {
                let of_unit = if unit == "number" { String::new() } else { format!(" of {unit}") };
                format!("it needs a whole number{of_unit} from {min} to {max}")
            })
        }
        (Kind::Claims, claims) if claims.has_private_name() => Err(
            "a member is named `$serde_json::private::..`, which serde_json would read as another value; remove it"
                .to_owned(),
        ),
        (Kind::Claims, Raw::Table(claims)) if !claims.is_empty() => {
            claims.into_iter().map(|(name, value)| Ok((name, claim(value)?))).collect()
        }
        (Kind::Claims, _) => {
            Err("it needs a table of claims, such as `{\"email_verified\": true}`".to_owned())
        }
        (kind, Raw::Text(text)) => checked_text(kind, &text).map(|()| text.into()),
        _ => Err("it needs a text; put it in quotes".to_owned()),
    }
}

const EMPTY: &str = "it is empty; give it a value or remove it";

fn number(raw: &Raw) -> Option<u64> {
    match raw {
        Raw::Number(number) => number.as_u64(),
        // `parse` would accept a `+`.
        Raw::Text(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

/// Returns the accepted values of a claim. A `null` or an empty list would reject every token.
fn claim(raw: Raw) -> Result<Value, String> {
    match Value::from(raw) {
        Value::Null => Err("a claim is null; name the accepted values".to_owned()),
        Value::Array(values) if values.is_empty() || values.contains(&Value::Null) => {
            Err("a claim has an empty list or a null; name the accepted values".to_owned())
        }
        value => Ok(value),
    }
}

fn checked_text(kind: Kind, text: &str) -> Result<(), String> {
    if text.trim() != text {
        return Err("it begins or ends with white space; remove it".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err("it has a control character; remove it".to_owned());
    }
    let is_url = ["https://", "http://"].iter().any(|scheme| text.starts_with(scheme));
    match kind {
        Kind::Url | Kind::SecretUrl if !is_url => Err("it needs to begin with `https://`".to_owned()),
        Kind::Choice(words) if !words.contains(&text) => Err(format!("it needs `{}`", words.join("` or `"))),
        Kind::Prefix if ApiKeys::<()>::new(text, []).is_err() => {
            Err("it needs a letter and up to 31 letters, digits and `_`".to_owned())
        }
        Kind::Ascii if !text.is_ascii() => Err("it needs printable ASCII".to_owned()),
        Kind::Scopes if checked_scopes(text).is_err() => {
            Err("it needs scopes of printable ASCII with one space between them".to_owned())
        }
        Kind::Algorithm if Algorithm::named(text).is_none() => Err(match Algorithm::meant_by(text) {
            Some(meant) => format!("names of algorithms are case-sensitive; use `{meant}`"),
            None => "it needs the name of an algorithm, such as `RS256`".to_owned(),
        }),
        _ => Ok(()),
    }
}
