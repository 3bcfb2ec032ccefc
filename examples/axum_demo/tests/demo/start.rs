//! Startup: settings and databases.

use std::ffi::OsString;
use std::fs;

use axum_demo::{Settings, app, listen};

use crate::demo_account;
use crate::support::{Demo, SECRET, ScratchFile, change, read, settings};

#[test]
fn starts_without_settings() {
    for variables in [&[][..], &[("DEMO_ADDR", ""), ("JWT_SECRET", ""), ("DATABASE_URL", "")]] {
        let settings = read(variables).unwrap();
        assert_eq!(settings.address.to_string(), "127.0.0.1:8080");
        assert!(format!("{settings:?}").contains("axum_demo.sqlite3"));
    }
}

#[test]
fn warns_if_the_secret_is_not_set() {
    let secret = ("JWT_SECRET", SECRET);
    let warning = "JWT_SECRET is not set: tokens are signed with a random secret and become invalid when this process \
                   ends; other processes reject them; set a secret, the same for all processes";
    for (variables, expected) in [(&[][..], Some(warning)), (&[secret], None)] {
        assert_eq!(read(variables).unwrap().notices(), Vec::from_iter(expected), "{variables:?}");
    }
}

#[test]
fn warns_if_others_can_connect_without_https() {
    let warning = "PUBLIC_URL is not set: without https, others can read passwords and tokens, and the refresh cookie is \
                   not Secure; put a TLS proxy in front of the demo and set PUBLIC_URL to its https:// origin";
    let secret = ("JWT_SECRET", SECRET);
    let public = [("PUBLIC_URL", "https://demo.example.com"), ("TRUSTED_PROXIES", "1")];
    for (address, expected) in [
        ("127.0.0.1:8080", None),
        ("[::1]:8080", None),
        ("[::ffff:127.0.0.1]:8080", None),
        ("0.0.0.0:8080", Some(warning)),
        ("[::]:8080", Some(warning)),
        ("192.0.2.1:8080", Some(warning)),
    ] {
        let address = ("DEMO_ADDR", address);
        assert_eq!(read(&[secret, address]).unwrap().notices(), Vec::from_iter(expected), "{address:?}");
        assert_eq!(read(&[secret, address, public[0], public[1]]).unwrap().notices(), [""; 0]);
    }
}

#[test]
fn rejects_invalid_settings() {
    let address = "DEMO_ADDR: must be an IP address and a port, such as 127.0.0.1:8080";
    let secret = "JWT_SECRET: HS256 needs a secret of at least 32 bytes, got ";
    let repeated = |length| {
        format!(
            "{secret}{length}: white space, `=` and zero bytes at the end, and repetitions, do not count; use random \
             bytes"
        )
    };
    let guessable = "JWT_SECRET: is easy to guess: set it to the output of `openssl rand -base64 48`";
    let database = "DATABASE_URL: must be a SQLite file, such as sqlite:axum_demo.sqlite3, or sqlite::memory:, \
                    or PostgreSQL, such as postgres://user:password@host/database";
    let redis = "REDIS_URL: invalid Redis URL: \
                 it needs the form redis://user:password@host:6379";
    for (variable, value, expected) in [
        ("REDIS_URL", "localhost:6379", redis.to_owned()),
        ("REDIS_URL", "redis://:secret@", redis.to_owned()),
        ("DEMO_ADDR", "8080", address.to_owned()),
        ("DEMO_ADDR", "localhost:8080", address.to_owned()),
        ("DEMO_ADDR", "127.0.0.1:65536", address.to_owned()),
        ("JWT_SECRET", "short", format!("{secret}5")),
        ("JWT_SECRET", &SECRET[..31], format!("{secret}31")),
        ("JWT_SECRET", &"a".repeat(64), repeated("1 of 64")),
        ("JWT_SECRET", &"ab".repeat(32), repeated("2 of 64")),
        ("JWT_SECRET", &format!("{}{}", "a".repeat(32), "b".repeat(32)), guessable.to_owned()),
        ("JWT_SECRET", "123456776543211357246642753112345671", guessable.to_owned()),
        ("DATABASE_URL", "mysql://eze:okon@localhost/demo", database.to_owned()),
        ("DATABASE_URL", "postgres://eze:okon@localhost:port/demo", database.to_owned()),
        ("DATABASE_URL", "axum_demo.sqlite3", database.to_owned()),
        ("DATABASE_URL", "sqlite:", database.to_owned()),
        ("DATABASE_URL", "sqlite:file?mode=none", database.to_owned()),
    ] {
        let error = read(&[(variable, value)]).unwrap_err();
        assert_eq!(error.to_string(), expected, "{variable}={value}");
    }
}

#[cfg(unix)]
#[test]
fn rejects_settings_that_are_not_utf_8() {
    use std::os::unix::ffi::OsStringExt;
    for variable in ["DEMO_ADDR", "JWT_SECRET", "DATABASE_URL", "REDIS_URL"] {
        let value = OsString::from_vec(vec![0xff; 40]);
        let error = Settings::read([(variable.into(), value)]).unwrap_err();
        assert_eq!(error.to_string(), format!("{variable}: must be valid UTF-8"));
    }
}

#[test]
fn debug_output_contains_no_secret() {
    let shown = format!("{:?}", settings("postgres://eze:hidden@localhost/demo"));
    assert!(!shown.contains("hidden"), "{shown}");
    assert!(!shown.contains(SECRET) && !shown.contains(&format!("{:?}", SECRET.as_bytes())), "{shown}");
}

#[tokio::test]
async fn reports_an_address_in_use() {
    let demo = Demo::start().await;
    let error = listen(demo.address).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("DEMO_ADDR: cannot listen on {}: ", demo.address)), "{error}");
    assert!(error.ends_with("; choose another address"), "{error}");
    assert_eq!(error.lines().count(), 1);
}

#[tokio::test]
async fn reports_unusable_databases() {
    let other = ScratchFile::new("other_program.sqlite3");
    change(&format!("{}?mode=rwc", other.url()), "PRAGMA user_version = 7").await;
    let tables = ScratchFile::new("other_tables.sqlite3");
    change(&format!("{}?mode=rwc", tables.url()), "CREATE TABLE users (id)").await;
    let text = ScratchFile::new("no_database.txt");
    fs::write(&text.0, "not a database, though long enough to be taken for one".repeat(20)).unwrap();

    let unusable = "DATABASE_URL: cannot read or write the SQLite file: ";
    for (url, expected) in [
        (other.url(), "DATABASE_URL: the database belongs to another program"),
        (tables.url(), "DATABASE_URL: the database belongs to another program"),
        (text.url(), unusable),
        (ScratchFile::new("no/such/directory.sqlite3").url(), unusable),
        (concat!("sqlite:", env!("CARGO_TARGET_TMPDIR")).to_owned(), unusable),
    ] {
        let error = app(&settings(&url)).await.unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
}

/// The file holds password hashes.
#[cfg(unix)]
#[tokio::test]
async fn creates_a_database_file_that_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let file = ScratchFile::new("private.sqlite3");
    let _demo = Demo::start_with(settings(&file.url())).await;
    for suffix in ["", "-wal"] {
        let path = format!("{}{suffix}", file.0.display());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{path}");
    }
}

#[tokio::test]
async fn restart_does_not_restore_deleted_users() {
    let file = ScratchFile::new("restart.sqlite3");
    let url = file.url();
    let first = Demo::start_with(settings(&url)).await;
    assert_eq!(first.signin("eze@example.com", "okon").await.status, 200);
    first.stop().await.unwrap();

    let second = Demo::start_with(settings(&url)).await;
    assert_eq!(second.signin("eze@example.com", "okon").await.status, 200);
    change(&url, "DELETE FROM users").await;
    second.stop().await.unwrap();

    let third = Demo::start_with(settings(&url)).await;
    assert_eq!(third.signin("eze@example.com", "okon").await.status, 401);
}

#[tokio::test]
async fn demo_account_needs_a_new_private_database() {
    let files =
        ["demo_account", "public", "migrated"].map(|name| ScratchFile::new(&format!("{name}.sqlite3")));
    let [private, public, migrated] = files.each_ref().map(ScratchFile::url);
    demo_account::public_url_deletes_it(&private).await;
    demo_account::public_url_prevents_it(&public).await;
    demo_account::migration_deletes_it(&migrated).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_share_one_file() {
    let file = ScratchFile::new("together.sqlite3");
    let start = || Demo::start_with(settings(&file.url()));
    let demos: [Demo; 4] = tokio::join!(start(), start(), start(), start()).into();
    let authorization = demos[0].bearer().await;
    for demo in demos {
        assert_eq!(demo.protected(&[&authorization]).await.status, 200);
    }
}

#[tokio::test]
async fn generates_a_random_secret() {
    let variables = [("DEMO_ADDR", "127.0.0.1:0"), ("DATABASE_URL", "sqlite::memory:")];
    let first = Demo::start_with(read(&variables).unwrap()).await;
    let second = Demo::start_with(read(&variables).unwrap()).await;
    let authorization = first.bearer().await;
    assert_eq!(first.protected(&[&authorization]).await.status, 200);
    assert_eq!(second.protected(&[&authorization]).await.status, 401);
}
