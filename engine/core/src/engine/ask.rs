//! Commands of staff: each is answered by exactly one reply, and the same request twice by the same.

use std::fmt::Display;

use proto::proposal::{Criterion, Reason};
use proto::{
    Actor, Command, Mode, Notice, ProposalId, ProposalState, Refusal, Reply, RequestId, Severity, SiteName,
    Span, Timestamp, UserName, Verdict, VmName,
};

use super::Engine;
use crate::Effect;
use crate::decision::{Plan, refuse_unusable};
use crate::execution::Departure;
use crate::fabric::{Dc, PairIx};
use crate::outbox::Outbox;
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
        let mut done = Outbox::new(out.now);
        let result = match command {
            Command::Decide {
                proposal,
                revision,
                verdict,
            } => self.ask_decide(
                &Word {
                    proposal,
                    revision,
                    verdict,
                },
                by,
                &mut done,
            ),
            Command::Switch { user, vm, to } => self.ask_switch((&user, &vm, &to), by, &mut done),
            Command::SetMode { mode } => Ok(self.ask_mode(mode, &by, &mut done)),
        };
        let reply = match result {
            Ok(what) => Reply::Accepted { what },
            Err(refusal) => Reply::Refused { refusal },
        };
        self.desk.remember(request.clone(), reply.clone());
        out.push(Effect::Reply { request, reply });
        out.append(done);
    }

    /// Fails closed: only what was shown, and only if it is still true.
    fn ask_decide(&mut self, word: &Word, by: Actor, out: &mut Outbox) -> Result<String, Refusal> {
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
            let policy = self.policy();
            let pair = &mut self.pairs[ix.at()];
            pair.proposal = None;
            if let Some(to) = self.fabric.dc(&proposal.to) {
                pair.gates.bar(to, &policy, now);
            }
            self.desk.end(id, ProposalState::Rejected { by, at: now }, out);
            self.log(
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
        if self.mode == Mode::Observe {
            return Err(Refusal::ObserveOnly);
        }
        let no_longer = |why| Refusal::NoLongerTrue { proposal: id, why };
        let plan = self.still_true(ix, &proposal, now).map_err(no_longer)?;
        if self.teller(plan.to).is_none() {
            return Err(no_longer("no forwarder is connected to tell the user".to_owned()));
        }
        self.log(
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
        out: &mut Outbox,
    ) -> Result<String, Refusal> {
        let now = out.now;
        let Some(at) = self.fabric.user(user) else {
            return Err(unknown(
                "user",
                user,
                self.fabric.users.iter().map(|user| &user.name),
            ));
        };
        let Some(ix) = self.pair(user, vm) else {
            let known: Vec<_> = self
                .fabric
                .pairs_of(at)
                .map(|ix| &self.fabric.vm_of(ix).name)
                .collect();
            return Err(unknown("VM of this user", vm, known.into_iter()));
        };
        let Some(dc) = self.fabric.dc(to) else {
            return Err(unknown(
                "data centre",
                to,
                self.fabric.sites.iter().map(|site| &site.name),
            ));
        };
        if self.mode == Mode::Observe {
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
        self.log(Severity::Info, text, out);
        self.depart(
            ix,
            Departure {
                proposal: id,
                order: plan.order,
                need: plan.need,
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
        if mode == self.mode {
            return format!("the mode is {mode} already");
        }
        self.mode = mode;
        out.push(Effect::Notify {
            notice: Notice::Mode { mode },
        });
        self.log(
            Severity::Info,
            format!("mode {mode}, set by {}", name_of(by)),
            out,
        );
        for ix in (0..self.pairs.len() as u32).map(PairIx) {
            if mode == Mode::Observe {
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
        let gain = Gain {
            measured: 0.0,
            expected: 0.0,
        };
        Plan {
            to,
            order: self.order(ix, to, &measured),
            need: Need::Soft,
            reason,
            gain,
        }
    }

    fn pair(&self, user: &UserName, vm: &VmName) -> Option<PairIx> {
        let user = self.fabric.user(user)?;
        self.fabric
            .pairs_of(user)
            .find(|&ix| self.fabric.vm_of(ix).name == *vm)
    }
}

fn name_of(by: &Actor) -> &str {
    match by {
        Actor::Operator { name } => name,
        Actor::Engine => "the engine",
    }
}

/// At most ten of the known names: a line, not a page.
fn unknown<'a, N: Display + 'a>(
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
