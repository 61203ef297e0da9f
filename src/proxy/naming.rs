//! What a request is called: by its client, by the trace that it is part of, or by us; and how it goes on in that trace.

use crate::proxy::core::Core;
use crate::proxy::exchange::REQUEST_ID;
use crate::telemetry::RequestId;
use crate::wire::head::{FieldName, RequestHead};
use crate::wire::trace::{Traceparent, amazon_root, extend_amazon};

/// What `request` is called: as its client says, else as its trace is, so that either finds it again; else a name of our
/// own. And the traces that it is part of.
pub fn name(request: &RequestHead, core: &Core) -> (RequestId, Traces) {
    let (mut given, mut amazon, mut w3c) = (None, Context::Absent, Context::Absent);
    let table = request.table();
    for field in table.fields() {
        match field.kind {
            FieldName::XRequestId => given = given.or_else(|| RequestId::given(table.slice(field.value))),
            FieldName::XAmznTraceId => amazon = amazon.and(table.slice(field.value)),
            FieldName::Traceparent => w3c = w3c.and(table.slice(field.value)),
            _ => {}
        }
    }
    let (amazon, w3c) = (amazon.only(), w3c.only().and_then(Traceparent::parse));
    let of_trace = || amazon.and_then(amazon_root).or_else(|| w3c.map(|parent| parent.trace()));
    let id = given.or_else(|| of_trace().and_then(RequestId::given)).unwrap_or_else(|| core.own_id());
    (id, Traces::of(amazon, w3c, core))
}

/// The trace contexts of one request with this hop in them; most have none.
#[derive(Debug, Default)]
pub struct Traces {
    amazon: Option<Vec<u8>>,
    w3c: Option<Vec<u8>>,
}

impl Traces {
    fn of(amazon: Option<&[u8]>, w3c: Option<Traceparent<'_>>, core: &Core) -> Traces {
        if amazon.is_none() && w3c.is_none() {
            return Traces::default();
        }
        let id = core.own_id();
        Traces {
            amazon: amazon.and_then(|field| extend_amazon(field, core.unix_seconds(), id.as_bytes())),
            w3c: w3c.map(|parent| parent.extended(&span_of(&id))),
        }
    }

    /// The fields of our own that a request called `id` goes on with, if it is part of a trace.
    pub fn fields<'a>(&'a self, id: &'a RequestId) -> Option<Vec<(&'a [u8], &'a [u8])>> {
        let amazon = self.amazon.as_deref().map(|value| (&b"X-Amzn-Trace-Id"[..], value));
        let w3c = self.w3c.as_deref().map(|value| (&b"traceparent"[..], value));
        let is_traced = amazon.is_some() || w3c.is_some();
        is_traced.then(|| [Some((REQUEST_ID, id.as_bytes())), amazon, w3c].into_iter().flatten().collect())
    }
}

/// A field that is to be there once.
enum Context<'a> {
    Absent,
    Once(&'a [u8]),
    /// It could be read in two ways, and is left alone.
    Repeated,
}

impl<'a> Context<'a> {
    /// With one more line of it.
    fn and(self, value: &'a [u8]) -> Context<'a> {
        match self {
            Context::Absent => Context::Once(value),
            Context::Once(_) | Context::Repeated => Context::Repeated,
        }
    }

    fn only(self) -> Option<&'a [u8]> {
        match self {
            Context::Once(value) => Some(value),
            Context::Absent | Context::Repeated => None,
        }
    }
}

/// The sixteen digits of an id of our own in which it differs from others: its core and its number.
fn span_of(id: &RequestId) -> Vec<u8> {
    let digits = id.as_bytes();
    let part = |from: usize| digits.get(from..from + 8).unwrap_or_default();
    [part(0), part(16)].concat()
}
