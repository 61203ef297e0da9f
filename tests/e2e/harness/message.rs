//! An HTTP/1 message as a test sees it: every byte kept, nothing interpreted but what was asked for.

use std::fmt;

/// The lines of a message up to its empty line.
#[derive(Clone, PartialEq, Eq)]
pub struct Head {
    /// Exactly as received, the empty line included.
    pub bytes: Vec<u8>,
    /// The request line or status line.
    pub start_line: String,
    /// Names as received, values trimmed.
    pub fields: Vec<(String, String)>,
}

impl Head {
    /// Takes a complete head apart.
    ///
    /// # Panics
    /// When it is not lines of fields.
    pub fn parse(bytes: Vec<u8>) -> Head {
        let text = String::from_utf8(bytes.clone()).expect("a head in UTF-8");
        let mut lines = text.strip_suffix("\r\n\r\n").expect("an empty line at the end").split("\r\n");
        let start_line = lines.next().expect("a start line").to_string();
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no colon in {line:?}"));
            (name.to_string(), value.trim().to_string())
        });
        Head { fields: fields.collect(), start_line, bytes }
    }

    /// All values of a field, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The value of a field that must not be there twice.
    pub fn get(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} is there {} times: {self:?}", all.len());
        all.first().copied()
    }

    /// The status of an answer.
    pub fn status(&self) -> u16 {
        let status = self.start_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("no status in {:?}", self.start_line))
    }

    /// The target of a request.
    pub fn target(&self) -> &str {
        self.start_line.split(' ').nth(1).expect("a request line")
    }

    pub fn is_chunked(&self) -> bool {
        self.get("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    }

    pub fn content_length(&self) -> Option<usize> {
        self.get("content-length").map(|length| length.parse().expect("a length"))
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.bytes))
    }
}

/// A body without its framing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Body {
    pub bytes: Vec<u8>,
    /// Trailer fields of a chunked body, names in lower case.
    pub trailers: Vec<(String, String)>,
}

/// A message, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub head: Head,
    pub body: Body,
}

impl Message {
    pub fn status(&self) -> u16 {
        self.head.status()
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body.bytes).expect("UTF-8")
    }
}
