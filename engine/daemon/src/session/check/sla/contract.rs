//! What a class's users were promised of availability, and what it costs to break that.

use pacao_core::config::{Contract, Penalty};
use proto::availability::{Availability, Horizon};

use super::super::doubts::{Doubts, at};
use crate::session::raw::RawContract;

/// Steps of penalties, at most.
const MAX_STEPS: usize = 20;
/// A penalty, at most: sums over users and years stay whole numbers.
const MAX_AMOUNT: u64 = 1_000_000_000;
const MAX_UNIT: usize = 12;

pub(super) fn read(raw: &RawContract, name: &String, doubts: &mut Doubts<'_>) -> Option<Contract> {
    let target = doubts.good(
        at!["sla", name, "availability", "target_pct"],
        share(raw.target_pct),
    );
    let per = doubts.good(at!["sla", name, "availability", "per"], period(&raw.per));
    if raw.unit.is_empty() || raw.unit.len() > MAX_UNIT || !raw.unit.chars().all(|c| c.is_ascii_alphabetic())
    {
        let message = format!("give one word of at most {MAX_UNIT} letters, such as points or EUR");
        doubts.value(at!["sla", name, "availability", "unit"], message);
    }
    if raw.penalties.len() > MAX_STEPS {
        let message = format!(
            "{} steps are too many: give at most {MAX_STEPS}",
            raw.penalties.len()
        );
        doubts.value(at!["sla", name, "availability", "penalties"], message);
    }
    let mut penalties: Vec<Penalty> = Vec::new();
    for (step, raw) in raw.penalties.iter().enumerate().take(MAX_STEPS) {
        let place = at!["sla", name, "availability", "penalties", step, "below_pct"];
        let Some(below) = doubts.good(place, share(raw.below_pct)) else {
            continue;
        };
        let amount = raw.amount;
        if target.is_some_and(|target| below > target) {
            let message = format!("{below} is above the target: a penalty for what was not promised");
            doubts.value(place, message);
        }
        if let Some(before) = penalties.last() {
            if below >= before.below {
                let message = format!(
                    "{below} is not below the step before ({}): write the highest first",
                    before.below
                );
                doubts.value(place, message);
            }
            if amount <= before.amount {
                let message = format!(
                    "{amount} is not more than the step before ({}): a deeper breach costs more",
                    before.amount
                );
                doubts.value(
                    at!["sla", name, "availability", "penalties", step, "amount"],
                    message,
                );
            }
        }
        if amount > MAX_AMOUNT {
            let message = format!("{amount} is out of range: give 0 to {MAX_AMOUNT}");
            doubts.value(
                at!["sla", name, "availability", "penalties", step, "amount"],
                message,
            );
        }
        penalties.push(Penalty { below, amount });
    }
    Some(Contract {
        target: target?,
        per: per?,
        unit: raw.unit.clone(),
        penalties,
    })
}

fn share(percent: f64) -> Result<Availability, String> {
    Availability::from_percent(percent).ok_or_else(|| format!("{percent} is out of range: give 0 to 100"))
}

fn period(word: &str) -> Result<Horizon, String> {
    match word {
        "week" => Ok(Horizon::Week),
        "month" => Ok(Horizon::Month),
        "year" => Ok(Horizon::Year),
        _ => Err(format!(
            "'{word}' is no period: give week, month or year (of the calendar, UTC)"
        )),
    }
}
