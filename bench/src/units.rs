//! Sizes and times as people write them: `64MiB` (powers of 1024, with or without `B` or `iB`) and `1.5s`.
//!
//! Both are written back the way they are read, so that a workload in a record can be run again.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One KiB, MiB, GiB.
pub const KIB: u64 = 1 << 10;
pub const MIB: u64 = 1 << 20;
pub const GIB: u64 = 1 << 30;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Bytes(pub u64);

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span(pub Duration);

#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no size: write it like 4096, 64KiB or 1.5GiB")]
pub struct NotASize(String);

#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no time: write it like 500us, 5ms or 30s")]
pub struct NotATime(String);

impl FromStr for Bytes {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Self, NotASize> {
        let fault = || NotASize(text.to_owned());
        let upper = text.trim().to_ascii_uppercase();
        let digits = upper.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(upper.len());
        let (number, unit) = upper.split_at(digits);
        let step = match unit.trim_start() {
            "" | "B" => return number.parse().map(Self).map_err(|_| fault()),
            "K" | "KB" | "KIB" => KIB,
            "M" | "MB" | "MIB" => MIB,
            "G" | "GB" | "GIB" => GIB,
            "T" | "TB" | "TIB" => GIB << 10,
            _ => return Err(fault()),
        };
        let bytes = number.parse::<f64>().map_err(|_| fault())? * step as f64;
        if bytes < i64::MAX as f64 { Ok(Self(bytes as u64)) } else { Err(fault()) }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("GiB", GIB), ("MiB", MIB), ("KiB", KIB)];
        match units.iter().find(|(_, step)| self.0 >= *step && self.0.is_multiple_of(*step)) {
            Some((unit, step)) => write!(f, "{}{unit}", self.0 / step),
            None => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for Span {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        if let Ok(seconds) = text.parse::<f64>() {
            return Duration::try_from_secs_f64(seconds).map(Self).map_err(|_| NotATime(text.to_owned()));
        }
        if let Some((number, step)) = fraction(text) {
            return Duration::try_from_secs_f64(number * step).map(Self).map_err(|_| NotATime(text.to_owned()));
        }
        humantime::parse_duration(text).map(Self).map_err(|_| NotATime(text.to_owned()))
    }
}

/// `1.5s`, which humantime refuses.
fn fraction(text: &str) -> Option<(f64, f64)> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let step = match unit {
        "s" => 1.0,
        "ms" => 1e-3,
        "us" | "µs" => 1e-6,
        _ => return None,
    };
    number.contains('.').then_some(())?;
    Some((number.parse().ok()?, step))
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        NumberOrText::deserialize(from)?.parse()
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        NumberOrText::deserialize(from)?.parse()
    }
}

/// In YAML, `size: 4096` is a number and `size: 4KiB` a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(u64),
    Text(String),
}

impl NumberOrText {
    fn parse<T: FromStr<Err: fmt::Display>, E: serde::de::Error>(self) -> Result<T, E> {
        let text = match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        };
        text.parse().map_err(E::custom)
    }
}

/// Bytes for people: three digits, powers of 1024.
pub fn bytes(value: f64) -> String {
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"].into_iter();
    let (mut value, mut unit) = (value, units.next().unwrap_or_default());
    for larger in units {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, larger);
    }
    format!("{} {unit}", digits(value))
}

/// Nanoseconds for people.
pub fn nanoseconds(value: u64) -> String {
    match value as f64 {
        v if v < 1e3 => format!("{v} ns"),
        v if v < 1e6 => format!("{} µs", digits(v / 1e3)),
        v if v < 1e9 => format!("{} ms", digits(v / 1e6)),
        v => format!("{} s", digits(v / 1e9)),
    }
}

/// Three significant digits, more where they are whole.
pub fn digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        v if v < 10.0 => format!("{value:.2}"),
        v if v < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written_back() {
        for (text, expected, again) in [
            ("4096", Some(4096), "4KiB"),
            ("4k", Some(4096), "4KiB"),
            ("64 MiB", Some(64 * MIB), "64MiB"),
            ("1.5GB", Some(3 * GIB / 2), "1536MiB"),
            ("1TiB", Some(1 << 40), "1024GiB"),
            ("100", Some(100), "100"),
            ("0", Some(0), "0"),
            ("", None, ""),
            ("-1", None, ""),
            ("1.5", None, ""),
            ("4 elephants", None, ""),
            ("9999999999T", None, ""),
        ] {
            let read = text.parse::<Bytes>().ok();
            assert_eq!(read, expected.map(Bytes), "{text:?}");
            if let Some(read) = read {
                assert_eq!(read.to_string(), again, "{text:?}");
            }
        }
    }

    #[test]
    fn times_are_read_and_written_back() {
        for (text, expected) in [
            ("30s", Some(Duration::from_secs(30))),
            ("2", Some(Duration::from_secs(2))),
            ("0.5", Some(Duration::from_millis(500))),
            ("1.5s", Some(Duration::from_millis(1500))),
            ("1.5ms", Some(Duration::from_micros(1500))),
            ("250us", Some(Duration::from_micros(250))),
            ("1m 30s", Some(Duration::from_secs(90))),
            ("", None),
            ("-1", None),
            ("soon", None),
        ] {
            let read = text.parse::<Span>().ok();
            assert_eq!(read, expected.map(Span), "{text:?}");
            if let Some(read) = read {
                assert_eq!(read.to_string().parse::<Span>().ok(), Some(read), "{text:?}");
            }
        }
    }

    #[test]
    fn figures_are_short() {
        assert_eq!(bytes(1536.0), "1.50 KiB");
        assert_eq!(bytes(0.0), "0 B");
        assert_eq!(nanoseconds(1_234_567), "1.23 ms");
        assert_eq!(nanoseconds(999), "999 ns");
        assert_eq!(digits(12345.6), "12346");
    }
}
