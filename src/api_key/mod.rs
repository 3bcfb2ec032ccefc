//! API keys (feature `api-keys`).
