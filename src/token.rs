//! Facts about a token apart from the application's claims.
//!
//! ```
//! use std::time::SystemTime;
//! use tower_jwt_auth::Claims;
//! use tower_jwt_auth::token::TokenInfo;
//!
//! let token = TokenInfo::new().with_issuer("https://id.example.com").with_expires_at(SystemTime::now());
//! let claims = Claims::from_parts("Eze", token);
//! assert_eq!(claims.token().issuer(), Some("https://id.example.com"));
//! ```

pub use crate::binding::{Binding, Thumbprint};
pub use crate::claims::TokenInfo;
pub use crate::registered::NumericDate;
