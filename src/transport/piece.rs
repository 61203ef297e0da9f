//! A piece of a body, in whichever memory it was received.

use std::ops::Deref;

use bytes::{Buf, Bytes};

use crate::runtime::{Chunk, Outgoing};

/// A piece of a body.
#[derive(Debug)]
pub enum Piece {
    /// Data, never empty.
    Data(Data),
    /// The body has ended; trailers can be looked at.
    End,
}

/// Bytes of a body.
#[derive(Debug)]
pub enum Data {
    /// Received through HTTP/1: in a receive buffer.
    Chunk(Chunk),
    /// Received through HTTP/2: in the memory of its connection.
    Frame(Bytes),
}

impl Data {
    /// Splits off the first `count` bytes (all when there are fewer); `self` keeps the rest.
    pub fn split_to(&mut self, count: usize) -> Data {
        match self {
            Data::Chunk(chunk) => Data::Chunk(chunk.split_to(count)),
            Data::Frame(bytes) => Data::Frame(bytes.split_to(count.min(bytes.len()))),
        }
    }
}

impl From<Data> for Outgoing {
    fn from(data: Data) -> Outgoing {
        match data {
            Data::Chunk(chunk) => Outgoing::Chunk(chunk),
            Data::Frame(bytes) => Outgoing::Bytes(bytes.into(), 0),
        }
    }
}

impl Deref for Data {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Data::Chunk(chunk) => chunk,
            Data::Frame(bytes) => bytes,
        }
    }
}

impl Buf for Data {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        self
    }

    fn advance(&mut self, count: usize) {
        match self {
            Data::Chunk(chunk) => chunk.advance(count),
            Data::Frame(bytes) => bytes.advance(count),
        }
    }
}
