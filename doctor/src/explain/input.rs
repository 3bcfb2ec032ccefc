//! Reads the token, and removes what is often pasted with it.

use std::io::{self, IsTerminal, Read};

use serde_json::{Map, Value};

use crate::outcome::{Failure, Outcome};
use crate::screen::Mark;

/// The most bytes that are read. The verifier has its own, lower limit.
const MOST_BYTES: u64 = 1024 * 1024;

/// A token, and notes about what was removed around it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) token: String,
    pub(crate) notes: Vec<&'static str>,
    /// True if the token itself was changed, so that a service that gets the text as it is rejects it.
    pub(crate) is_cleaned: bool,
}

impl Input {
    /// Returns the outcome for the text as it was given: the service does not clean it up.
    pub(crate) fn outcome(&self, of_token: Outcome) -> Outcome {
        match of_token {
            Outcome::Good if self.is_cleaned => Outcome::Bad,
            outcome => outcome,
        }
    }

    /// Returns the verdict for an accepted token.
    pub(crate) fn accepted(&self) -> (Mark, &'static str) {
        match self.is_cleaned {
            true => {
                (Mark::Warn, "accepted after clean-up: the service gets the token as the client sends it")
            }
            false => (Mark::Pass, "accepted"),
        }
    }

    /// Takes the token from the command line, or reads it from standard input.
    pub(crate) fn read(words: &[String]) -> Result<Self, Failure> {
        if !words.is_empty() {
            let mut input = Self::clean(&words.join(" "));
            input.notes.push(
                "Other users of this machine can see the token in the list of processes. Pass it on standard input.",
            );
            return Ok(input);
        }
        if io::stdin().is_terminal() {
            eprintln!("Paste the token, press Enter, and then Ctrl-D:");
        }
        let mut text = Vec::new();
        io::stdin().take(MOST_BYTES).read_to_end(&mut text)?;
        Ok(Self::clean(&String::from_utf8_lossy(&text)))
    }

    fn clean(text: &str) -> Self {
        let mut notes = Vec::new();
        let mut is_cleaned = false;
        let mut rest = text.trim();
        if let Some(token) = from_json(rest) {
            notes.push("The text is JSON with an `access_token`, which is checked.");
            let mut input = Self::clean(&token);
            input.notes.splice(..0, notes);
            return input;
        }
        if let Some(header) = strip_word(rest, "authorization:") {
            notes.push("Removed the name of the header: a token has no `Authorization:` in front.");
            rest = header;
        }
        let begin = rest.trim_start_matches(QUOTES).trim_start();
        if let Some(token) = strip_word(begin, "bearer ") {
            notes.push("Removed `Bearer ` in front: it is the scheme of the header, not part of the token.");
            rest = token;
        }
        if let Some(token) = strip_word(rest, "dpop ") {
            notes.push("Removed `DPoP ` in front: it is the scheme of the header, not part of the token.");
            rest = token;
        }
        if let Some(token) = unquoted(rest) {
            notes.push("Removed quotation marks: the client must send the token without them.");
            rest = token;
            is_cleaned = true;
        }
        let token: String = rest.split_whitespace().collect();
        if token.len() < rest.len() {
            notes.push(
                "Removed white space or line breaks in the token: the client must send it in one piece.",
            );
            is_cleaned = true;
        }
        Self { token, notes, is_cleaned }
    }
}

/// Returns the token of a response of the token endpoint (RFC 6749, section 5.1).
fn from_json(text: &str) -> Option<String> {
    let members: Map<String, Value> = serde_json::from_str(text).ok()?;
    members.get("access_token")?.as_str().map(str::to_owned)
}

/// Removes a word in any case.
fn strip_word<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let (begin, rest) = text.split_at_checked(word.len())?;
    begin.eq_ignore_ascii_case(word).then(|| rest.trim())
}

const QUOTES: [char; 5] = ['"', '\'', '`', '“', '”'];

fn unquoted(text: &str) -> Option<&str> {
    let without = text.trim_matches(QUOTES).trim();
    (without.len() < text.len()).then_some(without)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_what_is_pasted_with_tokens() {
        for (text, notes, is_cleaned) in [
            ("a.b.c", 0, false),
            (" a.b.c\n", 0, false),
            ("Bearer a.b.c", 1, false),
            ("bearer  a.b.c", 1, false),
            ("Authorization: Bearer a.b.c", 2, false),
            ("\"a.b.c\"", 1, true),
            ("Authorization: DPoP a.b.c", 2, false),
            ("'Bearer a.b.c'", 2, true),
            ("Bearer \"a.b.c\"", 2, true),
            ("a.b\n  .c", 1, true),
            ("`a.b.c`", 1, true),
            (r#"{"access_token": "a.b.c", "token_type": "Bearer"}"#, 1, false),
            (r#"{"access_token": "a. b.c"}"#, 2, true),
        ] {
            let input = Input::clean(text);
            assert_eq!(input.token, "a.b.c", "{text}");
            assert_eq!(input.notes.len(), notes, "{text}: {:?}", input.notes);
            assert_eq!(input.is_cleaned, is_cleaned, "{text}");
        }
        for text in ["", "Bearer", "é", "{\"access_token\": 1}", "bearer"] {
            Input::clean(text);
        }
    }
}
