//! Without the feature `cookie` there is no such source.

use http::{HeaderMap, HeaderValue};

use super::Found;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cookie {}

impl Cookie {
    pub(super) fn find<'a>(&self, _: &'a HeaderMap) -> Found<'a> {
        match *self {}
    }

    pub(super) fn without(&self, _: &HeaderValue) -> Option<HeaderValue> {
        match *self {}
    }
}
