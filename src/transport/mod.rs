//! Floor 3: a protocol on a stream: dial, HTTP/1 connection, copy, splice.
