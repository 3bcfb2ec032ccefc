//! Durations on the command line and on the screen.

use std::time::Duration;

/// Parses a number with a unit: `90s`, `15m`, `8h` or `30d`. A number alone is in seconds.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let invalid = || format!("`{text}` is not a duration; use for example 90s, 15m, 8h or 30d");
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let seconds = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(invalid()),
    };
    let count: u64 = digits.parse().map_err(|_| invalid())?;
    count.checked_mul(seconds).map(Duration::from_secs).ok_or_else(invalid)
}

/// Returns the duration in its largest unit, rounded down.
pub(crate) fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_units() {
        for (text, expected) in [
            ("90", Some(90)),
            ("90s", Some(90)),
            ("15m", Some(900)),
            ("8h", Some(28_800)),
            ("30d", Some(2_592_000)),
            ("", None),
            ("h", None),
            ("-5m", None),
            ("1.5h", None),
            ("15 m", None),
            ("5w", None),
            ("99999999999999999999d", None),
            ("18446744073709551615d", None),
        ] {
            assert_eq!(parse(text).ok(), expected.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn shows_largest_unit() {
        for (seconds, expected) in [
            (0, "0 s"),
            (119, "119 s"),
            (600, "10 min"),
            (3_600, "60 min"),
            (86_400, "24 h"),
            (172_800, "2 days"),
        ] {
            assert_eq!(shown(Duration::from_secs(seconds)), expected);
        }
    }
}
