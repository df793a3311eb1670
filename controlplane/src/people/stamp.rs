//! Times as the columns of easytransfer/CONTRACT.md §10 show them: `2026-11-20 12:19:03.114410`, UTC, no zone.

use jiff::Timestamp;

/// The text for a time in Unix milliseconds.
pub(super) fn stamp(unix_ms: u64) -> String {
    let time = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.unwrap_or(Timestamp::MAX).strftime("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::moment;

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
}
