//! The union of two key sets, merged again after each change.

use std::sync::Arc;

use super::key_set::KeySet;

/// The union of two sets, with the sets it was made of.
#[derive(Debug)]
pub(crate) struct MergedKeys {
    parts: [Part; 2],
    keys: Arc<KeySet>,
}

/// Identifies a set by its address. It keeps a shared set alive, so that no other set gets that address. A borrowed set lives as
/// long as its source.
#[derive(Debug)]
struct Part {
    address: usize,
    _pin: Option<Arc<KeySet>>,
}

impl MergedKeys {
    /// Returns an empty union.
    pub(crate) fn none() -> Self {
        Self { parts: [0, 0].map(|address| Part { address, _pin: None }), keys: Arc::new(KeySet::new([])) }
    }

    pub(crate) fn of(parts: [(&KeySet, Option<Arc<KeySet>>); 2]) -> Self {
        let keys = KeySet::clone(parts[0].0).add_keys(KeySet::clone(parts[1].0));
        let parts = parts.map(|(part, pin)| Part { address: address_of(part), _pin: pin });
        Self { parts, keys: Arc::new(keys) }
    }

    #[inline]
    pub(crate) fn is_of(&self, parts: [&KeySet; 2]) -> bool {
        self.parts.iter().zip(parts).all(|(known, part)| known.address == address_of(part))
    }

    #[inline]
    pub(crate) fn keys(&self) -> &Arc<KeySet> {
        &self.keys
    }
}

fn address_of(keys: &KeySet) -> usize {
    std::ptr::from_ref(keys) as usize
}
