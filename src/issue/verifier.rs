//! A verifier in the same process as the issuer.

use serde::de::DeserializeOwned;

use super::TokenIssuer;
use crate::verify::{JwtVerifier, KeyIssuer, KeySource, KeysRef};

impl TokenIssuer {
    /// Creates a verifier that trusts this issuer's keys, also after a rotation.
    ///
    /// It requires the issuer and one of the audiences, and `at+jwt` if the issuer creates only access tokens. It uses
    /// the issuer's clock. It accepts [bound](Self::bound_to) tokens once you set `dpop` or `mtls`.
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

/// The keys of an issuer, including secrets for HMAC.
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
