//! The members of a record that clients write, each with what may be wrong with it (CONTRACT.md §A4, §A5).

use serde_json::Value;

use super::path::{self, FolderPath, NoPath};
use crate::surface::cloudbackend::settings::Language;

/// Longest name and content type, in characters.
pub const CHARS_MAX: usize = 255;
/// Longest URL, in characters: a key with everything encoded, and a host.
const URL_CHARS_MAX: usize = 4096;

/// What is wrong with a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not there.
    Required,
    /// It is `null`.
    Null,
    /// It is no text.
    NoText,
    /// It has nothing but spaces.
    Blank,
    /// It has more characters than these.
    TooLong(usize),
    /// It has a NUL.
    Nul,
    /// It is no whole number.
    NoInteger,
    /// It is no URL.
    NoUrl,
    /// No item may have this path, or not for this.
    NoPath,
    /// No folder may be called so.
    NoFolderName,
    /// A file does not become a folder, nor the other way round.
    OtherKind,
    /// No object, or not one for who asks.
    NoObject,
}

/// A member and what is wrong with it.
pub type Faulty = (&'static str, Fault);

impl Fault {
    /// As people read it.
    pub fn text(self, language: Language) -> String {
        match self {
            Self::Required => "This field is required.",
            Self::Null => "This field may not be null.",
            Self::NoText => "Not a valid string.",
            Self::Blank => "This field may not be blank.",
            Self::TooLong(max) => return format!("Ensure this field has no more than {max} characters."),
            Self::Nul => "Null characters are not allowed.",
            Self::NoInteger => "A valid integer is required.",
            Self::NoUrl => "Enter a valid URL.",
            Self::NoPath => language.pick("路径无效", "Invalid path"),
            Self::NoFolderName => language.pick("文件夹名称无效", "Invalid folder_name"),
            Self::OtherKind => {
                language.pick("文件与文件夹不能互换", "A file cannot become a folder, nor a folder a file")
            }
            Self::NoObject => language.pick("文件不存在或无权限", "File not found or no permission"),
        }
        .to_owned()
    }
}

/// The name of a file, or a content type: any text that is not blank.
pub fn text(value: &Value) -> Result<String, Fault> {
    bounded(value, CHARS_MAX)
}

/// A URL, well-formed as far as it matters.
pub fn url(value: &Value) -> Result<String, Fault> {
    let url = bounded(value, URL_CHARS_MAX)?;
    let (scheme, rest) = url.split_once("://").ok_or(Fault::NoUrl)?;
    let is_scheme = ["http", "https", "ftp", "ftps"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let has_host = !rest.is_empty() && !rest.starts_with(['/', '?', '#', ':']);
    let is_plain = !url.contains(|c: char| c.is_whitespace() || c.is_control());
    if is_scheme && has_host && is_plain { Ok(url) } else { Err(Fault::NoUrl) }
}

/// Whether it is a whole number; which one is of no consequence: the size of a file is that of its object.
pub fn integer(value: &Value) -> Result<(), Fault> {
    let is_integer = match value {
        Value::Null => return Err(Fault::Null),
        Value::Number(number) => number.as_f64().is_some_and(|number| number.fract() == 0.0),
        Value::String(text) => {
            let text = text.trim();
            let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
            !digits.is_empty() && digits.len() <= 20 && digits.bytes().all(|digit| digit.is_ascii_digit())
        }
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    };
    if is_integer { Ok(()) } else { Err(Fault::NoInteger) }
}

/// A path; one that is blank is the root.
pub fn path(value: &Value) -> Result<FolderPath, Fault> {
    let text = match value {
        Value::String(text) => text,
        Value::Null => return Err(Fault::Null),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => return Err(Fault::NoText),
    };
    FolderPath::parse(text).map_err(|no_path| match no_path {
        NoPath::Invalid => Fault::NoPath,
        NoPath::TooLong => Fault::TooLong(path::CHARS_MAX),
    })
}

/// The name of a folder.
pub fn folder_name(value: &Value) -> Result<String, Fault> {
    let name = text(value)?;
    if path::is_segment(&name) { Ok(name) } else { Err(Fault::NoFolderName) }
}

fn bounded(value: &Value, chars_max: usize) -> Result<String, Fault> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null => return Err(Fault::Null),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => return Err(Fault::NoText),
    };
    if text.trim().is_empty() {
        return Err(Fault::Blank);
    }
    if text.contains('\0') {
        return Err(Fault::Nul);
    }
    if text.chars().count() > chars_max { Err(Fault::TooLong(chars_max)) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a4_names_and_types_are_any_text() {
        for (value, read) in [
            (json!("../../etc/passwd"), Ok("../../etc/passwd")),
            (json!("报告 #1%+.pdf"), Ok("报告 #1%+.pdf")),
            (json!("a\r\nb\u{202e}"), Ok("a\r\nb\u{202e}")),
            (json!(7), Ok("7")),
            (json!(""), Err(Fault::Blank)),
            (json!(" \t"), Err(Fault::Blank)),
            (json!("a\0"), Err(Fault::Nul)),
            (json!(null), Err(Fault::Null)),
            (json!(true), Err(Fault::NoText)),
            (json!(["a"]), Err(Fault::NoText)),
        ] {
            assert_eq!(text(&value).as_deref(), read.as_ref().map(|text| *text), "{value}");
        }
        let longest = "文".repeat(CHARS_MAX);
        assert_eq!(text(&json!(longest)), Ok(longest.clone()));
        assert_eq!(text(&json!(longest + "文")), Err(Fault::TooLong(255)));
    }

    #[test]
    fn a4_a_folder_is_called_as_one_segment() {
        for name in ["新文件夹", "a b", "...", "a\\b", "%2f"] {
            assert_eq!(folder_name(&json!(name)).as_deref(), Ok(name));
        }
        for name in ["/", "a/b", ".", ".."] {
            assert_eq!(folder_name(&json!(name)), Err(Fault::NoFolderName), "{name}");
        }
    }

    #[test]
    fn a4_numbers_and_urls() {
        for value in [json!(5), json!(-5), json!("5"), json!(" 5 "), json!(5.0), json!(u64::MAX)] {
            assert_eq!(integer(&value), Ok(()), "{value}");
        }
        for value in [json!("abc"), json!(""), json!("5.5"), json!(5.5), json!(true), json!([]), json!("9".repeat(21))]
        {
            assert_eq!(integer(&value), Err(Fault::NoInteger), "{value}");
        }
        for value in ["http://srv/x", "HTTPS://srv:1/x", "http://srv", "http://[::1]/x", "ftp://srv/报告"] {
            assert_eq!(url(&json!(value)).as_deref(), Ok(value));
        }
        for value in [
            "srv/x",
            "/cloud/x",
            "//srv/x",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "http:///x",
            "http://srv/a b",
            "http://srv/\r\nx",
            "http://",
        ] {
            assert_eq!(url(&json!(value)), Err(Fault::NoUrl), "{value}");
        }
        assert_eq!(url(&json!("")), Err(Fault::Blank));
    }

    #[test]
    fn a4_paths_have_their_own_faults() {
        assert_eq!(path(&json!("")), Ok(FolderPath::default()));
        assert_eq!(path(&json!("/a/../b")), Err(Fault::NoPath));
        assert_eq!(path(&json!("x".repeat(1024))), Err(Fault::TooLong(1024)));
        assert_eq!(path(&json!(5)), Err(Fault::NoText));
    }
}
