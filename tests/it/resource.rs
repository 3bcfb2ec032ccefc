//! Resource metadata (RFC 9728), and the requirements of an MCP server.

use http::{Request, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tower::ServiceExt;
use tower::layer::util::Stack;
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::policy::{Scopes, has_scope, scope};
use tower_jwt_auth::resource_metadata::ProtectedResource;
use tower_jwt_auth::{Algorithm, JwtAuthLayer, JwtVerifier, KeySet, RequireLayer};

use crate::support::*;

async fn ask_for(resource: &ProtectedResource, method: &str) -> Response<String> {
    let request = Request::builder().method(method).uri(resource.metadata_path()).body(()).unwrap();
    let Ok(response) = resource.service().oneshot(request).await;
    response
}

#[tokio::test]
async fn serves_the_metadata() {
    let resource = ProtectedResource::new("https://api.example.com/mcp")
        .unwrap()
        .add_authorization_server("https://id.example.com/realms/shop")
        .unwrap()
        .add_authorization_server("https://staff.example.com")
        .unwrap()
        .scopes("mcp:tools profile")
        .unwrap()
        .name("Tools of the shop")
        .documentation("https://docs.example.com/mcp")
        .unwrap();
    for method in ["GET", "HEAD"] {
        let response = ask_for(&resource, method).await;
        assert_eq!(response.status(), 200, "{method}");
        let headers: Vec<_> =
            response.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        let expected = [
            ("content-type", "application/json"),
            ("cache-control", "public, max-age=3600"),
            ("access-control-allow-origin", "*"),
        ];
        assert_eq!(headers, expected, "{method}");
        let expected = json!({
            "resource": "https://api.example.com/mcp",
            "authorization_servers": ["https://id.example.com/realms/shop", "https://staff.example.com"],
            "scopes_supported": ["mcp:tools", "profile"],
            "bearer_methods_supported": ["header"],
            "resource_name": "Tools of the shop",
            "resource_documentation": "https://docs.example.com/mcp",
        });
        assert_eq!(serde_json::from_str::<Value>(response.body()).unwrap(), expected, "{method}");
    }
    let sent = |response: &Response<String>| {
        let headers = response.headers().iter();
        headers.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect::<Vec<_>>()
    };
    let response = ask_for(&resource, "POST").await;
    assert_eq!((response.status().as_u16(), response.body().as_str()), (405, ""));
    assert_eq!(sent(&response), ["allow: GET, HEAD, OPTIONS"]);
    let response = ask_for(&resource, "OPTIONS").await;
    assert_eq!((response.status().as_u16(), response.body().as_str()), (204, ""));
    let preflight = [
        "allow: GET, HEAD, OPTIONS",
        "access-control-allow-origin: *",
        "access-control-allow-methods: GET, HEAD, OPTIONS",
        "access-control-allow-headers: *",
    ];
    assert_eq!(sent(&response), preflight);

    let bare = ask_for(&ProtectedResource::new("https://api.example.com").unwrap(), "GET").await;
    let expected = json!({"resource": "https://api.example.com", "bearer_methods_supported": ["header"]});
    assert_eq!(serde_json::from_str::<Value>(bare.body()).unwrap(), expected);
}

#[test]
fn metadata_path_follows_the_resource_path() {
    for (resource, url) in [
        ("https://api.example.com", "https://api.example.com/.well-known/oauth-protected-resource"),
        ("https://api.example.com/", "https://api.example.com/.well-known/oauth-protected-resource"),
        ("https://api.example.com/mcp", "https://api.example.com/.well-known/oauth-protected-resource/mcp"),
        (
            "https://api.example.com:8443/a/b",
            "https://api.example.com:8443/.well-known/oauth-protected-resource/a/b",
        ),
        ("http://localhost:3000/mcp", "http://localhost:3000/.well-known/oauth-protected-resource/mcp"),
    ] {
        let resource = ProtectedResource::new(resource).unwrap();
        assert_eq!(resource.metadata_url(), url);
        assert!(
            url.ends_with(resource.metadata_path()) && resource.metadata_path().starts_with("/.well-known/")
        );
    }
}

#[test]
fn checks_resource_settings() {
    for (url, reason) in [
        ("urn:example:api", "it is not a URL"),
        ("http://api.example.com", "it needs to begin with `https://`"),
        ("https://api.example.com/?secret", "it has a query"),
        ("https://api.example.com/#secret", "it has a user name or a fragment"),
    ] {
        let expected = format!("invalid URL `{}`: {reason}", url.replace("secret", ".."));
        assert_eq!(ProtectedResource::new(url).unwrap_err().to_string(), expected);
    }
    let resource = || ProtectedResource::new("https://api.example.com").unwrap();
    assert!(resource().add_authorization_server("id.example.com").is_err());
    assert!(resource().documentation("docs").is_err());
    assert!(resource().scopes("a  b").is_err());
}

#[cfg(feature = "mtls")]
#[tokio::test]
async fn metadata_announces_certificate_bound_tokens() {
    let resource = ProtectedResource::new("https://api.example.com").unwrap().certificate_bound_tokens();
    let expected = json!({
        "resource": "https://api.example.com",
        "bearer_methods_supported": ["header"],
        "tls_client_certificate_bound_access_tokens": true,
    });
    let response = ask_for(&resource, "GET").await;
    assert_eq!(serde_json::from_str::<Value>(response.body()).unwrap(), expected);
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    scope: Scopes,
}

has_scope!(User.scope);

/// The authorization section of the Model Context Protocol, 2025-11-25.
#[tokio::test]
async fn mcp_server_follows_its_specification() {
    let resource = ProtectedResource::new("https://api.example.com/mcp")
        .unwrap()
        .add_authorization_server(ISSUER)
        .unwrap()
        .scopes("mcp:tools mcp:admin")
        .unwrap();
    let verifier = JwtVerifier::<User>::new(KeySet::hmac(Algorithm::HS256, SECRET).unwrap())
        .issuer(ISSUER)
        .audience(resource.identifier())
        .clock(|| at(NOW));
    let layer = JwtAuthLayer::new(verifier)
        .resource_metadata(&resource.metadata_url())
        .unwrap()
        .challenge_scope("mcp:tools")
        .unwrap();
    let metadata = r#"resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/mcp""#;

    // A client without a token learns where to get one, and for which scopes.
    let response = ask(&layer, Request::new(String::new())).await;
    let challenge = format!(r#"Bearer realm="api", scope="mcp:tools", {metadata}"#);
    assert_rejected("no token", &response, 401, MissingCredential, &[("www-authenticate", &challenge)]);

    // A token for another resource is rejected, and a token in the query is ignored.
    let response = ask(&layer, bearer(&good_token())).await;
    let challenge = format!(
        r#"Bearer realm="api", error="invalid_token", error_description="the token is not for this audience", scope="mcp:tools", {metadata}"#
    );
    assert_rejected("another's token", &response, 401, WrongAudience, &[("www-authenticate", &challenge)]);
    let mine = token(&claims_with("aud", json!("https://api.example.com/mcp")));
    let in_address = Request::get(format!("/mcp?access_token={mine}")).body(String::new()).unwrap();
    assert_eq!(ask(&layer, in_address).await.status(), 401);
    assert_eq!(ask(&layer, bearer(&mine)).await.status(), 200);

    // The challenge names the missing scope.
    let tool = Stack::new(RequireLayer::<User>::new(scope("mcp:admin")), layer);
    let response = ask(&tool, bearer(&mine)).await;
    let challenge = format!(
        r#"Bearer realm="api", error="insufficient_scope", error_description="the token does not permit this request", scope="mcp:admin", {metadata}"#
    );
    assert_rejected(
        "a scope is missing",
        &response,
        403,
        InsufficientScope,
        &[("www-authenticate", &challenge)],
    );
}
