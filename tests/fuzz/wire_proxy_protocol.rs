//! PROXY headers: one reading whatever the pieces, and what is written from it reads the same.

use std::net::SocketAddr;

use elbow::wire::proxy_protocol::{Origin, Preface, decode, v1, v2};

use crate::corpus;

/// Any bytes as the beginning of a connection from a proxy.
pub fn fuzz_proxy_protocol(input: &[u8]) {
    let whole = decode(input);
    let early = (0..input.len()).map(|end| decode(&input[..end])).find(|result| *result != Ok(Preface::Partial));
    assert!(early.is_none_or(|early| early == whole), "the pieces changed the reading");
    let Ok(Preface::Complete { length, origin }) = whole else { return };
    assert!(length <= input.len());
    assert_eq!(decode(&input[..length]), whole, "it read beyond its end");
    let Origin::Proxied { source, destination } = origin else { return };
    for write in [v1::write, v2::write] {
        let mut written = Vec::new();
        write(source, destination, &mut written);
        let length = written.len();
        let Ok(Preface::Complete { length: read, origin: Origin::Proxied { source: from, destination: to } }) =
            decode(&written)
        else {
            panic!("what was written is refused");
        };
        assert_eq!(read, length);
        assert_eq!((canonical(from), canonical(to)), (canonical(source), canonical(destination)));
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[test]
fn proxy_headers() {
    corpus::run("proxy_protocol", fuzz_proxy_protocol);
}
