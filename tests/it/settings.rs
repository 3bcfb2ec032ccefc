//! Settings from variables and files.

#[cfg(feature = "issue")]
mod dpop;

use std::convert::Infallible;
use std::ffi::OsString;
use std::time::Duration;

use config::{Config, File, FileFormat};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower_jwt_auth::AuthErrorKind::{
    Expired, InvalidSignature, InvalidToken, Revoked, TokenTooLarge, Unavailable, UnknownKey,
    UnsupportedAlgorithm, WrongAudience, WrongClaim, WrongIssuer, WrongTokenType,
};
use tower_jwt_auth::api_key::{ApiKey, ApiKeyRecord};
use tower_jwt_auth::jwks::RemoteKeys;
use tower_jwt_auth::policy::scope;
use tower_jwt_auth::revocation::Revocations;
use tower_jwt_auth::settings::AuthSettings;
use tower_jwt_auth::verifiers::AnyOf;
use tower_jwt_auth::{Algorithm, AuthError, AuthErrorKind, ConfigError, ConfigErrorKind, JwtVerifier};

use crate::keys::{fixture, jwk_with, set_of, token_with};
use crate::support::*;

const SECRET_TEXT: &str = "a secret of thirty-two bytes ...";

/// The settings accept no clock, so tokens expire in 2096.
fn claims(changes: &Value) -> Value {
    let mut claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "42", "exp": 4_000_000_000_u64});
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn signed(changes: &Value) -> String {
    token(&claims(changes))
}

fn from_vars(variables: &[(&str, &str)]) -> Result<AuthSettings, ConfigError> {
    AuthSettings::from_vars("AUTH", variables.iter().copied())
}

fn from_json(settings: Value) -> AuthSettings {
    serde_json::from_value(settings).unwrap()
}

/// Returns settings with a secret, and `changes`; `null` removes one.
fn hmac(changes: Value) -> Value {
    let mut settings = json!({"issuer": ISSUER, "audience": AUDIENCE, "hmac_secret": SECRET_TEXT});
    let (Value::Object(changes), Some(values)) = (changes, settings.as_object_mut()) else {
        panic!("settings are an object, and so are changes to them");
    };
    values.extend(changes);
    values.retain(|_, value| !value.is_null());
    settings
}

async fn rejection(verifier: &AnyOf<Value>, token: &str) -> Option<AuthErrorKind> {
    verifier.verify(token).await.err().map(|error| error.kind())
}

async fn rejection_with(settings: Value, token: &str) -> Option<AuthErrorKind> {
    rejection(&from_json(settings).verifier().unwrap(), token).await
}

/// Returns the error of settings, at whichever step it is found.
fn error_of(settings: Value) -> String {
    match serde_json::from_value::<AuthSettings>(settings) {
        Ok(settings) => settings.layer::<Value>().err().unwrap().to_string(),
        Err(error) => error.to_string(),
    }
}

fn error_of_vars(variables: &[(&str, &str)]) -> String {
    let error = match from_vars(variables) {
        Ok(settings) => settings.layer::<Value>().err().unwrap(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ConfigErrorKind::InvalidSetting, "{error}");
    error.to_string()
}

#[tokio::test]
async fn variables_configure_a_layer() {
    let settings = from_vars(&[
        ("AUTH_ISSUER", ISSUER),
        ("AUTH_AUDIENCE", "https://other.example.com, https://api.example.com"),
        ("AUTH_HMAC_SECRET", SECRET_TEXT),
        ("AUTH_HMAC_ALGORITHM", "HS256"),
        ("AUTH_REQUIRED_CLAIMS", r#"{"email": ["eze@example.com", "ana@example.com"]}"#),
        ("AUTH_REALM", "orders"),
        ("AUTH_CHALLENGE_SCOPE", "read write"),
        ("AUTH_RESOURCE_METADATA_URL", "https://api.example.com/.well-known/oauth-protected-resource"),
        ("PATH", "/bin"),
        ("AUTHORITY", "not ours"),
        ("AUTH_SERVICE_HOST", "10.0.0.1"),
        ("AUTH_PORT_80_TCP", "tcp://10.0.0.1:80"),
    ]);
    let layer = settings.unwrap().layer::<Value>().unwrap();
    let response = ask(&layer, bearer(&signed(&json!({"email": "eze@example.com"})))).await;
    assert_eq!(response.into_body(), "Hello eze@example.com");
    let response = ask(&layer, Request::new(String::new())).await;
    let challenge = r#"Bearer realm="orders", scope="read write", resource_metadata="https://api.example.com/.well-known/oauth-protected-resource""#;
    assert_rejected(
        "none",
        &response,
        401,
        AuthErrorKind::MissingCredential,
        &[("www-authenticate", challenge)],
    );
    let response = ask(&layer, bearer(&signed(&json!({"email": "bob@example.com"})))).await;
    assert_eq!(response.extensions().get::<tower_jwt_auth::AuthError>().unwrap().kind(), WrongClaim);
}

#[tokio::test]
async fn each_setting_reaches_the_verifier() {
    let at = |seconds: i64| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        signed(&json!({"exp": now.checked_add_signed(seconds).unwrap()}))
    };
    let access = token_of(r#"{"alg":"HS256","typ":"at+jwt"}"#, &claims(&json!({})).to_string());
    let long = signed(&json!({"text": "a".repeat(2000)}));
    for (name, changes, token, expected) in [
        ("good", json!({}), signed(&json!({})), None),
        ("issuer", json!({}), signed(&json!({"iss": "https://other.example.com"})), Some(WrongIssuer)),
        ("audience", json!({}), signed(&json!({"aud": "https://other.example.com"})), Some(WrongAudience)),
        ("no aud", json!({}), signed(&json!({"aud": null})), Some(WrongAudience)),
        (
            "any issuer",
            json!({"issuer": null, "insecure_any_issuer": true}),
            signed(&json!({"iss": "https://other.example.com"})),
            None,
        ),
        (
            "any audience",
            json!({"audience": null, "insecure_any_audience": true}),
            signed(&json!({"aud": "https://other.example.com"})),
            None,
        ),
        ("default leeway", json!({}), at(-40), None),
        ("leeway", json!({"leeway_secs": 10}), at(-40), Some(Expired)),
        ("no leeway", json!({"leeway_secs": "0"}), at(-2), Some(Expired)),
        (
            "algorithm",
            json!({"hmac_algorithm": "HS512", "hmac_secret": SECRET_TEXT.repeat(2) + "."}),
            signed(&json!({})),
            Some(UnknownKey),
        ),
        ("any typ", json!({}), access.clone(), None),
        ("access token", json!({"access_tokens_only": true}), access.clone(), None),
        ("no access token", json!({"access_tokens_only": true}), signed(&json!({})), Some(WrongTokenType)),
        ("token type", json!({"token_type": "at+jwt"}), access, None),
        ("wrong token type", json!({"token_type": "logout+jwt"}), signed(&json!({})), Some(WrongTokenType)),
        ("claim", json!({"required_claims": {"sub": "42"}}), signed(&json!({})), None),
        ("one of two", json!({"required_claims": {"sub": ["41", "42"]}}), signed(&json!({})), None),
        ("wrong claim", json!({"required_claims": {"sub": 42}}), signed(&json!({})), Some(WrongClaim)),
        ("long", json!({}), long.clone(), None),
        ("too long", json!({"max_token_bytes": 1024}), long, Some(TokenTooLarge)),
    ] {
        assert_eq!(rejection_with(hmac(changes), &token).await, expected, "{name}");
    }
    // Two algorithms of one key set, of which one is accepted.
    let folder = Folder::new("each_setting_reaches_the_verifier");
    let keys = [Algorithm::RS256, Algorithm::ES256].map(|algorithm| jwk_with(algorithm, json!({})));
    let file = folder.write("keys.json", set_of(&keys));
    let settings =
        |algorithms: Value| hmac(json!({"hmac_secret": null, "jwks_file": file, "algorithms": algorithms}));
    let token = token_with(Algorithm::ES256, None, &claims(&json!({})));
    assert_eq!(rejection_with(settings(json!(["RS256", "ES256"])), &token).await, None);
    assert_eq!(rejection_with(settings(json!("RS256")), &token).await, Some(UnsupportedAlgorithm));
}

#[tokio::test]
async fn cache_and_revocations_apply() {
    let revocations = Revocations::new();
    let settings =
        from_json(hmac(json!({"cache": {"max_entries": 10, "max_bytes": 100_000, "max_age_secs": 5}})));
    let verifier = settings.revocations(revocations.clone()).verifier::<Value>().unwrap();
    let token = signed(&json!({"jti": "a"}));
    let address = async || {
        let claims = verifier.verify(&token).await.unwrap();
        std::ptr::from_ref::<Value>(&claims) as usize
    };
    let first = verifier.verify(&token).await.unwrap();
    assert_eq!(address().await, std::ptr::from_ref::<Value>(&first) as usize, "cached");
    drop(revocations.revoke_token(ISSUER, "a", None));
    assert_eq!(rejection(&verifier, &token).await, Some(Revoked));

    let verifier = from_json(hmac(json!({"cache": {"enabled": false}}))).verifier::<Value>().unwrap();
    let first = verifier.verify(&token).await.unwrap();
    let second = verifier.verify(&token).await.unwrap();
    assert!(!std::ptr::eq::<Value>(&*first, &*second), "not cached");
}

#[tokio::test(start_paused = true)]
async fn followed_files_replace_keys() {
    let folder = Folder::new("followed_files_replace_keys");
    let pass = async || tokio::time::sleep(Duration::from_secs(11)).await;
    let old = folder.write("old.pem", fixture("p256.public.pem"));
    let new = folder.write("new.pem", fixture("p256.public.pem"));
    let settings = hmac(json!({"hmac_secret": null, "pem_files": [old, new], "pem_algorithm": "ES256"}));
    let token = token_with(Algorithm::ES256, None, &claims(&json!({})));
    let verifier = from_json(settings).verifier().unwrap();
    assert_eq!(rejection(&verifier, &token).await, None);

    let secret = folder.write("secret", "another secret of thirty-two ...");
    let settings = from_json(hmac(json!({"hmac_secret": null, "hmac_secret_file": secret})));
    let verifier = settings.verifier().unwrap();
    assert_eq!(rejection(&verifier, &signed(&json!({}))).await, Some(InvalidSignature));
    pass().await;
    folder.write("secret", format!("{SECRET_TEXT}\n"));
    pass().await;
    assert_eq!(rejection(&verifier, &signed(&json!({}))).await, None);
    assert!(settings.remote_keys().unwrap().is_empty());
}

/// Serves the discovery document and keys of an issuer on this machine, and knows one opaque token. Returns the issuer.
async fn serve_issuer() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let named = issuer.clone();
    let service = TowerToHyperService::new(tower::service_fn(move |request: Request<Incoming>| {
        let issuer = named.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let authorization = parts.headers.get("authorization").map(|value| value.to_str().unwrap());
            Ok::<_, Infallible>(answer(&issuer, parts.uri.path(), authorization, &body))
        }
    }));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone()));
        }
    });
    issuer
}

fn answer(issuer: &str, path: &str, authorization: Option<&str>, body: &[u8]) -> Response<String> {
    let claims = json!({"active": true, "iss": issuer, "aud": "staff", "sub": "42", "scope": "read"});
    let introspected = |is_client: bool| {
        let text = match body.starts_with(b"token=opaque") || body.starts_with(b"token=a.b.c") {
            true => claims.to_string(),
            false => r#"{"active": false}"#.to_owned(),
        };
        Response::builder().status(if is_client { 200 } else { 401 }).body(text).unwrap()
    };
    match path {
        "/jwks" => Response::new(set_of(&[jwk_with(Algorithm::ES256, json!({"kid": "a"}))])),
        // The provider `acme.com`, whose documents need a token. It may rotate from `t0ken-1` to `t0ken-2`.
        "/acme/metadata" | "/acme/jwks"
            if !authorization.is_some_and(|value| value.starts_with("Bearer t0ken-")) =>
        {
            Response::builder().status(401).body(String::new()).unwrap()
        }
        "/acme/metadata" => Response::new(
            json!({"issuer": "acme.com", "jwks_uri": format!("{issuer}/acme/jwks")}).to_string(),
        ),
        "/acme/jwks" => {
            let kid = if authorization == Some("Bearer t0ken-1") { "old" } else { "a" };
            Response::new(set_of(&[jwk_with(Algorithm::ES256, json!({"kid": kid}))]))
        }
        // `api:hunter2` and `api:hunter3`.
        "/introspect" => introspected(authorization == Some("Basic YXBpOmh1bnRlcjI=")),
        "/other" => introspected(authorization == Some("Basic YXBpOmh1bnRlcjM=")),
        "/post" => introspected(body.ends_with(b"&client_id=api&client_secret=hunter2")),
        _ => Response::new(
            json!({
                "issuer": issuer, "jwks_uri": format!("{issuer}/jwks"),
                "introspection_endpoint": format!("{issuer}/introspect")
            })
            .to_string(),
        ),
    }
}

fn token_from(issuer: &str, changes: Value) -> String {
    let mut changes = changes;
    changes["iss"] = json!(issuer);
    token_with(Algorithm::ES256, Some("a"), &claims(&changes))
}

#[tokio::test]
async fn discovered_keys_are_shared_and_ready() {
    let (one, two) = (serve_issuer().await, serve_issuer().await);
    let issuers = format!("{one},{two}");
    let settings = from_vars(&[
        ("AUTH_ISSUER", &issuers),
        ("AUTH_AUDIENCE", AUDIENCE),
        ("AUTH_FETCH_TIMEOUT_SECS", "20"),
        ("AUTH_FETCH_COOLDOWN_SECS", "7"),
        ("AUTH_FETCH_REFRESH_MIN_SECS", "70"),
        ("AUTH_FETCH_REFRESH_MAX_SECS", "700"),
        ("AUTH_FETCH_OUTAGE_LIMIT_SECS", "7000"),
    ])
    .unwrap();
    let keys = settings.remote_keys().unwrap();
    assert_eq!(keys.len(), 2);
    for keys in &keys {
        keys.ready().await.unwrap();
        let shown = format!("{keys:?}");
        for limit in ["20s", "7s", "70s", "700s", "7000s"] {
            assert!(shown.contains(&format!(": {limit}")), "{limit}: {shown}");
        }
    }
    let verifier = settings.clone().verifier::<Value>().unwrap();
    for issuer in [&one, &two] {
        assert_eq!(rejection(&verifier, &token_from(issuer, json!({}))).await, None);
    }
    assert_eq!(rejection(&verifier, &token_from(ISSUER, json!({}))).await, Some(WrongIssuer));
    assert!(settings.remote_keys().unwrap().iter().all(RemoteKeys::is_ready));
    // The verifier has fetched nothing itself.
    assert_eq!(keys.iter().map(|keys| keys.stats().fetches()).collect::<Vec<_>>(), [1, 1]);
}

#[tokio::test]
async fn discovery_url_and_rotating_token_apply() {
    let server = serve_issuer().await;
    let folder = Folder::new("discovery_url_and_rotating_token_apply");
    let file = folder.write("token", "t0ken-1\n");
    let settings = from_vars(&[
        ("AUTH_ISSUER", "acme.com"),
        ("AUTH_DISCOVERY_URL", &format!("{server}/acme/metadata")),
        ("AUTH_BEARER_TOKEN_FILE", file.to_str().unwrap()),
        ("AUTH_AUDIENCE", AUDIENCE),
    ])
    .unwrap();
    let [keys] = &settings.remote_keys().unwrap()[..] else { panic!("one set of keys") };
    keys.ready().await.unwrap();
    let verifier = settings.verifier::<Value>().unwrap();
    folder.write("token", "t0ken-2");
    assert_eq!(
        rejection(&verifier, &token_from("acme.com", json!({}))).await,
        None,
        "the key of the second token"
    );
    assert_eq!(rejection(&verifier, &token_from(&server, json!({}))).await, Some(WrongIssuer));

    let shown = format!("{settings:?} {keys:?} {:?}", keys.last_error());
    assert!(!shown.contains("t0ken"), "{shown}");

    for (content, reason) in [("\n", "it is empty"), ("a b", "it has a character that no token has")] {
        folder.write("token", content);
        let settings = json!({"issuer": ISSUER, "audience": AUDIENCE, "bearer_token_file": file});
        let error = error_of(settings);
        assert!(
            error.starts_with("invalid setting `bearer_token_file`: ") && error.ends_with(reason),
            "{error}"
        );
    }
}

#[tokio::test]
async fn each_issuer_has_its_own_settings() {
    let issuer = serve_issuer().await;
    let folder = Folder::new("each_issuer_has_its_own_settings");
    let pem = folder.write("key.pem", fixture("p256.public.pem"));
    let settings = from_json(json!({
        "issuers": [
            {"issuer": issuer, "audience": "staff"},
            {"issuer": "https://b.example.com", "audience": "customers", "pem_files": pem, "pem_algorithm": "ES256"},
            {"issuer": "https://c.example.com", "jwks_url": format!("{issuer}/jwks"), "insecure_any_audience": true}
        ],
        "max_token_bytes": 32768
    }));
    assert_eq!(settings.remote_keys().unwrap().len(), 2);
    let verifier = settings.verifier::<Value>().unwrap();
    for (issuer, audience, expected) in [
        (&*issuer, "staff", None),
        (&issuer, "customers", Some(WrongAudience)),
        ("https://b.example.com", "customers", None),
        ("https://b.example.com", "staff", Some(WrongAudience)),
        ("https://c.example.com", "anyone", None),
        ("https://d.example.com", "staff", Some(WrongIssuer)),
    ] {
        let token = token_from(issuer, json!({"aud": audience}));
        assert_eq!(rejection(&verifier, &token).await, expected, "{issuer} {audience}");
    }
    let long = token_from(&issuer, json!({"aud": "staff", "text": "a".repeat(20_000)}));
    assert_eq!(rejection(&verifier, &long).await, None);
    assert_eq!(rejection(&verifier, "opaque").await, Some(InvalidToken));
}

fn api_keys(folder: &Folder, key: &ApiKey) -> Value {
    let record = ApiKeyRecord::new(key, json!({"scope": "read"}));
    let file = folder.write("api-keys.json", serde_json::to_string(&[record]).unwrap());
    json!({"prefix": "acme", "file": file})
}

#[tokio::test]
async fn one_layer_accepts_every_kind_of_credential() {
    let issuer = serve_issuer().await;
    let folder = Folder::new("one_layer_accepts_every_kind_of_credential");
    let secret = folder.write("client-secret", "hunter2\n");
    let key = ApiKey::generate("acme").unwrap();
    let revocations = Revocations::new();
    let settings = from_json(json!({
        "issuers": [
            {"issuer": issuer, "audience": "staff"},
            {"issuer": ISSUER, "audience": AUDIENCE, "hmac_secret": SECRET_TEXT}
        ],
        "introspection": {
            "issuer": issuer, "client_id": "api", "client_secret_file": secret, "audience": "staff", "timeout_secs": 20
        },
        "api_keys": api_keys(&folder, &key)
    }));
    let settings = settings.revocations(revocations.clone());
    let layer = settings.layer::<Value>().unwrap().require(scope("read"));
    let from_issuer = token_from(&issuer, json!({"aud": "staff", "scope": "read"}));
    let kind_of = async |token: &str| {
        let response = ask(&layer, bearer(token)).await;
        response.extensions().get::<AuthError>().map(AuthError::kind)
    };
    for (name, token, expected) in [
        ("first issuer", &*from_issuer, None),
        ("second issuer", &signed(&json!({"scope": "read"})), None),
        ("opaque", "opaque", None),
        ("API key", key.expose(), None),
        ("no scope", &signed(&json!({"scope": "write"})), Some(AuthErrorKind::InsufficientScope)),
        ("unknown issuer", &signed(&json!({"iss": "https://d.example.com"})), Some(WrongIssuer)),
        ("unknown opaque", "another", Some(InvalidToken)),
        ("unknown API key", ApiKey::generate("acme").unwrap().expose(), Some(InvalidToken)),
    ] {
        assert_eq!(kind_of(token).await, expected, "{name}");
    }
    // One set of keys, that of the only issuer that is discovered.
    assert_eq!(settings.remote_keys().unwrap().len(), 1);
    drop(revocations.revoke_token("acme", key.id(), None));
    drop(revocations.revoke_subject(&issuer, "42", std::time::SystemTime::now(), None));
    assert_eq!(kind_of(key.expose()).await, Some(Revoked));
    assert_eq!(kind_of("opaque").await, Some(Revoked));
}

#[tokio::test]
async fn api_keys_need_no_issuer() {
    let folder = Folder::new("api_keys_need_no_issuer");
    let key = ApiKey::generate("acme").unwrap();
    let api_keys = api_keys(&folder, &key);
    let file = api_keys["file"].as_str().unwrap();
    let settings = from_vars(&[("AUTH_API_KEYS_PREFIX", "acme"), ("AUTH_API_KEYS_FILE", file)]).unwrap();
    let verifier = settings.verifier::<Value>().unwrap();
    assert_eq!(rejection(&verifier, key.expose()).await, None);
    assert_eq!(rejection(&verifier, &good_token()).await, Some(InvalidToken));
}

#[tokio::test]
async fn introspection_settings_reach_the_verifier() {
    let issuer = serve_issuer().await;
    let endpoint = |path: &str| format!("{issuer}{path}");
    let with = |changes: Value| {
        let mut settings =
            json!({"client_id": "api", "client_secret": "hunter2", "audience": "staff", "timeout_secs": 20});
        settings.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        settings.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        json!({"introspection": settings})
    };
    for (name, changes, token, expected) in [
        ("discovered", json!({"issuer": issuer}), "opaque", None),
        ("given", json!({"endpoint_url": endpoint("/introspect")}), "opaque", None),
        ("JWT without keys", json!({"issuer": issuer}), "a.b.c", None),
        ("issuer", json!({"endpoint_url": endpoint("/introspect"), "issuer": issuer}), "opaque", None),
        (
            "other issuer",
            json!({"endpoint_url": endpoint("/introspect"), "issuer": ISSUER}),
            "opaque",
            Some(WrongIssuer),
        ),
        ("other audience", json!({"issuer": issuer, "audience": "a"}), "opaque", Some(WrongAudience)),
        (
            "no audience",
            json!({"issuer": issuer, "audience": null, "required_claims": {"sub": "42"}}),
            "opaque",
            Some(WrongAudience),
        ),
        ("any", json!({"issuer": issuer, "audience": null, "insecure_any_audience": true}), "opaque", None),
        ("no type", json!({"issuer": issuer, "access_tokens_only": true}), "opaque", Some(WrongTokenType)),
        ("claim", json!({"issuer": issuer, "required_claims": {"sub": ["41", "42"]}}), "opaque", None),
        (
            "wrong claim",
            json!({"issuer": issuer, "required_claims": {"sub": "41"}}),
            "opaque",
            Some(WrongClaim),
        ),
        (
            "post",
            json!({"endpoint_url": endpoint("/post"), "auth_method": "client_secret_post"}),
            "opaque",
            None,
        ),
        ("basic", json!({"endpoint_url": endpoint("/post")}), "opaque", Some(Unavailable)),
        ("unsigned", json!({"issuer": issuer, "signed_responses": true}), "opaque", Some(Unavailable)),
    ] {
        assert_eq!(rejection_with(with(changes), token).await, expected, "{name}");
    }
    let mut limited = with(json!({"issuer": issuer}));
    limited["max_token_bytes"] = json!(1024);
    limited["leeway_secs"] = json!(1);
    assert_eq!(rejection_with(limited, &"opaque".repeat(200)).await, Some(TokenTooLarge));

    // The keys of signed responses are those of the issuer, and are fetched once.
    let signed = with(json!({"issuer": issuer, "signed_responses": true, "max_age_secs": 1}));
    assert_eq!(from_json(signed.clone()).remote_keys().unwrap().len(), 1);
    let mut both = signed;
    both.as_object_mut()
        .unwrap()
        .extend([("issuer".to_owned(), json!(issuer)), ("audience".to_owned(), json!("a"))]);
    assert_eq!(from_json(both).remote_keys().unwrap().len(), 1);
}

#[tokio::test]
async fn followed_client_secret_is_used() {
    let issuer = serve_issuer().await;
    let folder = Folder::new("followed_client_secret_is_used");
    let secret = folder.write("client-secret", "hunter2");
    let settings = from_json(json!({"introspection": {
        "endpoint_url": format!("{issuer}/other"), "client_id": "api", "client_secret_file": secret,
        "audience": "staff", "timeout_secs": 20
    }}));
    assert_eq!(rejection(&settings.verifier().unwrap(), "opaque").await, Some(Unavailable));
    folder.write("client-secret", "hunter3\n");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    // A new verifier has no backoff. The file is read in another thread.
    let began = std::time::Instant::now();
    while rejection(&settings.verifier().unwrap(), "opaque").await.is_some() {
        assert!(began.elapsed() < Duration::from_secs(10), "the secret is not read again");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn reads_toml_yaml_and_json() {
    let toml = r#"
        [auth]
        issuer = "https://id.example.com"
        audience = ["https://api.example.com"]
        hmac_secret = "a secret of thirty-two bytes ..."
        leeway_secs = 30
        required_claims = { emailVerified = true }
        [auth.cache]
        max_entries = 50000
    "#;
    let yaml = r#"
auth:
  issuer: https://id.example.com
  audience: https://api.example.com
  hmac_secret: a secret of thirty-two bytes ...
  leeway_secs: 30
  required_claims:
    emailVerified: true
  cache:
    max_entries: 50000
"#;
    let json = r#"{"auth": {
        "issuer": "https://id.example.com", "audience": ["https://api.example.com"],
        "hmac_secret": "a secret of thirty-two bytes ...", "leeway_secs": 30,
        "required_claims": {"emailVerified": true}, "cache": {"max_entries": 50000}
    }}"#;
    let mut shown = Vec::new();
    for (format, text) in [(FileFormat::Toml, toml), (FileFormat::Yaml, yaml), (FileFormat::Json, json)] {
        let config = Config::builder().add_source(File::from_str(text, format)).build().unwrap();
        let settings: AuthSettings = config.get("auth").unwrap();
        let verifier = settings.verifier().unwrap();
        assert_eq!(rejection(&verifier, &signed(&json!({"emailVerified": true}))).await, None);
        assert_eq!(rejection(&verifier, &signed(&json!({"emailVerified": false}))).await, Some(WrongClaim));
        shown.push(format!("{settings:?}"));

        let typo = text.replace("max_entries", "max_entry");
        let config = Config::builder().add_source(File::from_str(&typo, format)).build().unwrap();
        let error = config.get::<AuthSettings>("auth").unwrap_err().to_string();
        assert!(
            error.contains("unknown setting `cache.max_entry`; did you mean `cache.max_entries`?"),
            "{error}"
        );
    }
    assert!(shown.iter().all(|other| *other == shown[0]), "{shown:?}");
    assert!(shown[0].contains("leeway_secs"), "{}", shown[0]);
}

#[test]
fn wrong_variables_are_named() {
    let base = [("AUTH_ISSUER", ISSUER), ("AUTH_AUDIENCE", AUDIENCE)];
    for (name, value, expected) in [
        ("AUTH_AUDIENSE", "a", "unknown setting `AUTH_AUDIENSE`; did you mean `AUTH_AUDIENCE`?"),
        ("AUTH_ISSUERS", "a", "unknown setting `AUTH_ISSUERS`; did you mean `AUTH_ISSUER`?"),
        (
            "AUTH_CACHE_MAX_ENTRY",
            "1",
            "unknown setting `AUTH_CACHE_MAX_ENTRY`; did you mean `AUTH_CACHE_MAX_ENTRIES`?",
        ),
        ("AUTH_ELEPHANT", "1", "unknown setting `AUTH_ELEPHANT`; remove it, or look up its name"),
        ("AUTH_", "1", "unknown setting `AUTH_`; remove it, or look up its name"),
        ("AUTH_issuer", "1", "unknown setting `AUTH_issuer`; remove it, or look up its name"),
        ("AUTH_REALM", "", "invalid setting `AUTH_REALM`: it is empty; give it a value or remove it"),
        ("AUTH_REALM", " a", "invalid setting `AUTH_REALM`: it begins or ends with white space; remove it"),
        ("AUTH_REALM", "ä", "invalid setting `AUTH_REALM`: it needs printable ASCII"),
        (
            "AUTH_ALGORITHMS",
            "RS256,",
            "invalid setting `AUTH_ALGORITHMS`: it is empty; give it a value or remove it",
        ),
        (
            "AUTH_ALGORITHMS",
            "rs256",
            "invalid setting `AUTH_ALGORITHMS`: names of algorithms are case-sensitive; use `RS256`",
        ),
        (
            "AUTH_ALGORITHMS",
            "none",
            "invalid setting `AUTH_ALGORITHMS`: it needs the name of an algorithm, such as `RS256`",
        ),
        (
            "AUTH_LEEWAY_SECS",
            "60000",
            "invalid setting `AUTH_LEEWAY_SECS`: it needs a whole number of seconds from 0 to 3600",
        ),
        (
            "AUTH_LEEWAY_SECS",
            "+1",
            "invalid setting `AUTH_LEEWAY_SECS`: it needs a whole number of seconds from 0 to 3600",
        ),
        (
            "AUTH_ACCESS_TOKENS_ONLY",
            "yes",
            "invalid setting `AUTH_ACCESS_TOKENS_ONLY`: it needs `true` or `false`",
        ),
        (
            "AUTH_REQUIRED_CLAIMS",
            "tenant=acme",
            "invalid setting `AUTH_REQUIRED_CLAIMS`: it needs a JSON object of claims, such as `{\"email_verified\": true}`",
        ),
        (
            "AUTH_REQUIRED_CLAIMS",
            r#"{"a": 1, "a": 2}"#,
            "invalid setting `AUTH_REQUIRED_CLAIMS`: it needs a JSON object of claims, such as `{\"email_verified\": true}`",
        ),
        (
            "AUTH_REQUIRED_CLAIMS",
            "{}",
            "invalid setting `AUTH_REQUIRED_CLAIMS`: it needs a table of claims, such as `{\"email_verified\": true}`",
        ),
        (
            "AUTH_REQUIRED_CLAIMS",
            r#"{"a": []}"#,
            "invalid setting `AUTH_REQUIRED_CLAIMS`: a claim has an empty list or a null; name the accepted values",
        ),
        (
            "AUTH_JWKS_FILE",
            "missing.json",
            "invalid setting `AUTH_JWKS_FILE`: it needs the path of a readable file",
        ),
    ] {
        let mut variables = base.to_vec();
        variables.push((name, value));
        let error = match from_vars(&variables) {
            Ok(settings) => settings.layer::<Value>().err().unwrap(),
            Err(error) => error,
        };
        assert_eq!(error.to_string(), expected, "{name}={value}");
    }
    let error = AuthSettings::from_vars("", base).unwrap_err().to_string();
    assert!(error.starts_with("invalid setting `prefix`: it is empty"), "{error}");
    assert!(AuthSettings::from_vars("AUTH_", base).unwrap().verifier::<Value>().is_ok());
}

#[cfg(unix)]
#[test]
fn variables_must_be_utf8() {
    use std::os::unix::ffi::OsStringExt;

    let bad = |prefix: &str| OsString::from_vec([prefix.as_bytes(), b"\xff"].concat());
    let error = |name: OsString, value: OsString| AuthSettings::from_vars("AUTH", [(name, value)]);
    let value = error("AUTH_REALM".into(), bad("")).unwrap_err();
    assert_eq!(value.to_string(), "invalid setting `AUTH_REALM`: it is not valid UTF-8");
    let name = error(bad("AUTH_REALM"), "a".into()).unwrap_err();
    assert_eq!(name.to_string(), "unknown setting `AUTH_REALM\u{fffd}`; did you mean `AUTH_REALM`?");
    assert!(error(bad("OTHER"), bad("")).is_ok());
}

#[test]
fn contradictory_settings_are_errors() {
    for (name, changes, expected) in [
        (
            "no keys",
            json!({"issuer": null, "hmac_secret": null}),
            "missing setting `issuer`: there are no keys to verify tokens with; set the issuer, or another source of keys",
        ),
        (
            "no issuer",
            json!({"issuer": null}),
            "missing setting `issuer`: without it any `iss` would be accepted; set it, or `insecure_any_issuer` to true",
        ),
        (
            "no audience",
            json!({"audience": null}),
            "missing setting `audience`: a token for another API must not work for this one; set the `aud` of its tokens, or `insecure_any_audience` to true",
        ),
        (
            "empty list",
            json!({"audience": []}),
            "invalid setting `audience`: it is empty; give it a value or remove it",
        ),
        (
            "empty item",
            json!({"audience": ["a", ""]}),
            "invalid setting `audience`: it is empty; give it a value or remove it",
        ),
        ("number", json!({"audience": 42}), "invalid setting `audience`: it needs a text; put it in quotes"),
        (
            "secret twice",
            json!({"hmac_secret_file": "a"}),
            "conflicting settings `hmac_secret` and `hmac_secret_file`: both are sources of keys; remove one",
        ),
        (
            "two sources",
            json!({"hmac_secret": null, "jwks_url": "https://a", "pem_files": ["a"]}),
            "conflicting settings `jwks_url` and `pem_files`: both are sources of keys; remove one",
        ),
        (
            "two places of keys",
            json!({"hmac_secret": null, "jwks_url": "https://a", "discovery_url": "https://a/metadata"}),
            "conflicting settings `discovery_url` and `jwks_url`: both are sources of keys; remove one",
        ),
        (
            "a document of any issuer",
            json!({"hmac_secret": null, "issuer": null, "insecure_any_issuer": true, "discovery_url": "https://a"}),
            "missing setting `issuer`: the discovery document must name it; set the `issuer` of the document",
        ),
        (
            "a document of two issuers",
            json!({"hmac_secret": null, "issuer": ["https://a", "https://b"], "discovery_url": "https://a"}),
            "conflicting settings `issuer` and `discovery_url`: the keys of one issuer must not sign for another; list each issuer with its keys in a file, under `issuers`",
        ),
        (
            "a document without TLS",
            json!({"hmac_secret": null, "discovery_url": "http://id.example.com"}),
            "invalid setting `discovery_url`: cannot fetch keys from `http://id.example.com`: it needs to begin with `https://`, unless the client allows plain http",
        ),
        (
            "a token for nobody",
            json!({"bearer_token_file": "a"}),
            "invalid setting `bearer_token_file`: it has no effect, since no keys are fetched; remove it",
        ),
        (
            "a token for two providers",
            json!({"hmac_secret": null, "issuer": ["https://a", "https://b"], "bearer_token_file": "a"}),
            "conflicting settings `issuer` and `bearer_token_file`: a provider must not get the token for another; list each issuer in a file, under `issuers`",
        ),
        (
            "secret and issuers",
            json!({"issuer": ["https://a", "https://b"]}),
            "conflicting settings `issuer` and `hmac_secret`: the keys of one issuer must not sign for another; list each issuer with its keys in a file, under `issuers`",
        ),
        (
            "no algorithm",
            json!({"hmac_secret": null, "pem_files": ["a"]}),
            "missing setting `pem_algorithm`: a key in PEM does not name its algorithm, which `pem_files` need",
        ),
        (
            "other algorithm",
            json!({"algorithms": ["RS256"]}),
            "conflicting settings `algorithms` and `hmac_algorithm`: every token would be rejected; add the algorithm, or remove the list",
        ),
        (
            "unused PEM",
            json!({"pem_algorithm": "RS256"}),
            "invalid setting `pem_algorithm`: it has no effect without `pem_files`; remove it",
        ),
        (
            "unused HMAC",
            json!({"hmac_secret": null, "hmac_algorithm": "HS256"}),
            "invalid setting `hmac_algorithm`: it has no effect without `hmac_secret`; remove it",
        ),
        (
            "two types",
            json!({"access_tokens_only": true, "token_type": "a"}),
            "conflicting settings `access_tokens_only` and `token_type`: both require a `typ`; remove one",
        ),
        (
            "any and one issuer",
            json!({"insecure_any_issuer": true}),
            "conflicting settings `issuer` and `insecure_any_issuer`: the issuer would be ignored; remove one",
        ),
        (
            "any and one audience",
            json!({"insecure_any_audience": true}),
            "conflicting settings `audience` and `insecure_any_audience`: the audience would be ignored; remove one",
        ),
        (
            "unused fetch",
            json!({"fetch": {"timeout_secs": 1}}),
            "invalid setting `fetch.timeout_secs`: it has no effect, since no keys are fetched; remove it",
        ),
        (
            "unused http",
            json!({"http": {"ca_file": "a"}}),
            "invalid setting `http.ca_file`: it has no effect, since nothing is fetched; remove it",
        ),
        (
            "unused cache",
            json!({"cache": {"enabled": false, "max_entries": 1}}),
            "conflicting settings `cache.enabled` and `cache.max_entries`: the cache is off; remove one",
        ),
        (
            "refresh",
            json!({"hmac_secret": null, "fetch": {"refresh_min_secs": 4000}}),
            "conflicting settings `fetch.refresh_min_secs` and `fetch.refresh_max_secs`: the shortest time is longer than the longest; change one",
        ),
        ("no table", json!({"cache": 10}), "invalid setting `cache`: it needs a table of settings"),
        (
            "null",
            json!({"cache": {"enabled": [null]}}),
            "invalid setting `cache.enabled`: it needs `true` or `false`",
        ),
        (
            "short secret",
            json!({"hmac_secret": "hunter2"}),
            "invalid setting `hmac_secret`: HS256 needs a secret of at least 32 bytes, got 7",
        ),
        (
            "beside issuers",
            json!({"issuers": [{"issuer": "https://a"}]}),
            "conflicting settings `issuer` and `issuers`: with several issuers, each has its own; move it into them",
        ),
        (
            "scope",
            json!({"challenge_scope": "a  b"}),
            "invalid setting `challenge_scope`: it needs scopes of printable ASCII with one space between them",
        ),
        (
            "private name",
            json!({"required_claims": {"x": [{"a": {"$serde_json::private::RawValue": "no JSON"}}]}}),
            "invalid setting `required_claims`: a member is named `$serde_json::private::..`, which serde_json would read as another value; remove it",
        ),
        (
            "private name of a claim",
            json!({"required_claims": {"$serde_json::private::RawValue": "1"}}),
            "invalid setting `required_claims`: a member is named `$serde_json::private::..`, which serde_json would read as another value; remove it",
        ),
        (
            "plain http",
            json!({"hmac_secret": null, "issuer": "http://id.example.com"}),
            "invalid setting `issuer`: cannot fetch keys from `http://id.example.com`: it needs to begin with `https://`, unless the client allows plain http",
        ),
    ] {
        assert_eq!(error_of(hmac(changes)), expected, "{name}");
    }
    for (name, settings, expected) in [
        (
            "API keys without file",
            json!({"api_keys": {"prefix": "acme"}}),
            "missing setting `api_keys.file`: there are no API keys; set the file with their records",
        ),
        (
            "API keys without prefix",
            json!({"api_keys": {"file": "a"}}),
            "missing setting `api_keys.prefix`: API keys are recognized by it; set it",
        ),
        (
            "prefix",
            json!({"api_keys": {"prefix": "4"}}),
            "invalid setting `api_keys.prefix`: it needs a letter and up to 31 letters, digits and `_`",
        ),
        (
            "audience without issuer",
            json!({"audience": "a", "api_keys": {"prefix": "acme", "file": "a"}}),
            "missing setting `issuer`: there are no keys to verify tokens with; set the issuer, or another source of keys",
        ),
        (
            "unused leeway",
            json!({"leeway_secs": 1, "api_keys": {"prefix": "acme", "file": "a"}}),
            "invalid setting `leeway_secs`: it has no effect, since only API keys are accepted; remove it",
        ),
        (
            "unused cache",
            json!({"cache": {"max_entries": 1}, "api_keys": {"prefix": "acme", "file": "a"}}),
            "invalid setting `cache.max_entries`: it has no effect, since no JWTs are accepted; remove it",
        ),
        (
            "no provider",
            json!({"introspection": {"client_id": "a"}}),
            "missing setting `introspection.issuer`: the provider of opaque tokens is not known; set its issuer, or \
             the URL of its endpoint",
        ),
        (
            "no client",
            json!({"introspection": {"issuer": ISSUER}}),
            "missing setting `introspection.client_id`: the provider asks for it; set the ID of this service at the \
             provider",
        ),
        (
            "no secret",
            json!({"introspection": {"issuer": ISSUER, "client_id": "a"}}),
            "missing setting `introspection.client_secret`: the provider asks for it; set the secret of this service \
             at the provider",
        ),
        (
            "two secrets",
            json!({"introspection": {
                "issuer": ISSUER, "client_id": "a", "client_secret": "a", "client_secret_file": "a"
            }}),
            "conflicting settings `introspection.client_secret` and `introspection.client_secret_file`: both are the \
             secret; remove one",
        ),
        (
            "no audience of opaque tokens",
            json!({"introspection": {"issuer": ISSUER, "client_id": "a", "client_secret": "b"}}),
            "missing setting `introspection.audience`: tokens for any service of the provider would be accepted, and \
             refresh tokens; set the audience. If the provider states none, require another claim, or set \
             `access_tokens_only`",
        ),
        (
            "a dot in a name",
            json!({"issuer": ISSUER, "audience": "a", "cache.max_bytes": 2048}),
            "invalid setting `cache.max_bytes`: a name has no dot; write a table, such as `cache`, with the setting in it",
        ),
        (
            "unknown method",
            json!({"introspection": {"auth_method": "basic"}}),
            "invalid setting `introspection.auth_method`: it needs `client_secret_basic` or `client_secret_post`",
        ),
        (
            "signed by nobody",
            json!({"introspection": {
                "endpoint_url": ISSUER, "client_id": "a", "client_secret": "a", "signed_responses": true
            }}),
            "missing setting `introspection.issuer`: signed responses are verified with its keys; set it, or remove \
             the signed responses",
        ),
        (
            "any and one audience",
            json!({"introspection": {
                "issuer": ISSUER, "client_id": "a", "client_secret": "a", "audience": "a", "insecure_any_audience": true
            }}),
            "conflicting settings `introspection.audience` and `introspection.insecure_any_audience`: the audience \
             would be ignored; remove one",
        ),
        (
            "file for its secret",
            json!({"introspection": {"issuer": ISSUER, "client_id": "a", "client_secret_file": "hunter2"}}),
            "invalid setting `introspection.client_secret_file`: it needs the path of a readable file",
        ),
        (
            "file for its records",
            json!({"api_keys": {"prefix": "acme", "file": "hunter2"}}),
            "invalid setting `api_keys.file`: it needs the path of a readable file",
        ),
    ] {
        assert_eq!(error_of(settings), expected, "{name}");
    }
    let of_issuers = |issuers: Value| error_of(json!({"issuers": issuers}));
    let (a, b) = (json!({"issuer": "https://a", "audience": "a"}), json!({"issuer": "https://b"}));
    for (name, issuers, expected) in [
        ("none", json!([]), "invalid setting `issuers`: it needs a list of tables, one for each issuer"),
        ("no table", json!(["https://a"]), "invalid setting `issuers[0]`: it needs a table of settings"),
        (
            "no audience",
            json!([a, b]),
            "missing setting `issuers[1].audience`: a token for another API must not work for this one; set the `aud` of its tokens, or `issuers[1].insecure_any_audience` to true",
        ),
        (
            "twice",
            json!([a, a]),
            "invalid setting `issuers`: duplicate verifier for the issuer `https://a`; remove one",
        ),
        (
            "typo",
            json!([{"isuer": "https://a"}]),
            "unknown setting `issuers[0].isuer`; did you mean `issuers[0].issuer`?",
        ),
        (
            "of all",
            json!([{"leeway_secs": 1}]),
            "invalid setting `issuers[0].leeway_secs`: it applies to all issuers; move it out of `issuers`",
        ),
        (
            "two names",
            json!([{"issuer": ["https://a", "https://b"], "audience": "a"}]),
            "invalid setting `issuers[0].issuer`: it needs one issuer; list each with its keys under `issuers`",
        ),
        (
            "any issuer",
            json!([{"insecure_any_issuer": true, "audience": "a", "hmac_secret": SECRET_TEXT}]),
            "invalid setting `issuers[0].insecure_any_issuer`: it has no effect, since tokens are selected by their issuer; remove it",
        ),
    ] {
        assert_eq!(of_issuers(issuers), expected, "{name}");
    }
    assert_eq!(
        error_of_vars(&[("AUTH_ISSUER", ISSUER)]),
        "missing setting `AUTH_AUDIENCE`: a token for another API must not work for this one; set the `aud` of its \
         tokens, or `AUTH_INSECURE_ANY_AUDIENCE` to true"
    );
    assert_eq!(
        error_of_vars(&[("AUTH_REQUIRED_CLAIMS", r#"{"x": {"\u0024serde_json::private::Other": 1}}"#)]),
        "invalid setting `AUTH_REQUIRED_CLAIMS`: a member is named `$serde_json::private::..`, which serde_json would \
         read as another value; remove it"
    );
    let twice = serde_json::from_str::<AuthSettings>(r#"{"issuer": "https://a", "issuer": "https://b"}"#);
    assert_eq!(twice.unwrap_err().to_string(), "duplicate setting `issuer` at line 1 column 32");
    assert!(AuthSettings::default().verifier::<Value>().is_err());
}

/// With serde_json's feature `arbitrary_precision`, a number arrives as such a table.
#[test]
fn reads_numbers_of_any_precision() {
    for (number, is_good) in [
        ("10", true),
        (r#"{"$serde_json::private::Number": "10"}"#, true),
        (r#"{"$serde_json::private::Number": "ten"}"#, false),
        (r#"{"$serde_json::private::Other": "10"}"#, false),
    ] {
        let settings = serde_json::from_str::<AuthSettings>(&format!(r#"{{"leeway_secs": {number}}}"#));
        assert_eq!(settings.is_ok(), is_good, "{number}");
    }
}

#[tokio::test]
async fn verifiers_of_issuers_keep_order() {
    let issuer = |issuer: &str| json!({"issuer": issuer, "audience": AUDIENCE, "hmac_secret": "a secret of thirty-two bytes ..."});
    let settings = from_json(json!({"issuers": [issuer("https://other.example"), issuer(ISSUER)]}));
    let [other, own] = settings.jwt_verifiers::<Value>().unwrap().try_into().unwrap();
    let token = good_token();
    let kind = async |verifier: JwtVerifier<Value>| {
        verifier.clock(|| at(NOW)).verify(&*token).await.err().map(|error| error.kind())
    };
    assert_eq!(kind(other).await, Some(AuthErrorKind::WrongIssuer));
    assert_eq!(kind(own).await, None);
    assert!(from_json(json!({})).jwt_verifiers::<Value>().is_err());
}

/// A secret in any place, of any type, is in no error and in no `Debug` output.
#[test]
fn secrets_in_wrong_places_are_not_shown() {
    const MARK: &str = "hunter2";
    let mut seen = String::new();
    let table = include_str!("../../src/settings/table.md");
    let paths: Vec<_> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(path, _)| path)
        .collect();
    assert!(paths.len() > 30);
    for path in paths {
        for value in
            [json!(MARK), json!([MARK]), json!({MARK: MARK}), json!([[MARK]]), json!({"a": {"b": MARK}})]
        {
            let value = match path.split_once('.') {
                Some((group, path)) => json!({group: {path: value}}),
                None => json!({path: value}),
            };
            let mut settings = hmac(json!({"hmac_secret": null}));
            settings.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
            let keys_are_names = value.to_string().matches(MARK).count() == 2;
            let of_this = match serde_json::from_value::<AuthSettings>(settings) {
                Ok(settings) => match settings.layer::<Value>() {
                    Ok(_) => String::new(),
                    Err(error) => format!("{error}{error:?}{:?}", std::error::Error::source(&error)),
                },
                Err(error) => format!("{error}{error:?}"),
            };
            if !keys_are_names {
                seen += &of_this;
            }
        }
        let variable = format!("AUTH_{}", path.replace('.', "_").to_ascii_uppercase());
        if let Err(error) = from_vars(&[(&variable, MARK)]).and_then(|settings| settings.layer::<Value>()) {
            seen += &format!("{error}{error:?}{:?}", std::error::Error::source(&error));
        }
    }
    assert!(seen.contains("invalid setting"));
    let settings = json!({
        "issuer": ISSUER, "audience": AUDIENCE, "hmac_secret": format!("{MARK}, with enough other characters"),
        "http": {"proxy_url": format!("http://user:{MARK}@proxy.example.com")}
    });
    let settings = from_json(settings);
    seen += &format!("{settings:?}{settings:#?}");
    let settings = from_json(
        json!({"issuer": ISSUER, "audience": AUDIENCE, "http": {"proxy_url": format!("http://user:{MARK}@a b")}}),
    );
    seen += &settings.layer::<Value>().err().unwrap().to_string();
    assert!(!seen.contains(MARK), "{seen}");
}
