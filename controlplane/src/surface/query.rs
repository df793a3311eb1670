//! The parameters of an API call, in its query and its path, and the 422 for one that is wrong
//! (easytransfer/CONTRACT.md §1.4).

use std::ops::RangeInclusive;

use axum::extract::RawPathParams;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::refusal::Refused;
use crate::core::query::Query;

/// A parameter that cannot be read.
#[derive(Debug, Clone)]
pub struct Invalid {
    place: &'static str,
    name: &'static str,
    expected: String,
    input: Value,
}

/// The value of a parameter of `query` as a number inside `range`.
pub fn number(query: &Query<'_>, name: &'static str, default: u64, range: RangeInclusive<u64>) -> Result<u64, Invalid> {
    let Some(text) = query.get(name) else { return Ok(default) };
    let number = text.trim().parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| Invalid::query(name, &format!("an integer from {} to {}", range.start(), range.end()), text))
}

/// The number that stands for `{name}` in the path. Read after the caller's rights are checked: a caller without them learns no more.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_inside_its_range() {
        let query = Query::parse("a=1&a=2&c");
        assert!(number(&query, "a", 1, 3..=4).is_err() && number(&query, "c", 1, 0..=9).is_err());
        assert_eq!(number(&query, "f", 7, 0..=9).unwrap(), 7);
    }
}
