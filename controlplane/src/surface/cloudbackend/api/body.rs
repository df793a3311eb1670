//! What a request brings (CONTRACT.md §A2): JSON, or a flat form of either kind, whose members are texts. Nothing at
//! all is `{}`.

use std::fmt;

use axum::extract::{FromRequest, Request};
use etransfer_contract::step::{Form, FormFields, StepReport as Came, What};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::refusal::Refusal;
use super::route::is_get;
use crate::core::query::Query;
use crate::link::decision::Decision;
use crate::link::meta::{Call, Meta};
use crate::surface::attached::Attached;
use crate::surface::cloudbackend::Service;
use crate::surface::multipart::BodyType;
use crate::surface::reported::Reported;

/// Largest value of a form's field, and all of them.
const FIELD_BYTES_MAX: u64 = 64 << 10;
const FIELDS_BYTES_MAX: u64 = 1 << 20;
/// Arrays and objects inside each other (PROMISES.md §4).
const DEPTH_MAX: u8 = 32;

/// The body; `Err`: a grant that asks for it.
pub async fn read(app: &Service, request: Request) -> Result<Result<Value, Refusal>, Decision> {
    let meta = *request.extensions().get::<Meta>().expect("the entry puts it there");
    let is_absent = meta.call == Call::Decide && meta.body.is_empty();
    if is_get(request.method()) || is_absent {
        return Ok(Ok(Value::Object(Map::new())));
    }
    let headers = request.headers().clone();
    match BodyType::of(&headers) {
        BodyType::Form(boundary) => form(app, boundary, request).await,
        BodyType::FormWithoutBoundary => Ok(Err(broken_form())),
        BodyType::Plain => plain(app, &headers, request).await,
    }
}

async fn plain(app: &Service, headers: &HeaderMap, request: Request) -> Result<Result<Value, Refusal>, Decision> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let is_json = essence.eq_ignore_ascii_case("application/json");
    if !is_json && !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Ok(Err(Refusal::MediaType(kind.to_owned())));
    }
    let Attached(body) = Attached::from_request(request, app).await?;
    if body.is_empty() {
        return Ok(Ok(Value::Object(Map::new())));
    }
    Ok(if is_json {
        json(&body).map_err(|error| Refusal::Json(error.to_string()))
    } else {
        let text = std::str::from_utf8(&body).map_err(|_| Refusal::Json("the form is not UTF-8".into()));
        text.map(|text| flat(Query::parse(text).into_pairs()))
    })
}

async fn form(app: &Service, boundary: String, request: Request) -> Result<Result<Value, Refusal>, Decision> {
    let Reported(outcome) = Reported::from_request(request, app).await?;
    let Some(outcome) = outcome else {
        let form = Form {
            boundary,
            content_names: Vec::new(),
            or_plain: false,
            field_bytes_max: FIELD_BYTES_MAX,
            fields_bytes_max: FIELDS_BYTES_MAX,
        };
        let what = What::FormFields(FormFields { form: Some(form), prefix_bytes: 0 });
        return Err(Decision::step(&app.node, app.node.ticket(), "", what));
    };
    Ok(match outcome.report {
        Came::FormFields(told) => Ok(flat(told.fields)),
        Came::Failed(_)
        | Came::Received { .. }
        | Came::Digested { .. }
        | Came::Composed { .. }
        | Came::Sealed { .. }
        | Came::Message(_) => Err(broken_form()),
    })
}

fn broken_form() -> Refusal {
    Refusal::Json("the form is not well-formed".into())
}

/// Of a repeated field the last counts.
fn flat(fields: Vec<(String, String)>) -> Value {
    fields.into_iter().map(|(name, text)| (name, Value::String(text))).collect::<Map<_, _>>().into()
}

/// One JSON text: not too deep, and no member twice.
fn json(text: &[u8]) -> serde_json::Result<Value> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Depth(0).deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// How deep inside a text a value stands.
#[derive(Clone, Copy)]
struct Depth(u8);

impl Depth {
    fn below<E: Error>(self) -> Result<Self, E> {
        if self.0 < DEPTH_MAX { Ok(Self(self.0 + 1)) } else { Err(E::custom("nested too deep")) }
    }
}

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.below()?;
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.below()?;
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(inner)?;
            if members.contains_key(&name) {
                return Err(A::Error::custom(format_args!("member {name:?} stands there twice")));
            }
            members.insert(name, value);
        }
        Ok(members.into())
    }
}

/// A whole number: of a form it comes as text.
pub fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Yes or no: of a form it comes as text.
pub fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(is) => Some(*is),
        Value::Number(number) => number.as_u64().filter(|number| *number < 2).map(|number| number == 1),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" | "" => Some(false),
            _ => None,
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn section_4_texts_that_are_no_json() {
        let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        for text in
            ["{", "{}x", "NaN", "{\"a\":1,\"a\":2}", "{\"a\":{\"b\":1,\"b\":1}}", "\"\\ud800\"", "[1,]", &deep(33)]
        {
            assert!(json(text.as_bytes()).is_err(), "{text}");
        }
        assert!(json(b"\"\xff\"").is_err());
        for (text, value) in [
            ("{}", json!({})),
            (" [1, -1, 1.5, null, true, \"\\u0041\\n\"] ", json!([1, -1, 1.5, null, true, "A\n"])),
            ("{\"a\":{\"b\":1},\"b\":1}", json!({"a": {"b": 1}, "b": 1})),
        ] {
            assert_eq!(json(text.as_bytes()).unwrap(), value);
        }
        assert!(json(deep(32).as_bytes()).is_ok());
    }

    #[test]
    fn members_of_forms_are_texts_and_mean_the_same() {
        for (value, number) in [
            (json!(7), Some(7)),
            (json!("7"), Some(7)),
            (json!(-7), Some(-7)),
            (json!(7.5), None),
            (json!("abc"), None),
            (json!(true), None),
            (json!([7]), None),
        ] {
            assert_eq!(integer(&value), number, "{value}");
        }
        for (value, is) in [
            (json!(true), Some(true)),
            (json!("false"), Some(false)),
            (json!("True"), Some(true)),
            (json!(1), Some(true)),
            (json!(2), None),
            (json!("maybe"), None),
            (json!([]), None),
        ] {
            assert_eq!(boolean(&value), is, "{value}");
        }
        assert_eq!(flat(vec![("a".into(), "1".into()), ("a".into(), "2".into())]), json!({"a": "2"}));
    }
}
