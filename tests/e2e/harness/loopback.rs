//! Addresses nobody else uses: each has an IP address of 127.0.0.0/8 for itself, so that neither another test nor the
//! local end of an outgoing connection can take its port between choosing and listening.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// An address to listen on, with a port that was free there a moment ago.
pub fn free_address() -> SocketAddr {
    free_listener().local_addr().expect("an address")
}

/// A socket that listens on such an address.
pub fn free_listener() -> TcpListener {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    // 127.0.x.y stays out of it: what people run for themselves lives there.
    let ours = 1 + (std::process::id() % 254) as u8;
    TcpListener::bind((Ipv4Addr::new(127, ours, high, low), 0)).expect("a free port")
}
