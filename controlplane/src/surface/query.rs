//! The parameters of an API call, in its query and its path, and the 422 for one that is wrong
//! (easytransfer/CONTRACT.md §1.4).

use std::borrow::Cow;
use std::ops::RangeInclusive;

use axum::extract::RawPathParams;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::refusal::Refused;

/// Parameters in order; of a repeated one the last counts.
pub struct Query<'q>(Vec<(Cow<'q, str>, Cow<'q, str>)>);

/// A parameter that cannot be read.
#[derive(Debug, Clone)]
pub struct Invalid {
    place: &'static str,
    name: &'static str,
    expected: String,
    input: Value,
}

impl<'q> Query<'q> {
    /// Splits and decodes; what does not decode stays as it is.
    pub fn parse(text: &'q str) -> Self {
        let pair = |pair: &'q str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        };
        Self(text.split('&').filter(|pair| !pair.is_empty()).map(pair).collect())
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(other, _)| other == name).map(|(_, value)| value.as_ref())
    }

    /// All of them.
    pub fn into_pairs(self) -> Vec<(String, String)> {
        self.0.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
    }

    /// How often a parameter stands there.
    pub fn count(&self, name: &str) -> usize {
        self.0.iter().filter(|(other, _)| other == name).count()
    }

    /// The value of a parameter as a number inside `range`.
    pub fn number(&self, name: &'static str, default: u64, range: RangeInclusive<u64>) -> Result<u64, Invalid> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let number = text.trim().parse().ok().filter(|number| range.contains(number));
        number
            .ok_or_else(|| Invalid::query(name, &format!("an integer from {} to {}", range.start(), range.end()), text))
    }
}

/// The number that stands for `{name}` in the path. Asked for after the caller's rights: who may not do it learns no more.
pub fn path_number(path: &RawPathParams, name: &'static str) -> Result<i64, Invalid> {
    let text = path.iter().find(|(other, _)| *other == name).map_or("", |(_, text)| text);
    let wrong = || Invalid { place: "path", name, expected: "an integer".to_owned(), input: text.into() };
    text.parse().map_err(|_| wrong())
}

impl Invalid {
    /// A query parameter.
    pub fn query(name: &'static str, expected: &str, input: &str) -> Self {
        Self { place: "query", name, expected: expected.to_owned(), input: input.into() }
    }

    /// A field of the body.
    pub fn in_body(name: &'static str, expected: &str, input: Value) -> Self {
        Self { place: "body", name, expected: expected.to_owned(), input }
    }

    /// The body of the 422.
    pub fn body(self) -> Value {
        let Self { place, name, expected, input } = self;
        let message = format!("Input should be {expected}");
        json!({"detail": [{"type": "value_error", "loc": [place, name], "msg": message, "input": input}]})
    }
}

impl IntoResponse for Invalid {
    fn into_response(self) -> Response {
        Refused::from(self).into_response()
    }
}

fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return text.into();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let pair = after.first_chunk::<2>().and_then(|pair| std::str::from_utf8(pair).ok());
        match (first, pair.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = after;
            }
            (other, _) => {
                bytes.push(other);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).map_or_else(|_| text.into(), Cow::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_decode_and_the_last_value_counts() {
        let query = Query::parse("a=1&b=x%20y+z&a=2&c&d=%zz&e=%ff");
        assert_eq!(query.get("a"), Some("2"));
        assert_eq!(query.get("b"), Some("x y z"));
        assert_eq!(query.get("c"), Some(""));
        assert_eq!(query.get("d"), Some("%zz"));
        assert_eq!(query.get("e"), Some("%ff"));
        assert_eq!(query.get("f"), None);
        assert!(query.number("a", 1, 3..=4).is_err() && query.number("c", 1, 0..=9).is_err());
        assert_eq!(query.number("f", 7, 0..=9).unwrap(), 7);
    }
}
