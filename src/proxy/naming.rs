//! What a request is called: by its client, by the trace that it is part of, or by us; and how it goes on in that trace.

use crate::proxy::core::Core;
use crate::proxy::exchange::REQUEST_ID;
use crate::telemetry::RequestId;
use crate::wire::head::{FieldName, RequestHead};
use crate::wire::trace::{Traceparent, amazon_root, extend_amazon};

/// What `request` is called: as its client says, else as its trace is, so that either finds it again; else a name of our
/// own.
pub fn id_of(request: &RequestHead, core: &Core) -> RequestId {
    let given = request.get(FieldName::XRequestId);
    let amazon = || request.get(FieldName::XAmznTraceId).and_then(amazon_root);
    let w3c = || request.get(FieldName::Traceparent).and_then(Traceparent::parse).map(|parent| parent.trace());
    let named = given.and_then(RequestId::given).or_else(|| amazon().or_else(w3c).and_then(RequestId::given));
    named.unwrap_or_else(|| core.own_id())
}

/// The trace contexts of one request with this hop in them; most have none.
#[derive(Debug, Default)]
pub struct Traces {
    amazon: Option<Vec<u8>>,
    w3c: Option<Vec<u8>>,
}

impl Traces {
    /// Those of `request`. A context that is there twice could be read in two ways, and is left alone.
    pub fn of(request: &RequestHead, core: &Core) -> Traces {
        let amazon = only(request, FieldName::XAmznTraceId);
        let w3c = only(request, FieldName::Traceparent).and_then(Traceparent::parse);
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

fn only(request: &RequestHead, name: FieldName) -> Option<&[u8]> {
    let mut values = request.values(name);
    values.next().filter(|_| values.next().is_none())
}

/// The sixteen digits of an id of our own in which it differs from others: its core and its number.
fn span_of(id: &RequestId) -> Vec<u8> {
    let digits = id.as_bytes();
    let part = |from: usize| digits.get(from..from + 8).unwrap_or_default();
    [part(0), part(16)].concat()
}
