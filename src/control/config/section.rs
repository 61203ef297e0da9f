//! Reading one table of the file: typed values by key, and at the end a word about every key that nobody asked for.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problem;
use super::suggestion::did_you_mean;
use super::value::{FromValue, describe};
use crate::model::Invalid;

/// A value of the file with the place where it stands.
pub(super) type SpannedValue<'a> = Spanned<DeValue<'a>>;

/// What a reading of the whole file collects on its way.
pub(super) struct Reading {
    directory: PathBuf,
    problems: RefCell<Vec<Problem>>,
    files: RefCell<Vec<MentionedFile>>,
}

/// What a file is named for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileRole {
    /// It is read: it must be there.
    Input,
    /// It holds a secret: it must be there, and for its owner alone.
    Secret,
    /// Session tickets are made with what it holds: it must be long enough, there, and for its owner alone.
    TicketKey,
    /// It is written: its directory should be there.
    Written,
}

/// A file that the configuration names.
pub(super) struct MentionedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Where it is named.
    pub span: Range<usize>,
    /// By what it is named.
    pub object: String,
    /// The key that names it.
    pub key: &'static str,
    /// What for.
    pub role: FileRole,
}

impl Reading {
    /// A reading that resolves relative paths against `directory`.
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, problems: RefCell::default(), files: RefCell::default() }
    }

    /// Notes a problem.
    pub(super) fn note(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// Ends the reading: the problems that were noted, and the files that were named.
    pub(super) fn finish(self) -> (Vec<Problem>, Vec<MentionedFile>) {
        (self.problems.into_inner(), self.files.into_inner())
    }
}

/// One table that is being read.
pub(super) struct Section<'a> {
    reading: &'a Reading,
    table: &'a DeTable<'a>,
    span: Range<usize>,
    object: String,
    known: Vec<Cow<'a, str>>,
}

/// An element of a list, not read yet.
pub(super) struct Element<'a> {
    /// The value.
    pub value: &'a SpannedValue<'a>,
    /// What it is called in messages: `load_balancers.web, listener 2`.
    pub object: String,
    reading: &'a Reading,
}

impl<'a> Element<'a> {
    /// The table that the element is; what it is instead is noted as wrong.
    pub(super) fn into_section(self) -> Option<Section<'a>> {
        Section::of_value(self.value, self.object, self.reading)
    }

    /// Notes that the element is not what was `expected`.
    pub(super) fn refuse(&self, expected: &str) {
        let message = format!("{expected}, found {}", describe(self.value.get_ref()));
        self.reading.note(Problem::error(self.value.span(), self.object.clone(), message));
    }

    /// The value that the element is; what is wrong with it is noted.
    pub(super) fn read<T: FromValue>(&self) -> Option<T> {
        convert(self.value, "", &self.object, self.reading)
    }
}

impl<'a> Section<'a> {
    /// The root of the file.
    pub(super) fn root(table: &'a Spanned<DeTable<'a>>, reading: &'a Reading) -> Self {
        Self { reading, table: table.get_ref(), span: 0..0, object: String::new(), known: Vec::new() }
    }

    fn of_value(value: &'a SpannedValue<'a>, object: String, reading: &'a Reading) -> Option<Self> {
        let span = value.span();
        match value.get_ref() {
            DeValue::Table(table) => Some(Self { reading, table, span, object, known: Vec::new() }),
            other => {
                let message = format!("expected a table, found {}", describe(other));
                reading.note(Problem::error(span, object, message));
                None
            }
        }
    }

    /// What the section is called in messages.
    pub(super) fn object(&self) -> &str {
        &self.object
    }

    /// Where the section stands: its header, or its braces.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Where the value of `key` stands, else the section.
    pub(super) fn span_of(&self, key: &str) -> Range<usize> {
        self.table.get(key).map_or_else(|| self.span(), Spanned::span)
    }

    /// Where `key` itself stands, else the section.
    pub(super) fn key_span(&self, key: &str) -> Range<usize> {
        self.table.get_key_value(key).map_or_else(|| self.span(), |(key, _)| key.span())
    }

    /// Whether `key` is there, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The keys as written, with their places.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&'a str, Range<usize>)> + use<'a> {
        self.table.keys().map(|key| (key.get_ref().as_ref(), key.span()))
    }

    /// Notes that something about this section is wrong.
    pub(super) fn refuse(&self, span: Range<usize>, message: impl Into<String>) {
        self.reading.note(Problem::error(span, self.object.clone(), message));
    }

    /// The value of `key`; `None` if it is absent, or wrong, which is then noted.
    pub(super) fn read<T: FromValue>(&mut self, key: impl Into<Cow<'a, str>>) -> Option<T> {
        let key = key.into();
        let value = self.value(key.clone())?;
        self.convert(&key, value)
    }

    /// The value of `key`, or `default`.
    pub(super) fn read_or<T: FromValue>(&mut self, key: &'static str, default: T) -> T {
        self.read(key).unwrap_or(default)
    }

    /// The value of `key`, which must be there.
    pub(super) fn require<T: FromValue>(&mut self, key: &'static str) -> Option<T> {
        self.must_have(key).then(|| self.read(key)).flatten()
    }

    /// The path that `key` names, relative to the file's directory.
    pub(super) fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        let written: String = self.read(key)?;
        if written.is_empty() || written.contains('\0') {
            self.refuse(self.span_of(key), format!("{key}: expected a path, found {written:?}"));
            return None;
        }
        Some(self.reading.directory.join(written))
    }

    /// As [`Section::path`], for a file of this role, to be looked at when the whole file has been read.
    pub(super) fn file(&mut self, key: &'static str, role: FileRole) -> Option<PathBuf> {
        let path = self.path(key)?;
        let (span, object) = (self.span_of(key), self.object.clone());
        self.reading.files.borrow_mut().push(MentionedFile { path: path.clone(), span, object, key, role });
        Some(path)
    }

    /// As [`Section::file`], for a key that must be there.
    pub(super) fn require_file(&mut self, key: &'static str, role: FileRole) -> Option<PathBuf> {
        self.must_have(key).then(|| self.file(key, role)).flatten()
    }

    /// The values of the list at `key`, each with its place; those that are wrong are noted and left out.
    pub(super) fn list<T: FromValue>(&mut self, key: &'a str) -> Vec<(T, Range<usize>)> {
        let array = self.array(key).unwrap_or_default();
        array.iter().filter_map(|value| Some((self.convert(key, value)?, value.span()))).collect()
    }

    /// As [`Section::list`], where a single value stands for a list of itself.
    pub(super) fn one_or_more<T: FromValue>(&mut self, key: &'static str) -> Vec<(T, Range<usize>)> {
        match self.table.get(key) {
            Some(value) if !value.get_ref().is_array() => {
                self.read(key).map(|read| (read, value.span())).into_iter().collect()
            }
            _ => self.list(key),
        }
    }

    /// The elements of the list at `key`, to be read one by one.
    pub(super) fn elements(&mut self, key: &'static str) -> Vec<Element<'a>> {
        let (reading, array) = (self.reading, self.array(key).unwrap_or_default());
        let element = |(index, value)| {
            let object = object_of_element(&self.object, key, index);
            Element { value, object, reading }
        };
        array.iter().enumerate().map(element).collect()
    }

    /// The elements of the list at `key` that are tables; what else is there is noted as wrong.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<Self> {
        self.elements(key).into_iter().filter_map(Element::into_section).collect()
    }

    /// How many elements are written at `key`, right or wrong; what is no list counts as one.
    pub(super) fn len_of(&self, key: &str) -> usize {
        let value = self.table.get(key).map(Spanned::get_ref);
        value.map_or(0, |value| value.as_array().map_or(1, |array| array.len()))
    }

    /// The table at `key`.
    pub(super) fn section(&mut self, key: &'a str) -> Option<Self> {
        let value = self.value(key)?;
        Self::of_value(value, object_of_key(&self.object, key), self.reading)
    }

    /// The keys of a section whose keys are names that the user chose: as written, and as the name it makes. `None`
    /// for one that makes none, which is noted; what stands under it can still be read.
    pub(super) fn names<T>(&self, make: fn(&str) -> Result<T, Invalid>) -> Vec<(&'a str, Option<T>)> {
        let named = |(key, span): (&'a str, Range<usize>)| match make(key) {
            Ok(name) => (key, Some(name)),
            Err(invalid) => {
                self.refuse(span, format!("{invalid}, found \"{key}\""));
                (key, None)
            }
        };
        self.keys().map(named).collect()
    }

    /// Reports every key that was not read.
    pub(super) fn finish(self) {
        for (key, span) in self.keys() {
            if self.known.iter().any(|known| known == key) {
                continue;
            }
            let known = || self.known.iter().map(Cow::as_ref);
            let hint = did_you_mean(key, known()).or_else(|| self.expected_keys());
            let message = format!("unknown key \"{key}\"");
            self.reading.note(Problem::error(span, self.object.clone(), message).with_hint(hint));
        }
    }

    fn expected_keys(&self) -> Option<String> {
        let known: Vec<&str> = self.known.iter().map(Cow::as_ref).collect();
        (known.len() <= 12).then(|| format!("expected {}", known.join(", ")))
    }

    fn must_have(&mut self, key: &'static str) -> bool {
        if self.has(key) {
            return true;
        }
        self.known.push(key.into());
        let problem = Problem::error(self.span(), self.object.clone(), format!("missing key \"{key}\""));
        self.reading.note(problem.absence());
        false
    }

    fn value(&mut self, key: impl Into<Cow<'a, str>>) -> Option<&'a SpannedValue<'a>> {
        let key = key.into();
        let value = self.table.get(key.as_ref());
        self.known.push(key);
        value
    }

    fn array(&mut self, key: &'a str) -> Option<&'a [SpannedValue<'a>]> {
        let value = self.value(key)?;
        let array = value.get_ref().as_array();
        if array.is_none() {
            let found = describe(value.get_ref());
            self.refuse(value.span(), format!("{key}: expected a list, found {found}"));
        }
        array.map(|array| &**array)
    }

    fn convert<T: FromValue>(&self, key: &str, value: &SpannedValue<'_>) -> Option<T> {
        convert(value, &format!("{key}: "), &self.object, self.reading)
    }
}

/// Reads a value; notes what is wrong with it, after `label`, as a problem of `object`.
fn convert<T: FromValue>(value: &SpannedValue<'_>, label: &str, object: &str, reading: &Reading) -> Option<T> {
    match T::from_value(value.get_ref()) {
        Ok(read) => Some(read),
        Err(mismatch) => {
            let message = format!("{label}{}, found {}", mismatch.expected, describe(value.get_ref()));
            reading.note(Problem::error(value.span(), object, message).with_hint(mismatch.hint));
            None
        }
    }
}

/// What a table under `key` of `object` is called. A name with a dot in it stands in quotes, as it must in TOML.
pub(super) fn object_of_key(object: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let key = if bare { key.to_owned() } else { format!("\"{key}\"") };
    if object.is_empty() { key } else { format!("{object}.{key}") }
}

/// What the element at `index` of the list at `key` of `object` is called: `listener 2`. People count from 1.
pub(super) fn object_of_element(object: &str, key: &str, index: usize) -> String {
    let noun = match key.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => key.strip_suffix('s').unwrap_or(key).replace('_', " "),
    };
    let separator = if object.is_empty() { "" } else { ", " };
    format!("{object}{separator}{noun} {}", index + 1)
}
