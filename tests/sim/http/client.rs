//! A client connection: sends its requests in order, as many ahead of the answers as it likes, and checks what comes back.

use std::cell::Cell;
use std::future::pending;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use elbow::base::random::Random;
use elbow::runtime::{Either, Io, Socket, race};

use crate::flows::{Watch, timely};
use crate::http::cookies::{Bond, Jar};
use crate::http::h2_client;
use crate::http::ledger::{Excuse, Ledger, Outcome};
use crate::http::plan::{Content, Plan, Version};
use crate::http::streams::TRAILER;
use crate::line::{Clients, Line, Offer};
use crate::message::{Body, Framing, Head, Hearer, Pace, Talker, Trouble};

/// What a client does on one connection.
#[derive(Clone, Debug)]
pub struct Visit {
    pub plans: Vec<Plan>,
    /// Most requests sent and not answered.
    pub depth: usize,
    pub ending: Ending,
    /// Its close is a reset.
    pub resets: bool,
    /// Its requests are streams of HTTP/2.
    pub streams: bool,
    /// It speaks TLS of before 1.3, where TLS is spoken.
    pub old_tls: bool,
    /// One stream in so many is given up; 0 for none.
    pub fickle: u64,
    /// Its cookies.
    pub jar: Jar,
    pub seed: u64,
}

/// How the node is reached.
#[derive(Clone)]
pub struct Door {
    pub target: SocketAddr,
    /// How hands are shaken, where TLS is spoken.
    pub tls: Option<Rc<Clients>>,
}

impl Door {
    /// Makes a connection over which `offer` is made; `None` when none comes about.
    pub async fn open(&self, io: &Io, offer: Offer) -> Option<std::io::Result<Line>> {
        let socket = timely(io, Socket::connect(io, self.target)).await.ok()?;
        Some(match &self.tls {
            Some(clients) => clients.connect(socket, offer).await,
            None => Ok(socket.into()),
        })
    }
}

/// How a client ends its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It closes after the last answer.
    Close,
    /// It ends its stream after the last request and reads on.
    HalfClose,
    /// It sends something that is not a request, after the last answer.
    Garbage(Vec<u8>),
}

/// How long a client waits for the word to go on with a body.
pub const GO_AHEAD: Duration = Duration::from_secs(2);

/// How long the node waits for the next request; what comes near it may meet a closed connection.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(55);

/// How far the two halves of a client have come.
#[derive(Default)]
struct Progress {
    /// Requests begun.
    begun: Cell<usize>,
    /// Requests whose answer has ended.
    answered: Cell<usize>,
    /// Requests whose body may be sent.
    invited: Cell<usize>,
    /// Nothing more will be sent.
    over: Cell<bool>,
    /// Sending has failed. The end of the stream is then no end: a send may have taken the error of a reset away.
    broken: Cell<bool>,
    watch: Watch,
}

/// What one answer was, as far as the connection goes on.
enum Heard {
    Answer,
    LastAnswer,
}

/// Makes one connection to the node and carries out `visit` on it.
pub async fn visit(io: Io, ledger: Rc<Ledger>, door: Door, visit: Visit) {
    let protocols: &[&[u8]] = if visit.streams { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
    let line = match door.open(&io, Offer { old: visit.old_tls, protocols }).await {
        Some(Ok(line)) => line,
        Some(Err(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
            return ledger.find(format!("a handshake failed: {error}"));
        }
        Some(Err(_)) | None => return,
    };
    let Ok(address) = line.socket().local_address() else { return };
    if visit.resets {
        line.socket().reset_on_close();
    }
    if line.is_secure() && line.protocol().as_deref() != protocols.first().copied() {
        ledger.find(format!("{:?} was agreed on where {protocols:?} were offered", line.protocol()));
    }
    if visit.streams {
        return h2_client::visit(ledger, line, address, visit).await;
    }
    let progress = Rc::new(Progress::default());
    let random = &mut Random::new(visit.seed);
    let (talks, hears) = (Pace::drawn(random), Pace::drawn(random));
    let mut writer = Writer {
        ledger: ledger.clone(),
        progress: progress.clone(),
        address,
        talker: Talker::new(line.clone(), talks, random.next_u64()),
        line: line.clone(),
    };
    let hearer = Hearer::new(line, hears, random.next_u64());
    let mut reader = Reader { ledger, progress, hearer };
    let writing = async {
        let written = writer.run(&visit).await;
        writer.progress.broken.set(written.is_err());
        writer.progress.over.set(true);
        writer.progress.watch.changed();
        pending::<()>().await;
    };
    match race(reader.run(&visit), writing).await {
        Either::First(()) | Either::Second(()) => {}
    }
}

struct Writer {
    ledger: Rc<Ledger>,
    progress: Rc<Progress>,
    address: SocketAddr,
    line: Line,
    talker: Talker,
}

impl Writer {
    async fn run(&mut self, visit: &Visit) -> std::io::Result<()> {
        for (index, plan) in visit.plans.iter().enumerate() {
            if self.has_said_its_last(visit, index) {
                return self.talker.flush().await;
            }
            if index >= self.progress.answered.get() + visit.depth {
                self.talker.flush().await?;
                self.until(|progress| index < progress.answered.get() + visit.depth).await;
            }
            if !plan.idle.is_zero() {
                self.talker.flush().await?;
                self.until(|progress| progress.answered.get() == index).await;
                self.line.socket().io().sleep(plan.idle).await;
            }
            self.ledger.begin(plan.number, self.address);
            self.progress.begun.set(index + 1);
            self.progress.watch.changed();
            if matches!(plan.body, Content::None | Content::Sized(0)) {
                self.ledger.is_whole(plan.number);
            }
            let bond = visit.jar.bond();
            let cookie = bond.as_ref().map(Bond::field).unwrap_or_default();
            self.ledger.bind(plan.number, bond);
            self.talker.say(plan.head(&cookie).as_bytes());
            if plan.expects && !self.is_invited(index).await? {
                return self.talker.flush().await;
            }
            if self.talker.random().chance(1, 4) {
                self.talker.flush().await?;
            }
            let body = plan.body.encode(plan.pattern(), plan.has_trailer(), self.talker.random());
            self.talker.say(&body);
            self.ledger.is_whole(plan.number);
        }
        self.talker.flush().await?;
        if self.has_said_its_last(visit, visit.plans.len()) {
            return Ok(());
        }
        match &visit.ending {
            Ending::Close => {}
            Ending::HalfClose => self.line.end().await?,
            Ending::Garbage(bytes) => {
                self.until(|progress| progress.answered.get() == visit.plans.len()).await;
                self.talker.say(bytes);
                self.talker.flush().await?;
            }
        }
        Ok(())
    }

    /// Sends a head that expects a 100 and waits for it. False when the answer has come instead.
    async fn is_invited(&mut self, index: usize) -> std::io::Result<bool> {
        self.talker.flush().await?;
        let io = self.line.socket().io().clone();
        let invited = self.until(|progress| progress.invited.get() > index);
        // Who hears nothing sends the body all the same (RFC 9110 section 10.1.1).
        let _ = io.within(io.now() + GO_AHEAD, invited).await;
        Ok(self.progress.answered.get() <= index)
    }

    /// A client must not send anything behind a request that says `close` (RFC 9112 section 9.6).
    fn has_said_its_last(&self, visit: &Visit, index: usize) -> bool {
        visit.plans[..index].last().is_some_and(|plan| plan.closes)
    }

    async fn until(&self, wish: impl Fn(&Progress) -> bool) {
        self.progress.watch.until(|| wish(&self.progress)).await;
    }
}

struct Reader {
    ledger: Rc<Ledger>,
    progress: Rc<Progress>,
    hearer: Hearer,
}

impl Reader {
    async fn run(&mut self, visit: &Visit) {
        for (index, plan) in visit.plans.iter().enumerate() {
            let begun = || self.progress.begun.get() > index;
            self.progress.watch.until(|| begun() || self.progress.over.get()).await;
            if !begun() {
                return self.forget(visit, index);
            }
            // What comes after such a wait may meet a connection that is being closed.
            let excuse = (plan.idle >= IDLE_TIMEOUT).then_some(Excuse::Idle);
            match self.hear(plan, &visit.jar).await {
                Ok(Heard::Answer) => {}
                Ok(Heard::LastAnswer) => {
                    self.is_answered(index);
                    return self.part(visit, index + 1).await;
                }
                Err(outcome) => {
                    self.ledger.end(plan.number, outcome, excuse);
                    return self.forget(visit, index + 1);
                }
            }
            self.is_answered(index);
        }
        match &visit.ending {
            Ending::Garbage(_) => self.hear_refusal().await,
            Ending::HalfClose => self.hear_end().await,
            Ending::Close => self.nothing_unread(),
        }
    }

    /// Hears one answer to its end and enters how it ended, unless that depends on the connection.
    async fn hear(&mut self, plan: &Plan, jar: &Jar) -> Result<Heard, Outcome> {
        let head = loop {
            let head = match self.hearer.head().await {
                Ok(Some(head)) => head,
                Ok(None) => return Err(Outcome::Unanswered),
                Err(trouble) => return Err(self.outcome(trouble, Outcome::Unanswered)),
            };
            match status(&head) {
                Some(status @ 100..=199) => self.hear_interim(plan, status),
                _ => break head,
            }
        };
        self.progress.invited.set(self.progress.invited.get().max(self.progress.answered.get() + 1));
        self.progress.watch.changed();
        match head.get("x-answer") {
            Some(number) if number == plan.number.to_string() => {
                self.ledger.is_bound(plan.number, head.all("set-cookie"), jar);
                self.hear_answer(plan, &head).await
            }
            Some(number) => {
                self.ledger.find(format!("request {} got the answer to request {number}", plan.number));
                Err(Outcome::Cut)
            }
            None => self.hear_own(plan, &head),
        }
    }

    fn hear_interim(&mut self, plan: &Plan, status: u16) {
        let planned = plan.answer.interim.contains(&status) && plan.version == Version::Http11;
        if !(planned || status == 100 && plan.expects) {
            self.ledger.find(format!("request {} got an interim {status} that it did not ask for", plan.number));
        }
        self.progress.invited.set(self.progress.invited.get().max(self.progress.answered.get() + 1));
        self.progress.watch.changed();
    }

    async fn hear_answer(&mut self, plan: &Plan, head: &Head) -> Result<Heard, Outcome> {
        if status(head) != Some(plan.answer.status) {
            self.ledger.find(format!("request {} was answered {:?}", plan.number, head.line));
        }
        let framing = match plan.is_answered_without_body() {
            true => Framing::None,
            false => head.framing(Framing::UntilEnd).map_err(|trouble| self.outcome(trouble, Outcome::Cut))?,
        };
        if framing == Framing::Chunked && plan.version == Version::Http10 {
            self.ledger.find(format!("request {} of HTTP/1.0 was answered in chunks: {head:?}", plan.number));
        }
        let mut body = Body::default();
        let heard = self.hearer.body(framing, plan.answer_pattern(), &mut body).await;
        if body.wrong {
            self.ledger.find(format!("request {} was answered with another body", plan.number));
        }
        heard.map_err(|trouble| self.outcome(trouble, Outcome::Cut))?;
        if framing == Framing::UntilEnd {
            self.hearer.settle().await;
            if self.progress.broken.get() {
                return Err(Outcome::Cut);
            }
        }
        if framing != Framing::None && body.length != plan.answer.body.length() && !self.ledger.may_be_short(plan) {
            let (length, whole) = (body.length, plan.answer.body.length());
            self.ledger.find(format!("request {} was answered with {length} of {whole} bytes", plan.number));
        }
        let trailers: Vec<_> = body.trailers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if plan.answer.trailer && framing == Framing::Chunked && trailers != [TRAILER] {
            self.ledger.find(format!("request {} was answered with the trailers {trailers:?}", plan.number));
        }
        self.ledger.end(plan.number, Outcome::Answered, None);
        Ok(if is_last(plan, head, framing) { Heard::LastAnswer } else { Heard::Answer })
    }

    /// An answer that no back end gave: the balancer's own, which has no body.
    fn hear_own(&mut self, plan: &Plan, head: &Head) -> Result<Heard, Outcome> {
        let status = status(head).unwrap_or_default();
        if head.get("content-length") != Some("0") {
            self.ledger.find(format!("request {} got an answer from nowhere: {:?}", plan.number, head.line));
        }
        self.ledger.end(plan.number, Outcome::Refused(status), None);
        Ok(if is_last(plan, head, Framing::Length(0)) { Heard::LastAnswer } else { Heard::Answer })
    }

    /// The connection is over: nothing may follow but its end.
    async fn part(&mut self, visit: &Visit, from: usize) {
        self.hear_end().await;
        self.forget(visit, from);
    }

    /// Enters those that cannot be answered any more.
    fn forget(&self, visit: &Visit, from: usize) {
        for plan in &visit.plans[from..] {
            self.ledger.end(plan.number, Outcome::Unanswered, Some(Excuse::ConnectionOver));
        }
    }

    /// After garbage: a refusal and the end, or only the end.
    async fn hear_refusal(&mut self) {
        match self.hearer.head().await {
            Ok(Some(head)) => {
                if !matches!(status(&head), Some(400 | 405 | 408 | 413 | 414 | 431 | 501 | 505)) {
                    self.ledger.find(format!("garbage was answered {:?}", head.line));
                }
                self.hear_end().await;
            }
            Ok(None) | Err(Trouble::Ended | Trouble::Broken(_)) => {}
            Err(Trouble::Malformed(what)) => self.ledger.find(format!("garbage was answered with garbage: {what}")),
        }
    }

    async fn hear_end(&mut self) {
        if let Ok(rest) = self.hearer.rest().await
            && !rest.is_empty()
        {
            let text = String::from_utf8_lossy(&rest[..rest.len().min(80)]).into_owned();
            self.ledger.find(format!("{} bytes came that answer nothing: {text:?}", rest.len()));
        }
    }

    fn nothing_unread(&self) {
        if !self.hearer.unread().is_empty() {
            self.ledger.find(format!("{} bytes came that answer nothing", self.hearer.unread().len()));
        }
    }

    fn is_answered(&self, index: usize) {
        self.progress.answered.set(index + 1);
        self.progress.watch.changed();
    }

    fn outcome(&self, trouble: Trouble, broken: Outcome) -> Outcome {
        match trouble {
            Trouble::Broken(std::io::ErrorKind::TimedOut) => Outcome::Silence,
            Trouble::Ended | Trouble::Broken(_) => broken,
            Trouble::Malformed(what) => {
                self.ledger.find(format!("a client got a malformed answer: {what}"));
                broken
            }
        }
    }
}

/// Whether the connection ends with this answer (RFC 9112 section 9.3).
fn is_last(plan: &Plan, head: &Head, framing: Framing) -> bool {
    let says = |option: &str| {
        let options = head.all("connection").flat_map(|value| value.split(','));
        options.into_iter().any(|found| found.trim().eq_ignore_ascii_case(option))
    };
    let kept = plan.version == Version::Http11 || says("keep-alive");
    framing == Framing::UntilEnd || says("close") || !kept
}

fn status(head: &Head) -> Option<u16> {
    let mut words = head.line.split(' ');
    match (words.next()?, words.next()?.parse()) {
        ("HTTP/1.1" | "HTTP/1.0", Ok(status)) => Some(status),
        _ => None,
    }
}
