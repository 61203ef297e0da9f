//! Elements of an answer, written one after the other.

use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};
use std::borrow::Cow;
use std::fmt::Display;

/// XML while it is written: well-formed whatever the texts are.
pub struct Xml(Writer<Vec<u8>>);

impl Default for Xml {
    fn default() -> Self {
        Self(Writer::new(Vec::new()))
    }
}

impl Xml {
    /// An element that holds `value`.
    pub fn text(&mut self, name: &str, value: impl Display) {
        let value = value.to_string();
        self.element(name, |xml| xml.write(Event::Text(BytesText::new(&legal(&value)))));
    }

    /// The same, if there is a value; a client takes an absent element for none and an empty one for an empty text.
    pub fn optional(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// An element that holds what `inside` writes.
    pub fn element(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.open(BytesStart::new(name), inside);
    }

    /// The same, in a namespace.
    pub fn root(&mut self, name: &str, namespace: &str, inside: impl FnOnce(&mut Self)) {
        let mut start = BytesStart::new(name);
        start.push_attribute(("xmlns", namespace));
        self.open(start, inside);
    }

    /// A list: one `member` element for each item, in which `write` writes. Without items the element is there and
    /// empty, because clients read an absent one as no list at all.
    pub fn list<T>(&mut self, name: &str, items: impl IntoIterator<Item = T>, write: impl Fn(&mut Self, T)) {
        self.element(name, |xml| {
            for item in items {
                xml.element("member", |xml| write(xml, item));
            }
        });
    }

    /// A list of values.
    pub fn texts(&mut self, name: &str, items: impl IntoIterator<Item = impl Display>) {
        self.element(name, |xml| {
            for item in items {
                xml.text("member", item);
            }
        });
    }

    /// What `result` wrote.
    pub fn append(&mut self, result: Self) {
        self.0.get_mut().extend(result.into_bytes());
    }

    /// What was written, as UTF-8.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into_inner()
    }

    fn open(&mut self, start: BytesStart<'_>, inside: impl FnOnce(&mut Self)) {
        let end = BytesEnd::new(start.name().as_ref().to_owned());
        self.write(Event::Start(start));
        inside(self);
        self.write(Event::End(end));
    }

    fn write(&mut self, event: Event<'_>) {
        // A Vec takes everything.
        let _ = self.0.write_event(event);
    }
}

/// The text without what no XML document may hold, not even escaped (XML 1.0 section 2.2). An answer repeats what was
/// sent in its messages.
fn legal(text: &str) -> Cow<'_, str> {
    let illegal =
        |char: char| matches!(char, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}');
    if text.contains(illegal) { text.replace(illegal, "\u{fffd}").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use quick_xml::Reader;

    fn written(write: impl FnOnce(&mut Xml)) -> String {
        let mut xml = Xml::default();
        write(&mut xml);
        String::from_utf8(xml.into_bytes()).unwrap()
    }

    #[test]
    fn elements_lists_and_what_is_absent() {
        let xml = written(|xml| {
            xml.root("R", "urn:x", |xml| {
                xml.text("Port", 80);
                xml.optional("Gone", None::<&str>);
                xml.optional("There", Some(""));
                xml.texts("Names", ["a", "b"]);
                xml.texts("None", [""; 0]);
                xml.list("Items", [1], |xml, item| xml.text("Id", item));
            });
        });
        let expected = "<R xmlns=\"urn:x\"><Port>80</Port><There></There><Names><member>a</member><member>b</member>\
                        </Names><None></None><Items><member><Id>1</Id></member></Items></R>";
        assert_eq!(xml, expected);
    }

    #[test]
    fn hostile_text_stays_text() {
        assert_eq!(written(|xml| xml.text("T", "</T><X a=\"&\">")), "<T>&lt;/T&gt;&lt;X a=&quot;&amp;&quot;&gt;</T>");
        assert_eq!(written(|xml| xml.text("T", "a\0b\x0bc\u{ffff}\r\n")), "<T>a\u{fffd}b\u{fffd}c\u{fffd}&#13;\n</T>");
    }

    proptest! {
        /// Every text comes back as it was, save what XML cannot hold.
        #[test]
        fn texts_survive(text: String) {
            let xml = written(|xml| xml.text("T", &text));
            let mut reader = Reader::from_str(&xml);
            let mut read = String::new();
            loop {
                match reader.read_event() {
                    Ok(Event::Text(part)) => read.push_str(&part),
                    Ok(Event::GeneralRef(name)) => {
                        let escaped = format!("&{};", &*name);
                        read.push_str(&quick_xml::escape::unescape(&escaped).unwrap());
                    }
                    Ok(Event::Eof) => break,
                    Ok(_) => {}
                    Err(error) => prop_assert!(false, "{error}"),
                }
            }
            prop_assert_eq!(read, legal(&text));
        }
    }
}
