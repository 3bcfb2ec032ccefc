//! Tables of all problems: each has its cause and its cure.

use super::super::audience_advice::Audience;
use super::super::claim_advice::{ClaimProblem, claim};
use super::super::key_advice::{KeyProblem, UnknownKey, WrongSignature, key};
use super::*;

const UNKNOWN: UnknownKey<'_> = UnknownKey {
    kid: Some("k9"),
    algorithm: Algorithm::RS256,
    held: &[Algorithm::ES256],
    can_refresh: true,
    other_issuer: None,
    has_nameless: false,
    purpose: Purpose::Access,
};

const SIGNATURE: WrongSignature = WrongSignature {
    algorithm: Algorithm::RS256,
    purpose: Purpose::Access,
    untried: None,
    has_kid: true,
    is_cut_off: false,
};

/// Asserts that the cause and the cure contain these words.
#[track_caller]
fn assert_says(advice: &Advice, cause: &str, cure: &str) {
    assert!(advice.cause.contains(cause), "no {cause:?} in {advice:?}");
    assert!(advice.cure.contains(cure), "no {cure:?} in {advice:?}");
    for text in [&advice.cause, &advice.cure] {
        assert!(text.len() > 10 && !text.ends_with('.') && !text.contains('\n'), "{advice:?}");
    }
}

#[test]
fn every_form_has_cause_and_cure() {
    for (problem, cause, cure) in [
        (
            FormProblem::TooLarge { bytes: 20_000, limit: 16_384 },
            "20000 bytes",
            "JwtVerifier::max_token_bytes",
        ),
        (FormProblem::Scheme, "`Bearer `", "without the scheme"),
        (FormProblem::Quotes, "quotation marks", "remove"),
        (FormProblem::WhiteSpace, "white space", "remove"),
        (FormProblem::Empty, "empty", "variable"),
        (FormProblem::Opaque, "opaque", "`audience`"),
        (FormProblem::CutOff, "cut off", "whole token"),
        (FormProblem::Encrypted, "JWE", "encryption off"),
        (FormProblem::OtherParts, "three parts", "compact serialization"),
        (FormProblem::Padded, "`=`", "without padding"),
        (FormProblem::PlainBase64, "`+` or `/`", "base64url"),
        (FormProblem::NotBase64url("payload"), "the payload", "whole token"),
    ] {
        assert_says(&form(problem), cause, cure);
    }
}

#[test]
fn every_header_has_cause_and_cure() {
    let (only, access, usual) = (Types::Only("logout+jwt".to_owned()), Types::AccessTokens, Types::Usual);
    let typed = |types, found, purpose| HeaderProblem::Type { types, found, purpose };
    let not_accepted =
        |purpose| HeaderProblem::NotAccepted { algorithm: Algorithm::HS512, accepted: "`RS256`", purpose };
    for (problem, cause, cure) in [
        (HeaderProblem::NotJson, "not a JSON object", "whole token"),
        (HeaderProblem::Members, "no `alg`", "once"),
        (HeaderProblem::Extension, "`crit`", "turn the extension off"),
        (typed(&usual, Some("dpop+jwt"), Purpose::Access), "`dpop+jwt`", "JwtVerifier::token_type"),
        (typed(&access, None, Purpose::Access), "no `typ`", "access_tokens_only"),
        (typed(&access, Some("JWT"), Purpose::Id), "ID token", "access token"),
        (typed(&access, Some("JWT"), Purpose::Refresh), "refresh token", "access token"),
        (typed(&only, Some("JWT"), Purpose::Access), "`logout+jwt`", "JwtVerifier::token_type"),
        (HeaderProblem::Unsigned, "not signed", "sign"),
        (HeaderProblem::UnknownAlgorithm { name: "rs256" }, "case-sensitive", "capitals"),
        (HeaderProblem::UnknownAlgorithm { name: "ES256K" }, "`ES256K`", "ES256"),
        (HeaderProblem::NothingAccepted, "is empty", "list at least one"),
        (not_accepted(Purpose::Access), "accepts only `RS256`", "JwtVerifier::algorithms"),
        (not_accepted(Purpose::Refresh), "refresh token", "access token"),
    ] {
        assert_says(&header(&problem), cause, cure);
    }
}

#[test]
fn every_key_has_cause_and_cure() {
    let (rsa, secrets) = ([Algorithm::RS256], [Algorithm::HS256]);
    let other = |algorithm, is_assumed| KeyProblem::OtherAlgorithm { algorithm, held: &rsa, is_assumed };
    let unknown = KeyProblem::Unknown;
    let signature = KeyProblem::Signature;
    for (problem, cause, cure) in [
        (KeyProblem::NoKeys, "no keys", "RemoteKeys"),
        (KeyProblem::Skipped { reasons: "its `use` is not `sig`" }, "`use`", "JwksRules"),
        (other(Algorithm::PS256, true), "without `alg`", "JwksRules::rsa_algorithm"),
        (other(Algorithm::PS256, false), "serves `RS256`", "configure the key"),
        (other(Algorithm::ES256, true), "serves `RS256`", "configure the key"),
        (unknown(UNKNOWN), "`k9`", "whose keys are fetched"),
        (unknown(UnknownKey { can_refresh: false, ..UNKNOWN }), "`k9`", "use RemoteKeys"),
        (unknown(UnknownKey { kid: None, ..UNKNOWN }), "no `kid`", "for this algorithm"),
        (
            unknown(UnknownKey { has_nameless: true, ..UNKNOWN }),
            "without `kid` in a JWK set",
            "into the JWK set",
        ),
        (unknown(UnknownKey { other_issuer: Some("https://a"), ..UNKNOWN }), "`https://a`", "tenant"),
        (unknown(UnknownKey { purpose: Purpose::Refresh, ..UNKNOWN }), "refresh token", "access token"),
        (unknown(UnknownKey { held: &secrets, ..UNKNOWN }), "only secrets", "KeySet::jwks"),
        (unknown(UnknownKey { algorithm: Algorithm::HS256, ..UNKNOWN }), "only public keys", "KeySet::hmac"),
        (KeyProblem::Unavailable { reason: "timed out" }, "timed out", "proxy"),
        (signature(SIGNATURE), "has not signed", "environment"),
        (signature(WrongSignature { algorithm: Algorithm::HS256, ..SIGNATURE }), "no secret", "Base64"),
        (signature(WrongSignature { purpose: Purpose::Graph, ..SIGNATURE }), "Microsoft Graph", "api://"),
        (signature(WrongSignature { is_cut_off: true, ..SIGNATURE }), "cut off", "whole token"),
        (signature(WrongSignature { untried: Some(9), ..SIGNATURE }), "9 keys", "its own `kid`"),
        (signature(WrongSignature { untried: Some(9), has_kid: false, ..SIGNATURE }), "9 keys", "header"),
    ] {
        assert_says(&key(&problem), cause, cure);
    }
}

#[test]
fn every_claim_has_cause_and_cure() {
    let seconds = std::time::Duration::from_secs;
    let leeway = seconds(60);
    let api = ["https://api".to_owned()];
    let issuer = |received, expected| ClaimProblem::Issuer { received, expected };
    let none = Audience {
        received: None,
        expected: &api,
        purpose: Purpose::Access,
        client: None,
        is_cognito: false,
    };
    let not_bound = |is_dpop, has_certificate| ClaimProblem::NotBound { is_dpop, has_certificate };
    let wrong_type = |claim| ClaimProblem::WrongType { claim, received: "{}" };
    for (problem, cause, cure) in [
        (ClaimProblem::NotJson, "not a JSON object", "UTF-8"),
        (ClaimProblem::TooNested, "too many", "fewer"),
        (ClaimProblem::PrivateName, "$serde_json", "remove"),
        (wrong_type("exp"), "`exp` is `{}`", "a JSON number"),
        (wrong_type("aud"), "`aud` is `{}`", "name of the API"),
        (wrong_type("iss"), "`iss` is `{}`", "URL"),
        (wrong_type("sid"), "`sid` is `{}`", "revocations"),
        (ClaimProblem::Twice { claim: "sub" }, "appears twice", "once"),
        (ClaimProblem::Misfit { reason: "missing claim `email`" }, "`email`", "`Option`"),
        (issuer(None, &api), "no `iss`", "insecure_any_issuer"),
        (issuer(None, &[]), "is not set", "JwtVerifier::issuer"),
        (issuer(Some("https://id"), &[]), "is not set", "`https://id`"),
        (ClaimProblem::Audience(none), "no `aud`", "audience mapper"),
        (ClaimProblem::Audience(Audience { client: Some("web"), ..none }), "`client_id`", "`web`"),
        (ClaimProblem::Audience(Audience { is_cognito: true, ..none }), "Cognito", "CLIENT_ID"),
        (
            ClaimProblem::Audience(Audience { received: Some(&[]), expected: &[], ..none }),
            "empty array",
            "no `aud`",
        ),
        (ClaimProblem::Required { reason: "no claim `a`", purpose: Purpose::Access }, "`a`", "require_claim"),
        (ClaimProblem::Required { reason: "no claim `a`", purpose: Purpose::Id }, "ID token", "access token"),
        (
            ClaimProblem::Required { reason: "no claim `a`", purpose: Purpose::Refresh },
            "refresh",
            "access token",
        ),
        (ClaimProblem::Confirmation { member: Some("jkt") }, "DPoP", "set JwtVerifier::dpop"),
        (ClaimProblem::Confirmation { member: Some("x5t#S256") }, "certificate", "set JwtVerifier::mtls"),
        (ClaimProblem::Confirmation { member: None }, "RFC 7800", "insecure_ignore_confirmation"),
        (ClaimProblem::MalformedConfirmation, "SHA-256 hashes", "RFC 9449"),
        (ClaimProblem::SentAsBearer, "as a bearer token", "`Authorization: DPoP TOKEN`"),
        (not_bound(true, false), "with the scheme `DPoP`", "requests the token"),
        (not_bound(false, false), "requires a bound one", "requests the token"),
        (not_bound(true, true), "not to a key", "the client certificate"),
        (
            ClaimProblem::MissingExpiry { purpose: Purpose::Access },
            "no `exp`",
            "insecure_allow_missing_expiry",
        ),
        (ClaimProblem::MissingExpiry { purpose: Purpose::Refresh }, "refresh token", "access token"),
        (
            ClaimProblem::Early { by: seconds(90), seconds: seconds(1), leeway },
            "1 min 30 s",
            "JwtVerifier::leeway",
        ),
        (ClaimProblem::Early { by: seconds(9000), seconds: seconds(1), leeway }, "2 h 30 min", "later"),
        (ClaimProblem::Expired { ago: seconds(90), leeway }, "1 min 30 s", "JwtVerifier::leeway"),
        (ClaimProblem::Expired { ago: seconds(9000), leeway }, "2 h 30 min", "refresh token"),
        (ClaimProblem::Clock, "before 1970", "set the clock"),
        (ClaimProblem::Revoked, "revocations", "sign in again"),
        (ClaimProblem::RevocationsUnavailable, "disconnected", "store"),
    ] {
        assert_says(&claim(&problem), cause, cure);
    }
}

#[test]
fn every_kind_has_cause_and_cure() {
    for of in AuthErrorKind::ALL {
        assert_says(&kind(of, None), &of.to_string(), "");
        assert_says(&kind(of, Some("a reason")), "a reason", "");
    }
}
