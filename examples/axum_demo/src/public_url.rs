//! `PUBLIC_URL`: where people reach the demo, if something in front of it speaks https.

use axum::response::{IntoResponse, Response};
use tower_http::csrf::{CsrfLayer, ProtectionError};

use crate::error::ApiError;
use crate::settings::SettingError;

/// An origin of https, as browsers write it.
#[derive(Clone, Debug)]
pub(crate) struct PublicUrl(String);

impl PublicUrl {
    pub(crate) fn new(url: &str) -> Result<Self, SettingError> {
        let url = url.to_ascii_lowercase();
        let origin = url.strip_suffix('/').unwrap_or(&url);
        let origin = origin.strip_suffix(":443").unwrap_or(origin);
        let is_one = origin.starts_with("https://") && CsrfLayer::new().add_trusted_origin(origin).is_ok();
        if !is_one {
            let problem = "must be https, a host and perhaps a port, as in https://demo.example.com";
            return Err(SettingError::new("PUBLIC_URL", problem));
        }
        Ok(Self(origin.to_owned()))
    }
}

/// Refuses what the page of another site has a browser send.
pub(crate) fn csrf_layer(
    public_url: Option<&PublicUrl>,
) -> Result<CsrfLayer<impl Fn(ProtectionError) -> Response + Clone + use<>>, SettingError> {
    let mut layer = CsrfLayer::new();
    if let Some(PublicUrl(origin)) = public_url {
        // What is in front may have changed the host that the request names.
        layer = layer
            .add_trusted_origin(origin)
            .map_err(|error| SettingError::new("PUBLIC_URL", error.to_string()))?;
    }
    Ok(layer.with_rejection_response(|_| ApiError::CrossSite.into_response()))
}
