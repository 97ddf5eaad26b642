//! What the links of one SLA class are held against.

use proto::Span;

use crate::config::{Config, MOST_PROBES, Policy, Sla, Slots, Statistic};
use crate::optimizer::Class;
use crate::optimizer::criteria::{K, LINK};

/// The knobs of one class, as the session gives them for it or for all. Bounds are in the integers of
/// [`Measures`](crate::optimizer::criteria::Measures).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limits {
    /// S': how long a level must be broken.
    pub(crate) decide: Span,
    /// S'': how long a link is watched after a switch.
    pub(crate) settle: Span,
    /// S''': between probes.
    pub(crate) probe: Span,
    /// What statistics are taken over.
    pub(crate) window: Span,
    /// In how many parts.
    pub(crate) parts: u32,
    /// The RTT from which a link is shown as nearly out.
    pub(crate) warn: [u32; LINK],
    /// A kept level above this is out of its bound.
    pub(crate) leave: [u32; LINK],
    /// A broken level at or below this is kept again.
    pub(crate) enter: [u32; LINK],
    pub(crate) statistics: [Statistic; LINK],
    pub(crate) down_after: u32,
    pub(crate) up_after: u32,
    /// A probe unanswered this long is lost.
    pub(crate) timeout: Span,
}

impl Limits {
    pub(crate) fn new(config: &Config, sla: &Sla, class: &Class<K>) -> Self {
        Self::of((config.slots, &config.policy), sla, class)
    }

    /// From the session's slots and policy alone.
    pub(crate) fn of((slots, policy): (Slots, &Policy), sla: &Sla, class: &Class<K>) -> Self {
        let Slots {
            decide,
            settle,
            probe,
        } = sla.watch.slots.unwrap_or(slots);
        let (window, parts) = sla
            .watch
            .window
            .map_or((decide, 1), |window| (window.whole(), window.parts.max(1)));
        let at = |share: f64| {
            std::array::from_fn(|k| match class.bound(k) {
                // Without a bound, or with one that (5.1) does not weigh: it breaks no level.
                _ if !class.counts(k) => u32::MAX,
                u32::MAX => u32::MAX,
                bound => (f64::from(bound) * share).round().clamp(0.0, f64::from(u32::MAX)) as u32,
            })
        };
        let bands = sla.watch.bands;
        let statistics = sla.terms.statistics;
        Self {
            decide,
            settle,
            probe,
            window,
            parts,
            warn: at(bands.warn),
            leave: at(bands.leave),
            enter: at(bands.enter),
            statistics: [
                sla.statistic,
                statistics.jitter,
                statistics.loss,
                statistics.availability,
            ],
            down_after: sla.watch.down_after.unwrap_or(policy.down_after),
            up_after: sla.watch.up_after.unwrap_or(policy.up_after),
            timeout: policy.probe_timeout,
        }
    }

    /// What legs between data centres are held against, which classes share: the strictest of each, over the longest
    /// window.
    pub(crate) fn strictest(config: &Config, classes: &[&Self]) -> Self {
        let knobs = config.legs.unwrap_or_default();
        let (slots, policy) = (config.slots, &config.policy);
        let mut all = classes
            .first()
            .map_or_else(|| Self::unbound(slots, policy), |&&first| first);
        for class in classes {
            all.decide = all.decide.min(class.decide);
            all.probe = all.probe.min(class.probe);
            all.window = all.window.max(class.window);
            for k in 0..LINK {
                all.warn[k] = all.warn[k].min(class.warn[k]);
                all.leave[k] = all.leave[k].min(class.leave[k]);
                all.enter[k] = all.enter[k].min(class.enter[k]);
            }
            all.down_after = all.down_after.min(class.down_after);
            all.up_after = all.up_after.max(class.up_after);
        }
        all.parts = 1;
        all.probe = knobs.probe.unwrap_or(all.probe);
        // So many are kept: of a class whose window is longer, the latest.
        all.window = all
            .window
            .min(Span(all.probe.micros().saturating_mul(MOST_PROBES.into())));
        all.timeout = knobs.timeout.unwrap_or(all.timeout);
        all.down_after = knobs.down_after.unwrap_or(all.down_after);
        all.up_after = knobs.up_after.unwrap_or(all.up_after);
        all
    }

    /// Of nobody's class.
    fn unbound(slots: Slots, policy: &Policy) -> Self {
        Self {
            decide: slots.decide,
            settle: slots.settle,
            probe: slots.probe,
            window: slots.decide,
            parts: 1,
            warn: [u32::MAX; LINK],
            leave: [u32::MAX; LINK],
            enter: [u32::MAX; LINK],
            statistics: [Statistic::Mean; LINK],
            down_after: policy.down_after,
            up_after: policy.up_after,
            timeout: policy.probe_timeout,
        }
    }

    /// Answers without which a link is not judged. A long way up does not ask for more of them.
    pub(crate) fn enough(&self) -> u32 {
        self.up_after.clamp(1, super::link::ENOUGH)
    }
}
