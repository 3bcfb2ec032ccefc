//! API keys in a file.

use std::error::Error;
use std::time::Duration;

use serde_json::{Value, json};
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::ConfigErrorKind;
use tower_jwt_auth::api_key::{ApiKey, ApiKeyRecord, ApiKeys};

use super::{ID, KEY, KEY_HASH, error_of, forged, kind_of, record};
use crate::support::*;

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn file_of(records: &[ApiKeyRecord<Value>]) -> String {
    serde_json::to_string_pretty(records).unwrap()
}

#[tokio::test(start_paused = true)]
async fn changed_key_file_takes_effect() {
    let folder = Folder::new("changed_key_file_takes_effect");
    let path = folder.write("keys.json", file_of(&[record()]));
    let keys = ApiKeys::<Value>::file("acme", &path).unwrap();
    let other = ApiKey::generate("acme").unwrap();
    assert_eq!(kind_of(&keys, KEY).await, None);
    assert_eq!(kind_of(&keys, other.expose()).await, Some(InvalidToken));
    assert_eq!(kind_of(&keys, &forged(ID)).await, Some(InvalidToken));
    pass(1).await;
    folder.write("keys.json", file_of(&[ApiKeyRecord::new(&other, json!({}))]));
    pass(10).await;
    assert_eq!(kind_of(&keys, KEY).await, Some(InvalidToken));
    assert_eq!(kind_of(&keys.clone(), other.expose()).await, None);
    folder.write("keys.json", "[]");
    pass(10).await;
    assert_eq!(kind_of(&keys, other.expose()).await, Some(InvalidToken));
}

#[tokio::test(start_paused = true)]
async fn broken_key_file_keeps_the_old_keys() {
    let folder = Folder::new("broken_key_file_keeps_the_old_keys");
    let whole = file_of(&[record()]);
    let path = folder.write("keys.json", &whole);
    let keys = ApiKeys::<Value>::file("acme", &path).unwrap();
    #[cfg(feature = "tracing")]
    let log = crate::events::Log::begin();
    assert_eq!(kind_of(&keys, KEY).await, None);
    pass(1).await;
    for (name, content) in [
        ("half written", whole[..whole.len() / 2].to_owned()),
        ("empty", String::new()),
        ("bad hash", whole.replace(&KEY_HASH[..1], "")),
        ("twice", file_of(&[record(), record()])),
    ] {
        folder.write("keys.json", content);
        pass(10).await;
        assert_eq!(kind_of(&keys, KEY).await, None, "{name}");
        #[cfg(feature = "tracing")]
        {
            let logged = log.take();
            assert!(logged.starts_with(" WARN") && logged.contains("keys.json"), "{name}: {logged}");
            assert!(!logged.contains(&KEY_HASH[..8]), "{name}: {logged}");
        }
    }
}

#[test]
fn unusable_files_of_keys_are_errors() {
    let folder = Folder::new("unusable_files_of_keys_are_errors");
    let syntax = |place: &str| {
        format!(
            "cannot use `keys.json`: expected a JSON array of records of API keys, with the members `id`, `hash`, \
             `claims`, `expires_at` and `name` only; got something else at {place}"
        )
    };
    let private =
        |name: &str| format!(r#"[{{"id":"{ID}","hash":"{KEY_HASH}","claims":{{"x":[{{"{name}":"1"}}]}}}}]"#);
    let private_name = "cannot use `keys.json`: a record of an API key has a member `$serde_json::private::..`, \
                        which serde_json would read as another value; remove it";
    let misspelled = format!(r#"[{{"id":"{ID}","hash":"{KEY_HASH}","claims":{{}},"expiry":1}}]"#);
    for (name, content, kind, expected) in [
        ("no JSON", "keys".to_owned(), ConfigErrorKind::InvalidKey, syntax("line 1, column 1")),
        ("an object", "{}".to_owned(), ConfigErrorKind::InvalidKey, syntax("line 1, column 0")),
        ("misspelled expiry", misspelled, ConfigErrorKind::InvalidKey, syntax("line 1, column 95")),
        (
            "private name",
            private("$serde_json::private::RawValue"),
            ConfigErrorKind::InvalidKey,
            private_name.to_owned(),
        ),
        (
            "escaped private name",
            private(r"\u0024serde_json::private::RawValue"),
            ConfigErrorKind::InvalidKey,
            private_name.to_owned(),
        ),
        (
            "twice",
            file_of(&[record(), record()]),
            ConfigErrorKind::DuplicateKeyId,
            format!("cannot use `keys.json`: two records of API keys have the ID `{ID}`; remove one"),
        ),
    ] {
        let error = ApiKeys::<Value>::file("acme", folder.write("keys.json", content)).unwrap_err();
        let text = error.to_string().replace(&folder.path("").display().to_string(), "");
        assert_eq!((error.kind(), text), (kind, expected), "{name}");
        assert!(error.source().is_none(), "{name}");
    }
    // serde_json would not notice it in a claim that the type skips, nor look at the names there.
    let text =
        private("$serde_json::private::RawValue").replacen(ID, "\u{e9}", 1).replace("]}}]", "]}},\n\n]");
    let bytes: Vec<u8> = text.bytes().map(|byte| if byte == 0xc3 { 0xff } else { byte }).collect();
    let error = ApiKeys::<Value>::file("acme", folder.write("keys.json", bytes)).unwrap_err();
    assert!(error.to_string().ends_with("got something else at line 1, column 9"), "{error}");
    let missing = ApiKeys::<Value>::file("acme", folder.path("missing")).unwrap_err();
    assert_eq!(missing.kind(), ConfigErrorKind::UnreadableFile);
    let prefix = ApiKeys::<Value>::file("", folder.path("missing")).unwrap_err();
    assert_eq!(prefix.kind(), ConfigErrorKind::InvalidName);
}

#[tokio::test]
async fn file_has_claims_of_the_application() {
    #[derive(serde::Deserialize)]
    struct Owner {
        owner: String,
    }

    let folder = Folder::new("file_has_claims_of_the_application");
    let json = json!([{"id": ID, "hash": KEY_HASH, "claims": {"owner": "Eze"}, "expires_at": NOW}]);
    let keys = ApiKeys::<Owner>::file("acme", folder.write("keys.json", json.to_string())).unwrap();
    let keys = keys.clock(|| at(NOW - 1));
    let claims = tower_jwt_auth::Verify::verify(&keys, KEY.into()).await.unwrap();
    assert_eq!((&*claims.owner, claims.token().expires_at()), ("Eze", Some(at(NOW))));
    let wrong = ApiKeys::<u8>::file("acme", folder.path("keys.json")).unwrap_err();
    assert_eq!(wrong.kind(), ConfigErrorKind::InvalidKey);
    assert!(!wrong.to_string().contains("Eze"));
    let keys = ApiKeys::<Value>::file("acme", folder.path("keys.json")).unwrap();
    assert_eq!(error_of(&keys.clock(|| at(NOW)), KEY).await.kind(), Expired);
}
