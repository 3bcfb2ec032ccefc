//! The parts of `arc-swap` that tower-jwt-auth uses. The scheduler may switch tasks before each load and
//! store.

use std::sync::Arc;

use shuttle::sync::RwLock;

#[derive(Debug)]
pub struct ArcSwap<T>(RwLock<Arc<T>>);

pub type Guard<T> = Arc<<T as Held>::Value>;

/// Makes `Guard<Arc<T>>` expressible.
pub trait Held {
    type Value;
}

impl<T> Held for Arc<T> {
    type Value = T;
}

impl<T> ArcSwap<T> {
    pub fn from_pointee(value: T) -> Self {
        Self(RwLock::new(Arc::new(value)))
    }

    pub fn load(&self) -> Guard<Arc<T>> {
        Arc::clone(&self.0.read().unwrap())
    }

    pub fn store(&self, value: Arc<T>) {
        drop(self.swap(value));
    }

    pub fn swap(&self, value: Arc<T>) -> Arc<T> {
        std::mem::replace(&mut *self.0.write().unwrap(), value)
    }

    pub fn rcu<R: Into<Arc<T>>>(&self, mut change: impl FnMut(&Arc<T>) -> R) -> Arc<T> {
        let mut value = self.0.write().unwrap();
        let new = change(&value).into();
        std::mem::replace(&mut *value, new)
    }
}
