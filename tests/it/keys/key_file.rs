//! Keys in files that change.

use std::fs;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::{Builder, Handle};
use tower_jwt_auth::keys::KeyFile;
use tower_jwt_auth::{Algorithm, AuthErrorKind, ConfigError};

use super::{SECRET, fixture, jwk_with, rejection_with, set_of, signer, token, token_by};
use crate::support::Folder;

const BAD: Option<AuthErrorKind> = Some(AuthErrorKind::InvalidSignature);

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn other_rsa() -> jsonwebtoken::EncodingKey {
    jsonwebtoken::EncodingKey::from_rsa_pem(fixture("rsa2048-other.private.pem").as_bytes()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn follows_each_kind_of_file() {
    let folder = Folder::new("follows_each_kind_of_file");
    let pem = folder.write("key.pem", fixture("rsa2048.public.pem"));
    let keys = KeyFile::pem(Algorithm::RS256, &pem).unwrap();
    let (old, new) = (token(Algorithm::RS256, None), token_by(&other_rsa(), Algorithm::RS256, None));
    assert_eq!(rejection_with(keys.clone(), &old).await, None);
    assert_eq!(rejection_with(keys.clone(), &new).await, BAD);
    pass(1).await;
    folder.write("key.pem", fixture("rsa2048-other.public.pem"));
    pass(10).await;
    assert_eq!(rejection_with(keys.clone(), &old).await, BAD);
    assert_eq!(rejection_with(keys, &new).await, None);

    let named = |kid| set_of(&[jwk_with(Algorithm::EdDSA, serde_json::json!({"kid": kid}))]);
    let set = folder.write("keys.json", named("a"));
    let keys = KeyFile::jwks(&set).unwrap();
    let token_of = |kid| token(Algorithm::EdDSA, Some(kid));
    assert_eq!(rejection_with(keys.clone(), &token_of("a")).await, None);
    assert_eq!(rejection_with(keys.clone(), &token_of("b")).await, Some(AuthErrorKind::UnknownKey));
    folder.write("keys.json", named("b"));
    pass(10).await;
    assert_eq!(rejection_with(keys, &token_of("b")).await, None);

    let secret = folder.write("secret", [&SECRET[..], b"\r\n"].concat());
    let keys = KeyFile::hmac(Algorithm::HS256, &secret).unwrap();
    let signed = token_by(&signer(Algorithm::HS256), Algorithm::HS256, None);
    assert_eq!(rejection_with(keys.clone(), &signed).await, None, "one line break is no part of the secret");
    folder.write("secret", [&SECRET[..], b"\n\n"].concat());
    pass(10).await;
    assert_eq!(rejection_with(keys, &signed).await, BAD, "the second line break is part of the secret");
}

#[tokio::test(start_paused = true)]
async fn bad_content_leaves_keys_unchanged() {
    let folder = Folder::new("bad_content_leaves_keys_unchanged");
    let path = folder.write("keys.json", set_of(&[jwk_with(Algorithm::EdDSA, serde_json::json!({}))]));
    let keys = KeyFile::jwks(&path).unwrap();
    let good = token(Algorithm::EdDSA, None);
    assert_eq!(rejection_with(keys.clone(), &good).await, None);
    pass(1).await;
    let whole = fs::read_to_string(&path).unwrap();
    let shown = path.display();
    let mut failures = 0;
    for (name, change, expected) in [
        (
            "half written",
            Some(whole[..whole.len() / 2].to_owned()),
            format!("cannot use `{shown}`: invalid JWK set: expected a JSON object with an array `keys`"),
        ),
        ("empty set", Some(set_of(&[])), format!("cannot use `{shown}`: the JWK set is empty")),
        ("too large", Some(" ".repeat(1024 * 1024) + &whole), format!("cannot read `{shown}`")),
        ("deleted", None, format!("cannot read `{shown}`")),
    ] {
        match change {
            Some(content) => drop(fs::write(&path, content)),
            None => fs::remove_file(&path).unwrap(),
        }
        pass(10).await;
        assert_eq!(rejection_with(keys.clone(), &good).await, None, "{name}");
        failures += 2;
        assert_eq!(keys.failures(), failures, "{name}");
        assert_eq!(keys.last_error().unwrap().to_string(), expected, "{name}");
    }
    folder.write("keys.json", whole);
    pass(10).await;
    assert_eq!((keys.failures(), keys.last_error().is_none()), (failures, true));
    // The read at the start, one with the first use, and two for each ten seconds.
    assert_eq!(keys.reads(), 2 + failures + 2);
}

/// Kubernetes updates a mounted secret by replacing the link to its folder.
#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn follows_replaced_symbolic_links() {
    use std::os::unix::fs::symlink;

    let folder = Folder::new("follows_replaced_symbolic_links");
    for (version, pem) in [("v1", "rsa2048.public.pem"), ("v2", "rsa2048-other.public.pem")] {
        fs::create_dir(folder.path(version)).unwrap();
        folder.write(&format!("{version}/key.pem"), fixture(pem));
    }
    symlink("v1", folder.path("..data")).unwrap();
    symlink("..data/key.pem", folder.path("key.pem")).unwrap();
    let keys = KeyFile::pem(Algorithm::RS256, folder.path("key.pem")).unwrap();
    let new = token_by(&other_rsa(), Algorithm::RS256, None);
    assert_eq!(rejection_with(keys.clone(), &new).await, BAD);
    pass(1).await;
    symlink("v2", folder.path("..data_tmp")).unwrap();
    fs::rename(folder.path("..data_tmp"), folder.path("..data")).unwrap();
    pass(10).await;
    assert_eq!(rejection_with(keys, &new).await, None);
}

#[test]
fn unusable_key_files_are_errors() {
    let folder = Folder::new("unusable_key_files_are_errors");
    let written = |content: &[u8]| folder.write("key", content);
    let missing = folder.path("missing");
    let text = |result: Result<KeyFile, ConfigError>| {
        let error = result.unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let text = error.to_string().replace(&folder.path("").display().to_string(), "");
        source.into_iter().fold(text, |text, source| format!("{text}: {source}"))
    };
    for (name, result, expected) in [
        ("missing", KeyFile::jwks(&missing), "cannot read `missing`: No such file or directory (os error 2)"),
        ("folder", KeyFile::jwks(folder.path(".")), "cannot read `.`: it is not a regular file"),
        ("device", KeyFile::jwks("/dev/zero"), "cannot read `/dev/zero`: it is not a regular file"),
        (
            "too large",
            KeyFile::jwks(written(&[b' '; 1024 * 1024 + 1])),
            "cannot read `key`: it is larger than 1 MiB",
        ),
        (
            "empty",
            KeyFile::pem(Algorithm::ES256, written(b"")),
            "cannot use `key`: the key cannot be read: it is empty; check the file or variable that it comes from",
        ),
        (
            "short",
            KeyFile::hmac(Algorithm::HS256, written(b"short\n")),
            "cannot use `key`: HS256 needs a secret of at least 32 bytes, got 5",
        ),
    ] {
        assert_eq!(text(result), expected, "{name}");
    }
    let no_key = KeyFile::jwks(written(br#"{"keys": [{"kty": "oct", "k": "AAAA"}]}"#)).unwrap_err();
    assert_eq!(no_key.skipped_keys().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn task_ends_with_the_last_key_file() {
    let folder = Folder::new("task_ends_with_the_last_key_file");
    let keys = KeyFile::pem(Algorithm::RS256, folder.write("a", fixture("rsa2048.public.pem"))).unwrap();
    pass(60).await;
    assert_eq!((keys.reads(), Handle::current().metrics().num_alive_tasks()), (1, 0), "not used yet");
    let signed = token(Algorithm::RS256, None);
    let other = keys.clone();
    assert_eq!(rejection_with(keys, &signed).await, None);
    pass(61).await;
    assert_eq!((other.reads(), Handle::current().metrics().num_alive_tasks()), (14, 1));
    drop(other);
    pass(6).await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
}

#[test]
fn key_file_outlives_its_runtime() {
    let runtime = || Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let folder = Folder::new("key_file_outlives_its_runtime");
    let keys = KeyFile::pem(Algorithm::RS256, folder.write("a", fixture("rsa2048.public.pem"))).unwrap();
    let (old, new) = (token(Algorithm::RS256, None), token_by(&other_rsa(), Algorithm::RS256, None));
    let verify = async |token: &str| rejection_with(keys.clone(), token).await;
    runtime().block_on(async {
        assert_eq!(verify(&old).await, None);
        pass(7).await;
    });
    folder.write("a", fixture("rsa2048-other.public.pem"));
    assert_eq!(verify(&old).now_or_never(), Some(None), "no runtime, so no reads");
    runtime().block_on(async {
        assert_eq!(verify(&old).await, None, "the use that starts the task");
        pass(1).await;
        assert_eq!(verify(&new).await, None);
    });
}

#[test]
fn debug_shows_no_secret() {
    let folder = Folder::new("debug_shows_no_secret");
    let path = folder.write("secret", SECRET);
    let keys = KeyFile::hmac(Algorithm::HS256, &path).unwrap();
    assert_eq!(format!("{keys:?}"), format!("KeyFile {{ path: {path:?}, .. }}"));
}
