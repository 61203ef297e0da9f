//! The field names that Elbow acts upon, recognised once when a head is parsed.

/// A field name Elbow knows, or [`FieldName::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldName {
    /// `X-Forwarded-Client-Cert`, `X-Amzn-Mtls-Clientcert-Subject` and the like: who a client proved to be. Only Elbow's
    /// word counts.
    ClientCertificate,
    /// `Connection`
    Connection,
    /// `Content-Length`
    ContentLength,
    /// `Cookie`
    Cookie,
    /// `Expect`
    Expect,
    /// `Host`
    Host,
    /// `HTTP2-Settings`, of the h2c upgrade that Elbow does not take part in.
    Http2Settings,
    /// `Keep-Alive`
    KeepAlive,
    /// `Proxy`, which CGI back ends mistake for the variable `HTTP_PROXY`.
    Proxy,
    /// `Proxy-Authenticate`
    ProxyAuthenticate,
    /// `Proxy-Authorization`
    ProxyAuthorization,
    /// `Proxy-Connection`
    ProxyConnection,
    /// `Sec-WebSocket-Accept`, of an opening handshake in HTTP/1.1.
    SecWebSocketAccept,
    /// `Set-Cookie`
    SetCookie,
    /// `TE`
    Te,
    /// `traceparent`
    Traceparent,
    /// `Trailer`
    Trailer,
    /// `Transfer-Encoding`
    TransferEncoding,
    /// `Upgrade`
    Upgrade,
    /// `User-Agent`
    UserAgent,
    /// `X-Amzn-Trace-Id`
    XAmznTraceId,
    /// `X-Forwarded-For`
    XForwardedFor,
    /// `X-Forwarded-Port`
    XForwardedPort,
    /// `X-Forwarded-Proto`
    XForwardedProto,
    /// `X-Request-Id`
    XRequestId,
    /// `Content_Length` and the like: some back ends read it as the framing field.
    FramingLookalike,
    /// Another known name with `_` for `-`, which CGI-like back ends cannot tell from the true one.
    Lookalike,
    /// Any other name.
    Other,
}

impl FieldName {
    /// Recognises a name, whatever its case.
    pub fn classify(name: &[u8]) -> Self {
        let same_length: &[(&[u8], Self)] = match name.len() {
            2 => &[(b"te", Self::Te)],
            4 => &[(b"host", Self::Host)],
            5 => &[(b"proxy", Self::Proxy)],
            6 => &[(b"cookie", Self::Cookie), (b"expect", Self::Expect)],
            7 => &[(b"upgrade", Self::Upgrade), (b"trailer", Self::Trailer)],
            10 => &[
                (b"connection", Self::Connection),
                (b"user-agent", Self::UserAgent),
                (b"keep-alive", Self::KeepAlive),
                (b"set-cookie", Self::SetCookie),
            ],
            11 => &[(b"traceparent", Self::Traceparent)],
            12 => &[(b"x-request-id", Self::XRequestId)],
            14 => &[(b"content-length", Self::ContentLength), (b"http2-settings", Self::Http2Settings)],
            15 => &[(b"x-forwarded-for", Self::XForwardedFor), (b"x-amzn-trace-id", Self::XAmznTraceId)],
            16 => &[(b"x-forwarded-port", Self::XForwardedPort), (b"proxy-connection", Self::ProxyConnection)],
            17 => &[(b"transfer-encoding", Self::TransferEncoding), (b"x-forwarded-proto", Self::XForwardedProto)],
            18 => &[(b"proxy-authenticate", Self::ProxyAuthenticate)],
            19 => &[(b"proxy-authorization", Self::ProxyAuthorization)],
            20 => &[(b"sec-websocket-accept", Self::SecWebSocketAccept)],
            22 => &[(b"x-amzn-mtls-clientcert", Self::ClientCertificate)],
            23 => &[(b"x-forwarded-client-cert", Self::ClientCertificate)],
            27 => &[(b"x-amzn-mtls-clientcert-leaf", Self::ClientCertificate)],
            29 => &[(b"x-amzn-mtls-clientcert-issuer", Self::ClientCertificate)],
            30 => &[(b"x-amzn-mtls-clientcert-subject", Self::ClientCertificate)],
            31 => &[(b"x-amzn-mtls-clientcert-validity", Self::ClientCertificate)],
            36 => &[(b"x-amzn-mtls-clientcert-serial-number", Self::ClientCertificate)],
            _ => &[],
        };
        for (known, kind) in same_length {
            match (likeness(name, known), kind) {
                (Likeness::None, _) => {}
                (Likeness::Same, kind) => return *kind,
                (Likeness::Underscored, Self::ContentLength | Self::TransferEncoding) => return Self::FramingLookalike,
                (Likeness::Underscored, _) => return Self::Lookalike,
            }
        }
        Self::Other
    }

    /// Whether the field belongs to one connection and is never passed on (RFC 9110 section 7.6.1, and
    /// `Proxy-*` as ELB consumes them). Framing fields count: Elbow writes its own.
    pub fn is_hop_by_hop(self) -> bool {
        match self {
            Self::Connection
            | Self::ContentLength
            | Self::FramingLookalike
            | Self::Http2Settings
            | Self::KeepAlive
            | Self::Proxy
            | Self::ProxyAuthenticate
            | Self::ProxyAuthorization
            | Self::ProxyConnection
            | Self::Te
            | Self::TransferEncoding
            | Self::Upgrade => true,
            Self::ClientCertificate
            | Self::Cookie
            | Self::Expect
            | Self::Host
            | Self::Lookalike
            | Self::Other
            | Self::SecWebSocketAccept
            | Self::SetCookie
            | Self::Traceparent
            | Self::Trailer
            | Self::UserAgent
            | Self::XAmznTraceId
            | Self::XForwardedFor
            | Self::XForwardedPort
            | Self::XForwardedProto
            | Self::XRequestId => false,
        }
    }
}

enum Likeness {
    None,
    Same,
    /// The same but for `_` instead of `-`.
    Underscored,
}

/// Compares a name with a lower-case one of the same length, whatever its case.
fn likeness(name: &[u8], lower_case: &[u8]) -> Likeness {
    let mut likeness = Likeness::Same;
    for (byte, known) in name.iter().zip(lower_case) {
        if *byte == b'_' && *known == b'-' {
            likeness = Likeness::Underscored;
        } else if byte.to_ascii_lowercase() != *known {
            return Likeness::None;
        }
    }
    likeness
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case() {
        assert_eq!(FieldName::classify(b"HOST"), FieldName::Host);
        assert_eq!(FieldName::classify(b"content-Length"), FieldName::ContentLength);
        assert_eq!(FieldName::classify(b"X-Forwarded-For"), FieldName::XForwardedFor);
        assert_eq!(FieldName::classify(b"X-Forwarded-Fox"), FieldName::Other);
        assert_eq!(FieldName::classify(b""), FieldName::Other);
    }

    #[test]
    fn underscores_make_a_lookalike() {
        assert_eq!(FieldName::classify(b"Content_Length"), FieldName::FramingLookalike);
        assert_eq!(FieldName::classify(b"TRANSFER_ENCODING"), FieldName::FramingLookalike);
        assert_eq!(FieldName::classify(b"X-Forwarded_For"), FieldName::Lookalike);
        assert_eq!(FieldName::classify(b"my_field"), FieldName::Other);
    }
}
