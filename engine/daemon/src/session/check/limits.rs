//! Slots and policy: numbers that must lie within bounds, and some that only make sense together.

use pacao_core::config::{MOST_PROBES, Policy, Slots};
use proto::Span;

use super::doubts::{Doubts, at};
use crate::session::locate::Step;
use crate::session::raw::{RawPolicy, RawSlots};

pub(super) const MILLI: Span = Span::millis(1);
pub(super) const DAY: Span = Span::secs(86_400);

/// The slots at `place`, of the session or of one class.
pub(super) fn slots(raw: &RawSlots, place: &[Step], doubts: &mut Doubts<'_>) -> Option<Slots> {
    let decide = doubts.span(&under(place, "decide"), &raw.decide, (MILLI, DAY));
    let settle = doubts.span(&under(place, "settle"), &raw.settle, (MILLI, DAY));
    let probe = doubts.span(&under(place, "probe"), &raw.probe, (Span::millis(10), DAY));
    let slots = Slots {
        decide: decide?,
        settle: settle?,
        probe: probe?,
    };
    if slots.settle >= slots.decide {
        let message = format!(
            "{} is not below slots.decide ({}): S'' must be shorter than S'",
            slots.settle, slots.decide
        );
        doubts.value(&under(place, "settle"), message);
    }
    if slots.probe.micros().saturating_mul(2) > slots.decide.micros() {
        let message = format!(
            "{} leaves less than two probes in slots.decide ({})",
            slots.probe, slots.decide
        );
        doubts.value(&under(place, "probe"), message);
    }
    if is_too_long(slots.decide, slots.probe) {
        let message = format!(
            "{} puts more than {MOST_PROBES} probes in slots.decide ({}): that many are kept of a link",
            slots.probe, slots.decide
        );
        doubts.value(&under(place, "probe"), message);
    }
    Some(slots)
}

pub(super) fn policy(raw: &RawPolicy, doubts: &mut Doubts<'_>) -> Option<Policy> {
    let mut span =
        |field: &str, text: &str, least: Span| doubts.span(at!["policy", field], text, (least, DAY));
    let proposal_ttl = span("proposal_ttl", &raw.proposal_ttl, MILLI);
    let cool_down = span("cool_down", &raw.cool_down, Span::ZERO);
    let confirm_within = span("confirm_within", &raw.confirm_within, MILLI);
    let prove_within = span("prove_within", &raw.prove_within, Span::ZERO);
    let stale_after = span("stale_after", &raw.stale_after, MILLI);
    let probe_timeout = span("probe_timeout", &raw.probe_timeout, MILLI);
    doubts.within(at!["policy", "gain_min"], raw.gain_min, 0.0..=1e6);
    doubts.within(at!["policy", "gain_min_share"], raw.gain_min_share, 0.0..=1.0);
    doubts.within(at!["policy", "down_after"], raw.down_after.into(), 1.0..=1000.0);
    doubts.within(at!["policy", "up_after"], raw.up_after.into(), 1.0..=1000.0);
    Some(Policy {
        proposal_ttl: proposal_ttl?,
        cool_down: cool_down?,
        gain_min: raw.gain_min,
        gain_min_share: raw.gain_min_share,
        confirm_within: confirm_within?,
        prove_within: prove_within?,
        down_after: raw.down_after,
        up_after: raw.up_after,
        stale_after: stale_after?,
        probe_timeout: probe_timeout?,
    })
}

/// Limits that only make sense together.
pub(super) fn calm(slots: Slots, policy: &Policy, doubts: &mut Doubts<'_>) {
    // Between two probes nothing is heard: figures must not be called stale for that.
    if policy.stale_after <= slots.probe {
        let message = format!(
            "{} must be longer than slots.probe ({})",
            policy.stale_after, slots.probe
        );
        doubts.value(at!["policy", "stale_after"], message);
    }
}

/// Whether a window holds more probes than are kept.
pub(super) fn is_too_long(window: Span, probe: Span) -> bool {
    window.micros() / probe.micros().max(1) > MOST_PROBES.into()
}

fn under(place: &[Step], field: &str) -> Vec<Step> {
    let mut path = place.to_vec();
    path.push(Step::Key(field.to_owned()));
    path
}
