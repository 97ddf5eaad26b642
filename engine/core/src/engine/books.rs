//! What the books are told of links and entries, and what consoles are told of the books.

use proto::availability::{AvailabilityRow, Reach};
use proto::qoe::Session;
use proto::{
    Actor, AvailabilityReport, LinkState, Notice, ProbeOutcome, QoeReport, Refusal, Score, Severity, Span,
    Timestamp,
};

use super::{Engine, ask, short};
use crate::Effect;
use crate::availability::Breach;
use crate::books::Books;
use crate::fabric::{Dc, LegIx, LinkIx, PairIx};
use crate::monitor::{Link, Turn, millis};
use crate::outbox::Outbox;
use crate::qoe::{self, REACH, Seen};

/// Figures are not noted more often than this, however short S' is.
const NOTED_AT_MOST_EVERY: Span = Span::secs(5);
/// A session of which nobody says how long it was.
const SESSION: Span = Span::secs(300);
/// Clocks of those who ask may be ahead by this.
const AHEAD: Span = Span::secs(5);

impl Engine {
    /// An engine that never had books, or was written down by a version without, opens them now.
    pub(super) fn open_books(&mut self, now: Timestamp) {
        if self.books.is_none() {
            let entries = self.pairs.iter().map(crate::pair::Pair::entry).collect();
            let mut books = Books::new(&self.fabric, entries, now);
            books.accounts.begin_at(self.homes.all());
            self.books = Some(Box::new(books));
        }
    }

    /// A version without books wrote `written`: whoever went on from there opened new ones, and so does a replay.
    pub fn keep_books_as(&mut self, written: &Self) {
        if written.books.is_none() {
            self.books = None;
        }
    }

    /// A probe's outcome, once the monitor has it.
    pub(super) fn book_sample(&mut self, link: LinkIx, outcome: ProbeOutcome, now: Timestamp) {
        let state = self.state(link);
        let timeout = self.fabric.class_of(self.fabric.user_of(link)).limits.timeout;
        let (Some(books), Some(heard)) = (&mut self.books, self.monitor.link(link)) else {
            return;
        };
        let accounts = &mut books.accounts;
        match (state, outcome) {
            (LinkState::Stale, _) => {}
            (LinkState::Down, _) => {
                // The first of the probes lost was sent a timeout before its loss was known.
                let since = heard.broken_since().map_or(now, |since| since - timeout);
                accounts.link(link, Reach::Down, since);
                if heard.answers_again() {
                    accounts.answered(link, now);
                } else {
                    accounts.unanswered(link);
                }
            }
            (_, ProbeOutcome::Rtt(_)) => accounts.rose(link, now),
            // Not enough to tell.
            (_, ProbeOutcome::Lost | ProbeOutcome::Overdue(_)) => {}
        }
    }

    /// Nobody reports on a link any more.
    pub(super) fn book_silence(&mut self, link: LinkIx) {
        if self.nodes[self.fabric.dc_of(link).at()].is_dead() {
            return;
        }
        let last_word = self.monitor.link(link).and_then(Link::heard_at);
        if let Some(books) = &mut self.books {
            books.accounts.silence(link, last_word);
        }
    }

    /// The engine was not there: nothing is known of anything.
    pub(super) fn book_absence(&mut self, now: Timestamp) {
        for link in (0..self.fabric.links() as u32).map(LinkIx) {
            let last_word = self.monitor.link(link).and_then(Link::heard_at);
            if let Some(books) = &mut self.books {
                books.accounts.silence(link, last_word);
            }
        }
        for leg in (0..self.fabric.legs() as u32).map(LegIx) {
            self.book_leg(leg, Turn::Stale, now);
        }
    }

    /// A forwarder is given up, and its links with it.
    pub(super) fn book_burial(&mut self, dc: Dc, now: Timestamp) {
        for user in 0..self.fabric.users.len() as u32 {
            let link = self.fabric.link(user, dc);
            let last_word = self.monitor.link(link).and_then(Link::heard_at);
            if let Some(books) = &mut self.books {
                books.accounts.silence(link, last_word);
                books.accounts.link(link, Reach::Down, now);
            }
        }
    }

    /// A forwarder that was given up is back; what its links do will be heard.
    pub(super) fn book_return(&mut self, dc: Dc, now: Timestamp) {
        for user in 0..self.fabric.users.len() as u32 {
            let link = self.fabric.link(user, dc);
            if let Some(books) = &mut self.books {
                books.accounts.link(link, Reach::Unknown, now);
            }
        }
    }

    /// Something became of a leg between data centres.
    pub(super) fn book_leg(&mut self, leg: LegIx, turn: Turn, now: Timestamp) {
        let limits = &self.fabric.leg_limits;
        let (reach, at) = match turn {
            // The first of the probes lost was sent a timeout before its loss was known.
            Turn::Down { since } => (Reach::Down, since - limits.timeout),
            // The first of the answers that end it.
            Turn::Up => {
                let answers = limits.up_after.saturating_sub(1);
                (
                    Reach::Up,
                    now - Span(limits.probe.micros().saturating_mul(answers.into())),
                )
            }
            Turn::Stale => match self.legs.get(leg).and_then(|leg| leg.link().heard_at()) {
                Some(last_word) => (Reach::Unknown, last_word),
                None => return,
            },
            Turn::Fresh => (Reach::Up, now),
            Turn::Broken { .. } | Turn::Kept => return,
        };
        if let Some(books) = &mut self.books {
            books.accounts.leg(leg, reach, at);
        }
    }

    /// A pair enters elsewhere.
    pub(crate) fn book_entry(&mut self, pair: PairIx, now: Timestamp) {
        let entry = self.pairs[pair.at()].entry();
        if let Some(books) = &mut self.books {
            books.accounts.entry(pair, entry, now);
        }
    }

    /// Counts, and notes figures, if it is time.
    pub(super) fn advance_books(&mut self, out: &mut Outbox) {
        let now = out.now;
        let Some(books) = &mut self.books else { return };
        let breaches = books.accounts.advance(&self.fabric, now);
        let news = books.qoe.make(&self.fabric, now);
        let report = news.as_ref().map(|_| books.qoe.report.clone());
        if now >= books.qoe.sample_at {
            self.note_figures(now);
        }
        if let Some(report) = report {
            out.push(Effect::Notify {
                notice: Notice::Qoe { report },
            });
        }
        for text in news.unwrap_or_default() {
            self.log(Severity::Info, format!("scores: {text}"), out);
        }
        for breach in breaches {
            self.log_breach(&breach, out);
        }
    }

    pub(super) fn books_due(&self) -> Option<Timestamp> {
        let books = self.books.as_ref()?;
        let accounts = books.accounts.next_deadline();
        let qoe = [Some(books.qoe.sample_at), books.qoe.make_at()];
        accounts.into_iter().chain(qoe.into_iter().flatten()).min()
    }

    pub(super) fn tell_books(&mut self, out: &mut Outbox) {
        let Some(books) = &mut self.books else { return };
        let rows = books.accounts.rows_due(&self.fabric, out.now);
        if !rows.is_empty() {
            out.push(Effect::Notify {
                notice: Notice::Availability { rows },
            });
        }
    }

    pub(super) fn availability(&self) -> AvailabilityReport {
        match &self.books {
            Some(books) => books.accounts.report(&self.fabric),
            None => AvailabilityReport::default(),
        }
    }

    /// At most `most` accounts from the `from`th on, and where the next page begins.
    pub fn accounts(&self, from: u64, most: u32) -> (Vec<AvailabilityRow>, Option<u64>) {
        let books = self.books.as_ref();
        books.map_or_else(Default::default, |books| {
            books.accounts.page(&self.fabric, from, most)
        })
    }

    pub(super) fn qoe(&self) -> QoeReport {
        self.books
            .as_ref()
            .map(|books| books.qoe.report.clone())
            .unwrap_or_default()
    }

    /// A user's word on a session.
    pub(super) fn ask_score(
        &mut self,
        session: &Session,
        (score, note): (Score, &str),
        by: &Actor,
        out: &mut Outbox,
    ) -> Result<String, Refusal> {
        let now = out.now;
        let pair = self.pair_of(&session.user, session.vm.as_ref())?;
        let ended = session.ended_at.unwrap_or(now);
        let lasted = session.lasted.unwrap_or(SESSION);
        let refuse = |why: String| Err(Refusal::NotSo { why });
        if ended > now + AHEAD {
            return refuse("the session ends in the future: score it once it is over".to_owned());
        }
        if now.since(ended) > REACH {
            let why = format!("the session ended more than {REACH} ago: figures are not kept for longer");
            return refuse(why);
        }
        if lasted == Span::ZERO {
            return refuse("the session took no time: leave its length out, or give it like 10m".to_owned());
        }
        let ended = ended.min(now);
        let class = self.fabric.users[self.fabric.pairs[pair.at()].user as usize].class;
        let bounds = qoe::bounds(&self.fabric, class);
        let Some(books) = &mut self.books else {
            return refuse("the engine has not taken up yet".to_owned());
        };
        let seen = books.qoe.seen(pair, ended - lasted, ended);
        if let Err(why) = books.qoe.admit(by, now) {
            return refuse(why);
        }
        books.qoe.take(&self.fabric, pair, (score, seen));
        let who = format!("{}/{}", self.fabric.user_name(pair), self.fabric.vm_of(pair).name);
        let note = short(note);
        let note = if note.is_empty() {
            note
        } else {
            format!(" ({note})")
        };
        let text = format!("score {score} of {who}, by {}{note}", ask::name_of(by));
        self.log(Severity::Info, text, out);
        Ok(format!(
            "score {score} of {who} is noted: {}",
            words(seen.as_ref(), bounds)
        ))
    }

    fn note_figures(&mut self, now: Timestamp) {
        let noted = |at: u32| {
            let pair = PairIx(at);
            let entry = self.pairs[pair.at()].entry();
            let down = self.way_state(pair, entry) == LinkState::Down;
            (pair, down, self.way_measured(pair, entry, now))
        };
        let noted: Vec<_> = (0..self.pairs.len() as u32).map(noted).collect();
        let every = self.fabric.config.slots.decide.max(NOTED_AT_MOST_EVERY);
        let Some(books) = &mut self.books else { return };
        books.qoe.sample_at = now + every;
        for (pair, down, figures) in noted {
            match figures {
                _ if down => books.qoe.down(pair, now),
                Some([rtt, jitter, loss, _]) => books.qoe.measured(pair, [rtt, jitter, loss], now),
                None => {}
            }
        }
    }

    fn log_breach(&mut self, breach: &Breach, out: &mut Outbox) {
        let period = &breach.period;
        let user = self.fabric.pairs[breach.pair.at()].user;
        let class = self.fabric.class_of(user).name.clone();
        let contract = self.fabric.config.sla.get(&class);
        let unit = contract
            .and_then(|sla| sla.terms.contract.as_ref())
            .map_or("", |contract| contract.unit.as_str());
        let text = format!(
            "{}/{} was down for {} in the period of class {class} that ended: penalty {} {unit}",
            self.fabric.user_name(breach.pair),
            self.fabric.vm_of(breach.pair).name,
            period.down,
            period.amount,
        );
        self.log(Severity::Warning, text, out);
    }
}

/// What was measured in a session.
fn words(seen: Option<&Seen>, bounds: [u32; 3]) -> String {
    let Some(seen) = seen else {
        return "nothing was measured in that session".to_owned();
    };
    let [rtt, jitter, loss] = seen.figures;
    let kept = match (seen.down, qoe::kept(bounds, seen)) {
        (true, _) => "the entry was down in it",
        (false, true) => "all bounds kept",
        (false, false) => "a bound was broken",
    };
    format!(
        "RTT {:.1} ms, jitter {:.1} ms, loss {:.2} %, {kept}",
        millis(rtt),
        millis(jitter),
        f64::from(loss) / 1e4
    )
}
