//! The shell's own task.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use pacao_core::{Effect, Engine, Input, decisions};
use proto::{
    Actor, ChangeId, Command, EngineFrame, LogEntry, NodeCommand, Notice, Refusal, Reply, RequestId,
    Severity, SiteName, Snapshot, Span, Timestamp, Verdict,
};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::asked;
use super::consoles::{ConsoleId, Consoles};
use super::journal::Journal;
use super::looks::{self, Looks};
use super::plans::{Plans, Terms};
use super::{Arrival, EngineError, Opened};
use crate::attachment::Ask;
use crate::clock::Clock;
use crate::node_link::Order;
use crate::recorder::Turn;

/// A deadline that stays in the past must not spin the task.
const LEAST_WAIT: Duration = Duration::from_millis(1);

/// How often slow consoles are looked after.
const CATCH_UP_EVERY: Duration = Duration::from_millis(100);

/// Links have this long to say goodbye.
const GRACE: Duration = Duration::from_secs(2);

/// Consoles are told anew how far engine time is ahead when that has changed by this.
const CLOCK_STEP: Span = Span::secs(1);

/// The shell's own log lines that a new console still sees.
const REMARKS: usize = 32;

/// Accounts in one reply: about a quarter of a megabyte.
const PAGE: u32 = 250;

pub(super) struct Shell {
    engine: Engine,
    journal: Journal,
    clock: Clock,
    inbox: mpsc::Receiver<Arrival>,
    /// Weak, or the channel would never end.
    arrivals: mpsc::WeakSender<Arrival>,
    consoles: Consoles,
    /// One task a console: brings what it asks to the inbox, and ends with it. And those that make plans.
    guests: JoinSet<Option<ConsoleId>>,
    /// Who waits for which reply.
    askers: BTreeMap<RequestId, Vec<ConsoleId>>,
    nodes: BTreeMap<SiteName, mpsc::Sender<Order>>,
    looks: Looks,
    plans: Plans,
    remarks: VecDeque<LogEntry>,
    /// What was not sent when the record failed, until the core is told.
    withheld: Withheld,
    /// Whether staff know that the record grows.
    record_grows: bool,
    /// How far consoles know engine time to be ahead of the wall.
    told_ahead: Span,
    ticked_at: Instant,
    tasks: JoinSet<&'static str>,
}

/// What came to nothing because it could not be recorded.
#[derive(Debug, Default)]
struct Withheld {
    changes: Vec<ChangeId>,
    request: Option<RequestId>,
}

impl Shell {
    pub(super) fn new(
        opened: Opened,
        (inbox, arrivals): (mpsc::Receiver<Arrival>, mpsc::WeakSender<Arrival>),
        tasks: JoinSet<&'static str>,
    ) -> Self {
        let Opened {
            engine,
            journal,
            mut clock,
            remarks,
        } = opened;
        let at = clock.now();
        let remarks = remarks
            .into_iter()
            .map(|text| LogEntry {
                at,
                severity: Severity::Warning,
                text,
            })
            .collect();
        Self {
            engine,
            journal,
            clock,
            inbox,
            arrivals,
            consoles: Consoles::default(),
            guests: JoinSet::new(),
            askers: BTreeMap::new(),
            nodes: BTreeMap::new(),
            looks: Looks::default(),
            plans: Plans::default(),
            remarks,
            withheld: Withheld::default(),
            record_grows: false,
            told_ahead: Span::ZERO,
            ticked_at: Instant::now(),
            tasks,
        }
    }

    /// Runs until it is told to stop, or a task dies that never should.
    pub(super) async fn run(mut self, mut stopped: oneshot::Receiver<()>) -> Result<(), EngineError> {
        self.take(Input::Started).await;
        // Who looks at the record later sees every start, however short the life after it.
        let _failure_is_told_after_this = self.journal.commit().await;
        let died = loop {
            let deadline = self
                .engine
                .next_deadline()
                .map(|at| self.clock.instant(at).max(self.ticked_at + LEAST_WAIT));
            let catch_up = self
                .consoles
                .any_behind()
                .then(|| Instant::now() + CATCH_UP_EVERY);
            tokio::select! {
                biased;
                _ = &mut stopped => break None,
                Some(dead) = self.tasks.join_next() => break Some(died(dead)),
                () = at(self.journal.wake_at()) => self.look_after_record().await,
                () = at(deadline) => {
                    self.take(Input::Tick).await;
                    // Counted from its end: however long looking at everybody takes, whoever asks is heard in between.
                    self.ticked_at = Instant::now();
                }
                () = at(self.looks.wake_at()) => {
                    let late = self.looks.late(Instant::now());
                    self.answer(late);
                }
                Some(guest) = self.guests.join_next() => {
                    if let Ok(Some(console)) = guest {
                        self.looks.left(console);
                        self.plans.left(console);
                    }
                }
                Some(arrival) = self.inbox.recv() => self.arrive(arrival).await,
                () = at(catch_up) => {}
            }
            if let Some(why) = self.journal.news() {
                self.record_failed(&why);
            }
            self.tell_clock();
            self.catch_up();
        };
        self.end(died).await
    }

    async fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Input(input) => {
                if let Input::NodeDown { site, why } = &input {
                    self.nodes.remove(site);
                    let lost = self.looks.lost(site);
                    self.answer(lost);
                    tracing::warn!(%site, why, "forwarder lost");
                }
                self.take(input).await;
            }
            Arrival::NodeUp { site, commands } => {
                tracing::info!(%site, "forwarder connected");
                self.nodes.insert(site.clone(), commands);
                self.take(Input::NodeUp { site }).await;
            }
            Arrival::Attach { frames, asks } => {
                let snapshot = self.snapshot();
                let console = self.consoles.attach(frames, snapshot);
                self.guests.spawn(forward(asks, console, self.arrivals.clone()));
            }
            Arrival::Seen { number, report } => {
                let seen = self.looks.seen(number, *report);
                self.answer(seen);
            }
            Arrival::Planned { number, plan } => {
                let made = self.plans.made(number, plan);
                self.answer(made);
            }
            Arrival::Ask {
                console,
                ask: (request, command, by),
            } => self.asked(console, request, command, by).await,
        }
    }

    async fn asked(&mut self, console: ConsoleId, request: RequestId, command: Command, by: Actor) {
        if let Err(refusal) = asked::check(&request, &command, &by) {
            let refused = Reply::Refused { refusal };
            self.consoles.reply(console, request, refused);
            return;
        }
        match command {
            Command::Plan { .. } => self.make_plan((console, request), &command),
            Command::Accounts { from } => {
                let (rows, next) = self.engine.accounts(from, PAGE);
                self.consoles
                    .reply(console, request, Reply::Accounted { rows, next });
            }
            Command::Look { .. } => {
                let now = Instant::now();
                let refused = self.looks.ask((console, request), command, (&self.nodes, now));
                self.answer(refused);
            }
            command => self.ask(console, request, command, by).await,
        }
    }

    /// Takes the figures of now and lets a thread go on from there.
    fn make_plan(&mut self, asker: (ConsoleId, RequestId), command: &Command) {
        let Some(terms) = Terms::of(command) else { return };
        let (engine, now) = (&self.engine, self.clock.now());
        let tasks = (&mut self.guests, self.arrivals.clone());
        let begin = || engine.assignment(terms.price, now);
        let refused = self.plans.ask(asker, terms, begin, tasks);
        self.answer(refused);
    }

    /// What people looked at, to them.
    fn answer(&mut self, answers: impl IntoIterator<Item = looks::Answer>) {
        for (console, request, reply) in answers {
            self.consoles.reply(console, request, reply);
        }
    }

    /// A command is on the disk before it is handled, or refused.
    async fn ask(&mut self, console: ConsoleId, request: RequestId, command: Command, by: Actor) {
        let now = self.clock.now();
        self.look_back(now).await;
        if is_deed(&command) {
            self.journal.hold();
        }
        let input = Input::Command {
            request: request.clone(),
            by,
            command,
        };
        let recorded = match self.journal.input(now, &input) {
            Ok(()) => self.journal.commit().await,
            failed => failed,
        };
        match recorded {
            Ok(()) => {
                self.askers.entry(request).or_default().push(console);
                self.handle(input, now).await;
                self.journal.release();
            }
            Err(why) => {
                self.journal.release();
                let reply = Reply::Refused {
                    refusal: Refusal::NotRecorded { why },
                };
                self.consoles.reply(console, request, reply);
            }
        }
    }

    /// Everything else is measured and shown even when it cannot be recorded.
    async fn take(&mut self, input: Input) {
        let now = self.clock.now();
        self.look_back(now).await;
        if let Err(why) = self.journal.input(now, &input)
            && self.journal.failure().is_none()
        {
            // Handled all the same, it would be missing when the record is repeated.
            tracing::error!(why, "what was told is left out");
            return;
        }
        self.handle(input, now).await;
    }

    async fn handle(&mut self, input: Input, now: Timestamp) {
        let deed = match &input {
            Input::Command { request, command, .. } if is_deed(command) => Some(request.clone()),
            _ => None,
        };
        let mut effects = self.engine.handle(input, now);
        let decided: Vec<&Effect> = decisions(&effects).collect();
        if !decided.is_empty() && self.journal.decisions(now, &decided).is_ok() {
            let _failure_keeps_effects_from_leaving = self.journal.commit().await;
        }
        if let (Some(request), Some(why)) = (deed, self.journal.failure()) {
            not_done(&mut effects, &request, why);
            self.withheld.request = Some(request);
        }
        self.act(effects);
    }

    /// Nothing that changes the fabric leaves while the record fails.
    fn act(&mut self, effects: Vec<Effect>) {
        let mut notices = Vec::new();
        for effect in effects {
            match effect {
                Effect::Notify { notice } => notices.push(notice),
                Effect::Reply { request, reply } => {
                    // A console sees what changed before it is told that its command did it.
                    self.consoles.notify(&std::mem::take(&mut notices));
                    for console in self.askers.remove(&request).unwrap_or_default() {
                        self.consoles.reply(console, request.clone(), reply.clone());
                    }
                }
                Effect::Node { site, command } => {
                    if self.journal.failure().is_some() && changes_fabric(&command) {
                        tracing::error!(%site, "not sent, for it cannot be recorded");
                        if let NodeCommand::SetLocators { change, .. } = command
                            && self.journal.has_news()
                        {
                            self.withheld.changes.push(change);
                        }
                    } else {
                        self.send(&site, command);
                    }
                }
            }
        }
        self.consoles.notify(&notices);
    }

    fn send(&mut self, site: &SiteName, command: NodeCommand) {
        let Some(commands) = self.nodes.get(site) else {
            return;
        };
        if let Err(TrySendError::Full(_)) = commands.try_send(Order::Do(command)) {
            // Dropping the sender ends the connection; NodeDown follows and the core starts over with this forwarder.
            tracing::warn!(%site, "forwarder takes no commands; connection dropped");
            self.nodes.remove(site);
        }
    }

    /// Keeps what a start has to read short.
    async fn look_back(&mut self, now: Timestamp) {
        let Some(turn) = self.journal.look_back(now, &self.engine).await else {
            return;
        };
        let trouble = match turn {
            Turn::Turned {
                kept,
                removed,
                trouble,
            } => {
                tracing::info!(kept = %kept.display(), "the record was long and goes on in a new file");
                for path in removed {
                    let text = format!(
                        "{} was removed: it was the oldest file of the record",
                        path.display()
                    );
                    self.remark(Severity::Info, text);
                }
                trouble.map(|why| format!("{why}: older files of the record take more room than they should"))
            }
            Turn::Stayed(why) => Some(format!(
                "{why}: the record does not go on in a new file, and grows"
            )),
        };
        match trouble {
            Some(text) if !self.record_grows => {
                self.record_grows = true;
                self.remark(Severity::Warning, text);
            }
            Some(text) => tracing::warn!("{text}"),
            None => self.record_grows = false,
        }
    }

    async fn look_after_record(&mut self) {
        if self.journal.failure().is_none() {
            let _failure_is_told_after_this = self.journal.flush().await;
        } else {
            let now = self.clock.now();
            if self.journal.mend(now, &self.engine).await {
                self.take(Input::RecordMended).await;
            }
        }
    }

    /// Says so, and takes the engine's hands off: what it decides now could not be told afterwards.
    fn record_failed(&mut self, why: &str) {
        let text = format!("{why}: commands are refused and nothing is carried out; measuring goes on");
        self.remark(Severity::Error, text);
        let now = self.clock.now();
        let Withheld { changes, request } = std::mem::take(&mut self.withheld);
        let failed = Input::RecordFailed {
            why: why.to_owned(),
            withheld: changes,
            undone: request,
        };
        let effects = self.engine.handle(failed, now);
        self.act(effects);
    }

    fn remark(&mut self, severity: Severity, text: String) {
        match severity {
            Severity::Error => tracing::error!("{text}"),
            Severity::Warning => tracing::warn!("{text}"),
            Severity::Info => tracing::info!("{text}"),
        }
        let entry = LogEntry {
            at: self.clock.now(),
            severity,
            text,
        };
        if self.remarks.len() == REMARKS {
            self.remarks.pop_front();
        }
        self.remarks.push_back(entry.clone());
        self.consoles.notify(&[Notice::Log { entry }]);
    }

    /// Says when engine time and the system's clock part, and by how much they differ while they do.
    fn tell_clock(&mut self) {
        if let Some(step) = self.clock.leapt() {
            let text = format!(
                "the system's clock went ahead by {step} at once (it was set, or the machine slept); engine time follows"
            );
            self.remark(Severity::Warning, text);
        }
        let (ahead, told) = (self.clock.ahead(), self.told_ahead);
        if told == Span::ZERO && ahead > Span::ZERO {
            let how = if self.clock.is_slowed() {
                "it goes at half speed until that has caught up"
            } else {
                "it goes on at its own pace, and windows and calendars with it; a start after the clock has caught up mends it"
            };
            let text =
                format!("engine time is {ahead} ahead of the system's clock, which was set back; {how}");
            self.remark(Severity::Error, text);
        } else if told > Span::ZERO && ahead == Span::ZERO {
            let text = "the system's clock has caught up with engine time".to_owned();
            self.remark(Severity::Warning, text);
        } else if ahead.micros().abs_diff(told.micros()) < CLOCK_STEP.micros() {
            return;
        }
        self.told_ahead = ahead;
        self.consoles.notify(&[Notice::Clock { ahead }]);
    }

    fn catch_up(&mut self) {
        let now = self.clock.now();
        let (engine, remarks, ahead) = (&self.engine, &self.remarks, self.told_ahead);
        self.consoles
            .catch_up(|| with_remarks(engine.snapshot(now), remarks, ahead));
    }

    fn snapshot(&mut self) -> Snapshot {
        let snapshot = self.engine.snapshot(self.clock.now());
        with_remarks(snapshot, &self.remarks, self.told_ahead)
    }

    async fn end(mut self, died: Option<EngineError>) -> Result<(), EngineError> {
        let now = self.clock.now();
        let finished = match self.journal.state(now, &self.engine) {
            Ok(()) => self.journal.commit().await,
            failed => failed,
        };
        let why = died
            .as_ref()
            .map_or_else(|| "the engine was stopped".to_owned(), ToString::to_string);
        self.consoles.part(&why);
        // Those that were on their way in. With the inbox closed the links end by themselves.
        self.inbox.close();
        while let Ok(arrival) = self.inbox.try_recv() {
            if let Arrival::Attach { frames, .. } = arrival {
                let _gone_again = frames.try_send(EngineFrame::Bye { why: why.clone() });
            }
        }
        let _the_rest_is_aborted =
            timeout(GRACE, async { while self.tasks.join_next().await.is_some() {} }).await;
        match died {
            Some(error) => Err(error),
            None => finished.map_err(|why| EngineError::Unfinished { why }),
        }
    }
}

/// Ends when the console drops its end, or the shell.
async fn forward(
    mut asks: mpsc::Receiver<Ask>,
    console: ConsoleId,
    arrivals: mpsc::WeakSender<Arrival>,
) -> Option<ConsoleId> {
    while let Some(ask) = asks.recv().await {
        let arrivals = arrivals.upgrade()?;
        arrivals.send(Arrival::Ask { console, ask }).await.ok()?;
    }
    Some(console)
}

/// Whether a command is something done at once, and not a setting: asked for, it is done or it is not.
const fn is_deed(command: &Command) -> bool {
    matches!(
        command,
        Command::Decide {
            verdict: Verdict::Approve,
            ..
        } | Command::Switch { .. }
            | Command::BreakGlass { .. }
    )
}

/// What was asked for cannot be recorded, so it is not done, and not said to be.
fn not_done(effects: &mut [Effect], request: &RequestId, why: &str) {
    for effect in effects {
        if let Effect::Reply { request: of, reply } = effect
            && of == request
            && matches!(reply, Reply::Accepted { .. })
        {
            let refusal = Refusal::NotRecorded { why: why.to_owned() };
            *reply = Reply::Refused { refusal };
        }
    }
}

const fn changes_fabric(command: &NodeCommand) -> bool {
    matches!(
        command,
        NodeCommand::SetLocators { .. } | NodeCommand::Arrived { .. } | NodeCommand::SetCache { .. }
    )
}

fn with_remarks(mut snapshot: Snapshot, remarks: &VecDeque<LogEntry>, ahead: Span) -> Snapshot {
    snapshot.clock_ahead = ahead;
    if !remarks.is_empty() {
        snapshot.log.extend(remarks.iter().cloned());
        snapshot.log.make_contiguous().sort_by_key(|entry| entry.at);
    }
    snapshot
}

fn died(dead: Result<&'static str, tokio::task::JoinError>) -> EngineError {
    match dead {
        Ok(task) => EngineError::Died {
            task,
            why: "it ended".into(),
        },
        Err(error) => EngineError::Died {
            task: "links",
            why: error.to_string(),
        },
    }
}

/// Never, without a moment.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
