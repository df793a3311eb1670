//! One condition of a policy (CONTRACT.md §B4).

use std::fmt;

use serde_json::Value;

/// What a field has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `{"name": "value"}`
    Is(String, String),
    /// `["eq", "$name", "value"]`
    Eq(String, String),
    /// `["starts-with", "$name", "prefix"]`; every value begins with the empty prefix, but there has to be one.
    StartsWith(String, String),
    /// `["in", "$name", [..]]`
    In(String, Vec<String>),
    /// `["not-in", "$name", [..]]`; a field that is not there is not in the list.
    NotIn(String, Vec<String>),
    /// `["content-length-range", min, max]`: of the content, both included.
    Length {
        /// Fewest bytes.
        min: u64,
        /// Most bytes.
        max: u64,
    },
}

impl Condition {
    /// `None`: not a condition.
    pub fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Object(entries) if entries.len() == 1 => {
                let (name, value) = entries.iter().next()?;
                Some(Self::Is(name.clone(), text(value)?))
            }
            Value::Array(members) => {
                let [operator, first, second] = members.as_slice() else { return None };
                match operator.as_str()? {
                    "eq" => Some(Self::Eq(name(first)?, text(second)?)),
                    "starts-with" => Some(Self::StartsWith(name(first)?, text(second)?)),
                    "in" => Some(Self::In(name(first)?, texts(second)?)),
                    "not-in" => Some(Self::NotIn(name(first)?, texts(second)?)),
                    "content-length-range" => {
                        let (min, max) = (first.as_u64()?, second.as_u64()?);
                        (min <= max).then_some(Self::Length { min, max })
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Whether it holds for the values of a form; a length is judged when the content came.
    pub fn holds<'f>(&self, value: impl Fn(&str) -> Option<&'f str>) -> bool {
        match self {
            Self::Is(name, wanted) | Self::Eq(name, wanted) => value(name) == Some(wanted),
            Self::StartsWith(name, prefix) => value(name).is_some_and(|value| value.starts_with(prefix)),
            Self::In(name, list) => value(name).is_some_and(|value| list.iter().any(|listed| listed == value)),
            Self::NotIn(name, list) => value(name).is_none_or(|value| list.iter().all(|listed| listed != value)),
            Self::Length { .. } => true,
        }
    }
}

/// As JSON, the way the provider writes it into its refusals.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| Value::from(text).to_string();
        let list = |list: &[String]| list.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ");
        let (operator, name, value) = match self {
            Self::Is(name, value) => return write!(f, "{{{}: {}}}", quoted(name), quoted(value)),
            Self::Length { min, max } => return write!(f, "[\"content-length-range\", {min}, {max}]"),
            Self::Eq(name, value) => ("eq", name, quoted(value)),
            Self::StartsWith(name, value) => ("starts-with", name, quoted(value)),
            Self::In(name, values) => ("in", name, format!("[{}]", list(values))),
            Self::NotIn(name, values) => ("not-in", name, format!("[{}]", list(values))),
        };
        write!(f, "[\"{operator}\", {}, {value}]", quoted(&format!("${name}")))
    }
}

fn name(value: &Value) -> Option<String> {
    value.as_str()?.strip_prefix('$').filter(|name| !name.is_empty()).map(str::to_owned)
}

/// A value; `\$` in it is a dollar sign.
fn text(value: &Value) -> Option<String> {
    value.as_str().map(|text| text.replace("\\$", "$"))
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<Condition> {
        Condition::read(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn b4_conditions_hold_or_do_not() {
        let value = |name: &str| match name.to_ascii_lowercase().as_str() {
            "key" => Some("u1/a"),
            "empty" => Some(""),
            _ => None,
        };
        for (json, holds) in [
            (r#"{"key": "u1/a"}"#, true),
            (r#"{"KEY": "u1/a"}"#, true),
            (r#"{"key": "u1/A"}"#, false),
            (r#"{"absent": ""}"#, false),
            (r#"["eq", "$key", "u1/a"]"#, true),
            (r#"["eq", "$key", "u1/"]"#, false),
            (r#"["eq", "$empty", ""]"#, true),
            (r#"["starts-with", "$key", "u1/"]"#, true),
            (r#"["starts-with", "$Key", ""]"#, true),
            (r#"["starts-with", "$key", "u2/"]"#, false),
            (r#"["starts-with", "$absent", ""]"#, false),
            (r#"["in", "$key", ["x", "u1/a"]]"#, true),
            (r#"["in", "$key", []]"#, false),
            (r#"["in", "$absent", [""]]"#, false),
            (r#"["not-in", "$key", ["x"]]"#, true),
            (r#"["not-in", "$key", ["x", "u1/a"]]"#, false),
            (r#"["not-in", "$absent", ["x"]]"#, true),
            (r#"["content-length-range", 0, 5]"#, true),
        ] {
            let condition = read(json).unwrap_or_else(|| panic!("{json}"));
            assert_eq!(condition.holds(value), holds, "{json}");
            assert_eq!(condition.to_string(), json, "a refusal shows it as it was written");
        }
    }

    #[test]
    fn what_is_no_condition() {
        for json in [
            "5",
            "{}",
            r#"{"a": "b", "c": "d"}"#,
            r#"{"a": 5}"#,
            "[]",
            r#"["eq", "$key"]"#,
            r#"["eq", "key", "x"]"#,
            r#"["eq", "$", "x"]"#,
            r#"["eq", "$key", 5]"#,
            r#"["is", "$key", "x"]"#,
            r#"["in", "$key", "x"]"#,
            r#"["in", "$key", [5]]"#,
            r#"["content-length-range", 5, 0]"#,
            r#"["content-length-range", -1, 5]"#,
            r#"["content-length-range", "0", "5"]"#,
            r#"["content-length-range", 0, 1.5]"#,
            r#"["content-length-range", 0, 5, 6]"#,
        ] {
            assert_eq!(read(json), None, "{json}");
        }
    }
}
