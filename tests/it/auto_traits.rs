//! Auto traits, `Clone` and `Debug` of public types, which users depend on.

use std::fmt::Debug;

use http::{Request, Response};
use serde_json::Value;
use tower_jwt_auth::cache::*;
use tower_jwt_auth::keys::*;
use tower_jwt_auth::reject::*;
use tower_jwt_auth::services::*;
use tower_jwt_auth::verifiers::*;
use tower_jwt_auth::*;

fn assert_send_sync_unpin<T: Send + Sync + Unpin + 'static>() {}
fn assert_clone_debug<T: Clone + Debug>() {}

#[test]
fn public_types_have_expected_auto_traits() {
    type Inner = tower::util::BoxCloneService<Request<String>, Response<String>, std::io::Error>;

    assert_send_sync_unpin::<JwtAuthLayer<JwtVerifier<Value>>>();
    assert_send_sync_unpin::<JwtAuth<(), JwtVerifier<Value>>>();
    assert_send_sync_unpin::<JwtVerifier<Value>>();
    assert_send_sync_unpin::<CacheSettings>();
    assert_send_sync_unpin::<CacheStats>();
    assert_send_sync_unpin::<Claims<Value>>();
    assert_send_sync_unpin::<KeySet>();
    assert_send_sync_unpin::<KeyStore>();
    assert_send_sync_unpin::<AuthError>();
    assert_send_sync_unpin::<ConfigError>();
    assert_send_sync_unpin::<TokenSource>();
    assert_send_sync_unpin::<JsonFuture>();

    assert_clone_debug::<JwtAuthLayer<JwtVerifier<Value>>>();
    assert_clone_debug::<JwtAuth<(), JwtVerifier<Value>>>();
    assert_clone_debug::<JwtVerifier<Value>>();
    assert_clone_debug::<Claims<Value>>();
    assert_clone_debug::<KeySet>();
    assert_clone_debug::<AuthError>();
    assert_clone_debug::<ConfigError>();

    fn assert_send<T: Send>() {}
    assert_send::<ResponseFuture<Inner, JwtVerifier<Value>, EmptyBody, (), String>>();
    assert_send::<Verdict<Value>>();
    assert_send::<VerdictFuture<Value>>();
}

#[cfg(feature = "api-keys")]
#[test]
fn api_key_types_have_expected_auto_traits() {
    use tower_jwt_auth::api_key::*;

    assert_send_sync_unpin::<ApiKeys<Value>>();
    assert_send_sync_unpin::<ApiKey>();
    assert_send_sync_unpin::<ApiKeyRecord<Value>>();
    assert_clone_debug::<ApiKeys<Value>>();
    assert_clone_debug::<ApiKeyRecord<Value>>();
}

#[cfg(feature = "mtls")]
#[test]
fn mtls_types_have_expected_auto_traits() {
    use tower_jwt_auth::mtls::*;

    assert_send_sync_unpin::<Mtls>();
    assert_send_sync_unpin::<ClientCertificate>();
    assert_send_sync_unpin::<ClientCertificateLayer>();
    assert_send_sync_unpin::<ClientCertificateService<()>>();
    assert_clone_debug::<Mtls>();
    assert_clone_debug::<ClientCertificate>();
    assert_clone_debug::<ClientCertificateLayer>();
    assert_clone_debug::<ClientCertificateService<()>>();
}

#[cfg(feature = "issue")]
#[test]
fn issuing_types_have_expected_auto_traits() {
    use tower_jwt_auth::issue::*;

    assert_send_sync_unpin::<TokenIssuer>();
    assert_send_sync_unpin::<SigningKey>();
    assert_send_sync_unpin::<IssuedToken>();
    assert_send_sync_unpin::<JwksService>();
    assert_clone_debug::<TokenIssuer>();
    assert_clone_debug::<SigningKey>();
    assert_clone_debug::<IssuedToken>();
    assert_clone_debug::<JwksService>();

    fn assert_error<T: std::error::Error + Send + Sync + 'static>() {}
    assert_error::<IssueError>();
}

#[cfg(all(feature = "dpop", feature = "issue"))]
#[test]
fn key_of_a_client_has_expected_auto_traits() {
    use tower_jwt_auth::dpop::DpopKey;

    assert_send_sync_unpin::<DpopKey>();
    assert_clone_debug::<DpopKey>();
}

#[cfg(feature = "settings")]
#[test]
fn settings_have_expected_auto_traits() {
    use tower_jwt_auth::settings::AuthSettings;

    assert_send_sync_unpin::<AuthSettings>();
    assert_send_sync_unpin::<KeyFile>();
    assert_clone_debug::<AuthSettings>();
    assert_clone_debug::<KeyFile>();
}

#[cfg(feature = "explain")]
#[test]
fn explanations_have_expected_auto_traits() {
    use tower_jwt_auth::explain::*;

    assert_send_sync_unpin::<Explanation<Value>>();
    assert_send_sync_unpin::<Step>();
    assert_clone_debug::<Explanation<Value>>();
    assert_clone_debug::<Step>();
}

#[test]
fn error_types_implement_error() {
    fn assert_error<T: std::error::Error + Send + Sync + 'static>() {}
    assert_error::<AuthError>();
    assert_error::<ConfigError>();
}
