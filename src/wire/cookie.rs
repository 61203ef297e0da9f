//! Cookies (RFC 6265): the pairs in a `Cookie` field, and a `Set-Cookie` field cut into its parts. Read leniently, as
//! servers do; what is written is what section 4.1 allows.

/// The values of the cookie called `name` in one `Cookie` field.
pub fn values<'a>(field: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let pairs = field.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    pairs.filter_map(move |pair| {
        let value = pair.strip_prefix(name)?.strip_prefix(b"=")?;
        Some(value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value))
    })
}

/// One `Set-Cookie` field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetCookie<'a> {
    /// The cookie's name.
    pub name: &'a [u8],
    attributes: &'a [u8],
}

impl<'a> SetCookie<'a> {
    /// Cuts the value of a field; `None` when it sets nothing.
    pub fn parse(field: &'a [u8]) -> Option<SetCookie<'a>> {
        let (pair, attributes) = match memchr::memchr(b';', field) {
            Some(end) => (field.get(..end)?, field.get(end + 1..)?),
            None => (field, &[][..]),
        };
        let name = pair.get(..memchr::memchr(b'=', pair)?)?.trim_ascii();
        (!name.is_empty()).then_some(SetCookie { name, attributes })
    }

    /// Its attributes with their values, in order, surplus white space removed.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        let parts = self.attributes.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        parts.filter(|part| !part.is_empty()).map(|part| match memchr::memchr(b'=', part) {
            Some(at) => {
                let (name, value) = part.split_at(at);
                (name.trim_ascii(), value.get(1..).map(<[u8]>::trim_ascii))
            }
            None => (part, None),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        for (field, expected) in [
            (&b"AWSELB=1"[..], &[&b"1"[..]][..]),
            (b"a=b; AWSELB=1;AWSELBCORS=2;  AWSELB=\"3\" ", &[b"1", b"3"]),
            (b"XAWSELB=1; AWSELB; awselb=2; AWSELB =3", &[]),
            (b"AWSELB=", &[b""]),
            (b";;=; ", &[]),
        ] {
            assert!(values(field, b"AWSELB").eq(expected.iter().copied()), "{field:?}");
        }
    }

    #[test]
    fn a_set_cookie_is_cut_into_its_parts() {
        let field = b"SESSION = a=b; Path=/x_y ;HttpOnly; ; Max-Age= 60;Expires=Wed, 09 Jun 2021 10:18:14 GMT";
        let cookie = SetCookie::parse(field).expect("a cookie");
        assert_eq!(cookie.name, b"SESSION");
        let attributes: Vec<_> = cookie.attributes().collect();
        let expected: [(&[u8], Option<&[u8]>); 4] = [
            (b"Path", Some(b"/x_y")),
            (b"HttpOnly", None),
            (b"Max-Age", Some(b"60")),
            (b"Expires", Some(b"Wed, 09 Jun 2021 10:18:14 GMT")),
        ];
        assert_eq!(attributes, expected);
        for nothing in [&b""[..], b"; Path=/", b"=x", b"name"] {
            assert_eq!(SetCookie::parse(nothing), None, "{nothing:?}");
        }
    }
}
