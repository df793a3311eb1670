//! Every citation in the tree leads to a document of the tree, and to a section or an id that is there.
//!
//! | form | leads to |
//! |---|---|
//! | `PROMISES.md P16`, `PROMISES.md K7`, `PROMISES.md §4` | a promise, a piece of the kit, a section |
//! | `IO.md §1`, `SURFACES.md §3.1`, `TUS.md §A12` | a section |
//! | `T-LOCK-3` | a line of TUS.md |
//! | `CONTRACT.md §5.1` in a dialect's own folder, `easytransfer/CONTRACT.md §5.1` elsewhere | a section |
//! | `easytransfer/CONTRACT.md §3 rule 4` | an item of a numbered list, or a numbered row, of that section |
//! | `faults.md S1` | a row of `tests/faults.md` |
//! | `RFC 9110 §13` | a document of others; nothing to resolve |
//!
//! After a citation others of the same document may follow: `IO.md §1, §2 and §7`, `PROMISES.md P2 and P3`. A `§` or a
//! promise without its document is an error, but in a document of the law itself, where it means that document. A name that
//! ends in `.md` is the name of a file of the tree.
//!
//! [`law`] reads the documents, [`cited`] finds citations in a text.

mod cited;
mod law;

use std::path::{Path, PathBuf};

pub use self::law::Law;

/// Places that are no part of the tree, by name.
const NOT_OURS: [&str; 6] = [".git", "node_modules", "corpus", "artifacts", "coverage", "__pycache__"];
const TEXTS: [&str; 9] = ["rs", "md", "yaml", "yml", "toml", "mjs", "py", "sh", "lua"];

/// Where the repository is.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the crate is in its tree")
}

/// All text files below `root`, by their path from there, with their text.
fn texts(root: &Path) -> Vec<(String, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the tree").flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() {
                if !NOT_OURS.contains(&name.as_str()) && !name.starts_with("target") {
                    folders.push(path);
                }
                continue;
            }
            let is_script = folder.ends_with(".ci");
            let is_text = path.extension().is_some_and(|extension| TEXTS.iter().any(|text| extension == *text));
            if (is_text || is_script)
                && let Ok(text) = std::fs::read_to_string(&path)
            {
                let path = path.strip_prefix(root).expect("it is below the root").to_string_lossy().into_owned();
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_citation_leads_to_what_it_names() {
    let texts = texts(&root());
    let law = Law::of(&texts);
    let wrong: Vec<String> = texts
        .iter()
        .filter(|(path, _)| !path.starts_with("tests/blackbox/citations/"))
        .flat_map(|(path, text)| cited::wrong(&law, path, text).into_iter().map(move |fault| format!("{path}:{fault}")))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The documents say where what they describe is tested.
#[test]
fn every_path_in_a_document_of_the_law_exists() {
    let (root, texts) = (root(), texts(&root()));
    let law = Law::of(&texts);
    let rooms = ["tests/", "dataplane/", "controlplane/", "client/", "bench/", "fuzz/", ".ci/"];
    let mut seen = 0;
    for (path, text) in texts.iter().filter(|(path, _)| law.itself(path).is_some()) {
        for word in text.split('`').skip(1).step_by(2).filter(|word| rooms.iter().any(|room| word.starts_with(room))) {
            assert!(root.join(word).exists(), "{path}: {word}");
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen} paths");
}

/// The control: each kind of wrong citation is found, and none that is right.
#[test]
fn a_citation_that_leads_nowhere_is_found() {
    let law = Law::of(&texts(&root()));
    let own = "controlplane/src/surface/easytransfer/files.rs";
    let other = "dataplane/src/core.rs";
    for (path, text, fault) in [
        (other, "// Bounded (PROMISES.md P16, P22): see IO.md §1, §7 and PROMISES.md §4.", ""),
        (other, "// stands (T-LOCK-3, T-LOCK-2a), RFC 9110 §13.2.2 and §14", ""),
        (other, "/// easytransfer/CONTRACT.md §3 rule 4 and §15.22; faults.md S1, S1b", ""),
        (other, "//! cloudbackend/CONTRACT.md §A3 \"Not carried over\", §B4 check 14, and §C case 25", ""),
        (other, "//! it goes (PROMISES.md\n//! P16), as IO.md §1,\n//! §2 say", ""),
        (own, "// CONTRACT.md §2.6, §2.7", ""),
        ("dataplane/IO.md", "preallocate as §1 says", ""),
        (other, "figure.p50 = Metric::P50", ""),
        (other, "// PROMISES.md P23", "PROMISES.md has no P23"),
        (other, "// PROMISES.md P1 and P40", "PROMISES.md has no P40"),
        (other, "// K3 and PROMISES.md K3", "K3 has no document"),
        (other, "// PROMISES.md K3", "PROMISES.md has no K3"),
        (other, "// IO.md §9", "IO.md has no §9"),
        (other, "// IO.md §1, §12", "IO.md has no §12"),
        (other, "// TUS.md §A14", "TUS.md has no §A14"),
        (other, "// T-LOCK-7", "TUS.md has no T-LOCK-7"),
        (other, "// T-LOCK-8..9", "TUS.md has no T-LOCK-8"),
        (other, "\"T-LOCK-2c\"", "TUS.md has no T-LOCK-2c"),
        (other, "// easytransfer/CONTRACT.md §3 rule 8", "easytransfer/CONTRACT.md has no §3.8"),
        (other, "// easytransfer/CONTRACT.md §19", "easytransfer/CONTRACT.md has no §19"),
        (own, "// CONTRACT.md §5.8", "easytransfer/CONTRACT.md has no §5.8"),
        (other, "// CONTRACT.md §5.1", "CONTRACT.md has no dialect"),
        (other, "// ours/CONTRACT.md §5.1", "there is no ours/CONTRACT.md"),
        (other, "// faults.md S99", "faults.md has no S99"),
        (other, "// as §4 says", "§4 has no document"),
        (other, "// IO.md §1. Later, §2", "§2 has no document"),
        (other, "// IO.md §1\n//\n// §2", "§2 has no document"),
        (other, "// bounded (P16)", "P16 has no document"),
        (other, "// contract 2.4", "a contract has no name"),
        (other, "// contract\n// §2.4", "§2.4 has no document"),
        (other, "// safety.md P1", "there is no safety.md"),
        (other, concat!("# .", "./shared/x"), "is not in the tree"),
    ] {
        let found = cited::wrong(&law, path, text).join("; ");
        assert_eq!(found.is_empty(), fault.is_empty(), "{text}: {found}");
        assert!(found.contains(fault), "{text}: {found}");
    }
}
