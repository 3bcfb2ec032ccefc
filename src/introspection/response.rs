//! The introspection response (RFC 7662, section 2.2).

use serde::Deserialize;

use crate::claims::Claims;
use crate::error::{AuthError, FixedCause};
use crate::kind::AuthErrorKind;
use crate::verify::json::{self, Loose};
use crate::verify::{Rules, SENDER_CONSTRAINED};

/// Returns the value of `active`, or an error if the response is not one about a token.
pub(super) fn is_active(response: &[u8]) -> Result<bool, &'static str> {
    #[derive(Deserialize)]
    struct Active {
        active: bool,
    }

    json::object::<Active>(response).map(|response| response.active).ok_or(NOT_A_RESPONSE)
}

const NOT_A_RESPONSE: &str = "the introspection response is not a JSON object with one boolean `active`";

/// The error for an inactive token.
pub(super) fn inactive() -> AuthError {
    AuthError::new(AuthErrorKind::InvalidToken).because(INACTIVE).proven()
}

const INACTIVE: &FixedCause = &FixedCause(
    "the provider says that the token is not active: it is unknown, expired or revoked, or this service must not introspect it",
);

/// The members that tell access tokens from others.
#[derive(Deserialize)]
struct Marks<'a> {
    #[serde(borrow, default, deserialize_with = "json::some")]
    token_type: Option<Loose<'a>>,
    #[serde(borrow, default, deserialize_with = "json::some")]
    token_use: Option<Loose<'a>>,
    #[serde(borrow, default, deserialize_with = "json::some")]
    typ: Option<Loose<'a>>,
}

/// Rejects everything except access tokens of a supported type.
pub(super) fn judge_type(
    response: &str,
    rules: &Rules,
    needs_token_type: bool,
) -> Result<TokenType, AuthError> {
    let reject = |kind, cause| Err(AuthError::new(kind).because(cause).proven());
    let Ok(Marks { token_type, token_use, typ }) = serde_json::from_str::<Marks<'_>>(response) else {
        return reject(AuthErrorKind::InvalidClaims, DUPLICATE_MARK);
    };
    let has = |member: &Option<Loose<'_>>, values: &[&str]| {
        let text = member.as_ref().and_then(Loose::as_text);
        text.is_some_and(|text| values.iter().any(|value| text.eq_ignore_ascii_case(value)))
    };
    if token_type.is_none() && needs_token_type {
        return reject(AuthErrorKind::WrongTokenType, NO_TYPE);
    }
    let is_dpop = has(&token_type, &["DPoP"]);
    if token_type.is_some() && !has(&token_type, &["Bearer"]) {
        if !is_dpop {
            return reject(AuthErrorKind::WrongTokenType, OTHER_TYPE);
        }
        if !rules.accepts_dpop() {
            return reject(AuthErrorKind::SenderConstrained, &FixedCause(SENDER_CONSTRAINED));
        }
    }
    if has(&token_use, NO_ACCESS_TOKEN_USE) || has(&typ, NO_ACCESS_TOKEN_TYPE) {
        return reject(AuthErrorKind::WrongTokenType, NO_ACCESS_TOKEN);
    }
    Ok(if is_dpop { TokenType::Dpop } else { TokenType::Bearer })
}

/// The `token_type` of a token. `Bearer` if it is missing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenType {
    Bearer,
    Dpop,
}

/// Rejects a token of the type `DPoP` that the response does not bind to a key: it would be accepted as a bearer token.
pub(super) fn judge_binding<C>(
    token_type: TokenType,
    claims: &Claims<C>,
    rules: &Rules,
) -> Result<(), AuthError> {
    let is_bound = claims.token().binding().is_some_and(|binding| binding.key().is_some());
    if token_type == TokenType::Dpop && !is_bound && !rules.expected.ignore_confirmation {
        return Err(AuthError::new(AuthErrorKind::SenderConstrained).because(NO_BINDING).proven());
    }
    Ok(())
}

/// The `token_use` of Ory Hydra and others.
const NO_ACCESS_TOKEN_USE: &[&str] = &["refresh_token", "refresh", "id_token", "id"];
/// The `typ` of Keycloak.
const NO_ACCESS_TOKEN_TYPE: &[&str] = &["Refresh", "Offline", "ID", "Logout"];

const DUPLICATE_MARK: &FixedCause =
    &FixedCause("the introspection response has `token_type`, `token_use` or `typ` twice");
const NO_BINDING: &FixedCause = &FixedCause(
    "the `token_type` of the introspection response is `DPoP`, but it has no `cnf` with `jkt` (RFC 9449, section 6.2)",
);
const NO_TYPE: &FixedCause = &FixedCause(
    "the introspection response has no `token_type`, as for a refresh token: Introspection::access_tokens_only requires it",
);
const OTHER_TYPE: &FixedCause = &FixedCause("the `token_type` of the introspection response is not `Bearer`");
const NO_ACCESS_TOKEN: &FixedCause = &FixedCause(
    "the introspection response is about a refresh token or an ID token (`token_use` or `typ`); send an access token",
);
