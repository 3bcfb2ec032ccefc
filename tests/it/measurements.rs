//! Metrics, as lines of a Prometheus endpoint.

use std::time::{Duration, SystemTime};

use http::Request;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use serde_json::{Value, json};
use tower::{ServiceBuilder, ServiceExt};
use tower_jwt_auth::cache::CacheSettings;
use tower_jwt_auth::observability::describe_metrics;
use tower_jwt_auth::policy::scope;
use tower_jwt_auth::revocation::Revocations;
use tower_jwt_auth::{Credential, JwtAuthLayer, RequireLayer, Verdict, Verify};

use crate::support::*;

/// Returns the lines of one metric, sorted.
fn lines(recorder: &PrometheusRecorder, name: &str) -> Vec<String> {
    let rendered = recorder.handle().render();
    let mut lines: Vec<_> =
        rendered.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn counts_requests_by_outcome_and_kind() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _here = metrics::set_default_local_recorder(&recorder);
    let layer = JwtAuthLayer::new(verifier());
    let expired = token(&claims_with("exp", json!(NOW - 100)));
    for request in [bearer(&good_token()), bearer(&good_token()), bearer(&expired), get("Bearer a, b")] {
        ask(&layer, request).await;
    }
    ask(&JwtAuthLayer::new(verifier()).optional(), Request::new(String::new())).await;
    let guarded = ServiceBuilder::new().layer(layer).layer(RequireLayer::<Value>::new(scope("read")));
    guarded.service(InnerService(hello)).oneshot(bearer(&good_token())).await.unwrap();

    assert_eq!(
        lines(&recorder, "jwt_auth_requests_total"),
        [
            r#"jwt_auth_requests_total{outcome="accepted",kind="none"} 3"#,
            r#"jwt_auth_requests_total{outcome="passed",kind="missing_credential"} 1"#,
            r#"jwt_auth_requests_total{outcome="rejected",kind="expired"} 1"#,
            r#"jwt_auth_requests_total{outcome="rejected",kind="malformed_credential"} 1"#,
        ]
    );
    // Rejections by the layer and behind it.
    assert_eq!(
        lines(&recorder, "jwt_auth_rejections_total"),
        [
            r#"jwt_auth_rejections_total{kind="expired"} 1"#,
            r#"jwt_auth_rejections_total{kind="insufficient_scope"} 1"#,
            r#"jwt_auth_rejections_total{kind="malformed_credential"} 1"#,
        ]
    );
    // Requests without a token are not verified. `a, b` is verified before it turns out to be malformed.
    assert_eq!(
        lines(&recorder, "jwt_auth_verification_duration_seconds_count"),
        [
            r#"jwt_auth_verification_duration_seconds_count{outcome="accepted"} 3"#,
            r#"jwt_auth_verification_duration_seconds_count{outcome="rejected"} 2"#,
        ]
    );
}

/// Rejects every token after a tenth of a second.
#[derive(Clone)]
struct Slow;

impl Verify for Slow {
    type Claims = Value;

    fn verify(&self, _: Credential<'_>) -> Verdict<Value> {
        let real_time = tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(100)));
        Verdict::Pending(Box::pin(async {
            real_time.await.unwrap();
            Err(tower_jwt_auth::AuthErrorKind::KeysUnavailable.into())
        }))
    }
}

#[tokio::test]
async fn verification_time_includes_waiting() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _here = metrics::set_default_local_recorder(&recorder);
    ask(&JwtAuthLayer::new(Slow), bearer("a.b.c")).await;
    let sum = lines(&recorder, "jwt_auth_verification_duration_seconds_sum").remove(0);
    let seconds: f64 = sum.rsplit_once(' ').unwrap().1.parse().unwrap();
    assert!((0.1..10.0).contains(&seconds), "{sum}");
}

#[tokio::test]
async fn counts_cache_hits_and_misses() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _here = metrics::set_default_local_recorder(&recorder);
    let layer = JwtAuthLayer::new(verifier().cache(CacheSettings::new()));
    for _ in 0..3 {
        ask(&layer, bearer(&good_token())).await;
    }
    assert_eq!(
        lines(&recorder, "jwt_auth_cache_lookups_total"),
        [
            r#"jwt_auth_cache_lookups_total{result="hit"} 2"#,
            r#"jwt_auth_cache_lookups_total{result="miss"} 1"#,
        ]
    );
}

#[test]
fn counts_held_revocations() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _here = metrics::set_default_local_recorder(&recorder);
    let revocations = Revocations::new();
    for jti in ["a", "b", "b"] {
        drop(revocations.revoke_token(ISSUER, jti, SystemTime::now() + Duration::from_secs(60)));
    }
    let line = lines(&recorder, "jwt_auth_revocations ").remove(0);
    // Other tests may hold entries too.
    assert!(line.rsplit_once(' ').unwrap().1.parse::<u32>().unwrap() >= 2, "{line}");
}

#[cfg(feature = "remote-keys-core")]
#[tokio::test(start_paused = true)]
async fn counts_fetches_by_outcome() {
    use tower_jwt_auth::JwtVerifier;
    use tower_jwt_auth::jwks::RemoteKeys;

    use crate::remote_keys::Provider;

    let recorder = PrometheusBuilder::new().build_recorder();
    let _here = metrics::set_default_local_recorder(&recorder);
    let provider = Provider::of(&["k1", "k2"]);
    let keys = RemoteKeys::jwks_with("https://measured.example.com/jwks", provider.clone()).unwrap();
    let verifier =
        JwtVerifier::<Value>::new(keys.clone()).issuer(ISSUER).audience(AUDIENCE).clock(|| at(NOW));
    keys.ready().await.unwrap();
    let expect = |name: &str, value: &str| {
        let expected = format!(r#"{name} {value}"#);
        let name = name.split('{').next().unwrap();
        assert!(lines(&recorder, name).contains(&expected), "{expected}: {:?}", lines(&recorder, name));
    };
    const FETCHES: &str = "jwt_auth_jwks_fetches_total{provider=\"https://measured.example.com/jwks\"";
    expect(&format!("{FETCHES},outcome=\"succeeded\"}}"), "1");
    expect("jwt_auth_jwks_keys{provider=\"https://measured.example.com/jwks\"}", "2");
    let confirmed = lines(&recorder, "jwt_auth_jwks_last_success_timestamp_seconds").remove(0);
    let confirmed: f64 = confirmed.rsplit_once(' ').unwrap().1.parse().unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((now - 60.0..=now).contains(&confirmed), "{confirmed}");

    provider.fail();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(lines(&recorder, &format!("{FETCHES},outcome=\"failed\"}}")).len() == 1);
    let token = crate::remote_keys::token_from(ISSUER, "k1");
    verifier.verify(&token).await.unwrap();
    expect("jwt_auth_jwks_stale_uses_total{provider=\"https://measured.example.com/jwks\"}", "1");

    // Keys are dropped after a day.
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    expect("jwt_auth_jwks_keys{provider=\"https://measured.example.com/jwks\"}", "0");
}

#[cfg(feature = "remote-keys-core")]
#[tokio::test(start_paused = true)]
async fn counts_rejected_lookups_and_skipped_keys() {
    use http::Response;
    use tower_jwt_auth::jwks::RemoteKeys;
    use tower_jwt_auth::{Algorithm, JwtVerifier};

    use crate::keys::{jwk_with, set_of};
    use crate::remote_keys::{Provider, token_from};

    let recorder = PrometheusBuilder::new().build_recorder();
    let _here = metrics::set_default_local_recorder(&recorder);
    let provider = Provider::new();
    let set = set_of(&["sig", "enc"].map(|purpose| jwk_with(Algorithm::EdDSA, json!({"use": purpose}))));
    provider.answer(move |_| Ok(Response::new(set.clone().into())));
    let keys = RemoteKeys::jwks_with("https://counted.example.com/jwks", provider.clone()).unwrap();
    let keys = keys.max_waiting(1);
    let verifier =
        JwtVerifier::<Value>::new(keys.clone()).issuer(ISSUER).audience(AUDIENCE).clock(|| at(NOW));
    keys.ready().await.unwrap();
    let counted = |name: &str| lines(&recorder, &format!("{name}{{provider=\"https://counted."));
    let is = |name: &str, value: u64| {
        vec![format!("{name}{{provider=\"https://counted.example.com/jwks\"}} {value}")]
    };
    assert_eq!(counted("jwt_auth_jwks_skipped_keys"), is("jwt_auth_jwks_skipped_keys", 1));
    assert_eq!(counted("jwt_auth_jwks_cooldown_hits_total"), [""; 0]);

    let [waiting, rejected] = ["x", "y"].map(|kid| verifier.verify(&token_from(ISSUER, kid)).into_future());
    assert!(rejected.await.is_err());
    assert!(waiting.await.is_err());
    for _ in 0..3 {
        assert!(verifier.verify(&token_from(ISSUER, "x")).await.is_err());
    }
    assert_eq!(
        counted("jwt_auth_jwks_rejected_waiters_total"),
        is("jwt_auth_jwks_rejected_waiters_total", 1)
    );
    assert_eq!(counted("jwt_auth_jwks_cooldown_hits_total"), is("jwt_auth_jwks_cooldown_hits_total", 3));
    let stats = keys.stats();
    assert_eq!((stats.skipped(), stats.rejected_waiters(), stats.cooldown_hits()), (1, 1, 3));
    drop((keys, verifier));
    assert_eq!(counted("jwt_auth_jwks_skipped_keys"), is("jwt_auth_jwks_skipped_keys", 0));
}

/// The provider has a unique name, because keys of one provider are counted across the process.
#[cfg(feature = "remote-keys-core")]
#[tokio::test(start_paused = true)]
async fn counts_provider_keys_while_in_use() {
    use tower_jwt_auth::jwks::RemoteKeys;

    use crate::remote_keys::{Provider, key_set};

    let recorder = PrometheusBuilder::new().build_recorder();
    let of = |name: &str, provider: &Provider| {
        RemoteKeys::jwks_with(&format!("https://{name}.example.com/jwks"), provider.clone()).unwrap()
    };
    let (up, down) = (Provider::of(&["k1", "k2"]), Provider::new());
    let held = |name: &str| lines(&recorder, &format!("jwt_auth_jwks_keys{{provider=\"https://{name}."));
    let are = |name: &str, keys: u32| {
        [format!(r#"jwt_auth_jwks_keys{{provider="https://{name}.example.com/jwks"}} {keys}"#)]
    };

    // No recorder is installed yet.
    let never = of("never", &down);
    drop(never.ready().await);
    let _here = metrics::set_default_local_recorder(&recorder);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(held("never"), are("never", 0), "never reached");

    let seeded = of("seeded", &down).seed(key_set(&["k1"]));
    assert_eq!(held("seeded"), [""; 0], "not used yet");
    seeded.ready().await.unwrap();
    assert_eq!(held("seeded"), are("seeded", 1), "seeded keys");

    let keys = of("busy", &up);
    keys.ready().await.unwrap();
    assert_eq!(held("busy"), are("busy", 2));
    // Another value with changed settings counts too.
    let other = of("busy", &up).cooldown(Duration::from_secs(5));
    assert_eq!(held("busy"), are("busy", 2));
    other.ready().await.unwrap();
    assert_eq!(held("busy"), are("busy", 4), "in two places");
    keys.purge();
    assert_eq!(held("busy"), are("busy", 2), "purged in one");
    drop(other);
    assert_eq!(held("busy"), are("busy", 0), "dropped in the other");
    keys.ready().await.unwrap();
    assert_eq!(held("busy"), are("busy", 2), "fetched again");
    drop(keys);
    assert_eq!(held("busy"), are("busy", 0), "no longer used");
}

#[cfg(feature = "settings")]
#[tokio::test(start_paused = true)]
async fn counts_reads_of_files() {
    use tower_jwt_auth::Algorithm;
    use tower_jwt_auth::keys::{KeyFile, KeySource};

    let recorder = PrometheusBuilder::new().build_recorder();
    let _here = metrics::set_default_local_recorder(&recorder);
    let folder = Folder::new("counts_reads_of_files");
    let path = folder.write("secret", SECRET);
    let keys = KeyFile::hmac(Algorithm::HS256, &path).unwrap();
    drop(keys.current());
    tokio::time::sleep(Duration::from_secs(6)).await;
    std::fs::remove_file(&path).unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let of = |outcome: &str, reads: u32| {
        format!(r#"jwt_auth_file_reads_total{{file="{}",outcome="{outcome}"}} {reads}"#, path.display())
    };
    assert_eq!(lines(&recorder, "jwt_auth_file_reads_total"), [of("failed", 1), of("succeeded", 3)]);
}

/// A recorder may call back into the library, so no lock may be held.
#[cfg(feature = "remote-keys-core")]
#[test]
fn holds_no_lock_while_calling_a_recorder() {
    use std::sync::Arc;

    use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

    use crate::remote_keys::Provider;

    struct Curious(Arc<dyn Fn() + Send + Sync>);

    impl Recorder for Curious {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            Counter::noop()
        }
        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            (self.0)();
            Gauge::noop()
        }
        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let keys = Provider::of(&["k1"]).keys();
            keys.ready().await.unwrap();
            let looked_at = keys.clone();
            let recorder = Curious(Arc::new(move || assert!(looked_at.last_error().is_none())));
            metrics::with_local_recorder(&recorder, || keys.purge());

            let revocations = Revocations::new();
            let (verifier, token) =
                (verifier().revocations(revocations.clone()), token(&claims_with("jti", json!("a"))));
            drop(revocations.revoke_token(ISSUER, "another", at(NOW + 300)));
            let recorder = Curious(Arc::new(move || drop(verifier.verify(&token))));
            metrics::with_local_recorder(&recorder, || {
                drop(revocations.revoke_token(ISSUER, "a", at(NOW + 300)))
            });
        });
        done.send(()).unwrap();
    });
    is_done.recv_timeout(Duration::from_secs(20)).expect("a recorder that calls back causes a deadlock");
}

/// The table in the documentation and the described metrics are the same.
#[test]
fn documentation_lists_every_metric() {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        describe_metrics();
        // A description is rendered only with a value.
        for line in TABLE.lines() {
            match name_and_type(line) {
                Some((name, "counter")) => metrics::counter!(name).increment(1),
                Some((name, "gauge")) => metrics::gauge!(name).set(1),
                Some((name, "histogram")) => metrics::histogram!(name).record(1),
                Some((name, other)) => panic!("{name}: {other}"),
                None => {}
            }
        }
    });
    let rendered = recorder.handle().render();
    let names: Vec<_> = TABLE.lines().filter_map(name_and_type).map(|(name, _)| name).collect();
    assert_eq!(names.len(), 15);
    for name in names {
        assert!(rendered.contains(&format!("# HELP {name} ")), "{name}: {rendered}");
    }
    assert_eq!(rendered.matches("# HELP ").count(), 15);
}

const TABLE: &str = include_str!("../../src/guide/observability.md");

fn name_and_type(line: &'static str) -> Option<(&'static str, &'static str)> {
    let mut cells = line.strip_prefix("| `")?.split(" | ");
    Some((cells.next()?.trim_end_matches('`'), cells.next()?))
}
