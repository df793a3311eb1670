//! What a value of the configuration can be, and how each kind is read from a file or from text.
//!
//! A scalar is read from its text, wherever it stands (`port: 8765`, `ETRANSFER_PORT=8765`, `--port 8765`), so the three
//! sources cannot disagree. Lists and maps are YAML in the file and JSON, or commas, in text.
//!
//! A text is what stands there, or it is refused: a number of JSON that could be spelled another way is no text.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::size;

/// What was expected instead, in words for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected(pub String);

/// A kind of value.
pub trait Setting: Sized {
    /// Below `surfaces`: whether `null` and the empty text in the file are values, and not the same as nothing.
    const EMPTY_SAYS: bool = false;

    /// Whether every character counts: a name, a path, a secret.
    const IS_TEXT: bool = false;

    /// From text: an environment variable, a flag, or the text of a scalar in the file.
    fn from_text(text: &str) -> Result<Self, Expected>;

    /// From the file, where every scalar is its text, or from JSON.
    fn from_value(value: &Value) -> Result<Self, Expected> {
        match value {
            Value::String(text) => Self::from_text(text),
            // `1.10` and `1e5` are kept by their value, not as they are written; an integer has one spelling.
            Value::Number(number) if Self::IS_TEXT && number.is_f64() => {
                Err(Expected("a text, and this reads as a number: quote it".into()))
            }
            Value::Null if Self::IS_TEXT => Err(Expected("a text, and this reads as null: quote it".into())),
            Value::Number(number) => Self::from_text(&number.to_string()),
            Value::Bool(word) => Self::from_text(&word.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => Err(Expected("a single value".into())),
        }
    }

    /// For printing; secrets stay hidden.
    fn to_value(&self) -> Value;
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for comparing.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Setting for Secret {
    const IS_TEXT: bool = true;

    fn from_text(text: &str) -> Result<Self, Expected> {
        let visible = !text.is_empty() && text.bytes().all(|byte| (0x21..0x7f).contains(&byte));
        visible.then(|| Self(text.to_owned())).ok_or_else(|| Expected("visible ASCII characters without spaces".into()))
    }

    fn to_value(&self) -> Value {
        "***".into()
    }
}

/// A secret made elsewhere: any characters, and empty when it is not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Password(pub Secret);

impl Default for Password {
    fn default() -> Self {
        Self(Secret::new(""))
    }
}

impl Setting for Password {
    const IS_TEXT: bool = true;

    fn from_text(text: &str) -> Result<Self, Expected> {
        Ok(Self(Secret::new(text)))
    }

    fn to_value(&self) -> Value {
        if self.0.expose().is_empty() { "".into() } else { "***".into() }
    }
}

impl Setting for bool {
    fn from_text(text: &str) -> Result<Self, Expected> {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" | "t" | "y" => Ok(true),
            "false" | "0" | "no" | "off" | "f" | "n" => Ok(false),
            _ => Err(Expected("true or false".into())),
        }
    }

    fn to_value(&self) -> Value {
        (*self).into()
    }
}

/// `text` without spaces around it; an integer that YAML knows by another spelling (`0x1F`, `1_000`) in decimal digits.
fn decimal(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    let is_other_spelling = text.bytes().any(|byte| !byte.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'+');
    let number = is_other_spelling.then(|| serde_saphyr::from_str::<u64>(text).ok()).flatten();
    number.map_or(Cow::Borrowed(text), |number| number.to_string().into())
}

macro_rules! integer {
    ($($kind:ty),*) => {$(
        impl Setting for $kind {
            fn from_text(text: &str) -> Result<Self, Expected> {
                decimal(text).parse().map_err(|_| Expected(format!("an integer from 0 to {}", <$kind>::MAX)))
            }

            fn to_value(&self) -> Value {
                (*self).into()
            }
        }
    )*};
}
integer!(u16, u64, usize);

impl Setting for String {
    const IS_TEXT: bool = true;

    fn from_text(text: &str) -> Result<Self, Expected> {
        Ok(text.to_owned())
    }

    fn to_value(&self) -> Value {
        self.clone().into()
    }
}

impl Setting for SocketAddr {
    fn from_text(text: &str) -> Result<Self, Expected> {
        text.trim().parse().map_err(|_| Expected("an address such as 0.0.0.0:3000 or [::]:3000".into()))
    }

    fn to_value(&self) -> Value {
        self.to_string().into()
    }
}

impl Setting for PathBuf {
    const IS_TEXT: bool = true;

    fn from_text(text: &str) -> Result<Self, Expected> {
        if text.is_empty() || text.contains('\0') { Err(Expected("a path".into())) } else { Ok(text.into()) }
    }

    fn to_value(&self) -> Value {
        self.to_string_lossy().into_owned().into()
    }
}

/// Bytes, written as a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl Setting for Size {
    fn from_text(text: &str) -> Result<Self, Expected> {
        size::parse(&decimal(text)).map(Self).map_err(|error| Expected(error.to_string()))
    }

    fn to_value(&self) -> Value {
        self.0.into()
    }
}

impl Setting for Duration {
    fn from_text(text: &str) -> Result<Self, Expected> {
        let text = decimal(text);
        text.parse()
            .map(Duration::from_secs)
            .or_else(|_| humantime::parse_duration(&text))
            .map_err(|_| Expected("seconds, or a duration such as 30s, 5m, 24h".into()))
    }

    fn to_value(&self) -> Value {
        if self.subsec_nanos() == 0 {
            self.as_secs().into()
        } else {
            humantime::format_duration(*self).to_string().into()
        }
    }
}

/// A duration whose plain number means hours (`upload_expiration_hours`); fractions allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours(pub Duration);

impl Setting for Hours {
    fn from_text(text: &str) -> Result<Self, Expected> {
        let text = decimal(text);
        let duration = match text.parse::<f64>() {
            Ok(hours) if hours.is_finite() && hours > 0.0 => Duration::try_from_secs_f64(hours * 3600.0).ok(),
            Ok(_) => None,
            Err(_) => humantime::parse_duration(&text).ok().filter(|duration| !duration.is_zero()),
        };
        duration.map(Self).ok_or_else(|| Expected("hours above 0, or a duration such as 90m".into()))
    }

    fn to_value(&self) -> Value {
        let seconds = self.0.as_secs_f64();
        if seconds % 3600.0 == 0.0 { ((seconds / 3600.0) as u64).into() } else { (seconds / 3600.0).into() }
    }
}

impl<T: Setting> Setting for Option<T> {
    fn from_text(text: &str) -> Result<Self, Expected> {
        match text.trim().to_ascii_lowercase().as_str() {
            "null" | "none" | "unlimited" | "~" => Ok(None),
            _ => T::from_text(text).map(Some),
        }
    }

    fn from_value(value: &Value) -> Result<Self, Expected> {
        match value {
            Value::String(text) => Self::from_text(text),
            other => T::from_value(other).map(Some),
        }
    }

    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::to_value)
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn from_text(text: &str) -> Result<Self, Expected> {
        let text = text.trim();
        if text.starts_with('[') {
            let values: Vec<Value> =
                serde_json::from_str(text).map_err(|_| Expected("a JSON list, or commas".into()))?;
            return values.iter().map(T::from_value).collect();
        }
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(T::from_text).collect()
    }

    fn from_value(value: &Value) -> Result<Self, Expected> {
        match value {
            Value::Array(items) => items.iter().map(T::from_value).collect(),
            Value::String(text) => Self::from_text(text),
            other => T::from_value(other).map(|item| vec![item]),
        }
    }

    fn to_value(&self) -> Value {
        self.iter().map(T::to_value).collect()
    }
}

impl<T: Setting> Setting for BTreeMap<Secret, T> {
    fn from_text(text: &str) -> Result<Self, Expected> {
        let value = serde_json::from_str(text).map_err(|_| Expected("a JSON map".into()))?;
        Self::from_value(&value)
    }

    fn from_value(value: &Value) -> Result<Self, Expected> {
        let Value::Object(entries) = value else { return Err(Expected("a map".into())) };
        entries.iter().map(|(key, value)| Ok((Secret::from_text(key)?, T::from_value(value)?))).collect()
    }

    fn to_value(&self) -> Value {
        let entry = |(index, value): (usize, &T)| (format!("***{}", index + 1), value.to_value());
        Value::Object(self.values().enumerate().map(entry).collect())
    }
}

impl<T: Setting> Setting for BTreeMap<String, T> {
    fn from_text(text: &str) -> Result<Self, Expected> {
        let value = serde_json::from_str(text).map_err(|_| Expected("a JSON map".into()))?;
        Self::from_value(&value)
    }

    fn from_value(value: &Value) -> Result<Self, Expected> {
        let Value::Object(entries) = value else { return Err(Expected("a map".into())) };
        entries.iter().map(|(key, value)| Ok((key.clone(), T::from_value(value)?))).collect()
    }

    fn to_value(&self) -> Value {
        Value::Object(self.iter().map(|(key, value)| (key.clone(), value.to_value())).collect())
    }
}

/// A value of any kind that is accepted and never looked at; it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden;

impl Setting for Hidden {
    fn from_text(_: &str) -> Result<Self, Expected> {
        Ok(Self)
    }

    fn from_value(_: &Value) -> Result<Self, Expected> {
        Ok(Self)
    }

    fn to_value(&self) -> Value {
        "***".into()
    }
}

/// Any JSON: a key that is read for its shape only, because nothing obeys it yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Anything(pub Value);

impl Setting for Anything {
    fn from_text(text: &str) -> Result<Self, Expected> {
        Ok(Self(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))))
    }

    fn from_value(value: &Value) -> Result<Self, Expected> {
        Ok(Self(value.clone()))
    }

    fn to_value(&self) -> Value {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_9_4_booleans_lists_and_durations() {
        for text in ["true", "1", "YES", "On", "t", "y"] {
            assert_eq!(bool::from_text(text), Ok(true), "{text}");
        }
        for text in ["false", "0", "No", "OFF", "f", "n"] {
            assert_eq!(bool::from_text(text), Ok(false), "{text}");
        }
        assert!(bool::from_text("maybe").is_err());
        for text in [r#"["a","b"]"#, "a,b", " a , b ,", r#"[ "a" , "b" ]"#] {
            assert_eq!(Vec::<String>::from_text(text), Ok(vec!["a".into(), "b".into()]), "{text}");
        }
        assert!(Vec::<String>::from_text("[1").is_err());
        assert_eq!(Duration::from_text("90"), Ok(Duration::from_secs(90)));
        assert_eq!(Duration::from_text("1m 30s"), Ok(Duration::from_secs(90)));
        assert!(Duration::from_text("-1").is_err());
        assert_eq!(Hours::from_text("24"), Ok(Hours(Duration::from_secs(86400))));
        assert_eq!(Hours::from_text("0.5"), Ok(Hours(Duration::from_secs(1800))));
        assert!(Hours::from_text("0").is_err());
        assert_eq!(Option::<Size>::from_text("unlimited"), Ok(None));
    }

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "***");
        assert_eq!(Secret::new("hunter2").to_value(), Value::from("***"));
    }
}
