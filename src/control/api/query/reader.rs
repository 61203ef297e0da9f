//! Takes typed values out of the parameters of a call, and notes every problem in AWS's words, so that one answer names
//! them all.

use super::parameters::{Node, Parameters};
use crate::control::api::error::ApiError;
use crate::model::{Count, Invalid, Keyword, Seconds};
use std::cell::RefCell;
use std::ops::RangeInclusive;

impl Parameters {
    /// What `read` makes of the parameters.
    ///
    /// # Errors
    ///
    /// `ValidationError` with every problem that was noted, whatever `read` answers.
    pub fn read<T>(&self, read: impl FnOnce(&Reader<'_>) -> Option<T>) -> Result<T, ApiError> {
        let problems = RefCell::default();
        let value = read(&Reader { node: &self.root, path: String::new(), problems: &problems });
        match (value, problems.into_inner().as_slice()) {
            (Some(value), []) => Ok(value),
            (_, problems) => Err(ApiError::validation(message(problems))),
        }
    }
}

/// One structure of a call's parameters. What is read is `None` when a problem was noted, so that `?` leaves the
/// structure that cannot be made; of something optional, `Some(None)` says that it is absent.
pub struct Reader<'a> {
    node: &'a Node,
    path: String,
    problems: &'a RefCell<Vec<Problem>>,
}

/// Why a text is not the value that was meant.
pub enum Unfit {
    /// A sentence of its own.
    Says(String),
    /// What AWS calls a constraint, behind the value and its place.
    Constraint(String),
}

impl From<Invalid> for Unfit {
    fn from(invalid: Invalid) -> Self {
        Self::Says(invalid.to_string())
    }
}

/// Reads a whole number in `range`.
pub fn number(range: RangeInclusive<i64>) -> impl Fn(&str) -> Result<i64, Unfit> {
    let (least, most) = range.into_inner();
    let constraint = |text: String| Err(Unfit::Constraint(text));
    move |text| match text.parse::<i128>() {
        Err(_) => constraint("Member must be a whole number".to_owned()),
        Ok(value) if value < i128::from(least) => {
            constraint(format!("Member must have value greater than or equal to {least}"))
        }
        Ok(value) => match i64::try_from(value) {
            Ok(value) if value <= most => Ok(value),
            _ => constraint(format!("Member must have value less than or equal to {most}")),
        },
    }
}

/// Reads a whole number in the range of a type.
pub fn count<const MIN: u32, const MAX: u32>(text: &str) -> Result<Count<MIN, MAX>, Unfit> {
    Ok(Count::new(number(MIN.into()..=MAX.into())(text)?)?)
}

/// Reads whole seconds in `range`.
pub fn seconds<const MIN_MS: u32, const MAX_MS: u32>(
    range: RangeInclusive<i64>,
) -> impl Fn(&str) -> Result<Seconds<MIN_MS, MAX_MS>, Unfit> {
    let whole = number(range);
    // ELB's seconds have five digits at most.
    move |text| Ok(Seconds::new(whole(text)? as f64)?)
}

/// Reads `true` or `false` in any letter case.
pub fn boolean(text: &str) -> Result<bool, Unfit> {
    if text.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if text.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err(Unfit::Constraint("Member must be true or false".to_owned()))
    }
}

/// Reads one word of a closed set in any letter case.
pub fn keyword<K: Keyword>(text: &str) -> Result<K, Unfit> {
    let words = || K::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(", ");
    let unfit = || Unfit::Constraint(format!("Member must satisfy enum value set: [{}]", words()));
    K::from_word(text).ok_or_else(unfit)
}

impl<'a> Reader<'a> {
    /// The value at `name`, if there is one; an empty text counts as none.
    pub fn optional<T, E: Into<Unfit>>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<Option<T>> {
        match self.node.child(name).and_then(Node::text).filter(|text| !text.is_empty()) {
            Some(text) => self.parse(text, self.path_of(name), parse).map(Some),
            None => Some(None),
        }
    }

    /// The value at `name`.
    pub fn required<T, E: Into<Unfit>>(&self, name: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let value = self.optional(name, parse)?;
        value.or_else(|| self.miss(name))
    }

    /// The value of this member of a list.
    pub fn item<T, E: Into<Unfit>>(&self, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        self.parse(self.node.text().unwrap_or_default(), self.path.clone(), parse)
    }

    /// The text of this member of a list, as it was sent.
    pub fn item_text(&self) -> Option<String> {
        Some(self.node.text().unwrap_or_default().to_owned())
    }

    /// The text at `name`, as it was sent; an empty text counts as none.
    pub fn optional_text(&self, name: &str) -> Option<Option<String>> {
        self.optional(name, |text| Ok::<_, Unfit>(text.to_owned()))
    }

    /// The text at `name`, as it was sent and not empty.
    pub fn text(&self, name: &str) -> Option<String> {
        self.required(name, |text| Ok::<_, Unfit>(text.to_owned()))
    }

    /// What `read` makes of the structure at `name`, if there is one.
    pub fn structure<T>(&self, name: &str, read: impl FnOnce(&Reader<'a>) -> Option<T>) -> Option<Option<T>> {
        match self.node.child(name).filter(|node| !node.is_leaf()) {
            Some(node) => read(&Reader { node, path: self.path_of(name), problems: self.problems }).map(Some),
            None => Some(None),
        }
    }

    /// What `read` makes of the structure at `name`.
    pub fn required_structure<T>(&self, name: &str, read: impl FnOnce(&Reader<'a>) -> Option<T>) -> Option<T> {
        let value = self.structure(name, read)?;
        value.or_else(|| self.miss(name))
    }

    /// The members of the list at `name`, if there is one. The bare name with an empty value is the empty list.
    pub fn list<T>(&self, name: &str, read: impl Fn(&Reader<'a>) -> Option<T>) -> Option<Option<Vec<T>>> {
        let Some(node) = self.node.child(name) else { return Some(None) };
        let path = self.path_of(name);
        let members = match node.members() {
            Ok(members) => members,
            Err(step) => {
                let text = format!("{path}.member.{step} is no member of a list");
                return self.note(Problem::Says(text));
            }
        };
        // Every member is read, so that the problems of all are noted.
        let read =
            |(number, node)| read(&Reader { node, path: format!("{path}.{number}.member"), problems: self.problems });
        let values: Vec<Option<T>> = members.into_iter().map(read).collect();
        values.into_iter().collect::<Option<Vec<T>>>().map(Some)
    }

    /// The members of the list at `name`, at least one.
    pub fn required_list<T>(&self, name: &str, read: impl Fn(&Reader<'a>) -> Option<T>) -> Option<Vec<T>> {
        let members = self.list(name, read)?;
        members.filter(|members| !members.is_empty()).or_else(|| self.miss(name))
    }

    /// Notes a problem in a sentence of its own.
    pub fn refuse<T>(&self, sentence: impl Into<String>) -> Option<T> {
        self.note(Problem::Says(sentence.into()))
    }

    fn parse<T, E: Into<Unfit>>(
        &self,
        text: &str,
        path: String,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(text).map_err(Into::into) {
            Ok(value) => Some(value),
            Err(Unfit::Says(sentence)) => self.refuse(sentence),
            Err(Unfit::Constraint(constraint)) => {
                self.note(Problem::Unfit { value: text.to_owned(), path, constraint })
            }
        }
    }

    fn miss<T>(&self, name: &str) -> Option<T> {
        self.note(Problem::Missing { name: name.to_owned(), path: self.path_of(name) })
    }

    fn note<T>(&self, problem: Problem) -> Option<T> {
        self.problems.borrow_mut().push(problem);
        None
    }

    /// The place of `name` as AWS writes it: every step begins in lower case.
    fn path_of(&self, name: &str) -> String {
        let (first, rest) = name.split_at(usize::from(!name.is_empty()));
        let dot = if self.path.is_empty() { "" } else { "." };
        format!("{}{dot}{}{rest}", self.path, first.to_ascii_lowercase())
    }
}

enum Problem {
    Missing { name: String, path: String },
    Unfit { value: String, path: String, constraint: String },
    Says(String),
}

/// How much of a wrong value is shown again.
const SHOWN_MAX: usize = 256;

/// All problems in one sentence; a single one in the words that ELB has for it.
fn message(problems: &[Problem]) -> String {
    match problems {
        [Problem::Missing { name, .. }] => format!("The request must contain the parameter {name}"),
        [Problem::Says(sentence)] => sentence.clone(),
        _ => {
            let plural = if problems.len() == 1 { "" } else { "s" };
            let all: Vec<String> = problems.iter().map(Problem::sentence).collect();
            format!("{} validation error{plural} detected: {}", problems.len(), all.join("; "))
        }
    }
}

impl Problem {
    fn sentence(&self) -> String {
        match self {
            Self::Missing { path, .. } => {
                format!("Value null at '{path}' failed to satisfy constraint: Member must not be null")
            }
            Self::Unfit { value, path, constraint } => {
                let shown: String = value.chars().take(SHOWN_MAX).collect();
                format!("Value '{shown}' at '{path}' failed to satisfy constraint: {constraint}")
            }
            Self::Says(sentence) => sentence.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::api::query::form;
    use crate::model::{LoadBalancerName, Protocol};

    fn parameters(query: &str) -> Parameters {
        Parameters::new(form::decode(query.as_bytes()).unwrap()).unwrap()
    }

    fn port(reader: &Reader<'_>) -> Option<(Protocol, i64)> {
        let (protocol, port) = (reader.required("Protocol", keyword), reader.required("Port", number(1..=65535)));
        Some((protocol?, port?))
    }

    fn ports(query: &str) -> Result<Vec<(Protocol, i64)>, String> {
        let read = parameters(query).read(|reader| reader.required_list("Listeners", port));
        read.map_err(|error| error.message)
    }

    #[test]
    fn values_come_out_typed() {
        let query = "Listeners.member.1.Protocol=http&Listeners.member.1.Port=80\
                     &Listeners.member.3.Protocol=SSL&Listeners.member.3.Port=65535";
        assert_eq!(ports(query), Ok(vec![(Protocol::Http, 80), (Protocol::Ssl, 65535)]));
        let truths: [Option<bool>; 4] = ["F=true", "F=FALSE", "F=", ""]
            .map(|query| parameters(query).read(|reader| reader.optional("F", boolean)).unwrap());
        assert_eq!(truths, [Some(true), Some(false), None, None]);
    }

    #[test]
    fn an_empty_list_differs_from_none() {
        let list = |query: &str| parameters(query).read(|reader| reader.list("Names", Reader::item_text)).unwrap();
        assert_eq!(list(""), None);
        assert_eq!(list("Names="), Some(vec![]));
        assert_eq!(list("Names.member.1="), Some(vec![String::new()]));
        assert_eq!(list("Names=&Names.member.1=a"), Some(vec!["a".to_owned()]));
    }

    #[test]
    fn one_problem_is_told_in_elbs_words() {
        for (query, message) in [
            ("", "The request must contain the parameter Listeners"),
            ("Listeners=", "The request must contain the parameter Listeners"),
            ("Listeners.member.1.Protocol=TCP", "The request must contain the parameter Port"),
            (
                "Listeners.member.1.Protocol=TCP&Listeners.member.1.Port=65536",
                "1 validation error detected: Value '65536' at 'listeners.1.member.port' failed to satisfy constraint: \
                 Member must have value less than or equal to 65535",
            ),
            (
                "Listeners.member.1.Protocol=TCP&Listeners.member.1.Port=-99999999999999999999999999",
                "1 validation error detected: Value '-99999999999999999999999999' at 'listeners.1.member.port' failed \
                 to satisfy constraint: Member must have value greater than or equal to 1",
            ),
            (
                "Listeners.member.1.Protocol=TCP&Listeners.member.1.Port=eighty",
                "1 validation error detected: Value 'eighty' at 'listeners.1.member.port' failed to satisfy \
                 constraint: Member must be a whole number",
            ),
            (
                "Listeners.member.1.Protocol=X&Listeners.member.1.Port=1",
                "1 validation error detected: Value 'X' at 'listeners.1.member.protocol' failed to satisfy constraint: \
                 Member must satisfy enum value set: [HTTP, HTTPS, TCP, SSL]",
            ),
            ("Listeners.member.x=1", "listeners.member.x is no member of a list"),
        ] {
            assert_eq!(ports(query), Err(message.to_owned()), "{query}");
        }
        let name = parameters("Name=-").read(|reader| reader.required("Name", LoadBalancerName::new));
        assert!(name.unwrap_err().message.starts_with("a load balancer name is"));
    }

    #[test]
    fn every_problem_is_told() {
        let query = "Listeners.member.1.Protocol=X&Listeners.member.2.Protocol=TCP&Listeners.member.2.Port=0";
        let message = ports(query).unwrap_err();
        assert!(message.starts_with("3 validation errors detected: "), "{message}");
        for place in ["'listeners.1.member.protocol'", "Value null at 'listeners.1.member.port'", "Value '0'"] {
            assert!(message.contains(place), "{message}");
        }
        let long = format!("Listeners.member.1.Protocol={}&Listeners.member.1.Port=1", "x".repeat(100_000));
        assert!(ports(&long).unwrap_err().len() < 500, "a wrong value is not sent back whole");
    }
}
