//! Times as the columns of §10 show them: `2026-11-20 12:19:03.114410`, UTC, no zone.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The text for a time in Unix milliseconds.
pub(super) fn stamp(unix_ms: u64) -> String {
    let time = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.unwrap_or(Timestamp::MAX).strftime("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

/// Unix milliseconds of a text, rounded down; fewer fraction digits are fine. Before 1970 is 1970: long over either way.
pub(super) fn moment(text: &str) -> Option<u64> {
    let time: DateTime = text.trim().parse().ok()?;
    let timestamp = time.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(u64::try_from(timestamp.as_millisecond()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_10_times_are_text() {
        for (text, ms) in [
            ("2026-11-20 12:19:03.114000", 1_795_177_143_114),
            ("1970-01-01 00:00:00.000000", 0),
            ("9999-12-30 21:59:59.999000", 253_402_207_199_999),
        ] {
            assert_eq!((stamp(ms).as_str(), moment(text)), (text, Some(ms)));
        }
        assert!(stamp(u64::MAX).starts_with("9999-"));
    }

    #[test]
    fn section_10_times_of_other_programs() {
        for (text, ms) in [
            ("2026-11-20 12:19:03.114410", Some(1_795_177_143_114)),
            ("2026-11-20 12:19:03", Some(1_795_177_143_000)),
            ("2026-11-20T12:19:03.1144", Some(1_795_177_143_114)),
            ("2026-11-20 12:19:03.11441 ", Some(1_795_177_143_114)),
            ("1969-12-31 23:59:59", Some(0)),
            ("soon", None),
            ("2026-13-01 00:00:00", None),
            ("", None),
        ] {
            assert_eq!(moment(text), ms, "{text}");
        }
    }
}
