//! `jwt-doctor api-key`.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tower_jwt_auth::api_key::{ApiKey, ApiKeyRecord, ApiKeys};
use tower_jwt_auth::{AuthErrorKind, Verify};

use crate::support::{Run, doctor, file, now};

fn make(further: &[&str]) -> Run {
    let run = doctor(&[&["api-key", "--prefix", "acme"], further].concat());
    run.assert(0, &["the only time that the key is shown"]);
    let key = run.stdout.lines().next().unwrap();
    // Once.
    assert!(!run.stderr.contains(key) && run.stdout.matches(key).count() == 1);
    run
}

fn verify(keys: &ApiKeys<Value>, key: &str) -> Result<Value, AuthErrorKind> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let claims = runtime.block_on(keys.verify(key.into()).into_future());
    claims.map(|claims| (*claims).clone()).map_err(|error| error.kind())
}

#[test]
fn makes_key_with_record() {
    let run =
        make(&["--name", "ci", "--scope", "orders:read", "--claim", "team=7", "--expires-in-days", "30"]);
    let (key, record) = run.stdout.split_once('\n').unwrap();
    let record: ApiKeyRecord<Value> = serde_json::from_str(record).unwrap();
    assert_eq!(record.name.as_deref(), Some("ci"));
    assert_eq!(record.id, ApiKey::parse(key).unwrap().id());
    let claims = json!({"scope": "orders:read", "team": 7});
    assert_eq!(record.claims, claims);
    let expiry = record.expires_at.unwrap().to_system_time().unwrap();
    let in_30_days = SystemTime::UNIX_EPOCH + Duration::from_secs(now() + 30 * 86_400);
    assert!(in_30_days.duration_since(expiry).unwrap_or_default() < Duration::from_secs(60));
    let keys = ApiKeys::new("acme", [record]).unwrap();
    assert_eq!(verify(&keys, key), Ok(claims));
}

#[test]
fn adds_records_to_file() {
    let path = file("keys.json", "[]");
    std::fs::remove_file(&path).unwrap();
    let [first, second] = ["a", "b"].map(|name| make(&["--name", name, "--keys-file", &path]).stdout);
    let records: Vec<ApiKeyRecord<Value>> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let keys = ApiKeys::new("acme", records).unwrap();
    for key in [first, second] {
        assert_eq!(verify(&keys, key.trim_end()), Ok(json!({})));
    }
}

#[test]
fn names_mistakes() {
    let broken = file("broken-keys.json", "{}");
    for (arguments, expected) in [
        (&["--prefix", "1acme"][..], "prefix"),
        (&["--prefix", "acme", "--expires-in-days", "0"], "0 is not in 1.."),
        (&["--prefix", "acme", "--keys-file", &broken], "no JSON array of records"),
        (&["--prefix", "acme", "--keys-file", "/nowhere/keys.json"], "cannot write"),
        (&["--prefix", "acme", "--claim", "=1"], "--claim NAME=JSON"),
        (&[], "--prefix"),
    ] {
        let run = doctor(&[&["api-key"], arguments].concat());
        run.assert(2, &[expected]);
        assert_eq!(run.stdout, "");
    }
}

#[test]
fn explain_recognizes_api_key() {
    let run = make(&[]);
    let key = run.stdout.lines().next().unwrap();
    let secret = file("api-key-secret", "a secret of thirty-two bytes ...");
    let explained = crate::support::doctor_with(&["explain", "--secret-file", &secret], &[], key);
    explained.assert(1, &["This is an API key with the prefix acme", "AnyOf::prefix(\"acme_\", ..)"]);
    assert!(!explained.stdout.contains(key));
}

#[cfg(unix)]
#[test]
fn key_file_keeps_its_permissions_and_link() {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    // The link of an earlier run must be gone first, since `file` would write to its target.
    let link = file("api-keys-link.json", "");
    fs::remove_file(&link).unwrap();
    let target = file("api-keys-target.json", "[]");
    fs::set_permissions(&target, Permissions::from_mode(0o640)).unwrap();
    symlink(&target, &link).unwrap();
    doctor(&["api-key", "--prefix", "acme", "--keys-file", &link]).assert(0, &["acme_"]);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::read_to_string(&target).unwrap().contains("hash"));

    fs::remove_file(&target).unwrap();
    doctor(&["api-key", "--prefix", "acme", "--keys-file", &link]).assert(2, &["a link to a file"]);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    fs::write(&target, "[]").unwrap();

    let new = file("api-keys-new.json", "");
    fs::remove_file(&new).unwrap();
    doctor(&["api-key", "--prefix", "acme", "--keys-file", &new]).assert(0, &["acme_"]);
    assert_eq!(fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn rejects_claims_without_effect() {
    for (claim, expected) in [("exp=1", "use --expires-in-days"), ("aud=\"a\"", "has no effect")] {
        doctor(&["api-key", "--prefix", "acme", "--claim", claim]).assert(2, &[expected]);
    }
}

#[test]
fn rejects_file_that_service_ignores() {
    let full = format!("[{{\"name\": \"{}\"}}]", "a".repeat(1024 * 1024 - 100));
    let path = file("api-keys-full.json", &full);
    let run = doctor(&["api-key", "--prefix", "acme", "--keys-file", &path]);
    run.assert(2, &["would be larger than 1 MiB"]);
    assert!(run.stdout.is_empty());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), full);
}
