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
    /// All keys since the last rotation, ordered by the start of signing, including expired ones. Never empty. If the
    /// clock was wrong for a moment, expired keys come back.
    all: Vec<Arc<Signer>>,
    /// The published keys among them.
    keys: Vec<Arc<Signer>>,
    /// Start of the period for which `keys` is right.
    since: Duration,
    pub(crate) jwks: String,
    pub(crate) verifying: Arc<KeySet>,
}

/// A key with its place in the rotation.
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
        let published = Published::of(vec![Arc::new(Signer::new(key, Duration::ZERO))]);
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
        let keys = lasting(&all, now, lifetime);
        let since = if keys.len() == all.len() { Duration::ZERO } else { now };
        self.published.store(Arc::new(Published::new(all, keys, since)));
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
        let mut keys = lasting(&self.published.load().all, now, lifetime);
        if let Some(kid) = key.kid().filter(|kid| keys.iter().any(|held| held.key.kid() == Some(*kid))) {
            return Err(ConfigProblem::DuplicateKeyId { kid: kid.to_owned() }.into());
        }
        let place = keys.partition_point(|held| held.from <= from);
        let algorithm = key.algorithm();
        keys.insert(place, Arc::new(Signer::new(key, from)));
        let alike = || keys.iter().filter(|held| held.key.algorithm() == algorithm);
        if alike().count() > MOST_CANDIDATES && alike().any(|held| held.key.kid().is_none()) {
            return Err(ConfigProblem::TooManyUnnamedKeys { max: MOST_CANDIDATES }.into());
        }
        self.published.store(Arc::new(Published::of(keys)));
        Ok(())
    }

    /// Removes a key at once, unless it is the only one.
    pub(crate) fn remove(&self, kid: &str, now: Duration, lifetime: Duration) -> Result<(), ConfigError> {
        let lifetime = self.longest(lifetime);
        let _replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown = || Err(ConfigProblem::UnknownKeyId { kid: kid.to_owned() }.into());
        let published = self.published.load();
        if !published.all.iter().any(|held| held.key.kid() == Some(kid)) {
            return unknown();
        }
        // Expired keys are dropped too: neither they nor the removed key may come back.
        let mut keys = lasting(&published.all, now, lifetime);
        let before = keys.len();
        keys.retain(|held| held.key.kid() != Some(kid));
        if keys.is_empty() {
            return Err(ConfigProblem::OnlyKey { kid: kid.to_owned() }.into());
        }
        let is_gone = keys.len() < before;
        self.published.store(Arc::new(Published::of(keys)));
        if is_gone { Ok(()) } else { unknown() }
    }
}

impl Published {
    fn of(all: Vec<Arc<Signer>>) -> Self {
        Self::new(all.clone(), all, Duration::ZERO)
    }

    fn new(all: Vec<Arc<Signer>>, keys: Vec<Arc<Signer>>, since: Duration) -> Self {
        #[derive(Serialize)]
        struct Set {
            keys: Vec<Jwk>,
        }

        let set = Set { keys: keys.iter().filter_map(|held| held.key.jwk()).collect() };
        let jwks = serde_json::to_string(&set).expect("strings serialize to JSON");
        let verifying = Arc::new(KeySet::new(keys.iter().map(|held| held.key.verifying_key())));
        Self { all, keys, since, jwks, verifying }
    }

    /// Returns the key that signs at this time.
    pub(crate) fn signer(&self, now: Duration) -> &Signer {
        let begun = self.keys.iter().rev().find(|held| held.from <= now);
        begun.unwrap_or_else(|| self.keys.first().expect("the keys are never empty"))
    }

    /// Returns true if a published key has expired.
    fn has_ended(&self, now: Duration, lifetime: Duration) -> bool {
        self.keys.windows(2).any(|pair| pair[0].ends(&pair[1], lifetime) <= now)
    }
}

/// Returns the keys that have not expired.
fn lasting(all: &[Arc<Signer>], now: Duration, lifetime: Duration) -> Vec<Arc<Signer>> {
    let followed = all.windows(2).filter(|pair| pair[0].ends(&pair[1], lifetime) > now);
    followed.map(|pair| &pair[0]).chain(all.last()).cloned().collect()
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

    /// Returns the time at which the key expires.
    ///
    /// Its last token has expired by then. So has any token that another process signed before `next` took over.
    fn ends(&self, next: &Self, lifetime: Duration) -> Duration {
        let last = Duration::from_secs(self.last_expiry.load(Ordering::Relaxed));
        next.from.saturating_add(lifetime).max(last).saturating_add(LEEWAY)
    }
}
