//! Whether a new password is good enough: long, and hard to guess.

use zxcvbn::{Score, zxcvbn};

use crate::error::ApiError;
use crate::password::Password;

const LEAST_CHARACTERS: usize = 10;

/// So many characters are rated. The time that it takes grows much faster than the password, up to seconds for 72 bytes made
/// for it, and what begins with something hard to guess is hard to guess.
const RATED_CHARACTERS: usize = 30;

/// A password that somebody would like to have.
pub(crate) struct NewPassword {
    password: Password,
    /// What whoever knows them would try first.
    words: Vec<String>,
}

impl NewPassword {
    /// A password of some length, and what its user told of themselves.
    pub(crate) fn new(password: Password, words: Vec<String>) -> Result<Self, ApiError> {
        if password.0.chars().count() < LEAST_CHARACTERS {
            let why = format!("a password has at least {LEAST_CHARACTERS} characters");
            return Err(ApiError::PasswordWeak(why));
        }
        Ok(Self { password, words })
    }

    /// The password, if it is hard to guess. This takes a while.
    pub(crate) fn strong(self) -> Result<Password, ApiError> {
        // An email is guessed in parts, too.
        let parts = self.words.iter().flat_map(|word| word.split(|letter: char| !letter.is_alphanumeric()));
        let words: Vec<&str> = self.words.iter().map(String::as_str).chain(parts.take(20)).collect();
        let rated: String = self.password.0.chars().take(RATED_CHARACTERS).collect();
        let strength = zxcvbn(&rated, &words);
        if strength.score() >= Score::Three {
            return Ok(self.password);
        }
        let feedback = strength.feedback();
        let why = feedback
            .and_then(|feedback| {
                let warning = feedback.warning().map(|warning| warning.to_string());
                warning.or_else(|| feedback.suggestions().first().map(ToString::to_string))
            })
            .unwrap_or_else(|| "Add another word or two.".to_owned());
        Err(ApiError::PasswordWeak(format!("the password is easy to guess: {}", one_clause(&why))))
    }
}

/// `Add another word or two. Uncommon words are better.` as `add another word or two`.
fn one_clause(text: &str) -> String {
    let sentence = text.split(". ").next().unwrap_or(text).trim_end_matches('.');
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
