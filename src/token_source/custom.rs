use std::borrow::Cow;
use std::fmt::{self, Formatter};
use std::mem;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, Request, Uri};

use crate::head::Head;

type Find = dyn for<'a> Fn(Head<'a>) -> Option<Cow<'a, str>> + Send + Sync;

pub(super) type Strip = dyn Fn(&mut HeaderMap, &mut Uri) + Send + Sync;

/// A function that finds the token, the headers that it reads, and optionally a function that removes the token.
#[derive(Clone)]
pub(super) struct Custom {
    find: Arc<Find>,
    pub(super) headers: Vec<HeaderName>,
    /// `None` removes the whole headers.
    strip: Option<Arc<Strip>>,
}

impl Custom {
    pub(super) fn new<F>(headers: Vec<HeaderName>, find: F, strip: Option<Arc<Strip>>) -> Self
    where
        F: for<'a> Fn(Head<'a>) -> Option<Cow<'a, str>> + Send + Sync + 'static,
    {
        Self { find: Arc::new(find), headers, strip }
    }

    pub(super) fn find<'a>(&self, request: Head<'a>) -> Option<Cow<'a, [u8]>> {
        (self.find)(request).map(|token| match token {
            Cow::Borrowed(token) => Cow::Borrowed(token.as_bytes()),
            Cow::Owned(token) => Cow::Owned(token.into_bytes()),
        })
    }

    pub(super) fn take_out<B>(&self, request: &mut Request<B>) {
        let Some(strip) = &self.strip else {
            for name in &self.headers {
                request.headers_mut().remove(name);
            }
            return;
        };
        // Headers and URI of a `Request` cannot be borrowed mutably at the same time.
        let mut uri = mem::take(request.uri_mut());
        strip(request.headers_mut(), &mut uri);
        *request.uri_mut() = uri;
    }
}

/// Functions cannot be compared, so only clones of one source are equal.
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
