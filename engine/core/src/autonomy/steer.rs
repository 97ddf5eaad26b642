//! What staff say of autonomy, and what they are shown of it.

use std::collections::BTreeSet;

use proto::autonomy::Standing;
use proto::{ActionClass, Actor, AutonomyRow, Mode, Refusal, Severity, Timestamp};

use super::{Record, classes, falls_within};
use crate::Engine;
use crate::engine::{name_of, unknown};
use crate::fabric::PairIx;
use crate::outbox::Outbox;

impl Engine {
    /// Holds a class of actions where it is, or lets it go by its record again.
    pub(crate) fn ask_pin_class(
        &mut self,
        (class, mode): (ActionClass, Option<Mode>),
        by: Actor,
        out: &mut Outbox,
    ) -> Result<String, Refusal> {
        self.is_known_class(&class)?;
        let who = name_of(&by).to_owned();
        let may_rise = self.knobs().rise.contains(&class);
        let record = self.calm.shadow.classes.entry(class.clone()).or_default();
        let (standing, what) = match mode {
            Some(Mode::Observe) => {
                let why =
                    "a class of actions is pinned at recommend or at auto; to observe is a mode".to_owned();
                return Err(Refusal::NotSo { why });
            }
            Some(mode) => {
                let since = out.now;
                let pinned = Standing::Pinned { mode, by, since };
                let more = match (mode, may_rise) {
                    (Mode::Auto, false) => ", where the mode is auto; the session does not let it rise",
                    (Mode::Auto, true) => ", as far as modes of parts of the fabric let it",
                    (Mode::Observe | Mode::Recommend, _) => "",
                };
                (pinned, format!("{class} is pinned at {mode}{more}"))
            }
            None if matches!(record.standing, Standing::Pinned { .. }) => (
                Standing::AsMode,
                format!("{class} goes by the mode and its record again"),
            ),
            None => return Ok(format!("{class} is not pinned")),
        };
        record.standing = standing;
        self.log_word(Severity::Warning, format!("{what}; by {who}"), out);
        self.policy_changed();
        self.attend_all(out);
        Ok(what)
    }

    /// Forgets that a class has fallen, and its record.
    pub(crate) fn ask_forgive_class(
        &mut self,
        class: &ActionClass,
        by: &Actor,
        out: &mut Outbox,
    ) -> Result<String, Refusal> {
        self.is_known_class(class)?;
        let Some(record) = self.calm.shadow.classes.get_mut(class) else {
            return Ok(format!("{class} has no record"));
        };
        if !matches!(record.standing, Standing::Fallen { .. }) {
            return Ok(format!("{class} has not fallen"));
        }
        *record = Record::default();
        let what = format!("{class} is forgiven: it goes by the mode again");
        self.log_word(Severity::Warning, format!("{what}; by {}", name_of(by)), out);
        self.policy_changed();
        self.attend_all(out);
        Ok(what)
    }

    /// Records of classes that have one, and of those that may rise.
    pub(crate) fn autonomy_rows(&self, now: Timestamp) -> Vec<AutonomyRow> {
        let knobs = self.knobs();
        let classes = &self.calm.shadow.classes;
        let all: BTreeSet<&ActionClass> = classes.keys().chain(&knobs.rise).collect();
        let row = |class: &ActionClass| {
            let record = classes.get(class).cloned().unwrap_or_default();
            let evidence = &record.evidence;
            AutonomyRow {
                class: class.clone(),
                may_rise: knobs.rise.contains(class),
                why: record.reason(knobs.rise.contains(class), knobs, now),
                words: evidence.words(),
                outcomes: evidence.outcomes(),
                agreement: evidence.agreement(knobs.half_life, now),
                regret: evidence.regret(knobs.half_life, now),
                falls: record.falls,
                falls_within: falls_within(knobs.max_regret).unwrap_or(u32::MAX),
                standing: record.standing,
            }
        };
        all.into_iter().map(row).collect()
    }

    fn attend_all(&mut self, out: &mut Outbox) {
        for ix in (0..self.pairs.len() as u32).map(PairIx) {
            self.attend(ix, out);
        }
    }

    fn is_known_class(&self, class: &ActionClass) -> Result<(), Refusal> {
        if self.fabric.classes.iter().any(|known| known.name == class.sla) {
            return Ok(());
        }
        let known: Vec<ActionClass> = self
            .fabric
            .classes
            .iter()
            .flat_map(|sla| classes(&sla.name))
            .collect();
        Err(unknown("class of actions", class, known.iter()))
    }
}
