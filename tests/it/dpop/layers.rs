//! DPoP with the other parts of a layer: modes, routers, formats of responses and token sources.

use http::header::AUTHORIZATION;
use tower::{ServiceBuilder, ServiceExt};
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::policy::scope;
use tower_jwt_auth::reject::{Grpc, ProblemJson};
use tower_jwt_auth::resource_metadata::ProtectedResource;
use tower_jwt_auth::verifiers::{AnyOf, Issuers, Scheme};
use tower_jwt_auth::{Claims, Credential, RequireLayer, TokenSource, Verdict, Verify};

use super::*;

const MALFORMED: &str =
    r#"error="invalid_dpop_proof", error_description="the DPoP proof is not well-formed""#;

#[tokio::test]
async fn each_mode_handles_bad_proofs() {
    let token = bound_token();
    let good = || send(&token, &Proof::of(&token).sign());
    let bad = || send(&token, "x");
    let none = || Request::get("/orders").body(String::new()).unwrap();
    let (required, optional, allow_invalid) = (layer(), layer().optional(), layer().allow_invalid());
    let skipped = layer().skip_when(|_| true);
    for (name, layer, [to_good, to_bad, to_none]) in [
        ("required", required, ["Hello eze@example.com", "", ""]),
        ("optional", optional, ["Hello eze@example.com", "", "Hello stranger"]),
        ("allow_invalid", allow_invalid, ["Hello eze@example.com", "Hello stranger", "Hello stranger"]),
        ("skip_when", skipped, ["Hello stranger"; 3]),
    ] {
        assert_eq!(ask(&layer, good()).await.body(), to_good, "{name}");
        assert_eq!(ask(&layer, bad()).await.body(), to_bad, "{name}");
        assert_eq!(ask(&layer, none()).await.body(), to_none, "{name}");
    }
}

#[tokio::test]
async fn skipped_requests_keep_their_proof() {
    let token = bound_token();
    let request = || send(&token, &Proof::of(&token).claim("jti", "skipped").sign());
    let layer = layer().skip_when(|request| request.headers().contains_key("x-skip"));
    let mut skipped = request();
    skipped.headers_mut().insert("x-skip", "1".parse().unwrap());
    assert_eq!(ask(&layer, skipped).await.body(), "Hello stranger");
    assert_accepted("not skipped", &ask(&layer, request()).await);
}

/// A proof is accepted once, also by the layers around one service.
#[tokio::test]
async fn nested_layers_need_their_own_memory() {
    let token = bound_token();
    let shared = dpop();
    for (name, inner, status) in [("clone", shared.clone(), 401), ("its own", dpop(), 200)] {
        let service = ServiceBuilder::new().layer(layer_with(shared.clone())).layer(layer_with(inner));
        let Ok(response) =
            service.service(InnerService(hello)).oneshot(send(&token, &Proof::of(&token).sign())).await;
        assert_eq!(response.status(), status, "{name}");
    }
}

/// Accepts every opaque token as a bearer token.
struct Opaque;

impl Verify for Opaque {
    type Claims = Value;

    fn verify(&self, _: Credential<'_>) -> Verdict<Value> {
        Verdict::Ready(Ok(Claims::new(json!({"email": "opaque"}))))
    }
}

#[tokio::test]
async fn any_of_offers_dpop_of_one_verifier() {
    let layer = JwtAuthLayer::new(AnyOf::new().jwt(verifier().dpop(dpop())).opaque(Opaque));
    let token = bound_token();
    assert_accepted("bound", &ask(&layer, send(&token, &Proof::of(&token).sign())).await);
    assert_accepted("unbound", &ask(&layer, bearer(&good_token())).await);
    assert_eq!(ask(&layer, bearer("opaque")).await.body(), "Hello opaque");
    let response = ask(&layer, send(&token, "x")).await;
    assert_refused("bad proof", &response, MalformedProof, MALFORMED);
    for (name, request, kind) in [
        ("bound as bearer", bearer(&token), SenderConstrained),
        ("opaque as DPoP", send("opaque", &Proof::of("opaque").sign()), InvalidToken),
    ] {
        assert_eq!(kind_of(&ask(&layer, request).await), Some(kind), "{name}");
    }
}

#[tokio::test]
async fn issuers_offer_dpop_of_one_verifier() {
    const OTHER: &str = "https://staff.example.com";
    let issuers = Issuers::new([verifier().dpop(dpop()), verifier().issuer(OTHER)]).unwrap();
    let layer = JwtAuthLayer::new(issuers);
    let token = bound_token();
    let from_other = crate::support::token(&claims_with("iss", json!(OTHER)));
    let mut claims = claims_with("iss", json!(OTHER));
    claims["cnf"] = json!({"jkt": thumbprint(&public_jwk(Algorithm::ES256))});
    let bound_by_other = crate::support::token(&claims);
    assert_accepted("bound", &ask(&layer, send(&token, &Proof::of(&token).sign())).await);
    assert_accepted("unbound", &ask(&layer, bearer(&good_token())).await);
    assert_accepted("other issuer", &ask(&layer, bearer(&from_other)).await);
    let response = ask(&layer, send(&token, "x")).await;
    assert_refused("bad proof", &response, MalformedProof, MALFORMED);
    for (name, request, kind) in [
        ("bound as bearer", bearer(&token), SenderConstrained),
        ("bound, of the other issuer", bearer(&bound_by_other), SenderConstrained),
        ("other issuer as DPoP", send(&from_other, &Proof::of(&from_other).sign()), InvalidToken),
    ] {
        assert_eq!(kind_of(&ask(&layer, request).await), Some(kind), "{name}");
    }
}

/// The proof is checked when the key has arrived, with the request that was sent before.
#[cfg(feature = "remote-keys-core")]
#[tokio::test(start_paused = true)]
async fn proofs_are_checked_after_a_fetch() {
    use crate::keys::token_with;
    use crate::remote_keys::Provider;

    let mut claims = claims_with("exp", json!(NOW + 300));
    claims["cnf"] = json!({"jkt": thumbprint(&public_jwk(Algorithm::ES256))});
    let token = token_with(Algorithm::EdDSA, Some("a"), &claims);
    for (name, proof, kind) in [
        ("good", Proof::of(&token), None),
        ("for another method", Proof::of(&token).claim("htm", "PUT"), Some(WrongProofRequest)),
        ("for another token", Proof::of(&token).claim("ath", "x"), Some(WrongProofToken)),
        ("by another key", Proof::by(Algorithm::ES384, &token), Some(WrongProofKey)),
    ] {
        let provider = Provider::of(&["a"]);
        let verifier = JwtVerifier::<Value>::new(provider.keys()).issuer(ISSUER).audience(AUDIENCE);
        let layer = JwtAuthLayer::new(verifier.clock(|| at(NOW)).dpop(dpop()));
        let proof = proof.sign();
        let response = ask(&layer, send(&token, &proof)).await;
        assert_eq!(kind_of(&response), kind, "{name}");
        let again = kind.or(Some(ReplayedProof));
        assert_eq!(kind_of(&ask(&layer, send(&token, &proof)).await), again, "{name}");
    }
}

#[tokio::test]
async fn grpc_clients_get_the_challenges() {
    let layer = layer_with(dpop().nonces(SECRET).unwrap()).on_reject(Grpc::new());
    let token = bound_token();
    let mut request = send(&token, &Proof::of(&token).claim("htm", "POST").sign());
    *request.method_mut() = http::Method::POST;
    request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    let response = ask(&layer, request).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["grpc-status"], "16");
    assert_eq!(response.headers()["grpc-message"], "the DPoP proof needs the nonce of this server");
    assert_eq!(response.headers().get_all("www-authenticate").iter().count(), 2);
    assert_eq!(response.headers().get_all("dpop-nonce").iter().count(), 1);
}

#[tokio::test]
async fn problem_details_name_the_proof() {
    let layer = layer().on_reject(ProblemJson::new());
    let response = ask(&layer, send(&bound_token(), "x")).await;
    assert_eq!(response.status(), 401);
    let body: Value = serde_json::from_str(response.body()).unwrap();
    assert_eq!(body["title"], "the DPoP proof is not well-formed");
    assert_eq!(response.headers().get_all("www-authenticate").iter().count(), 2);
}

#[tokio::test]
async fn stripped_requests_have_no_token_or_proof() {
    let token = bound_token();
    let request = || send(&token, &Proof::of(&token).sign());
    let look = |request: &Request<String>| {
        let value = |name| request.headers().get(name).map(|value| value.is_sensitive());
        format!("{:?} {:?}", value("authorization"), value("dpop"))
    };
    let response = ask_service(look, &layer().strip_credential(), request()).await;
    assert_eq!(response.body(), "None None");
    let response = ask_service(look, &layer(), request()).await;
    assert_eq!(response.body(), "Some(true) Some(true)", "sensitive");
}

/// A verifier without the setting cannot check a proof.
#[tokio::test]
async fn verifier_without_dpop_rejects_its_scheme() {
    let source = TokenSource::header_with_scheme(AUTHORIZATION, Scheme::DPOP);
    for (name, verifier, kind) in [
        ("default", verifier(), Some(MissingBinding)),
        ("ignores the binding", verifier().insecure_ignore_confirmation(), None),
    ] {
        let layer = JwtAuthLayer::new(verifier).token_source(source.clone());
        let token = good_token();
        let response = ask(&layer, send(&token, &Proof::of(&token).sign())).await;
        assert_eq!(kind_of(&response), kind, "{name}");
    }
}

#[tokio::test]
async fn other_headers_may_have_the_scheme() {
    let name = http::HeaderName::from_static("x-authorization");
    let layer = layer().token_source(TokenSource::header_with_scheme(name, Scheme::DPOP));
    let token = bound_token();
    let request = || Request::get("/orders").header("x-authorization", format!("DPoP {token}"));
    let with_proof = request().header("dpop", Proof::of(&token).sign()).body(String::new()).unwrap();
    assert_accepted("with a proof", &ask(&layer, with_proof).await);
    let response = ask(&layer, request().body(String::new()).unwrap()).await;
    assert_eq!(kind_of(&response), Some(MissingProof));
}

/// A policy inside the layer answers in the scheme that the client used.
#[tokio::test]
async fn inner_rejections_use_the_scheme_of_the_client() {
    let token = bound_token();
    let error = r#"error="insufficient_scope", error_description="the token does not permit this request", scope="write""#;
    let dpop_field = format!(r#"DPoP realm="api", {error}, {ALGS}"#);
    let challenges = [("www-authenticate", BEARER), ("www-authenticate", &*dpop_field)];
    let inner = RequireLayer::<Value>::new(scope("write"));
    let service = ServiceBuilder::new().layer(layer()).layer(inner).service(InnerService(hello));
    let Ok(response) = service.oneshot(send(&token, &Proof::of(&token).sign())).await;
    assert_rejected("inside", &response, 403, InsufficientScope, &challenges);
    let response = ask(&layer().require(scope("write")), send(&token, &Proof::of(&token).sign())).await;
    assert_rejected("layer", &response, 403, InsufficientScope, &challenges);
}

async fn metadata_of(resource: ProtectedResource) -> Value {
    let request = Request::get(resource.metadata_path()).body(()).unwrap();
    let Ok(response) = resource.service().oneshot(request).await;
    serde_json::from_str(response.body()).unwrap()
}

#[cfg(feature = "mtls")]
#[tokio::test]
async fn certificate_bound_tokens_need_no_proof() {
    let resource = || ProtectedResource::new(URL).unwrap();
    for resource in [
        resource().dpop(&dpop().required()).certificate_bound_tokens(),
        resource().certificate_bound_tokens().dpop(&dpop().required()),
    ] {
        let metadata = metadata_of(resource).await;
        assert_eq!(metadata["dpop_bound_access_tokens_required"], Value::Null);
        assert_eq!(metadata["tls_client_certificate_bound_access_tokens"], json!(true));
    }
}

#[tokio::test]
async fn resource_metadata_describes_dpop() {
    let algorithms = json!(["ES256", "ES384", "EdDSA", "PS256", "RS256"]);
    for (name, dpop, required) in
        [("optional", dpop(), Value::Null), ("required", dpop().required(), json!(true))]
    {
        let metadata = metadata_of(ProtectedResource::new(URL).unwrap().dpop(&dpop)).await;
        assert_eq!(metadata["dpop_signing_alg_values_supported"], algorithms, "{name}");
        assert_eq!(metadata["dpop_bound_access_tokens_required"], required, "{name}");
    }
}

#[test]
fn rejects_unusable_settings() {
    for (name, result) in [
        ("no algorithm", dpop().algorithms([])),
        ("HMAC", dpop().algorithms([Algorithm::ES256, Algorithm::HS256])),
        ("another HMAC", dpop().algorithms([Algorithm::HS512])),
        ("http", Dpop::new("http://api.example.com")),
        ("no scheme", Dpop::new("api.example.com")),
        ("a query", dpop().add_public_url("https://api.example.com?a")),
    ] {
        assert!(result.is_err(), "{name}");
    }
    let shown = format!("{:?}", dpop().nonces(SECRET).unwrap());
    assert!(!shown.contains("a secret"), "{shown}");
}
