//! The plan of the house as a test: a room imports lower floors only, an outside crate has one home, `unsafe` stays in
//! `runtime`, modules have telling names, files stay readable. Test code is free.
//!
//! Files are read as tokens, so that paths inside macros count like all others.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use std::collections::BTreeSet;
use std::fmt;
use std::iter::Peekable;
use std::path::{Path, PathBuf};

/// Every room and its floor. The table in `src/lib.rs` says the same in words.
const FLOORS: &[(&str, u8)] = &[
    ("base", 0),
    ("model", 1),
    ("wire", 2),
    ("balance", 2),
    ("health", 2),
    ("tls", 2),
    ("telemetry", 2),
    ("runtime", 2),
    ("transport", 3),
    ("registry", 3),
    ("proxy", 4),
    ("prober", 4),
    ("control", 4),
    ("server", 5),
    ("cli", 6),
    ("main", 7),
];

/// Where an outside crate may be named.
enum Home {
    /// A word of general use.
    Anywhere,
    /// Only here: these rooms turn it into our own words.
    Rooms(&'static [&'static str]),
}

use Home::{Anywhere, Rooms};

/// The rooms on the control thread, which may wait on tokio.
const ON_THE_CONTROL_THREAD: &[&str] = &["control", "prober", "server"];

/// The home of every dependency. One that is not listed fails: a new crate needs a decision.
const HOMES: &[(&str, Home)] = &[
    ("x509_parser", Rooms(&["tls"])),
    ("webpki", Rooms(&["tls"])),
    ("aws_lc_rs", Rooms(&["balance", "control", "tls", "wire"])),
    ("bytes", Anywhere),
    ("clap", Rooms(&["cli", "main"])),
    ("crossbeam", Anywhere),
    ("hdrhistogram", Rooms(&["telemetry"])),
    ("h2", Rooms(&["prober", "transport"])),
    // In transport: the words that h2 speaks.
    ("http", Rooms(&["control", "prober", "server", "transport"])),
    ("http_body_util", Rooms(ON_THE_CONTROL_THREAD)),
    ("httparse", Rooms(&["wire"])),
    ("hyper", Rooms(ON_THE_CONTROL_THREAD)),
    ("hyper_util", Rooms(ON_THE_CONTROL_THREAD)),
    ("io_uring", Rooms(&["runtime"])),
    ("ipnet", Anywhere),
    ("jiff", Anywhere),
    // Elsewhere for its error numbers; its functions are unsafe.
    ("libc", Rooms(&["prober", "runtime"])),
    ("memchr", Anywhere),
    ("mimalloc", Rooms(&["main"])),
    ("nix", Rooms(&["runtime"])),
    ("quick_xml", Rooms(&["control"])),
    ("redb", Rooms(&["control"])),
    ("rustls", Rooms(&["tls"])),
    ("pin_project_lite", Rooms(&["runtime"])),
    ("serde", Rooms(&["control"])),
    ("serde_json", Rooms(&["cli", "control"])),
    ("socket2", Rooms(&["runtime"])),
    ("strsim", Rooms(&["control"])),
    // In transport: the traits of streams that h2 asks for.
    ("tokio", Rooms(&["control", "prober", "server", "transport"])),
    ("tokio_uring", Rooms(ON_THE_CONTROL_THREAD)),
    ("toml", Rooms(&["control"])),
    ("tracing", Anywhere),
    ("tracing_appender", Rooms(&["telemetry"])),
    ("tracing_subscriber", Rooms(&["telemetry"])),
];

/// Names that say nothing of what a module owns.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "manager", "misc", "helper", "helpers"];

/// Lines of a file, its tests aside, above which it must be split or listed in [`LONG_FILES`].
const LINES: usize = 500;

/// Files that may be longer, and why: `(path under src, reason)`.
const LONG_FILES: &[(&str, &str)] = &[];

#[test]
fn every_room_keeps_to_its_floor() {
    let mut house = House::default();
    for root in ["lib.rs", "main.rs"] {
        house.walk(Path::new(root), &[]);
    }
    house.report_orphans();
    let list: Vec<String> = house.violations.iter().map(Violation::to_string).collect();
    assert!(list.is_empty(), "the house is not in order:\n{}", list.join("\n"));
    assert!(house.seen.len() > 50, "only {} files were read", house.seen.len());
}

#[test]
fn the_map_in_lib_rs_shows_the_same_floors() {
    let map = read(&source_root().join("lib.rs"));
    let mut shown: Vec<(String, String)> = Vec::new();
    for line in map.lines().filter_map(|line| line.strip_prefix("//! |")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let Some(room) = cells.get(1).and_then(|cell| cell.strip_prefix("[`")?.strip_suffix("`]")) {
            shown.push((cells[0].to_string(), room.to_string()));
        }
    }
    let expected: Vec<(String, String)> = FLOORS
        .iter()
        .filter(|(room, _)| *room != "main")
        .map(|(room, floor)| (if *room == "cli" { "-".into() } else { floor.to_string() }, room.to_string()))
        .collect();
    assert_eq!(shown, expected);
}

#[test]
fn every_dependency_has_a_home() {
    let manifest: toml::Table = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).parse().expect("TOML");
    let dependencies = manifest["dependencies"].as_table().expect("a table");
    let named: BTreeSet<String> = dependencies.keys().map(|name| name.replace('-', "_")).collect();
    let housed: BTreeSet<String> = HOMES.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(named, housed, "left: Cargo.toml, right: HOMES");
}

/// Something out of order, and where.
#[derive(Debug, PartialEq)]
struct Violation {
    file: PathBuf,
    line: usize,
    what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "src/{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

/// The tree of modules, walked from its roots as the compiler does.
#[derive(Default)]
struct House {
    seen: BTreeSet<PathBuf>,
    test_code: BTreeSet<PathBuf>,
    violations: Vec<Violation>,
}

impl House {
    /// Reads the file of module `module` (a path from the crate's root), then those of its children.
    fn walk(&mut self, file: &Path, module: &[String]) {
        self.seen.insert(file.to_path_buf());
        let reading = Reading::of(file, module, &read(&source_root().join(file)));
        self.violations.extend(reading.violations);
        for (name, test_only) in reading.children {
            let child = find_child(file, &name);
            if test_only {
                self.test_code.insert(child);
            } else {
                let path: Vec<String> = module.iter().cloned().chain([name]).collect();
                self.walk(&child, &path);
            }
        }
    }

    /// A file that no module declares is not compiled: nobody would notice what is wrong with it.
    fn report_orphans(&mut self) {
        let mut folders = vec![source_root()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let file = path.strip_prefix(source_root()).expect("under src").to_path_buf();
                if path.is_dir() {
                    folders.push(path);
                } else if is_source(&file) && !self.seen.contains(&file) && !self.is_test_code(&file) {
                    self.violations.push(Violation { file, line: 1, what: "no module declares this file".into() });
                }
            }
        }
    }

    fn is_test_code(&self, file: &Path) -> bool {
        self.test_code.iter().any(|test| file == test || file.starts_with(test.with_extension("")))
    }
}

/// Text that a module's documentation includes is no source.
fn is_source(file: &Path) -> bool {
    file.extension().is_none_or(|extension| extension != "md")
}

fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Where `mod name;` in `file` lives.
fn find_child(file: &Path, name: &str) -> PathBuf {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).expect("a file name");
    let folder = match stem {
        "lib" | "main" | "mod" => file.with_file_name(""),
        _ => file.with_extension(""),
    };
    let flat = folder.join(format!("{name}.rs"));
    if source_root().join(&flat).exists() { flat } else { folder.join(name).join("mod.rs") }
}

/// What one file says.
struct Reading<'a> {
    file: &'a Path,
    room: String,
    violations: Vec<Violation>,
    /// Modules in files of their own, and whether only tests see them.
    children: Vec<(String, bool)>,
    /// Lines of test code.
    test_lines: usize,
}

type Tokens = Peekable<proc_macro2::token_stream::IntoIter>;

impl<'a> Reading<'a> {
    fn of(file: &'a Path, module: &[String], source: &str) -> Reading<'a> {
        let first = file.components().next().expect("a path").as_os_str().to_str().expect("UTF-8");
        let room = first.trim_end_matches(".rs").to_string();
        let mut reading = Reading { file, room, violations: Vec::new(), children: Vec::new(), test_lines: 0 };
        match source.parse::<TokenStream>() {
            Ok(tokens) => reading.read_items(tokens, module),
            Err(error) => reading.violations.push(Violation { file: file.into(), line: 1, what: error.to_string() }),
        }
        reading.check_length(source.lines().count());
        reading
    }

    fn check_length(&mut self, lines: usize) {
        let program = lines - self.test_lines;
        let excused = LONG_FILES.iter().any(|(path, _)| Path::new(path) == self.file);
        match (program > LINES, excused) {
            (true, false) => self.report(1, format!("{program} lines without its tests: split it, or say why not")),
            (false, true) => self.report(1, format!("{program} lines without its tests: no longer a long file")),
            (true, true) | (false, false) => {}
        }
    }

    /// Notes a violation, once per line however many names of a group share it.
    fn report(&mut self, line: usize, what: String) {
        let violation = Violation { file: self.file.into(), line, what };
        if !self.violations.contains(&violation) {
            self.violations.push(violation);
        }
    }

    fn read_items(&mut self, tokens: TokenStream, module: &[String]) {
        let mut tokens: Tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    if let Some(TokenTree::Group(attribute)) = tokens.peek()
                        && is_cfg_test(attribute)
                    {
                        self.skip_test_item(&mut tokens, punct.span().start().line);
                    }
                }
                TokenTree::Ident(ident) => {
                    let line = ident.span().start().line;
                    match ident.to_string().as_str() {
                        "unsafe" | "unsafe_code" => self.check_unsafe(line),
                        "mod" => self.read_module(&mut tokens, module, line),
                        "use" => self.read_use_tree(&mut tokens, &[], module, true),
                        first => self.read_path(first.to_string(), &mut tokens, module, line),
                    }
                }
                TokenTree::Group(group) => self.read_items(group.stream(), module),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    /// Skips the item behind `#[cfg(test)]`: all up to a semicolon or its braces.
    fn skip_test_item(&mut self, tokens: &mut Tokens, from: usize) {
        let mut is_module = None;
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Ident(ident) if ident == "mod" => is_module = tokens.peek().map(TokenTree::to_string),
                TokenTree::Punct(punct) if punct.as_char() == ';' => {
                    self.children.extend(is_module.map(|name| (name, true)));
                    self.test_lines += punct.span().end().line + 1 - from;
                    return;
                }
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                    self.test_lines += group.span().end().line + 1 - from;
                    return;
                }
                _ => {}
            }
        }
    }

    /// Behind `mod`: a child in its own file, or one in braces.
    fn read_module(&mut self, tokens: &mut Tokens, module: &[String], line: usize) {
        let Some(TokenTree::Ident(name)) = tokens.next() else { return };
        let name = name.to_string();
        if EMPTY_NAMES.contains(&name.as_str()) {
            self.report(line, format!("`{name}` does not say what the module owns"));
        }
        match tokens.next() {
            Some(TokenTree::Group(body)) => {
                let path: Vec<String> = module.iter().cloned().chain([name]).collect();
                self.read_items(body.stream(), &path);
            }
            _ => self.children.push((name, false)),
        }
    }

    /// One level of `use`: names and groups behind `prefix`, up to the end of `tokens` or a semicolon.
    fn read_use_tree(&mut self, tokens: &mut Tokens, prefix: &[String], module: &[String], to_semicolon: bool) {
        let mut path = prefix.to_vec();
        let mut renamed = false;
        let mut line = 0;
        for token in tokens.by_ref() {
            line = token.span().start().line;
            match token {
                TokenTree::Ident(ident) if ident == "as" => renamed = true,
                TokenTree::Ident(_) if renamed => {}
                TokenTree::Ident(ident) => path.push(ident.to_string()),
                TokenTree::Group(group) => {
                    let mut inner: Tokens = group.stream().into_iter().peekable();
                    self.read_use_tree(&mut inner, &path, module, false);
                    path.clear();
                }
                TokenTree::Punct(punct) => match punct.as_char() {
                    '*' => path.push("*".into()),
                    ',' | ';' => {
                        self.check_path(&path, module, line);
                        path = prefix.to_vec();
                        renamed = false;
                        if to_semicolon && punct.as_char() == ';' {
                            return;
                        }
                    }
                    _ => {}
                },
                TokenTree::Literal(_) => {}
            }
        }
        if path.len() > prefix.len() {
            self.check_path(&path, module, line);
        }
    }

    /// A path in an expression, a type or a macro: `first` and what `::` joins to it.
    fn read_path(&mut self, first: String, tokens: &mut Tokens, module: &[String], line: usize) {
        let mut path = vec![first];
        while next_is_path_separator(tokens) {
            tokens.next();
            tokens.next();
            match tokens.peek() {
                Some(TokenTree::Ident(ident)) => path.push(ident.to_string()),
                _ => break,
            }
            tokens.next();
        }
        if path.len() > 1 {
            self.check_path(&path, module, line);
        }
    }

    fn check_path(&mut self, path: &[String], module: &[String], line: usize) {
        let Some(first) = path.first() else { return };
        match first.as_str() {
            "crate" | "elbow" => self.check_room(path.get(1), line),
            "super" => {
                let ups = path.iter().take_while(|segment| *segment == "super").count();
                let kept = module.len().saturating_sub(ups);
                let absolute: Vec<&String> = module.iter().take(kept).chain(&path[ups..]).collect();
                self.check_room(absolute.first().copied(), line);
            }
            outside => self.check_home(outside, line),
        }
    }

    fn check_room(&mut self, target: Option<&String>, line: usize) {
        let Some(target) = target else { return };
        if *target == self.room {
            return;
        }
        match (floor_of(&self.room), floor_of(target)) {
            _ if self.room == "lib" => {}
            (Some(here), Some(there)) if there < here => {}
            (Some(here), Some(there)) => {
                let direction = if there == here { "sideways" } else { "up" };
                let what = format!("`{}` (floor {here}) looks {direction} into `{target}` (floor {there})", self.room);
                self.report(line, what);
            }
            (None, _) => self.report(line, format!("`{}` is on no floor", self.room)),
            (_, None) => self.report(line, format!("`{target}` is no room")),
        }
    }

    fn check_home(&mut self, outside: &str, line: usize) {
        if let Some((_, Rooms(rooms))) = HOMES.iter().find(|(name, _)| *name == outside)
            && !rooms.contains(&self.room.as_str())
        {
            self.report(line, format!("`{outside}` in `{}`: its home is {}", self.room, rooms.join(", ")));
        }
    }

    fn check_unsafe(&mut self, line: usize) {
        if !matches!(self.room.as_str(), "runtime" | "lib") {
            self.report(line, format!("`unsafe` in `{}`: its home is runtime", self.room));
        }
    }
}

fn floor_of(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

/// Whether an attribute is exactly `cfg(test)`; `any(test, …)` is not only for tests.
fn is_cfg_test(attribute: &Group) -> bool {
    attribute.stream().to_string().replace(' ', "") == "cfg(test)"
}

fn next_is_path_separator(tokens: &Tokens) -> bool {
    let mut ahead = tokens.clone();
    let mut is_colon = || matches!(ahead.next(), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
    is_colon() && is_colon()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(file: &str, source: &str) -> Vec<String> {
        let path = Path::new(file);
        let mut module: Vec<String> =
            path.with_extension("").iter().map(|part| part.to_str().unwrap().into()).collect();
        if module.last().is_some_and(|name| name == "mod") {
            module.pop();
        }
        Reading::of(path, &module, source).violations.iter().map(Violation::to_string).collect()
    }

    #[test]
    fn what_is_out_of_order_is_found() {
        let cases = [
            ("wire/body.rs", "use crate::proxy::Worker;", "`wire` (floor 2) looks up into `proxy`"),
            ("wire/body.rs", "use crate::{base::Slab, runtime::{self, Ring}};", "looks sideways into `runtime`"),
            ("wire/body.rs", "fn f() { let x = crate::server::start(); }", "up into `server`"),
            ("wire/body.rs", "fn f(x: Vec<crate::balance::Choice>) {}", "sideways into `balance`"),
            ("wire/body.rs", "println!(\"{}\", crate::server::NAME);", "up into `server`"),
            ("wire/body.rs", "macro_rules! m { () => { $crate::proxy::X }; }", "up into `proxy`"),
            ("wire/head/scan.rs", "use super::super::super::control;", "up into `control`"),
            ("wire/mod.rs", "pub(in crate::proxy) fn f() {}", "up into `proxy`"),
            ("wire/body.rs", "use crate::attic::X;", "`attic` is no room"),
            ("wire/body.rs", "use crate::*;", "`*` is no room"),
            ("attic/mod.rs", "use crate::base::Slab;", "`attic` is on no floor"),
            ("proxy/http1.rs", "use httparse;", "`httparse` in `proxy`: its home is wire"),
            ("proxy/http1.rs", "use {std::io, tokio as t};", "`tokio` in `proxy`"),
            ("proxy/http1.rs", "fn f() { libc::close(3); }", "`libc` in `proxy`: its home is prober, runtime"),
            ("proxy/http1.rs", "fn f() { unsafe { g() } }", "`unsafe` in `proxy`"),
            ("proxy/http1.rs", "#![allow(unsafe_code)]", "`unsafe` in `proxy`"),
            ("proxy/mod.rs", "pub mod utils;", "`utils` does not say"),
            ("proxy/mod.rs", "#[cfg(any(test, unix))] use crate::server::X;", "up into `server`"),
            ("proxy/mod.rs", "mod tests { use crate::server::X; }", "up into `server`"),
            ("proxy/mod.rs", "#[cfg(test)] mod tests { } use crate::server::X;", "up into `server`"),
            ("proxy/mod.rs", "fn broken( {", "cannot parse"),
        ];
        for (file, source, expected) in cases {
            let found = complaints(file, source);
            assert_eq!(found.len(), 1, "{source}: {found:?}");
            assert!(found[0].contains(expected), "{source}: {found:?}");
        }
        assert_eq!(complaints("base/a.rs", &"\n".repeat(LINES)), [""; 0]);
        assert!(complaints("base/a.rs", &"\n".repeat(LINES + 1))[0].contains("501 lines"));
    }

    #[test]
    fn what_is_in_order_is_left_alone() {
        let cases = [
            ("wire/body.rs", "use crate::{base::Slab, model::Name, wire::Head}; use super::token; use std::io;"),
            ("wire/mod.rs", "mod inner { use super::super::model; fn f() { super::g(); } }"),
            ("wire/mod.rs", "fn f() { httparse::parse(); self::g(); Vec::<u8>::new(); }"),
            ("runtime/ring.rs", "use io_uring::IoUring; fn f() { unsafe { libc::close(3) } }"),
            ("control/mod.rs", "fn f() { tokio::spawn(async {}); let http = http.x; }"),
            ("cli/mod.rs", "use crate::server; use clap::Parser;"),
            ("main.rs", "use elbow::cli; use mimalloc::MiMalloc;"),
            ("proxy/mod.rs", "#[cfg(test)] mod tests { use crate::server::X; fn f() { unsafe {} } }"),
            ("proxy/mod.rs", "#[cfg(test)] #[allow(x)] use crate::server::X;"),
            ("proxy/mod.rs", "// crate::server::X\n/// unsafe [`crate::server`]\nconst A: &str = \"unsafe\";"),
        ];
        for (file, source) in cases {
            assert_eq!(complaints(file, source), [""; 0], "{source}");
        }
    }

    #[test]
    fn children_are_found_where_the_compiler_looks() {
        let reading = Reading::of(Path::new("wire/mod.rs"), &["wire".into()], "mod body; #[cfg(test)] mod testing;");
        assert_eq!(reading.children, [("body".into(), false), ("testing".into(), true)]);
        assert_eq!(find_child(Path::new("lib.rs"), "wire"), Path::new("wire/mod.rs"));
        assert_eq!(find_child(Path::new("wire/mod.rs"), "body"), Path::new("wire/body.rs"));
    }
}
