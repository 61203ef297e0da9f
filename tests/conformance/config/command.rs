//! `elbow check` and `elbow run` as processes: exit codes, and what goes to which stream.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const GOOD: &str = "[load_balancers.web]\nlisteners = [{ protocol = \"HTTP\", port = 80, instance_port = 8080 }]\n\
                    instances = [\"10.0.0.1\"]\n";

fn elbow(arguments: &[&str]) -> Output {
    let command = Command::new(env!("CARGO_BIN_EXE_elbow")).args(arguments).output();
    command.expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A directory with this file in it, and the file's path.
fn file(content: &str) -> (TempDir, String) {
    let directory = TempDir::new().expect("a temporary directory");
    let path: PathBuf = directory.path().join("elbow.toml");
    std::fs::write(&path, content).expect("a file");
    (directory, path.display().to_string())
}

#[test]
fn a_good_file_ends_with_0_and_is_summed_up() {
    let (_directory, path) = file(GOOD);
    let output = elbow(&["check", "-c", &path]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), format!("{path}: good: 1 load balancer, 1 listener, 1 instance\n"));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn a_wrong_file_ends_with_1_and_the_number_of_its_errors() {
    let (_directory, path) = file("[node]\nzne = 1\ncores = 2\n");
    let output = elbow(&["check", "-c", &path]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "");
    let expected = format!(
        "{path}:2:1: node: unknown key \"zne\"\n 2 | zne = 1\n   | ^^^ did you mean \"zone\"?\n\
         {path}:3:9: node: cores: expected \"auto\" or a list of CPU numbers, found 2\n 3 | cores = 2\n   |         ^\n\
         {path}: 2 errors\n"
    );
    assert_eq!(text(&output.stderr), expected);
}

#[test]
fn a_file_that_cannot_be_read_ends_with_2() {
    let (directory, _) = file("");
    let missing = directory.path().join("none.toml").display().to_string();
    for path in [missing, directory.path().display().to_string()] {
        let output = elbow(&["check", "-c", &path]);
        assert_eq!(output.status.code(), Some(2), "{path}");
        assert!(text(&output.stderr).starts_with(&format!("{path}: cannot be read: ")));
    }
}

#[test]
fn warnings_are_shown_and_do_not_make_a_file_wrong() {
    let (_directory, path) = file(&GOOD.replace("[\"10.0.0.1\"]", "[]"));
    let output = elbow(&["check", "-c", &path]);
    assert_eq!(output.status.code(), Some(0));
    let expected = format!("{path}:3:13: warning: load_balancers.web: there are no instances");
    assert!(text(&output.stderr).starts_with(&expected), "{}", text(&output.stderr));
}

#[test]
fn the_effective_file_is_good_and_its_own_effective_file() {
    let (_directory, path) = file(GOOD);
    let first = elbow(&["check", "-c", &path, "--effective"]);
    assert_eq!(first.status.code(), Some(0));
    let (_second_directory, second_path) = file(&text(&first.stdout));
    let second = elbow(&["check", "-c", &second_path, "--effective"]);
    assert_eq!(text(&second.stderr), "");
    assert_eq!(text(&first.stdout), text(&second.stdout));
}

#[test]
fn json_says_the_same_on_standard_output() {
    let read = |output: &Output| -> Value { serde_json::from_slice(&output.stdout).expect("JSON") };
    let (_directory, path) = file("[node]\nzne = 1\n");
    let wrong = elbow(&["check", "-c", &path, "--json"]);
    assert_eq!(wrong.status.code(), Some(1));
    let found = read(&wrong);
    assert_eq!(found["valid"], false);
    let error = &found["errors"][0];
    assert_eq!((&error["line"], &error["column"]), (&2.into(), &1.into()));
    assert_eq!((&error["object"], &error["message"]), (&"node".into(), &"unknown key \"zne\"".into()));
    assert_eq!(error["hint"], "did you mean \"zone\"?");

    let (_directory, path) = file(GOOD);
    let good = elbow(&["check", "-c", &path, "--json"]);
    assert_eq!((good.status.code(), read(&good)["valid"].clone()), (Some(0), true.into()));

    let missing = elbow(&["check", "-c", "/nowhere/elbow.toml", "--json"]);
    assert_eq!((missing.status.code(), read(&missing)["valid"].clone()), (Some(2), false.into()));
}

#[test]
fn run_refuses_what_check_refuses() {
    let (_directory, path) = file("[node]\nzne = 1\n");
    let (run, check) = (elbow(&["run", "-c", &path]), elbow(&["check", "-c", &path]));
    assert_eq!((run.status.code(), text(&run.stderr)), (Some(1), text(&check.stderr)));
    assert_eq!(elbow(&["run", "-c", "/nowhere/elbow.toml"]).status.code(), Some(2));
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    for arguments in [
        &["run", "--listen", "http://127.0.0.1:8080"][..],
        &["run", "--to", "127.0.0.1:9001"],
        &["run", "-c", "x.toml", "--listen", "http://127.0.0.1:8080", "--to", "127.0.0.1:9001"],
        &["run", "--listen", "ftp://127.0.0.1:21", "--to", "127.0.0.1:9001"],
        &["run", "--listen", "https://127.0.0.1:443", "--to", "127.0.0.1:9001", "--cert", "web.crt"],
        &["run", "--listen", "https://127.0.0.1:443", "--to", "127.0.0.1:9001"],
        &["demo", "--port", "0"],
        &["chekc"],
    ] {
        assert_eq!(elbow(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn without_arguments_the_first_word_is_the_demo() {
    let output = elbow(&[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).starts_with("elbow demo"));
}
