//! Names of files (CONTRACT.md §3.4): compared byte by byte, and never part of a path.

use super::refusal::Refusal;
use crate::core::percent;

/// Longest name, in bytes.
const BYTES_MAX: usize = 255;

/// The `filename` of a query; of a repeated one the last counts.
pub fn in_query(query: &str) -> Result<String, Refusal> {
    let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let value = pairs.rfind(|(name, _)| *name == "filename").map(|(_, value)| value);
    let value = value.ok_or(Refusal::Missing("query", "filename"))?;
    checked(&value.replace('+', " "))
}

/// A segment of a path.
pub fn in_path(segment: &str) -> Result<String, Refusal> {
    checked(segment)
}

fn checked(escaped: &str) -> Result<String, Refusal> {
    let name = percent::decode(escaped).map_err(|_undecodable| Refusal::Filename)?;
    let is_forbidden = |letter: char| matches!(letter, '/' | '\\' | '\0'..='\x1f' | '\x7f');
    let is_fine =
        !name.is_empty() && name.len() <= BYTES_MAX && name != "." && name != ".." && !name.contains(is_forbidden);
    if is_fine { Ok(name) } else { Err(Refusal::Filename) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_3_4_names() {
        let long = "n".repeat(255);
        for (escaped, name) in [
            ("a.txt", Some("a.txt")),
            ("%E6%96%87.txt", Some("文.txt")),
            ("a%20b", Some("a b")),
            ("a%22b%27", Some("a\"b'")),
            (".hidden", Some(".hidden")),
            ("...", Some("...")),
            (&long, Some(&long)),
            (&"n".repeat(256), None),
            (&"%E6%96%87".repeat(86), None),
            ("", None),
            (".", None),
            ("..", None),
            ("%2e%2E", None),
            ("a/b", None),
            ("../device2/x", None),
            ("..%2Fdevice2%2Fx", None),
            ("a%5Cb", None),
            ("a%00b", None),
            ("a%0Ab", None),
            ("a%7F", None),
            ("%ff", None),
            ("%c0%af", None),
            ("%", None),
            ("%4", None),
            ("%zz", None),
        ] {
            assert_eq!(in_path(escaped).ok().as_deref(), name, "{escaped}");
        }
        for (query, name) in [
            ("filename=a+b%2Bc", Ok("a b+c")),
            ("x=1&filename=a&filename=b", Ok("b")),
            ("filename=", Err(Refusal::Filename)),
            ("filename", Err(Refusal::Filename)),
            ("", Err(Refusal::Missing("query", "filename"))),
            ("Filename=a", Err(Refusal::Missing("query", "filename"))),
        ] {
            assert_eq!(in_query(query), name.map(str::to_owned), "{query}");
        }
    }
}
