//! What is special about some providers.

use http::Uri;

/// A provider whose tokens need other settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Auth0,
    Cognito,
    EntraVersion1,
    EntraVersion2,
    EntraOtherTenants,
    Google,
    Keycloak,
    OktaOrganization,
    Okta,
}

impl Known {
    /// Recognizes a provider by its issuer.
    pub(crate) fn of(issuer: &str) -> Option<Self> {
        // The braces of a pattern such as `{tenantid}` are not allowed in a URL.
        let uri: Uri = issuer.replace(['{', '}'], "").parse().ok()?;
        let (host, path) = (uri.host()?.to_ascii_lowercase(), uri.path());
        let is_below = |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
        let is_shared = ["/common", "/organizations", "/consumers", "/tenantid"];
        match host.as_str() {
            "login.microsoftonline.com" | "login.microsoftonline.us" | "sts.windows.net"
                if is_shared.iter().any(|shared| path.starts_with(shared)) =>
            {
                Some(Self::EntraOtherTenants)
            }
            "sts.windows.net" => Some(Self::EntraVersion1),
            "login.microsoftonline.com" | "login.microsoftonline.us" => {
                Some(if path.contains("/v2.0") { Self::EntraVersion2 } else { Self::EntraVersion1 })
            }
            "accounts.google.com" => Some(Self::Google),
            _ if host.starts_with("cognito-idp.") && is_below("amazonaws.com") => Some(Self::Cognito),
            _ if is_below("auth0.com") => Some(Self::Auth0),
            _ if is_below("okta.com") || is_below("oktapreview.com") => {
                Some(if path.starts_with("/oauth2/") { Self::Okta } else { Self::OktaOrganization })
            }
            _ if path.contains("/realms/") => Some(Self::Keycloak),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Auth0 => "Auth0",
            Self::Cognito => "Cognito",
            Self::EntraVersion1 | Self::EntraVersion2 | Self::EntraOtherTenants => "Entra ID",
            Self::Google => "Google",
            Self::Keycloak => "Keycloak",
            Self::OktaOrganization | Self::Okta => "Okta",
        }
    }

    /// Returns what to know before configuring the verifier.
    pub(crate) fn notes(self) -> &'static [&'static str] {
        match self {
            Self::Auth0 => &[
                "The issuer ends in a slash.",
                "An access token is a JWT only if the client asks for your API (`audience`). Other ones are opaque.",
            ],
            Self::Cognito => &[
                "Access tokens have no `aud`: require `client_id` instead of an audience.",
                "Require `token_use` = `access`, so that ID tokens are rejected.",
            ],
            Self::EntraVersion1 => &[
                "This is the issuer of version 1. Its tokens have `iss` `https://sts.windows.net/TENANT/`.",
                "For version 2 set `requestedAccessTokenVersion` to 2 in the API's manifest, \
                 and configure `https://login.microsoftonline.com/TENANT/v2.0`.",
            ],
            Self::EntraVersion2 => &[
                "Access tokens may still be of version 1, with `iss` `https://sts.windows.net/TENANT/` and \
                 `aud` `api://APPLICATION_ID`.",
                "Set `requestedAccessTokenVersion` to 2 in the API's manifest, or add that issuer and audience.",
                "`aud` of version 2 is the application's ID, a GUID.",
            ],
            Self::EntraOtherTenants => &[
                "This is the document of many tenants. Configure the issuer of your tenant: \
                 `https://login.microsoftonline.com/TENANT/v2.0`.",
                "For several tenants use Issuers or IssuerResolver with a verifier for each.",
            ],
            Self::Google => &[
                "These are ID tokens: the audience is your client ID. Google's access tokens are opaque.",
                "Some tokens have `iss` without `https://`: add_issuer(\"accounts.google.com\").",
            ],
            Self::Keycloak => &[
                "Without an audience mapper for your API, `aud` is `account`, as in the tokens of other clients.",
                "Require `typ` = `Bearer`, so that ID and refresh tokens are rejected.",
                "DPoP-bound tokens have `typ` = `DPoP`: accept this value as well if you accept them.",
            ],
            Self::OktaOrganization => &[
                "This is the organization's own authorization server. Only Okta can verify its access tokens.",
                "Configure a custom one, such as `https://DOMAIN/oauth2/default`.",
            ],
            Self::Okta => &["The audience is the one of the authorization server, such as `api://default`."],
        }
    }

    /// Returns the claims to require, with placeholders.
    pub(crate) fn required_claims(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Cognito => &[("client_id", "CLIENT_ID"), ("token_use", "access")],
            Self::Keycloak => &[("typ", "Bearer")],
            _ => &[],
        }
    }

    /// Returns true if access tokens name no audience.
    pub(crate) fn has_no_audience(self) -> bool {
        self == Self::Cognito
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognizes_issuers() {
        for (issuer, expected) in [
            ("https://acme.eu.auth0.com/", Some(Known::Auth0)),
            ("https://auth0.com.example/", None),
            ("https://notauth0.com/", None),
            ("https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_a", Some(Known::Cognito)),
            ("https://login.microsoftonline.com/8e1f/v2.0", Some(Known::EntraVersion2)),
            ("https://login.microsoftonline.com/8e1f", Some(Known::EntraVersion1)),
            ("https://sts.windows.net/8e1f/", Some(Known::EntraVersion1)),
            ("https://login.microsoftonline.com/{tenantid}/v2.0", Some(Known::EntraOtherTenants)),
            ("https://login.microsoftonline.com/common/v2.0", Some(Known::EntraOtherTenants)),
            ("https://accounts.google.com", Some(Known::Google)),
            ("https://id.example.com/realms/shop", Some(Known::Keycloak)),
            ("https://acme.okta.com", Some(Known::OktaOrganization)),
            ("https://acme.okta.com/oauth2/default", Some(Known::Okta)),
            ("https://id.example.com", None),
            ("acme", None),
        ] {
            assert_eq!(Known::of(issuer), expected, "{issuer}");
        }
    }
}
