//! Citations in a text, and which of them lead nowhere.

use super::law::{Law, is_id, is_section, last};

/// Look like promises and are percentiles.
const PERCENTILES: [&str; 2] = ["P50", "P99"];
/// What the numbered parts of a section are called.
const PARTS: [&str; 10] = ["rule", "rules", "item", "items", "case", "cases", "check", "checks", "row", "rows"];
/// What else may stand between two citations of one document, beside numbers and signs.
const BETWEEN: [&str; 4] = ["and", "or", "to", "logout"];
/// A document of others that has no number.
const OPENID: &str = "OpenID Connect Core 1.0";
/// Where the documents once were.
const GONE: [&str; 2] = [concat!("shar", "ed/"), concat!("contract", "s/")];

/// What a text cites, as it is written.
enum Token<'t> {
    /// A name that ends in `.md`, with the path before it.
    File(&'t str),
    /// A document that is not ours to resolve.
    Outside,
    /// `§` and a number, and the item after it: `§3 rule 4`.
    Section(&'t str, Option<&'t str>),
    /// `P16`, `K1`, `S1`
    Id(&'t str),
    /// `T-LOCK-3`
    Line(&'t str),
    /// The word *contract* with a number and no name.
    Nameless,
}

/// The faults of `text`, the file at `path`: line, and what is wrong.
pub fn wrong(law: &Law, path: &str, text: &str) -> Vec<String> {
    let text = &without_marks(path, text);
    let line = |at: usize| text[..at].matches('\n').count() + 1;
    let mut wrong: Vec<String> = GONE
        .iter()
        .filter_map(|gone| text.find(gone).map(|at| format!("{}: {gone} is not in the tree", line(at))))
        .collect();
    let itself = law.itself(path);
    // The document cited last, and where its citation ended.
    let mut cited: Option<(Document, usize)> = None;
    for (at, end, token) in tokens(text) {
        let follows = cited.take().filter(|(_, end)| is_between(&text[*end..at]));
        let document = || follows.as_ref().map(|(document, _)| document.clone());
        let checked = match token {
            Token::File(name) => file(law, path, name),
            Token::Outside => Ok(Some(Document::Outside)),
            Token::Section(section, item) => match document().or(itself.clone().map(Document::Ours)) {
                Some(document) => document.check_section(law, section, item).map(|()| Some(document)),
                None => Err(format!("§{section} has no document")),
            },
            Token::Id(id) => match document().or(itself.clone().map(Document::Ours)) {
                Some(Document::Ours(name)) if is_id_of(&name, id) => {
                    check(law, &name, id, id).map(|()| Some(Document::Ours(name)))
                }
                _ if id.starts_with(['P', 'K']) && !PERCENTILES.contains(&id) => Err(format!("{id} has no document")),
                // What else looks so may be anything.
                _ => Ok(None),
            },
            Token::Line(id) if law.has("TUS.md", id) => Ok(document()),
            Token::Line(id) => Err(format!("TUS.md has no {id}")),
            Token::Nameless => Err("a contract has no name".to_owned()),
        };
        match checked {
            Ok(document) => cited = document.map(|document| (document, end)),
            Err(fault) => wrong.push(format!("{}: {fault}", line(at))),
        }
    }
    wrong
}

#[derive(Clone)]
enum Document {
    Ours(String),
    Outside,
    /// A contract, in a place that belongs to no dialect.
    WithoutDialect,
}

impl Document {
    fn check_section(&self, law: &Law, section: &str, item: Option<&str>) -> Result<(), String> {
        match self {
            Self::Outside => Ok(()),
            Self::WithoutDialect => Err("CONTRACT.md has no dialect".to_owned()),
            Self::Ours(name) => {
                check(law, name, section, &format!("§{section}"))?;
                let item = item.map(|item| format!("{section}.{item}"));
                item.map_or(Ok(()), |item| check(law, name, &item, &format!("§{item}")))
            }
        }
    }
}

fn check(law: &Law, document: &str, anchor: &str, written: &str) -> Result<(), String> {
    if law.has(document, anchor) { Ok(()) } else { Err(format!("{document} has no {written}")) }
}

/// Which document a file's name means, if it is one that can be cited.
fn file(law: &Law, path: &str, name: &str) -> Result<Option<Document>, String> {
    if last(name) == "CONTRACT.md" {
        if name == "CONTRACT.md" {
            return Ok(Some(law.own_contract(path).map_or(Document::WithoutDialect, Document::Ours)));
        }
        let mut parts = name.rsplit('/').skip(1);
        let full = format!("{}/CONTRACT.md", parts.next().unwrap_or_default());
        return if law.is_named(&full) { Ok(Some(Document::Ours(full))) } else { Err(format!("there is no {name}")) };
    }
    if !law.is_file(last(name)) {
        return Err(format!("there is no {name}"));
    }
    Ok(law.is_named(last(name)).then(|| Document::Ours(last(name).to_owned())))
}

/// Whether `document` has ids of this kind.
fn is_id_of(document: &str, id: &str) -> bool {
    match document {
        "PROMISES.md" => id.starts_with(['P', 'K']),
        "faults.md" => !id.starts_with(['P', 'K']),
        _ => false,
    }
}

/// The text with the marks of comments taken off, line by line.
fn without_marks(path: &str, text: &str) -> String {
    if path.ends_with(".md") {
        return text.to_owned();
    }
    let bare = |line: &str| {
        let line = line.trim_start();
        let marks = ["//!", "///", "//", "#", "--"];
        marks.iter().find_map(|mark| line.strip_prefix(mark)).unwrap_or(line).to_owned() + "\n"
    };
    text.lines().map(bare).collect()
}

/// Whether what stands between two citations says that the second is of the first one's document.
fn is_between(text: &str) -> bool {
    if text.contains("\n\n") || text.contains(". ") {
        return false;
    }
    let text = without(&without(text, '"', '"'), '(', ')');
    let is_sign = |c: char| c.is_whitespace() || ",;–-/`*".contains(c);
    let mut words = text.split(is_sign).filter(|word| !word.is_empty());
    words.all(|word| BETWEEN.contains(&word) || PARTS.contains(&word) || word.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `text` without what stands between the two marks.
fn without(text: &str, open: char, close: char) -> String {
    let Some((before, rest)) = text.split_once(open) else { return text.to_owned() };
    rest.split_once(close)
        .map_or_else(|| text.to_owned(), |(_, after)| before.to_owned() + &without(after, open, close))
}

/// All citations with their place.
fn tokens(text: &str) -> Vec<(usize, usize, Token<'_>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let before = text[..at].chars().next_back();
        let (len, token) = match token(&text[at..], before) {
            Some((len, token)) => (len, Some(token)),
            None => (c.len_utf8(), None),
        };
        found.extend(token.map(|token| (at, at + len, token)));
        at += len;
    }
    found
}

/// The citation that begins `text`, and its length.
fn token(text: &str, before: Option<char>) -> Option<(usize, Token<'_>)> {
    if let Some(rest) = text.strip_prefix('§') {
        let number = rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.')).next()?.trim_end_matches('.');
        let item = item(&rest[number.len()..]);
        return is_section(number).then(|| ('§'.len_utf8() + number.len(), Token::Section(number, item)));
    }
    if before.is_some_and(|c| c.is_alphanumeric() || "_-./%:".contains(c)) {
        return None;
    }
    if let Some(rest) = text.strip_prefix("RFC ") {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        return (digits > 0).then_some(("RFC ".len() + digits, Token::Outside));
    }
    if text.starts_with(OPENID) {
        return Some((OPENID.len(), Token::Outside));
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let word = text.split(|c: char| !is_part(c)).next()?.trim_end_matches(['.', '-', '/']);
    if word.ends_with(".md") && word.len() > ".md".len() {
        return Some((word.len(), Token::File(word)));
    }
    if word == "contract" || word == "Contract" {
        let rest = text[word.len()..].trim_start_matches(' ').bytes().take(2).collect::<Vec<_>>();
        let is_number = rest.first().is_some_and(u8::is_ascii_digit)
            || matches!(rest[..], [b'A' | b'B', digit] if digit.is_ascii_digit());
        return is_number.then_some((word.len(), Token::Nameless));
    }
    if word.starts_with("T-") {
        // `T-DEF-3..7` begins with one.
        let word = word.split(['.', '/']).next()?;
        return is_id(word).then_some((word.len(), Token::Line(word)));
    }
    // `P1-P13` is two.
    let word = word.split(['-', '/', '.']).next()?;
    is_id(word).then_some((word.len(), Token::Id(word)))
}

/// The number of a numbered item that is named after a section.
fn item(rest: &str) -> Option<&str> {
    let rest = rest.strip_prefix([' ', '\n'])?;
    let (word, rest) = rest.split_once([' ', '\n'])?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    (PARTS.contains(&word) && digits > 0).then(|| &rest[..digits])
}
