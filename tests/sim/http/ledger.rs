//! What became of every request, as its client and the back ends saw it, and whether that was right.

use std::cell::{Ref, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;

use elbow::base::Instant;

use crate::hardship::{Hardship, Span};
use crate::http::cookies::{Bond, Jar};
use crate::http::plan::{Content, Plan};
use crate::rules::Rules;
use crate::trace::Note;
use crate::world::Shared;

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

    /// Whether so many others were under way that a queue of this length may have been full.
    fn was_crowded(&self, span: Span) -> bool {
        let overlaps = |entry: &&Entry| match (entry.began, &entry.ended) {
            (Some(began), Some((ended, _))) => began <= span.ended && *ended >= span.began,
            (Some(began), None) => began <= span.ended,
            (None, _) => false,
        };
        self.entries.borrow().iter().filter(overlaps).count() as u64 > self.rules.surge_queue
    }

    /// Whether the queue may have turned a request away, or sent it away after its time.
    fn may_spill(&self, span: Span) -> bool {
        let is_limited = self.rules.instance_connections.is_some();
        is_limited && (span.ended.since(span.began) >= self.rules.queue_wait() || self.was_crowded(span))
    }

    /// Whether an answer may have ended early without anybody being able to tell: its end is that of the connection, and
    /// its back end may have died.
    pub fn may_be_short(&self, plan: &Plan) -> bool {
        if self.tells_ends {
            return false;
        }
        let began = self.entry(plan.number).and_then(|entry| entry.began);
        let span = began.map(|began| Span { client: None, began, ended: self.hardship.now() });
        matches!(plan.answer.body, Content::UntilEnd(_)) && span.is_some_and(|span| self.hardship.was_bereaved(span))
    }

    /// A back end closes a connection without a word.
    pub fn close_silently(&self) {
        self.hardship.close_silently();
    }

    /// A back end takes no more requests on a connection.
    pub fn part(&self) {
        self.hardship.part();
    }

    /// A back end ends a connection with whatever is under way on it.
    pub fn lose_connection(&self, back_end: SocketAddr) {
        self.hardship.lose_connection(back_end);
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
            Some((ended, _)) if self.was_turned_away(entry, *ended) => false,
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
        let span = Span { client: entry.client, began, ended: *ended };
        let excused = match outcome {
            Outcome::Answered | Outcome::GivenUp => true,
            Outcome::Refused(400..=499) | Outcome::Silence => self.hardship.was_felt_by_client(span),
            Outcome::Refused(503) if self.may_spill(span) => true,
            // Where one instance is dead and the queue for the others full, or too slow, it is told of the first.
            Outcome::Refused(504) if self.may_spill(span) && self.hardship.was_bereaved(span) => true,
            Outcome::Refused(502..=504) => {
                self.is_hurt(entry, span) || is_unrepeatable(entry) && self.hardship.was_bereaved(span)
            }
            Outcome::Refused(_) => false,
            Outcome::Unanswered if entry.excuse.is_some() => true,
            // A reset takes earlier answers with it that are still on their way.
            Outcome::Cut | Outcome::Unanswered => {
                self.is_hurt(entry, span) || self.has_failing_neighbour(entry) || self.hardship.was_bereaved(span)
            }
        };
        if !excused {
            let seconds = ended.since(began).as_secs_f64();
            wrong.push(format!("request {number}: {method} ended as {outcome:?} after {seconds:.3} s for no reason"));
        }
        wrong
    }

    /// Whether something happened that may fail this request.
    fn is_hurt(&self, entry: &Entry, span: Span) -> bool {
        entry.plan.answer.failing.is_some()
            || is_unrepeatable(entry) && self.hardship.was_closed(span)
            || self.was_turned_away(entry, span.ended)
            || self.hardship.was_stranded(span)
            || self.hardship.was_felt(span)
    }

    /// Whether it may have been turned away with its body, which is not there to be sent again.
    fn was_turned_away(&self, entry: &Entry, ended: Instant) -> bool {
        let span = Span { client: entry.client, began: entry.began.unwrap_or(ended), ended };
        entry.plan.body.length() > 0 && self.hardship.was_parted(span)
    }

    /// Whether another request on the same connection is one that a back end fails.
    fn has_failing_neighbour(&self, entry: &Entry) -> bool {
        let entries = self.entries.borrow();
        entries.iter().any(|other| other.client == entry.client && other.plan.answer.failing.is_some())
    }

    fn change(&self, number: u64, change: impl FnOnce(Instant, &mut Entry)) {
        let now = self.hardship.now();
        match self.entries.borrow_mut().get_mut(number as usize) {
            Some(entry) => change(now, entry),
            None => self.find(format!("request {number} was made up")),
        }
    }
}

/// A request that is not repeated fails with the kept connection that it was sent on.
fn is_unrepeatable(entry: &Entry) -> bool {
    !entry.plan.is_idempotent() || entry.plan.body.length() > 0
}
