//! Formats values of a token for a report. Nothing that this module returns can control a terminal.

use std::error::Error;
use std::time::Duration;

use crate::verify::json::Text;

/// The most characters of a value.
const LONGEST_VALUE: usize = 200;
/// The most characters of a sentence, which may quote several values.
const LONGEST_TEXT: usize = 1200;

/// Escapes control and invisible characters, and shortens the text of a sentence. Escaping twice changes nothing.
pub(super) fn sentence(text: &str) -> String {
    escaped(text, LONGEST_TEXT)
}

/// Escapes and shortens a value.
pub(super) fn value(text: &str) -> String {
    escaped(text, LONGEST_VALUE)
}

/// Escapes, shortens and quotes a value.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", value(text))
}

/// Returns the text of an error's sources. Each level says more than the one before.
pub(crate) fn source(error: &dyn Error) -> Option<String> {
    let sources = std::iter::successors(error.source(), |error| (*error).source());
    let texts: Vec<_> = sources.take(8).map(ToString::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(": "))
}

/// Formats a number of keys.
pub(super) fn keys(count: usize) -> String {
    if count == 1 { "1 key".to_owned() } else { format!("{count} keys") }
}

/// Formats names as a list, for example the accepted issuers.
pub(super) fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    const MOST: usize = 8;
    let mut names = names.into_iter();
    let first: Vec<_> = names.by_ref().take(MOST).map(quoted).collect();
    match names.count() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// Formats the JSON text of a member: a string without its quotation marks, everything else as it is.
pub(super) fn json(raw: &str) -> String {
    match serde_json::from_str::<Text<'_>>(raw) {
        Ok(text) => value(&text),
        Err(_) => value(raw),
    }
}

fn escaped(text: &str, longest: usize) -> String {
    let mut shown = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == longest {
            shown.push_str("..");
            break;
        }
        match character {
            '"' | '\'' | '\\' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    shown
}

/// Formats a duration in its two largest units.
pub(super) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let units =
        [(seconds / 86400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let first = units.iter().position(|(count, _)| *count > 0);
    let Some(first) = first else {
        return if time.is_zero() { "0 s".to_owned() } else { format!("{} ms", time.as_millis().max(1)) };
    };
    let shown = units[first..].iter().take(2).filter(|(count, _)| *count > 0);
    shown.map(|(count, unit)| format!("{count} {unit}")).collect::<Vec<_>>().join(" ")
}

/// Formats a time since 1970 as a date in UTC (RFC 3339). Years after 9999 have no such form.
pub(super) fn date(since_epoch: Duration) -> Option<String> {
    const FIRST_OF_YEAR_10000: u64 = 253_402_300_800;
    let seconds = since_epoch.as_secs();
    if seconds >= FIRST_OF_YEAR_10000 {
        return None;
    }
    let (days, rest) = (seconds / 86400, seconds % 86400);
    // Counts from 1 March of the year 0, so that a leap day is the last day of its year.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
}

/// Formats a time since 1970 in seconds, with its date.
pub(super) fn time(since_epoch: Duration) -> String {
    match date(since_epoch) {
        Some(date) => format!("{} ({date})", since_epoch.as_secs()),
        None => since_epoch.as_secs().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_dates_and_durations() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_800_000_000, "2027-01-15T08:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(date(Duration::from_secs(seconds)).as_deref(), Some(expected));
        }
        assert_eq!(date(Duration::MAX), None);
        for (millis, expected) in [
            (0, "0 s"),
            (20, "20 ms"),
            (59_900, "59 s"),
            (182_000, "3 min 2 s"),
            (3_600_000, "1 h"),
            (90_061_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn escapes_what_controls_a_terminal() {
        let hostile = "a\u{1b}[2J\r\n\u{202e}\u{9b}1m\u{200b}\"é\\";
        let once = value(hostile);
        assert_eq!(once, "a\\u{1b}[2J\\r\\n\\u{202e}\\u{9b}1m\\u{200b}\"é\\");
        assert_eq!(value(&once), once);
        assert_eq!(value(&"x".repeat(1000)), format!("{}..", "x".repeat(LONGEST_VALUE)));
    }
}
