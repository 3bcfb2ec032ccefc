//! The processor features that graviola requires.

use super::unsupported;
use crate::algorithm::Algorithm;
use crate::config_error::ConfigError;

/// Rejects processors on which graviola would panic.
pub(super) fn usable_here(algorithm: Algorithm) -> Result<(), ConfigError> {
    check_processor(algorithm, &processor())
}

/// Rejects a processor that lacks one of the features, and names the first one.
fn check_processor(algorithm: Algorithm, features: &[Feature]) -> Result<(), ConfigError> {
    match features.iter().find(|(_, present)| !present) {
        Some((missing, _)) => Err(unsupported(algorithm, PROCESSOR, format!("one without {missing}"))),
        None => Ok(()),
    }
}

/// The name of a required feature, and true if this processor has it.
type Feature = (&'static str, bool);

#[cfg(target_arch = "x86_64")]
const PROCESSOR: &str = "a processor with adx, aes, avx2, bmi1, bmi2 and pclmulqdq";
#[cfg(target_arch = "aarch64")]
const PROCESSOR: &str = "a processor with aes, neon, pmull and sha2";

/// Lists the required features. graviola panics at each use if it misses one of them. It does not check bmi2, but its
/// assembler uses it. The last entry covers features that a later version may check.
#[cfg(target_arch = "x86_64")]
fn processor() -> [Feature; 7] {
    use std::arch::is_x86_feature_detected;
    [
        ("adx", is_x86_feature_detected!("adx")),
        ("aes", is_x86_feature_detected!("aes")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("bmi1", is_x86_feature_detected!("bmi1")),
        ("bmi2", is_x86_feature_detected!("bmi2")),
        ("pclmulqdq", is_x86_feature_detected!("pclmulqdq")),
        ("another feature that graviola requires", graviola::util::is_cpu_supported()),
    ]
}

/// Lists the required features. The last entry covers features that a later version may check.
#[cfg(target_arch = "aarch64")]
fn processor() -> [Feature; 5] {
    use std::arch::is_aarch64_feature_detected;
    [
        ("aes", is_aarch64_feature_detected!("aes")),
        ("neon", is_aarch64_feature_detected!("neon")),
        ("pmull", is_aarch64_feature_detected!("pmull")),
        ("sha2", is_aarch64_feature_detected!("sha2")),
        ("another feature that graviola requires", graviola::util::is_cpu_supported()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_missing_processor_feature() {
        let error =
            |features: &[Feature]| check_processor(Algorithm::ES256, features).unwrap_err().to_string();
        let expected = |feature| format!("graviola needs {PROCESSOR} for ES256, got one without {feature}");
        assert_eq!(error(&[("adx", false)]), expected("adx"));
        assert_eq!(error(&[("aes", true), ("bmi2", false), ("sha2", true)]), expected("bmi2"));
        assert_eq!(error(&[("aes", false), ("adx", false)]), expected("aes"));
        assert!(check_processor(Algorithm::ES256, &[("adx", true), ("aes", true)]).is_ok());
    }

    #[test]
    fn error_lists_all_required_features() {
        let names = processor().map(|(name, _)| name);
        let [first @ .., last, _] = &names[..] else { panic!("graviola requires several features") };
        assert_eq!(PROCESSOR, format!("a processor with {} and {last}", first.join(", ")));
    }
}
