//! The documents that may be cited, and what each of them has: sections, numbered items and ids.

use std::collections::{BTreeMap, BTreeSet};

/// Documents by the name they are cited by; a dialect's contract has the name of its folder before it.
const DOCUMENTS: [&str; 6] = ["PROMISES.md", "IO.md", "TUS.md", "SURFACES.md", "faults.md", "CONTRACT.md"];

/// What can be cited.
pub struct Law {
    /// By name.
    documents: BTreeMap<String, Document>,
    /// Names of all Markdown files of the tree.
    names: BTreeSet<String>,
}

struct Document {
    /// Where it is.
    folder: String,
    anchors: BTreeSet<String>,
}

impl Law {
    /// Of the tree of this crate.
    pub fn of_the_tree() -> Self {
        Self::of(&super::texts(&super::root()))
    }

    /// Of these files, by path.
    pub fn of(texts: &[(String, String)]) -> Self {
        let markdown = || texts.iter().filter(|(path, _)| path.ends_with(".md"));
        let names = markdown().map(|(path, _)| last(path).to_owned()).collect();
        let law = markdown().filter_map(|(path, text)| {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
            Some((name_of(path)?, Document { folder, anchors: anchors(text) }))
        });
        Self { documents: law.collect(), names }
    }

    /// The name of the document at `path`, when it is one: what it means when it names none.
    pub fn itself(&self, path: &str) -> Option<String> {
        name_of(path).filter(|name| self.documents.contains_key(name))
    }

    /// The contract in whose folder the file at `path` is.
    pub fn own_contract(&self, path: &str) -> Option<String> {
        let is_below = |document: &Document| path.starts_with(&format!("{}/", document.folder));
        let mut contracts = self.documents.iter().filter(|(name, _)| name.ends_with("/CONTRACT.md"));
        contracts.find(|(_, document)| is_below(document)).map(|(name, _)| name.clone())
    }

    /// Whether the tree has a Markdown file of this name.
    pub fn is_file(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Whether a document of this name can be cited.
    pub fn is_named(&self, name: &str) -> bool {
        self.documents.contains_key(name)
    }

    /// Whether `document` has this section, numbered item (`3.4`) or id.
    pub fn has(&self, document: &str, anchor: &str) -> bool {
        self.documents.get(document).is_some_and(|document| document.anchors.contains(anchor))
    }

    /// The ids of `document` that begin with `start`.
    pub fn ids(&self, document: &str, start: &str) -> Vec<&str> {
        let anchors = self.documents.get(document).map(|document| &document.anchors);
        anchors.into_iter().flatten().map(String::as_str).filter(|anchor| anchor.starts_with(start)).collect()
    }
}

/// The part of a path behind the last slash.
pub fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What the document at `path` is cited as.
fn name_of(path: &str) -> Option<String> {
    let name = last(path);
    if !DOCUMENTS.contains(&name) {
        return None;
    }
    if name != "CONTRACT.md" {
        return Some(name.to_owned());
    }
    let dialect = path.rsplit('/').nth(1)?;
    Some(format!("{dialect}/{name}"))
}

/// Sections of headings, items and rows that are numbered within one (`3.4`), and ids of rows and of kit pieces.
fn anchors(text: &str) -> BTreeSet<String> {
    let (mut found, mut section) = (BTreeSet::new(), String::new());
    for line in text.lines() {
        if let Some(number) = heading(line) {
            section = number.clone();
            found.insert(number);
        }
        let cell = line.strip_prefix("| ").and_then(|row| row.split(" | ").next());
        let piece = line.strip_prefix("* **").and_then(|item| item.split(' ').next());
        found.extend(cell.or(piece).filter(|id| is_id(id)).map(str::to_owned));
        let item = line.split_once(". ").map(|(number, _)| number);
        let number = cell.or(item).filter(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
        if let Some(number) = number {
            found.insert(format!("{section}.{number}"));
        }
    }
    found
}

/// `## 3. Retention`, `### 3.1 Errors`, `## A12. Order`, `# Part B - Storage`: the number.
fn heading(line: &str) -> Option<String> {
    let title = line.trim_start_matches('#');
    let title = title.strip_prefix(' ').filter(|_| line.starts_with('#'))?;
    let first = title.strip_prefix("Part ").unwrap_or(title).split(' ').next()?.trim_end_matches('.');
    is_section(first).then(|| first.to_owned())
}

/// `3`, `3.1`, `A`, `A12`
pub fn is_section(text: &str) -> bool {
    let numbers = text.trim_start_matches(|c: char| c.is_ascii_uppercase());
    let letters = text.len() - numbers.len();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match (letters, numbers) {
        (1, "") => true,
        (0 | 1, numbers) => numbers.split('.').all(is_number),
        _ => false,
    }
}

/// `P16`, `K1`, `S1b`, `T-LOCK-2a`
pub fn is_id(text: &str) -> bool {
    let name = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let number = name.trim_start_matches(|c: char| c.is_ascii_uppercase() || c == '-');
    let letters = &name[..name.len() - number.len()];
    let is_numbered = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_numbered && text.len() - name.len() <= 1 && (letters.len() == 1 || letters.starts_with("T-"))
}
