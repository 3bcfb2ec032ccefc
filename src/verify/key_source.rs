use std::fmt::{self, Formatter};
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::key_set::KeySet;
use super::merged_keys::MergedKeys;
use crate::error::AuthError;

/// Where a [`JwtVerifier`](crate::JwtVerifier) gets its keys from: a [`KeySet`] that stays as it is, a [`KeyStore`]
/// whose keys can be replaced, `RemoteKeys` (feature `remote-keys`) that are fetched, or something of your own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a source of keys",
    note = "for a `Result`, add `?`",
    note = "for a single `Key`, write `KeySet::from(key)`"
)]
pub trait KeySource: Send + Sync {
    /// The keys that are held at this moment. It is asked for every token, so it must neither wait nor lock.
    fn current(&self) -> KeysRef<'_>;

    /// Looks for newer keys, after a token named a key that is not held, or no key that is held has signed it. The
    /// verifier then judges the token again.
    ///
    /// Anyone can send such a token: limit how often this does any work, and share one fetch among all who ask.
    fn refresh(&self, lookup: KeyLookup<'_>) -> Refresh {
        let _ = lookup;
        Refresh::Unchanged
    }

    /// Returns false if [`refresh`](Self::refresh) never finds other keys. A verifier then refuses a forged token
    /// without asking. The default is true.
    fn can_refresh(&self) -> bool {
        true
    }

    /// Tells whose keys these are. The verifier asks once, when it is created.
    ///
    /// The default is [`KeyIssuer::MustBeSet`]: the verifier rejects all tokens until you set an issuer.
    fn issuer(&self) -> KeyIssuer<'_> {
        KeyIssuer::MustBeSet
    }
}

impl<K: KeySource + ?Sized> KeySource for Arc<K> {
    #[inline]
    fn current(&self) -> KeysRef<'_> {
        (**self).current()
    }

    fn refresh(&self, lookup: KeyLookup<'_>) -> Refresh {
        (**self).refresh(lookup)
    }

    fn can_refresh(&self) -> bool {
        (**self).can_refresh()
    }

    fn issuer(&self) -> KeyIssuer<'_> {
        (**self).issuer()
    }
}

/// The issuer of the keys of a [`KeySource`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyIssuer<'a> {
    /// The keys belong to this issuer. The verifier requires it as `iss`, unless you set another issuer.
    Known(&'a str),
    /// The source does not tell whose keys it has: keys from a bare JWKS URL, and by default a custom source. The verifier rejects all tokens until you call
    /// [`issuer`](crate::JwtVerifier::issuer) or [`insecure_any_issuer`](crate::JwtVerifier::insecure_any_issuer).
    MustBeSet,
    /// The application itself chose the keys, as in a [`KeySet`] or a [`KeyStore`]. The verifier accepts any `iss`, unless you set an issuer.
    Any,
}

impl<'a> KeyIssuer<'a> {
    pub(crate) fn known(self) -> Option<&'a str> {
        match self {
            Self::Known(issuer) => Some(issuer),
            Self::MustBeSet | Self::Any => None,
        }
    }
}

/// The key of a token that none of the held keys has signed.
///
/// Its `kid` comes from a token that nobody has vouched for, so that `Debug` does not show it.
#[derive(Clone, Copy)]
pub struct KeyLookup<'a> {
    kid: Option<&'a str>,
    is_replaced: bool,
}

impl<'a> KeyLookup<'a> {
    /// A lookup of a key that is not held.
    #[must_use]
    pub fn missing(kid: Option<&'a str>) -> Self {
        Self { kid, is_replaced: false }
    }

    /// A lookup of a key that may have been replaced: the held keys of this name have not signed the token.
    #[must_use]
    pub fn replaced(kid: Option<&'a str>) -> Self {
        Self { kid, is_replaced: true }
    }

    /// The token's `kid`, if it has one.
    #[must_use]
    pub fn kid(&self) -> Option<&'a str> {
        self.kid
    }

    /// Returns true if the key may have been [replaced](Self::replaced), and false if it is [missing](Self::missing).
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        self.is_replaced
    }
}

impl fmt::Debug for KeyLookup<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyLookup").field("is_replaced", &self.is_replaced).finish_non_exhaustive()
    }
}

/// What comes of [`KeySource::refresh`].
#[non_exhaustive]
pub enum Refresh {
    /// There are no newer keys: a key that is not held is unknown, and the token is refused.
    Unchanged,
    /// It is not known whether there are newer keys: the request is refused with this error, ordinarily
    /// [`KeysUnavailable`](crate::AuthErrorKind::KeysUnavailable).
    Failed(AuthError),
    /// Newer keys are being fetched.
    Pending(PendingRefresh),
}

/// A fetch of newer keys that a verifier waits for.
pub type PendingRefresh = Pin<Box<dyn Future<Output = Result<(), AuthError>> + Send>>;

impl fmt::Debug for Refresh {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unchanged => f.write_str("Unchanged"),
            Self::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
            Self::Pending(_) => f.write_str("Pending(..)"),
        }
    }
}

/// The keys that a [`KeySource`] holds at one moment.
#[derive(Debug)]
pub struct KeysRef<'a>(Inner<'a>);

#[derive(Debug)]
enum Inner<'a> {
    Borrowed(&'a KeySet),
    Shared(Arc<KeySet>),
    Snapshot(Guard<Arc<KeySet>>),
    Merged(Guard<Arc<MergedKeys>>),
}

impl Deref for KeysRef<'_> {
    type Target = KeySet;

    #[inline]
    fn deref(&self) -> &KeySet {
        match &self.0 {
            Inner::Borrowed(keys) => keys,
            Inner::Shared(keys) => keys,
            Inner::Snapshot(keys) => keys,
            Inner::Merged(merged) => merged.keys(),
        }
    }
}

impl KeysRef<'_> {
    /// Keeps shared keys alive, so that no others can be at the same address. Borrowed ones live as long as their source.
    pub(crate) fn pin(&self) -> Option<Arc<KeySet>> {
        match &self.0 {
            Inner::Borrowed(_) => None,
            Inner::Shared(keys) => Some(Arc::clone(keys)),
            Inner::Snapshot(keys) => Some(Arc::clone(keys)),
            Inner::Merged(merged) => Some(Arc::clone(merged.keys())),
        }
    }

    pub(crate) fn merged(merged: Guard<Arc<MergedKeys>>) -> Self {
        Self(Inner::Merged(merged))
    }
}

impl<'a> From<&'a KeySet> for KeysRef<'a> {
    fn from(keys: &'a KeySet) -> Self {
        Self(Inner::Borrowed(keys))
    }
}

impl From<Arc<KeySet>> for KeysRef<'_> {
    fn from(keys: Arc<KeySet>) -> Self {
        Self(Inner::Shared(keys))
    }
}

impl KeySource for KeySet {
    fn current(&self) -> KeysRef<'_> {
        self.into()
    }

    fn can_refresh(&self) -> bool {
        false
    }

    fn issuer(&self) -> KeyIssuer<'_> {
        KeyIssuer::Any
    }
}

/// Keys that can be replaced while they are in use. Clones share them.
///
/// ```no_run
/// use tower_jwt_auth::keys::KeyStore;
/// use tower_jwt_auth::{JwtVerifier, KeySet, RegisteredClaims};
///
/// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
/// let keys = KeyStore::new(KeySet::jwks_file("keys.json")?);
/// let verifier = JwtVerifier::<RegisteredClaims>::new(keys.clone());
///
/// // Later, on SIGHUP say. A file that cannot be used leaves the keys as they are.
/// keys.replace(KeySet::jwks_file("keys.json")?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct KeyStore(Arc<ArcSwap<KeySet>>);

impl KeyStore {
    /// A store that holds `keys`.
    #[must_use]
    pub fn new(keys: KeySet) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(keys)))
    }

    /// Replaces the keys. Tokens that are verified from now on see only the new ones.
    pub fn replace(&self, keys: KeySet) {
        self.0.store(Arc::new(keys));
    }
}

impl KeySource for KeyStore {
    fn current(&self) -> KeysRef<'_> {
        KeysRef(Inner::Snapshot(self.0.load()))
    }

    fn can_refresh(&self) -> bool {
        false
    }

    fn issuer(&self) -> KeyIssuer<'_> {
        KeyIssuer::Any
    }
}
