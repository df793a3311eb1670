//! `tests/faults.md` names a test for every fault; a name that leads nowhere proves nothing.

use std::path::Path;

/// A row of the table, without its bars.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix("| ")?.strip_suffix(" |")?;
    Some(inner.split(" | ").collect())
}

/// `` `path` `name` ``
fn named(test: &str) -> Option<(&str, &str)> {
    let mut words = test.split('`').filter(|word| !word.trim().is_empty());
    Some((words.next()?, words.next()?))
}

fn is_there(root: &Path, path: &str, name: &str) -> bool {
    std::fs::read_to_string(root.join(path)).is_ok_and(|text| text.contains(&format!("fn {name}(")))
}

#[test]
fn every_row_names_tests_that_exist_or_says_that_it_is_open() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let table = std::fs::read_to_string(root.join("tests/faults.md")).expect("the table");
    let (faults, _rules) = table.split_once("## Rules").expect("the table of Rules comes second");
    let rows: Vec<_> = faults.lines().filter_map(cells).filter(|row| row.len() == 4 && row[0] != "row").collect();
    assert_eq!(rows.len(), 73, "one row per fault");
    for row in rows {
        let tests: Vec<_> = row[2].split("<br>").filter(|test| !test.trim().is_empty()).collect();
        assert!(!tests.is_empty() || row[1].contains("*open*"), "{} has no test and is not open", row[0]);
        for test in tests {
            let (path, name) = named(test).unwrap_or_else(|| panic!("{}: {test}", row[0]));
            assert!(is_there(&root, path, name), "{}: {path} has no {name}", row[0]);
        }
    }
    assert!(!is_there(&root, "tests/blackbox/faults_table.rs", "no_such_test"));
}
