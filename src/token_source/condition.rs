use std::fmt::{self, Formatter};
use std::sync::Arc;

use crate::head::Head;

type Predicate = dyn Fn(Head<'_>) -> bool + Send + Sync;

/// A predicate that decides for each request whether a source is read.
#[derive(Clone)]
pub(super) struct Condition(Arc<Predicate>);

impl Condition {
    pub(super) fn new<F>(predicate: F) -> Self
    where
        F: Fn(Head<'_>) -> bool + Send + Sync + 'static,
    {
        Self(Arc::new(predicate))
    }

    pub(super) fn holds(&self, request: Head<'_>) -> bool {
        (self.0)(request)
    }
}

/// Functions cannot be compared, so only clones of one condition are equal.
impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Condition {}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition").finish_non_exhaustive()
    }
}
