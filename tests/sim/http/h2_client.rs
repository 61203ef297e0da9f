//! A client connection that carries many requests at once (RFC 9113): sends them by the `h2` crate, and checks what comes
//! back on each stream.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use elbow::base::random::Random;
use elbow::runtime::{Either, Io, race};
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{Request, Response, Version};

use crate::duplex::Duplex;
use crate::flows::Watch;
use crate::http::client::{Ending, GO_AHEAD, IDLE_TIMEOUT, Visit};
use crate::http::ledger::{Excuse, Ledger, Outcome};
use crate::http::plan::{Content, HOST, Plan};
use crate::http::streams::{Crowd, TRAILER, beside, hear_body, say_body};
use crate::line::Line;
use crate::message::{Body, Pace};

/// What the requests of one connection share.
#[derive(Clone)]
struct Asking {
    io: Io,
    ledger: Rc<Ledger>,
    address: SocketAddr,
    scheme: &'static str,
    /// One request in so many is given up; 0 for none.
    fickle: u64,
}

/// Carries out `visit` on a connection that speaks HTTP/2.
pub async fn visit(ledger: Rc<Ledger>, line: Line, address: SocketAddr, visit: Visit) {
    let random = &mut Random::new(visit.seed);
    let io = line.socket().io().clone();
    let scheme = if line.is_secure() { "https" } else { "http" };
    let asking = Asking { io: io.clone(), ledger: ledger.clone(), address, scheme, fickle: visit.fickle };
    let window = 1 << (8 + random.below(10));
    let duplex = Duplex::new(line, Pace::drawn(random), random.next_u64());
    let mut builder = Builder::new();
    builder.enable_push(false).initial_window_size(window).initial_connection_window_size(2 * window);
    builder.data_frame_budget(usize::MAX >> 1);
    let Ok((requests, connection)) = builder.handshake::<_, Bytes>(duplex).await else { return };
    let mut connection = Some(Box::pin(connection));
    let asked = async {
        let (mut crowd, mut waiting) = (Crowd::default(), visit.plans.into_iter());
        beside(&mut crowd, |crowd, context| {
            while crowd.len() < visit.depth {
                let Some(plan) = waiting.next() else { break };
                crowd.join(asking.clone().ask(requests.clone(), plan, random.next_u64()));
                crowd.poll_all(context);
            }
            if crowd.len() == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    };
    let driven = async {
        if let Some(connection) = &mut connection {
            let _ = connection.await;
        }
        // Whoever waits for it hears of its end now at the latest: of an error in sending, `h2` tells nobody before.
        connection = None;
        pending::<()>().await;
    };
    match race(asked, driven).await {
        Either::First(()) | Either::Second(()) => {}
    }
    drop(requests);
    if let Some(connection) = connection.filter(|_| visit.ending == Ending::Close) {
        // It says goodbye, as nobody needs it any more. How that goes is nobody's business.
        let _ = io.within(io.now() + IDLE_TIMEOUT, connection).await;
    }
}

/// One request as its two halves see it.
struct Asked {
    asking: Asking,
    plan: Plan,
    pace: Pace,
    random: RefCell<Random>,
    /// Its body may be sent.
    invited: Cell<bool>,
    watch: Watch,
}

impl Asking {
    async fn ask(self, requests: SendRequest<Bytes>, plan: Plan, seed: u64) {
        let mut random = Random::new(seed);
        if !plan.idle.is_zero() {
            self.io.sleep(plan.idle).await;
        }
        let gives_up = self.fickle > 0 && random.chance(1, self.fickle);
        let patience = if gives_up { Duration::from_micros(1 << random.below(21)) } else { Duration::MAX };
        let pace = Pace::drawn(&mut random);
        let (number, ledger) = (plan.number, self.ledger.clone());
        let mut sent = None;
        if let Ok(mut requests) = requests.ready().await {
            sent = requests.send_request(request(&plan, self.scheme), is_whole(&plan)).ok();
        }
        let Some((answer, stream)) = sent else {
            return ledger.end(number, Outcome::Unanswered, Some(Excuse::ConnectionOver));
        };
        ledger.begin_stream(number, self.address);
        if is_whole(&plan) {
            ledger.is_whole(number);
        }
        let io = self.io.clone();
        let random = RefCell::new(random);
        let asked = Asked { asking: self, plan, pace, random, invited: Cell::new(false), watch: Watch::default() };
        let heard = asked.converse(answer, stream);
        match race(pin!(heard), give_up(io, patience)).await {
            Either::First(()) => {}
            Either::Second(()) => ledger.end(number, Outcome::GivenUp, None),
        }
    }
}

async fn give_up(io: Io, patience: Duration) {
    match patience {
        Duration::MAX => pending().await,
        patience => io.sleep(patience).await,
    }
}

impl Asked {
    async fn converse(&self, answer: ResponseFuture, mut stream: SendStream<Bytes>) {
        let writing = async {
            if !is_whole(&self.plan) {
                // An answer that came early may have ended the request.
                let _ = self.say(&mut stream).await;
            }
            pending::<()>().await;
        };
        match race(pin!(self.hear(answer)), pin!(writing)).await {
            Either::First(()) | Either::Second(()) => {}
        }
    }

    async fn say(&self, stream: &mut SendStream<Bytes>) -> Result<(), h2::Error> {
        let Asked { plan, asking, .. } = self;
        if plan.expects {
            let invited = self.watch.until(|| self.invited.get());
            // Who hears nothing sends the body all the same (RFC 9110 section 10.1.1).
            let _ = asking.io.within(asking.io.now() + GO_AHEAD, invited).await;
        }
        let mut random = self.random.borrow().clone();
        let body = (plan.body, plan.pattern(), plan.has_trailer());
        say_body(&asking.io, stream, body, (&self.pace, &mut random), || asking.ledger.is_whole(plan.number)).await
    }

    async fn hear(&self, mut answer: ResponseFuture) {
        let answered = loop {
            let next = poll_fn(|context| {
                if let Poll::Ready(Some(Ok(interim))) = answer.poll_informational(context) {
                    return Poll::Ready(Ok(Err(interim)));
                }
                Pin::new(&mut answer).poll(context).map_ok(Ok)
            });
            match next.await {
                Ok(Err(interim)) => self.hear_interim(&interim),
                Ok(Ok(answered)) => break answered,
                Err(error) => return self.end_badly(&error, Outcome::Unanswered),
            }
        };
        self.is_invited();
        let (parts, stream) = answered.into_parts();
        let status = parts.status.as_u16();
        let (ledger, plan) = (&self.asking.ledger, &self.plan);
        let number = parts.headers.get("x-answer").map(|number| String::from_utf8_lossy(number.as_bytes()));
        match number {
            Some(number) if number == plan.number.to_string() => {
                if status != plan.answer.status {
                    ledger.find(format!("request {number} was answered {status}"));
                }
                self.hear_answer(stream, parts.headers.get("content-length").is_some()).await;
            }
            Some(number) => ledger.find(format!("request {} got the answer to request {number}", plan.number)),
            None => {
                if !stream.is_end_stream() || parts.headers.get("content-length").is_none_or(|length| length != "0") {
                    ledger.find(format!("request {} got an answer from nowhere: {status}", plan.number));
                }
                ledger.end(plan.number, Outcome::Refused(status), None);
            }
        }
    }

    fn hear_interim(&self, interim: &Response<()>) {
        let (plan, status) = (&self.plan, interim.status().as_u16());
        if !(plan.answer.interim.contains(&status) || status == 100 && plan.expects) {
            let number = plan.number;
            self.asking.ledger.find(format!("request {number} got an interim {status} that it did not ask for"));
        }
        self.is_invited();
    }

    async fn hear_answer(&self, mut stream: RecvStream, is_sized: bool) {
        let (ledger, plan) = (&self.asking.ledger, &self.plan);
        let (mut body, mut random) = (Body::default(), Random::new(self.random.borrow_mut().next_u64()));
        let (what, pace) = ((plan.answer_pattern(), u64::MAX), (&self.pace, &mut random));
        let heard = hear_body(&self.asking.io, &mut stream, what, pace, &mut body).await;
        let (number, length) = (plan.number, body.length);
        if body.wrong {
            ledger.find(format!("request {number} was answered with another body"));
        }
        if let Err(error) = heard {
            return self.end_badly(&error, Outcome::Cut);
        }
        let whole = if plan.is_answered_without_body() { 0 } else { plan.answer.body.length() };
        if length != whole && !ledger.may_be_short(plan) {
            ledger.find(format!("request {number} was answered with {length} of {whole} bytes"));
        }
        if is_sized != matches!(plan.answer.body, Content::Sized(_)) && !plan.is_answered_without_body() && whole > 0 {
            ledger.find(format!("request {number}: the length of its answer was added or lost"));
        }
        let trailers: Vec<_> = body.trailers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if plan.answer.trailer && !plan.is_answered_without_body() && trailers != [TRAILER] {
            ledger.find(format!("request {number} was answered with the trailers {trailers:?}"));
        }
        ledger.end(number, Outcome::Answered, None);
    }

    fn is_invited(&self) {
        self.invited.set(true);
        self.watch.changed();
    }

    /// Enters how a request ended whose stream or connection did not last.
    fn end_badly(&self, error: &h2::Error, broken: Outcome) {
        let (ledger, plan) = (&self.asking.ledger, &self.plan);
        let is_silence = error.get_io().is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut);
        let is_refused = error.reason() == Some(h2::Reason::REFUSED_STREAM)
            || error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR);
        if is_refused && ledger.entry(plan.number).is_some_and(|entry| !entry.arrivals.is_empty()) {
            ledger
                .find(format!("request {} was refused as not processed after it had reached a back end", plan.number));
        }
        if error.reason() == Some(h2::Reason::PROTOCOL_ERROR) {
            ledger.find(format!("request {} ended in a protocol error: {error}", plan.number));
        }
        let excuse = match (is_refused, plan.idle >= IDLE_TIMEOUT) {
            (true, _) => Some(Excuse::ConnectionOver),
            (false, true) => Some(Excuse::Idle),
            (false, false) => None,
        };
        ledger.say(|| format!("request {} broke off: {error:?}", plan.number));
        ledger.end(plan.number, if is_silence { Outcome::Silence } else { broken }, excuse);
    }
}

fn is_whole(plan: &Plan) -> bool {
    matches!(plan.body, Content::None | Content::Sized(0))
}

fn request(plan: &Plan, scheme: &str) -> Request<()> {
    let uri = format!("{scheme}://{HOST}/r/{}", plan.number);
    let mut request = Request::builder().version(Version::HTTP_2).method(plan.method).uri(uri);
    if let Content::Sized(length) = plan.body {
        request = request.header("content-length", length);
    }
    if plan.expects {
        request = request.header("expect", "100-continue");
    }
    if plan.forwarded {
        request = request.header("x-forwarded-for", "192.0.2.7");
    }
    request.body(()).expect("a good request")
}
