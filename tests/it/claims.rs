//! The checks of claims and header of a token with a good signature.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tower_jwt_auth::AuthErrorKind::*;
use tower_jwt_auth::token::{NumericDate, TokenInfo};
use tower_jwt_auth::{
    Algorithm, Audience, AuthError, AuthErrorKind, Claims, JwtVerifier, KeySet, RegisteredClaims, Verdict,
};

use crate::support::*;

type Row<'a> = (&'a str, String, Option<AuthErrorKind>);

async fn assert_rows(verifier: &JwtVerifier<Value>, rows: &[Row<'_>]) {
    for (name, token, expected) in rows {
        assert_eq!(rejection(verifier, token).await, *expected, "{name}");
    }
}

/// Returns a good token with one claim changed.
fn with_claim(name: &str, value: Value) -> String {
    token(&claims_with(name, value))
}

/// Returns a good token with text inserted before its claims, for values that JSON values cannot express.
fn with(members: &str) -> String {
    let claims = good_claims().to_string();
    token_of(r#"{"alg":"HS256"}"#, &format!("{{{members},{}", &claims[1..]))
}

fn with_header(header: &str) -> String {
    token_of(header, &good_claims().to_string())
}

#[tokio::test]
async fn time_is_checked_with_leeway() {
    let exact = verifier().leeway(Duration::ZERO);
    let rows = [
        ("one second left", with_claim("exp", json!(NOW + 1)), None),
        ("a fraction of a second left", with_claim("exp", json!(NOW as f64 + 0.5)), None),
        ("expired to the second", with_claim("exp", json!(NOW)), Some(Expired)),
        ("a fraction is not rounded up", with_claim("exp", json!(NOW as f64 - 0.4)), Some(Expired)),
        ("valid from now on", with_claim("nbf", json!(NOW)), None),
        ("valid from the next second on", with_claim("nbf", json!(NOW + 1)), Some(NotYetValid)),
        ("valid a fraction of a second later", with_claim("nbf", json!(NOW as f64 + 0.4)), Some(NotYetValid)),
        ("issued in the future", with_claim("iat", json!(NOW + 1000)), None),
    ];
    assert_rows(&exact, &rows).await;

    let rows = [
        ("exp, within the default", with_claim("exp", json!(NOW - 59)), None),
        ("exp, at the end of the default", with_claim("exp", json!(NOW - 60)), Some(Expired)),
        ("nbf, within the default", with_claim("nbf", json!(NOW + 60)), None),
        ("nbf, past the default", with_claim("nbf", json!(NOW + 61)), Some(NotYetValid)),
        ("exp before 1970", with_claim("exp", json!(-1)), Some(Expired)),
        ("exp before 1970, with a fraction", with_claim("exp", json!(-1.5)), Some(Expired)),
        ("exp 0", with_claim("exp", json!(0)), Some(Expired)),
        ("exp far ahead", with_claim("exp", json!(u64::MAX)), None),
        ("nbf far ahead", with_claim("nbf", json!(u64::MAX)), Some(NotYetValid)),
        ("nbf before 1970", with_claim("nbf", json!(-1e18)), None),
    ];
    assert_rows(&verifier(), &rows).await;

    let rows = [
        ("longest leeway, expired", with_claim("exp", json!(0)), None),
        ("longest leeway, far ahead", with_claim("nbf", json!(u64::MAX)), None),
    ];
    assert_rows(&verifier().leeway(Duration::MAX), &rows).await;

    let before_1970 = verifier().clock(|| UNIX_EPOCH - Duration::from_secs(1));
    assert_eq!(rejection(&before_1970, &good_token()).await, Some(Expired), "a clock far off");
    let lasting = before_1970.insecure_allow_missing_expiry();
    for not_before in [Value::Null, json!(NOW), json!(u64::MAX)] {
        let mut claims = claims_with("exp", Value::Null);
        claims["nbf"] = not_before;
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        assert_eq!(rejection(&lasting, &token(&claims)).await, Some(NotYetValid), "{claims}");
    }
}

#[tokio::test]
async fn reads_numbers_of_any_size() {
    let payload = |exp: &str| good_claims().to_string().replace(&(NOW + 300).to_string(), exp);
    let of = |exp: &str| token_of(r#"{"alg":"HS256"}"#, &payload(exp));
    let rows = [
        ("2^64", of("18446744073709551616"), None),
        ("with an exponent", of("1.8000003e9"), None),
        ("1e300", of("1e300"), None),
        ("too large for a float", of("1e999"), Some(InvalidClaims)),
        ("-1e300", of("-1e300"), Some(Expired)),
        ("no number", of("NaN"), Some(InvalidClaims)),
        ("hexadecimal", of("0x7fffffff"), Some(InvalidClaims)),
        ("leading zero", of("01800000300"), Some(InvalidClaims)),
        ("plus", of("+1800000300"), Some(InvalidClaims)),
    ];
    assert_rows(&verifier(), &rows).await;
}

#[tokio::test]
async fn rejects_claims_of_the_wrong_type() {
    let rows = [
        ("exp a string", with_claim("exp", json!((NOW + 300).to_string())), Some(InvalidClaims)),
        ("exp true", with_claim("exp", json!(true)), Some(InvalidClaims)),
        ("exp an array", with_claim("exp", json!([NOW + 300])), Some(InvalidClaims)),
        ("exp null", with_null("exp"), Some(InvalidClaims)),
        ("nbf a string", with_claim("nbf", json!("0")), Some(InvalidClaims)),
        ("nbf null", with(r#""nbf":null"#), Some(InvalidClaims)),
        ("iat a string", with_claim("iat", json!("2026-11-29T08:00:00Z")), Some(InvalidClaims)),
        ("iat digits in a string", with_claim("iat", json!(NOW.to_string())), Some(InvalidClaims)),
        ("iat an array", with_claim("iat", json!([NOW])), Some(InvalidClaims)),
        ("iat an object", with_claim("iat", json!({})), Some(InvalidClaims)),
        ("iat false", with_claim("iat", json!(false)), Some(InvalidClaims)),
        ("iat null", with(r#""iat":null"#), Some(InvalidClaims)),
        ("iat too large for a float", with(r#""iat":1e999"#), Some(InvalidClaims)),
        ("iss an array", with_claim("iss", json!([ISSUER])), Some(InvalidClaims)),
        ("iss a number", with_claim("iss", json!(1)), Some(InvalidClaims)),
        ("iss null", with_null("iss"), Some(InvalidClaims)),
        ("aud a number", with_claim("aud", json!(1)), Some(InvalidClaims)),
        ("aud null", with_null("aud"), Some(InvalidClaims)),
        ("aud an object", with_claim("aud", json!({AUDIENCE: AUDIENCE})), Some(InvalidClaims)),
        ("aud an array with a number", with_claim("aud", json!([AUDIENCE, 1])), Some(InvalidClaims)),
        ("aud an array in an array", with_claim("aud", json!([[AUDIENCE]])), Some(InvalidClaims)),
    ];
    assert_rows(&verifier(), &rows).await;
    // Also if the verifier has no requirements for them.
    let keys = KeySet::hmac(Algorithm::HS256, SECRET).unwrap();
    let expects_nothing = JwtVerifier::new(keys).insecure_any_audience().clock(|| at(NOW));
    assert_rows(&expects_nothing, &rows).await;

    let rows = [
        ("iat a fraction", with_claim("iat", json!(NOW as f64 + 0.5)), None),
        ("iat before 1970", with_claim("iat", json!(-1)), None),
        ("sub a number", with_claim("sub", json!(42)), None),
        ("jti a number", with_claim("jti", json!(42)), None),
        ("sid null", with(r#""sid":null"#), None),
    ];
    assert_rows(&verifier(), &rows).await;
}

/// For any claims type, with or without an `iat`.
#[tokio::test]
async fn iat_must_be_a_number_for_every_type() {
    async fn kind<C: serde::de::DeserializeOwned + Send + Sync + 'static>(
        iat: Value,
    ) -> Option<AuthErrorKind> {
        let keys = KeySet::hmac(Algorithm::HS256, SECRET).unwrap();
        let verifier = JwtVerifier::<C>::new(keys).audience(AUDIENCE).clock(|| at(NOW));
        verifier.verify(&with_claim("iat", iat)).await.err().map(|error| error.kind())
    }

    #[derive(serde::Deserialize)]
    struct Text {
        #[serde(rename = "iat")]
        _iat: Option<String>,
    }
    type Map = std::collections::HashMap<String, Value>;
    let text = || json!(NOW.to_string());
    assert_eq!(kind::<Value>(text()).await, Some(InvalidClaims));
    assert_eq!(kind::<Map>(text()).await, Some(InvalidClaims));
    assert_eq!(kind::<serde::de::IgnoredAny>(text()).await, Some(InvalidClaims));
    assert_eq!(kind::<Box<serde_json::value::RawValue>>(text()).await, Some(InvalidClaims));
    assert_eq!(kind::<Staff>(text()).await, Some(InvalidClaims), "not wanted");
    assert_eq!(kind::<Flat>(text()).await, Some(InvalidClaims), "flattened");
    assert_eq!(kind::<Text>(text()).await, Some(InvalidClaims), "wanted as a text");
    assert_eq!(kind::<Staff>(json!(NOW)).await, None);
}

/// serde_json reads such a member as another value if some of its features are on.
#[tokio::test]
async fn rejects_private_names_of_serde_json() {
    async fn cause<C: serde::de::DeserializeOwned + Send + Sync + 'static>(members: &str) -> Option<String> {
        let keys = KeySet::hmac(Algorithm::HS256, SECRET).unwrap();
        let verifier = JwtVerifier::<C>::new(keys).audience(AUDIENCE).clock(|| at(NOW));
        let error = verifier.verify(&with(members)).await.err()?;
        assert_eq!(error.kind(), InvalidClaims, "{members}");
        Some(std::error::Error::source(&error).unwrap().to_string())
    }

    type Map = std::collections::HashMap<String, Value>;
    let expected =
        "a member is named `$serde_json::private::..`, which serde_json would read as another value";
    for members in [
        r#""profile":{"$serde_json::private::RawValue":"{\"role\":\"admin\"}"}"#,
        r#""profile":{"\u0024serde_json::private::RawValue":"1"}"#,
        r#""profile":{"$serde_json\u003a:private::\u0052aw\u0056alue":"1"}"#,
        r#""$serde_json::private::RawValue":"1""#,
        r#""a":[[{"b":{"$serde_json::private::Number" : "1"}}]]"#,
        r#""exp":{"$serde_json::private::Number":"9999999999"}"#,
        r#""aud":{"$serde_json::private::RawValue":"\"x\""}"#,
        "\"x\":{\"$serde_json::private::Number\"\n:\"1\"}",
        r#""x":{"$serde_json::private::Other":"1"}"#,
    ] {
        assert_eq!(cause::<Value>(members).await.as_deref(), Some(expected), "{members}");
        assert_eq!(cause::<Map>(members).await.as_deref(), Some(expected), "{members}");
        assert_eq!(cause::<Staff>(members).await.as_deref(), Some(expected), "{members}");
        assert_eq!(cause::<RegisteredClaims>(members).await.as_deref(), Some(expected), "{members}");
        assert_eq!(
            cause::<Box<serde_json::value::RawValue>>(members).await.as_deref(),
            Some(expected),
            "{members}"
        );
    }
    for members in [
        r#""x":"$serde_json::private::RawValue""#,
        r#""x":"{\"$serde_json::private::RawValue\":\"1\"}""#,
        r#""x":["\u0024serde_json::private::Number","$"],"$schema":"\/""#,
    ] {
        assert_eq!(cause::<Value>(members).await, None, "{members}");
    }
}

#[tokio::test]
async fn expiry_can_be_optional() {
    let lasting = verifier().insecure_allow_missing_expiry();
    let none = with_claim("exp", Value::Null);
    assert_eq!(rejection(&verifier(), &none).await, Some(MissingExpiry), "only by name");
    let rows = [
        ("none", none.clone(), None),
        ("one to come", good_token(), None),
        ("one that has passed", with_claim("exp", json!(NOW - 60)), Some(Expired)),
        ("within the leeway", with_claim("exp", json!(NOW - 59)), None),
        ("null", with_null("exp"), Some(InvalidClaims)),
        ("a string", with_claim("exp", json!("never")), Some(InvalidClaims)),
        (
            "not valid yet",
            {
                let mut claims = claims_with("exp", Value::Null);
                claims["nbf"] = json!(NOW + 61);
                token(&claims)
            },
            Some(NotYetValid),
        ),
    ];
    assert_rows(&lasting, &rows).await;
    assert_rows(&lasting.clone().cache(tower_jwt_auth::cache::CacheSettings::new()), &rows).await;
    let claims = lasting.verify(&none).await.unwrap();
    assert_eq!((claims.token().expires_at(), claims.token().issuer()), (None, Some(ISSUER)));
}

#[tokio::test]
async fn compares_claim_names_exactly() {
    let renamed = |name: &str, other: &str| {
        let mut claims = good_claims();
        let value = claims.as_object_mut().unwrap().remove(name).unwrap();
        claims[other] = value;
        token(&claims)
    };
    let rows = [
        ("ISS", renamed("iss", "ISS"), Some(WrongIssuer)),
        ("iss and a space", renamed("iss", "iss "), Some(WrongIssuer)),
        ("Aud", renamed("aud", "Aud"), Some(WrongAudience)),
        ("aud and a zero byte", renamed("aud", "aud\0"), Some(WrongAudience)),
        ("Exp", renamed("exp", "Exp"), Some(MissingExpiry)),
        ("a full-width exp", renamed("exp", "\u{ff45}\u{ff58}\u{ff50}"), Some(MissingExpiry)),
        ("others beside the good ones", with(r#""Exp":1,"NBF":9999999999,"Iss":"x","AUD":1,"Cnf":{}"#), None),
    ];
    assert_rows(&verifier(), &rows).await;
}

/// Returns a good token with one claim set to `null`.
fn with_null(name: &str) -> String {
    let mut claims = good_claims();
    claims[name] = Value::Null;
    token(&claims)
}

#[tokio::test]
async fn rejects_duplicate_claims() {
    for name in ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf"] {
        let value = claims_with("x", json!(1)).get(name).cloned().unwrap_or(json!(NOW));
        let twice = with(&format!(r#""{name}":{value},"{name}":{value}"#));
        assert_eq!(rejection(&verifier(), &twice).await, Some(InvalidClaims), "{name}");
    }
    let escaped = with(&format!(r#""\u0065xp":{}"#, NOW + 300));
    assert_eq!(
        rejection(&verifier(), &escaped).await,
        Some(InvalidClaims),
        "one of the two written with an escape"
    );

    let required = verifier().require_claim("client_id", "web");
    let rows = [
        ("twice, the same", with(r#""client_id":"web","client_id":"web""#), Some(InvalidClaims)),
        ("twice, one of them good", with(r#""client_id":"other","client_id":"web""#), Some(InvalidClaims)),
    ];
    assert_rows(&required, &rows).await;
}

#[tokio::test]
async fn last_duplicate_of_other_claims_counts() {
    let claims = verifier().verify(&with(r#""role":"clerk","role":"admin""#)).await.unwrap();
    assert_eq!(claims["role"], "admin");
}

#[tokio::test]
async fn sender_constrained_tokens_need_explicit_opt_in() {
    let bound = with_claim("cnf", json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}));
    assert_eq!(rejection(&verifier(), &bound).await, Some(SenderConstrained));
    assert_eq!(rejection(&verifier().insecure_ignore_confirmation(), &bound).await, None);
}

#[tokio::test]
async fn compares_issuer_exactly() {
    let rows = [
        ("missing", with_claim("iss", Value::Null), Some(WrongIssuer)),
        ("empty", with_claim("iss", json!("")), Some(WrongIssuer)),
        ("slash at the end", with_claim("iss", json!(format!("{ISSUER}/"))), Some(WrongIssuer)),
        ("space at the end", with_claim("iss", json!(format!("{ISSUER} "))), Some(WrongIssuer)),
        ("other case", with_claim("iss", json!(ISSUER.to_uppercase())), Some(WrongIssuer)),
        ("a zero byte at the end", with_claim("iss", json!(format!("{ISSUER}\0"))), Some(WrongIssuer)),
        ("a part of it", with_claim("iss", json!(ISSUER[..ISSUER.len() - 1])), Some(WrongIssuer)),
        ("its host", with_claim("iss", json!("id.example.com")), Some(WrongIssuer)),
        ("more before it", with_claim("iss", json!(format!("x{ISSUER}"))), Some(WrongIssuer)),
    ];
    assert_rows(&verifier(), &rows).await;

    let two = verifier().add_issuer("https://other.example.com");
    let rows = [
        ("the first", good_token(), None),
        ("the second", with_claim("iss", json!("https://other.example.com")), None),
        ("neither", with_claim("iss", json!("https://third.example.com")), Some(WrongIssuer)),
    ];
    assert_rows(&two, &rows).await;

    let replaced = verifier().issuer("https://other.example.com");
    assert_eq!(rejection(&replaced, &good_token()).await, Some(WrongIssuer));

    let none = JwtVerifier::new(KeySet::hmac(Algorithm::HS256, SECRET).unwrap())
        .audience(AUDIENCE)
        .clock(|| at(NOW));
    let rows = [("any will do", good_token(), None), ("or none", with_claim("iss", Value::Null), None)];
    assert_rows(&none, &rows).await;
}

#[tokio::test]
async fn compares_audience_exactly() {
    let rows = [
        ("missing", with_claim("aud", Value::Null), Some(WrongAudience)),
        ("empty", with_claim("aud", json!("")), Some(WrongAudience)),
        ("empty array", with_claim("aud", json!([])), Some(WrongAudience)),
        ("one of several", with_claim("aud", json!(["other", AUDIENCE])), None),
        ("none of several", with_claim("aud", json!(["other", "another"])), Some(WrongAudience)),
        ("slash at the end", with_claim("aud", json!(format!("{AUDIENCE}/"))), Some(WrongAudience)),
        ("the beginning", with_claim("aud", json!("https://api")), Some(WrongAudience)),
        ("two in one string", with_claim("aud", json!(format!("{AUDIENCE} other"))), Some(WrongAudience)),
    ];
    assert_rows(&verifier(), &rows).await;
    assert_rows(&verifier().add_audience("other"), &[("added", with_claim("aud", json!("other")), None)])
        .await;

    let none =
        JwtVerifier::new(KeySet::hmac(Algorithm::HS256, SECRET).unwrap()).issuer(ISSUER).clock(|| at(NOW));
    let rows = [
        ("other audience", good_token(), Some(WrongAudience)),
        ("no audience", with_claim("aud", json!([])), Some(WrongAudience)),
        ("not for anybody in particular", with_claim("aud", Value::Null), None),
    ];
    assert_rows(&none, &rows).await;
    let rows = [
        ("other audience", good_token(), None),
        ("no audience", with_claim("aud", json!([])), None),
        ("not for anybody in particular", with_claim("aud", Value::Null), None),
        ("still no number", with_claim("aud", json!(1)), Some(InvalidClaims)),
    ];
    assert_rows(&none.insecure_any_audience(), &rows).await;
}

#[tokio::test]
async fn other_claims_can_be_required() {
    let required = verifier().require_claim("client_id", "web").require_claim("client_id", "mobile");
    let rows = [
        ("missing", good_token(), Some(WrongClaim)),
        ("one", with_claim("client_id", json!("web")), None),
        ("the other", with_claim("client_id", json!("mobile")), None),
        ("neither", with_claim("client_id", json!("web2")), Some(WrongClaim)),
        ("an array with one", with_claim("client_id", json!(["other", "web"])), None),
        ("an array in an array", with_claim("client_id", json!([["web"]])), Some(WrongClaim)),
        ("an array without", with_claim("client_id", json!(["web2", 1, null])), Some(WrongClaim)),
        ("an empty array", with_claim("client_id", json!([])), Some(WrongClaim)),
        ("an object", with_claim("client_id", json!({"web": "web"})), Some(WrongClaim)),
        ("a number", with_claim("client_id", json!(1)), Some(WrongClaim)),
        ("null", with(r#""client_id":null"#), Some(WrongClaim)),
        ("deeper down", with_claim("x", json!({"client_id": "web"})), Some(WrongClaim)),
    ];
    assert_rows(&required, &rows).await;
    let both = required.require_claim("token_use", "access");
    assert_eq!(
        rejection(&both, &with_claim("client_id", json!("web"))).await,
        Some(WrongClaim),
        "all are needed"
    );
}

#[tokio::test]
async fn compares_required_values_as_json() {
    let met: [(Value, &str); 11] = [
        (json!(true), "true"),
        (json!(false), "[null,1,false]"),
        (json!(3), "3"),
        (json!(-3), "[-3]"),
        (json!(3.5), "3.50"),
        (json!(1e300), "1e300"),
        (json!(u64::MAX), "18446744073709551615"),
        (json!(i64::MIN), "-9223372036854775808"),
        (json!(["a", 1]), r#"["a",1]"#),
        (json!(["a", 1]), r#"[["a",1]]"#),
        (json!({"a": {"b": 1}}), r#"{"a":{"b":1}}"#),
    ];
    let unmet: [(Value, &str); 20] = [
        (json!(true), r#""true""#),
        (json!(true), "1"),
        (json!(false), "null"),
        (json!("true"), "true"),
        (json!(1), "1.0"),
        (json!(1.0), "1"),
        (json!(1), r#""1""#),
        (json!(0), "-0"),
        (json!(1), "[1.0]"),
        (json!(1), "[[1]]"),
        (json!(1), r#"[{"a":1}]"#),
        (json!(u64::MAX), "18446744073709551614"),
        (json!(u64::MAX), "18446744073709551616"),
        (json!(["a"]), r#"["a","b"]"#),
        (json!(["a", "b"]), r#"["b","a"]"#),
        (json!([]), "null"),
        (json!({"a": 1}), r#"{"a":1,"b":2}"#),
        (json!({"a": 1}), r#"{"a":1.0}"#),
        (Value::Null, "null"),
        (Value::Null, "[null]"),
    ];
    let rows = met.iter().map(|row| (row, None)).chain(unmet.iter().map(|row| (row, Some(WrongClaim))));
    for ((required, found), expected) in rows {
        let verifier = verifier().require_claim("x", required.clone());
        let token = with(&format!(r#""x":{found}"#));
        assert_eq!(rejection(&verifier, &token).await, expected, "{required} required, {found} found");
    }
    let null = verifier().require_claim("x", None::<String>);
    assert_eq!(rejection(&null, &good_token()).await, Some(WrongClaim), "`null` permits nothing");
    let unreadable = with(r#""x":true,"y":1e999"#);
    assert_eq!(
        rejection(&verifier().require_claim("x", 1), &with(r#""x":1e999"#)).await,
        Some(InvalidClaims)
    );
    let keys = KeySet::hmac(Algorithm::HS256, SECRET).unwrap();
    let typed = JwtVerifier::<RegisteredClaims>::new(keys).audience(AUDIENCE).clock(|| at(NOW));
    assert!(typed.require_claim("x", true).verify(&unreadable).await.is_ok(), "an unread claim");
}

#[tokio::test]
async fn checks_token_type() {
    let rows = [
        "",
        r#","typ":"JWT""#,
        r#","typ":"jwt""#,
        r#","typ":"at+jwt""#,
        r#","typ":"AT+JWT""#,
        r#","typ":"application/at+jwt""#,
        r#","typ":"Application/JWT""#,
    ];
    for typ in rows {
        let token = with_header(&format!(r#"{{"alg":"HS256"{typ}}}"#));
        assert_eq!(rejection(&verifier(), &token).await, None, "{typ}");
        let strict = verifier().access_tokens_only();
        let expected = (!typ.to_lowercase().contains("at+jwt")).then_some(WrongTokenType);
        assert_eq!(rejection(&strict, &token).await, expected, "{typ}, access tokens only");
    }
    for typ in [
        "",
        "JWS",
        "JWT ",
        "logout+jwt",
        "id+jwt",
        "application/",
        "application/application/jwt",
        "text/jwt",
        "application+jwt",
        "application-at+jwt",
        "é",
    ] {
        let token = with_header(&format!(r#"{{"alg":"HS256","typ":"{typ}"}}"#));
        assert_eq!(rejection(&verifier(), &token).await, Some(WrongTokenType), "{typ}");
    }
    let null = with_header(r#"{"alg":"HS256","typ":null}"#);
    assert_eq!(rejection(&verifier(), &null).await, None, "null means absent");
    assert_eq!(
        rejection(&verifier().access_tokens_only(), &null).await,
        Some(WrongTokenType),
        "null means absent"
    );
}

#[tokio::test]
async fn custom_token_type_replaces_the_default() {
    // Both verifiers share keys, and a key caches its last header.
    let usual = verifier();
    let of_type = |typ: &str| usual.clone().token_type(typ);
    let with_type = |typ: &str| with_header(&format!(r#"{{"alg":"HS256"{typ}}}"#));
    let (logout, plain) = (with_type(r#","typ":"logout+jwt""#), with_type(""));
    for round in 0..3 {
        for typ in ["logout+jwt", "Logout+JWT", "application/logout+jwt"] {
            assert_eq!(rejection(&of_type(typ), &logout).await, None, "{typ}, round {round}");
            let written = with_type(r#","typ":"APPLICATION/Logout+jwt""#);
            assert_eq!(rejection(&of_type(typ), &written).await, None, "{typ}, round {round}");
            for other in [&plain, &with_type(r#","typ":"JWT""#), &with_type(r#","typ":"at+jwt""#)] {
                assert_eq!(
                    rejection(&of_type(typ), other).await,
                    Some(WrongTokenType),
                    "{typ}, round {round}"
                );
            }
        }
        assert_eq!(rejection(&usual, &logout).await, Some(WrongTokenType), "round {round}");
        assert_eq!(rejection(&usual, &plain).await, None, "round {round}");
        assert_eq!(
            rejection(&of_type("at+jwt"), &with_type(r#","typ":"at+jwt""#)).await,
            None,
            "round {round}"
        );
        assert_eq!(rejection(&of_type("JWT"), &with_type(r#","typ":"JWT""#)).await, None, "round {round}");
        assert_eq!(rejection(&of_type("JWT"), &plain).await, Some(WrongTokenType), "round {round}");
        assert_eq!(
            rejection(&of_type("logout+jwt").access_tokens_only(), &logout).await,
            Some(WrongTokenType)
        );
        let mut forged = logout.clone();
        forged.replace_range(forged.len() - 8..forged.len() - 7, "-");
        assert!(rejection(&of_type("logout+jwt"), &forged).await.is_some(), "round {round}");
    }
}

#[tokio::test]
async fn ignores_unknown_header_members() {
    let header = r#" {"alg" : "HS256", "jku":"https://evil.example/keys", "jwk":{"kty":"oct","k":"AAAA"}, "x5u":"https://evil.example", "b64":true, "cty":"x"} "#;
    assert_eq!(rejection(&verifier(), &with_header(header)).await, None);
    let escaped = with_header(r#"{"\u0061lg":"HS\u003256"}"#);
    assert_eq!(rejection(&verifier(), &escaped).await, None, "escapes are another way to write the same");
}

#[tokio::test]
async fn rejects_noncanonical_base64url() {
    let token = good_token();
    let parts: Vec<_> = token.split('.').collect();
    // 32 bytes leave two bits that must be zero. Other values of them decode to the same bytes.
    let last = parts[2].chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let place = alphabet.find(last).unwrap();
    let other = alphabet.chars().nth(place + 1).unwrap();
    let variants = [
        format!("{}.{}.{}{other}", parts[0], parts[1], &parts[2][..42]),
        format!("{token}="),
        token.replace('-', "+"),
        token.replace('_', "/"),
        format!("{}.{}.{}A", parts[0], parts[1], parts[2]),
        format!("{}.{} .{}", parts[0], parts[1], parts[2]),
        format!("{}\n", token),
    ];
    for variant in variants.iter().filter(|variant| **variant != token) {
        let rejection = rejection(&verifier(), variant).await;
        assert!(matches!(rejection, Some(MalformedToken | InvalidSignature)), "{variant}: {rejection:?}");
    }
    // One byte beyond a multiple of three leaves four spare bits, two bytes leave two. `-_` and `+/` differ
    // in these.
    let of_length =
        |text: &str, rest: usize| format!("{text}{}", " ".repeat((3 + rest - text.len() % 3) % 3));
    let claims = format!(r#"{}"x":"~~~???"}}"#, &good_claims().to_string().replace('}', ","));
    for rest in [1, 2] {
        let good =
            [of_length(r#"{"alg":"HS256","x":"~~~???"}"#, rest), of_length(&claims, rest)].map(base64url);
        assert_eq!(rejection(&verifier(), &sign_parts(&good.join("."))).await, None);
        for (place, what) in [(0, "header"), (1, "payload")] {
            let part = &good[place];
            let last = alphabet.find(part.chars().last().unwrap()).unwrap();
            let spare = format!("{}{}", &part[..part.len() - 1], &alphabet[last + 1..last + 2]);
            assert!(part.contains('_') || part.contains('-'), "{part}");
            let base64 = part.replace('-', "+").replace('_', "/");
            for variant in [format!("{part}="), spare, base64, format!("{part} ")] {
                let mut signed = good.clone();
                signed[place].clone_from(&variant);
                let rejection = rejection(&verifier(), &sign_parts(&signed.join("."))).await;
                assert_eq!(rejection, Some(MalformedToken), "{what} {variant}, with a good signature");
            }
        }
    }
}

#[tokio::test]
async fn limits_token_size() {
    let padded = |len: usize| {
        let pad = |n: usize| token(&claims_with("pad", json!("x".repeat(n))));
        (0..len).map(pad).find(|token| token.len() >= len).unwrap()
    };
    let token = padded(1000);
    assert_eq!(rejection(&verifier().max_token_bytes(token.len()), &token).await, None);
    assert_eq!(rejection(&verifier().max_token_bytes(token.len() - 1), &token).await, Some(TokenTooLarge));

    let large = token_of(r#"{"alg":"HS256"}"#, &claims_with("pad", json!("x".repeat(11_000))).to_string());
    assert_eq!(rejection(&verifier(), &large).await, None, "15 KB are within the default");
    let larger = token_of(r#"{"alg":"HS256"}"#, &claims_with("pad", json!("x".repeat(100_000))).to_string());
    assert_eq!(rejection(&verifier(), &larger).await, Some(TokenTooLarge));
    assert_eq!(rejection(&verifier().max_token_bytes(usize::MAX), &larger).await, None);
}

#[tokio::test]
async fn nesting_does_not_exhaust_the_stack() {
    let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    let claims = with(&format!(r#""x":{}"#, deep(5000)));
    assert_eq!(rejection(&verifier(), &claims).await, Some(InvalidClaims));
    let header = with_header(&format!(r#"{{"alg":"HS256","x":{}}}"#, deep(5000)));
    assert_eq!(rejection(&verifier(), &header).await, None, "ignored members use no stack");
}

#[test]
fn nesting_in_strings_does_not_exhaust_the_stack() {
    // With serde_json's feature `raw_value` such a string is read as JSON, and the depth is counted from
    // zero again.
    let mut nested = "[".repeat(120) + &"]".repeat(120);
    for _ in 0..10 {
        let text = Value::from(nested).to_string();
        let wrapped = format!("{{\"$serde_json::private::RawValue\":{text}}}");
        nested = format!("{}{wrapped}{}", "[".repeat(118), "]".repeat(118));
    }
    let token = with(&format!(r#""x":{nested}"#));
    assert!(token.len() < 16 * 1024, "within the limit");
    let judge = move || match verifier().verify(&token) {
        Verdict::Ready(result) => result.err().map(|error| error.kind()),
        Verdict::Pending(_) => None,
    };
    // The stack size of a tokio worker.
    let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(judge);
    assert_eq!(thread.unwrap().join().unwrap(), Some(InvalidClaims));

    let wide = |n: usize| with(&format!(r#""x":[{}]"#, vec!["{}"; n].join(",")));
    let kind = |token: String| verifier().verify(&token);
    assert!(matches!(kind(wide(1022)), Verdict::Ready(Ok(_))), "1,024 arrays and objects will do");
    assert!(matches!(kind(wide(1023)), Verdict::Ready(Err(_))));
}

#[tokio::test]
async fn reads_claims_into_the_application_type() {
    #[derive(Debug, serde::Deserialize)]
    struct User {
        email: String,
        #[serde(default)]
        admin: bool,
    }

    let keys = KeySet::hmac(Algorithm::HS256, SECRET).unwrap();
    let verifier = JwtVerifier::<User>::new(keys).audience(AUDIENCE).clock(|| at(NOW));
    let user = verifier.verify(&good_token()).await.unwrap();
    assert_eq!((user.email.as_str(), user.admin), ("eze@example.com", false));

    for (name, token) in [
        ("member missing", with_claim("email", Value::Null)),
        ("of another type", with_claim("email", json!(1))),
        ("twice", with(r#""email":"a""#)),
        ("null", with_null("email")),
    ] {
        assert_eq!(verifier.verify(&token).await.unwrap_err().kind(), InvalidClaims, "{name}");
    }
}

#[tokio::test]
async fn claims_describe_their_token() {
    let token = token_of(r#"{"alg":"HS256","kid":"k\u00311"}"#, &good_claims().to_string());
    let claims = verifier().verify(&token).await.unwrap();
    assert_eq!(claims.token().expires_at(), Some(at(NOW + 300)));
    assert_eq!(claims.token().issuer(), Some(ISSUER));
    assert_eq!(claims.token().kid(), Some("k11"));
    assert_eq!(format!("{:?}", claims.clone()), format!("Claims({:?})", *claims));

    let claims = verifier().verify(&good_token()).await.unwrap();
    assert_eq!(claims.token().kid(), None);
    let claims = verifier().verify(&with_header(r#"{"alg":"HS256","kid":""}"#)).await.unwrap();
    assert_eq!(claims.token().kid(), Some(""));

    let claims = Claims::new(1);
    let token = claims.token();
    assert_eq!((token.expires_at(), token.issuer(), token.kid(), *claims), (None, None, None, 1));
    let info = TokenInfo::new().with_kid("k1").with_expires_at(at(1)).with_issuer("me");
    let claims = Claims::from_parts(1, info);
    let token = claims.token();
    assert_eq!((token.expires_at(), token.issuer(), token.kid()), (Some(at(1)), Some("me"), Some("k1")));
}

#[test]
fn remaining_time_ends_with_the_token() {
    let token = TokenInfo::new().with_expires_at(at(NOW));
    for (now, remaining) in [(NOW - 300, 300), (NOW - 1, 1), (NOW, 0), (NOW + 59, 0)] {
        assert_eq!(token.remaining(at(now)), Some(Duration::from_secs(remaining)), "{now}");
    }
    let fraction = Duration::from_millis(1);
    assert_eq!(token.remaining(at(NOW) - fraction), Some(fraction));
    assert_eq!(TokenInfo::new().remaining(at(NOW)), None, "the expiry is not known");
}

#[test]
fn claims_hide_no_application_methods() {
    struct Passport;

    impl Passport {
        fn issuer(&self) -> Option<&'static str> {
            Some("Genosha")
        }
        fn expires_at(&self) -> Option<SystemTime> {
            Some(at(9))
        }
        fn kid(&self) -> Option<&'static str> {
            Some("a child")
        }
        fn reject(&self, kind: AuthErrorKind) -> AuthError {
            AuthError::new(kind).with_required_scope("passport")
        }
    }

    let token = TokenInfo::new().with_kid("k1").with_expires_at(at(1)).with_issuer(ISSUER);
    let claims = Claims::from_parts(Passport, token);
    assert_eq!(claims.issuer(), Some("Genosha"));
    assert_eq!(claims.expires_at(), Some(at(9)));
    assert_eq!(claims.kid(), Some("a child"));
    let rejection = claims.reject(InsufficientScope);
    let challenge = &rejection.www_authenticate()[0];
    assert!(challenge.to_str().unwrap().ends_with(r#"scope="passport""#), "{challenge:?}");
}

#[tokio::test]
async fn reads_registered_claims() {
    let keys = KeySet::hmac(Algorithm::HS256, SECRET).unwrap();
    let verifier = JwtVerifier::<RegisteredClaims>::new(keys).audience("a").clock(|| at(NOW));
    let sent = json!({"iss": "i", "sub": "s", "aud": ["a", "b"], "exp": NOW + 1, "nbf": NOW - 1, "iat": 1.5, "jti": "j"});
    let claims = verifier.verify(&token(&sent)).await.unwrap();

    let read = (claims.iss.as_deref(), claims.sub.as_deref(), claims.jti.as_deref());
    assert_eq!(read, (Some("i"), Some("s"), Some("j")));
    let aud = claims.aud.as_ref().unwrap();
    assert!(aud.contains("b") && !aud.contains("c") && aud.iter().eq(["a", "b"]));
    assert_eq!(claims.exp.unwrap().to_system_time(), Some(at(NOW + 1)));
    assert_eq!(claims.iat.unwrap().since_epoch(), Duration::from_millis(1500));
    assert_eq!(serde_json::to_value(&*claims).unwrap(), sent, "and written as they were");

    let one: Audience = ["a"].into_iter().collect();
    let exp = NumericDate::from_system_time(at(5) + Duration::from_millis(900));
    let nbf = NumericDate::from_system_time(at(0) - Duration::from_millis(900));
    let written =
        RegisteredClaims { aud: Some(one), exp: Some(exp), nbf: Some(nbf), ..RegisteredClaims::default() };
    assert_eq!(serde_json::to_value(written).unwrap(), json!({"aud": "a", "exp": 5, "nbf": 0}));
}

#[tokio::test]
async fn registered_claims_can_be_flattened() {
    #[derive(serde::Deserialize)]
    struct User {
        email: String,
        #[serde(flatten)]
        registered: RegisteredClaims,
    }

    let keys = KeySet::hmac(Algorithm::HS256, SECRET).unwrap();
    let verifier = JwtVerifier::<User>::new(keys).audience(AUDIENCE).clock(|| at(NOW));
    for exp in [json!(NOW + 300), json!(NOW as f64 + 0.5), json!(1.9e9)] {
        let user = verifier.verify(&with_claim("exp", exp.clone())).await.unwrap();
        assert_eq!(
            (user.email.as_str(), user.registered.sub.as_deref()),
            ("eze@example.com", Some("42")),
            "{exp}"
        );
    }
}

#[derive(serde::Deserialize)]
struct Realm {
    #[serde(rename = "roles")]
    _roles: Vec<String>,
}

#[derive(serde::Deserialize)]
struct Staff {
    #[serde(rename = "email")]
    _email: String,
    #[serde(rename = "age")]
    _age: Option<u8>,
    #[serde(rename = "realm_access")]
    _realm: Option<Realm>,
}

#[derive(serde::Deserialize)]
struct Wrapped(#[expect(dead_code, reason = "it is there to be read")] Staff);

#[derive(serde::Deserialize)]
struct Flat {
    #[serde(rename = "email")]
    _email: String,
    #[serde(rename = "realm_access")]
    _realm: Option<Realm>,
    #[serde(flatten)]
    _registered: RegisteredClaims,
}

/// The cause names the mismatched claim in the application's terms, and contains nothing of the token.
#[tokio::test]
async fn error_names_the_mismatched_claim() {
    async fn cause<C: serde::de::DeserializeOwned + Send + Sync + 'static>(members: &str) -> String {
        let verifier = JwtVerifier::<C>::new(KeySet::hmac(Algorithm::HS256, SECRET).unwrap())
            .issuer(ISSUER)
            .audience(AUDIENCE)
            .clock(|| at(NOW))
            .require_claim("tenant", "acme");
        let payload = format!(r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","exp":{},{members}}}"#, NOW + 300);
        let error = verifier.verify(&token_of(r#"{"alg":"HS256"}"#, &payload)).await.err().unwrap();
        assert_eq!(error.kind(), InvalidClaims, "{members}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        cause.replace(std::any::type_name::<C>(), "C")
    }

    let acme = |members: &str| format!(r#""tenant":"acme",{members}"#);
    let required = |missing: &str| {
        format!("{missing}: `C` requires it; make the field an `Option` or add `#[serde(default)]`")
    };
    for (members, expected) in [
        (r#""email_verified":true"#, required("missing claim `email`").as_str()),
        (r#""email":["a@example.com"]"#, "the claim `email` does not fit `C`"),
        (r#""email":"a","age":-1"#, "the claim `age` does not fit `C`"),
        (r#""nested":{"email":"{\""},"age":[1]"#, "the claim `age` does not fit `C`"),
        ("\"email\":\n\"a\",\n  \"age\" :\n 1e3", "the claim `age` does not fit `C`"),
        (r#""email":"a","realm_access":{}"#, required("the claim `realm_access` has no `roles`").as_str()),
        (r#""email":"a","realm_access":{"roles":[1]}"#, "the claim `realm_access` does not fit `C`"),
        (
            r#""email":"a","realm_access":{"roles":[],"roles":[]}"#,
            "the claim `realm_access` does not fit `C`",
        ),
        (r#""email":"a","email":"a""#, "the claim `email` appears twice"),
        (r#""email":"a","exp":1"#, "the claim `exp` is malformed or appears twice"),
        (r#""email":"a","nbf":"x""#, "the claim `nbf` is malformed or appears twice"),
        (r#""email":"a","tenant":"acme""#, "a required claim appears twice"),
        (r#""email":a"#, "the payload is not a JSON object"),
        (r#""email":"a","sub":"s"} x {"#, "the payload is not a JSON object"),
    ] {
        assert_eq!(cause::<Staff>(&acme(members)).await, expected, "{members}");
        assert_eq!(cause::<Wrapped>(&acme(members)).await, expected, "{members}, wrapped");
    }
    // The claims of such a type are unknown, and no name is taken from the token.
    assert_eq!(cause::<Flat>(&acme(r#""a":1"#)).await, required("missing `email`"));
    assert_eq!(cause::<Flat>(&acme(r#""email":"a","realm_access":{}"#)).await, required("missing `roles`"));
    assert_eq!(cause::<Flat>(&acme(r#""a":"\u0065mail""#)).await, "the claims do not fit `C`");
    assert_eq!(cause::<Flat>(&acme(r#""email":1"#)).await, "the claims do not fit `C`");
    type Map = std::collections::HashMap<String, String>;
    assert_eq!(cause::<Map>(&acme(r#""email":1"#)).await, "the claims do not fit `C`");
    assert_eq!(cause::<Vec<u8>>(&acme(r#""email":1"#)).await, "the claims do not fit `C`");
    let many = format!(r#""email":"a","many":[{}[]]"#, "[],".repeat(2000));
    assert_eq!(
        cause::<Staff>(&many).await,
        "the payload is not a JSON object, or has too many nested values"
    );
}

/// A wrong setting is the most frequent reason, so the cause names the verifier's requirement.
#[tokio::test]
async fn error_names_the_verifier_requirement() {
    let verifier = verifier().add_audience("orders").require_claim("token_use", "access");
    for (token, expected) in [
        (
            with_claim("iss", json!("https://id.example.com/")),
            "the verifier expects the issuer `https://id.example.com`",
        ),
        (
            with_claim("aud", json!("order")),
            "the verifier expects the audience `https://api.example.com`, `orders`",
        ),
        (good_token(), "the token has no claim `token_use`, and the verifier requires one"),
        (
            with_claim("token_use", json!("id")),
            "the claim `token_use` has another value than the verifier requires",
        ),
        (
            with_claim("token_use", json!(1)),
            "the claim `token_use` is an integer, and the verifier requires a string",
        ),
        (
            with_claim("token_use", json!(["id"])),
            "the claim `token_use` is an array without a string that the verifier requires",
        ),
        (with(r#""token_use":null"#), "the claim `token_use` is `null`, and the verifier requires a string"),
        (
            with_claim("aud", Value::Null),
            "the token has no `aud`, expected `https://api.example.com`, `orders`; if another claim names the API, set \
             JwtVerifier::require_claim for it and insecure_any_audience",
        ),
        (
            with_claim("aud", json!([])),
            "the `aud` of the token is empty, expected `https://api.example.com`, `orders`",
        ),
        (
            with(r#""token_use":"access","cnf":{"jkt":"x"}"#),
            "the token is bound to its sender (`cnf`), and the verifier does not support this binding: set \
             JwtVerifier::dpop or mtls, or insecure_ignore_confirmation if something else checks the sender",
        ),
        (
            {
                let mut claims = claims_with("exp", Value::Null);
                claims["token_use"] = json!("access");
                token(&claims)
            },
            "the token has no `exp`: set one at the issuer, or set JwtVerifier::insecure_allow_missing_expiry",
        ),
        (with_claim("iat", json!("now")), "the claim `iat` is malformed or appears twice"),
        (
            with_header(r#"{"alg":"HS256","typ":"x"}"#),
            "the verifier expects no `typ`, or `JWT` or `at+jwt`: JwtVerifier::token_type accepts another",
        ),
    ] {
        let error = verifier.verify(&token).await.err().unwrap();
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), expected);
    }

    let bare =
        || JwtVerifier::<Value>::new(KeySet::hmac(Algorithm::HS256, SECRET).unwrap()).clock(|| at(NOW));
    for (verifier, token, expected) in [
        (
            bare(),
            good_token(),
            "the token names an audience and the verifier expects none: set JwtVerifier::audience, or \
             insecure_any_audience",
        ),
        (
            bare(),
            with_claim("aud", json!([])),
            "the `aud` of the token is empty, and the verifier expects no `aud`; set \
             JwtVerifier::insecure_any_audience to accept it",
        ),
        (
            verifier.clone().require_claim("level", 1).require_claim("token_use", "access"),
            with(r#""token_use":"access","level":1.0"#),
            "the claim `level` is a number with a fraction or an exponent, and the verifier requires an integer",
        ),
        (
            verifier.clone().require_claim("verified", true),
            with(r#""token_use":"access","verified":"true""#),
            "the claim `verified` is a string, and the verifier requires a boolean",
        ),
        (
            verifier.clone().require_claim("tenant", None::<String>),
            with(r#""token_use":"access""#),
            "the verifier requires `null` as the claim `tenant`, which no token can meet",
        ),
    ] {
        let error = verifier.verify(&token).await.err().unwrap();
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), expected);
    }
}
