//! What became of every request, as its client and the back ends saw it, and whether that was right.

use std::cell::{Ref, RefCell};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use elbow::base::Instant;

use crate::hardship::{Hardship, Span, Wrong};
use crate::http::cookies::{Bond, Jar};
use crate::http::plan::{Content, Plan};
use crate::rules::Rules;
use crate::trace::Note;
use crate::traffic::HTTP;
use crate::world::Shared;

/// How long the node may be busy with a request that has ended for its client.
const LINGERING: Duration = Duration::from_millis(500);

/// How a request ended for its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The back end's answer came whole.
    Answered,
    /// The balancer answered for itself.
    Refused(u16),
    /// An answer began and broke off, and the client could tell.
    Cut,
    /// The connection ended without an answer.
    Unanswered,
    /// Nothing happened for longer than the client waits.
    Silence,
    /// The client wanted no answer any more.
    GivenUp,
}

/// Why a request may go unanswered although no fault was injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excuse {
    /// An earlier answer on the connection said that it was the last, or was cut.
    ConnectionOver,
    /// The connection had been idle for as long as it may.
    Idle,
}

/// One request.
#[derive(Debug)]
pub struct Entry {
    pub plan: Plan,
    /// Where the client's connection came from.
    pub client: Option<SocketAddr>,
    /// Others are under way beside it on that connection.
    pub is_stream: bool,
    /// When its first byte was sent.
    pub began: Option<Instant>,
    /// Its last byte is being sent or was.
    pub whole: bool,
    pub ended: Option<(Instant, Outcome)>,
    pub excuse: Option<Excuse>,
    /// When a back end got its head, and which.
    pub arrivals: Vec<(Instant, SocketAddr)>,
    /// The session that it is sent in.
    pub bond: Option<Bond>,
}

/// All requests of a run.
pub struct Ledger {
    world: Shared,
    entries: RefCell<Vec<Entry>>,
    hardship: Rc<Hardship>,
    /// What the node and back ends speak tells an end from a cut.
    tells_ends: bool,
    rules: Rules,
}

impl Ledger {
    /// An empty ledger of what happens in `world`; between node and back ends, ends can be told from cuts or not.
    pub fn new(world: &Shared, hardship: &Rc<Hardship>, tells_ends: bool, rules: Rules) -> Ledger {
        Ledger { world: world.clone(), entries: RefCell::default(), hardship: hardship.clone(), tells_ends, rules }
    }

    /// Enters a request before it is sent.
    pub fn enter(&self, plan: Plan) {
        let entry = Entry {
            plan,
            client: None,
            is_stream: false,
            began: None,
            whole: false,
            ended: None,
            excuse: None,
            arrivals: Vec::new(),
            bond: None,
        };
        self.entries.borrow_mut().push(entry);
    }

    /// How many requests there are.
    pub fn len(&self) -> u64 {
        self.entries.borrow().len() as u64
    }

    /// A request.
    pub fn entry(&self, number: u64) -> Option<Ref<'_, Entry>> {
        Ref::filter_map(self.entries.borrow(), |entries| entries.get(number as usize)).ok()
    }

    /// A client sends the first byte of a request.
    pub fn begin(&self, number: u64, client: SocketAddr) {
        self.say(|| format!("request {number} begins on {client}"));
        self.change(number, |now, entry| {
            (entry.began, entry.client) = (Some(now), Some(client));
        });
    }

    /// A client opens a stream for a request.
    pub fn begin_stream(&self, number: u64, client: SocketAddr) {
        self.begin(number, client);
        self.change(number, |_, entry| entry.is_stream = true);
    }

    /// A client sends the last byte of a request.
    pub fn is_whole(&self, number: u64) {
        self.change(number, |_, entry| entry.whole = true);
    }

    /// A request has ended for its client.
    pub fn end(&self, number: u64, outcome: Outcome, excuse: Option<Excuse>) {
        self.say(|| format!("request {number} ended: {outcome:?} {excuse:?}"));
        self.change(number, |now, entry| (entry.ended, entry.excuse) = (Some((now, outcome)), excuse));
    }

    /// A back end has got the head of a request. How often that was the case before.
    pub fn arrive(&self, number: u64, back_end: SocketAddr) -> usize {
        let (mut before, mut began, mut bond) = (0, None, None);
        self.change(number, |now, entry| {
            (before, began, bond) = (entry.arrivals.len(), entry.began, entry.bond.clone());
            entry.arrivals.push((now, back_end));
        });
        if began.is_some_and(|began| self.hardship.was_out(back_end, began)) {
            self.find(format!("request {number} reached {back_end}, which was out before it began"));
        }
        // Whoever failed it is not asked again.
        if let Some(bond) = bond.filter(|bond| before == 0 && bond.back_end != back_end)
            && !self.hardship.was_disturbed(bond.since)
        {
            self.find(format!("request {number} of a session on {} reached {back_end}", bond.back_end));
        }
        before
    }

    /// A request is sent in this session.
    pub fn bind(&self, number: u64, bond: Option<Bond>) {
        self.change(number, |_, entry| entry.bond = bond);
    }

    /// An answer with these values of `Set-Cookie` has come; a request outside of a session begins one.
    pub fn is_bound<'a>(&self, number: u64, cookies: impl Iterator<Item = &'a str>, jar: &Jar) {
        if !self.rules.sticky {
            return;
        }
        let last = self.entry(number).and_then(|entry| entry.arrivals.last().copied());
        let is_outside = self.entry(number).is_some_and(|entry| entry.bond.is_none());
        let mut cookies = cookies.peekable();
        if is_outside && cookies.peek().is_none() {
            self.find(format!("request {number} was outside of a session, and its answer begins none"));
        }
        if let Some((_, back_end)) = last {
            jar.keep(cookies, back_end, self.hardship.now());
        }
    }

    /// Whether the queue may have turned a request away, or sent it away after its time: more were under way than those
    /// back ends take at once that were there, and for the former, more than those and the queue.
    fn may_spill(&self, span: Span) -> bool {
        let Some(limit) = self.rules.instance_connections else { return false };
        let room = limit * self.hardship.present(span, HTTP) as u64;
        // Who has ended for its client may not have ended for the node.
        let overlaps = |entry: &&Entry| match (entry.began, &entry.ended) {
            (Some(began), Some((ended, _))) => began <= span.ended && *ended + LINGERING >= span.began,
            (Some(began), None) => began <= span.ended,
            (None, _) => false,
        };
        let entries = self.entries.borrow();
        let (streams, in_turn): (Vec<&Entry>, Vec<&Entry>) =
            entries.iter().filter(overlaps).partition(|entry| entry.is_stream);
        // Of those that follow each other on a connection, one is under way.
        let connections: BTreeSet<Option<SocketAddr>> = in_turn.iter().map(|entry| entry.client).collect();
        let under_way = (streams.len() + connections.len()) as u64;
        under_way > room + self.rules.surge_queue || self.has_waited(span) && under_way > room
    }

    /// Whether a request may have waited for its turn as long as it may.
    fn has_waited(&self, span: Span) -> bool {
        self.rules.instance_connections.is_some() && span.ended.since(span.began) >= self.rules.queue_wait()
    }

    /// Whether an answer may have ended early without anybody being able to tell: its end is that of the connection, and
    /// its back end may have died.
    pub fn may_be_short(&self, plan: &Plan) -> bool {
        if self.tells_ends || !matches!(plan.answer.body, Content::UntilEnd(_)) {
            return false;
        }
        let last = self.entry(plan.number).and_then(|entry| entry.arrivals.last().copied());
        last.is_some_and(|(began, back_end)| {
            self.hardship.was_bereaved(back_end, Span { client: None, began, ended: self.hardship.now() })
        })
    }

    /// A back end does something to a connection.
    pub fn strike(&self, back_end: SocketAddr, wrong: Wrong) {
        self.hardship.strike(back_end, wrong);
    }

    /// Something is wrong.
    pub fn find(&self, finding: String) {
        self.world.borrow_mut().stage.find(finding);
    }

    /// Adds to the history.
    pub fn say(&self, text: impl FnOnce() -> String) {
        self.world.borrow_mut().stage.note(Note::Say(&text()));
    }

    /// Looks at every request once the run is over. In a `perfect` run every request was answered that could be.
    pub fn judge(&self, perfect: bool) {
        let findings: Vec<String> = self.entries.borrow().iter().flat_map(|entry| self.judge_entry(entry)).collect();
        findings.into_iter().for_each(|finding| self.find(finding));
        let unanswered = |entry: &&Entry| match &entry.ended {
            Some((_, Outcome::Answered | Outcome::GivenUp)) => false,
            // In a world with limits not even perfection answers everybody.
            Some((_, Outcome::Refused(503))) => self.rules.instance_connections.is_none(),
            Some((ended, _)) if self.was_turned_away(entry, span_of(entry, *ended)) => false,
            _ => entry.excuse.is_none(),
        };
        if perfect && let Some(entry) = self.entries.borrow().iter().find(unanswered) {
            self.find(format!("request {} was not answered in a perfect world", entry.plan.number));
        }
    }

    fn judge_entry(&self, entry: &Entry) -> Vec<String> {
        let Plan { number, method, .. } = entry.plan;
        let mut wrong = Vec::new();
        if !entry.plan.is_idempotent() && entry.arrivals.len() > 1 {
            wrong.push(format!("request {number}: {method} reached back ends {} times", entry.arrivals.len()));
        }
        if entry.began.is_none() && !entry.arrivals.is_empty() {
            wrong.push(format!("request {number}: reached a back end and was never sent"));
        }
        let (Some(began), Some((ended, outcome))) = (entry.began, &entry.ended) else { return wrong };
        let span = span_of(entry, *ended);
        let excused = match outcome {
            Outcome::Answered | Outcome::GivenUp => true,
            Outcome::Refused(400..=499) | Outcome::Silence => self.hardship.was_felt_by_client(span),
            Outcome::Refused(503) if self.may_spill(span) => true,
            Outcome::Refused(502..=504) => self.is_hurt(entry, span),
            Outcome::Refused(_) => false,
            Outcome::Unanswered if entry.excuse.is_some() => true,
            // A reset takes earlier answers with it that are still on their way.
            Outcome::Cut | Outcome::Unanswered => self.was_cut(entry, span) || self.has_cut_neighbour(entry, span),
        };
        if !excused {
            let seconds = ended.since(began).as_secs_f64();
            wrong.push(format!("request {number}: {method} ended as {outcome:?} after {seconds:.3} s for no reason"));
        }
        wrong
    }

    /// Whether something happened that may fail this request before it is answered.
    fn is_hurt(&self, entry: &Entry, span: Span) -> bool {
        entry.plan.answer.failing.is_some()
            || self.hardship.was_felt(span)
            || self.hardship.was_surrounded(span, HTTP)
            || is_unrepeatable(entry) && self.was_failed(entry, span)
            || self.was_turned_away(entry, span)
            // Whoever failed it is not asked again, and for the others there is a queue.
            || (self.may_spill(span) || self.has_waited(span)) && self.hardship.was_any_bad(span, HTTP)
    }

    /// Whether the back end that has it may have failed it, or another that it did not reach.
    fn was_failed(&self, entry: &Entry, span: Span) -> bool {
        match entry.arrivals.last() {
            Some((began, back_end)) if !entry.plan.is_idempotent() => {
                self.hardship.was_failed_by(*back_end, Span { began: *began, ..span })
            }
            Some((began, _)) => self.hardship.was_any_bad(Span { began: *began, ..span }, HTTP),
            None => self.hardship.was_any_bad(span, HTTP),
        }
    }

    /// Whether something happened that may cut its answer.
    fn was_cut(&self, entry: &Entry, span: Span) -> bool {
        let is_lost = |(began, back_end): &(Instant, SocketAddr)| {
            self.hardship.was_failed_by(*back_end, Span { began: *began, ..span })
        };
        self.is_hurt(entry, span) || entry.arrivals.last().is_some_and(is_lost)
    }

    /// Whether it may have been turned away with its body, which is not there to be sent again.
    fn was_turned_away(&self, entry: &Entry, span: Span) -> bool {
        entry.plan.body.length() > 0 && self.hardship.was_narrow(span)
    }

    /// Whether something may have cut the answer to another request on the same connection.
    fn has_cut_neighbour(&self, entry: &Entry, span: Span) -> bool {
        let entries = self.entries.borrow();
        let mut neighbours = entries.iter().filter(|other| other.client == entry.client);
        neighbours.any(|other| other.began.is_some_and(|began| self.was_cut(other, Span { began, ..span })))
    }

    fn change(&self, number: u64, change: impl FnOnce(Instant, &mut Entry)) {
        let now = self.hardship.now();
        match self.entries.borrow_mut().get_mut(number as usize) {
            Some(entry) => change(now, entry),
            None => self.find(format!("request {number} was made up")),
        }
    }
}

/// From when it was sent until it ended.
fn span_of(entry: &Entry, ended: Instant) -> Span {
    Span { client: entry.client, began: entry.began.unwrap_or(ended), ended }
}

/// A request that is not repeated fails with the kept connection that it was sent on.
fn is_unrepeatable(entry: &Entry) -> bool {
    !entry.plan.is_idempotent() || entry.plan.body.length() > 0
}
