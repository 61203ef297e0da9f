//! Conformance: what standards, and our own documents, promise.

mod config;
