//! Authorization: every rule, on a route and in the layer.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use http::{Method, Request, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tower::ServiceExt;
use tower::layer::util::Stack;
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::policy::{
    Anyone, BoxPolicy, ClaimPath, HasClaim, HasRole, HasScope, Policy, Roles, Rule, Scopes, all_scopes,
    any_scope, claim, has_role, has_scope, role, scope, when,
};
use tower_jwt_auth::{
    Algorithm, AuthError, AuthErrorKind, Claims, Head, JwtAuthLayer, JwtVerifier, KeySet, RequireLayer,
};
use tower_layer::Layer;

use crate::support::*;

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    scope: Scopes,
    #[serde(default)]
    roles: Roles,
    #[serde(flatten)]
    other: Map<String, Value>,
}

has_scope!(User.scope);
has_role!(User.roles);

impl HasClaim for User {
    fn claim(&self, name: &str) -> Option<&Value> {
        self.other.get(name)
    }
}

/// Returns claims with scopes to read and write orders, and the role of a clerk, for user 42.
fn clerk() -> Value {
    let mut claims = good_claims();
    let more = json!({
        "scope": "orders:read orders:write profile",
        "roles": ["clerk", "head of sales"],
        "realm_access": {"roles": ["staff"]},
        "resource_access": {"shop": {"roles": ["seller"]}, "a.b": {"roles": ["dotted"]}},
        "permissions": ["refund", 7, null],
        "email_verified": true,
        "level": 3,
        "tags": [["nested"]],
        "nothing": null,
    });
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    claims
}

fn users() -> JwtVerifier<User> {
    JwtVerifier::new(KeySet::hmac(Algorithm::HS256, SECRET).unwrap())
        .issuer(ISSUER)
        .audience(AUDIENCE)
        .clock(|| at(NOW))
}

/// Sends the clerk's request through a policy on a route and in the layer, and asserts equal responses.
#[track_caller]
fn decide<P>(name: &str, policy: P, request: impl Fn() -> Request<String>) -> Response<String>
where
    P: Policy<User> + Clone,
{
    let route = Stack::new(RequireLayer::<User>::new(policy.clone()), JwtAuthLayer::new(users()));
    let layer = JwtAuthLayer::new(users()).require(policy);
    let (on_route, in_layer) = (now(ask(&route, request())), now(ask(&layer, request())));
    assert_eq!(on_route.status(), in_layer.status(), "{name}");
    assert_eq!(on_route.headers(), in_layer.headers(), "{name}");
    assert_eq!(on_route.body(), in_layer.body(), "{name}");
    on_route
}

/// Polls a future that is ready at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future must be ready at once"),
    }
}

fn clerks_request() -> Request<String> {
    bearer(&token(&clerk()))
}

#[track_caller]
fn assert_permitted<P: Policy<User> + Clone>(name: &str, policy: P) {
    let response = decide(name, policy, clerks_request);
    assert_eq!((response.status().as_u16(), response.headers().len()), (200, 0), "{name}");
}

/// Asserts a 403 with all its headers. `scope` is the scope in the challenge.
#[track_caller]
fn assert_forbidden<P: Policy<User> + Clone>(name: &str, policy: P, scope: Option<&str>) {
    let response = decide(name, policy, clerks_request);
    let scope = scope.map_or(String::new(), |scope| format!(r#", scope="{scope}""#));
    let challenge = format!("{INSUFFICIENT}{scope}");
    assert_rejected(name, &response, 403, InsufficientScope, &[("www-authenticate", &challenge)]);
    assert_eq!(response.body(), "", "{name}");
}

const INSUFFICIENT: &str = r#"Bearer realm="api", error="insufficient_scope", error_description="the token does not permit this request""#;

#[test]
fn checks_scopes() {
    assert_permitted("the first", scope("orders:read"));
    assert_permitted("the last", scope("profile"));
    assert_permitted("a list", scope("profile orders:read"));
    assert_permitted("spaces around", scope(" profile  orders:read "));
    assert_permitted("a String", scope("profile".to_owned()));
    assert_permitted("all", all_scopes(["orders:read", "orders:write"]));
    assert_permitted("any", any_scope(["admin", "orders:write"]));

    assert_forbidden("another", scope("admin"), Some("admin"));
    assert_forbidden("the beginning of one", scope("orders"), Some("orders"));
    assert_forbidden("the end of one", scope("write"), Some("write"));
    assert_forbidden("in other case", scope("Profile"), Some("Profile"));
    assert_forbidden("a tab is not a separator", scope("orders:read\torders:write"), None);
    assert_forbidden("one of a list", scope("profile admin"), Some("profile admin"));
    assert_forbidden("one of all", all_scopes(["orders:read", "admin"]), Some("orders:read admin"));
    assert_forbidden("none of any", any_scope(["admin", "root"]), Some("admin root"));
    assert_forbidden("two in one of any", any_scope(["orders:read profile"]), Some("orders:read profile"));
    assert_forbidden("no text", scope(""), None);
    assert_forbidden("a space", scope(" "), None);
    assert_forbidden("none of none", any_scope::<String>([]), None);
    assert_forbidden("all of none", all_scopes::<String>([]), None);
    assert_forbidden("not fit for a header", scope("\"\r\nx: y"), None);
}

#[test]
fn checks_roles() {
    assert_permitted("one of them", role("clerk"));
    assert_permitted("with spaces", role("head of sales"));
    assert_forbidden("another", role("admin"), None);
    assert_forbidden("a part", role("head"), None);
    assert_forbidden("a scope", role("profile"), None);
    assert_forbidden("no text", role(""), None);
}

#[test]
fn checks_claims_by_name() {
    assert_permitted("a string", claim("sub", "42"));
    assert_permitted("a boolean", claim("email_verified", true));
    assert_permitted("a number", claim("level", 3));
    assert_permitted("null", claim("nothing", Value::Null));
    assert_permitted("in an array", claim("permissions", "refund"));
    assert_permitted("a number in an array", claim("permissions", 7));
    assert_permitted("null in an array", claim("permissions", Value::Null));
    assert_permitted("an array", claim("permissions", json!(["refund", 7, null])));
    assert_permitted("a role of the realm", claim(["realm_access", "roles"], "staff"));
    assert_permitted("of a client", claim(["resource_access", "shop", "roles"], "seller"));
    assert_permitted("dotted", claim(ClaimPath::dotted("resource_access.shop.roles"), "seller"));
    assert_permitted("a name with a dot", claim(["resource_access", "a.b", "roles"], "dotted"));

    assert_forbidden("another value", claim("sub", "43"), None);
    assert_forbidden("of another type", claim("level", "3"), None);
    assert_forbidden("as a fraction", claim("level", 3.0), None);
    assert_forbidden("not there", claim("admin", true), None);
    assert_forbidden("not there, null", claim("admin", Value::Null), None);
    assert_forbidden("a part of a string", claim("email", "eze"), None);
    assert_forbidden("deeper in an array", claim("tags", "nested"), None);
    assert_forbidden("of another client", claim(["resource_access", "bank", "roles"], "seller"), None);
    assert_forbidden("a path through a string", claim(["sub", "42"], "42"), None);
    assert_forbidden("a path through an array", claim(["permissions", "0"], "refund"), None);
    assert_forbidden("one name with dots", claim("resource_access.shop.roles", "seller"), None);
    assert_forbidden(
        "a name that dots cut up",
        claim(ClaimPath::dotted("resource_access.a.b.roles"), "dotted"),
        None,
    );
}

#[test]
fn rules_combine() {
    let (yes, no) = (|| scope("orders:read"), || scope("admin"));
    assert_permitted("and", yes().and(role("clerk")));
    assert_permitted("or, the first", yes().or(role("admin")));
    assert_permitted("or, the second", no().or(role("clerk")));
    assert_permitted("not", no().not());
    assert_permitted("twice not", yes().not().not());
    assert_permitted("and of ors", no().or(yes()).and(role("admin").or(role("clerk"))));

    assert_forbidden("and, the first", no().and(role("clerk")), Some("admin"));
    assert_forbidden("and, the second", role("clerk").and(no()), Some("admin"));
    assert_forbidden("and, a role is missing", yes().and(role("admin")), None);
    assert_forbidden("and, all scopes are named", yes().and(no()), Some("orders:read admin"));
    assert_forbidden("and, each once", no().and(scope("admin root")), Some("admin root"));
    assert_forbidden("or", no().or(role("admin")), Some("admin"));
    assert_forbidden("or, all scopes are named", no().or(scope("root")), Some("admin root"));
    assert_forbidden("or, roles first", role("admin").or(no()), Some("admin"));
    assert_forbidden("or of roles", role("admin").or(role("root")), None);
    assert_forbidden("not", yes().not(), None);
    assert_forbidden("not, beside", no().and(yes().not()), Some("admin"));
    assert_forbidden("neither", yes().or(role("clerk")).not(), None);
}

#[test]
fn closure_sees_claims_and_request() {
    let owner = when(|user: &Claims<User>, request: Head<'_>| {
        let owner = request.uri().path().split('/').nth(2);
        request.method() == Method::GET
            && request.headers().contains_key("x-reason")
            && owner == user.other["sub"].as_str()
            && user.token().issuer() == Some(ISSUER)
    });
    let request = |method: &str, path: &str, reason| {
        let mut request = clerks_request();
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = path.parse().unwrap();
        if reason {
            request.headers_mut().insert("x-reason", "audit".parse().unwrap());
        }
        request
    };
    for (name, method, path, reason, expected) in [
        ("all of it", "GET", "/users/42/orders", true, 200),
        ("another's page", "GET", "/users/43/orders", true, 403),
        ("another method", "DELETE", "/users/42/orders", true, 403),
        ("without the header", "GET", "/users/42/orders", false, 403),
    ] {
        let response = decide(name, owner.clone(), || request(method, path, reason));
        assert_eq!(response.status(), expected, "{name}");
    }
}

/// A policy made from a closure.
#[derive(Clone)]
struct Asks<F>(F);

impl<F> Policy<User> for Asks<F>
where
    F: Fn(&Claims<User>, Head<'_>) -> Result<(), AuthError>,
{
    fn check(&self, claims: &Claims<User>, request: Head<'_>) -> Result<(), AuthError> {
        (self.0)(claims, request)
    }
}

/// Claims that contain every scope, like a careless split of an empty text.
#[derive(Deserialize)]
struct Careless {}

impl HasScope for Careless {
    fn has_scope(&self, scope: &str) -> bool {
        scope.is_empty() || scope.contains(' ')
    }
}

#[tokio::test]
async fn empty_rule_permits_nobody() {
    let verifier = || {
        JwtVerifier::<Careless>::new(KeySet::hmac(Algorithm::HS256, SECRET).unwrap())
            .issuer(ISSUER)
            .audience(AUDIENCE)
            .clock(|| at(NOW))
    };
    for rule in [scope(""), scope(" "), all_scopes::<String>([]), all_scopes(["", " "])] {
        let layer = JwtAuthLayer::new(verifier()).require(rule);
        assert_eq!(ask(&layer, bearer(&good_token())).await.status(), 403);
    }
    for rule in [any_scope::<String>([]), any_scope([""]), any_scope(["a b", " "])] {
        let layer = JwtAuthLayer::new(verifier()).require(rule);
        assert_eq!(ask(&layer, bearer(&good_token())).await.status(), 403);
    }
}

#[test]
fn boxed_rules_have_one_type() {
    type Boxed = Rule<BoxPolicy<User>>;
    let rules: Vec<Boxed> = vec![scope("admin").boxed(), role("admin").boxed(), claim("level", 4).boxed()];
    let any = |rules: Vec<Boxed>| rules.into_iter().reduce(|one, other| one.or(other).boxed()).unwrap();
    assert_forbidden("none of them", any(rules.clone()), Some("admin"));
    assert_permitted("one of them", any([rules, vec![claim("level", 3).boxed()]].concat()));
    let [one, other] = ["profile", "admin"].map(str::to_owned);
    assert_permitted("borrowed names", role(&*other).or(scope(&*one)));
    let roles = ClaimPath::from_iter("resource_access/a.b/roles".split('/'));
    assert_permitted("a path of settings", claim(roles, "dotted").boxed());
}

/// Rejects with one error.
#[derive(Clone)]
struct Never(AuthError);

impl Policy<User> for Never {
    fn check(&self, _: &Claims<User>, _: Head<'_>) -> Result<(), AuthError> {
        Err(self.0.clone())
    }
}

fn never(kind: AuthErrorKind) -> Rule<Never> {
    Rule::new(Never(kind.into()))
}

#[test]
fn custom_policy_chooses_the_response() {
    let response = decide("503", never(PrincipalUnavailable), clerks_request);
    assert_rejected("503", &response, 503, PrincipalUnavailable, &[("retry-after", "5")]);

    let named = Never(AuthError::new(InsufficientScope).with_required_scope("a b"));
    assert_forbidden("custom scopes", named.clone(), Some("a b"));
    assert_forbidden("kept in a rule", Rule::new(named.clone()).and(scope("profile")), Some("a b"));
    assert_forbidden("kept beside another", role("admin").or(Rule::new(named.clone())), Some("a b"));
    assert_forbidden("beside a rule's", scope("admin").or(Rule::new(named)), Some("admin a b"));
    let inner = |user: &Claims<User>, request: Head<'_>| scope("admin").check(user, request);
    assert_forbidden("a rule in a policy", Rule::new(Asks(inner)), Some("admin"));
    assert_forbidden(
        "a rule in a policy in a rule",
        scope("root").or(Rule::new(Asks(inner))),
        Some("root admin"),
    );
}

#[test]
fn undecided_policy_never_permits() {
    let undecided = || never(PrincipalUnavailable);
    let rejected = || scope("admin");
    let rows = [
        ("not", decide("not", undecided().not(), clerks_request)),
        ("not or", decide("not or", undecided().or(rejected()).not(), clerks_request)),
        ("or, before", decide("or, before", undecided().or(rejected()), clerks_request)),
        ("or, behind", decide("or, behind", rejected().or(undecided()), clerks_request)),
        ("and", decide("and", undecided().and(rejected()), clerks_request)),
    ];
    for (name, response) in rows {
        assert_rejected(name, &response, 503, PrincipalUnavailable, &[("retry-after", "5")]);
    }
    assert_permitted("or yes", undecided().or(scope("profile")));
}

#[tokio::test]
async fn route_policy_runs_after_the_layer() {
    let guarded = |auth| Stack::new(RequireLayer::<User>::new(Anyone), auth);
    let strict = guarded(JwtAuthLayer::new(users()).realm("shop").unwrap());
    let optional = guarded(JwtAuthLayer::new(users()).realm("shop").unwrap().optional());
    let lenient = guarded(JwtAuthLayer::new(users()).realm("shop").unwrap().allow_invalid());
    let bare = [("www-authenticate", r#"Bearer realm="shop""#)];
    let expired = [(
        "www-authenticate",
        r#"Bearer realm="shop", error="invalid_token", error_description="the token has expired""#,
    )];
    let old = token(&claims_with("exp", json!(NOW - 300)));
    let unread = guarded(JwtAuthLayer::new(users()).realm("shop").unwrap().skip_when(|_| true));
    assert_rejected("unread", &ask(&unread, clerks_request()).await, 401, MissingCredential, &bare);
    for (name, layer) in [("strict", strict), ("optional", optional), ("lenient", lenient)] {
        assert_eq!(ask(&layer, clerks_request()).await.status(), 200, "{name}");
        let response = ask(&layer, Request::new(String::new())).await;
        assert_rejected(name, &response, 401, MissingCredential, &bare);
        assert_rejected(name, &ask(&layer, bearer(&old)).await, 401, Expired, &expired);
    }
}

#[tokio::test]
async fn route_without_layer_is_a_server_error() {
    let response = ask(&RequireLayer::<User>::new(scope("profile")), clerks_request()).await;
    assert_rejected("no layer", &response, 500, MissingLayer, &[]);
    let hint =
        std::error::Error::source(response.extensions().get::<AuthError>().unwrap()).unwrap().to_string();
    assert!(
        hint.starts_with("no claims of type `it::policies::User` in this request: put a JwtAuthLayer"),
        "{hint}"
    );
}

#[tokio::test]
async fn route_rejects_like_its_layer() {
    let layer = Stack::new(
        RequireLayer::<User>::new(scope("admin"))
            .reject_with(|error, request| error.response(format!("{}: {error}", request.uri()))),
        JwtAuthLayer::new(users())
            .realm("shop")
            .unwrap()
            .resource_metadata("https://api.example.com/.well-known/oauth-protected-resource")
            .unwrap(),
    );
    let challenge = r#"Bearer realm="shop", error="insufficient_scope", error_description="the token does not permit this request", scope="admin", resource_metadata="https://api.example.com/.well-known/oauth-protected-resource""#;
    // The second request finds a prepared header.
    for name in ["first", "second"] {
        let response = ask(&layer, clerks_request()).await;
        assert_rejected(name, &response, 403, InsufficientScope, &[("www-authenticate", challenge)]);
        assert_eq!(response.body(), "/orders: the token does not permit this request");
    }
}

#[tokio::test]
async fn one_rule_works_behind_two_layers() {
    let route = RequireLayer::<User>::new(scope("admin")).layer(InnerService(hello));
    for (name, realm) in [("the first", "shop"), ("the second", "bank"), ("the first again", "shop")] {
        let service = JwtAuthLayer::new(users()).realm(realm).unwrap().layer(route.clone());
        let challenge = INSUFFICIENT.replace("\"api\"", &format!("{realm:?}")) + r#", scope="admin""#;
        let Ok(response) = service.oneshot(clerks_request()).await;
        assert_rejected(name, &response, 403, InsufficientScope, &[("www-authenticate", &challenge)]);
    }
}

#[test]
fn reads_scopes_from_string_or_array() {
    for (json, expected) in [
        (r#""a b""#, vec!["a", "b"]),
        (r#"["a", "b"]"#, vec!["a", "b"]),
        (r#""""#, vec![]),
        ("[]", vec![]),
        ("null", vec![]),
        (r#"["", "a", ""]"#, vec!["a"]),
        (r#""  a   b ""#, vec!["a", "b"]),
        (r#""a\tb\u00a0c\nd""#, vec!["a\tb\u{a0}c\nd"]),
    ] {
        let scopes: Scopes = serde_json::from_str(json).unwrap();
        assert_eq!(scopes.iter().collect::<Vec<_>>(), expected, "{json}");
    }
    for (json, expected) in [
        (r#"["a b"]"#, "a scope in an array must not contain a space at line 1 column 7"),
        (r#"["a", 1]"#, "invalid type: integer `1`, expected a string at line 1 column 7"),
        (
            "1",
            "invalid type: integer `1`, expected scopes: a space-separated string or an array of strings at line 1 column 1",
        ),
    ] {
        assert_eq!(serde_json::from_str::<Scopes>(json).unwrap_err().to_string(), expected, "{json}");
    }
    assert_eq!(serde_json::to_string(&Scopes::from("a b")).unwrap(), r#""a b""#);
}

#[test]
fn reads_scopes_of_json_claims() {
    for (claims, expected) in [
        (json!({"scope": "a b"}), true),
        (json!({"scp": "b a"}), true),
        (json!({"scope": ["a"]}), true),
        (json!({"scp": ["b", "a"]}), true),
        (json!({"scope": "ab a.b"}), false),
        (json!({"scope": ["a b"]}), false),
        (json!({"scope": {"a": true}, "scp": 1}), false),
        (json!({"scopes": "a"}), false),
        (json!(["a"]), false),
    ] {
        assert_eq!(claims.has_scope("a"), expected, "{claims}");
        assert!(!claims.has_scope("") && !claims.has_scope("a b"), "{claims}");
    }
    assert!(!json!({"scope": ["", " "]}).has_scope(""));
}

#[test]
fn reads_roles_of_each_provider() {
    for (json, expected) in [
        (r#"["a", "b c"]"#, vec!["a", "b c"]),
        (r#""b c""#, vec!["b c"]),
        (r#"{"roles": ["a"]}"#, vec!["a"]),
        (r#"["CN=a,OU=b; c"]"#, vec!["CN=a,OU=b; c"]),
        (r#"{"verify_caller": true, "roles": ["a"]}"#, vec!["a"]),
        (r#"["", "a", ""]"#, vec!["", "a", ""]),
        (r#"[""]"#, vec![""]),
        ("{}", vec![]),
        ("[]", vec![]),
        ("null", vec![]),
    ] {
        let roles: Roles = serde_json::from_str(json).unwrap();
        assert_eq!(roles.iter().collect::<Vec<_>>(), expected, "{json}");
    }
    for json in [
        "1",
        "true",
        "[null]",
        "[1]",
        r#"[["a"]]"#,
        r#"[{"name": "a"}]"#,
        r#"{"roles": "a"}"#,
        r#"{"roles": null}"#,
        r#"{"roles": ["a"], "roles": ["b"]}"#,
        r#"{"Roles": ["a"]}"#,
        r#"{"roles": ["b"], "Roles": ["a"]}"#,
        r#"{"a": {"org": "x"}}"#,
        r#"{"shop": {"roles": ["a"]}}"#,
        r#"{"a": true}"#,
        r#"{"roles": {"org": "x"}}"#,
        r#""admin,suspended""#,
        r#""admin;suspended""#,
        r#""admin\nsuspended""#,
        r#"["admin\tsuspended"]"#,
        r#"{"roles": ["admin\u0000suspended"]}"#,
    ] {
        assert!(serde_json::from_str::<Roles>(json).is_err(), "{json}");
    }
    assert_eq!(serde_json::to_string(&Roles::from_iter(["a", "b"])).unwrap(), r#"["a","b"]"#);
    let roles = Roles::from_iter(["clerk\nadmin", "a"]);
    assert!(!roles.contains("admin") && !roles.contains("clerk\nadmin") && roles.contains("a"));
}

#[test]
fn reads_roles_from_member_names() {
    let read = |json: &str| Roles::from_member_names(&mut serde_json::Deserializer::from_str(json));
    for (json, expected) in [
        (r#"{"a": {"1": "x.example"}, "b": {"1": "x.example", "2": "y.example"}}"#, vec!["a", "b"]),
        (r#"{"roles": {"1": "x.example"}}"#, vec!["roles"]),
        ("{}", vec![]),
        ("null", vec![]),
    ] {
        assert_eq!(read(json).unwrap().iter().collect::<Vec<_>>(), expected, "{json}");
    }
    for json in [
        r#"{"a": true}"#,
        r#"{"a": null}"#,
        r#"{"a": {}}"#,
        r#"{"a": {"1": true}}"#,
        r#"{"a": ["1"]}"#,
        r#"{"roles": ["a"]}"#,
        r#"{"shop": {"roles": ["a"]}}"#,
        r#"["a"]"#,
        r#""a""#,
        "1",
    ] {
        assert!(read(json).is_err(), "{json}");
    }
}

/// Sends a token with an additional claim through `role("suspended").not()`.
fn unless_suspended<C>() -> impl Fn(&str, Value) -> Response<String>
where
    C: HasRole + serde::de::DeserializeOwned + Send + Sync + 'static,
{
    let keys = KeySet::hmac(Algorithm::HS256, SECRET).unwrap();
    let verifier = JwtVerifier::<C>::new(keys).audience(AUDIENCE).clock(|| at(NOW));
    let layer = JwtAuthLayer::new(verifier).require(role("suspended").not());
    move |name, roles| now(ask(&layer, bearer(&token(&claims_with(name, roles)))))
}

/// The claims type does not see such a claim, so a negated rule would permit the request.
#[test]
fn rejects_roles_in_another_case() {
    #[derive(Deserialize)]
    struct Renamed {
        #[serde(default, rename = "Roles")]
        roles: Roles,
    }

    has_role!(Renamed.roles);

    let (plain, renamed) = (unless_suspended::<Plain>(), unless_suspended::<Renamed>());
    for name in ["Roles", "ROLES", "rOles"] {
        let response = plain(name, json!(["suspended"]));
        assert_eq!(response.status(), 401, "{name}");
        let error = response.extensions().get::<AuthError>().unwrap();
        assert_eq!(error.kind(), InvalidClaims, "{name}");
        let cause = std::error::Error::source(error).unwrap().to_string();
        assert!(cause.starts_with("unknown claim name: it differs from `roles` only in case; `"), "{cause}");
    }
    assert_eq!(plain("roles", json!(["suspended"])).status(), 403);
    assert_eq!(plain("Groups", json!(["suspended"])).status(), 200, "no field of that name");
    assert_eq!(renamed("Roles", json!(["suspended"])).status(), 403);
    assert_eq!(renamed("roles", json!(["suspended"])).status(), 401);
}

macro_rules! has_roles {
    ($($claims:ident => |$user:pat_param| $roles:expr,)*) => {$(
        impl HasRole for $claims {
            fn has_role(&self, role: &str) -> bool {
                let $user = self;
                $roles.contains(role)
            }
        }
    )*};
}

#[derive(Deserialize)]
struct Plain {
    #[serde(default)]
    roles: Roles,
}

#[derive(Deserialize)]
struct NewType(Plain);

#[derive(Deserialize)]
struct Flattened {
    #[serde(default)]
    roles: Roles,
    #[serde(flatten)]
    _other: Map<String, Value>,
}

#[derive(Deserialize)]
struct FlattenedFields {
    #[serde(flatten)]
    inner: Plain,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Untagged {
    User {
        #[serde(default)]
        roles: Roles,
    },
}

#[derive(Deserialize)]
#[serde(tag = "email")]
enum Tagged {
    #[serde(rename = "eze@example.com")]
    User {
        #[serde(default)]
        roles: Roles,
    },
}

/// Accepts any value of the claim.
#[derive(Deserialize)]
struct AnyValue {
    #[serde(default)]
    roles: Value,
    #[serde(flatten)]
    _other: Map<String, Value>,
}

/// Reads the claims through their raw text.
struct Raw(Plain);

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<serde_json::value::RawValue>::deserialize(deserializer)?;
        serde_json::from_str(text.get()).map(Self).map_err(serde::de::Error::custom)
    }
}

#[derive(Deserialize)]
struct FlattenedRenamed {
    #[serde(default, rename = "Roles")]
    roles: Roles,
    #[serde(flatten)]
    _other: Map<String, Value>,
}

#[derive(Deserialize)]
struct Kept(HashMap<String, Value>);

has_role!(Plain.roles);
has_role!(NewType.0.roles);
has_role!(FlattenedFields.inner.roles);
has_role!(Raw.0.roles);

has_roles! {
    Flattened => |user| user.roles,
    Untagged => |Self::User { roles }| roles,
    Tagged => |Self::User { roles }| roles,
    AnyValue => |user| user.roles.to_string(),
    FlattenedRenamed => |user| user.roles,
    Kept => |user| user.0.get("Roles").map_or(String::new(), Value::to_string),
}

/// Such types do not reveal which claims they read.
#[test]
fn types_without_known_fields_reject_respelled_roles() {
    for (name, ask) in [
        ("NewType", Box::new(unless_suspended::<NewType>()) as Box<dyn Fn(&str, Value) -> Response<String>>),
        ("Flattened", Box::new(unless_suspended::<Flattened>())),
        ("FlattenedFields", Box::new(unless_suspended::<FlattenedFields>())),
        ("Untagged", Box::new(unless_suspended::<Untagged>())),
        ("Tagged", Box::new(unless_suspended::<Tagged>())),
        ("AnyValue", Box::new(unless_suspended::<AnyValue>())),
        ("Raw", Box::new(unless_suspended::<Raw>())),
    ] {
        for claim in ["Roles", "ROLES"] {
            let response = ask(claim, json!(["suspended"]));
            assert_eq!(response.status(), 401, "{name}, {claim}");
            let error = response.extensions().get::<AuthError>().unwrap();
            assert_eq!(error.kind(), InvalidClaims, "{name}, {claim}");
            let cause = std::error::Error::source(error).unwrap().to_string();
            assert!(
                cause.starts_with("unknown claim name: it differs from `roles` only in case; `"),
                "{name}: {cause}"
            );
        }
        assert_eq!(ask("roles", json!(["suspended"])).status(), 403, "{name}");
        assert_eq!(ask("roles", json!(["clerk"])).status(), 200, "{name}");
        assert_eq!(ask("Groups", json!(["suspended"])).status(), 200, "{name}: no field of that name");
    }
    let renamed = unless_suspended::<FlattenedRenamed>();
    assert_eq!(renamed("Roles", json!(["suspended"])).status(), 403);
    assert_eq!(renamed("Roles", json!(["clerk"])).status(), 200);
    let kept = unless_suspended::<Kept>();
    assert_eq!(kept("Roles", json!(["suspended"])).status(), 403);
    assert_eq!(kept("Roles", json!(["clerk"])).status(), 200);
}

/// Counts how often it is deserialized.
struct Counted;

static READ: AtomicUsize = AtomicUsize::new(0);

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        READ.fetch_add(1, Ordering::Relaxed);
        Map::<String, Value>::deserialize(deserializer).map(|_| Self)
    }
}

/// Reading the payload again for each of them would take quadratic time.
#[test]
fn many_respelled_claims_are_read_few_times() {
    let mut claims = good_claims();
    for n in 0..700_u32 {
        let spell = |(place, letter): (usize, char)| {
            if n >> place & 1 == 0 { letter } else { letter.to_ascii_uppercase() }
        };
        let name: String = "permissions".chars().enumerate().map(spell).collect();
        claims[name] = json!([]);
    }
    let token = token(&claims);
    let used = allocation_counter::measure(|| {
        let verdict = JwtVerifier::<RegisteredAndOther>::new(KeySet::hmac(Algorithm::HS256, SECRET).unwrap())
            .issuer(ISSUER)
            .audience(AUDIENCE)
            .clock(|| at(NOW))
            .verify(token.as_str());
        assert!(matches!(verdict, tower_jwt_auth::Verdict::Ready(Ok(_))));
    });
    assert!(used.bytes_total < 40 * token.len() as u64, "{used:?}");
}

#[derive(serde::Deserialize)]
struct RegisteredAndOther {
    #[serde(flatten)]
    _registered: tower_jwt_auth::RegisteredClaims,
}

#[test]
fn respelled_claims_of_forged_tokens_are_not_read() {
    let verifier = JwtVerifier::<Counted>::new(KeySet::hmac(Algorithm::HS256, SECRET).unwrap())
        .audience(AUDIENCE)
        .clock(|| at(NOW))
        // A cache reads the claims once more to estimate their size.
        .without_cache();
    let read = |token: &str| {
        READ.store(0, Ordering::Relaxed);
        let accepted = now(async { verifier.verify(token).await.is_ok() });
        (accepted, READ.load(Ordering::Relaxed))
    };
    assert_eq!(read(&good_token()), (true, 1));
    assert_eq!(read(&token(&claims_with("roles", json!(["a"])))), (true, 1));
    let respelled = token(&claims_with("Roles", json!(["a"])));
    assert_eq!(read(&respelled), (true, 2));
    let (signed, _) = respelled.rsplit_once('.').unwrap();
    assert_eq!(read(&format!("{signed}.{}", base64url([0; 32]))), (false, 0));
}

#[test]
fn names_roles_that_cannot_be_read() {
    let keys = || KeySet::hmac(Algorithm::HS256, SECRET).unwrap();
    let plain = JwtVerifier::<Plain>::new(keys()).audience(AUDIENCE).clock(|| at(NOW));
    let plain = JwtAuthLayer::new(plain).require(role("suspended").not());
    let flattened = JwtAuthLayer::new(users()).require(role("suspended").not());
    for roles in [
        json!({"suspended": {"org": "x"}}),
        json!({"shop": {"roles": ["suspended"]}}),
        json!({"Roles": ["suspended"]}),
        json!({"roles": ["clerk"], "suspended": {"org": "x"}}),
        json!([["suspended"]]),
        json!([{"name": "suspended"}]),
        json!([1]),
        json!(1),
        json!(true),
    ] {
        let request = || bearer(&token(&claims_with("roles", roles.clone())));
        for (response, claims) in
            [(now(ask(&plain, request())), "Plain"), (now(ask(&flattened, request())), "User")]
        {
            assert_eq!(response.status(), 401, "{roles}");
            let error = response.extensions().get::<AuthError>().unwrap();
            assert_eq!(error.kind(), InvalidClaims, "{roles}");
            let cause = std::error::Error::source(error).unwrap().to_string();
            assert!(
                cause.starts_with("the claim `roles` does not fit `") && cause.contains(claims),
                "{roles}: {cause}"
            );
        }
    }
    for (roles, status) in [
        (json!({}), 200),
        (json!([]), 200),
        (json!(["clerk"]), 200),
        (json!(["suspended"]), 403),
        (json!("suspended"), 403),
        (json!({"roles": ["suspended"]}), 403),
    ] {
        let token = token(&claims_with("roles", roles.clone()));
        assert_eq!(now(ask(&plain, bearer(&token))).status(), status, "{roles}");
    }
    assert_eq!(now(ask(&plain, bearer(&good_token()))).status(), 200, "none at all");
}

/// Checks a rule and its negation with claims kept as JSON.
#[track_caller]
fn both<P: Policy<Value> + Clone>(rule: Rule<P>, claims: &Value) -> [Option<AuthError>; 2] {
    let request = Request::new(());
    let claims = Claims::new(claims.clone());
    let ask = |policy: &dyn Policy<Value>| policy.check(&claims, Head::from(&request)).err();
    let answers = [ask(&rule), ask(&rule.clone().not())];
    assert_eq!(answers[0].is_some(), ask(&rule.not().not()).is_some(), "twice not: {:?}", &*claims);
    for error in answers.iter().flatten() {
        assert_eq!(error.kind(), InsufficientScope, "{:?}", &*claims);
    }
    answers
}

#[test]
fn unreadable_scope_satisfies_no_negation() {
    for (claims, name) in [
        (json!({"scope": {"suspended": true}}), "scope"),
        (json!({"scope": 1}), "scope"),
        (json!({"scope": true}), "scope"),
        (json!({"scp": ["a", 1]}), "scp"),
        (json!({"scp": [["suspended"]]}), "scp"),
        (json!({"scp": [{"name": "suspended"}]}), "scp"),
        (json!({"scope": ["a suspended"]}), "scope"),
        (json!({"scope": "a", "scp": {"suspended": true}}), "scp"),
        (json!({"Scope": "suspended"}), "scope"),
        (json!({"SCP": ["suspended"]}), "scp"),
        (json!({"scope": "a", "Scope": "suspended"}), "scope"),
        (json!({"scp": [], "Scp": ["suspended"]}), "scp"),
    ] {
        for answers in [
            both(scope("suspended"), &claims),
            both(any_scope(["suspended", "banned"]), &claims),
            both(scope("suspended").or(claim("banned", true)), &claims),
            both(claim("banned", true).or(scope("suspended")), &claims),
        ] {
            for error in answers {
                let error = error.unwrap_or_else(|| panic!("{claims}"));
                let cause = std::error::Error::source(&error).unwrap().to_string();
                assert!(cause.starts_with(&format!("the claim `{name}` is neither")), "{claims}: {cause}");
            }
        }
        let [_, opposite] = both(scope("suspended"), &claims);
        assert_eq!(opposite.unwrap().required_scope(), None, "a challenge names no scope to get");
    }
    for claims in [
        json!({}),
        json!({"scope": null}),
        json!({"scope": ""}),
        json!({"scp": []}),
        json!({"scope": "a b", "scp": ["c"]}),
        json!({"scopes": {"a": 1}}),
    ] {
        assert!(matches!(both(scope("suspended"), &claims), [Some(_), None]), "{claims}");
    }
    assert!(matches!(both(scope("suspended"), &json!({"scope": "suspended", "scp": 1})), [None, Some(_)]));
}

#[test]
fn claim_of_another_type_satisfies_no_negation() {
    let unclear = [
        (
            claim("status", "suspended"),
            json!({"status": {"suspended": true}}),
            "the claim `status` is an object",
        ),
        (claim("status", "suspended"), json!({"status": true}), "the claim `status` is a boolean"),
        (claim("status", "suspended"), json!({"status": 1}), "the claim `status` is an integer"),
        (
            claim("status", "suspended"),
            json!({"status": [{"name": "suspended"}]}),
            "the claim `status` is an array",
        ),
        (claim("status", "suspended"), json!({"status": [["suspended"]]}), "the claim `status` is an array"),
        (claim("status", "suspended"), json!({"status": ["a", null]}), "the claim `status` is an array"),
        (claim("suspended", true), json!({"suspended": "true"}), "the claim `suspended` is a string"),
        (claim("suspended", true), json!({"suspended": 1}), "the claim `suspended` is an integer"),
        (claim("level", 0), json!({"level": 0.0}), "the claim `level` is a number with a fraction"),
        (claim("level", 0), json!({"level": [1, 0.0]}), "the claim `level` is an array"),
        (claim("level", 0), json!({"level": "0"}), "the claim `level` is a string"),
        (claim("roles", json!(["a"])), json!({"roles": "a"}), "the claim `roles` is a string"),
        (
            claim(["realm_access", "roles"], "suspended"),
            json!({"realm_access": ["suspended"]}),
            "the path `realm_access.roles` leads through an array",
        ),
        (
            claim(["realm_access", "roles"], "suspended"),
            json!({"realm_access": {"roles": {"suspended": {}}}}),
            "the claim `realm_access.roles` is an object",
        ),
    ];
    for (rule, claims, expected) in unclear {
        for error in both(rule, &claims) {
            let cause =
                std::error::Error::source(&error.unwrap_or_else(|| panic!("{claims}"))).unwrap().to_string();
            assert!(cause.starts_with(expected), "{claims}: {cause}");
        }
    }
    for (rule, claims) in [
        (claim("status", "suspended"), json!({})),
        (claim("status", "suspended"), json!({"status": null})),
        (claim("status", "suspended"), json!({"status": "active"})),
        (claim("status", "suspended"), json!({"status": []})),
        (claim("status", "suspended"), json!({"status": ["active", "new"]})),
        (claim("suspended", true), json!({"suspended": false})),
        (claim("level", 0), json!({"level": 1.5})),
        (claim("level", 9_007_199_254_740_993_u64), json!({"level": 9_007_199_254_740_992_u64})),
        (claim("deleted", Value::Null), json!({"deleted": "2026-11-29"})),
        (claim("roles", json!(["a"])), json!({"roles": ["b"]})),
        (claim(["realm_access", "roles"], "suspended"), json!({})),
        (claim(["realm_access", "roles"], "suspended"), json!({"realm_access": null})),
        (claim(["realm_access", "roles"], "suspended"), json!({"realm_access": {}})),
    ] {
        assert!(matches!(both(rule, &claims), [Some(_), None]), "{claims}");
    }
}

#[test]
fn claims_in_another_case_satisfy_no_negation() {
    let nested = || claim(["realm_access", "roles"], "suspended");
    for (rule, claims, expected) in [
        (claim("roles", "suspended"), json!({"Roles": ["suspended"]}), "the token spells `roles` in"),
        (claim("roles", "suspended"), json!({"rOLES": []}), "the token spells `roles` in"),
        (claim("roles", "suspended"), json!({"roles": null, "ROLES": []}), "the token spells `roles` in"),
        (nested(), json!({"realm_access": {"Roles": ["suspended"]}}), "the token spells `roles` in"),
        (nested(), json!({"Realm_Access": {"roles": []}}), "the token spells `realm_access` in"),
        (claim(ClaimPath::from_iter::<[&str; 0]>([]), "suspended"), json!({}), "the claim path is empty"),
        (claim(ClaimPath::dotted(""), "suspended"), json!({}), "the claim path is empty"),
    ] {
        for error in both(rule, &claims) {
            let error = error.unwrap_or_else(|| panic!("{claims}"));
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert!(cause.contains(expected), "{claims}: {cause}");
        }
    }
    for claims in [
        json!({"roles": ["clerk"], "Roles": ["suspended"]}),
        json!({"role": "suspended", "realm_access": {"Roles": ["suspended"]}}),
    ] {
        assert!(matches!(both(claim("roles", "suspended"), &claims), [Some(_), None]), "{claims}");
    }
    let claims = json!({"realm_access": {}, "Roles": ["suspended"]});
    assert!(matches!(both(nested(), &claims), [Some(_), None]), "elsewhere");
}

/// A type that implements only the required method.
#[test]
fn delegated_claims_satisfy_no_negation() {
    struct Delegates(Map<String, Value>);

    impl HasClaim for Delegates {
        fn claim(&self, name: &str) -> Option<&Value> {
            self.0.get(name)
        }
    }

    let request = Request::new(());
    for (name, permitted) in [("Roles", false), ("ROLES", false), ("groups", true)] {
        let claims = Claims::new(Delegates(Map::from_iter([(name.to_owned(), json!(["suspended"]))])));
        let answer = claim("roles", "suspended").not().check(&claims, Head::from(&request));
        assert_eq!(answer.is_ok(), permitted, "{name}");
    }
}

/// Segments are decoded and counted without the first slash, as in a handler's router.
#[test]
fn path_segments_match_those_of_a_router() {
    for (uri, index, expected) in [
        ("/users/42/orders", 0, Some("users")),
        ("/users/42/orders", 1, Some("42")),
        ("/users/42/orders?page=2", 2, Some("orders")),
        ("/users/42/orders", 3, None),
        ("/users/auth0%7C42", 1, Some("auth0|42")),
        ("/users/%65ze", 1, Some("eze")),
        ("/users/a%2Fb", 1, Some("a/b")),
        ("/users/%FF", 1, None),
        ("/users//orders", 1, Some("")),
        ("/users/", 1, Some("")),
        ("/", 0, Some("")),
        ("*", 0, None),
    ] {
        let request = Request::get(uri).body(()).unwrap();
        assert_eq!(Head::from(&request).path_segment(index).as_deref(), expected, "{uri}, {index}");
        assert_eq!(
            (Head::from(&request).method(), Head::from(&request).uri()),
            (request.method(), request.uri())
        );
    }
}
