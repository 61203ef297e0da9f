//! The forms of a request target (RFC 9112 section 3.2) and the authority they or `Host` name.

use crate::wire::fault::RequestFault;
use crate::wire::head::Method;
use crate::wire::token::byte_class;

/// What a host name is made of (RFC 3986 section 3.2.2), but for the comma.
const REGISTERED_NAME: [bool; 256] = byte_class(b"-._~%!$&'()*+;=");

/// A request target, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TargetForm<'a> {
    /// A path with its query: what a back end expects.
    Origin,
    /// `*`, of `OPTIONS` only.
    Asterisk,
    /// A whole URI. `path` is empty or begins with `/` or `?`.
    Absolute { authority: &'a [u8], path: &'a [u8] },
}

impl<'a> TargetForm<'a> {
    /// Takes `target` apart. Authority-form belongs to `CONNECT` alone, which is refused before its target is
    /// looked at. A fragment is never part of a target; non-ASCII bytes must come percent-encoded.
    pub fn parse(method: Method, target: &'a [u8]) -> Result<Self, RequestFault> {
        if method == Method::Connect {
            return Err(RequestFault::Connect);
        }
        if !target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#') {
            return Err(RequestFault::Target);
        }
        match target {
            [b'/', ..] => Ok(Self::Origin),
            b"*" if method == Method::Options => Ok(Self::Asterisk),
            _ => Self::parse_absolute(target),
        }
    }

    fn parse_absolute(target: &'a [u8]) -> Result<Self, RequestFault> {
        let rest = strip_prefix_ignoring_case(target, b"http://")
            .or_else(|| strip_prefix_ignoring_case(target, b"https://"))
            .ok_or(RequestFault::Target)?;
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).ok_or(RequestFault::Target)?;
        if authority.is_empty() || !is_host(authority) {
            return Err(RequestFault::HostInvalid);
        }
        Ok(Self::Absolute { authority, path })
    }
}

/// Whether `value` is `host[:port]` (RFC 9110 section 7.2), the host possibly empty. No user information,
/// and no comma: a joined list of hosts is not one host.
pub(super) fn is_host(value: &[u8]) -> bool {
    let (host_is_good, port) = match value {
        [b'[', rest @ ..] => {
            let Some(end) = rest.iter().position(|byte| *byte == b']') else {
                return false;
            };
            let (address, port) = rest.split_at(end);
            (is_ip_literal(address), port.get(1..).unwrap_or_default())
        }
        _ => {
            let end = value.iter().position(|byte| *byte == b':').unwrap_or(value.len());
            let (name, port) = value.split_at(end);
            (name.iter().all(|byte| REGISTERED_NAME[usize::from(*byte)]), port)
        }
    };
    host_is_good && is_port(port)
}

fn is_ip_literal(address: &[u8]) -> bool {
    std::str::from_utf8(address).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
}

/// `port` is empty or a colon and up to five digits.
fn is_port(port: &[u8]) -> bool {
    match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

fn strip_prefix_ignoring_case<'a>(bytes: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = bytes.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let absolute = |authority: &'static str, path: &'static str| {
            Ok(TargetForm::Absolute { authority: authority.as_bytes(), path: path.as_bytes() })
        };
        let cases = [
            (Method::Get, "/", Ok(TargetForm::Origin)),
            (Method::Get, "//a/b?c", Ok(TargetForm::Origin)),
            (Method::Options, "*", Ok(TargetForm::Asterisk)),
            (Method::Get, "*", Err(RequestFault::Target)),
            (Method::Options, "*x", Err(RequestFault::Target)),
            (Method::Get, "http://a:80/b?c", absolute("a:80", "/b?c")),
            (Method::Get, "HTTPS://a", absolute("a", "")),
            (Method::Get, "http://a?b", absolute("a", "?b")),
            (Method::Get, "http://", Err(RequestFault::HostInvalid)),
            (Method::Get, "http:///a", Err(RequestFault::HostInvalid)),
            (Method::Get, "http://user@a/", Err(RequestFault::HostInvalid)),
            (Method::Get, "http://a\\b/", Err(RequestFault::HostInvalid)),
            (Method::Get, "ftp://a/", Err(RequestFault::Target)),
            (Method::Get, "a:80", Err(RequestFault::Target)),
            (Method::Get, "a", Err(RequestFault::Target)),
            (Method::Get, "", Err(RequestFault::Target)),
            (Method::Get, "/a#b", Err(RequestFault::Target)),
            (Method::Get, "/\u{e4}", Err(RequestFault::Target)),
            (Method::Connect, "a:443", Err(RequestFault::Connect)),
            (Method::Connect, "/", Err(RequestFault::Connect)),
        ];
        for (method, target, expected) in cases {
            assert_eq!(TargetForm::parse(method, target.as_bytes()), expected, "{target:?}");
        }
    }

    #[test]
    fn hosts() {
        for good in ["", "a", "a.example:80", "a:", "[::1]", "[::1]:8080", "10.0.0.1", "a_b", "%41"] {
            assert!(is_host(good.as_bytes()), "{good:?}");
        }
        for bad in [
            "a b", "a,b", "a/b", "a@b", "a:b", "a:80:80", "a:123456", "::1", "[::1", "[::1]80", "[a]", "a?b", "a#b",
            "a\\b", "\"a\"", "a\tb", "\u{e4}",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad:?}");
        }
    }
}
