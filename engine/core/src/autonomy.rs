//! Earned autonomy: a shadow of the engine stands beside people and is held to what they did and to what became of it.
//!
//! - Every proposal is a decision of the shadow: what it would have done, and what it foretold of the entry chosen.
//! - People's word is held against it: approved (or the same done by hand), rejected, another entry chosen (or the
//!   engine's own choice taken back by hand), or no word in time.
//! - Reality is held against it, whether it was carried out or not, for probes go to every entry: did the entry chosen
//!   keep what was foretold, and would another one have been better since?
//! - A class of actions whose record is good enough rises from `recommend` to `auto`, if the session lets it and as
//!   far as modes go; one whose last outcomes are worse than chance allows falls to `recommend` and stays there for a
//!   back-off, which doubles.
//!
//! A standing is never more than a mode: nothing here passes a gate of the executor by. It has a say in
//! `Engine::mode_of_move` and nowhere else.
//!
//! | module | what it keeps |
//! |---|---|
//! | `evidence` | the last decisions of a class, and bounds on shares of them |
//! | `shadow` | decisions under way, their words and outcomes |
//! | `steer` | pins, pardons, and what consoles are shown |

mod evidence;
mod shadow;
mod steer;

use std::collections::BTreeMap;

use proto::autonomy::{ActionKind, Cause, Standing};
use proto::{ActionClass, LinkState, Mode, Scope, Severity, SlaName, Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::Autonomy;
use crate::fabric::{Dc, PairIx};
use crate::optimizer::criteria::CRITERIA;
use crate::outbox::Outbox;
use crate::{Config, Engine};
pub use evidence::falls_within;
use evidence::{Entry, Evidence};
pub(crate) use evidence::{Outcome, Said};
use shadow::Foreseen;

/// All that is remembered: bounded by the number of classes and of entries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Shadow {
    classes: BTreeMap<ActionClass, Record>,
    /// Decisions not judged yet, at most one an entry.
    foreseen: BTreeMap<PairIx, Foreseen>,
}

impl Shadow {
    /// What classes of actions earned, for the SLA classes there still are. Decisions not judged yet are forgotten.
    pub(crate) fn carried(&self, config: &Config) -> Self {
        let known = |class: &ActionClass| config.sla.contains_key(&class.sla);
        let classes = self.classes.iter().filter(|(class, _)| known(class));
        Self {
            classes: classes
                .map(|(class, record)| (class.clone(), record.clone()))
                .collect(),
            foreseen: BTreeMap::new(),
        }
    }
}

/// One class of actions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Record {
    standing: Standing,
    evidence: Evidence,
    falls: u32,
    /// What it rose or fell on, in words.
    #[serde(default)]
    why: String,
}

impl Record {
    /// Whether its evidence is enough for `auto`.
    fn deserves(&self, knobs: &Autonomy, now: Timestamp) -> bool {
        let least = knobs.min_actions as usize;
        let (worded, judged) = self.evidence.counts();
        let agreed = self.evidence.agreement(knobs.half_life, now);
        let wrong = self.evidence.regret(knobs.half_life, now);
        worded >= least
            && judged >= least
            && agreed.is_some_and(|agreed| agreed.low >= knobs.min_agreement)
            && wrong.is_some_and(|wrong| wrong.high <= knobs.max_regret)
    }

    /// What it rose or fell on, or what it lacks to rise.
    fn reason(&self, may_rise: bool, knobs: &Autonomy, now: Timestamp) -> String {
        match &self.standing {
            Standing::Risen { .. } | Standing::Fallen { .. } => self.why.clone(),
            Standing::Pinned { .. } => String::new(),
            Standing::AsMode if !may_rise => "the session does not let it rise".to_owned(),
            Standing::AsMode => self.lacks(knobs, now),
        }
    }

    fn lacks(&self, knobs: &Autonomy, now: Timestamp) -> String {
        let (worded, judged) = self.evidence.counts();
        let least = knobs.min_actions as usize;
        if worded < least || judged < least {
            return format!(
                "not enough evidence to rise: {worded} of {least} decisions with a word of staff, {judged} of {least} judged"
            );
        }
        let words = self.words(knobs, now);
        if self.deserves(knobs, now) {
            return format!("its record would do: {words}; it rises with the next decision");
        }
        let (agreed, wrong) = (knobs.min_agreement * 100.0, knobs.max_regret * 100.0);
        format!("its record does not do: {words}; it takes at least {agreed:.0} % and at most {wrong:.0} %")
    }

    /// The evidence in words.
    fn words(&self, knobs: &Autonomy, now: Timestamp) -> String {
        let percent = |share: f64| (share * 100.0).round();
        let agreed = self.evidence.agreement(knobs.half_life, now).map_or_else(
            || "no word of staff".to_owned(),
            |found| {
                format!(
                    "agreed with in {} % (at least {})",
                    percent(found.share),
                    percent(found.low)
                )
            },
        );
        let wrong = self.evidence.regret(knobs.half_life, now).map_or_else(
            || "none judged".to_owned(),
            |found| {
                format!(
                    "wrong in {} % (at most {})",
                    percent(found.share),
                    percent(found.high)
                )
            },
        );
        format!("{agreed}, {wrong}")
    }
}

/// All classes of actions for users of one SLA class.
pub fn classes(sla: &SlaName) -> impl Iterator<Item = ActionClass> + use<'_> {
    Cause::all().map(|cause| ActionClass {
        kind: ActionKind::Switch,
        cause,
        sla: sla.clone(),
    })
}

impl Engine {
    /// The mode that holds for a move: that of its scope, as far as its class of actions has earned it. Never more than
    /// `recommend` where a scope of its own says so, never anything where it says `observe`.
    pub(crate) fn mode_of_move(&self, ix: PairIx, to: Dc, now: Timestamp) -> (Mode, Scope) {
        let (mode, scope) = self.mode_of(ix, Some(to));
        let Some(class) = self.class_of_move(ix, now) else {
            return (mode, scope);
        };
        let mode = match (mode, self.standing(&class)) {
            (
                Mode::Auto,
                Standing::Fallen { .. }
                | Standing::Pinned {
                    mode: Mode::Recommend,
                    ..
                },
            ) => Mode::Recommend,
            (Mode::Recommend, Standing::Risen { .. } | Standing::Pinned { mode: Mode::Auto, .. })
                if scope == Scope::All && self.knobs().rise.contains(&class) =>
            {
                Mode::Auto
            }
            (mode, _) => mode,
        };
        (mode, scope)
    }

    /// How the class of a move stands, if not as the mode has it.
    pub(crate) fn standing_of_move(&self, ix: PairIx, now: Timestamp) -> Option<String> {
        let class = self.class_of_move(ix, now)?;
        match self.standing(&class) {
            Standing::AsMode => None,
            Standing::Risen { .. } => Some(format!("{class} has risen: it may act by itself")),
            Standing::Fallen { .. } => Some(format!("{class} has fallen: staff decide")),
            Standing::Pinned { mode, .. } => Some(format!("{class} is pinned at {mode}")),
        }
    }

    /// The class of a move away from an entry as things are; `None` of what a rule orders, which foretells nothing.
    pub(crate) fn class_of_move(&self, ix: PairIx, now: Timestamp) -> Option<ActionClass> {
        let entry = self.pairs[ix.at()].entry();
        let cause = match (self.way_state(ix, entry), self.must_leave(ix)) {
            (LinkState::Down, _) => Cause::Down,
            (_, Some(_)) => return None,
            (_, None) => Cause::Level(CRITERIA[self.weightiest(ix, self.measured(ix, entry, now).as_ref())]),
        };
        let sla = &self.fabric.class_of(self.fabric.pairs[ix.at()].user).name;
        Some(ActionClass {
            kind: ActionKind::Switch,
            cause,
            sla: sla.clone(),
        })
    }

    fn knobs(&self) -> &Autonomy {
        &self.fabric.config.calm.autonomy
    }

    fn standing(&self, class: &ActionClass) -> &Standing {
        const AS_MODE: &Standing = &Standing::AsMode;
        self.calm
            .shadow
            .classes
            .get(class)
            .map_or(AS_MODE, |record| &record.standing)
    }

    /// A decision is over: it counts, and its class may rise or fall by it.
    fn count(&mut self, class: &ActionClass, entry: Entry, by_itself: bool, out: &mut Outbox) {
        if entry.word.is_none() && entry.outcome.is_none() {
            return;
        }
        let now = out.now;
        let knobs = self.knobs().clone();
        let record = self.calm.shadow.classes.entry(class.clone()).or_default();
        record.evidence.add(entry);
        self.calm.untold = true;
        let broken = evidence::breaks(record.evidence.recent(), knobs.max_regret);
        match record.standing {
            Standing::AsMode | Standing::Risen { .. } if by_itself && broken => self.fall(class, out),
            Standing::AsMode if knobs.rise.contains(class) && !broken && record.deserves(&knobs, now) => {
                self.rise(class, out);
            }
            Standing::Fallen { until, .. } if now >= until && !broken && record.deserves(&knobs, now) => {
                self.rise(class, out);
            }
            _ => {}
        }
    }

    fn fall(&mut self, class: &ActionClass, out: &mut Outbox) {
        let now = out.now;
        let knobs = self.knobs().clone();
        let Some(record) = self.calm.shadow.classes.get_mut(class) else {
            return;
        };
        let (wrong, of) = record.evidence.recent();
        let doubled = knobs.back_off.micros().saturating_mul(1 << record.falls.min(30));
        let back_off = Span(doubled).min(knobs.back_off_max).max(knobs.back_off);
        record.falls = record.falls.saturating_add(1);
        record.standing = Standing::Fallen {
            since: now,
            until: now + back_off,
        };
        // It has to earn `auto` anew: what it was trusted for no longer counts.
        record.evidence.clear();
        record.why = format!("{wrong} of its last {of} decisions were wrong in hindsight");
        let text = format!(
            "{class} falls to recommend: {}; not again in auto for {back_off}",
            record.why
        );
        self.log(Severity::Warning, text, out);
        self.policy_changed();
    }

    fn rise(&mut self, class: &ActionClass, out: &mut Outbox) {
        let now = out.now;
        let knobs = self.knobs().clone();
        let Some(record) = self.calm.shadow.classes.get_mut(class) else {
            return;
        };
        let evidence = record.words(&knobs, now);
        let (standing, what) = if knobs.rise.contains(class) {
            (Standing::Risen { since: now }, "may act by itself")
        } else {
            (Standing::AsMode, "goes by the mode again")
        };
        record.standing = standing;
        record.why.clone_from(&evidence);
        self.log(Severity::Warning, format!("{class} {what}: {evidence}"), out);
        self.policy_changed();
    }

    /// Staff set the mode of everything: what rose before rises anew or not at all. How many classes fell.
    pub(crate) fn forget_risen(&mut self) -> usize {
        let mut fallen = 0;
        for record in self.calm.shadow.classes.values_mut() {
            if matches!(record.standing, Standing::Risen { .. }) {
                record.standing = Standing::AsMode;
                record.evidence.clear();
                fallen += 1;
            }
        }
        if fallen > 0 {
            self.policy_changed();
        }
        fallen
    }
}
