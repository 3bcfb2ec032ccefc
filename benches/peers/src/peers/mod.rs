//! The peers, one file each. Each is configured with its fastest back end, with keys prepared once and held
//! in memory, and with every check that it offers.

mod aliri_tower;
mod axum_from_fn;
mod axum_jwt_auth;
mod huskarl_axum;
mod jsonwebtoken;
mod jsonwebtoken9;
mod jwt_authorizer;
mod oauth_resource_server;
mod tower_http;
mod tower_jwt;
mod tower_jwt_auth;
mod tower_oauth2_resource_server;

use crate::peer::Peer;
use crate::tokens::Issuer;

/// A row of the table.
pub(crate) struct Row {
    /// The crate whose version is shown.
    pub(crate) package: &'static str,
    /// Text beside its name.
    pub(crate) beside: &'static str,
    /// A note for readers of the table.
    pub(crate) note: &'static str,
    /// `None` if it does not support the algorithm.
    pub(crate) open: fn(&Issuer) -> Option<Box<dyn Peer>>,
}

/// The first row is the baseline of the others.
pub(crate) const ROWS: [Row; 12] = [
    Row {
        package: "jsonwebtoken",
        beside: "`decode` alone",
        note: "No request around the token. AWS-LC checks the signatures. In those that use its versions 10 and 11, \
               RustCrypto checks HS256: there it is the faster of its back ends.",
        open: |issuer| Some(jsonwebtoken::open(issuer)),
    },
    Row {
        package: "tower-jwt-auth",
        beside: "without its cache",
        note: "",
        open: |issuer| Some(tower_jwt_auth::open(issuer)),
    },
    Row {
        package: "tower-jwt-auth",
        beside: "",
        note: "Each token comes again after 1,023 others, and all of them fit.",
        open: |issuer| Some(tower_jwt_auth::open_cached(issuer)),
    },
    Row {
        package: "tower-http",
        beside: "`ValidateRequestHeaderLayer` and `decode`",
        note: "",
        open: |issuer| Some(tower_http::open(issuer)),
    },
    Row {
        package: "axum",
        beside: "`from_fn` and `decode`",
        note: "No router around it.",
        open: |issuer| Some(axum_from_fn::open(issuer)),
    },
    Row {
        package: "axum-jwt-auth",
        beside: "",
        note: "An extractor, called as a handler with no router around it. Built on jsonwebtoken 10; by itself it takes \
               RustCrypto for all, which is many times slower on RS256 and ES256.",
        open: |issuer| Some(axum_jwt_auth::open(issuer)),
    },
    Row {
        package: "huskarl-axum",
        beside: "",
        note: "An extractor behind a layer, called as a handler with no router around it. Built on RustCrypto.",
        open: |issuer| Some(huskarl_axum::open(issuer)),
    },
    Row {
        package: "tower-oauth2-resource-server",
        beside: "",
        note: "",
        open: |issuer| Some(tower_oauth2_resource_server::open(issuer)),
    },
    Row {
        package: "tower-jwt",
        beside: "",
        note: "Built on jsonwebtoken 9, that is on ring. A request with no token is let through.",
        open: |issuer| Some(tower_jwt::open(issuer)),
    },
    Row {
        package: "jwt-authorizer",
        beside: "",
        note: "Built on jsonwebtoken 9, that is on ring.",
        open: |issuer| Some(jwt_authorizer::open(issuer)),
    },
    Row {
        package: "oauth-resource-server",
        beside: "",
        note: "Built on jsonwebtoken 9, that is on ring. Refuses HMAC. The claims stay JSON: no struct is made of \
               them.",
        open: oauth_resource_server::open,
    },
    Row {
        package: "aliri_tower",
        beside: "",
        note: "Built on ring. Does not support EdDSA. Some claims have its own types.",
        open: aliri_tower::open,
    },
];
