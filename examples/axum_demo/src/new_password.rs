//! Requires new passwords to be long and hard to guess.

use zxcvbn::{Score, zxcvbn};

use crate::error::ApiError;
use crate::password::Password;

const LEAST_CHARACTERS: usize = 10;

/// Number of characters that are rated. Rating a crafted password of 72 bytes takes seconds. A password with a strong
/// start is strong as a whole.
const RATED_CHARACTERS: usize = 30;

/// A new password that has not been rated yet.
pub(crate) struct NewPassword {
    password: Password,
    /// Email and names, which an attacker would try first.
    words: Vec<String>,
}

impl NewPassword {
    /// Rejects passwords that are too short.
    pub(crate) fn new(password: Password, words: Vec<String>) -> Result<Self, ApiError> {
        if password.0.chars().count() < LEAST_CHARACTERS {
            let why = format!("a password must have at least {LEAST_CHARACTERS} characters");
            return Err(ApiError::password_weak(why));
        }
        Ok(Self { password, words })
    }

    /// Returns the password if it is hard to guess. Rating blocks the thread for a while.
    pub(crate) fn strong(self) -> Result<Password, ApiError> {
        // The parts of an email are weak words too.
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
        Err(ApiError::password_weak(format!("the password is easy to guess: {}", one_clause(&why))))
    }
}

/// Turns `Add another word or two. Uncommon words are better.` into `add another word or two`.
fn one_clause(text: &str) -> String {
    let sentence = text.split(". ").next().unwrap_or(text).trim_end_matches('.');
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
