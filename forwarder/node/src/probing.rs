//! RLOC-probing (RFC 9301 section 7.1): who answers, after how long.
//!
//! Two lists are probed: the engine's, whose samples go to the subscribers one by one, and the locators of the own map
//! cache. A locator on both is probed once, at the engine's pace. The engine's list stays when the engine goes.

mod rows;
pub(crate) mod window;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use datapath::Reach;
use lisp_wire::message::{MapRequest, NotifyBits};
use lisp_wire::{EidPrefix, InstanceId, Message, Nonce, Rloc};
use proto::{NodeReport, ProbeOutcome, ProbeSample, ProbeTarget, Span, Timestamp};

use crate::cache::Cache;
use crate::config;
use crate::context::Context;
use crate::counters::Counter;
use crate::timers::Timers;
use window::{Up, Window};

/// At most this many locators of the map cache are probed; the others count as up.
const MOST_CACHED: usize = 16_384;
/// All of them together get so many probes a second; where there are more, each is probed less often.
const CACHED_PER_SECOND: u64 = 1000;
/// One that has never answered is probed at twice the interval after each probe past those that it takes to be down, up to
/// 2 to this power times.
const MOST_DOUBLINGS: u32 = 6;

/// Nonces of probes that timed out, kept to tell late answers from forged ones.
const LATE_KEPT: usize = 1024;

/// The locators under observation.
#[derive(Debug, Default)]
pub(crate) struct Probing {
    targets: BTreeMap<Rloc, Target>,
    sent: BTreeMap<Nonce, Sent>,
    timers: Timers<Due>,
    late: VecDeque<Nonce>,
    samples: Vec<ProbeSample>,
    reaches: Vec<(Rloc, Reach)>,
    /// How many locators the map cache names.
    cached: usize,
}

#[derive(Debug, Default)]
struct Target {
    engine: Option<ProbeTarget>,
    cached: Cached,
    window: Window,
    lost_in_a_row: u32,
    answered: Answered,
    down: bool,
    under_way: BTreeSet<Nonce>,
}

/// Whether the own map cache names a locator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Cached {
    Yes,
    #[default]
    No,
}

/// Whether a locator has ever answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Answered {
    Once,
    #[default]
    Never,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    rloc: Rloc,
    at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Send(Rloc),
    Overdue(Nonce),
    Timeout(Nonce),
}

impl Probing {
    /// Takes the engine's list in place of the one before. What is on both goes on undisturbed.
    pub(crate) fn follow_engine(&mut self, list: &[ProbeTarget], cx: &mut Context<'_>) {
        let wanted: BTreeMap<Rloc, ProbeTarget> = list.iter().map(|target| (target.rloc, *target)).collect();
        for (rloc, target) in &mut self.targets {
            target.engine = wanted.get(rloc).copied();
        }
        for (rloc, spec) in &wanted {
            self.target(*rloc, spec.interval, cx).engine = Some(*spec);
        }
        self.drop_unwanted();
    }

    /// Takes the locators of the map cache.
    pub(crate) fn follow_cache(&mut self, rlocs: &BTreeSet<Rloc>, cx: &mut Context<'_>) {
        // Those that are probed already stay so.
        let mut room = MOST_CACHED;
        for (rloc, target) in &mut self.targets {
            target.cached = if room > 0 && rlocs.contains(rloc) {
                room -= 1;
                Cached::Yes
            } else {
                Cached::No
            };
        }
        let known: BTreeSet<Rloc> = rlocs
            .iter()
            .filter(|rloc| self.targets.contains_key(rloc))
            .copied()
            .collect();
        let others = rlocs.iter().filter(|rloc| !known.contains(rloc)).take(room);
        let probed = known.iter().chain(others);
        self.cached = rlocs.len().min(MOST_CACHED);
        for rloc in probed.filter(|rloc| !cx.config.is_own(**rloc)) {
            let target = self.target(*rloc, cx.config.probing.cache_interval, cx);
            target.cached = Cached::Yes;
            if target.down {
                self.reaches.push((*rloc, Reach::Down));
            }
        }
        self.drop_unwanted();
    }

    fn target(&mut self, rloc: Rloc, interval: Span, cx: &mut Context<'_>) -> &mut Target {
        self.targets.entry(rloc).or_insert_with(|| {
            // Soon, but not all at once.
            let spread = cx.nonces.below(interval.micros() / 8);
            self.timers.set(Due::Send(rloc), cx.now + Span(spread));
            Target::default()
        })
    }

    fn drop_unwanted(&mut self) {
        let (timers, sent) = (&mut self.timers, &mut self.sent);
        self.targets.retain(|rloc, target| {
            let wanted = target.engine.is_some() || target.cached == Cached::Yes;
            if !wanted {
                timers.cancel(&Due::Send(*rloc));
                for nonce in &target.under_way {
                    timers.cancel(&Due::Overdue(*nonce));
                    timers.cancel(&Due::Timeout(*nonce));
                    sent.remove(nonce);
                }
            }
            wanted
        });
    }

    /// The locator that a probe under way was sent to.
    pub(crate) fn asked(&self, nonce: Nonce) -> Option<Rloc> {
        self.sent.get(&nonce).map(|sent| sent.rloc)
    }

    /// A Map-Reply with the probe bit. What mapping it carries is not looked at: a probe asks whether, not where.
    pub(crate) fn reply(&mut self, nonce: Nonce, received_at: Timestamp, cx: &mut Context<'_>) {
        let Some(sent) = self.sent.get(&nonce).copied() else {
            let late = self.late.contains(&nonce);
            cx.count(if late {
                Counter::ProbesLate
            } else {
                Counter::Unsolicited
            });
            return;
        };
        cx.count(Counter::ProbesAnswered);
        self.conclude(nonce, sent, ProbeOutcome::Rtt(received_at.since(sent.at)), cx);
    }

    /// The network says that it cannot reach a locator. Anyone can forge that, so it does no more than end the probes
    /// under way at once; the next ones decide anew.
    pub(crate) fn unreachable(&mut self, rloc: Rloc, cx: &mut Context<'_>) {
        let under_way: Vec<Nonce> = self
            .targets
            .get(&rloc)
            .map(|target| target.under_way.iter().copied().collect())
            .unwrap_or_default();
        for nonce in under_way {
            self.lost(nonce, cx);
        }
    }

    fn lost(&mut self, nonce: Nonce, cx: &mut Context<'_>) {
        let Some(sent) = self.sent.get(&nonce).copied() else {
            return;
        };
        cx.count(Counter::ProbesLost);
        if self.late.len() >= LATE_KEPT {
            self.late.pop_front();
        }
        self.late.push_back(nonce);
        self.conclude(nonce, sent, ProbeOutcome::Lost, cx);
    }

    fn conclude(&mut self, nonce: Nonce, sent: Sent, outcome: ProbeOutcome, cx: &mut Context<'_>) {
        self.sent.remove(&nonce);
        self.timers.cancel(&Due::Overdue(nonce));
        self.timers.cancel(&Due::Timeout(nonce));
        let Some(target) = self.targets.get_mut(&sent.rloc) else {
            return;
        };
        target.under_way.remove(&nonce);
        target.window.push(outcome);
        let was_down = target.down;
        match outcome {
            ProbeOutcome::Rtt(_) => {
                target.lost_in_a_row = 0;
                target.answered = Answered::Once;
                target.down = false;
                target.window.mark(Up::Yes, cx.now);
            }
            // Told apart from outcomes, which conclude a probe.
            ProbeOutcome::Overdue(_) => {}
            ProbeOutcome::Lost => {
                target.lost_in_a_row = target.lost_in_a_row.saturating_add(1);
                if target.lost_in_a_row >= cx.config.probing.down_after {
                    target.down = true;
                    target.window.mark(Up::No, cx.now);
                }
            }
        }
        if target.down != was_down {
            self.reaches
                .push((sent.rloc, if target.down { Reach::Down } else { Reach::Up }));
        }
        if target.engine.is_some() {
            self.samples.push(ProbeSample {
                target: sent.rloc,
                sent_at: sent.at,
                outcome,
            });
        }
    }

    /// Whoever waits for the answer need not wait for the bound to be broken: it is.
    fn overdue(&mut self, nonce: Nonce, cx: &Context<'_>) {
        let Some(sent) = self.sent.get(&nonce) else { return };
        if self
            .targets
            .get(&sent.rloc)
            .is_some_and(|target| target.engine.is_some())
        {
            self.samples.push(ProbeSample {
                target: sent.rloc,
                sent_at: sent.at,
                outcome: ProbeOutcome::Overdue(cx.now.since(sent.at)),
            });
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    /// Sends what is due, and gives up what took too long; datagrams have been read up to `heard`.
    pub(crate) fn tick(&mut self, heard: Timestamp, cache: &Cache, cx: &mut Context<'_>) {
        while let Some(due) = self.timers.pop_due(heard) {
            match due {
                Due::Overdue(nonce) => self.overdue(nonce, cx),
                Due::Timeout(nonce) => self.lost(nonce, cx),
                Due::Send(rloc) => self.probe(rloc, cache, cx),
            }
        }
    }

    fn probe(&mut self, rloc: Rloc, cache: &Cache, cx: &mut Context<'_>) {
        let Some(target) = self.targets.get_mut(&rloc) else {
            return;
        };
        let own = cx.config.probing;
        let (interval, timeout, dscp) = if let Some(spec) = &target.engine {
            // What the engine measures has a pace of its own.
            (spec.interval, spec.timeout, spec.dscp)
        } else {
            // RFC 9301 section 7.1: with jitter. Never sooner: a lost probe is to be known before the next is answered.
            let interval = target.cached_interval(own, self.cached).micros();
            let late = cx.nonces.below(interval / 8);
            (Span(interval + late), own.timeout, 0)
        };
        let overdue_after = target.engine.and_then(|spec| spec.overdue_after);
        self.timers.set(Due::Send(rloc), cx.now + interval);
        let nonce = cx.nonces.random();
        let request = MapRequest {
            nonce,
            authoritative: false,
            probe: true,
            solicit: false,
            invoked: false,
            proxy_itr: false,
            no_reply: false,
            source_eid: None,
            itr_rlocs: cx.itr_rlocs(),
            eids: vec![cache.reached_by(rloc).unwrap_or_else(|| anything(rloc))],
            map_reply: None,
            notify: NotifyBits::NONE,
            xtr: None,
        };
        target.under_way.insert(nonce);
        self.sent.insert(nonce, Sent { rloc, at: cx.now });
        self.timers.set(Due::Timeout(nonce), cx.now + timeout);
        if let Some(after) = overdue_after.filter(|&after| after < timeout) {
            self.timers.set(Due::Overdue(nonce), cx.now + after);
        }
        cx.count(Counter::ProbesSent);
        cx.send_probe(&Message::MapRequest(request), rloc, dscp);
    }

    /// Tells the subscribers what became known.
    pub(crate) fn report(&mut self, cx: &mut Context<'_>) {
        if !self.samples.is_empty() {
            let samples = std::mem::take(&mut self.samples);
            cx.tell(NodeReport::Probes { samples });
        }
    }

    /// Locators that went up or down since last asked.
    pub(crate) fn take_reaches(&mut self) -> Vec<(Rloc, Reach)> {
        std::mem::take(&mut self.reaches)
    }
}

impl Target {
    /// How long after a probe of a locator that only the map cache names comes the next.
    fn cached_interval(&self, own: config::Probing, cached: usize) -> Span {
        let shared = Span::secs(1).micros() * cached as u64 / CACHED_PER_SECOND;
        let doublings = match self.answered {
            Answered::Once => 0,
            Answered::Never => self
                .lost_in_a_row
                .saturating_sub(own.down_after)
                .min(MOST_DOUBLINGS),
        };
        Span(own.cache_interval.micros().max(shared) << doublings)
    }
}

/// Asked for where no EID behind a locator is known: all of its family.
fn anything(rloc: Rloc) -> EidPrefix {
    let zero = match rloc.0 {
        IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    let zero_eid = lisp_wire::Eid {
        iid: InstanceId::DEFAULT,
        address: zero,
    };
    EidPrefix::new(zero_eid.iid, zero_eid.address, 0).unwrap_or(EidPrefix::host(zero_eid))
}
