use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::value::Error;
use serde::de::{Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::AuthSettings;
use super::fields::{FIELDS, Field, Kind};
use super::names::{Names, variable_paths};
use super::values::{
    ApiKeyValues, CacheValues, DpopValues, FetchValues, HttpValues, IntrospectionValues, IssuerValues, Values,
};
use super::variables::is_of_kubernetes;

/// Records the names of the fields of a struct.
struct Recorder<'a>(&'a mut Vec<&'static str>);

impl<'de> Deserializer<'de> for Recorder<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(serde::de::Error::custom("it is no struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.0.extend(fields);
        Err(serde::de::Error::custom("recorded"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn fields_of<T: for<'de> Deserialize<'de>>(group: &str) -> Vec<String> {
    let mut names = Vec::new();
    drop(T::deserialize(Recorder(&mut names)));
    names.into_iter().map(|name| format!("{group}{name}")).collect()
}

#[test]
fn table_has_exactly_the_fields() {
    let mut fields: BTreeSet<String> = fields_of::<Values>("").into_iter().collect();
    for group in ["main", "cache", "fetch", "http", "api_keys", "introspection", "dpop"] {
        assert!(fields.remove(group), "{group}");
    }
    fields.extend(fields_of::<CacheValues>("cache."));
    fields.extend(fields_of::<FetchValues>("fetch."));
    fields.extend(fields_of::<HttpValues>("http."));
    fields.extend(fields_of::<ApiKeyValues>("api_keys."));
    fields.extend(fields_of::<IntrospectionValues>("introspection."));
    fields.extend(fields_of::<DpopValues>("dpop."));
    let of = |per_issuer: bool| {
        let fields = FIELDS.iter().filter(move |field| field.per_issuer == per_issuer);
        fields.map(|field| field.path.to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(of(false), fields);
    assert_eq!(of(true), fields_of::<IssuerValues>("").into_iter().collect());
}

/// Returns a text that the kind accepts, and that differs from the default.
fn sample(field: &Field) -> String {
    match field.kind {
        Kind::Flag => (field.default != "true").to_string(),
        Kind::Number { min, .. } => (min + 1).to_string(),
        Kind::Algorithm | Kind::List(Kind::Algorithm) => "ES256".to_owned(),
        Kind::Claims => r#"{"a": 1}"#.to_owned(),
        Kind::Choice(words) => words[words.len() - 1].to_owned(),
        Kind::Prefix => "acme".to_owned(),
        _ => "https://a".to_owned(),
    }
}

#[test]
fn every_field_has_a_variable() {
    let names = Names::Variables { prefix: "P".to_owned() };
    let mut variables = BTreeSet::new();
    for field in FIELDS.iter().filter(|field| variable_paths().any(|path| path == field.path)) {
        let variable = names.name(field.path);
        assert!(!is_of_kubernetes(variable.strip_prefix("P_").unwrap()), "{variable}");
        let settings = AuthSettings::from_vars("P", [(&variable, sample(field))]);
        let settings = settings.unwrap_or_else(|error| panic!("{variable}: {error}"));
        assert_ne!(*settings.values, Values::default(), "{variable}");
        assert_eq!(*settings.set, [field.path]);
        assert!(variables.insert(variable.clone()), "{variable} twice");
    }
    assert_eq!(variables.len(), FIELDS.len() - 1, "all but `issuers`");
}

/// Defaults in the table that are numbers are within their limits.
#[test]
fn defaults_are_valid() {
    for field in FIELDS {
        if let Kind::Number { min, max, .. } = field.kind {
            assert!((min..=max).contains(&field.default.parse().unwrap()), "{}", field.path);
        }
    }
}

#[test]
fn documentation_lists_every_setting() {
    let row = |field: &Field| {
        let kind = field.kind.name();
        let default = if field.default.is_empty() { String::new() } else { format!("`{}`", field.default) };
        format!("| `{}` | {kind} | {default} | {} |", field.path, field.text).replace("|  |", "| |")
    };
    let expected: Vec<_> = FIELDS.iter().map(row).collect();
    let expected = expected.join("\n");
    for (name, text) in
        [("table.md", include_str!("table.md")), ("guide", include_str!("../guide/settings.md"))]
    {
        assert!(
            text.contains(&format!("|---|---|---|---|\n{expected}\n")),
            "{name} should have:\n{expected}"
        );
    }
}

#[test]
fn variables_of_kubernetes_are_known() {
    for (name, expected) in [
        ("SERVICE_HOST", true),
        ("SERVICE_PORT", true),
        ("SERVICE_PORT_HTTP", true),
        ("PORT", true),
        ("PORT_80_TCP", true),
        ("PORT_80_TCP_ADDR", true),
        ("JWKS_SERVICE_HOST", true),
        ("JWKS_PORT_8080_TCP_PROTO", true),
        ("PORTS", false),
        ("ISSUER", false),
        ("SERVICE_HOSTS", false),
        ("PORT_A_TCP", false),
        ("IMPORT", false),
    ] {
        assert_eq!(is_of_kubernetes(name), expected, "{name}");
    }
}
