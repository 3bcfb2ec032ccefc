//! Metadata and JWK sets from a provider that may answer anything: what is asked for, how often, and what is believed.
//!
//! An input is the issuer, and then a line for each answer: a letter for what sort it is, and the body (see [`answer`]).
//! `{issuer}` and `{keys}` stand for the issuer and for a set with good keys.
#![no_main]

use std::collections::VecDeque;
use std::error::Error;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use http::{Request, Response, Uri};
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tower_jwt_auth::AuthErrorKind::{KeysUnavailable, UnknownKey, UnsupportedAlgorithm, WrongIssuer};
use tower_jwt_auth::{ClientFuture, HttpClient, JwtVerifier, RemoteKeys};
use tower_jwt_auth_fuzz::{AUDIENCE, Members, NOW, SIGNERS, Signer, at};

/// What good keys are served as: the ES256 key.
static KEYS: LazyLock<Value> = LazyLock::new(|| {
    let mut jwk = signer().jwk();
    jwk["kid"] = json!("k1");
    json!({ "keys": [jwk] })
});

fn signer() -> &'static Signer {
    &SIGNERS[1]
}

/// A provider that is asked by a client with no network.
struct Provider {
    issuer: String,
    answers: Mutex<VecDeque<String>>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    requests: usize,
    /// The address of the keys in the last metadata that are this issuer's.
    keys: Option<Uri>,
    /// Whether one of the answers has the key in it.
    has_key: bool,
}

impl HttpClient for Provider {
    fn fetch(&self, request: Request<()>, limit: usize) -> ClientFuture {
        let uri = request.uri();
        let line = self.answers.lock().unwrap().pop_front().unwrap_or_default();
        let mut seen = self.seen.lock().unwrap();
        seen.requests += 1;
        assert!(limit <= 1024 * 1024, "a provider must not fill the memory");
        let is_metadata = places(&self.issuer).contains(uri);
        assert!(
            is_metadata || seen.keys.as_ref() == Some(uri),
            "{uri} is asked for, and nobody has named it"
        );
        let issuer_is_here = self.issuer.parse::<Uri>().is_ok_and(|issuer| is_loopback(&issuer));
        let is_safe = uri.scheme_str() == Some("https") || (issuer_is_here && is_loopback(uri));
        assert!(is_safe, "{uri} is asked for without TLS");

        let body = line.get(1..).unwrap_or_default();
        let is_good = is_metadata && line.starts_with(['2', 'v', 'c', 's']);
        if let Some(keys) = keys_in(body, &self.issuer).filter(|_| is_good) {
            seen.keys = Some(keys);
        }
        seen.has_key |= line.contains(KEYS["keys"][0]["x"].as_str().unwrap());
        let line = line.clone();
        Box::pin(async move { answer(&line).await })
    }
}

async fn answer(line: &str) -> Result<Response<Vec<u8>>, Box<dyn Error + Send + Sync>> {
    let mut letters = line.chars();
    let letter = letters.next();
    let body = letters.as_str();
    let answer = Response::builder().header("etag", "\"1\"");
    let answer = match letter {
        Some('2') => answer,
        // Nothing has changed.
        Some('3') => answer.status(304),
        Some('4') => answer.status(404),
        Some('5') => answer.status(503),
        Some('r') => answer.status(302).header("location", "https://evil.example/jwks"),
        // Of another coding, length, version, age.
        Some('g') => answer.header("content-encoding", "gzip"),
        Some('l') => answer.header("content-length", "7"),
        Some('v') => Response::builder().header("etag", "W/\"2\""),
        Some('c') => answer.header("cache-control", "max-age=1"),
        // Slowly, and never.
        Some('s') => {
            sleep(Duration::from_secs(3)).await;
            answer
        }
        Some('h') => std::future::pending().await,
        _ => return Err("down".into()),
    };
    Ok(answer.body(body.as_bytes().to_vec())?)
}

/// Where the metadata of an issuer may be.
fn places(issuer: &str) -> Vec<Uri> {
    let Ok(uri) = issuer.parse::<Uri>() else {
        return Vec::new();
    };
    let (scheme, authority) =
        (uri.scheme_str().unwrap_or_default(), uri.authority().map_or("", |all| all.as_str()));
    let path = uri.path().trim_end_matches('/');
    let names = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"];
    let places = names.iter().flat_map(|name| [format!("{path}{name}"), format!("{name}{path}")]);
    places.filter_map(|place| format!("{scheme}://{authority}{place}").parse().ok()).collect()
}

/// The address of the keys, if these are metadata of the issuer.
fn keys_in(body: &str, issuer: &str) -> Option<Uri> {
    let members = Members::read(body.as_bytes())?;
    let is_issuers = members.count("issuer") == 1 && members.read_member::<String>("issuer")? == issuer;
    let keys = members.read_member::<String>("jwks_uri").filter(|_| members.count("jwks_uri") == 1)?;
    let uri: Uri = keys.parse().ok()?;
    let is_plain = !keys.contains('#') && uri.authority().is_some_and(|host| !host.as_str().contains('@'));
    (is_issuers && is_plain).then_some(uri)
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    host == "localhost"
        || host == "[::1]"
        || host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.octets()[0] == 127)
}

/// How many seconds an input is watched for.
const WATCHED: u64 = 120;

async fn watch(keys: RemoteKeys, seen: &Mutex<Seen>, issuer: &str) {
    let verifier = JwtVerifier::<Value>::new(keys.clone()).audience(AUDIENCE).clock(|| at(NOW));
    let token = |iss: &str, kid: &str| {
        let header = json!({"alg": signer().name, "kid": kid}).to_string();
        signer().token(header, json!({"iss": iss, "aud": AUDIENCE, "exp": NOW + 300}).to_string())
    };
    let (good, unknown) = (token(issuer, "k1"), token(issuer, "k2"));
    let foreign = token("https://another.example.com", "k1");
    for second in (0..WATCHED).step_by(3) {
        for token in [&good, &foreign, &unknown] {
            let start = Instant::now();
            let verdict = verifier.verify(token).await;
            assert!(start.elapsed() <= Duration::from_secs(3), "a request waits for {:?}", start.elapsed());
            match verdict.map_err(|error| error.kind()) {
                Ok(_) => {
                    let seen = seen.lock().unwrap();
                    assert!(seen.has_key, "nobody has served this key");
                    assert!(token != &foreign, "this is another issuer's");
                }
                Err(KeysUnavailable | UnknownKey | UnsupportedAlgorithm) => {}
                Err(WrongIssuer) if token == &foreign => {}
                Err(kind) => panic!("{kind}"),
            }
        }
        if second == 60 {
            keys.purge();
        }
        sleep(Duration::from_secs(3)).await;
    }
}

fuzz_target!(|input: &[u8]| -> Corpus {
    let Ok(input) = std::str::from_utf8(input) else {
        return Corpus::Reject;
    };
    let Some((issuer, answers)) = input.split_once('\n') else {
        return Corpus::Reject;
    };
    let fill = |line: &str| line.replace("{issuer}", issuer).replace("{keys}", &KEYS.to_string());
    let seen = Arc::new(Mutex::new(Seen::default()));
    let provider = Provider {
        issuer: issuer.to_owned(),
        answers: Mutex::new(answers.split('\n').map(fill).collect()),
        seen: Arc::clone(&seen),
    };
    let Ok(keys) = RemoteKeys::discover_with(issuer, provider) else {
        return Corpus::Keep;
    };
    // The pauses between attempts are of a random length.
    fastrand::seed(7);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(watch(keys.clone(), &seen, issuer));

    let fetches = keys.stats().fetches();
    // One every 30 s, and some that follow failures, each after twice as long; with no cooldown there were one every 3 s.
    assert!(fetches <= WATCHED / 4, "{fetches} attempts");
    assert!(seen.lock().unwrap().requests as u64 <= 5 * fetches, "too many requests in one attempt");
    Corpus::Keep
});
