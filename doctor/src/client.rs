//! The HTTP client that the command line configures.

use std::path::PathBuf;

use clap::Args;
use tower_jwt_auth::jwks::HttpsClient;

use crate::files;
use crate::outcome::Failure;

/// How to reach the provider.
#[derive(Args, Debug)]
pub(crate) struct ClientArguments {
    /// Trust the certificate authorities in this PEM file, too
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Send requests through this proxy (http:// or https://)
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<String>,
    /// Allow http:// to other machines: anyone on the network path can then replace the keys
    #[arg(long)]
    pub(crate) insecure_plain_http: bool,
}

impl ClientArguments {
    pub(crate) fn client(&self) -> Result<HttpsClient, Failure> {
        let mut client = HttpsClient::new();
        if let Some(path) = &self.ca_file {
            client = client.add_root_certificates(files::read(path)?)?;
        }
        if let Some(proxy) = &self.proxy {
            client = client.proxy(proxy)?;
        }
        Ok(if self.insecure_plain_http { client.insecure_allow_plain_http() } else { client })
    }
}
