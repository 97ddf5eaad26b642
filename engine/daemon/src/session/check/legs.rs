//! How the ways between data centres are watched.

use std::collections::BTreeMap;

use pacao_core::config::{Legs, MOST_PROBES, Policy, Sla, SlidingWindow, Slots};
use proto::{SlaName, Span};

use super::doubts::{Doubts, at};
use super::limits::{DAY, MILLI, is_too_long};
use crate::session::raw::RawLegs;

/// The block, checked against what it has to fit.
pub(super) fn legs(
    raw: &RawLegs,
    (slots, policy): (Option<Slots>, Option<&Policy>),
    sla: &BTreeMap<SlaName, Sla>,
    doubts: &mut Doubts<'_>,
) -> Legs {
    let mut span = |field: &str, text: &Option<String>, least: Span| {
        let text = text.as_ref()?;
        doubts.span(at!["legs", field], text, (least, DAY))
    };
    let legs = Legs {
        measure: raw.measure,
        probe: span("probe", &raw.probe, Span::millis(10)),
        timeout: span("timeout", &raw.timeout, MILLI),
        down_after: raw.down_after,
        up_after: raw.up_after,
    };
    for (field, count) in [("down_after", raw.down_after), ("up_after", raw.up_after)] {
        if let Some(count) = count {
            doubts.within(at!["legs", field], count.into(), 1.0..=1000.0);
        }
    }
    let says_how = [
        raw.probe.is_some(),
        raw.timeout.is_some(),
        raw.down_after.is_some(),
        raw.up_after.is_some(),
    ];
    if !raw.measure && says_how.contains(&true) {
        let message = "false leaves legs unmeasured, and the other fields of legs say how to measure them: remove either";
        doubts.value(at!["legs", "measure"], message);
    }
    if let (Some(probe), Some(policy)) = (legs.probe, policy)
        && policy.stale_after <= probe
    {
        let message = format!(
            "{probe} is not below policy.stale_after ({}): a leg would be stale between two probes",
            policy.stale_after
        );
        doubts.value(at!["legs", "probe"], message);
    }
    if let (Some(probe), Some(slots)) = (legs.probe, slots) {
        let windows = sla.values().filter_map(|class| class.watch.window);
        let longest = windows.map(SlidingWindow::whole).fold(slots.decide, Span::max);
        if is_too_long(longest, probe) {
            let message = format!(
                "{probe} puts more than {MOST_PROBES} probes in the longest window of the classes ({longest}): that many \
                 are kept of a leg"
            );
            doubts.value(at!["legs", "probe"], message);
        }
        let shortest = sla.values().filter_map(|class| class.watch.slots);
        let shortest = shortest.map(|slots| slots.decide).fold(slots.decide, Span::min);
        if probe.micros().saturating_mul(3) > shortest.micros() {
            let message = format!(
                "{probe} leaves less than three probes in the shortest S' ({shortest}): a leg is judged by three"
            );
            doubts.value(at!["legs", "probe"], message);
        }
    }
    legs
}
