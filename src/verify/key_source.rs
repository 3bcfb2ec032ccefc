use std::fmt::{self, Formatter};
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::key_set::KeySet;
use super::merged_keys::MergedKeys;
use crate::error::AuthError;

/// A source of keys for a [`JwtVerifier`](crate::JwtVerifier).
///
/// The crate has three: a fixed [`KeySet`], a [`KeyStore`] whose keys you can replace, and `RemoteKeys` (feature
/// `remote-keys`), which fetches keys from a provider.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a source of keys",
    note = "for a `Result`, add `?`",
    note = "for a single `Key`, write `KeySet::from(key)`"
)]
pub trait KeySource: Send + Sync {
    /// Returns the current keys.
    ///
    /// The verifier calls this for every token: it must neither wait nor lock.
    fn current(&self) -> KeysRef<'_>;

    /// Looks for newer keys. The verifier then verifies the token again.
    ///
    /// The verifier calls this if a token names an unknown key, or if no current key has signed the token. Anyone can send
    /// such tokens: limit the number of fetches, and share one fetch among all callers.
    fn refresh(&self, lookup: KeyLookup<'_>) -> Refresh {
        let _ = lookup;
        Refresh::Unchanged
    }

    /// Returns false if [`refresh`](Self::refresh) never finds other keys. The default is true.
    ///
    /// If it is false, the verifier rejects a forged token without a call to `refresh`.
    fn can_refresh(&self) -> bool {
        true
    }

    /// Returns the issuer of the keys. The default is [`KeyIssuer::MustBeSet`].
    ///
    /// The verifier calls this once, when it is created.
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
    /// The source does not know the issuer, for example keys from a bare JWKS URL. The verifier rejects all tokens until you call
    /// [`issuer`](crate::JwtVerifier::issuer) or [`insecure_any_issuer`](crate::JwtVerifier::insecure_any_issuer).
    MustBeSet,
    /// The application chose the keys itself, as in a [`KeySet`] or a [`KeyStore`]. The verifier accepts any `iss`, unless you
    /// set an issuer.
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

/// The key that a [`KeySource::refresh`] looks for.
///
/// The `kid` comes from an unverified token, so `Debug` does not show it.
#[derive(Clone, Copy)]
pub struct KeyLookup<'a> {
    kid: Option<&'a str>,
    is_replaced: bool,
}

impl<'a> KeyLookup<'a> {
    /// Creates a lookup of an unknown key.
    #[must_use]
    pub fn missing(kid: Option<&'a str>) -> Self {
        Self { kid, is_replaced: false }
    }

    /// Creates a lookup of a key that may have been replaced.
    ///
    /// The current keys with this `kid` have not signed the token.
    #[must_use]
    pub fn replaced(kid: Option<&'a str>) -> Self {
        Self { kid, is_replaced: true }
    }

    /// Returns the token's `kid`, if it has one.
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

/// The result of [`KeySource::refresh`].
#[non_exhaustive]
pub enum Refresh {
    /// There are no newer keys. The verifier rejects the token.
    Unchanged,
    /// The source could not look for newer keys. The verifier rejects the token with this error, usually
    /// [`KeysUnavailable`](crate::AuthErrorKind::KeysUnavailable).
    Failed(AuthError),
    /// The source is fetching newer keys.
    Pending(PendingRefresh),
}

/// A pending fetch of newer keys.
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

/// The current keys of a [`KeySource`].
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
    /// Keeps shared keys alive, so that no other set gets the same address. Borrowed keys live as long as their source.
    pub(crate) fn pin(&self) -> Option<Arc<KeySet>> {
        match &self.0 {
            Inner::Borrowed(_) => None,
            Inner::Shared(keys) => Some(Arc::clone(keys)),
            Inner::Snapshot(keys) => Some(Arc::clone(keys)),
            Inner::Merged(merged) => Some(Arc::clone(merged.keys())),
        }
    }

    #[cfg(feature = "settings")]
    pub(crate) fn snapshot(keys: Guard<Arc<KeySet>>) -> Self {
        Self(Inner::Snapshot(keys))
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

/// A set of keys that you can replace at any time. Clones share it.
///
/// ```no_run
/// use tower_jwt_auth::keys::KeyStore;
/// use tower_jwt_auth::{JwtVerifier, KeySet, RegisteredClaims};
///
/// # fn main() -> Result<(), tower_jwt_auth::ConfigError> {
/// let keys = KeyStore::new(KeySet::jwks_file("keys.json")?);
/// let verifier = JwtVerifier::<RegisteredClaims>::new(keys.clone());
///
/// // Later, for example on SIGHUP. An invalid file leaves the keys unchanged.
/// keys.replace(KeySet::jwks_file("keys.json")?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct KeyStore(Arc<ArcSwap<KeySet>>);

impl KeyStore {
    /// Creates a store with these keys.
    #[must_use]
    pub fn new(keys: KeySet) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(keys)))
    }

    /// Replaces the keys. Later verifications use only the new keys.
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
