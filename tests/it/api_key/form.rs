//! The form of keys and of their records.

use std::collections::HashSet;
use std::error::Error;

use proptest::prelude::*;
use serde_json::{Value, json};
use tower_jwt_auth::api_key::{ApiKey, ApiKeyRecord, ApiKeys};
use tower_jwt_auth::{AuthErrorKind, ConfigErrorKind};

use super::{KEY, KEY_HASH};
use crate::support::*;

/// Keys and their hashes. Made with Python's `zlib` and `hmac`.
const VECTORS: [(&str, [&str; 2], &str); 3] = [
    (KEY, ["acme", "4vJ8kQ2mX7Zp"], KEY_HASH),
    (
        "a_000000000000_00000000000000000000000000000019mmBY",
        ["a", "000000000000"],
        "aOziFODTPWcFl5bANrr9v-VbpTX0SM9oZiTwj_T1BDo",
    ),
    (
        "sk_live_2_zzzzzzzzzzzz_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzz3gs972",
        ["sk_live_2", "zzzzzzzzzzzz"],
        "IsNNR8WK6uo1nVz6Hm1otSXo39Hlkwukw-ioVfMolv8",
    ),
];

#[test]
fn reads_and_hashes_known_keys() {
    for (text, [prefix, id], hash) in VECTORS {
        let key = ApiKey::parse(text).unwrap();
        assert_eq!([key.prefix(), key.id(), key.expose(), &key.hash()], [prefix, id, text, hash]);
    }
}

#[test]
fn generates_keys_of_the_documented_form() {
    let mut seen = HashSet::new();
    let longest = format!("a{}", "_9".repeat(15) + "z");
    for prefix in ["a", "acme", "sk_live_", &longest] {
        for _ in 0..50 {
            let key = ApiKey::generate(prefix).unwrap();
            let rest = key.expose().strip_prefix(prefix).unwrap().strip_prefix('_').unwrap();
            let (id, secret) = rest.split_once('_').unwrap();
            let is_random =
                |text: &str, len| text.len() == len && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
            assert!(is_random(id, 12) && is_random(secret, 36), "{prefix}");
            assert_eq!([key.prefix(), key.id()], [prefix, id]);
            assert_eq!(ApiKey::parse(key.expose()).unwrap().hash(), key.hash());
            assert!(seen.insert(id.to_owned()) && seen.insert(secret.to_owned()));
        }
    }
    for prefix in ["", "_", "1a", "a-b", "ä", "a b", &format!("{longest}b")] {
        let error = ApiKey::generate(prefix).unwrap_err();
        assert_eq!(error.kind(), ConfigErrorKind::InvalidName, "{prefix}");
    }
}

/// Malformed keys, and the cause that the error names.
pub(crate) fn malformed() -> Vec<(&'static str, String, &'static str)> {
    let rest = KEY.strip_prefix("acme").unwrap();
    let with = |from: &str, to: &str| KEY.replacen(from, to, 1);
    let form = "an API key has the form <prefix>_<id>_<secret><checksum>, but an underscore is missing";
    let prefix = "the prefix is not a letter and up to 31 letters, digits and `_`";
    let id = "the ID, after the prefix, is not 12 letters and digits";
    let length = "the part after the last underscore does not have 36 characters";
    let secret = "the part after the last underscore has a character that is no letter or digit";
    let checksum = "the checksum does not match the other characters";
    vec![
        ("empty", String::new(), form),
        ("one word", "acme".to_owned(), form),
        ("no secret", "acme_4vJ8kQ2mX7Zp".to_owned(), form),
        ("no prefix", rest[1..].to_owned(), form),
        ("empty prefix", rest.to_owned(), prefix),
        ("prefix begins with a digit", format!("1{rest}"), prefix),
        ("prefix with a hyphen", format!("ac-me{rest}"), prefix),
        ("prefix with a letter that is not ASCII", format!("acmé{rest}"), prefix),
        ("long prefix", format!("{}{rest}", "a".repeat(33)), prefix),
        ("megabytes of prefix", format!("{}{rest}", "a".repeat(5_000_000)), prefix),
        ("short ID", with("4vJ8", "4vJ"), id),
        ("long ID", with("4vJ8", "4vJ8a"), id),
        ("ID with another character", with("4vJ8", "4v-8"), id),
        ("cut off", KEY[..KEY.len() - 1].to_owned(), length),
        ("longer", format!("{KEY}0"), length),
        ("line feed", format!("{KEY}\n"), length),
        ("megabytes of secret", format!("{KEY}{}", "a".repeat(5_000_000)), length),
        ("secret with another character", with("Hk3T", "Hk3+"), secret),
        ("checksum with another character", with("0qOmv9", "0qOmv~"), secret),
        ("other secret", with("Hk3T", "Hk3t"), checksum),
        ("other ID", with("4vJ8", "4vj8"), checksum),
        ("other checksum", with("0qOmv9", "0qOmv8"), checksum),
        ("two swapped", with("Hk3T", "kH3T"), checksum),
        ("lower case", format!("acme{}", rest.to_lowercase()), checksum),
    ]
}

#[tokio::test]
async fn malformed_keys_name_the_wrong_part() {
    for (name, text, cause) in malformed() {
        let error = ApiKey::parse(&text).unwrap_err();
        assert_eq!(error.kind(), AuthErrorKind::MalformedApiKey, "{name}");
        assert_eq!(error.source().unwrap().to_string(), cause, "{name}");
        // The verifier looks at the prefix first.
        let keys = ApiKeys::<Value>::new("acme", []).unwrap();
        let error = super::error_of(&keys, &text).await;
        let cause = match text.starts_with("acme_") {
            true => cause,
            false => "the key does not begin with the prefix of ApiKeys and `_`",
        };
        assert_eq!(error.kind(), AuthErrorKind::MalformedApiKey, "{name}");
        assert_eq!(error.source().unwrap().to_string(), cause, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn checksum_detects_every_typo_of_one_character(place in 0_usize..54, typo in 0_u8..128) {
        let key = ApiKey::generate("acme").unwrap();
        let mut text = key.expose().as_bytes().to_owned();
        prop_assume!(text[place] != typo);
        text[place] = typo;
        prop_assert!(ApiKey::parse(std::str::from_utf8(&text).unwrap()).is_err());
        text.remove(place);
        prop_assert!(ApiKey::parse(std::str::from_utf8(&text).unwrap()).is_err());
    }

    #[test]
    fn no_text_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80), prefix in "(acme)?_{0,3}") {
        let text = prefix + &String::from_utf8_lossy(&bytes);
        prop_assert!(ApiKey::parse(&text).is_err());
    }
}

#[test]
fn key_debug_hides_the_secret() {
    let key = ApiKey::parse(KEY).unwrap();
    assert_eq!(format!("{key:?}"), r#"ApiKey { prefix: "acme", id: "4vJ8kQ2mX7Zp", .. }"#);
    let record = ApiKeyRecord::new(&key, json!({"email": "eze@example.com"})).name("ci");
    assert_eq!(
        format!("{record:?}"),
        r#"ApiKeyRecord { id: "4vJ8kQ2mX7Zp", expires_at: None, name: Some("ci"), .. }"#
    );
}

#[test]
fn records_are_plain_json() {
    let key = ApiKey::parse(KEY).unwrap();
    let record = ApiKeyRecord::new(&key, json!({"scope": "read"}));
    let plain = json!({"id": "4vJ8kQ2mX7Zp", "hash": KEY_HASH, "claims": {"scope": "read"}});
    assert_eq!(serde_json::to_value(&record).unwrap(), plain);
    let full = serde_json::to_value(record.name("ci").expires_at(at(NOW))).unwrap();
    assert_eq!((&full["name"], &full["expires_at"]), (&json!("ci"), &json!(NOW)));
    for json in [plain.clone(), full] {
        let read: ApiKeyRecord<Value> = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), json);
    }
    let mut misspelled = plain;
    misspelled["expires_in"] = json!(NOW);
    assert!(serde_json::from_value::<ApiKeyRecord<Value>>(misspelled).is_err());
}

#[test]
fn unusable_records_are_errors_that_name_the_id() {
    let record = |id: &str, hash: &str| ApiKeyRecord::from_parts(id, hash, ());
    let invalid = |id: &str, what: &str| format!("invalid record of the API key `{id}`: {what}");
    let hash = "its hash is not 43 characters of base64url; ApiKey::hash returns the right one";
    let wrong_id = "its ID is not 12 letters and digits";
    let id = "4vJ8kQ2mX7Zp";
    for (name, prefix, records, kind, expected) in [
        (
            "prefix",
            "acme-",
            vec![],
            ConfigErrorKind::InvalidName,
            "the prefix of API keys must be a letter and up to 31 letters, digits and `_`, got `acme-`"
                .into(),
        ),
        (
            "two of an ID",
            "acme",
            vec![record(id, KEY_HASH), record(id, VECTORS[1].2)],
            ConfigErrorKind::DuplicateKeyId,
            format!("two records of API keys have the ID `{id}`; remove one"),
        ),
        ("empty hash", "acme", vec![record(id, "")], ConfigErrorKind::InvalidKey, invalid(id, hash)),
        ("key as hash", "acme", vec![record(id, KEY)], ConfigErrorKind::InvalidKey, invalid(id, hash)),
        ("cut", "acme", vec![record(id, &KEY_HASH[1..])], ConfigErrorKind::InvalidKey, invalid(id, hash)),
        (
            "not canonical",
            "acme",
            vec![record(id, &KEY_HASH.replace("Kdc", "Kdd"))],
            ConfigErrorKind::InvalidKey,
            invalid(id, hash),
        ),
        ("ID", "acme", vec![record("a\n", KEY_HASH)], ConfigErrorKind::InvalidKey, invalid("a\\n", wrong_id)),
    ] {
        let error = ApiKeys::new(prefix, records).unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (kind, expected), "{name}");
    }
}
