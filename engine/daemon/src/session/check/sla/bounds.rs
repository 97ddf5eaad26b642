//! The bounds M^k and weights alpha_k of a class.

use std::collections::BTreeMap;

use pacao_core::config::Term;
use proto::proposal::Criterion;

use super::super::doubts::{Doubts, at};
use crate::session::raw::{RawBounds, RawSla, RawWeights};

/// A criterion that a class need not name.
struct Further {
    criterion: Criterion,
    /// Its field under `bounds`, what is given, and the most that may be.
    bound: (&'static str, Option<f64>, f64),
    /// Its field under `weights`, and what is given.
    weight: (&'static str, Option<f64>),
}

/// Thesis (5.1): each alpha lies in 0 to 1 and together they are 1.
pub(super) fn bounds_and_weights(
    sla: &RawSla,
    name: &String,
    doubts: &mut Doubts<'_>,
) -> BTreeMap<Criterion, Term> {
    let (bounds, weights) = (&sla.bounds, &sla.weights);
    for (field, bound, most) in [
        ("rtt_ms", bounds.rtt_ms, 60_000.0),
        ("jitter_ms", bounds.jitter_ms, 60_000.0),
        ("loss_pct", bounds.loss_pct, 100.0),
        // Held as its complement below, so its own range is looked at here.
        ("availability_pct", bounds.availability_pct.unwrap_or(0.0), 100.0),
    ] {
        doubts.within(at!["sla", name, "bounds", field], bound, 0.0..=most);
    }
    let mut sum = 0.0;
    let mut weigh = |field: &str, weight: f64, doubts: &mut Doubts<'_>| {
        doubts.within(at!["sla", name, "weights", field], weight, 0.0..=1.0);
        sum += weight;
    };
    for (field, weight) in [
        ("rtt", weights.rtt),
        ("jitter", weights.jitter),
        ("loss", weights.loss),
    ] {
        weigh(field, weight, doubts);
    }
    let mut terms = BTreeMap::new();
    for further in further(bounds, weights) {
        let weight = further.weight.1.unwrap_or(0.0);
        weigh(further.weight.0, weight, doubts);
        let term = term(&further, weight, name, doubts);
        terms.extend(term.map(|term| (further.criterion, term)));
    }
    if (sum - 1.0).abs() > 1e-6 {
        let sum = (sum * 1e6).round() / 1e6;
        doubts.value(
            at!["sla", name, "weights"],
            format!("the weights sum to {sum}, not to 1"),
        );
    }
    terms
}

/// What has a bound counts; what weighs something must have one.
fn term(further: &Further, weight: f64, name: &String, doubts: &mut Doubts<'_>) -> Option<Term> {
    let (field, bound, most) = further.bound;
    if let Some(bound) = bound {
        doubts.within(at!["sla", name, "bounds", field], bound, 0.0..=most);
        return Some(Term { bound, weight });
    }
    if weight > 0.0 {
        let message = format!("it weighs something and has no bound: give `bounds.{field}`");
        doubts.value(at!["sla", name, "weights", further.weight.0], message);
    }
    None
}

fn further(bounds: &RawBounds, weights: &RawWeights) -> [Further; 6] {
    let further = |criterion, bound, weight| Further {
        criterion,
        bound,
        weight,
    };
    let complement = bounds
        .availability_pct
        .map(|least| (100.0 - least).clamp(0.0, 100.0));
    [
        further(
            Criterion::Unavailability,
            ("availability_pct", complement, 100.0),
            ("availability", weights.availability),
        ),
        further(
            Criterion::Ram,
            ("ram_pct", bounds.ram_pct, 100.0),
            ("ram", weights.ram),
        ),
        further(
            Criterion::Cpu,
            ("cpu_pct", bounds.cpu_pct, 100.0),
            ("cpu", weights.cpu),
        ),
        further(
            Criterion::Capacity,
            ("capacity_pct", bounds.capacity_pct, 100.0),
            ("capacity", weights.capacity),
        ),
        further(
            Criterion::IsisCost,
            ("isis_cost", bounds.isis_cost, 4e6),
            ("isis_cost", weights.isis_cost),
        ),
        further(
            Criterion::Price,
            ("price", bounds.price, 4e6),
            ("price", weights.price),
        ),
    ]
}
