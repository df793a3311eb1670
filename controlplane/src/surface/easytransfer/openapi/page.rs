//! The description as one page: every route under its tag, what it takes, what it answers, who may.

use std::fmt::Write;

use serde_json::Value;

use super::resolved;
use crate::surface::html::escaped;

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
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for method in METHODS {
                let operation = &item[method];
                if operation["tags"][0] == tag["name"] {
                    write_operation(&mut out, document, (method, path), item, operation);
                }
            }
        }
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn write_operation(out: &mut String, document: &Value, (method, path): (&str, &str), item: &Value, operation: &Value) {
    let _ = writeln!(
        out,
        "<h3>{} {}</h3>\n<p>{}. {} <small>For: {}.</small></p>",
        method.to_uppercase(),
        escaped(path),
        text(&operation["summary"]),
        text(&operation["description"]),
        text(&operation["x-access"]),
    );
    let parameters = [&item["parameters"], &operation["parameters"]].into_iter().filter_map(Value::as_array).flatten();
    let parameters = parameters.map(|parameter| resolved(document, parameter));
    let row = |parameter: &Value| {
        let need = if parameter["required"] == true { "required" } else { "optional" };
        let place = format!("{}, {need}", text(&parameter["in"]));
        (text(&parameter["name"]), format!("{} <small>{place}</small>", text(&parameter["description"])))
    };
    let taken = operation["requestBody"]["content"].as_object().into_iter().flatten();
    let body =
        taken.map(|(media, content)| ("body".to_owned(), format!("{} {}", escaped(media), shape(&content["schema"]))));
    write_table(out, parameters.map(row).chain(body));
    let answers = operation["responses"].as_object().into_iter().flatten();
    write_table(
        out,
        answers.map(|(status, answer)| {
            let answer = resolved(document, answer);
            let content = answer["content"].as_object().into_iter().flatten();
            let content: Vec<String> =
                content.map(|(media, content)| format!("{} {}", escaped(media), shape(&content["schema"]))).collect();
            (escaped(status), format!("{} <small>{}</small>", text(&answer["description"]), content.join(", ")))
        }),
    );
}

fn write_table(out: &mut String, rows: impl Iterator<Item = (String, String)>) {
    let rows: String = rows.map(|(name, about)| format!("<tr><td>{name}</td><td>{about}</td></tr>\n")).collect();
    if !rows.is_empty() {
        let _ = writeln!(out, "<table>\n{rows}</table>");
    }
}

/// A schema in a few words: its name, or its fields.
fn shape(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|target| target.rsplit('/').next()) {
        return escaped(name);
    }
    let fields = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    let fields: Vec<&str> = fields.collect();
    if fields.is_empty() { String::new() } else { escaped(&format!("{{{}}}", fields.join(", "))) }
}

fn text(value: &Value) -> String {
    escaped(value.as_str().unwrap_or_default())
}
