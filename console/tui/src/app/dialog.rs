//! Questions before deeds. *Cancel* has the focus at first, and no key counts until the keys have been still for a moment:
//! neither a paste storm nor a fat finger does anything. Keys that came faster than fingers press never count.

mod autonomy;
mod policy;

pub(crate) use policy::{Clocks, curve, drainer, meaning, part, source, standing, subject};

use proto::{
    Arming, Command, Disarmed, Mode, Proposal, ProposalId, ProposalState, Scope, SiteName, Span, Timestamp,
    UserName, Verdict, VmName,
};

use super::world::World;
use crate::figures;
use crate::terminal::{Asks, Quitting};

/// Keys must have been still for this long before a dialog takes one.
const STILL: Span = Span::millis(200);
/// And for this long after keys that nobody pressed: more of them may be behind.
const STILL_AFTER_HASTE: Span = Span::secs(1);

/// Why nothing that moves anybody can be pressed.
const FROZEN: &str = "disarmed (freeze): nothing moves, by hand neither; arm it first";
/// How it begins why nothing can be pressed that moves somebody whose mode is observe.
const OBSERVED: &str = "mode observe";

/// How a key came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// Pressed at this moment, by our clock; it may be taken later.
    Pressed(Timestamp),
    /// Among more keys than fingers press at once: a paste without brackets, or a device that types.
    Hastily(Timestamp),
}

/// A question on the screen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dialog {
    pub(crate) title: String,
    /// Name and text of each fact. A fact without a name goes on across the dialog.
    pub(crate) facts: Vec<(&'static str, String)>,
    /// *Cancel* is the first.
    pub(crate) choices: Vec<Choice>,
    pub(crate) focus: usize,
    /// Why the question no longer stands; then only *Cancel* can be pressed.
    pub(crate) void: Option<String>,
    /// What the question is about, for when that changes.
    about: Option<(ProposalId, u32)>,
    opened_at: Timestamp,
    armed_at: Timestamp,
}

/// A button.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Choice {
    pub(crate) label: String,
    pub(crate) deed: Deed,
    /// Why it cannot be pressed.
    pub(crate) hindrance: Option<String>,
}

/// What a button does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Deed {
    /// Nothing.
    Cancel,
    /// Asks the engine; the text is for the status line.
    Ask(Command, String),
    /// Asks which mode this part is to have.
    ModeOf(proto::Scope),
    /// Ends the console.
    Quit,
}

impl Choice {
    fn cancel() -> Self {
        Self {
            label: "Cancel".to_owned(),
            deed: Deed::Cancel,
            hindrance: None,
        }
    }
}

impl Dialog {
    fn new(title: String, now: Timestamp) -> Self {
        Self {
            title,
            facts: Vec::new(),
            choices: vec![Choice::cancel()],
            focus: 0,
            void: None,
            about: None,
            opened_at: now,
            armed_at: now + STILL,
        }
    }

    /// Approve or reject this proposal, as it is on the screen.
    pub(crate) fn decide(proposal: &Proposal, verdict: Verdict, world: &World, now: Timestamp) -> Self {
        let (word, done) = match verdict {
            Verdict::Approve => ("Approve", "approving"),
            Verdict::Reject => ("Reject", "rejecting"),
        };
        let Proposal {
            id,
            revision,
            user,
            vm,
            ..
        } = proposal;
        let (from, to) = (world.label(&proposal.from), world.label(&proposal.to));
        let mut dialog = Self::new(format!("{word} #{} r{revision}", id.0), now);
        dialog.about = Some((*id, *revision));
        dialog.facts = vec![
            ("switch", format!("{user} → {vm}")),
            ("entry", format!("{from} → {to}")),
            ("why", why(proposal, world)),
            ("gain", gain(proposal)),
        ];
        dialog
            .facts
            .extend(waits(proposal, now).map(|text| ("mind", text)));
        if verdict == Verdict::Approve {
            dialog.facts.push(("cost", cost(proposal)));
        }
        dialog.facts.push(match verdict {
            Verdict::Approve => (
                "then",
                format!("Change-Priority goes out now; {user} enters by {to}"),
            ),
            Verdict::Reject => (
                "then",
                format!("not to {to} for the cool-down; the engine may propose another"),
            ),
        });
        dialog.choices.push(Choice {
            label: word.to_owned(),
            deed: Deed::Ask(
                Command::Decide {
                    proposal: *id,
                    revision: *revision,
                    verdict,
                },
                format!("{done} #{} r{revision}", id.0),
            ),
            hindrance: None,
        });
        dialog
    }

    /// Choose the mode.
    pub(crate) fn mode(current: Mode, now: Timestamp) -> Self {
        let mut dialog = Self::new("Mode".to_owned(), now);
        dialog.facts = vec![("now", current.to_string())];
        for (mode, what) in [
            (Mode::Observe, "measures and shows; proposes nothing"),
            (Mode::Recommend, "proposes; staff decide"),
            (Mode::Auto, "proposes, and switches by itself"),
        ] {
            dialog.choices.push(Choice {
                label: format!("{mode:<11}{what}{}", if mode == current { " (now)" } else { "" }),
                deed: Deed::Ask(Command::SetMode { mode }, format!("setting mode {mode}")),
                hindrance: (mode == current).then(|| format!("the mode is {mode} already")),
            });
        }
        dialog
    }

    /// Choose another entry for a user. Moments are by our clock and by the engine's.
    pub(crate) fn switch(user: &UserName, world: &World, (now, engine_now): (Timestamp, Timestamp)) -> Self {
        let mut dialog = Self::new(format!("Switch {user}"), now);
        let rows = world.rlocs.get(user).map(Vec::as_slice).unwrap_or_default();
        let width = rows
            .iter()
            .map(|row| figures::cells(world.label(&row.dc)))
            .max()
            .unwrap_or(0)
            .min(20);
        for row in rows {
            let link = world.links.get(&proto::LinkId {
                user: user.clone(),
                dc: row.dc.clone(),
            });
            let enters = link.is_some_and(|link| link.row.carries.contains(&row.vm));
            let label = world.label(&row.dc);
            if enters {
                dialog.facts.push(("entry", format!("{} by {label} now", row.vm)));
            }
            let told = link.filter(|link| link.tells(engine_now));
            let rtt = told.and_then(|link| link.row.rtt).map(|rtt| rtt.last);
            let state = link.map_or(proto::LinkState::Stale, |link| link.state(engine_now));
            dialog.choices.push(Choice {
                label: format!(
                    "{} by {} {} ms  {} {}",
                    row.vm,
                    figures::left(label, width),
                    figures::aligned(rtt, 8),
                    state.mark(),
                    state.word()
                ),
                deed: Deed::Ask(
                    Command::Switch {
                        user: user.clone(),
                        vm: row.vm.clone(),
                        to: row.dc.clone(),
                    },
                    format!("switching {user} to {label}"),
                ),
                hindrance: enters.then(|| format!("{user} already enters by {label}")),
            });
        }
        dialog.facts.push((
            "then",
            "Change-Priority goes out now, whatever the engine thinks of it".to_owned(),
        ));
        dialog
    }

    /// Leave, where that is worth a question.
    pub(crate) fn quit(world: Option<&World>, quitting: &Quitting, now: Timestamp) -> Option<Self> {
        let under_way: Vec<(&'static str, String)> = world
            .into_iter()
            .flat_map(|world| world.proposals.values().map(move |proposal| (world, proposal)))
            .filter(|(_, proposal)| matches!(proposal.state, ProposalState::Executing { .. }))
            .map(|(world, proposal)| {
                let (from, to) = (world.label(&proposal.from), world.label(&proposal.to));
                (
                    "under way",
                    format!("#{} {} {from} → {to}", proposal.id.0, proposal.user),
                )
            })
            .collect();
        if under_way.is_empty() && quitting.asks == Asks::WhileUnderWay {
            return None;
        }
        let mut dialog = Self::new("Quit".to_owned(), now);
        dialog.facts = under_way;
        dialog.facts.push(("then", quitting.then.clone()));
        dialog.choices.push(Choice {
            label: "Quit".to_owned(),
            deed: Deed::Quit,
            hindrance: None,
        });
        Some(dialog)
    }

    /// Whether it is about ending the console.
    pub(crate) fn is_about_quitting(&self) -> bool {
        self.choices.iter().any(|choice| choice.deed == Deed::Quit)
    }

    /// The same question with one answer besides *Cancel*; `None` if it is not among its answers.
    pub(crate) fn only(mut self, wanted: &Command) -> Option<Self> {
        let asks = |choice: &Choice| matches!(&choice.deed, Deed::Ask(command, _) if command == wanted);
        self.choices
            .retain(|choice| choice.deed == Deed::Cancel || asks(choice));
        self.choices.iter().any(asks).then_some(self)
    }

    /// When it came up, by our clock.
    pub(crate) fn opened_at(&self) -> Timestamp {
        self.opened_at
    }

    /// Whether a key counts. One that comes too early, or too fast, puts the moment off.
    pub(crate) fn takes_key(&mut self, came: Came) -> bool {
        match came {
            Came::Pressed(at) if at >= self.armed_at => true,
            Came::Pressed(at) => {
                self.armed_at = self.armed_at.max(at + STILL);
                false
            }
            Came::Hastily(at) => {
                self.armed_at = self.armed_at.max(at + STILL_AFTER_HASTE);
                false
            }
        }
    }

    /// Moves the focus by this many buttons, around the ends.
    pub(crate) fn turn(&mut self, by: isize) {
        let count = isize::try_from(self.choices.len()).unwrap_or(1).max(1);
        let focus = (isize::try_from(self.focus).unwrap_or(0) + by).rem_euclid(count);
        self.focus = usize::try_from(focus).unwrap_or(0);
    }

    /// The only button besides *Cancel*, if there is just one.
    pub(crate) fn only_deed(&self) -> Option<&Choice> {
        match self.choices.as_slice() {
            [_, only] => Some(only),
            _ => None,
        }
    }

    /// Whether the button can be pressed.
    pub(crate) fn hindrance<'a>(&'a self, choice: &'a Choice) -> Option<&'a str> {
        let void = self.void.as_deref().filter(|_| choice.deed != Deed::Cancel);
        void.or(choice.hindrance.as_deref())
    }

    /// Takes moves that the engine would refuse out of reach, for it is frozen or only observes there, and says so; gives
    /// them back once it would not.
    pub(crate) fn mind_the_gates(&mut self, world: &World) {
        let frozen = matches!(
            world.policy.arming,
            Arming::Disarmed {
                how: Disarmed::Freeze,
                ..
            }
        );
        let mut gates = Vec::new();
        for (index, choice) in self.choices.iter_mut().enumerate() {
            let Deed::Ask(command, _) = &choice.deed else {
                continue;
            };
            let Some(step) = step(command, world) else {
                continue;
            };
            if choice.hindrance.as_deref().is_some_and(|why| !is_gate(why)) {
                continue;
            }
            choice.hindrance = if frozen {
                Some(FROZEN.to_owned())
            } else {
                observed(&step, world)
            };
            if choice.hindrance.is_some() && self.focus == index {
                self.focus = 0;
            }
            gates.push(choice.hindrance.clone());
        }
        self.facts.retain(|(_, text)| !is_gate(text));
        // What holds for one place only is said when its button is pressed.
        if let Some(Some(gate)) = gates.first()
            && gates.iter().all(|other| other.as_ref() == Some(gate))
        {
            self.facts.push(("but", gate.clone()));
        }
    }

    /// Whether something said of a gate is no longer true of any button.
    pub(crate) fn is_over(&self, said: &str) -> bool {
        let told = |choice: &Choice| choice.hindrance.as_deref() == Some(said);
        is_gate(said) && !self.choices.iter().any(told)
    }

    /// Looks again at what the question is about. Once it no longer stands, it stays so: what was on the screen is over.
    pub(crate) fn follow(&mut self, world: &World) {
        self.mind_the_gates(world);
        let (Some((id, revision)), None) = (self.about, &self.void) else {
            return;
        };
        let void = match world.proposals.get(&id) {
            None => Some(format!("#{} is gone", id.0)),
            Some(proposal) if proposal.state != ProposalState::Open => {
                Some(format!("#{} is {} now", id.0, proposal.state.word()))
            }
            Some(proposal) if proposal.revision != revision => Some(format!(
                "#{} is at revision {} now: look again",
                id.0, proposal.revision
            )),
            Some(_) => None,
        };
        if let Some(void) = void {
            self.close_off(void);
        }
    }

    /// Takes all buttons but *Cancel* away from reach.
    pub(crate) fn close_off(&mut self, why: String) {
        self.void = Some(why);
        self.focus = 0;
    }
}

/// Whom a command would move, and where to; `None` if it moves nobody.
fn step(command: &Command, world: &World) -> Option<Step> {
    match command {
        Command::Switch { user, vm, to } => Some(Step {
            user: user.clone(),
            vm: vm.clone(),
            to: to.clone(),
        }),
        Command::Decide {
            proposal,
            verdict: Verdict::Approve,
            ..
        } => {
            let card = world.proposals.get(proposal)?;
            Some(Step {
                user: card.user.clone(),
                vm: card.vm.clone(),
                to: card.to.clone(),
            })
        }
        Command::BreakGlass { ask, .. } => step(&Command::from(ask.clone()), world),
        _ => None,
    }
}

/// Somebody's move.
struct Step {
    user: UserName,
    vm: VmName,
    to: SiteName,
}

/// Why a move is refused where the engine only observes.
fn observed(step: &Step, world: &World) -> Option<String> {
    let (mode, scope) = world.mode_of(&step.user, &step.vm, &step.to)?;
    let part = match scope {
        Scope::All => String::new(),
        part => format!(" of {part}"),
    };
    (mode == Mode::Observe)
        .then(|| format!("{OBSERVED}{part}: nothing moves, by hand neither; change it first"))
}

fn is_gate(text: &str) -> bool {
    text == FROZEN || text.starts_with(OBSERVED)
}

/// The reason of a proposal as a sentence.
pub(crate) fn why(proposal: &Proposal, world: &World) -> String {
    let reason = &proposal.reason;
    let to = world.label(&proposal.to);
    let (word, unit) = (reason.criterion.word(), reason.criterion.unit());
    match reason.criterion {
        proto::proposal::Criterion::Manual => return "asked for by staff".to_owned(),
        proto::proposal::Criterion::Rule => return "wanted away by a rule or a drain".to_owned(),
        proto::proposal::Criterion::Revert => {
            return "the switch before did not keep its levels".to_owned();
        }
        _ => {}
    }
    format!(
        "{word} {} {unit} > {} {unit} for {}; {} {unit} by {to}",
        figures::short(reason.measured),
        figures::short(reason.bound),
        figures::length(reason.broken_for),
        figures::short(reason.expected),
    )
}

/// What the engine would wait for before it did this by itself, while it would.
pub(crate) fn waits(proposal: &Proposal, now: Timestamp) -> Option<String> {
    let hold = proposal.held.as_deref()?;
    let left = hold.until().map(|until| until.since(now));
    match left {
        Some(Span::ZERO) => None,
        Some(left) => Some(format!(
            "by itself the engine would wait {}: {hold}",
            figures::length(left)
        )),
        None => Some(format!("by itself the engine would wait: {hold}")),
    }
}

/// The gain of a proposal as a sentence.
pub(crate) fn gain(proposal: &Proposal) -> String {
    use proto::proposal::Criterion;
    if matches!(
        proposal.reason.criterion,
        Criterion::Manual | Criterion::Revert | Criterion::Rule
    ) {
        return "none claimed".to_owned();
    }
    let unit = proposal.reason.criterion.unit();
    format!(
        "{} {unit} ({:.0} %)",
        figures::short(proposal.gain),
        proposal.gain_share * 100.0
    )
}

/// What a switch costs: both entries forward while it goes on, and nothing but its message is sent.
pub(crate) fn cost(proposal: &Proposal) -> String {
    let people = figures::count(usize::try_from(proposal.people).unwrap_or(usize::MAX), "user");
    format!("no downtime, nothing moved, {people}")
}
