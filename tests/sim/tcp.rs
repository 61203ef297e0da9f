//! TCP clients and back ends around the proxy: a numbered stream each way, checked byte for byte, and every end of a stream
//! compared with what the other side did to end it.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use elbow::base::Instant;
use elbow::base::random::Random;
use elbow::runtime::Io;

use crate::flows::both;
use crate::hardship::{Hardship, Span};
use crate::http::client::Door;
use crate::line::{Line, Offer};
use crate::message::{Body, Framing, Hearer, Pace, Talker};
use crate::pattern::Pattern;
use crate::traffic::TCP;
use crate::world::Shared;

/// Bytes at the start of a client's stream that say which one it is.
const NAME: u64 = 8;

/// What is sent on one connection.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Counts the connections of a run.
    pub number: u64,
    /// Bytes from the client, behind its name, and from the back end.
    pub lengths: [u64; 2],
    /// The back end speaks only when the client has ended.
    pub polite: bool,
    /// The back end goes away after so many bytes; true for a reset.
    pub failing: Option<(u64, bool)>,
    /// The client's close is a reset.
    pub resets: bool,
    /// The client speaks TLS of before 1.3, where TLS is spoken.
    pub old_tls: bool,
    pub seed: u64,
}

impl Plan {
    /// Draws a connection; `troubled` lets back ends fail.
    pub fn drawn(number: u64, troubled: bool, random: &mut Random) -> Plan {
        let mut length = || {
            let reach = 1 << random.below(20);
            random.below(reach)
        };
        let lengths = [length(), length()];
        let failing = troubled && random.chance(1, 4);
        Plan {
            number,
            lengths,
            polite: random.chance(1, 3),
            failing: failing.then(|| (random.below(lengths[0] + 1), random.chance(1, 2))),
            resets: false,
            old_tls: random.chance(1, 4),
            seed: random.next_u64(),
        }
    }

    fn pattern(&self, side: usize) -> Pattern {
        Pattern(u64::MAX - 2 * self.number - side as u64)
    }
}

/// What one side did and saw.
#[derive(Clone, Debug, Default)]
struct Account {
    /// It sent all and ended its stream.
    said_all: bool,
    /// It was ending its stream, and may have left in the middle of that.
    was_ending: bool,
    /// It went away of its own accord without that.
    left: bool,
    /// Bytes that came.
    heard: u64,
    /// The other's stream ended as streams should.
    heard_end: bool,
}

#[derive(Debug)]
struct Entry {
    plan: Plan,
    client: Option<SocketAddr>,
    /// When the client began to connect.
    set_out: Option<Instant>,
    began: Option<Instant>,
    ended: Option<Instant>,
    arrivals: u64,
    accounts: [Account; 2],
}

/// All connections of a run.
pub struct Streams {
    world: Shared,
    hardship: Rc<Hardship>,
    /// Which sides speak TLS, where an end that nobody announced is none.
    secure: [bool; 2],
    entries: RefCell<Vec<Entry>>,
}

const CLIENT: usize = 0;
const SERVER: usize = 1;

impl Streams {
    /// No connections yet; clients and back ends speak TLS or not.
    pub fn new(world: &Shared, hardship: &Rc<Hardship>, secure: [bool; 2]) -> Streams {
        Streams { world: world.clone(), hardship: hardship.clone(), secure, entries: RefCell::default() }
    }

    /// Enters a connection before it is made.
    pub fn enter(&self, plan: Plan) {
        // Until it has ended otherwise, whoever disappears has left.
        let accounts = [CLIENT, SERVER].map(|_| Account { left: true, ..Account::default() });
        let entry = Entry { plan, client: None, set_out: None, began: None, ended: None, arrivals: 0, accounts };
        self.entries.borrow_mut().push(entry);
    }

    /// How many connections there are.
    pub fn len(&self) -> u64 {
        self.entries.borrow().len() as u64
    }

    /// Looks at every connection once the run is over. In a `perfect` run all streams came through.
    pub fn judge(&self, perfect: bool) {
        let entries = self.entries.borrow();
        entries.iter().filter_map(|entry| self.judge_entry(entry, perfect)).for_each(|finding| self.find(finding));
    }

    fn judge_entry(&self, entry: &Entry, perfect: bool) -> Option<String> {
        let number = entry.plan.number;
        if entry.arrivals > 1 {
            return Some(format!("stream {number} reached back ends {} times", entry.arrivals));
        }
        for (hears, says) in [(CLIENT, SERVER), (SERVER, CLIENT)] {
            let (hearer, speaker) = (&entry.accounts[hears], &entry.accounts[says]);
            let whole = entry.plan.lengths[says];
            if hearer.heard_end && speaker.said_all && hearer.heard != whole {
                let heard = hearer.heard;
                return Some(format!("stream {number} to side {hears} ended after {heard} of {whole} bytes"));
            }
            if self.secure[says] && hearer.heard_end && !speaker.was_ending {
                return Some(format!("stream {number} to side {hears} ended, and side {says} never said so"));
            }
        }
        if entry.plan.resets && !entry.accounts[CLIENT].said_all && entry.accounts[SERVER].heard_end {
            return Some(format!("stream {number}: its client reset it, and its back end heard it end"));
        }
        let complete = entry.accounts.iter().all(|account| account.said_all && account.heard_end);
        let (Some(began), Some(ended)) = (entry.began, entry.ended) else {
            return perfect.then(|| format!("stream {number} did not come about in a perfect world"));
        };
        // A back end that died may have had to hear yet what its client had said.
        let ended = if entry.accounts[SERVER].left { self.hardship.now() } else { ended };
        let (span, hardship) = (Span { client: entry.client, began, ended }, &self.hardship);
        let excused = hardship.was_felt(span) || hardship.was_any_bad(span, TCP);
        let excused = excused || entry.plan.failing.is_some() || entry.plan.resets;
        (!complete && !excused).then(|| format!("stream {number} did not come through for no reason: {entry:?}"))
    }

    fn plan(&self, number: u64) -> Option<Plan> {
        self.entries.borrow().get(number as usize).map(|entry| entry.plan.clone())
    }

    /// A back end has got a stream.
    fn arrive(&self, number: u64, line: &Line) {
        let mut set_out = None;
        self.change(number, |entry| {
            entry.arrivals += 1;
            set_out = entry.set_out;
        });
        if let (Some(set_out), Ok(back_end)) = (set_out, line.socket().local_address())
            && self.hardship.was_out(back_end, set_out)
        {
            self.find(format!("stream {number} reached {back_end}, which was out before it began"));
        }
    }

    fn change(&self, number: u64, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.borrow_mut().get_mut(number as usize) {
            change(entry);
        }
    }

    fn find(&self, finding: String) {
        self.world.borrow_mut().stage.find(finding);
    }
}

/// Makes a connection through the node and carries out its plan.
pub async fn be_client(io: Io, streams: Rc<Streams>, number: u64, door: Door) {
    let Some(plan) = streams.plan(number) else { return };
    streams.change(number, |entry| entry.set_out = Some(io.now()));
    let line = match door.open(&io, Offer { old: plan.old_tls, protocols: &[] }).await {
        Some(Ok(line)) => line,
        Some(Err(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
            return streams.find(format!("a handshake failed: {error}"));
        }
        Some(Err(_)) | None => return,
    };
    if plan.resets {
        line.socket().reset_on_close();
    }
    let (client, began) = (line.socket().local_address().ok(), Some(io.now()));
    streams.change(number, |entry| (entry.client, entry.began) = (client, began));
    let side = Side::new(&streams, &plan, line, CLIENT);
    side.converse().await;
    streams.change(number, |entry| entry.ended = Some(io.now()));
}

/// The other end of one.
pub async fn be_back_end(streams: Rc<Streams>, line: Line, seed: u64) {
    let random = &mut Random::new(seed);
    let mut hearer = Hearer::new(line.clone(), Pace::drawn(random), random.next_u64());
    let Ok(name) = hearer.exactly(NAME as usize).await else { return };
    let number = name.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let Some(plan) = streams.plan(number) else {
        return streams.find(format!("a back end got a stream that nobody sent: {name:?}"));
    };
    streams.arrive(number, &line);
    let mut side = Side::new(&streams, &plan, line.clone(), SERVER);
    side.hearer = hearer;
    match plan.failing {
        None => side.converse().await,
        Some((after, reset)) => {
            // However far it comes.
            let _ = side.hearer.body(Framing::Length(after), plan.pattern(CLIENT), &mut Body::default()).await;
            if reset {
                line.socket().reset_on_close();
            }
        }
    }
}

/// One side of a conversation.
struct Side {
    streams: Rc<Streams>,
    plan: Plan,
    side: usize,
    line: Line,
    talker: Talker,
    hearer: Hearer,
}

impl Side {
    fn new(streams: &Rc<Streams>, plan: &Plan, line: Line, side: usize) -> Side {
        let random = &mut Random::new(plan.seed ^ side as u64);
        let talker = Talker::new(line.clone(), Pace::drawn(random), random.next_u64());
        let hearer = Hearer::new(line.clone(), Pace::drawn(random), random.next_u64());
        Side { streams: streams.clone(), plan: plan.clone(), side, line, talker, hearer }
    }

    /// Both directions to their end, and what came of them.
    async fn converse(self) {
        let Side { streams, plan, side, line, talker, mut hearer } = self;
        let mut body = Body::default();
        let hearing = hearer.body(Framing::UntilEnd, plan.pattern(1 - side), &mut body);
        let (spoken, heard) = match plan.polite && side == SERVER {
            true => {
                let heard = hearing.await;
                (say(&streams, &plan, side, &line, talker).await, heard)
            }
            false => both(say(&streams, &plan, side, &line, talker), hearing).await,
        };
        if body.wrong {
            streams.find(format!("stream {}: side {side} was sent a wrong byte", plan.number));
        }
        streams.change(plan.number, |entry| {
            let account = &mut entry.accounts[side];
            account.left = false;
            account.heard = body.length;
            // When sending has failed, the end may be that of a reset whose error the send took away.
            account.heard_end = heard.is_ok() && spoken.is_ok();
        });
    }
}

async fn say(streams: &Streams, plan: &Plan, side: usize, line: &Line, mut talker: Talker) -> std::io::Result<()> {
    if side == CLIENT {
        talker.say(&plan.number.to_be_bytes());
    }
    let (pattern, length) = (plan.pattern(side), plan.lengths[side]);
    let mut offset = 0;
    while offset < length {
        let end = length.min(offset + (64 << 10));
        talker.say(&pattern.bytes(offset, end));
        talker.flush().await?;
        offset = end;
    }
    talker.flush().await?;
    streams.change(plan.number, |entry| entry.accounts[side].was_ending = true);
    line.end().await?;
    streams.change(plan.number, |entry| entry.accounts[side].said_all = true);
    Ok(())
}
