//! The memory of a cache, for claims types and payloads of many shapes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tower_jwt_auth::cache::CacheSettings;
use tower_jwt_auth::policy::{Roles, Scopes};
#[cfg(feature = "introspection")]
use tower_jwt_auth::verifiers::LookupSettings;
use tower_jwt_auth::{Algorithm, JwtVerifier, KeySet, RegisteredClaims, Verdict};

use crate::support::*;

/// A field `x` of one type.
#[derive(Deserialize)]
struct X<T> {
    #[serde(rename = "x")]
    _x: T,
}

/// All claims except `x`, in a map.
#[derive(Deserialize)]
struct Flat {
    #[serde(rename = "exp")]
    _exp: u64,
    #[serde(flatten)]
    _others: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its size matters")]
enum Either {
    Number(u64),
    Texts(Vec<String>),
}

/// A type that is much larger than its JSON.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Large {
    #[serde(rename = "a")]
    _a: [[u64; 25]; 2],
}

#[derive(Deserialize)]
struct Tree {
    #[serde(rename = "a")]
    _a: Option<Box<Self>>,
    #[serde(rename = "b")]
    _b: Option<Box<Self>>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only its size matters")]
enum Account {
    Staff(Box<Large>),
}

/// The fields that a service usually reads.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct KeycloakUser {
    #[serde(rename = "sub")]
    _sub: String,
    #[serde(rename = "preferred_username")]
    _name: String,
    #[serde(rename = "scope")]
    _scope: Scopes,
    #[serde(rename = "realm_access")]
    _realm: Roles,
    #[serde(rename = "resource_access")]
    _clients: HashMap<String, Roles>,
}

#[derive(Deserialize)]
struct EntraUser {
    #[serde(rename = "oid")]
    _oid: String,
    #[serde(rename = "scp")]
    _scopes: Scopes,
    #[serde(rename = "groups")]
    _groups: Vec<String>,
}

/// The heap memory that a cache uses and counts, in bytes.
#[derive(Debug)]
struct Memory {
    used: u64,
    counted: u64,
    entries: usize,
}

/// Sends tokens that differ in `sub`, each twice: a full cache admits a token the second time.
fn memory<C>(limit: usize, count: usize, header: &str, claims: &Value) -> Memory
where
    C: DeserializeOwned + Send + Sync + 'static,
{
    let keys = KeySet::hmac(Algorithm::HS256, SECRET).unwrap();
    let verifier = JwtVerifier::<C>::new(keys).audience(AUDIENCE).clock(|| at(NOW));
    let verifier = verifier.cache(CacheSettings::new().max_bytes(limit));
    let mut claims = claims.clone();
    let mut token = |n: usize| {
        claims["sub"] = json!(format!("{n:08}-7d1c-4e4f-9d0b-0d7f6a3c9b11"));
        token_of(header, &claims.to_string())
    };
    // The first token stores something with its key.
    assert!(matches!(verifier.verify(&token(0)), Verdict::Ready(Ok(_))));
    let tokens: Vec<_> = (0..count).map(&mut token).collect();
    let used = allocation_counter::measure(|| {
        for token in tokens.iter().flat_map(|token| [token, token]) {
            assert!(matches!(verifier.verify(token), Verdict::Ready(Ok(_))));
        }
    });
    let stats = verifier.cache_stats().unwrap();
    Memory { used: used.bytes_current.try_into().unwrap(), counted: stats.bytes(), entries: stats.entries() }
}

const HEADER: &str = r#"{"alg":"HS256"}"#;

fn with_x(x: Value) -> Value {
    claims_with("x", x)
}

fn texts(count: usize) -> Value {
    (0..count).map(|_| json!("a")).collect()
}

fn names(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("{n:x}"))
}

/// Claims as Keycloak issues them: 0.8 KB.
fn keycloak() -> Value {
    let mut claims = claims_with("typ", json!("Bearer"));
    let others = json!({
        "jti": "onrtac:7f3c1f1d-6d3b-4c39-8a4e-2f6fd8e5ad10", "azp": "shop", "iat": NOW,
        "sid": "8f0c2f6e-93c5-4f5e-9d62-1f6c3e6f7a20", "acr": "1", "allowed-origins": ["https://shop.example.com"],
        "realm_access": {"roles": ["default-roles-shop", "offline_access", "uma_authorization", "clerk", "orders"]},
        "resource_access": {
            "shop": {"roles": ["orders-read", "orders-write", "refunds"]},
            "account": {"roles": ["manage-account", "manage-account-links", "view-profile"]},
        },
        "scope": "openid profile email orders:read", "email_verified": true, "name": "Eze Martin",
        "preferred_username": "eze", "given_name": "Eze", "family_name": "Martin", "email": "eze@example.com",
    });
    claims.as_object_mut().unwrap().append(&mut others.as_object().unwrap().clone());
    claims
}

/// Claims as Entra ID issues them, with 20 groups: 1.4 KB.
fn entra() -> Value {
    let guid = |n: usize| format!("{n:08x}-51ab-4c07-9a8e-6a1d3c6f0b52");
    let mut claims = claims_with("ver", json!("2.0"));
    let others = json!({
        "iat": NOW, "nbf": NOW, "aio": "AXQAi/8TAAAAjz3mYKXrFW0yH3rFnKbS8tqmV7JpCw8YfR3GZ4Vb0N1kQpL2dXoE",
        "azp": guid(1), "azpacr": "1", "name": "Eze Martin", "oid": guid(2), "tid": guid(3),
        "preferred_username": "eze@example.com", "rh": "0.AXkAq1Q2hT0kq0mXb3nVYw4c0Q", "scp": "orders.read orders.write",
        "uti": "QyK3n0aPZ0q8dV5xR2cLAA", "groups": (10..30).map(guid).collect::<Vec<_>>(),
    });
    claims.as_object_mut().unwrap().append(&mut others.as_object().unwrap().clone());
    claims
}

const MIB: usize = 1024 * 1024;

/// Calls `memory` for each type and claims.
macro_rules! rows {
    ($limit:expr, $count:expr; $($name:literal: $type:ty, $claims:expr;)*) => {
        [$(($name, memory::<$type>($limit, $count, HEADER, &$claims))),*]
    };
}

#[test]
fn large_claims_stay_within_twice_max_bytes() {
    let limit = 4 * MIB;
    let rows = rows! { limit, 300;
        "numbers as JSON": Value, with_x(json!(vec![1; 4_500]));
        "roles": X<Roles>, with_x(texts(2_200));
        "texts": X<Vec<String>>, with_x(texts(2_200));
    };
    for (name, memory) in rows {
        assert!(memory.used <= 2 * limit as u64, "{name}: {memory:?}");
        // The feature `preserve_order` of serde_json more than doubles a `Value`, and so large an entry is not cached.
        if size_of::<Value>() <= 32 || memory.entries > 0 {
            assert!(memory.counted >= limit as u64 * 7 / 10, "{name}: {memory:?}");
        }
    }
}

fn wide_names(count: usize) -> Value {
    (0..count).map(|name| (name.to_string(), json!(1))).collect::<Map<_, _>>().into()
}

#[test]
fn any_shape_uses_at_most_twice_its_count() {
    let members = |count| names(count).map(|name| (name, json!(1))).collect::<Map<_, _>>();
    let flattened = || {
        let mut claims = good_claims();
        claims.as_object_mut().unwrap().append(&mut members(150));
        claims
    };
    let rows = rows! { 4 * MIB, 50;
        "numbers as a map of JSON": Map<String, Value>, with_x(json!(vec![1; 520]));
        "objects as JSON": Value, with_x(json!(vec![json!({"a": 1}); 100]));
        "members as JSON": Value, with_x(members(300).into());
        "texts as JSON": Value, with_x(texts(300));
        "flattened numbers": Flat, with_x(json!(vec![1; 520]));
        "flattened members": Flat, flattened();
        "untagged texts": X<Either>, with_x(texts(520));
        "scopes": X<Scopes>, with_x(texts(520));
        "boxed texts": X<Box<[Box<str>]>>, with_x(texts(520));
        "set of texts": X<HashSet<String>>, with_x(names(460).collect());
        "sorted set of texts": X<BTreeSet<String>>, with_x(names(460).collect());
        "small sets": X<Vec<BTreeSet<String>>>, with_x(json!(vec![["a"]; 150]));
        "nulls": X<Vec<Option<String>>>, with_x(json!(vec![Value::Null; 520]));
        "small numbers": X<Vec<u8>>, with_x(json!(vec![1; 1_050]));
        "wide numbers": X<Vec<u128>>, with_x(json!(vec![1; 1_050]));
        "nested arrays": X<Vec<Vec<u64>>>, with_x(json!(vec![[1]; 300]));
        "map of JSON": HashMap<String, Value>, with_x(members(300).into());
        "map of numbers": X<HashMap<String, u64>>, with_x(members(460).into());
        "sorted map": X<BTreeMap<String, u64>>, with_x(members(460).into());
        "raw JSON": X<Box<RawValue>>, with_x(texts(520));
        "raw elements": X<Vec<Box<RawValue>>>, with_x(texts(520));
        "escapes": X<String>, with_x(json!("\u{1}".repeat(1_000)));
        "escapes as JSON": Value, with_x(json!("\u{1}".repeat(1_000)));
        "large elements": X<Vec<Large>>, with_x(json!(vec![json!({}); 70]));
        "large boxes": X<Vec<Box<Large>>>, with_x(json!(vec![json!({}); 100]));
        "boxed options": X<Vec<Box<Option<Large>>>>, with_x(json!(vec![Value::Null; 100]));
        "boxed numbers": X<Vec<Box<u128>>>, with_x(json!(vec![1; 520]));
        "tree": X<Tree>, with_x((0..8).fold(json!({}), |tree, _| json!({"a": tree, "b": tree})));
        "wide names": X<HashMap<u128, u8>>, with_x(wide_names(460));
        "large options": X<Vec<Option<Large>>>, with_x(json!(vec![Value::Null; 70]));
        "large variants": X<Vec<Account>>, with_x(json!(vec![json!({"Staff": {}}); 100]));
        "large type": X<[Large; 32]>, with_x(json!(vec![json!({}); 32]));
    };
    for (name, memory) in rows {
        assert!(memory.used <= 2 * memory.counted, "{name}: {memory:?}");
        assert!(memory.entries > 10, "{name}: {memory:?}");
    }
}

#[test]
fn long_key_ids_count() {
    let header = format!(r#"{{"alg":"HS256","kid":"{}"}}"#, "k".repeat(4_100));
    let memory = memory::<RegisteredClaims>(4 * MIB, 50, &header, &good_claims());
    assert!(memory.used <= memory.counted * 12 / 10, "{memory:?}");
}

#[cfg(feature = "introspection")]
#[test]
fn opaque_token_answers_stay_within_twice_max_bytes() {
    use crate::introspection::{Provider, active_with};

    let provider = Provider::saying(active_with("x", json!(vec![1; 520])));
    let settings = LookupSettings::new().max_bytes(MIB);
    let verifier = provider.verifier().audience(AUDIENCE).lookup_settings(settings);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let used = allocation_counter::measure(|| {
        for n in 0..150 {
            runtime.block_on(async { verifier.verify(&format!("token-{n}")).await.unwrap() });
        }
    });
    let used = used.bytes_current;
    assert!(used <= 2 * MIB as i64, "{used}");
    assert!(verifier.lookup_stats().remembered().entries() > 10);
}

#[cfg(feature = "api-keys")]
#[tokio::test]
async fn records_of_api_keys_count() {
    use tower_jwt_auth::api_key::{ApiKeyRecord, ApiKeys};
    use tower_jwt_auth::{Credential, Verify};

    async fn counted<C>(record: impl Fn(String) -> ApiKeyRecord<C> + Send + Sync + 'static) -> u64
    where
        C: Send + Sync + 'static,
    {
        let keys =
            ApiKeys::lookup("acme", move |id| std::future::ready(std::io::Result::Ok(Some(record(id)))))
                .unwrap();
        let credential = crate::api_key::KEY;
        keys.verify(Credential::from(credential)).await.unwrap();
        keys.lookup_stats().unwrap().remembered().bytes()
    }
    fn record<C>(id: String, claims: C) -> ApiKeyRecord<C> {
        ApiKeyRecord::from_parts(id, crate::api_key::KEY_HASH, claims)
    }

    let small = counted(|id| record(id, json!({}))).await;
    let large = counted(|id| record(id, json!({"x": vec![1; 1_000]}))).await;
    assert!((large - small) as usize > 1_000 * size_of::<Value>(), "{small}, {large}");
    let large = counted(|id| record(id, json!({"x": vec![1; 1_000]}).as_object().unwrap().clone())).await;
    assert!((large - small) as usize > 1_000 * size_of::<Value>(), "{small}, {large}");
    let stated = async |bytes| counted(move |id| record(id, vec![1_u64; 1_000]).claims_bytes(bytes)).await;
    assert_eq!(stated(20_000).await - stated(10_000).await, 10_000);
}

/// A higher estimate would make room for fewer tokens.
#[test]
fn usual_tokens_use_what_they_count() {
    let rows = rows! { MIB, 900;
        "registered claims": RegisteredClaims, good_claims();
        "few claims as JSON": Value, good_claims();
        "Keycloak": KeycloakUser, keycloak();
        "Keycloak as JSON": Value, keycloak();
        "Keycloak, registered": RegisteredClaims, keycloak();
        "Entra ID": EntraUser, entra();
        "Entra ID as JSON": Value, entra();
        "Entra ID, flattened": Flat, entra();
    };
    for (name, memory) in rows {
        let factor = memory.used as f64 / memory.counted as f64;
        assert!((0.7..=1.3).contains(&factor), "{name}: {factor:.2}, {memory:?}");
        assert!(memory.counted >= MIB as u64 * 7 / 10, "{name}: {memory:?}");
    }
}
