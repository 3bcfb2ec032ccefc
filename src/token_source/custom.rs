use std::borrow::Cow;
use std::fmt::{self, Formatter};
use std::sync::Arc;

use http::HeaderName;

use crate::reject::Head;

type Find = dyn for<'a> Fn(Head<'a>) -> Option<Cow<'a, str>> + Send + Sync;

/// A function that finds the token, and the headers that it reads.
#[derive(Clone)]
pub(super) struct Custom {
    find: Arc<Find>,
    pub(super) headers: Vec<HeaderName>,
}

impl Custom {
    pub(super) fn new<F>(find: F) -> Self
    where
        F: for<'a> Fn(Head<'a>) -> Option<Cow<'a, str>> + Send + Sync + 'static,
    {
        Self { find: Arc::new(find), headers: Vec::new() }
    }

    pub(super) fn find<'a>(&self, request: Head<'a>) -> Option<Cow<'a, [u8]>> {
        (self.find)(request).map(|token| match token {
            Cow::Borrowed(token) => Cow::Borrowed(token.as_bytes()),
            Cow::Owned(token) => Cow::Owned(token.into_bytes()),
        })
    }
}

/// Two functions are the same if they are one.
impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.find, &other.find)
    }
}

impl Eq for Custom {}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custom").field("headers", &self.headers).finish_non_exhaustive()
    }
}
