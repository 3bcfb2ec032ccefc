//! A token in the query (RFC 6750, section 2.3).

use std::borrow::Cow;

use http::Uri;
use http::uri::PathAndQuery;

use super::{Found, only_token};

pub(super) fn find<'a>(uri: &'a Uri, name: &str) -> Found<'a> {
    let parameters = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    only_token(parameters.filter(|(other, _)| other == name).map(|(_, value)| match value {
        Cow::Borrowed(value) => Cow::Borrowed(value.as_bytes()),
        Cow::Owned(value) => Cow::Owned(value.into_bytes()),
    }))
}

/// Removes the parameter. The others keep their spelling.
pub(super) fn take_out(uri: &mut Uri, name: &str) {
    let Some(query) = uri.query() else {
        return;
    };
    let is_other =
        |pair: &&str| form_urlencoded::parse(pair.as_bytes()).next().is_none_or(|(other, _)| other != name);
    let rest: Vec<_> = query.split('&').filter(is_other).collect();
    let text =
        if rest.is_empty() { uri.path().to_owned() } else { format!("{}?{}", uri.path(), rest.join("&")) };

    let mut parts = std::mem::take(uri).into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(text).expect("parts of a query are a valid query"));
    *uri = Uri::from_parts(parts).expect("only the query has changed");
}
