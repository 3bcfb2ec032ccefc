//! The examples of RFC 9449. Their token is opaque, so the provider is asked about it (section 6.2).

use std::error::Error;

use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::KeySet;
use tower_jwt_auth::introspection::Introspection;

use super::*;
use crate::introspection::Provider;

/// The token of section 5, and the proof of section 7.1.
const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
const PROOF: &str = concat!(
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJo",
    "RjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.",
    "eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRy",
    "ZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.",
    "2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA",
);
/// The proof for the token endpoint of section 4.1.
const TOKEN_REQUEST_PROOF: &str = concat!(
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJo",
    "RjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.",
    "eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0",
    "IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg",
);
const JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
/// The `iat` of the proof.
const THEN: u64 = 1_562_262_618;

/// The claims of section 6.1 and the response of section 6.2.
fn claims() -> Value {
    json!({
        "active": true, "sub": "someone@example.com", "iss": "https://server.example.com", "nbf": 1_562_262_611,
        "exp": 1_562_266_216, "cnf": {"jkt": JKT},
    })
}

fn resource() -> Dpop {
    Dpop::new("https://resource.example.org").unwrap()
}

/// Verifies the token at this time after the proof was made.
fn verifier(response: Value, seconds: u64) -> Introspection<Value> {
    let verifier = Provider::saying(response).verifier().issuer("https://server.example.com");
    verifier.dpop(resource()).clock(move || at(THEN + seconds))
}

fn request(token: &str, proof: &str) -> Request<String> {
    let mut request = send(token, proof);
    *request.uri_mut() = "/protectedresource".parse().unwrap();
    request
}

fn subject(request: &Request<String>) -> String {
    request.extensions().get::<tower_jwt_auth::Claims<Value>>().unwrap()["sub"].to_string()
}

#[tokio::test(start_paused = true)]
async fn accepts_the_request_of_section_7() {
    for seconds in [0, 59] {
        let layer = JwtAuthLayer::new(verifier(claims(), seconds));
        let response = ask_service(subject, &layer, request(TOKEN, PROOF)).await;
        assert_eq!(response.body(), "\"someone@example.com\"", "{seconds}");
        // The same proof again.
        let response = ask(&layer, request(TOKEN, PROOF)).await;
        assert_eq!(response.extensions().get::<tower_jwt_auth::AuthError>().unwrap().kind(), ReplayedProof);
    }
    let mut response = claims();
    response["token_type"] = json!("DPoP");
    let layer = JwtAuthLayer::new(verifier(response, 0));
    assert_eq!(ask_service(subject, &layer, request(TOKEN, PROOF)).await.status(), 200, "with a token type");
}

#[tokio::test(start_paused = true)]
async fn rejects_changes_of_the_example() {
    let mut other_key = claims();
    other_key["cnf"]["jkt"] = json!(thumbprint(&public_jwk(Algorithm::ES256)));
    let mut not_bound = claims();
    not_bound.as_object_mut().unwrap().remove("cnf");
    let mut post = request(TOKEN, PROOF);
    *post.method_mut() = http::Method::POST;
    let mut elsewhere = request(TOKEN, PROOF);
    *elsewhere.uri_mut() = "/other".parse().unwrap();
    let mut unbound_type = not_bound.clone();
    unbound_type["token_type"] = json!("DPoP");
    let forged = PROOF.replace("pLjA", "pLjQ");
    for (name, seconds, claims, request, kind) in [
        ("too late", 60, claims(), request(TOKEN, PROOF), WrongProofTime),
        ("bound to another key", 0, other_key, request(TOKEN, PROOF), WrongProofKey),
        ("not bound", 0, not_bound, request(TOKEN, PROOF), MissingBinding),
        ("of the type, but not bound", 0, unbound_type, request(TOKEN, PROOF), SenderConstrained),
        ("another method", 0, claims(), post, WrongProofRequest),
        ("another path", 0, claims(), elsewhere, WrongProofRequest),
        ("another token", 0, claims(), request(&TOKEN.replace("Kz", "Kx"), PROOF), WrongProofToken),
        ("forged", 0, claims(), request(TOKEN, &forged), InvalidProofSignature),
        ("the proof of section 4.1", 0, claims(), request(TOKEN, TOKEN_REQUEST_PROOF), MalformedProof),
    ] {
        let response = ask(&JwtAuthLayer::new(verifier(claims, seconds)), request).await;
        let error = response.extensions().get::<tower_jwt_auth::AuthError>().unwrap();
        assert_eq!(error.kind(), kind, "{name}: {:?}", error.source());
    }
}

/// The key that signs the token of section 6.1 is not published, so its claims are signed again. The key of the proof of
/// section 7.1 is the right one for it, and the token is not.
#[tokio::test]
async fn reads_the_binding_of_section_6() {
    let token = token(&claims());
    let verifier = JwtVerifier::<Value>::new(KeySet::hmac(Algorithm::HS256, SECRET).unwrap());
    let verifier = verifier.issuer("https://server.example.com").dpop(resource()).clock(|| at(THEN));
    let response = ask(&JwtAuthLayer::new(verifier), request(&token, PROOF)).await;
    let error = response.extensions().get::<tower_jwt_auth::AuthError>().unwrap();
    assert_eq!(error.kind(), WrongProofToken);
}

#[test]
fn hashes_are_those_of_the_examples() {
    assert_eq!(hash(TOKEN), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
    });
    assert_eq!(thumbprint(&jwk), JKT);
}
