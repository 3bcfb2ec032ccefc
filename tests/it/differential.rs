//! Compares our verdicts with those of `jsonwebtoken::decode`. Every difference has a named reason.

use std::time::SystemTime;

use jsonwebtoken::{DecodingKey, Validation, decode};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower_jwt_auth::{Algorithm, AuthErrorKind, JwtVerifier, KeySet, Verdict};

use crate::support::{AUDIENCE, ISSUER, SECRET, base64url, for_oracle, sign_parts};

/// A reason to reject a token that `jsonwebtoken` accepts.
#[derive(Debug, PartialEq)]
enum Stricter {
    /// jsonwebtoken requires only claims listed as required. We require whatever is configured.
    IssuerOrAudience,
    /// jsonwebtoken accepts an array of issuers.
    IssuerArray,
    /// jsonwebtoken ignores `typ`, accepts a `crit` that names only `b64`, and reads `null` as a missing
    /// member.
    Header,
    /// jsonwebtoken accepts a JSON array in place of the claims.
    NoObject,
    /// jsonwebtoken does not read claims that it is not told to check: `iat`, `jti`, `sub` and `cnf`. It
    /// reads `null` as a missing `iss` or `aud`.
    WrongType,
    /// jsonwebtoken uses the last of several claims with the same name.
    Duplicate,
    /// jsonwebtoken rounds a fraction up.
    Fraction,
    /// jsonwebtoken compares whole seconds, and accepts a token whose `exp` plus the leeway is this second.
    LastSecond,
    /// jsonwebtoken does not support sender-constrained tokens.
    SenderConstrained,
}

/// A reason to accept a token that `jsonwebtoken` rejects.
#[derive(Debug, PartialEq)]
enum Laxer {
    /// jsonwebtoken reads every header member that it knows, and rejects one of another type. RFC 7515 says
    /// to ignore members that are not understood.
    IgnoredHeaderMember,
    /// jsonwebtoken rejects an `exp` that is negative or exceeds a `u64`, and an `nbf` before 1970.
    ExtremeDate,
    /// jsonwebtoken rounds an `nbf` up.
    Fraction,
    /// jsonwebtoken cannot read past a `sub` that is an array or object. We leave it to the application's
    /// type.
    Subject,
}

/// A token in parts, so that the reason for a difference can be derived from them.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    header: String,
    payload: String,
    /// Damage done after signing.
    damage: Damage,
    now: u64,
}

#[derive(Clone, Debug, PartialEq)]
enum Damage {
    None,
    Byte(usize, u8),
    Cut(usize),
    Append(String),
}

impl Sample {
    pub(crate) fn token(&self) -> String {
        let mut token = sign_parts(&format!("{}.{}", base64url(&self.header), base64url(&self.payload)));
        match &self.damage {
            Damage::None => {}
            Damage::Byte(place, byte) => {
                let place = place % token.len();
                token.replace_range(place..=place, &char::from(*byte).to_string());
            }
            Damage::Cut(len) => token.truncate(len % token.len()),
            Damage::Append(more) => token.push_str(more),
        }
        token
    }

    fn member(text: &str, name: &str) -> Option<Value> {
        serde_json::from_str::<Value>(text).ok()?.get(name).cloned()
    }

    fn claim(&self, name: &str) -> Option<Value> {
        Self::member(&self.payload, name)
    }

    fn stricter(&self, kind: AuthErrorKind) -> Option<Stricter> {
        let is_object = |text: &str| serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object());
        let twice = |name: &str| self.payload.matches(&format!("\"{name}\":")).count() > 1;
        match kind {
            AuthErrorKind::MalformedToken if !is_object(&self.header) => Some(Stricter::NoObject),
            AuthErrorKind::MalformedToken
            | AuthErrorKind::UnsupportedToken
            | AuthErrorKind::WrongTokenType => ["crit", "b64", "typ", "kid"]
                .iter()
                .any(|name| Self::member(&self.header, name).is_some())
                .then_some(Stricter::Header),
            AuthErrorKind::InvalidClaims if !is_object(&self.payload) => Some(Stricter::NoObject),
            AuthErrorKind::InvalidClaims if REGISTERED.iter().any(|name| twice(name)) => {
                Some(Stricter::Duplicate)
            }
            AuthErrorKind::InvalidClaims if self.claim("iss").is_some_and(|iss| iss.is_array()) => {
                Some(Stricter::IssuerArray)
            }
            AuthErrorKind::InvalidClaims => {
                let is = |name, right: fn(&Value) -> bool| self.claim(name).as_ref().is_none_or(right);
                let no_null = ["iss", "aud"].into_iter().all(|name| is(name, |value| !value.is_null()));
                let texts = ["sub", "jti"].into_iter().all(|name| is(name, Value::is_string));
                let is_right = no_null && texts && is("iat", Value::is_number) && is("cnf", Value::is_object);
                (!is_right).then_some(Stricter::WrongType)
            }
            AuthErrorKind::WrongIssuer if self.claim("iss").is_none() => Some(Stricter::IssuerOrAudience),
            AuthErrorKind::WrongAudience if self.claim("aud").is_none() => Some(Stricter::IssuerOrAudience),
            AuthErrorKind::SenderConstrained => self.claim("cnf").map(|_| Stricter::SenderConstrained),
            AuthErrorKind::Expired if self.is_at_the_edge("exp", -60.0) => {
                Some(if self.has_fraction("exp") { Stricter::Fraction } else { Stricter::LastSecond })
            }
            AuthErrorKind::NotYetValid if self.is_at_the_edge("nbf", 60.0) => {
                self.has_fraction("nbf").then_some(Stricter::Fraction)
            }
            _ => None,
        }
    }

    /// Returns true if a date is at the end of the leeway, within the run time of the test.
    fn is_at_the_edge(&self, name: &str, leeway: f64) -> bool {
        let date = self.claim(name).and_then(|date| date.as_f64());
        date.is_some_and(|date| (date - leeway - self.now as f64).abs() <= 3.0)
    }

    fn has_fraction(&self, name: &str) -> bool {
        self.claim(name).and_then(|date| date.as_f64()).is_some_and(|date| date.fract() != 0.0)
    }

    fn laxer(&self) -> Option<Laxer> {
        let odd_header = ["cty", "jku", "jwk", "x5u", "x5c", "x5t", "url", "nonce", "enc", "zip"]
            .iter()
            .any(|name| self.header.contains(&format!("\"{name}\":")));
        if odd_header {
            return Some(Laxer::IgnoredHeaderMember);
        }
        if self.claim("sub").is_some_and(|subject| subject.is_array() || subject.is_object()) {
            return Some(Laxer::Subject);
        }
        if self.is_at_the_edge("nbf", 60.0) && self.has_fraction("nbf") {
            return Some(Laxer::Fraction);
        }
        let extreme = |date: &Value| date.as_f64().is_some_and(|date| !(0.0..1.8e19).contains(&date));
        ["exp", "nbf"]
            .iter()
            .any(|name| self.claim(name).as_ref().is_some_and(extreme))
            .then_some(Laxer::ExtremeDate)
    }
}

const REGISTERED: [&str; 8] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf"];

pub(crate) fn ours() -> JwtVerifier<Value> {
    JwtVerifier::new(KeySet::hmac(Algorithm::HS256, SECRET).unwrap()).issuer(ISSUER).audience(AUDIENCE)
}

fn their_key() -> DecodingKey {
    DecodingKey::from_secret(SECRET).unwrap()
}

fn theirs() -> Validation {
    let mut validation = Validation::new(for_oracle(Algorithm::HS256));
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.validate_nbf = true;
    validation
}

fn assert_same_or_named(sample: &Sample) -> Result<(), TestCaseError> {
    let token = sample.token();
    let Verdict::Ready(ours) = ours().verify(&token) else {
        return Err(TestCaseError::fail("local keys are never waited for"));
    };
    let theirs = decode::<Value>(&token, &their_key(), &theirs());
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => prop_assert_eq!(&*ours, &theirs.claims, "{:?}", sample),
        (Err(_), Err(_)) => {}
        (Err(error), Ok(_)) => {
            prop_assert!(sample.stricter(error.kind()).is_some(), "we reject: {:?}, {:?}", error, sample);
        }
        (Ok(_), Err(error)) => {
            prop_assert!(sample.laxer().is_some(), "we accept, they say {:?}: {:?}", error, sample);
        }
    }
    Ok(())
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// Returns JSON texts for the value of a member, including good ones.
fn value(good: Vec<String>) -> impl Strategy<Value = String> {
    let odd = [
        "null", "true", "1", "-1", "1.5", "\"\"", "\"x\"", "[]", "{}", "[1]", "[\"x\"]", "[[]]", "1e400",
        "NaN",
    ];
    let odd: Vec<_> = odd.into_iter().map(str::to_owned).collect();
    prop_oneof![8 => proptest::sample::select(good), 1 => proptest::sample::select(odd)]
}

fn dates() -> Vec<String> {
    let now = now();
    let near = (0..5).flat_map(|n| [now - 3600 * n, now + 3600 * n, now - 62 + n, now + 58 + n]);
    let odd = ["0", "-5", "1e300", "-1e300", "18446744073709551616", "9007199254740993.5"].map(str::to_owned);
    near.flat_map(|date| [date.to_string(), format!("{date}.5"), format!("{date}.0")]).chain(odd).collect()
}

fn strings(own: &str) -> Vec<String> {
    let quoted = |text: &str| Value::from(text).to_string();
    let array = |texts: &[&str]| json!(texts).to_string();
    vec![
        quoted(own),
        quoted(own),
        quoted(own),
        quoted(&own.to_uppercase()),
        quoted(&format!("{own} ")),
        array(&[own]),
        array(&[own, "x"]),
        array(&["x"]),
        quoted(own).replace("https", "\\u0068ttps"),
    ]
}

/// Returns an object with some of the members in any order, possibly with a duplicate.
fn object(members: Vec<(&'static str, u32, BoxedStrategy<String>)>) -> impl Strategy<Value = String> {
    let members: Vec<_> = members
        .into_iter()
        .map(|(name, weight, value)| {
            proptest::option::weighted(f64::from(weight) / 100.0, value)
                .prop_map(move |value| value.map(|value| format!("\"{name}\":{value}")))
        })
        .collect();
    (members, any::<prop::sample::Index>(), 0..30u8).prop_map(|(members, place, twice)| {
        let mut members: Vec<_> = members.into_iter().flatten().collect();
        if twice == 0 && !members.is_empty() {
            let again = members[place.index(members.len())].clone();
            members.push(again);
        }
        format!("{{{}}}", members.join(","))
    })
}

fn headers() -> impl Strategy<Value = String> {
    let select = |texts: &[&str]| value(texts.iter().map(|text| (*text).to_owned()).collect()).boxed();
    let header = object(vec![
        (
            "alg",
            98,
            select(&[
                "\"HS256\"",
                "\"HS256\"",
                "\"HS256\"",
                "\"HS256\"",
                "\"HS384\"",
                "\"none\"",
                "\"hs256\"",
            ]),
        ),
        ("typ", 50, select(&["\"JWT\"", "\"at+jwt\"", "\"application/jwt\"", "\"secevent+jwt\""])),
        ("kid", 20, select(&["\"k1\"", "\"\""])),
        ("crit", 5, select(&["[\"b64\"]", "[]"])),
        ("b64", 5, select(&["true", "false"])),
        ("jku", 5, select(&["\"https://evil.example\""])),
        ("zip", 3, select(&["\"DEF\""])),
    ]);
    prop_oneof![30 => header, 1 => proptest::sample::select(vec!["[\"HS256\"]".to_owned(), "1".to_owned(), String::new()])]
}

fn payloads() -> impl Strategy<Value = String> {
    let claims = object(vec![
        ("iss", 93, value(strings(ISSUER)).boxed()),
        ("aud", 93, value(strings(AUDIENCE)).boxed()),
        ("exp", 95, value(dates()).boxed()),
        ("nbf", 40, value(dates()).boxed()),
        ("iat", 40, value(dates()).boxed()),
        ("sub", 40, value(strings("42")).boxed()),
        ("cnf", 3, value(vec!["{}".to_owned()]).boxed()),
    ]);
    prop_oneof![30 => claims, 1 => proptest::sample::select(vec!["[]".to_owned(), "1".to_owned(), String::new()])]
}

pub(crate) fn samples() -> impl Strategy<Value = Sample> {
    let damage = prop_oneof![
        8 => Just(Damage::None),
        1 => (any::<usize>(), 0x20..0x7f_u8).prop_map(|(place, byte)| Damage::Byte(place, byte)),
        1 => any::<usize>().prop_map(Damage::Cut),
        1 => "[A-Za-z0-9_=. -]{1,5}".prop_map(Damage::Append),
    ];
    (headers(), payloads(), damage).prop_map(|(header, payload, damage)| Sample {
        header,
        payload,
        damage,
        now: now(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn differs_from_jsonwebtoken_only_for_named_reasons(sample in samples()) {
        assert_same_or_named(&sample)?;
    }
}

/// For each named reason there is a token on which the two differ.
#[test]
fn every_named_reason_occurs() {
    let now = now();
    let sample = |header: &str, payload: &str| Sample {
        header: header.to_owned(),
        payload: payload.to_owned(),
        damage: Damage::None,
        now,
    };
    let plain = r#"{"alg":"HS256"}"#;
    let claims = |more: &str| format!(r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}"{more}}}"#);
    let exp = format!(r#","exp":{}"#, now + 300);
    let good = claims(&exp);
    let rows = [
        (Stricter::IssuerOrAudience, sample(plain, &good.replace(r#""iss""#, r#""x""#))),
        (Stricter::IssuerOrAudience, sample(plain, &good.replace(r#""aud""#, r#""x""#))),
        (
            Stricter::IssuerArray,
            sample(plain, &good.replace(&format!("\"{ISSUER}\""), &format!("[\"{ISSUER}\"]"))),
        ),
        (Stricter::Header, sample(r#"{"alg":"HS256","crit":["b64"],"b64":true}"#, &good)),
        (Stricter::Header, sample(r#"{"alg":"HS256","crit":null}"#, &good)),
        (Stricter::Header, sample(r#"{"alg":"HS256","typ":"secevent+jwt"}"#, &good)),
        (Stricter::NoObject, sample(plain, &format!(r#"[{},1,null,"{ISSUER}","{AUDIENCE}"]"#, now + 300))),
        (Stricter::WrongType, sample(plain, &claims(&format!(r#"{exp},"iat":null"#)))),
        (Stricter::WrongType, sample(plain, &good.replace(&format!("\"{ISSUER}\""), "null"))),
        (Stricter::Duplicate, sample(plain, &claims(&format!(r#"{exp},"jti":"a","jti":"b""#)))),
        (Stricter::Fraction, sample(plain, &claims(&format!(r#","exp":{}.6"#, now - 61)))),
        (Stricter::LastSecond, sample(plain, &claims(&format!(r#","exp":{}"#, now - 60)))),
        (Stricter::SenderConstrained, sample(plain, &claims(&format!(r#"{exp},"cnf":{{}}"#)))),
    ];
    for (reason, sample) in rows {
        let Verdict::Ready(Err(error)) = ours().verify(&sample.token()) else {
            panic!("{reason:?}: we accept {sample:?}");
        };
        let theirs = decode::<Value>(sample.token(), &their_key(), &theirs());
        assert!(theirs.is_ok(), "{reason:?}: they reject {sample:?}");
        assert_eq!(sample.stricter(error.kind()), Some(reason), "{sample:?}");
    }
    let rows = [
        (Laxer::IgnoredHeaderMember, sample(r#"{"alg":"HS256","cty":1}"#, &good)),
        (Laxer::Subject, sample(plain, &claims(&format!(r#"{exp},"sub":["42"]"#)))),
        (Laxer::ExtremeDate, sample(plain, &claims(r#","exp":1e300"#))),
        (Laxer::ExtremeDate, sample(plain, &claims(&format!(r#"{exp},"nbf":-5"#)))),
    ];
    for (reason, sample) in rows {
        assert!(matches!(ours().verify(&sample.token()), Verdict::Ready(Ok(_))), "{reason:?}: we reject");
        let theirs = decode::<Value>(sample.token(), &their_key(), &theirs());
        assert!(theirs.is_err(), "{reason:?}: they accept");
        assert_eq!(sample.laxer(), Some(reason));
    }
}
