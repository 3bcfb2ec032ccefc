//! Tokens in the form that providers issue, with the settings documented in `providers.md`.

use serde_json::{Value, json};
use tower_jwt_auth::AuthErrorKind::{self, *};
use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet};

use crate::support::*;

struct Case {
    name: &'static str,
    settings: fn(JwtVerifier<Value>) -> JwtVerifier<Value>,
    /// The claims of a token for this service, without `exp` and `iat`.
    claims: Value,
    /// The changed claim in a token of another caller, and the kind of rejection.
    other: (&'static str, Value, AuthErrorKind),
}

fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "Kubernetes service account",
            settings: |verifier| {
                verifier
                    .issuer("https://kubernetes.default.svc.cluster.local")
                    .audience("https://api.example.com")
            },
            claims: json!({
                "iss": "https://kubernetes.default.svc.cluster.local", "aud": ["https://api.example.com"],
                "sub": "system:serviceaccount:shop:orders", "nbf": NOW, "jti": "8f3c",
                "kubernetes.io": {"namespace": "shop", "serviceaccount": {"name": "orders", "uid": "1b2d"}},
            }),
            other: ("aud", json!(["https://kubernetes.default.svc.cluster.local"]), WrongAudience),
        },
        Case {
            name: "Clerk",
            settings: |verifier| {
                verifier
                    .issuer("https://clerk.example.com")
                    .require_claim("azp", "https://app.example.com")
                    .require_claim("azp", "https://www.example.com")
            },
            claims: json!({
                "iss": "https://clerk.example.com", "azp": "https://www.example.com", "sub": "user_2f", "sid": "sess_1",
                "fva": [0, -1], "v": 2, "nbf": NOW - 10,
            }),
            other: ("azp", json!("https://evil.example"), WrongClaim),
        },
        Case {
            name: "WorkOS AuthKit",
            settings: |verifier| verifier.issuer("https://api.workos.com"),
            claims: json!({
                "iss": "https://api.workos.com", "sub": "user_01", "sid": "session_01", "org_id": "org_01",
                "role": "member", "permissions": ["posts:read"], "jti": "01HQ",
            }),
            other: ("iss", json!("https://api.workos.example"), WrongIssuer),
        },
        Case {
            name: "Ory Hydra, clients that ask for an audience",
            settings: |verifier| {
                verifier.issuer("https://hydra.example.com/").audience("https://api.example.com")
            },
            claims: json!({
                "iss": "https://hydra.example.com/", "aud": ["https://api.example.com"], "client_id": "shop",
                "ext": {}, "scp": ["orders"], "sub": "42", "nbf": NOW, "jti": "a",
            }),
            other: ("aud", json!([]), WrongAudience),
        },
        Case {
            name: "Ory Hydra, no audience",
            settings: |verifier| {
                verifier
                    .issuer("https://hydra.example.com/")
                    .insecure_any_audience()
                    .require_claim("client_id", "shop")
            },
            claims: json!({
                "iss": "https://hydra.example.com/", "aud": [], "client_id": "shop", "ext": {}, "scp": ["orders"],
                "sub": "42",
            }),
            other: ("client_id", json!("another"), WrongClaim),
        },
        Case {
            name: "Kinde, no audience",
            settings: |verifier| {
                verifier.issuer("https://shop.kinde.com").insecure_any_audience().require_claim("azp", "c1")
            },
            claims: json!({
                "iss": "https://shop.kinde.com", "aud": [], "azp": "c1", "gty": ["authorization_code"],
                "org_code": "org_1", "permissions": [], "scp": ["openid"], "sub": "kp_1", "jti": "b",
            }),
            other: ("azp", json!("c2"), WrongClaim),
        },
        Case {
            name: "FusionAuth",
            settings: |verifier| verifier.issuer("acme.com").audience("3c219e58"),
            claims: json!({
                "iss": "acme.com", "aud": "3c219e58", "sub": "42", "roles": ["admin"], "tid": "t", "gty": ["password"],
                "authenticationType": "PASSWORD",
            }),
            other: ("aud", json!("another"), WrongAudience),
        },
        Case {
            name: "AD FS",
            settings: |verifier| {
                verifier
                    .issuer("http://sts.example.com/adfs/services/trust")
                    .audience("microsoft:identityserver:8b4e")
            },
            claims: json!({
                "iss": "http://sts.example.com/adfs/services/trust", "aud": "microsoft:identityserver:8b4e",
                "apptype": "Public", "appid": "7c", "authmethod": "x", "ver": "1.0", "scp": "openid",
            }),
            other: ("iss", json!("https://sts.example.com/adfs"), WrongIssuer),
        },
        Case {
            name: "Oracle Identity Domains",
            settings: |verifier| {
                verifier.issuer("https://identity.oraclecloud.com/").audience("https://api.example.com")
            },
            claims: json!({
                "iss": "https://identity.oraclecloud.com/", "aud": ["https://api.example.com", "urn:opc:lbaas:x"],
                "sub": "42", "tok_type": "AT", "scope": "orders", "client_tenantname": "idcs-1", "jti": "c",
            }),
            other: ("iss", json!("https://identity.oraclecloud.com"), WrongIssuer),
        },
        Case {
            name: "Firebase App Check",
            settings: |verifier| {
                verifier.issuer("https://firebaseappcheck.googleapis.com/123").audience("projects/123")
            },
            claims: json!({
                "iss": "https://firebaseappcheck.googleapis.com/123", "aud": ["projects/123", "projects/shop"],
                "sub": "1:123:web:abc", "provider": "recaptcha_v3",
            }),
            other: ("aud", json!(["projects/456"]), WrongAudience),
        },
        Case {
            name: "Firebase session cookie",
            settings: |verifier| verifier.issuer("https://session.firebase.google.com/shop").audience("shop"),
            claims: json!({
                "iss": "https://session.firebase.google.com/shop", "aud": "shop", "auth_time": NOW, "sub": "u",
                "user_id": "u", "firebase": {"identities": {}, "sign_in_provider": "password"},
            }),
            other: ("iss", json!("https://securetoken.google.com/shop"), WrongIssuer),
        },
        Case {
            name: "SPIRE",
            settings: |verifier| verifier.insecure_any_issuer().audience("spiffe://example.org/orders"),
            claims: json!({"aud": ["spiffe://example.org/orders"], "sub": "spiffe://example.org/shop"}),
            other: ("aud", json!(["spiffe://example.org/another"]), WrongAudience),
        },
        Case {
            name: "Google IAP",
            settings: |verifier| {
                verifier
                    .issuer("https://cloud.google.com/iap")
                    .audience("/projects/1/global/backendServices/2")
            },
            claims: json!({
                "iss": "https://cloud.google.com/iap", "aud": "/projects/1/global/backendServices/2",
                "sub": "accounts.google.com:42", "email": "eze@example.com", "google": {"access_levels": []},
            }),
            other: ("aud", json!("/projects/1/global/backendServices/3"), WrongAudience),
        },
        Case {
            name: "Zitadel",
            settings: |verifier| verifier.issuer("https://shop.zitadel.cloud").audience("project"),
            claims: json!({
                "iss": "https://shop.zitadel.cloud", "aud": ["client", "project"], "sub": "42", "nbf": NOW, "jti": "d",
                "urn:zitadel:iam:org:project:roles": {"admin": {"1": "shop.example.com"}},
            }),
            other: ("aud", json!(["client"]), WrongAudience),
        },
        Case {
            name: "Authentik",
            settings: |verifier| {
                verifier.issuer("https://auth.example.com/application/o/shop/").audience("client")
            },
            claims: json!({
                "iss": "https://auth.example.com/application/o/shop/", "aud": "client", "sub": "9f", "azp": "client",
                "acr": "goauthentik.io/providers/oauth2/default", "groups": ["admins"], "uid": "x", "auth_time": NOW,
            }),
            other: ("iss", json!("https://auth.example.com/application/o/another/"), WrongIssuer),
        },
        Case {
            name: "GitHub Actions",
            settings: |verifier| {
                verifier
                    .issuer("https://token.actions.githubusercontent.com")
                    .audience("https://api.example.com")
            },
            claims: json!({
                "iss": "https://token.actions.githubusercontent.com", "aud": "https://api.example.com",
                "sub": "repo:acme/shop:ref:refs/heads/main", "repository": "acme/shop", "ref": "refs/heads/main",
                "run_attempt": "1", "jti": "e", "nbf": NOW - 300,
            }),
            other: ("aud", json!("https://github.com/acme"), WrongAudience),
        },
        Case {
            name: "Supabase",
            settings: |verifier| {
                verifier.issuer("https://shop.supabase.co/auth/v1").audience("authenticated")
            },
            claims: json!({
                "iss": "https://shop.supabase.co/auth/v1", "aud": "authenticated", "sub": "42", "role": "authenticated",
                "aal": "aal1", "amr": [{"method": "password", "timestamp": NOW}], "session_id": "s",
                "is_anonymous": false, "app_metadata": {"provider": "email"}, "user_metadata": {},
            }),
            other: ("aud", json!("anon"), WrongAudience),
        },
        Case {
            name: "Cloudflare Access",
            settings: |verifier| verifier.issuer("https://acme.cloudflareaccess.com").audience("4714c1"),
            claims: json!({
                "iss": "https://acme.cloudflareaccess.com", "aud": ["4714c1"], "email": "eze@example.com", "type": "app",
                "identity_nonce": "n", "sub": "7335", "country": "US", "nbf": NOW,
            }),
            other: ("aud", json!(["another"]), WrongAudience),
        },
    ]
}

#[tokio::test]
async fn documented_settings_fit_each_provider() {
    for Case { name, settings, mut claims, other: (claim, value, kind) } in cases() {
        let keys = KeySet::hmac(Algorithm::HS256, SECRET).unwrap();
        let verifier = settings(JwtVerifier::new(keys).clock(|| at(NOW)));
        claims["exp"] = json!(NOW + 300);
        claims["iat"] = json!(NOW);
        assert_eq!(rejection(&verifier, &token(&claims)).await, None, "{name}");
        claims[claim] = value;
        assert_eq!(rejection(&verifier, &token(&claims)).await, Some(kind), "{name}");
    }
}
