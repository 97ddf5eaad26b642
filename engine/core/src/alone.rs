//! One user's machines without an engine around them: the same slot rule and the same gates, for those who decide
//! for a whole country in virtual time. What the engine would do with each is held to by the simulator's tests.

use lisp_wire::Rloc;
use proto::{LinkState, ProbeOutcome, ProbeSample, Span, Timestamp};

use crate::config::{Backoff, Policy, Sla, Slots};
use crate::monitor::{Limits, Link};
use crate::optimizer::criteria;
use crate::policy::leaving::{Behind, Leaving};
use crate::policy::{Gain, Gates, Need};
use crate::way::{Taken, Way};

/// No probe here has a locator of its own.
const NOWHERE: Rloc = Rloc(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));

/// A level held against its bounds by the slot rule of section 5.2.4, probe by probe: that of a link, or of a whole way
/// where each probe is told what lies behind the link.
#[derive(Clone, Debug)]
pub struct Level {
    link: Link,
    /// How many probes were taken.
    heard: u32,
    behind: Taken,
    way: Option<Way>,
    limits: Limits,
    hold: u32,
}

impl Level {
    /// Nothing measured yet. `decide` is S'; a class with slots of its own goes by those. `hold` is for how many of
    /// them a level must be broken.
    pub fn new(sla: &Sla, policy: &Policy, (decide, hold): (Span, u32)) -> Self {
        let slots = Slots {
            decide,
            settle: decide,
            probe: decide,
        };
        Self {
            link: Link::default(),
            heard: 0,
            behind: Taken::default(),
            way: None,
            limits: Limits::of((slots, policy), sla, &criteria::class_of(sla)),
            hold,
        }
    }

    /// A probe came back after `rtt_us` microseconds; `now` must not go backwards.
    pub fn take(&mut self, rtt_us: u32, now: Timestamp) {
        // A slot ends at its own moment, before what is measured then.
        if self
            .link
            .slot_end(self.limits.decide)
            .is_some_and(|end| end <= now)
        {
            self.link.judge(now, &self.limits);
        }
        let rtt = Span(u64::from(rtt_us));
        let sample = ProbeSample {
            target: NOWHERE,
            sent_at: now - rtt,
            outcome: ProbeOutcome::Rtt(rtt),
        };
        self.link.take(&sample, now, &self.limits);
        self.heard = self.heard.saturating_add(1);
    }

    /// The same, where `onward_us` microseconds lie behind the link: both together are held against the bounds as well.
    pub fn take_way(&mut self, (rtt_us, onward_us): (u32, u32), now: Timestamp) {
        self.behind = Taken::steady(onward_us);
        // As in `take`: before the probe, if the slot of the way ends now.
        if matches!(self.way, Some(Way::Open { .. })) {
            self.judge_way(now);
        }
        self.take(rtt_us, now);
        let before = self.way;
        self.judge_way(now);
        let jitter = self.link.jitter();
        if before.is_none() && self.is_known() && self.behind.leaves_a_bound((rtt_us, jitter), &self.limits) {
            self.way = Some(Way::Open { since: now });
        }
    }

    /// What lies behind the link is probed as the link is, and not judged by fewer answers.
    fn is_known(&self) -> bool {
        self.behind == Taken::default() || self.heard >= self.limits.enough()
    }

    fn judge_way(&mut self, now: Timestamp) {
        let seen = (&self.link, &self.behind);
        self.way = self.way.and_then(|way| {
            if way.is_early(now, &self.limits) {
                Some(way)
            } else {
                way.judged(seen, (now, &self.limits))
            }
        });
    }

    /// Whether it has been broken for a whole slot.
    pub fn is_broken(&self) -> bool {
        self.link.state() == LinkState::Broken || matches!(self.way, Some(Way::Broken { .. }))
    }

    /// Whether nothing is wrong, and no slot is open.
    pub fn is_calm(&self) -> bool {
        self.link.state() == LinkState::Ok && self.way.is_none() && self.is_known()
    }

    /// Whether a slot is open: what becomes of it is not known yet.
    pub fn is_open(&self) -> bool {
        self.link.state() == LinkState::Warn || matches!(self.way, Some(Way::Open { .. }))
    }

    fn leaving<'a>(&'a self, (gates, policy): (&'a Gates, &'a Policy), now: Timestamp) -> Leaving<'a> {
        let broken = self.way.filter(|way| matches!(way, Way::Broken { .. }));
        Leaving {
            link: (&self.link, &self.limits),
            behind: broken.map(|way| Behind {
                since: way.since(),
                recovering: way.is_recovering((&self.link, &self.behind), (now, &self.limits)),
            }),
            hold: self.hold,
            gates,
            policy,
        }
    }
}

/// What keeps one user's moves apart: least gain and cool-down.
#[derive(Clone, Debug, Default)]
pub struct Calm {
    gates: Gates,
}

impl Calm {
    /// Whether an entry at `level` may be left for one expected at `expected_ms` in place of `measured_ms`.
    pub fn lets_leave(
        &self,
        level: &Level,
        (measured_ms, expected_ms): (f64, f64),
        policy: &Policy,
        now: Timestamp,
    ) -> bool {
        let leaving = level.leaving((&self.gates, policy), now);
        leaving
            .pass(Need::Soft, Gain::of_rtt(measured_ms, expected_ms), now)
            .is_ok()
    }

    /// Whether a move from `measured_ms` to `expected_ms` passes where no level is followed probe by probe.
    pub fn lets_pass(&self, (measured_ms, expected_ms): (f64, f64), policy: &Policy, now: Timestamp) -> bool {
        let gain = Gain::of_rtt(measured_ms, expected_ms);
        self.gates.pass(Need::Soft, gain, policy, now).is_ok()
    }

    /// Whether a move was made lately, after which another has to wait.
    pub fn is_cooling(&self, now: Timestamp) -> bool {
        self.gates.calm(Need::Soft, now).is_err()
    }

    /// A move was carried out.
    pub fn moved(&mut self, policy: &Policy, now: Timestamp) {
        self.gates.moved(Need::Soft, (policy, &Backoff::default()), now);
    }
}
