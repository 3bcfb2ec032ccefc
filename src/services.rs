//! The services that the layers create, and their response futures.
//!
//! You need these names only to store a service in your own struct. [`JwtAuth`](crate::JwtAuth) is the service of
//! [`JwtAuthLayer`](crate::JwtAuthLayer).
//!
//! ```
//! use tower_jwt_auth::RequireLayer;
//! use tower_jwt_auth::policy::{ClaimEquals, Rule, claim};
//! use tower_jwt_auth::services::RequireService;
//! use tower_layer::Layer;
//!
//! struct Server<S> {
//!     service: RequireService<S, serde_json::Value, Rule<ClaimEquals>>,
//! }
//!
//! let layer = RequireLayer::<serde_json::Value>::new(claim("tenant", "acme"));
//! let server = Server { service: layer.layer("the inner service") };
//! assert_eq!(*server.service.get_ref(), "the inner service");
//! ```

#[cfg(feature = "mtls")]
pub use crate::forwarded_certificate::ClientCertificateService;
pub use crate::future::ResponseFuture;
pub use crate::principal::{PrincipalFuture, PrincipalService};
pub use crate::public_json::JsonFuture;
pub use crate::require::{RequireFuture, RequireService};
