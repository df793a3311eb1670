//! Sizes as people write them (easytransfer/CONTRACT.md §9.5): K, M, G, T are powers of 1024, with or without `B` or
//! `iB`.
//!
//! Integer arithmetic throughout: a fraction is kept as decimal digits, so `1.5GB` is exactly 1610612736.

/// The text is no size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a size such as 1048576, 100MB, 1.5G or 4MiB")]
pub struct NotASize;

/// Bytes meant by `text`; the fraction of a byte is cut off.
pub fn parse(text: &str) -> Result<u64, NotASize> {
    let text = text.trim().to_ascii_uppercase();
    let digits_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits_end);
    let unit = unit(suffix.trim_start()).ok_or(NotASize)?;
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if !suffix.is_empty() && !fraction.is_empty() => (whole, fraction),
        Some(_) => return Err(NotASize),
        None => (number, ""),
    };
    if whole.is_empty() || fraction.contains('.') || fraction.len() > 18 {
        return Err(NotASize);
    }
    let whole: u128 = whole.parse().map_err(|_| NotASize)?;
    let scale = 10u128.pow(fraction.len() as u32);
    let parts: u128 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| NotASize)? };
    let bytes = whole.checked_mul(unit).ok_or(NotASize)?.checked_add(parts * unit / scale).ok_or(NotASize)?;
    u64::try_from(bytes).ok().filter(|bytes| *bytes <= i64::MAX as u64).ok_or(NotASize)
}

fn unit(suffix: &str) -> Option<u128> {
    Some(match suffix {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        "T" | "TB" | "TIB" => 1 << 40,
        _ => return None,
    })
}

/// One decimal, 1024 steps (easytransfer/CONTRACT.md §5.4).
pub fn format(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KB", "MB", "GB", "TB", "PB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_18_sizes() {
        for (text, bytes) in [
            ("1024", 1024),
            ("10KB", 10240),
            ("100MB", 104_857_600),
            (" 100 mb ", 104_857_600),
            ("5G", 5_368_709_120),
            ("1.5GB", 1_610_612_736),
            ("1TB", 1_099_511_627_776),
            ("10b", 10),
            ("4MiB", 4 << 20),
            ("0", 0),
            ("0.0001K", 0),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text:?}");
        }
        for text in
            ["", "1PB", "1e3", "0x10", "-5MB", "1.5", ".5K", "1.K", "1.2.3K", "K", "9223372036854775808", "99999999T"]
        {
            assert_eq!(parse(text), Err(NotASize), "{text:?}");
        }
    }

    #[test]
    fn section_5_4_formatted() {
        for (bytes, text) in [(0, "0.0 B"), (1023, "1023.0 B"), (1536, "1.5 KB"), (5 << 30, "5.0 GB")] {
            assert_eq!(format(bytes), text);
        }
    }
}
