//! Makes text of strangers safe to print.

/// The most characters that are shown of a text.
const LONGEST: usize = 200;

/// Replaces everything that a terminal could obey, except line breaks.
///
/// That includes the control characters of Unicode: some change the direction of the text after them.
pub(crate) fn printable(text: &str) -> String {
    let is_plain = |character: char| match character {
        '\n' | ' '..='~' => true,
        // One that is not escaped is printable.
        _ => !character.is_ascii() && character.escape_debug().count() == 1,
    };
    let escape = |character: char| match is_plain(character) {
        true => character.to_string(),
        false => character.escape_debug().to_string(),
    };
    text.chars().map(escape).collect()
}

/// Quotes one line of a stranger's text, shortened.
pub(crate) fn quoted(text: &str) -> String {
    format!("`{}`", shortened(text))
}

/// Shortens a stranger's text, and makes it one line.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}..", one_line(&text[..end])),
        None => one_line(text),
    }
}

/// Makes a stranger's text one line, of any length.
pub(crate) fn one_line(text: &str) -> String {
    printable(text).replace('\n', "\\n")
}

/// Quotes a value, unless a shell takes it as it is.
pub(crate) fn for_shell(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/@%+,=".contains(&byte);
    match !value.is_empty() && value.bytes().all(is_plain) {
        true => value.to_owned(),
        false => format!("'{}'", one_line(value).replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_terminals_obey() {
        for (text, expected) in [
            ("plain 'text' with \"quotes\" and \\", "plain 'text' with \"quotes\" and \\"),
            ("größer, 日本", "größer, 日本"),
            ("\x1b[31mred", "\\u{1b}[31mred"),
            ("a\rb\tc\0", "a\\rb\\tc\\0"),
            ("a\nb", "a\\nb"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{202e}left", "\\u{202e}left"),
            ("\u{2066}\u{200b}\u{feff}", "\\u{2066}\\u{200b}\\u{feff}"),
            ("\x7f", "\\u{7f}"),
        ] {
            assert_eq!(shortened(text), expected);
        }
        assert_eq!(quoted(&"é".repeat(201)), format!("`{}..`", "é".repeat(200)));
    }

    #[test]
    fn quotes_for_shells() {
        for (value, expected) in [
            ("https://id.example.com/realms/a", "https://id.example.com/realms/a"),
            ("https://id.example.com/$(reboot)", "'https://id.example.com/$(reboot)'"),
            ("it's", r"'it'\''s'"),
            ("a b", "'a b'"),
            ("a\nb\x1b", r"'a\nb\u{1b}'"),
            ("", "''"),
        ] {
            assert_eq!(for_shell(value), expected);
        }
    }
}
