//! `PUBLIC_URL`: the origin that users see behind a TLS proxy.

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
        let is_one = origin.starts_with("https://") && CsrfLayer::new().add_trusted_origin(origin).is_ok();
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
) -> Result<CsrfLayer<impl Fn(ProtectionError) -> Response + Clone + use<>>, SettingError> {
    let mut layer = CsrfLayer::new();
    if let Some(PublicUrl(origin)) = public_url {
        // The proxy may have changed the `Host` header.
        layer = layer
            .add_trusted_origin(origin)
            .map_err(|error| SettingError::new("PUBLIC_URL", error.to_string()))?;
    }
    Ok(layer.with_rejection_response(|_| ApiError::CrossSite.into_response()))
}
