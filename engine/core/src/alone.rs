//! One user's machines without an engine around them: the same slot rule and the same gates, for those who decide
//! for a whole country in virtual time. What the engine would do with each is held to by the simulator's tests.

use lisp_wire::Rloc;
use proto::{LinkState, ProbeOutcome, ProbeSample, Span, Timestamp};

use crate::config::{Backoff, Policy, Sla, Slots};
use crate::monitor::{Limits, Link};
use crate::optimizer::criteria;
use crate::policy::leaving::Leaving;
use crate::policy::{Gain, Gates, Need};

/// No probe here has a locator of its own.
const NOWHERE: Rloc = Rloc(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));

/// A level held against its bounds by the slot rule of section 5.2.4, probe by probe.
#[derive(Clone, Debug)]
pub struct Level {
    link: Link,
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
    }

    /// Whether it has been broken for a whole slot.
    pub fn is_broken(&self) -> bool {
        self.link.state() == LinkState::Broken
    }

    /// Whether nothing is wrong, and no slot is open.
    pub fn is_calm(&self) -> bool {
        self.link.state() == LinkState::Ok
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
        let leaving = Leaving {
            link: (&level.link, &level.limits),
            behind: None,
            hold: level.hold,
            gates: &self.gates,
            policy,
        };
        leaving
            .pass(Need::Soft, Gain::of_rtt(measured_ms, expected_ms), now)
            .is_ok()
    }

    /// Whether a move from `measured_ms` to `expected_ms` passes where no level is followed probe by probe.
    pub fn lets_pass(&self, (measured_ms, expected_ms): (f64, f64), policy: &Policy, now: Timestamp) -> bool {
        let gain = Gain::of_rtt(measured_ms, expected_ms);
        self.gates.pass(Need::Soft, gain, policy, now).is_ok()
    }

    /// A move was carried out.
    pub fn moved(&mut self, policy: &Policy, now: Timestamp) {
        self.gates.moved(Need::Soft, (policy, &Backoff::default()), now);
    }
}
