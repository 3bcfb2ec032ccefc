//! An issuer and the verifier that trusts it, in one process.

use serde::de::DeserializeOwned;

use super::TokenIssuer;
use crate::verify::{JwtVerifier, KeyIssuer, KeySource, KeysRef};

impl TokenIssuer {
    /// A verifier in the same process that trusts this issuer's tokens, whatever keys it is given later. It demands the
    /// issuer and one of the audiences, and `at+jwt` where the issuer makes only such; it goes by the same clock.
    pub fn verifier<C>(&self) -> JwtVerifier<C>
    where
        C: DeserializeOwned + Send + Sync + 'static,
    {
        let mut verifier = JwtVerifier::new(OwnKeys(self.clone()));
        for audience in self.settings.audience.iter() {
            verifier = verifier.add_audience(audience);
        }
        if self.settings.access_tokens {
            verifier = verifier.access_tokens_only();
        }
        match self.settings.clock.clone() {
            Some(clock) => verifier.clock(move || clock()),
            None => verifier,
        }
    }
}

/// The keys of an issuer, and for HMAC the secrets.
struct OwnKeys(TokenIssuer);

impl KeySource for OwnKeys {
    fn current(&self) -> KeysRef<'_> {
        let Self(issuer) = self;
        let published = issuer.keys.at(issuer.now(), issuer.settings.lifetime);
        KeysRef::from(published.verifying.clone())
    }

    fn issuer(&self) -> KeyIssuer<'_> {
        KeyIssuer::Known(&self.0.settings.issuer)
    }
}
