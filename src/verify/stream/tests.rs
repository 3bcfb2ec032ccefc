mod agreement;

use proptest::prelude::*;
use serde::Deserialize;

use super as stream;
use super::*;
use crate::registered::{self, RegisteredClaims};

fn members() -> impl Strategy<Value = String> {
    let name = proptest::sample::select(vec![
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "sid",
        "cnf",
        "email",
        "\\u0069ss",
        "e\\u0078p",
        "is",
        "",
    ]);
    let value = proptest::sample::select(vec![
        "\"a\"",
        "\"b\"",
        "\"c\"",
        "\"\\u0061\"",
        "\"me\"",
        "\"\"",
        "1800000000",
        "1800000000",
        "0",
        "-1",
        "1.5",
        "1e300",
        "-1e300",
        "18446744073709551616",
        "99999999999999999999999999999999999999999",
        "null",
        "true",
        "[]",
        "[\"a\"]",
        "[\"c\",\"b\"]",
        "[\"c\",1]",
        "[[\"a\"]]",
        "[null]",
        "{}",
        "{\"a\":[1]}",
        "1e999",
        "x",
    ]);
    proptest::collection::vec((name, value), 0..7).prop_map(|members| {
        let members: Vec<_> =
            members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        members.join(",")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_pass_agrees_with_two(members in members(), end in proptest::sample::select(vec!["}", "} ", "}}", ",}", ""])) {
        agreement::check(&format!("{{{members}{end}"));
    }
}

/// Returns true if no plain pass is needed.
fn is_seen<C: DeserializeOwned + 'static>(payload: &str) -> bool {
    let wanted = Wanted { audiences: vec!["b".to_owned()], identity: true };
    let mut pass = Pass::over(payload, &wanted);
    pass.claims::<C>().is_ok() && pass.seen.is_certain()
}

#[test]
fn ordinary_claims_need_no_second_pass() {
    #[derive(Deserialize)]
    struct NewType(#[expect(dead_code, reason = "only read")] RegisteredClaims);
    #[derive(Deserialize)]
    struct Flattened {
        #[serde(flatten)]
        _rest: Map<String, Value>,
    }

    let payload = r#"{"iss":"i","sub":"s","aud":["x","b"],"exp":1800000000,"nbf":1.5,"iat":1,"jti":"j","sid":"s","email":"e"}"#;
    agreement::check(payload);
    assert!(is_seen::<Value>(payload));
    assert!(is_seen::<RegisteredClaims>(payload));
    assert!(is_seen::<Option<RegisteredClaims>>(payload));
    assert!(is_seen::<NewType>(payload));
    assert!(is_seen::<Flattened>(payload));
    assert!(!is_seen::<de::IgnoredAny>(payload), "no member is read separately");
}
