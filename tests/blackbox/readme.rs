//! A sentence in the README that is no longer true is a bug: its commands are the ones that CI runs and that work here.

use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn the_test_command_is_the_one_that_ci_runs() {
    let readme = text("README.md");
    let blocks: Vec<&str> = readme.split("```").skip(1).step_by(2).map(str::trim).collect();
    assert_eq!(blocks[0].lines().count(), 1, "the first command is one line: {}", blocks[0]);
    assert!(blocks[0].starts_with("cargo run --release --bin et"), "{}", blocks[0]);
    let test = blocks[1];
    assert_eq!(test.lines().count(), 1, "the second command is one line: {test}");
    assert!(text(".ci/run").contains(&format!("exec {test}")), ".ci/run does not run {test}");
}

#[test]
fn what_the_readme_points_at_is_there() {
    let readme = text("README.md");
    for quoted in readme.split('`').skip(1).step_by(2) {
        let path = quoted.trim();
        let ours = ["dataplane/", "controlplane/", "client/", "bench/", "tests/", "config.example.yaml", "LICENSE"];
        if ours.iter().any(|start| path.starts_with(start)) && !path.contains(' ') {
            assert!(root().join(path).exists(), "{path} is named and not there");
        }
    }
}
