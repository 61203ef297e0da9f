//! Floor 2: bytes of protocols, without sockets: HTTP/1 heads and framing, forwarding headers, PROXY protocol.
