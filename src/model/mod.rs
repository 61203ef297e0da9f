//! Floor 1: the words of the domain, always valid. No I/O, no protocol bytes.
