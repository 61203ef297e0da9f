//! A back end that speaks HTTP/2: answers each stream as its request's plan says, and checks what reaches it.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use elbow::base::random::Random;
use elbow::runtime::Io;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use http::{Request, Response};

use crate::duplex::Duplex;
use crate::hardship::Wrong;
use crate::http::backend::{Expected, check_body, recognise};
use crate::http::ledger::Ledger;
use crate::http::plan::{Content, Failure, Parting, Plan};
use crate::http::streams::{Crowd, beside, head, hear_body, say_body};
use crate::line::Line;
use crate::message::{Body, Pace};

/// Bytes that the head of an answer has, more or less, where a plan counts them.
const HEAD: u64 = 60;

/// What streams want of their connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    None,
    /// No further streams.
    Part,
    /// It ends without a word.
    Vanish,
    /// It ends as if the peer had broken the protocol.
    Accuse,
}

/// What the streams of one connection share.
#[derive(Clone)]
struct Serving {
    io: Io,
    ledger: Rc<Ledger>,
    /// Where it listens.
    address: SocketAddr,
    expected: Expected,
    wish: Rc<Cell<Wish>>,
}

/// Serves streams until one side closes.
pub async fn serve(ledger: Rc<Ledger>, line: Line, expected: Expected, seed: u64) {
    let Ok(address) = line.socket().local_address() else { return };
    let random = &mut Random::new(seed);
    let io = line.socket().io().clone();
    let serving = Serving { io, ledger, address, expected, wish: Rc::new(Cell::new(Wish::None)) };
    // Windows of streams are never less than what a peer goes by that has not heard of them: `h2` does not grant again
    // what was taken before its own settings came into force, and such a stream would stand still.
    let window = 1 << (16 + random.below(2));
    let is_narrow = random.chance(1, 4);
    let streams = if is_narrow { 1 << random.below(6) } else { 100 };
    if is_narrow {
        // It turns away what is too much, of a peer that has not heard of its limit yet.
        serving.ledger.strike(address, Wrong::Narrowed);
    }
    let mut builder = Builder::new();
    builder.initial_window_size(window).initial_connection_window_size(1 << (9 + random.below(10)));
    builder.max_concurrent_streams(streams);
    // Peers differ in how many small frames they bear with; this one bears with all.
    builder.data_frame_budget(usize::MAX >> 1);
    let duplex = Duplex::new(line, Pace::drawn(random), random.next_u64());
    let busy = duplex.busy();
    let Ok(mut connection) = builder.handshake::<_, Bytes>(duplex).await else { return };
    let mut crowd = Crowd::default();
    let (wish, mut vanishes) = (serving.wish.clone(), false);
    beside(&mut crowd, |crowd, context| {
        loop {
            match wish.replace(Wish::None) {
                Wish::None => {}
                // Whatever comes before the peer knows is served (RFC 9113 section 6.8).
                Wish::Part => connection.graceful_shutdown(),
                Wish::Accuse => connection.abrupt_shutdown(Reason::PROTOCOL_ERROR),
                Wish::Vanish => vanishes = true,
            }
            if vanishes {
                // Not before the answer that it came behind has left.
                let is_over = connection.poll_closed(context).is_ready() || !busy.get();
                if !is_over {
                    return Poll::Pending;
                }
                serving.ledger.strike(address, Wrong::Lost);
                return Poll::Ready(());
            }
            match connection.poll_accept(context) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    crowd.join(serving.clone().serve_stream(request, respond, random.next_u64()));
                }
                Poll::Ready(Some(Err(error))) => {
                    serving.end(&error, is_narrow);
                    return Poll::Ready(());
                }
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => {
                    crowd.poll_all(context);
                    if wish.get() == Wish::None {
                        // What the streams had to say has to be said.
                        let closed = connection.poll_closed(context);
                        return closed.map(|closed| closed.unwrap_or_else(|error| serving.end(&error, is_narrow)));
                    }
                }
            }
        }
    })
    .await;
}

impl Serving {
    /// The connection has failed. One with room for few streams may have got more before it could say so; `h2` takes what
    /// follows on them for an error of the connection.
    fn end(&self, error: &h2::Error, is_narrow: bool) {
        match error.is_library() && error.reason() != Some(Reason::NO_ERROR) {
            true if is_narrow => self.ledger.strike(self.address, Wrong::Lost),
            true => self.ledger.find(format!("a back end was sent frames that it must not be sent: {error}")),
            false => {}
        }
    }

    async fn serve_stream(self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>, seed: u64) {
        // Whatever goes wrong from here on is the other side's wish, or that of the run.
        let _ = self.answer_stream(request, &mut respond, &mut Random::new(seed)).await;
    }

    async fn answer_stream(
        &self,
        request: Request<RecvStream>,
        respond: &mut SendResponse<Bytes>,
        random: &mut Random,
    ) -> Result<(), h2::Error> {
        let (parts, mut stream) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
        let mut head = head(format!("{} {path} {:?}", parts.method, parts.version), &parts.headers);
        head.add("host", parts.uri.authority().map_or("", |authority| authority.as_str()));
        let Some(plan) = recognise(&self.ledger, &self.expected, &head) else {
            respond.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        };
        let before = self.ledger.arrive(plan.number, self.address);
        self.ledger.say(|| format!("a back end got {}", head.line));
        let failing = plan.answer.failing.filter(|failing| before == 0 || !failing.once);
        let failure = failing.map(|failing| failing.how);
        if let Some(Failure::Leave { after, reset }) = failure {
            self.take(&plan, &mut stream, after.min(plan.body.length()), random).await?;
            respond.send_reset(if reset { Reason::INTERNAL_ERROR } else { Reason::CANCEL });
            return Ok(());
        }
        if plan.answer.early {
            self.answer(&plan, respond, failure, random).await?;
            self.take(&plan, &mut stream, u64::MAX, random).await?;
        } else {
            self.take(&plan, &mut stream, u64::MAX, random).await?;
            self.answer(&plan, respond, failure, random).await?;
        }
        match plan.answer.parting {
            Parting::Keep => {}
            Parting::Close => self.wish.set(Wish::Part),
            Parting::CloseSilently => self.wish.set(Wish::Vanish),
        }
        Ok(())
    }

    async fn take(
        &self,
        plan: &Plan,
        stream: &mut RecvStream,
        most: u64,
        random: &mut Random,
    ) -> Result<(), h2::Error> {
        let (mut body, pace) = (Body::default(), Pace::drawn(random));
        let heard = hear_body(&self.io, stream, (plan.pattern(), most), (&pace, random), &mut body).await;
        check_body(&self.ledger, plan, &body, matches!(heard, Ok(true)));
        heard.map(drop)
    }

    async fn answer(
        &self,
        plan: &Plan,
        respond: &mut SendResponse<Bytes>,
        failure: Option<Failure>,
        random: &mut Random,
    ) -> Result<(), h2::Error> {
        if !plan.answer.delay.is_zero() {
            self.io.sleep(plan.answer.delay).await;
        }
        match failure {
            Some(Failure::Hang) => {
                std::future::poll_fn(|context| respond.poll_reset(context)).await?;
                return Ok(());
            }
            Some(Failure::Garbage) => {
                self.ledger.strike(self.address, Wrong::Lost);
                self.wish.set(Wish::Accuse);
                return Ok(());
            }
            Some(Failure::Close(most) | Failure::Reset(most)) if most < HEAD => {
                respond.send_reset(Reason::INTERNAL_ERROR);
                return Ok(());
            }
            _ => {}
        }
        for status in &plan.answer.interim {
            respond.send_informational(response(*status))?;
        }
        let has_body = !plan.is_answered_without_body() && !matches!(plan.answer.body, Content::None);
        let mut head = response(plan.answer.status);
        let fields = head.headers_mut();
        fields.insert("x-answer", plan.number.into());
        let broken = failure == Some(Failure::BadFraming);
        match plan.answer.body {
            Content::Sized(length) => drop(fields.insert("content-length", (length + u64::from(broken)).into())),
            Content::None if !matches!(plan.answer.status, 204 | 304) => {
                fields.insert("content-length", 0.into());
            }
            _ => {}
        }
        let mut stream = respond.send_response(head, !has_body)?;
        if !has_body {
            return Ok(());
        }
        let pattern = plan.answer_pattern();
        let cut = match failure {
            Some(Failure::Close(most) | Failure::Reset(most)) => Some(most - HEAD),
            Some(Failure::BadFraming) if !matches!(plan.answer.body, Content::Sized(_)) => Some(u64::MAX),
            _ => None,
        };
        let pace = Pace::drawn(random);
        if let Some(most) = cut {
            let part = pattern.bytes(0, most.min(plan.answer.body.length()));
            stream.reserve_capacity(part.len());
            // As much as there is room for at once: it is cut anyway.
            let room = stream.capacity().min(part.len());
            stream.send_data(part[..room].to_vec().into(), false)?;
            self.io.sleep(pace.pause).await;
            stream.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        }
        let body = (plan.answer.body, pattern, plan.answer.trailer);
        say_body(&self.io, &mut stream, body, (&pace, random), || {}).await
    }
}

fn response(status: u16) -> Response<()> {
    Response::builder().status(status).body(()).expect("a good status")
}
