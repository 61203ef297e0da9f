//! A back end: answers as each request's plan says, and checks what reaches it.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use elbow::base::random::Random;

use crate::hardship::Wrong;
use crate::http::ledger::Ledger;
use crate::http::plan::{Content, Failure, HOST, Parting, Plan};
use crate::http::streams::TRAILER;
use crate::line::Line;
use crate::message::{Body, Framing, Head, Hearer, Pace, Talker, Trouble};

/// One connection to a back end.
pub struct Exchanges {
    ledger: Rc<Ledger>,
    /// Where it listens.
    address: SocketAddr,
    line: Line,
    hearer: Hearer,
    talker: Talker,
    /// What every request must carry.
    expected: Expected,
}

/// What the node adds to every request.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The clients' address.
    pub client: IpAddr,
    /// The listener's port.
    pub port: u16,
    /// What clients speak to it: `http` or `https`.
    pub scheme: &'static str,
    /// What the node speaks to back ends, as in the request line.
    pub version: &'static str,
}

/// What follows after an answer.
enum Next {
    Request,
    Close,
}

impl Exchanges {
    /// A connection that was accepted; `None` when it is broken already.
    pub fn new(ledger: Rc<Ledger>, line: Line, expected: Expected, seed: u64) -> Option<Exchanges> {
        let address = line.socket().local_address().ok()?;
        let random = &mut Random::new(seed);
        let hearer = Hearer::new(line.clone(), Pace::drawn(random), random.next_u64());
        let talker = Talker::new(line.clone(), Pace::drawn(random), random.next_u64());
        Some(Exchanges { ledger, address, line, hearer, talker, expected })
    }

    /// Serves requests until one side closes.
    pub async fn serve(mut self) {
        loop {
            match self.serve_request().await {
                Ok(Next::Request) => {}
                Ok(Next::Close) | Err(Trouble::Ended | Trouble::Broken(_)) => return,
                Err(Trouble::Malformed(what)) => {
                    return self.ledger.find(format!("a back end was sent a malformed request: {what}"));
                }
            }
        }
    }

    async fn serve_request(&mut self) -> Result<Next, Trouble> {
        let Some(head) = self.hearer.head().await? else { return Ok(Next::Close) };
        let Some(plan) = recognise(&self.ledger, &self.expected, &head) else { return Ok(Next::Close) };
        let before = self.ledger.arrive(plan.number, self.address);
        self.ledger.say(|| format!("a back end got {}", head.line));
        let framing = head.framing(Framing::None)?;
        let failing = plan.answer.failing.filter(|failing| before == 0 || !failing.once);
        let failure = failing.map(|failing| failing.how);
        if let Some(Failure::Leave { after, reset }) = failure {
            return self.leave(&plan, framing, after, reset).await;
        }
        if plan.answer.early {
            self.answer(&plan, failure).await?;
            self.take_body(&plan, framing).await?;
        } else {
            self.take_body(&plan, framing).await?;
            self.answer(&plan, failure).await?;
        }
        if failure.is_some() {
            // All of its answer may have gone out before it failed.
            self.ledger.strike(self.address, Wrong::Closed);
            return Ok(Next::Close);
        }
        Ok(match plan.answer.parting {
            Parting::Keep => Next::Request,
            Parting::Close => {
                self.line.say_goodbye().await?;
                Next::Close
            }
            Parting::CloseSilently => {
                self.ledger.strike(self.address, Wrong::Closed);
                Next::Close
            }
        })
    }

    /// Goes away after so many bytes of the request's body.
    async fn leave(&mut self, plan: &Plan, framing: Framing, after: u64, reset: bool) -> Result<Next, Trouble> {
        let part = match framing {
            Framing::Length(length) => Framing::Length(length.min(after)),
            other => other,
        };
        let mut body = Body::default();
        if after > 0 {
            self.hearer.body(part, plan.pattern(), &mut body).await?;
        }
        if body.wrong {
            self.ledger.find(format!("request {} reached a back end with another body", plan.number));
        }
        if reset {
            self.line.socket().reset_on_close();
        }
        self.ledger.strike(self.address, Wrong::Closed);
        Ok(Next::Close)
    }

    async fn take_body(&mut self, plan: &Plan, framing: Framing) -> Result<(), Trouble> {
        let mut body = Body::default();
        let taken = self.hearer.body(framing, plan.pattern(), &mut body).await;
        check_body(&self.ledger, plan, &body, taken.is_ok());
        taken
    }

    async fn answer(&mut self, plan: &Plan, failure: Option<Failure>) -> Result<(), Trouble> {
        if !plan.answer.delay.is_zero() {
            self.line.socket().io().sleep(plan.answer.delay).await;
        }
        if failure == Some(Failure::Hang) {
            self.hearer.rest().await?;
            return Ok(());
        }
        if failure == Some(Failure::Garbage) {
            self.talker.say(b"220 shop.example ESMTP\r\n\r\n");
            return Ok(self.talker.flush().await?);
        }
        for status in &plan.answer.interim {
            self.talker.say(format!("HTTP/1.1 {status} Wait\r\n\r\n").as_bytes());
        }
        let mut answer = plan.answer.head(plan.number).into_bytes();
        if !plan.is_answered_without_body() {
            let random = self.talker.random();
            answer.extend_from_slice(&plan.answer.body.encode(plan.answer_pattern(), plan.answer.trailer, random));
        }
        match failure {
            Some(Failure::Close(most) | Failure::Reset(most)) => answer.truncate(most as usize),
            Some(Failure::BadFraming) => break_framing(&mut answer, plan),
            _ => {}
        }
        self.talker.say(&answer);
        let sent = self.talker.flush().await;
        if matches!(failure, Some(Failure::Reset(_) | Failure::BadFraming)) {
            self.line.socket().reset_on_close();
        }
        Ok(sent?)
    }
}

/// Finds a request's plan and compares its head with it.
pub fn recognise(ledger: &Ledger, expected: &Expected, head: &Head) -> Option<Plan> {
    let mut words = head.line.split(' ');
    let (method, path, version) = (words.next()?, words.next()?, words.next()?);
    let number = path.strip_prefix("/r/").and_then(|number| number.parse().ok());
    let Some(plan) = number.and_then(|number| ledger.entry(number)).map(|entry| entry.plan.clone()) else {
        ledger.find(format!("a back end got a request that nobody sent: {}", head.line));
        return None;
    };
    let client = expected.client;
    let forwarded_for = if plan.forwarded { format!("192.0.2.7, {client}") } else { client.to_string() };
    let (port, length) = (expected.port.to_string(), plan.body.length().to_string());
    let (length, coding) = match plan.body {
        Content::None | Content::UntilEnd(_) => (None, None),
        Content::Sized(_) => (Some(length.as_str()), None),
        Content::Chunked(_) if expected.version == "HTTP/2.0" => (None, None),
        Content::Chunked(_) => (None, Some("chunked")),
    };
    let rightly = [
        ("method", Some(method), Some(plan.method)),
        ("version", Some(version), Some(expected.version)),
        ("host", head.get("host"), Some(HOST)),
        ("x-forwarded-for", head.get("x-forwarded-for"), Some(forwarded_for.as_str())),
        ("x-forwarded-proto", head.get("x-forwarded-proto"), Some(expected.scheme)),
        ("x-forwarded-port", head.get("x-forwarded-port"), Some(port.as_str())),
        ("content-length", head.get("content-length"), length),
        ("transfer-encoding", head.get("transfer-encoding"), coding),
        ("expect", head.get("expect"), None),
        ("x-hop", head.get("x-hop"), None),
    ];
    for (name, found, expected) in rightly.iter().filter(|(_, found, expected)| found != expected) {
        let number = plan.number;
        ledger.find(format!("request {number} reached a back end with {name} {found:?}, not {expected:?}"));
    }
    Some(plan)
}

/// Compares what came of a request's body with its plan; `is_whole` says that it ended.
pub fn check_body(ledger: &Ledger, plan: &Plan, body: &Body, is_whole: bool) {
    let (number, length, whole) = (plan.number, body.length, plan.body.length());
    if body.wrong || length > whole {
        ledger.find(format!("request {number} reached a back end with another body"));
    }
    if !is_whole {
        return;
    }
    if length != whole {
        ledger.find(format!("request {number} reached a back end with {length} of {whole} bytes as a whole"));
    }
    if !ledger.entry(number).is_some_and(|entry| entry.whole) {
        ledger.find(format!("request {number} reached a back end whole, and its client never sent it whole"));
    }
    let trailers: Vec<_> = body.trailers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    if plan.has_trailer() && trailers != [TRAILER] {
        ledger.find(format!("request {number} reached a back end with the trailers {trailers:?}"));
    }
}

/// Spoils the last chunk of an answer, or takes its last byte away.
fn break_framing(answer: &mut Vec<u8>, plan: &Plan) {
    match plan.answer.body {
        Content::Chunked(_) if !plan.answer.trailer && !plan.is_answered_without_body() => {
            let end = answer.len() - b"0\r\n\r\n".len();
            answer.truncate(end);
            answer.extend_from_slice(b"0x\r\n\r\n");
        }
        _ => drop(answer.pop()),
    }
}
