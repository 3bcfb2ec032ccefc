//! Marked secrets go through every path. No log, metric, `Debug` output or response contains them.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::{Debug, Write as _};
use std::time::Duration;

use http::{Request, Response};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_jwt_auth::policy::{claim, scope, when};
use tower_jwt_auth::*;
use tower_jwt_auth::{
    cache::*, issue::*, jwks::*, keys::*, reject::*, resource_metadata::*, revocation::*, verifiers::*,
};

use crate::events::Log;
use crate::keys::{fixture, jwk_with, set_of};
use crate::support::*;

/// A text in every secret.
const MARK: &str = "hunter2";

/// All visible output.
#[derive(Default)]
struct Seen(String);

impl Seen {
    fn debug(&mut self, what: &dyn Debug) {
        writeln!(self.0, "{what:?}\n{what:#?}").unwrap();
    }

    fn error(&mut self, error: &(dyn Error + 'static)) {
        let mut next = Some(error);
        while let Some(error) = next {
            self.debug(&error);
            writeln!(self.0, "{error}").unwrap();
            next = error.source();
        }
    }

    fn response(&mut self, response: Response<String>) {
        // `Debug` hides headers that are marked sensitive, so each one is written out.
        for (name, value) in response.headers() {
            writeln!(self.0, "{name}: {}", value.to_str().unwrap()).unwrap();
        }
        if let Some(error) = response.extensions().get::<AuthError>() {
            self.error(error);
        }
        writeln!(self.0, "{}", response.into_body()).unwrap();
    }
}

/// Returns all encodings in which a secret may leak.
fn forms(secret: &[u8]) -> Vec<String> {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{secret:?}").trim_matches(['[', ']']).to_owned();
    vec![base64url(secret), hex, list]
}

fn marked_claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 300, "sub": format!("sub-{MARK}"), "jti": format!("jti-{MARK}"),
        "sid": format!("sid-{MARK}"), "email": format!("{MARK}@example.com"), "scope": format!("scope-{MARK}"),
        "roles": [format!("role-{MARK}")],
    })
}

fn with(changes: &Value) -> Value {
    let mut claims = marked_claims();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

/// Returns tokens that fail different checks, and a good one.
fn tokens() -> Vec<String> {
    let header = |members: Value| members.to_string();
    let good = marked_claims().to_string();
    let mut tokens = vec![
        token(&marked_claims()),
        MARK.to_owned(),
        format!("{MARK}.{MARK}"),
        format!("{0}.{0}.{0}", base64url(MARK)),
        format!("{}.{}.{}", base64url(r#"{"alg":"HS256"}"#), base64url(&good), base64url(MARK)),
        format!("{}.{}.{}.a.b", base64url(r#"{"alg":"dir"}"#), base64url(&good), base64url(MARK)),
        "x".repeat(20_000) + MARK,
    ];
    for members in [
        json!({"alg": MARK}),
        json!({"alg": "none", "kid": MARK}),
        json!({"alg": "HS256", "kid": MARK}),
        json!({"alg": "HS256", "typ": MARK}),
        json!({"alg": "HS256", "crit": [MARK]}),
        json!({"alg": "HS256", "jku": format!("https://{MARK}.example.com")}),
        json!({"alg": "RS256", "kid": MARK}),
    ] {
        tokens.push(token_of(&header(members), &good));
    }
    for changes in [
        json!({"iss": MARK}),
        json!({"iss": [MARK]}),
        json!({"aud": MARK}),
        json!({"aud": [MARK]}),
        json!({"exp": null}),
        json!({"exp": MARK}),
        json!({"exp": NOW - 1000}),
        json!({"nbf": NOW + 1000}),
        json!({"cnf": {"jkt": MARK}}),
        json!({"sub": [MARK]}),
        json!({"jti": {"a": MARK}}),
        json!({"sid": format!("revoked-{MARK}")}),
        json!({"email": [MARK]}),
        json!({"email": {MARK: MARK}}),
    ] {
        tokens.push(token(&with(&changes)));
    }
    tokens.push(token_of(r#"{"alg":"HS256"}"#, &format!(r#"{{"exp":1,"exp":2,"a":"{MARK}"}}"#)));
    tokens.push(token_of(r#"{"alg":"HS256"}"#, &format!(r#"["{MARK}"]"#)));
    tokens.push(token(&json!({"exp": NOW + 300, MARK: "a claim with this name"})));
    tokens
}

#[derive(serde::Deserialize)]
#[expect(dead_code, reason = "it is there to be read")]
struct User {
    email: String,
}

async fn through<L>(seen: &mut Seen, layer: &L)
where
    L: Layer<InnerService>,
    L::Service: tower_service::Service<Request<String>, Response = Response<String>, Error = std::convert::Infallible>,
{
    // The inner service logs the request without the token.
    let inside = InnerService(|request| format!("{:?} {:?}", request.headers(), Head::from(request)));
    for token in tokens() {
        for request in [
            Request::get("/").header("authorization", format!("Bearer {token}")),
            Request::get("/").header("authorization", format!("Bearer {token}, Bearer {MARK}")),
            Request::get("/").header("authorization", format!("Basic {MARK}")),
            Request::get("/").header("x-token", &token),
            Request::get("/").header("x-custom", &token),
            Request::get(format!("/?token={token}")),
            Request::get("/").header("x-token", &token).header("authorization", format!("Bearer {token}")),
            Request::get("/").header("cookie", format!("token={token}")),
            Request::get("/")
                .header("sec-websocket-protocol", format!("bearer, {token}"))
                .header("upgrade", "websocket"),
        ] {
            let request = request.body(String::new()).unwrap();
            let response = layer.layer(inside).oneshot(request).await.unwrap();
            seen.response(response);
        }
    }
}

fn sources() -> Vec<TokenSource> {
    vec![
        TokenSource::header("x-token".parse().unwrap()),
        TokenSource::cookie("token").unwrap(),
        TokenSource::websocket_protocol("bearer").unwrap(),
        TokenSource::query("token"),
        TokenSource::custom(["x-custom".parse().unwrap()], |request| {
            Some(request.headers().get("x-custom")?.to_str().ok()?.into())
        }),
    ]
}

fn layer<V: Clone>(verifier: V) -> JwtAuthLayer<V> {
    sources().into_iter().fold(JwtAuthLayer::new(verifier), JwtAuthLayer::add_token_source)
}

async fn requests(seen: &mut Seen, log: &Log) {
    let revocations = Revocations::new();
    drop(revocations.revoke_session(ISSUER, &format!("revoked-{MARK}"), at(NOW + 300)));
    seen.debug(&revocations);
    let verifier = verifier().revocations(revocations.clone()).cache(CacheSettings::new());
    seen.debug(&verifier);
    seen.debug(&layer(verifier.clone()));
    through(seen, &layer(verifier.clone())).await;
    through(seen, &layer(verifier.clone())).await; // the good ones are cached
    through(seen, &layer(verifier.clone()).allow_invalid()).await;
    through(seen, &layer(verifier.clone()).on_reject(ProblemJson::new())).await;
    through(seen, &layer(verifier.clone()).on_reject(Grpc::new())).await;

    let rules = scope("orders:read").or(claim("tenant", "acme")).and(when(|_: &Claims<Value>, _| false));
    seen.debug(&rules);
    through(seen, &layer(verifier.clone()).require(rules)).await;
    let rejected = RequireLayer::<Value>::new(claim("email", "nobody").not().not());
    through(seen, &ServiceBuilder::new().layer(layer(verifier.clone())).layer(rejected)).await;
    let nobody = PrincipalLayer::new(|_: Claims<Value>| async { Ok::<_, std::io::Error>(None::<u8>) });
    through(seen, &ServiceBuilder::new().layer(layer(verifier.clone())).layer(nobody)).await;

    let typed = JwtVerifier::<User>::new(KeySet::hmac(Algorithm::HS256, SECRET).unwrap());
    let typed = typed.issuer(ISSUER).audience(AUDIENCE).clock(|| at(NOW));
    seen.debug(&typed.verify(&token(&marked_claims())).await.map(|_| "good"));
    through(seen, &layer(typed)).await;
    // The cause names the mismatched claim, but not if the token chose the name.
    let map = JwtVerifier::<HashMap<String, u64>>::new(KeySet::hmac(Algorithm::HS256, SECRET).unwrap());
    through(seen, &layer(map.insecure_any_issuer().insecure_any_audience().clock(|| at(NOW)))).await;
    let issuers = Issuers::new([verifier]).unwrap();
    seen.debug(&issuers);
    through(seen, &layer(issuers)).await;

    let logged = log.take();
    assert!(logged.lines().count() > 500, "the rejections are not logged");
    seen.0 += &logged;
}

/// Prints good and bad keys.
fn keys(seen: &mut Seen) {
    let private = ["rsa2048", "p256", "p384", "ed25519"].map(|name| fixture(&format!("{name}.private.pem")));
    let algorithms = [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];
    let secret = format!("a secret of more than thirty-two bytes, {MARK}");
    seen.debug(&KeySet::hmac(Algorithm::HS256, &secret).unwrap());
    seen.debug(&SigningKey::hmac(Algorithm::HS256, &secret).unwrap());
    seen.error(&Key::hmac(Algorithm::HS512, &secret).unwrap_err());
    seen.error(&Key::hmac(Algorithm::RS256, &secret).unwrap_err());
    seen.error(&Key::pem(Algorithm::RS256, &secret).unwrap_err());
    for (algorithm, pem) in algorithms.into_iter().zip(&private) {
        let key = SigningKey::pem(algorithm, pem).unwrap();
        seen.debug(&key);
        seen.debug(&key.verifying_key());
        let issuer = TokenIssuer::new(key, ISSUER).audience(AUDIENCE);
        seen.debug(&issuer);
        let token = issuer.issue(&json!({"sub": MARK})).unwrap();
        seen.debug(&token);
        seen.error(&Key::pem(algorithm, pem).unwrap_err());
        seen.error(&SigningKey::pem(Algorithm::HS256, pem).unwrap_err());
        seen.error(&SigningKey::pem(algorithm, pem.replace("M", "N")).unwrap_err());
        seen.error(&Key::hmac(Algorithm::HS256, pem).unwrap_err());
    }
    let issuer = TokenIssuer::new(SigningKey::hmac(Algorithm::HS256, SECRET).unwrap(), ISSUER);
    seen.error(&issuer.issue(&json!({"exp": MARK})).unwrap_err());
    seen.error(&issuer.issue(&json!([MARK])).unwrap_err());
    // A set that contains private members and secrets by mistake.
    let set = set_of(&[
        jwk_with(Algorithm::EdDSA, json!({"kid": "k1", "d": MARK})),
        json!({"kty": "oct", "kid": "k2", "k": base64url(MARK)}),
        json!({"kty": "oct", "kid": "k3", "k": base64url(MARK), "alg": "HS256"}),
        json!({"kty": "EC", "crv": "P-256", "x": MARK, "y": MARK, "d": MARK}),
    ]);
    for keys in [KeySet::jwks(&set), KeySet::jwks_with(&set, &JwksRules::new().allow_symmetric_keys())] {
        match keys {
            Ok(keys) => seen.debug(&keys),
            Err(error) => seen.error(&error),
        }
    }
    seen.error(&RedisStore::new(&format!("redis://user:{MARK}@")).map(|_| ()).unwrap_err());
    seen.error(&RedisStore::new(&format!("nonsense:{MARK}")).map(|_| ()).unwrap_err());
    seen.debug(&RedisStore::new(&format!("redis://user:{MARK}@127.0.0.1:1/")).unwrap());
    for password in [MARK, "a/hunter2", "hunter2?b", "hunter2#c", "hunter2://d", "hunter2@e"] {
        for address in
            [format!("https://user:{password}@id.example.com"), format!("user:{password}@id.example.com")]
        {
            seen.error(&RemoteKeys::discover_with(&address, Talkative).unwrap_err());
            seen.error(&ProtectedResource::new(&address).unwrap_err());
        }
    }
}

/// A provider with secrets in its responses.
#[derive(Clone)]
struct Talkative;

impl HttpClient for Talkative {
    fn fetch(&self, request: Request<Vec<u8>>, _: usize) -> ClientFuture {
        let body = match request.uri().path().ends_with(".json") {
            true => json!({"keys": [{"kty": "oct", "k": base64url(MARK), "alg": "HS256"}]}),
            false => {
                json!({"issuer": ISSUER, "jwks_uri": format!("{ISSUER}/jwks.json"), "client_secret": MARK})
            }
        };
        Box::pin(async move { Ok(Response::new(body.to_string().into())) })
    }
}

async fn fetched(seen: &mut Seen, log: &Log) {
    let keyed = RemoteKeys::jwks_with(&format!("{ISSUER}/jwks?key={MARK}"), Talkative).unwrap();
    seen.debug(&keyed);
    seen.error(&keyed.ready_timeout(Duration::from_secs(1)).ready().await.unwrap_err());
    let keys = RemoteKeys::discover_with(ISSUER, Talkative).unwrap().ready_timeout(Duration::from_secs(1));
    seen.debug(&keys);
    seen.error(&keys.ready().await.unwrap_err());
    let verifier = JwtVerifier::<Value>::new(keys).audience(AUDIENCE).clock(|| at(NOW));
    through(seen, &layer(verifier)).await;
    seen.0 += &log.take();
}

/// Fails every read and write with a reason.
struct Broken;

impl RevocationStore for Broken {
    fn write(&self, _: Vec<Revocation>) -> StoreFuture<()> {
        Box::pin(async { Err("away".into()) })
    }

    fn read(&self, _: Option<String>) -> StoreFuture<RevocationPage> {
        Box::pin(async { Err("away".into()) })
    }
}

async fn shared(seen: &mut Seen, log: &Log) {
    let list = SharedRevocations::new(Broken).ready_timeout(Duration::from_secs(1)).start().unwrap();
    let revoked = list.revoke_session(ISSUER, MARK, at(NOW + 300));
    seen.debug(&revoked);
    seen.error(&revoked.await.unwrap_err());
    seen.error(&list.ready().await.unwrap_err());
    seen.debug(&list.shared_stats());
    through(seen, &layer(verifier().revocations(list))).await;
    seen.0 += &log.take();
}

#[tokio::test(start_paused = true)]
async fn no_output_contains_a_secret() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _here = metrics::set_default_local_recorder(&recorder);
    let log = Log::begin();
    let mut seen = Seen::default();
    requests(&mut seen, &log).await;
    keys(&mut seen);
    fetched(&mut seen, &log).await;
    shared(&mut seen, &log).await;
    seen.0 += &recorder.handle().render();

    let mut secrets = vec![MARK.to_owned()];
    secrets.extend(forms(MARK.as_bytes()));
    secrets.extend(forms(SECRET));
    secrets.push(String::from_utf8_lossy(SECRET).into_owned());
    for token in tokens() {
        // Whole and in parts. Short parts occur in any text.
        secrets.extend(token.split('.').filter(|part| part.len() > 12).map(str::to_owned));
    }
    for name in ["rsa2048", "p256", "p384", "ed25519"] {
        let pem = fixture(&format!("{name}.private.pem"));
        secrets.extend(pem.lines().filter(|line| !line.starts_with("---")).map(str::to_owned));
    }
    for secret in secrets {
        if let Some(place) = seen.0.find(&secret) {
            let line = seen.0[..place].rfind('\n').map_or(0, |end| end + 1);
            panic!("{secret} is in: {}", seen.0[line..].lines().next().unwrap());
        }
    }
}
