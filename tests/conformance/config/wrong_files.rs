//! Wrong files and exactly what is said about them: `wrong_files.txt`.
//!
//! Each case is a title after `=== `, a file, a line `---` and the expected report. `{dir}` stands for the directory
//! that relative paths in the file relate to.

use std::path::Path;

use elbow::control::config;

/// A file and what is to be said about it.
struct Case<'a> {
    title: &'a str,
    file: &'a str,
    expected: &'a str,
}

fn cases(table: &str) -> Vec<Case<'_>> {
    let split = |case| -> Option<Case<'_>> {
        let (title, rest) = str::split_once(case, '\n')?;
        let (file, expected) = rest.split_once("---\n")?;
        Some(Case { title, file, expected })
    };
    table.split("=== ").skip(1).map(|case| split(case).expect("a title, a file, ---, a report")).collect()
}

#[test]
fn every_wrong_file_is_explained_in_exactly_these_words() {
    let here = std::env::current_dir().expect("a current directory");
    let table = include_str!("wrong_files.txt");
    let mut failures = String::new();
    for Case { title, file, expected } in cases(table) {
        let said = match config::parse(file, Path::new("elbow.toml")) {
            Ok(_) => "nothing is wrong\n".to_owned(),
            Err(report) => report.to_string(),
        };
        let expected = expected.replace("{dir}", &here.display().to_string());
        if said != expected {
            failures += &format!("=== {title}\n{said}--- but expected\n{expected}");
        }
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(cases(table).len() >= 35);
}
