//! Slots, policy and SLA classes: numbers that must lie within bounds, and some that only make sense together.

use std::collections::BTreeMap;

use pacao_core::config::{Policy, Sla, Slots, Statistic, Terms, Watch, Weights};
use proto::{SlaName, Span};

use super::doubts::{Doubts, at};
use crate::session::raw::{Entries, RawPolicy, RawSla, RawSlots};

/// The monitor keeps a window of them for each link.
const MAX_PROBES: u64 = 10_000;

const MILLI: Span = Span::millis(1);
const DAY: Span = Span::secs(86_400);

pub(super) fn slots(raw: &RawSlots, doubts: &mut Doubts<'_>) -> Option<Slots> {
    let decide = doubts.span(at!["slots", "decide"], &raw.decide, (MILLI, DAY));
    let settle = doubts.span(at!["slots", "settle"], &raw.settle, (MILLI, DAY));
    let probe = doubts.span(at!["slots", "probe"], &raw.probe, (Span::millis(10), DAY));
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
        doubts.value(at!["slots", "settle"], message);
    }
    if slots.probe.micros().saturating_mul(2) > slots.decide.micros() {
        let message = format!(
            "{} leaves less than two probes in slots.decide ({})",
            slots.probe, slots.decide
        );
        doubts.value(at!["slots", "probe"], message);
    }
    if slots.decide.micros() / slots.probe.micros() > MAX_PROBES {
        let message = format!(
            "{} puts more than {MAX_PROBES} probes in slots.decide ({})",
            slots.probe, slots.decide
        );
        doubts.value(at!["slots", "probe"], message);
    }
    Some(slots)
}

pub(super) fn policy(raw: &RawPolicy, doubts: &mut Doubts<'_>) -> Option<Policy> {
    let mut span =
        |field: &str, text: &str, least: Span| doubts.span(at!["policy", field], text, (least, DAY));
    let proposal_ttl = span("proposal_ttl", &raw.proposal_ttl, MILLI);
    let cool_down = span("cool_down", &raw.cool_down, Span::ZERO);
    let confirm_within = span("confirm_within", &raw.confirm_within, MILLI);
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
        prove_within: Span::ZERO,
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

pub(super) fn slas(raw: &Entries<RawSla>, doubts: &mut Doubts<'_>) -> BTreeMap<SlaName, Sla> {
    if raw.0.is_empty() {
        doubts.value(at!["sla"], "there is no SLA class: give at least one");
    }
    let mut slas = BTreeMap::new();
    for (name, sla) in &raw.0 {
        let known = SlaName::new(name).map_err(|error| doubts.key(at!["sla", name], error.to_string()));
        let bounds = [("rtt_ms", sla.bounds.rtt_ms), ("jitter_ms", sla.bounds.jitter_ms)];
        for (field, bound) in bounds {
            doubts.within(at!["sla", name, "bounds", field], bound, 0.0..=60_000.0);
        }
        doubts.within(
            at!["sla", name, "bounds", "loss_pct"],
            sla.bounds.loss_pct,
            0.0..=100.0,
        );
        doubts.within(at!["sla", name, "dscp"], sla.dscp.into(), 0.0..=63.0);
        let Weighted { rtt, jitter, loss } = weights(sla, name, doubts);
        let statistic = statistic(&sla.statistic);
        let statistic = doubts.good(at!["sla", name, "statistic"], statistic);
        if let (Ok(known), Some(statistic)) = (known, statistic) {
            let weights = Weights { rtt, jitter, loss };
            let (rtt_ms, jitter_ms, loss_pct) =
                (sla.bounds.rtt_ms, sla.bounds.jitter_ms, sla.bounds.loss_pct);
            slas.insert(
                known,
                Sla {
                    rtt_ms,
                    jitter_ms,
                    loss_pct,
                    weights,
                    statistic,
                    dscp: sla.dscp,
                    terms: Terms::default(),
                    watch: Watch::default(),
                },
            );
        }
    }
    slas
}

struct Weighted {
    rtt: f64,
    jitter: f64,
    loss: f64,
}

/// Thesis (5.1): each alpha lies in 0 to 1 and together they are 1.
fn weights(sla: &RawSla, name: &String, doubts: &mut Doubts<'_>) -> Weighted {
    let Weighted { rtt, jitter, loss } = Weighted {
        rtt: sla.weights.rtt,
        jitter: sla.weights.jitter,
        loss: sla.weights.loss,
    };
    for (field, weight) in [("rtt", rtt), ("jitter", jitter), ("loss", loss)] {
        doubts.within(at!["sla", name, "weights", field], weight, 0.0..=1.0);
    }
    let sum = rtt + jitter + loss;
    if (sum - 1.0).abs() > 1e-6 {
        let sum = (sum * 1e6).round() / 1e6;
        doubts.value(
            at!["sla", name, "weights"],
            format!("the weights sum to {sum}, not to 1"),
        );
    }
    Weighted { rtt, jitter, loss }
}

fn statistic(text: &str) -> Result<Statistic, String> {
    let quantile = || {
        let percent: f64 = text.strip_prefix('p')?.parse().ok()?;
        (percent > 0.0 && percent < 100.0).then_some(Statistic::Quantile(percent / 100.0))
    };
    match text {
        "mean" => Ok(Statistic::Mean),
        "worst" => Ok(Statistic::Worst),
        _ => quantile()
            .ok_or_else(|| format!("'{text}' is no statistic: give mean, worst, or a quantile such as p95")),
    }
}
