//! Kinds of text that settings of surfaces are.

use std::fmt;

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::core::setting::{Expected, Setting};

/// The beginning of links, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(pub String);

impl Setting for BaseUrl {
    const IS_TEXT: bool = true;

    fn from_text(text: &str) -> Result<Self, Expected> {
        let text = text.trim().trim_end_matches('/');
        let visible = !text.is_empty() && text.bytes().all(|byte| (0x21..0x7f).contains(&byte));
        visible.then(|| Self(text.to_owned())).ok_or_else(|| Expected("a URL such as https://files.example.org".into()))
    }

    fn to_value(&self) -> Value {
        self.0.clone().into()
    }
}

/// A time zone by its IANA name.
#[derive(Clone, PartialEq)]
pub struct Zone(pub TimeZone);

impl Zone {
    /// The zone called `name`, which must be one that exists.
    pub fn known(name: &str) -> Self {
        Self::from_text(name).expect("the name stands in the time zone database that is compiled in")
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or_default())
    }
}

impl Setting for Zone {
    const IS_TEXT: bool = true;

    fn from_text(text: &str) -> Result<Self, Expected> {
        let zone = TimeZone::get(text.trim());
        zone.map(Self).map_err(|_| Expected("a time zone's IANA name such as Asia/Hong_Kong or UTC".into()))
    }

    fn to_value(&self) -> Value {
        self.0.iana_name().into()
    }
}
