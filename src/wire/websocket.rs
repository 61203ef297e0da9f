//! The opening handshake of a WebSocket (RFC 6455 section 4), where one side speaks HTTP/1.1 and the other HTTP/2 (RFC 8441
//! section 5), which has no need of it: towards an instance on behalf of such a client, and the other way about.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::rand;

use crate::wire::head::{FieldName, Method, RequestHead, ResponseHead};

/// The protocol of an extended CONNECT that is spoken here.
pub const PROTOCOL: &str = "websocket";

/// The field by which a server is asked to prove that it speaks the protocol.
pub const KEY: &[u8] = b"sec-websocket-key";

/// What is hashed behind the key (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A key: the base64 of sixteen random bytes.
pub fn key() -> String {
    let mut bytes = [0; 16];
    // Without randomness zeros do: the key keeps servers that know nothing of WebSockets from saying yes by accident.
    let _ = rand::fill(&mut bytes);
    base64(&bytes)
}

/// Whether `request` opens a WebSocket. Anything else that asks for one is a request whose `Upgrade` may be ignored.
pub fn is_opening(request: &RequestHead) -> bool {
    let asks = |protocol: &[u8]| protocol.eq_ignore_ascii_case(PROTOCOL.as_bytes());
    request.upgrade().is_some_and(asks) && request.method_kind() == Method::Get && key_of(request).is_some()
}

/// What a server answers that has read the key of `request`; `None` if that has no key, or several.
pub fn acceptance(request: &RequestHead) -> Option<String> {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key_of(request)?, GUID].concat());
    Some(base64(hash.as_ref()))
}

/// Whether `answer`, which switches protocols, proves that the server has read the key of `request`.
pub fn is_accepted(request: &RequestHead, answer: &ResponseHead) -> bool {
    let Some(acceptance) = acceptance(request) else { return false };
    let mut said = answer.values(FieldName::SecWebSocketAccept);
    said.next() == Some(acceptance.as_bytes()) && said.next().is_none()
}

fn key_of(request: &RequestHead) -> Option<&[u8]> {
    let mut keys = request.fields().filter(|(name, _)| name.eq_ignore_ascii_case(KEY));
    let (_, key) = keys.next()?;
    keys.next().is_none().then_some(key)
}

/// With padding (RFC 4648 section 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 0x3f) as usize];
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::{Content, HeadLimits, Reply};

    fn request(key: &str) -> RequestHead {
        let mut head = RequestHead::default();
        head.begin(b"GET", Some(b"h"), b"/chat").unwrap();
        head.push_field(KEY, key.as_bytes()).unwrap();
        head.finish_opening(PROTOCOL.as_bytes()).unwrap();
        head
    }

    #[test]
    fn only_who_has_read_the_key_is_believed() {
        // RFC 6455 section 1.3.
        let request = request("dGhlIHNhbXBsZSBub25jZQ==");
        let good = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        for (fields, expected) in [
            (good.to_owned(), true),
            (good.to_lowercase(), false),
            (String::new(), false),
            (format!("{good}{good}"), false),
            (good.replace("xOo=", "xOp="), false),
        ] {
            let text = format!("HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: websocket\r\n{fields}\r\n");
            let mut answer = ResponseHead::default();
            answer.parse(text.as_bytes(), &HeadLimits::default()).unwrap();
            assert_eq!(answer.reply(request.asked()), Ok(Reply::SwitchingProtocols));
            assert_eq!(is_accepted(&request, &answer), expected, "{fields}");
        }
    }

    #[test]
    fn only_a_whole_opening_handshake_opens() {
        let request = |line: &str, fields: &str| {
            let mut head = RequestHead::default();
            let text = format!("{line} / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\n{fields}\r\n");
            head.parse(text.as_bytes(), &HeadLimits::default()).unwrap();
            head
        };
        let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let whole = format!("Upgrade: WebSocket\r\n{key}");
        assert_eq!(acceptance(&request("GET", &whole)).as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        for (line, fields, expected) in [
            ("GET", whole.clone(), true),
            ("POST", whole.clone(), false),
            ("GET", "Upgrade: websocket\r\n".to_owned(), false),
            ("GET", format!("{whole}{key}"), false),
            ("GET", format!("Upgrade: other\r\n{key}"), false),
            ("GET", key.to_owned(), false),
        ] {
            assert_eq!(is_opening(&request(line, &fields)), expected, "{line} {fields}");
        }
    }

    #[test]
    fn keys_are_sixteen_bytes_and_differ() {
        let keys = [key(), key()];
        assert_ne!(keys[0], keys[1]);
        assert!(keys.iter().all(|key| key.len() == 24 && key.ends_with("==")), "{keys:?}");
        for (bytes, text) in [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes), text, "RFC 4648 section 10");
        }
    }

    #[test]
    fn an_opening_has_no_body() {
        let mut head = RequestHead::default();
        head.begin(b"GET", Some(b"h"), b"/chat").unwrap();
        head.push_field(b"content-length", b"1").unwrap();
        assert!(head.finish_opening(PROTOCOL.as_bytes()).is_err());
        let mut head = RequestHead::default();
        head.begin(b"GET", Some(b"h"), b"/").unwrap();
        head.finish(Content::Empty).unwrap();
        assert!(!head.is_opening());
        assert!(request("x").is_opening());
    }
}
