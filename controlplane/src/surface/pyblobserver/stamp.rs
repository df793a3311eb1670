//! Points in time as this dialect writes them (CONTRACT.md §2.5): in a zone of its own, `plain` without saying which.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::surface::pyblobserver::settings::DatetimeFormat;

/// Unix milliseconds in `zone`.
pub fn stamp(unix_ms: u64, format: DatetimeFormat, zone: &TimeZone) -> String {
    let time =
        i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX);
    let format = match format {
        DatetimeFormat::Plain => "%Y-%m-%d %H:%M:%S",
        DatetimeFormat::Iso => "%Y-%m-%dT%H:%M:%S%.6f%:z",
    };
    time.to_zoned(zone.clone()).strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_2_5_both_formats() {
        let zone = TimeZone::get("Asia/Hong_Kong").unwrap();
        let at = 1_795_177_143_114;
        assert_eq!(stamp(at, DatetimeFormat::Plain, &zone), "2026-11-20 20:19:03");
        assert_eq!(stamp(at, DatetimeFormat::Iso, &zone), "2026-11-20T20:19:03.114000+08:00");
        assert_eq!(stamp(at, DatetimeFormat::Iso, &TimeZone::UTC), "2026-11-20T12:19:03.114000+00:00");
        assert!(!stamp(u64::MAX, DatetimeFormat::Plain, &zone).is_empty());
    }
}
