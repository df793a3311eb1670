//! The description as one page: every route under its tag, what it takes, what it answers, who may.

use std::fmt::Write;

use serde_json::Value;

use super::resolved;
use crate::core::html::escaped;

/// Of the page; its hash stands in the page's policy.
pub const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
     h3{font:600 1rem ui-monospace,monospace;margin:2rem 0 0}p{margin:.2rem 0}small{opacity:.7}\
     table{border-collapse:collapse;width:100%;margin:.3rem 0}td{padding:.15rem .8rem .15rem 0;vertical-align:top}\
     td:first-child{font-family:ui-monospace,monospace;white-space:nowrap}";

/// Methods in the order they are shown.
const METHODS: [&str; 7] = ["get", "head", "post", "put", "patch", "delete", "options"];

/// Renders the document.
pub fn render(document: &Value) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title} {version}</h1>\n\
         <p>{about}</p>\n<p><a href=\"openapi.json\">openapi.json</a></p>\n",
        title = text(&document["info"]["title"]),
        version = text(&document["info"]["version"]),
        about = text(&document["info"]["description"]),
    );
    for tag in document["tags"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "<h2>{}</h2>\n<p>{}</p>", text(&tag["name"]), text(&tag["description"]));
        for (path, item) in entries(&document["paths"]) {
            for method in METHODS {
                let operation = &item[method];
                if operation["tags"][0] == tag["name"] {
                    write_operation(&mut out, document, (method, path), item, operation);
                }
            }
        }
    }
    out.push_str("<h2>Shapes</h2>\n");
    for (name, schema) in entries(&document["components"]["schemas"]) {
        let name = escaped(name);
        let _ = writeln!(out, "<h3 id=\"{name}\">{name}</h3>\n<p>{}</p>", text(&schema["description"]));
        write_table(&mut out, entries(&schema["properties"]).map(|(field, schema)| (escaped(field), shape(schema))));
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn write_operation(out: &mut String, document: &Value, (method, path): (&str, &str), item: &Value, operation: &Value) {
    let heading = format!("{} {}", method.to_uppercase(), escaped(path));
    let about = [&operation["summary"], &operation["description"]].into_iter().filter_map(Value::as_str);
    let about: Vec<String> = about.map(|sentence| escaped(sentence.trim_end_matches('.')) + ".").collect();
    let who = escaped(who(&operation["x-access"]));
    let _ = writeln!(out, "<h3>{heading}</h3>\n<p>{} <small>For {who}.</small></p>", about.join(" "));
    let parameters = [&item["parameters"], &operation["parameters"]].into_iter().filter_map(Value::as_array).flatten();
    let row = |parameter: &Value| {
        let parameter = resolved(document, parameter);
        let need = if parameter["required"] == true { "required" } else { "optional" };
        let place = format!("<small>{}, {need}</small>", text(&parameter["in"]));
        (text(&parameter["name"]), format!("{} {place}", text(&parameter["description"])))
    };
    let body = entries(&operation["requestBody"]["content"]).map(|one| ("body".to_owned(), content(one)));
    write_table(out, parameters.map(row).chain(body));
    let row = |(status, answer): (&String, &Value)| {
        let answer = resolved(document, answer);
        let kinds: Vec<String> = entries(&answer["content"]).map(content).collect();
        (escaped(status), format!("{} {}", text(&answer["description"]), kinds.join(", ")))
    };
    write_table(out, entries(&operation["responses"]).map(row));
}

fn write_table(out: &mut String, rows: impl Iterator<Item = (String, String)>) {
    let rows: String = rows.map(|(name, about)| format!("<tr><td>{name}</td><td>{about}</td></tr>\n")).collect();
    if !rows.is_empty() {
        let _ = writeln!(out, "<table>\n{rows}</table>");
    }
}

fn content((media, content): (&String, &Value)) -> String {
    format!("<small>{} {}</small>", escaped(media), shape(&content["schema"]))
}

/// A schema in a few words: a link to its name, its fields, or its type.
fn shape(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|target| target.rsplit('/').next()) {
        let name = escaped(name);
        return format!("<a href=\"#{name}\">{name}</a>");
    }
    if schema["items"].is_object() {
        return format!("list of {}", shape(&schema["items"]));
    }
    if schema["additionalProperties"].is_object() {
        return format!("map to {}", shape(&schema["additionalProperties"]));
    }
    let fields: Vec<String> =
        entries(&schema["properties"]).map(|(name, schema)| format!("{}: {}", escaped(name), shape(schema))).collect();
    if !fields.is_empty() {
        return format!("{{{}}}", fields.join(", "));
    }
    let words = [&schema["enum"], &schema["type"]].into_iter().find_map(Value::as_array);
    let words: Vec<&str> = words.into_iter().flatten().map(|word| word.as_str().unwrap_or("null")).collect();
    if words.is_empty() { text(&schema["type"]) } else { escaped(&words.join(" | ")) }
}

/// The words of `x-access`, spelled out.
fn who(access: &Value) -> &str {
    match access.as_str().unwrap_or_default() {
        "credential" => "any caller with a credential",
        "session" => "any person who is signed in",
        "operator" => "tokens of the configuration, and administrators",
        "administrator" => "administrators",
        other => other,
    }
}

fn entries(map: &Value) -> impl Iterator<Item = (&String, &Value)> {
    map.as_object().into_iter().flatten()
}

fn text(value: &Value) -> String {
    escaped(value.as_str().unwrap_or_default())
}
