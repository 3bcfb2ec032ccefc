//! Decides from the clock which keys sign and which are published, without tasks and timers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use serde::Serialize;

use super::public_jwk::Jwk;
use super::signing_key::SigningKey;
use crate::algorithm::Algorithm;
use crate::config_error::{ConfigError, ConfigProblem};
use crate::verify::base64url::encode;
use crate::verify::{KeySet, MOST_CANDIDATES};

/// How long a key stays published after its last token has expired: tolerance for clock differences.
const LEEWAY: Duration = Duration::from_secs(60);

/// The most expired keys that are held. They come back if the clock was wrong.
const MAX_EXPIRED: usize = 16;

/// The keys of an issuer, shared by its clones. All times are relative to 1970.
pub(crate) struct Keys {
    published: ArcSwap<Published>,
    /// The longest lifetime that any clone has used, in seconds. A clone with a short lifetime must not remove the key
    /// of another clone's tokens.
    longest: AtomicU64,
    /// Held while the published keys are replaced.
    replacing: Mutex<()>,
}

/// A snapshot of the keys. Each change of the published keys replaces it.
pub(crate) struct Published {
    /// All keys, ordered by the start of signing, including expired ones: no clock removes a key for good. One of them
    /// never ends.
    all: Vec<Place>,
    /// The published keys among them. Never empty.
    keys: Vec<Place>,
    /// Start of the period for which `keys` is right.
    since: Duration,
    pub(crate) jwks: String,
    pub(crate) verifying: Arc<KeySet>,
}

/// A key's place in the rotation.
#[derive(Clone)]
struct Place {
    signer: Arc<Signer>,
    /// Time at which the next key takes over. `None` for the last key. Fixed once the key has expired.
    until: Option<Duration>,
}

/// A key with the start of its signing.
pub(crate) struct Signer {
    pub(crate) key: SigningKey,
    /// Time from which it signs, until the next key does.
    from: Duration,
    /// The latest `exp` of its tokens.
    last_expiry: AtomicU64,
    /// Header of its tokens in base64url: with `typ` `JWT`, and with `at+jwt`.
    headers: [String; 2],
}

impl Keys {
    pub(crate) fn new(key: SigningKey) -> Self {
        let signers = vec![Arc::new(Signer::new(key, Duration::ZERO))];
        let published = Published::of(signers, Vec::new(), Duration::ZERO, Duration::ZERO);
        Self {
            published: ArcSwap::from_pointee(published),
            longest: AtomicU64::new(0),
            replacing: Mutex::new(()),
        }
    }

    /// Returns the keys published at this time, for tokens with this lifetime.
    pub(crate) fn at(&self, now: Duration, lifetime: Duration) -> Guard<Arc<Published>> {
        let lifetime = self.longest(lifetime);
        let published = self.published.load();
        if published.since <= now && !published.has_ended(now, lifetime) {
            return published;
        }
        let _replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.published.load().all.clone();
        self.published.store(Arc::new(Published::new(all, now, lifetime)));
        self.published.load()
    }

    /// Returns the longest lifetime so far.
    fn longest(&self, lifetime: Duration) -> Duration {
        let seconds = lifetime.as_secs().saturating_add(u64::from(lifetime.subsec_nanos() > 0));
        if self.longest.load(Ordering::Relaxed) < seconds {
            self.longest.fetch_max(seconds, Ordering::Relaxed);
        }
        Duration::from_secs(self.longest.load(Ordering::Relaxed))
    }

    /// Publishes a key that signs from `from` until a later key does.
    pub(crate) fn add(
        &self,
        key: SigningKey,
        from: Duration,
        now: Duration,
        lifetime: Duration,
    ) -> Result<(), ConfigError> {
        let lifetime = self.longest(lifetime);
        let _replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut signers, mut expired) = self.published.load().split(now, lifetime);
        if let Some(kid) = key.kid() {
            if signers.iter().any(|held| held.is_named(kid)) {
                return Err(ConfigProblem::DuplicateKeyId { kid: kid.to_owned() }.into());
            }
            expired.retain(|held| !held.signer.is_named(kid));
        }
        let algorithm = key.algorithm();
        let place = signers.partition_point(|held| held.from <= from);
        signers.insert(place, Arc::new(Signer::new(key, from)));
        while are_too_many(&signers, &expired, algorithm) {
            let Some(oldest) = expired.iter().position(|held| held.signer.key.algorithm() == algorithm)
            else {
                return Err(ConfigProblem::TooManyUnnamedKeys { max: MOST_CANDIDATES }.into());
            };
            expired.remove(oldest);
        }
        self.published.store(Arc::new(Published::of(signers, expired, now, lifetime)));
        Ok(())
    }

    /// Removes a key at once, unless it is the only one.
    pub(crate) fn remove(&self, kid: &str, now: Duration, lifetime: Duration) -> Result<(), ConfigError> {
        let lifetime = self.longest(lifetime);
        let _replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut signers, mut expired) = self.published.load().split(now, lifetime);
        let before = signers.len();
        signers.retain(|held| !held.is_named(kid));
        if signers.is_empty() {
            return Err(ConfigProblem::OnlyKey { kid: kid.to_owned() }.into());
        }
        let is_gone = signers.len() < before;
        // An expired key must not come back either.
        expired.retain(|held| !held.signer.is_named(kid));
        self.published.store(Arc::new(Published::of(signers, expired, now, lifetime)));
        if is_gone { Ok(()) } else { Err(ConfigProblem::UnknownKeyId { kid: kid.to_owned() }.into()) }
    }
}

impl Published {
    /// Gives each signer its place before the next one, and keeps those of expired keys.
    fn of(signers: Vec<Arc<Signer>>, mut expired: Vec<Place>, now: Duration, lifetime: Duration) -> Self {
        expired.drain(..expired.len().saturating_sub(MAX_EXPIRED));
        let nexts: Vec<_> = signers.iter().skip(1).map(|next| Some(next.from)).chain([None]).collect();
        let places = signers.into_iter().zip(nexts).map(|(signer, until)| Place { signer, until });
        let mut all: Vec<_> = expired.into_iter().chain(places).collect();
        all.sort_by_key(|place| place.signer.from);
        Self::new(all, now, lifetime)
    }

    fn new(all: Vec<Place>, now: Duration, lifetime: Duration) -> Self {
        #[derive(Serialize)]
        struct Set {
            keys: Vec<Jwk>,
        }

        let keys: Vec<_> = all.iter().filter(|place| !place.has_ended(now, lifetime)).cloned().collect();
        let since = if keys.len() == all.len() { Duration::ZERO } else { now };
        let signing = || keys.iter().map(|place| &place.signer.key);
        let set = Set { keys: signing().filter_map(SigningKey::jwk).collect() };
        let jwks = serde_json::to_string(&set).expect("strings serialize to JSON");
        let verifying = Arc::new(KeySet::new(signing().map(SigningKey::verifying_key)));
        Self { all, keys, since, jwks, verifying }
    }

    /// Returns the signers that have not expired, and the places of the others.
    fn split(&self, now: Duration, lifetime: Duration) -> (Vec<Arc<Signer>>, Vec<Place>) {
        let (expired, others): (Vec<_>, Vec<_>) =
            self.all.iter().cloned().partition(|place| place.has_ended(now, lifetime));
        (others.into_iter().map(|place| place.signer).collect(), expired)
    }

    /// Returns the key that signs at this time.
    pub(crate) fn signer(&self, now: Duration) -> &Signer {
        let begun = self.keys.iter().rev().find(|place| place.signer.from <= now);
        &begun.unwrap_or_else(|| self.keys.first().expect("the keys are never empty")).signer
    }

    /// Returns true if a published key has expired.
    fn has_ended(&self, now: Duration, lifetime: Duration) -> bool {
        self.keys.iter().any(|place| place.has_ended(now, lifetime))
    }
}

impl Place {
    /// Returns true if the key has expired.
    ///
    /// Its last token has expired by then. So has any token that another process signed before the next key took over.
    fn has_ended(&self, now: Duration, lifetime: Duration) -> bool {
        let Some(until) = self.until else {
            return false;
        };
        let last = Duration::from_secs(self.signer.last_expiry.load(Ordering::Relaxed));
        until.saturating_add(lifetime).max(last).saturating_add(LEEWAY) <= now
    }
}

/// Returns true if a token without `kid` would have more candidates than are tried. An expired key may come back.
fn are_too_many(signers: &[Arc<Signer>], expired: &[Place], algorithm: Algorithm) -> bool {
    let all = signers.iter().chain(expired.iter().map(|place| &place.signer));
    let mut alike = all.filter(|held| held.key.algorithm() == algorithm);
    alike.clone().count() > MOST_CANDIDATES && alike.any(|held| held.key.kid().is_none())
}

impl Signer {
    fn new(key: SigningKey, from: Duration) -> Self {
        #[derive(Serialize)]
        struct Header<'a> {
            alg: Algorithm,
            typ: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            kid: Option<&'a str>,
        }

        let headers = ["JWT", "at+jwt"].map(|typ| {
            let header = Header { alg: key.algorithm(), typ, kid: key.kid() };
            encode(&serde_json::to_vec(&header).expect("strings serialize to JSON"))
        });
        Self { key, from, last_expiry: AtomicU64::new(0), headers }
    }

    pub(crate) fn header(&self, access_token: bool) -> &str {
        &self.headers[usize::from(access_token)]
    }

    /// Keeps the key published until a token with this `exp` has expired.
    pub(crate) fn outlive(&self, exp: u64) {
        self.last_expiry.fetch_max(exp, Ordering::Relaxed);
    }

    fn is_named(&self, kid: &str) -> bool {
        self.key.kid() == Some(kid)
    }
}
