//! Floor 2: TLS as bytes in and out: security policies, certificates, sessions. The home of `rustls`.

mod cipher;
mod policy;
mod predefined;
