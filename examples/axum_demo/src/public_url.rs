//! `PUBLIC_URL`: the origin that users see behind a TLS proxy.

use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use tower_http::csrf::{CsrfLayer, ProtectionError};

use crate::error::ApiError;
use crate::settings::SettingError;

/// An https origin as browsers write it.
#[derive(Clone, Debug)]
pub(crate) struct PublicUrl(String);

impl PublicUrl {
    pub(crate) fn new(url: &str) -> Result<Self, SettingError> {
        let url = url.to_ascii_lowercase();
        let origin = url.strip_suffix('/').unwrap_or(&url);
        let origin = origin.strip_suffix(":443").unwrap_or(origin);
        // Rules out wildcards. Brackets and colons are those of IPv6 addresses.
        let is_for_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
        let is_one = origin.parse::<Uri>().is_ok_and(|url| {
            let host = url.host().unwrap_or_default();
            let port = url.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
            // The form that browsers send, without user info, path and query.
            host.bytes().all(is_for_host)
                && origin == format!("https://{host}{port}")
                && CsrfLayer::new().add_trusted_origin(origin).is_ok()
        });
        if !is_one {
            let problem =
                "must be https:// with a host and optionally a port, such as https://demo.example.com";
            return Err(SettingError::new("PUBLIC_URL", problem));
        }
        Ok(Self(origin.to_owned()))
    }
}

/// Rejects requests that the pages of other sites send (CSRF).
pub(crate) fn csrf_layer(
    public_url: Option<&PublicUrl>,
) -> CsrfLayer<impl Fn(ProtectionError) -> Response + Clone + use<>> {
    let mut layer = CsrfLayer::new();
    if let Some(PublicUrl(origin)) = public_url {
        // The proxy may have changed the `Host` header.
        layer = layer.add_trusted_origin(origin).expect("`PublicUrl::new` checked the origin");
    }
    layer.with_rejection_response(|_| ApiError::CROSS_SITE.into_response())
}
