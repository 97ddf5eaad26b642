//! Commands of staff: each is answered by exactly one reply, and the same request twice by the same.

use std::fmt::Display;

use proto::proposal::{Criterion, Reason};
use proto::why::Why;
use proto::{
    Actor, Command, Hold, LinkState, Mode, Notice, ProposalId, ProposalState, Refusal, Reply, RequestId,
    Severity, SiteName, Span, Timestamp, UserName, Verdict, VmName,
};

use super::Engine;
use crate::Effect;
use crate::autonomy::Said;
use crate::decision::{Plan, refuse_unusable};
use crate::execution::Departure;
use crate::fabric::{Dc, PairIx};
use crate::outbox::Outbox;
use crate::policy::admit::{Ask, Glass};
use crate::policy::{Gain, Need};

/// A decision on a proposal, as asked.
struct Word {
    proposal: ProposalId,
    revision: u32,
    verdict: Verdict,
}

impl Engine {
    pub(super) fn ask(&mut self, request: RequestId, by: Actor, command: Command, out: &mut Outbox) {
        if let Some(reply) = self.desk.replied(&request) {
            out.push(Effect::Reply {
                reply: reply.clone(),
                request,
            });
            return;
        }
        if let Command::Why { user, vm, to } = &command {
            let reply = match self.ask_why((user, vm.as_ref(), to.as_ref()), out.now) {
                Ok(why) => Reply::Explained { why: Box::new(why) },
                Err(refusal) => Reply::Refused { refusal },
            };
            out.push(Effect::Reply { request, reply });
            return;
        }
        let mut done = Outbox::new(out.now);
        let result = self.answer(command, by, Glass::Whole, &mut done);
        let reply = match result {
            Ok(what) => Reply::Accepted { what },
            Err(refusal) => Reply::Refused { refusal },
        };
        self.desk.remember(request.clone(), reply.clone());
        out.push(Effect::Reply { request, reply });
        out.append(done);
    }

    fn answer(
        &mut self,
        command: Command,
        by: Actor,
        glass: Glass,
        done: &mut Outbox,
    ) -> Result<String, Refusal> {
        match command {
            Command::Decide {
                proposal,
                revision,
                verdict,
            } => {
                let word = Word {
                    proposal,
                    revision,
                    verdict,
                };
                self.ask_decide(&word, by, glass, done)
            }
            Command::Switch { user, vm, to } => self.ask_switch((&user, &vm, &to), by, glass, done),
            Command::SetMode { mode } => Ok(self.ask_mode(mode, &by, done)),
            Command::SetModeAt { scope, mode } => self.ask_mode_at((scope, mode), &by, done),
            Command::Disarm { how } => Ok(self.ask_disarm(how, &by, done)),
            Command::Arm => Ok(self.ask_arm(&by, done)),
            Command::Drain { dc } => self.ask_drain(&dc, by, done),
            Command::Undrain { dc } => self.ask_undrain(&dc, &by, done),
            Command::Forgive { key } => self.ask_forgive(&key, &by, done),
            Command::PinClass { class, mode } => self.ask_pin_class((class, mode), by, done),
            Command::ForgiveClass { class } => self.ask_forgive_class(&class, &by, done),
            Command::Score { session, score, note } => self.ask_score(&session, (score, &note), &by, done),
            Command::Why { .. } => Err(Refusal::NotSo {
                why: "a question is asked by itself".to_owned(),
            }),
            Command::Accounts { .. } => Err(Refusal::NotSo {
                why: "accounts are read, not asked of what decides".to_owned(),
            }),
            Command::Plan { .. } => Err(Refusal::NotSo {
                why: "a plan is made beside the engine, which decides meanwhile".to_owned(),
            }),
            Command::Look { .. } => Err(Refusal::NotSo {
                why: "only the forwarder itself can be looked into".to_owned(),
            }),
            Command::BreakGlass { reason, ask } => self.break_glass(&reason, ask.into(), by, done),
        }
    }

    fn ask_why(
        &self,
        (user, vm, to): (&UserName, Option<&VmName>, Option<&SiteName>),
        now: Timestamp,
    ) -> Result<Why, Refusal> {
        let ix = self.pair_of(user, vm)?;
        let dc = match to {
            None => None,
            Some(to) => Some(self.fabric.dc(to).ok_or_else(|| {
                unknown("data centre", to, self.fabric.sites.iter().map(|site| &site.name))
            })?),
        };
        Ok(self.why(ix, dc, now))
    }

    /// The user's entry to that VM; the only one, or the first, if none is named.
    pub(super) fn pair_of(&self, user: &UserName, vm: Option<&VmName>) -> Result<PairIx, Refusal> {
        let Some(at) = self.fabric.user(user) else {
            let known = self.fabric.users.iter().map(|user| &user.name);
            return Err(unknown("user", user, known));
        };
        let of = |ix: &PairIx| vm.is_none_or(|vm| self.fabric.vm_of(*ix).name == *vm);
        self.fabric.pairs_of(at).find(of).ok_or_else(|| {
            let known: Vec<_> = self
                .fabric
                .pairs_of(at)
                .map(|ix| &self.fabric.vm_of(ix).name)
                .collect();
            let asked = vm.map_or("", VmName::as_str);
            Refusal::UnknownName {
                what: "VM of this user".to_owned(),
                name: asked.to_owned(),
                known: known
                    .iter()
                    .take(10)
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", "),
            }
        })
    }

    /// A switch or an approval in spite of rules, windows and budgets; never in spite of a freeze by disarming.
    fn break_glass(
        &mut self,
        reason: &str,
        command: Command,
        by: Actor,
        out: &mut Outbox,
    ) -> Result<String, Refusal> {
        let reason = Self::reason_given(reason)?;
        let text = format!("glass broken by {}: {reason}", name_of(&by));
        let mut done = Outbox::new(out.now);
        let what = self.answer(command, by, Glass::Broken, &mut done)?;
        self.log_word(Severity::Warning, text, out);
        out.append(done);
        Ok(format!("{what} (glass broken)"))
    }

    /// Fails closed: only what was shown, and only if it is still true.
    fn ask_decide(
        &mut self,
        word: &Word,
        by: Actor,
        glass: Glass,
        out: &mut Outbox,
    ) -> Result<String, Refusal> {
        let now = out.now;
        let id = word.proposal;
        let proposal = self.desk.decidable(id, word.revision)?.clone();
        let Some(ix) = self
            .pair(&proposal.user, &proposal.vm)
            .filter(|ix| self.pairs[ix.at()].proposal == Some(id))
        else {
            return Err(Refusal::NoLongerTrue {
                proposal: id,
                why: "it is no longer of this fabric".to_owned(),
            });
        };
        let who = name_of(&by).to_owned();
        if word.verdict == Verdict::Reject {
            self.note_word(ix, id, Said::Rejected, now);
            let policy = self.policy();
            let cut_off = self.need(ix) == Need::Hard;
            let pair = &mut self.pairs[ix.at()];
            pair.proposal = None;
            if let Some(to) = self.fabric.dc(&proposal.to) {
                pair.gates.bar(to, &policy, now);
                if cut_off {
                    pair.gates.refuse(to, now + policy.cool_down, now);
                }
            }
            self.desk.end(id, ProposalState::Rejected { by, at: now }, out);
            self.log_word(
                Severity::Info,
                format!("proposal #{} rejected by {who}", id.0),
                out,
            );
            self.attend(ix, out);
            return Ok(format!(
                "proposal #{} is rejected; not proposed again for {}",
                id.0, policy.cool_down
            ));
        }
        if self.mode_of(ix, None).0 == Mode::Observe {
            return Err(Refusal::ObserveOnly);
        }
        let no_longer = |why| Refusal::NoLongerTrue { proposal: id, why };
        let plan = self.still_true(ix, &proposal, now).map_err(no_longer)?;
        if self.teller(plan.to).is_none() {
            return Err(no_longer("no forwarder is connected to tell the user".to_owned()));
        }
        let ask = Ask {
            ix,
            to: plan.to,
            need: plan.need,
            by: &by,
            glass,
            proves: plan.need != Need::Ordered,
        };
        let pass = self.admit_by_hand(&ask, now).map_err(held)?;
        self.note_word(ix, id, Said::Approved, now);
        self.log_word(
            Severity::Info,
            format!("proposal #{} approved by {who}", id.0),
            out,
        );
        self.depart(
            ix,
            Departure {
                proposal: id,
                order: plan.order,
                need: plan.need,
                pass,
            },
            by,
            out,
        );
        Ok(format!("proposal #{} is being carried out", id.0))
    }

    fn ask_switch(
        &mut self,
        (user, vm, to): (&UserName, &VmName, &SiteName),
        by: Actor,
        glass: Glass,
        out: &mut Outbox,
    ) -> Result<String, Refusal> {
        let now = out.now;
        let ix = self.known_pair(user, vm)?;
        let dc = self.known_dc(to)?;
        if self.mode_of(ix, Some(dc)).0 == Mode::Observe {
            return Err(Refusal::ObserveOnly);
        }
        if self.pairs[ix.at()].flight.is_some() {
            return Err(Refusal::InFlight { user: user.clone() });
        }
        if self.pairs[ix.at()].entry() == dc {
            return Err(Refusal::AlreadyThere {
                user: user.clone(),
                to: to.clone(),
            });
        }
        if let Some(refusal) = refuse_unusable(self, ix, dc) {
            return Err(refusal);
        }
        let need = if self.way_state(ix, self.pairs[ix.at()].entry()) == LinkState::Down {
            Need::Hard
        } else {
            Need::Soft
        };
        let ask = Ask {
            ix,
            to: dc,
            need,
            by: &by,
            glass,
            proves: false,
        };
        let pass = self.admit_by_hand(&ask, now).map_err(held)?;
        self.note_hand(ix, dc, now);
        self.supersede(ix, &format!("{} switches the user by hand", name_of(&by)), out);
        let plan = self.manual(ix, dc, now);
        let id = self.desk.open(self.card(ix, &plan, now), out);
        let from = self.fabric.label(self.pairs[ix.at()].entry());
        let text = format!(
            "switch #{} {user} {from} -> {} asked for by {}",
            id.0,
            self.fabric.label(dc),
            name_of(&by)
        );
        self.log_word(Severity::Info, text, out);
        self.depart(
            ix,
            Departure {
                proposal: id,
                order: plan.order,
                need: plan.need,
                pass,
            },
            by,
            out,
        );
        Ok(format!(
            "switch #{} of {user} to {} is being carried out",
            id.0,
            self.fabric.label(dc)
        ))
    }

    fn ask_mode(&mut self, mode: Mode, by: &Actor, out: &mut Outbox) -> String {
        let fallen = if mode == Mode::Auto {
            0
        } else {
            self.forget_risen()
        };
        let fell = match fallen {
            0 => String::new(),
            1 => "; one class that had risen by its record fell back to it".to_owned(),
            many => format!("; {many} classes that had risen by their record fell back to it"),
        };
        if mode == self.mode {
            if fallen > 0 {
                let text = format!("mode {mode} confirmed by {}{fell}", name_of(by));
                self.log(Severity::Info, text, out);
            }
            return format!("the mode is {mode} already{fell}");
        }
        self.mode = mode;
        out.push(Effect::Notify {
            notice: Notice::Mode { mode },
        });
        self.log_word(
            Severity::Info,
            format!("mode {mode}, set by {}{fell}", name_of(by)),
            out,
        );
        for ix in (0..self.pairs.len() as u32).map(PairIx) {
            if self.mode_of(ix, None).0 == Mode::Observe {
                self.supersede(ix, "the engine only observes now", out);
            }
            self.attend(ix, out);
        }
        format!("the mode is {mode}")
    }

    /// A switch by hand: nothing was broken, so there is no criterion to show figures of.
    fn manual(&self, ix: PairIx, to: Dc, now: Timestamp) -> Plan {
        let measured = self.all_measured(ix, now);
        let class = &self.fabric.class_of(self.fabric.pairs[ix.at()].user).class;
        let penalty = |dc: Dc| measured[dc.at()].map_or(0.0, |m| class.score(&m).penalty_f64());
        let reason = Reason {
            criterion: Criterion::Manual,
            measured: 0.0,
            bound: 0.0,
            expected: 0.0,
            penalty: penalty(self.pairs[ix.at()].entry()),
            penalty_expected: penalty(to),
            broken_for: self.broken_since(ix).map_or(Span::ZERO, |since| now.since(since)),
        };
        Plan {
            to,
            order: self.order(ix, to, (&measured, now)),
            need: Need::Soft,
            reason,
            gain: Gain::NONE,
        }
    }

    fn pair(&self, user: &UserName, vm: &VmName) -> Option<PairIx> {
        let user = self.fabric.user(user)?;
        self.fabric
            .pairs_of(user)
            .find(|&ix| self.fabric.vm_of(ix).name == *vm)
    }
}

pub(crate) fn name_of(by: &Actor) -> &str {
    match by {
        Actor::Operator { name } => name,
        Actor::Engine => "the engine",
    }
}

fn held(hold: Hold) -> Refusal {
    Refusal::Held { hold }
}

/// At most ten of the known names: a line, not a page.
pub(crate) fn unknown<'a, N: Display + 'a>(
    what: &str,
    name: &N,
    known: impl ExactSizeIterator<Item = &'a N>,
) -> Refusal {
    let total = known.len();
    let mut text: Vec<String> = known.take(10).map(ToString::to_string).collect();
    if total > 10 {
        text.push(format!("and {} more", total - 10));
    }
    Refusal::UnknownName {
        what: what.to_owned(),
        name: name.to_string(),
        known: text.join(", "),
    }
}
