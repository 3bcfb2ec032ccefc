//! Metadata and JWK sets from a provider with arbitrary responses: which URLs are fetched, how often, and
//! which responses are trusted.
//!
//! An input is the issuer, followed by a line for each response: a letter for its type, and the body (see
//! [`answer`]). `{issuer}` and `{keys}` stand for the issuer and for a set with good keys.
#![no_main]

use std::collections::VecDeque;
use std::error::Error;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use http::{Request, Response, Uri};
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tower_jwt_auth::AuthErrorKind::{KeysUnavailable, UnknownKey, UnsupportedAlgorithm, WrongIssuer};
use tower_jwt_auth::JwtVerifier;
use tower_jwt_auth::jwks::{ClientFuture, HttpClient, RemoteKeys};
use tower_jwt_auth_fuzz::{AUDIENCE, Members, NOW, SIGNERS, Signer, at};

/// The good keys as they are served: the ES256 key.
static KEYS: LazyLock<Value> = LazyLock::new(|| {
    let mut jwk = signer().jwk();
    jwk["kid"] = json!("k1");
    json!({ "keys": [jwk] })
});

fn signer() -> &'static Signer {
    &SIGNERS[1]
}

/// A provider and its client, without a network.
struct Provider {
    issuer: String,
    answers: Mutex<VecDeque<String>>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    attempts: u64,
    last: Option<Attempt>,
    /// The start times of attempts that followed a possibly successful one.
    followers: Vec<Instant>,
    /// A lower bound for the consecutive failures before the last attempt.
    failures: u32,
    /// The URL of the keys from metadata of this issuer, and its arrival time. A client that trusts the
    /// metadata fetches this URL at once.
    named: Option<(Uri, Instant)>,
    key: Key,
}

struct Attempt {
    began: Instant,
    requests: usize,
    outcome: Outcome,
    /// True if a purge came after its start. An attempt in flight is then discarded, and another one
    /// follows.
    is_purged: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Bad,
    Unclear,
    Good,
}

/// The expected trust in the key, as far as this is known without the library's reader.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Key {
    #[default]
    Unknown,
    Unclear,
    Trusted,
}

impl HttpClient for Provider {
    fn fetch(&self, request: Request<Vec<u8>>, limit: usize) -> ClientFuture {
        let uri = request.uri();
        let line = self.answers.lock().unwrap().pop_front().unwrap_or_default();
        let mut seen = self.seen.lock().unwrap();
        assert!(limit <= 1024 * 1024, "a provider must not fill the memory");
        let places = places(&self.issuer);
        let is_for_keys = seen.named.take() == Some((uri.clone(), Instant::now()));
        assert!(is_for_keys || places.contains(uri), "{uri} is fetched, and no metadata named it");
        let issuer_is_here = self.issuer.parse::<Uri>().is_ok_and(|issuer| is_loopback(&issuer));
        let is_safe = uri.scheme_str() == Some("https") || (issuer_is_here && is_loopback(uri));
        assert!(is_safe, "{uri} is asked for without TLS");

        if !is_for_keys && *uri == places[0] {
            seen.begin();
        }
        let attempt = seen.last.as_mut().expect("each attempt begins with the first place");
        attempt.requests += 1;
        assert!(attempt.requests <= places.len() + 1, "too many requests in one attempt");

        let (issuer, seen) = (self.issuer.clone(), Arc::clone(&self.seen));
        Box::pin(async move {
            let answer = answer(&line).await;
            // A late response is ignored.
            let mut seen = seen.lock().unwrap();
            if is_for_keys {
                seen.note_keys(&line);
            } else if let Some(keys) = good_body(&line).and_then(|body| keys_in(body, &issuer)) {
                seen.named = Some((keys, Instant::now()));
            }
            answer
        })
    }
}

impl Seen {
    /// Checks that another attempt is due, and starts it.
    fn begin(&mut self) {
        let now = Instant::now();
        if let Some(last) = &self.last {
            self.failures =
                if last.is_purged || last.outcome != Outcome::Bad { 0 } else { self.failures + 1 };
            let cooldown = Duration::from_secs(30);
            let pause = match last.outcome {
                _ if last.is_purged => Duration::ZERO,
                Outcome::Good | Outcome::Unclear => {
                    // Per cooldown: three attempts for unknown names, two for tokens not signed by a held
                    // key, and one scheduled attempt.
                    self.followers.retain(|began| now - *began < cooldown);
                    self.followers.push(now);
                    assert!(self.followers.len() <= 6, "{} attempts in one cooldown", self.followers.len());
                    Duration::ZERO
                }
                // Jitter may take off half of it.
                Outcome::Bad => cooldown.min(Duration::from_millis(500) * 2_u32.pow(self.failures - 1)),
            };
            let paused = now - last.began;
            assert!(paused >= pause, "{paused:?} after {:?}, {} in a row", last.outcome, self.failures);
        }
        self.attempts += 1;
        self.last = Some(Attempt { began: now, requests: 0, outcome: Outcome::Bad, is_purged: false });
    }

    /// Notes a response from the URL of the keys.
    fn note_keys(&mut self, line: &str) {
        let attempt = self.last.as_mut().expect("an attempt is in flight");
        let body = good_body(line);
        let is_good = body == Some(&*KEYS.to_string());
        attempt.outcome = match body {
            Some(_) if is_good => Outcome::Good,
            None if !line.starts_with('3') => Outcome::Bad,
            _ => Outcome::Unclear,
        };
        let Some(body) = body.filter(|_| !attempt.is_purged) else {
            return;
        };
        self.key = match self.key {
            _ if is_good => Key::Trusted,
            _ if has_key(body) => Key::Unclear,
            // It may be a good set of other keys.
            Key::Trusted => Key::Unclear,
            key => key,
        };
    }

    fn purge(&mut self) {
        self.key = Key::Unknown;
        if let Some(last) = &mut self.last {
            last.is_purged = true;
        }
    }
}

/// Returns the body of a response that may be trusted.
fn good_body(line: &str) -> Option<&str> {
    line.strip_prefix(['2', 'v', 'c', 's'])
}

/// Returns true if the body is a set with the key.
fn has_key(body: &str) -> bool {
    let keys = Members::read(body.as_bytes()).and_then(|set| set.read_member::<Vec<&RawValue>>("keys"));
    let is_key = |jwk: &&RawValue| {
        let x = Members::read(jwk.get().as_bytes()).and_then(|jwk| jwk.read_member::<String>("x"));
        x.as_deref() == KEYS["keys"][0]["x"].as_str()
    };
    keys.is_some_and(|keys| keys.iter().any(is_key))
}

/// Returns true if the first two responses suffice and arrive at once.
fn begins_well(answers: &VecDeque<String>, issuer: &str) -> bool {
    let body = |position: usize| {
        answers.get(position).filter(|line| !line.starts_with('s')).and_then(|line| good_body(line))
    };
    let is_plain = |body: &&str| Members::read(body.as_bytes()).is_some_and(|members| members.0.len() == 2);
    let keys = body(0).filter(is_plain).and_then(|body| keys_in(body, issuer));
    keys.is_some_and(|keys| keys == "https://id.example.com/jwks.json") && body(1) == Some(&*KEYS.to_string())
}

async fn answer(line: &str) -> Result<Response<Vec<u8>>, Box<dyn Error + Send + Sync>> {
    let mut letters = line.chars();
    let letter = letters.next();
    let body = letters.as_str();
    let answer = Response::builder().header("etag", "\"1\"");
    let answer = match letter {
        Some('2') => answer,
        // Not modified.
        Some('3') => answer.status(304),
        Some('4') => answer.status(404),
        Some('5') => answer.status(503),
        Some('r') => answer.status(302).header("location", "https://evil.example/jwks"),
        // Another encoding, length, version or age.
        Some('g') => answer.header("content-encoding", "gzip"),
        Some('l') => answer.header("content-length", "7"),
        Some('v') => Response::builder().header("etag", "W/\"2\""),
        Some('c') => answer.header("cache-control", "max-age=1"),
        // Slow, or never complete.
        Some('s') => {
            sleep(Duration::from_secs(3)).await;
            answer
        }
        Some('h') => std::future::pending().await,
        _ => return Err("down".into()),
    };
    Ok(answer.body(body.as_bytes().to_vec())?)
}

/// Returns the URLs where the metadata of an issuer may be.
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

/// Returns the URL of the keys if this is metadata of the issuer.
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
    let address = host.strip_prefix('[').and_then(|address| address.strip_suffix(']'));
    host == "localhost"
        || address.is_some_and(|address| address.parse() == Ok(std::net::Ipv6Addr::LOCALHOST))
        || host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.octets()[0] == 127)
}

/// How many seconds an input is watched, in addition to the time that requests wait.
const WATCHED: u64 = 120;
/// The longest wait of a request while keys are held, and while none are held.
const WAIT_LIMIT: Duration = Duration::from_secs(2);
const FETCH_LIMIT: Duration = Duration::from_secs(5);

async fn watch(keys: RemoteKeys, seen: &Mutex<Seen>, issuer: &str, begins_well: bool) {
    let verifier = JwtVerifier::<Value>::new(keys.clone()).audience(AUDIENCE).clock(|| at(NOW));
    let token = |iss: &str, kid: &str| {
        let header = json!({"alg": signer().name, "kid": kid}).to_string();
        signer().token(header, json!({"iss": iss, "aud": AUDIENCE, "exp": NOW + 300}).to_string())
    };
    let (good, unknown) = (token(issuer, "k1"), token(issuer, "k2"));
    let foreign = token("https://another.example.com", "k1");
    for second in (0..WATCHED).step_by(3) {
        for token in [&good, &foreign, &unknown] {
            let key = || seen.lock().unwrap().key;
            let (start, before) = (Instant::now(), key());
            let limit = if keys.stats().keys() == 0 { FETCH_LIMIT } else { WAIT_LIMIT };
            let verdict = verifier.verify(token).await;
            let waited = start.elapsed();
            // The attempt ends on its own just before the request gives up.
            assert!(waited <= limit + Duration::from_millis(100), "a request waits for {waited:?}");
            let must_pass = match before {
                Key::Trusted => true,
                // A response that arrives just when the last request gives up may be too late.
                _ => key() == Key::Trusted && waited < limit,
            };
            let is_first = second == 0 && begins_well;
            match verdict.map_err(|error| error.kind()) {
                Ok(_) => {
                    assert!(token != &foreign, "this is another issuer's");
                    assert!(key() != Key::Unknown, "the key was never served");
                    assert!(
                        token == &good || key() == Key::Unclear,
                        "this key is not the one that was served"
                    );
                    assert!(!is_first || waited.is_zero(), "{waited:?} for a provider that answers at once");
                }
                Err(kind) if token == &good && (must_pass || is_first) => {
                    panic!("{kind}, and the key is served")
                }
                Err(KeysUnavailable | UnknownKey | UnsupportedAlgorithm) => {}
                Err(WrongIssuer) if token == &foreign => {}
                Err(kind) => panic!("{kind}"),
            }
        }
        if second == 60 {
            keys.purge();
            seen.lock().unwrap().purge();
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
    let answers: VecDeque<_> = answers.split('\n').map(fill).collect();
    let begins_well = begins_well(&answers, issuer);
    let seen = Arc::new(Mutex::new(Seen::default()));
    let provider =
        Provider { issuer: issuer.to_owned(), answers: Mutex::new(answers), seen: Arc::clone(&seen) };
    let Ok(keys) = RemoteKeys::discover_with(issuer, provider) else {
        return Corpus::Keep;
    };
    // The pauses between attempts are random.
    fastrand::seed(7);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(watch(keys.clone(), &seen, issuer, begins_well));
    assert_eq!(keys.stats().fetches(), seen.lock().unwrap().attempts, "attempts");
    Corpus::Keep
});
