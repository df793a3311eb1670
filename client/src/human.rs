//! Numbers as people write and read them.

use std::time::Duration;

use crate::exit::CliError;

const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/// One decimal, steps of 1024.
pub fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// Bytes per second.
pub fn rate(bytes: u64, time: Duration) -> String {
    format!("{}/s", size((bytes as f64 / time.as_secs_f64().max(0.001)) as u64))
}

/// The speed of a link, in the units it is sold by.
pub fn link_speed(megabits: u64) -> String {
    match megabits {
        0..1000 => format!("{megabits} Mb/s"),
        _ if megabits.is_multiple_of(1000) => format!("{} Gb/s", megabits / 1000),
        _ => format!("{:.1} Gb/s", megabits as f64 / 1000.0),
    }
}

/// Whole percent, never 100 before the end.
pub fn percent(done: u64, total: u64) -> u64 {
    match total {
        0 => 100,
        _ => (u128::from(done) * 100 / u128::from(total)) as u64,
    }
}

/// easytransfer/CONTRACT.md §9.5: trimmed, any case, `B K KB KiB M …`, powers of 1024, a decimal fraction allowed.
pub fn parse_size(text: &str) -> Result<u64, CliError> {
    let fault = || CliError::NotASize { text: text.to_owned() };
    let upper = text.trim().to_ascii_uppercase();
    let digits = upper.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(upper.len());
    let (number, unit) = (&upper[..digits], upper[digits..].trim_start());
    let shift = match unit {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        "T" | "TB" | "TIB" => 40,
        _ => return Err(fault()),
    };
    if unit.is_empty() {
        return number.parse().map_err(|_| fault());
    }
    let value: f64 = number.parse().map_err(|_| fault())?;
    let bytes = value * (1_u64 << shift) as f64;
    if bytes.is_finite() && bytes < i64::MAX as f64 { Ok(bytes as u64) } else { Err(fault()) }
}

/// Text from a stranger, fit for a terminal: nothing that moves the cursor or reorders what is seen.
pub fn visible(text: &str) -> String {
    let harmful = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if harmful(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_the_contract_says() {
        for (text, expected) in [
            ("1024", Some(1024)),
            ("10KB", Some(10240)),
            ("100MB", Some(104857600)),
            (" 100 mb ", Some(104857600)),
            ("5G", Some(5368709120)),
            ("1.5GB", Some(1610612736)),
            ("1TB", Some(1099511627776)),
            ("10b", Some(10)),
            ("4MiB", Some(4194304)),
            ("", None),
            ("1PB", None),
            ("1e3", None),
            ("0x10", None),
            ("-5MB", None),
            ("1.5", None),
            ("1..5M", None),
            ("99999999999T", None),
        ] {
            assert_eq!(parse_size(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_written_for_people() {
        for (bytes, expected) in
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (1 << 30, "1.0 GiB"), (u64::MAX, "16384.0 PiB")]
        {
            assert_eq!(size(bytes), expected);
        }
        for (done, total, expected) in
            [(0, 0, 100), (0, 5, 0), (999, 1000, 99), (1000, 1000, 100), (u64::MAX, u64::MAX, 100)]
        {
            assert_eq!(percent(done, total), expected);
        }
    }

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        assert_eq!(visible("a\x1b[2Jb\r\nc\u{202e}d 文"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\u{fffd}d 文");
    }
}
