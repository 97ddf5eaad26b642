//! SLA classes: bounds, weights, statistics, and how their links are watched.

mod bounds;
mod contract;
mod figures;

use std::collections::{BTreeMap, BTreeSet};

use pacao_core::config::{
    Bands, MOST_PROBES, OnViolation, Policy, Sla, SlidingWindow, Slots, Statistic, Statistics, Terms, Watch,
    Weights, shipped,
};
use proto::proposal::Criterion;
use proto::{SlaName, Span};

pub(super) use figures::figures;

use super::doubts::{Doubts, at};
use super::limits::{self, DAY, MILLI};
use crate::session::raw::{RawSession, RawSla};

/// Parts of a window.
const MAX_PARTS: u32 = 100;

/// The classes of the session, and those shipped that its users name without the session defining them.
pub(super) fn slas(
    raw: &RawSession,
    (slots, policy): (Option<Slots>, Option<&Policy>),
    doubts: &mut Doubts<'_>,
) -> BTreeMap<SlaName, Sla> {
    let mut slas = BTreeMap::new();
    for (name, sla) in &raw.sla.0 {
        let known = SlaName::new(name).map_err(|error| doubts.key(at!["sla", name], error.to_string()));
        let made = class(sla, name, doubts);
        // The session's own slots are looked at once, for all.
        let own = made
            .as_ref()
            .map(|made| made.watch)
            .filter(|watch| watch.slots.is_some() || watch.window.is_some());
        if let (Some(watch), Some(slots), Some(policy)) = (own, slots, policy) {
            if let Some(own) = watch.slots {
                limits::calm(own, policy, doubts);
            }
            let window = watch
                .window
                .map_or(watch.slots.unwrap_or(slots).decide, SlidingWindow::whole);
            let probe = watch.slots.unwrap_or(slots).probe;
            if limits::is_too_long(window, probe) {
                let message = format!(
                    "{window} holds more than {MOST_PROBES} probes, one each {probe}: that many are kept of a link"
                );
                doubts.value(at!["sla", name, "window"], message);
            }
        }
        if let (Ok(known), Some(made)) = (known, made) {
            slas.insert(known, made);
        }
    }
    for (_, user) in &raw.users.0 {
        if let (Ok(name), Some(class)) = (SlaName::new(&user.sla), shipped(&user.sla)) {
            slas.entry(name).or_insert(class);
        }
    }
    slas
}

fn class(sla: &RawSla, name: &String, doubts: &mut Doubts<'_>) -> Option<Sla> {
    let further = bounds::bounds_and_weights(sla, name, doubts);
    doubts.within(at!["sla", name, "dscp"], sla.dscp.into(), 0.0..=63.0);
    let statistic = doubts.good(at!["sla", name, "statistic"], statistic(&sla.statistic));
    let mut other = |field: &str, text: &Option<String>| match text {
        None => Some(Statistic::Mean),
        Some(text) => doubts.good(at!["sla", name, "statistics", field], self::statistic(text)),
    };
    let jitter = other("jitter", &sla.statistics.jitter);
    let loss = other("loss", &sla.statistics.loss);
    let availability = other("availability", &sla.statistics.availability);
    let mut hard = BTreeSet::new();
    for (at, word) in sla.hard.iter().enumerate() {
        let criterion = doubts.good(at!["sla", name, "hard", at], criterion(word));
        hard.extend(criterion);
        if let Some(criterion) = criterion
            && !further.contains_key(&criterion)
            && !matches!(criterion, Criterion::Rtt | Criterion::Jitter | Criterion::Loss)
        {
            let message = format!("{word} is to be enforced and has no bound: give one under `bounds`");
            doubts.value(at!["sla", name, "hard", at], message);
        }
    }
    let watch = watch(sla, name, doubts);
    let contract = sla
        .availability
        .as_ref()
        .and_then(|raw| contract::read(raw, name, doubts));
    Some(Sla {
        rtt_ms: sla.bounds.rtt_ms,
        jitter_ms: sla.bounds.jitter_ms,
        loss_pct: sla.bounds.loss_pct,
        weights: Weights {
            rtt: sla.weights.rtt,
            jitter: sla.weights.jitter,
            loss: sla.weights.loss,
        },
        statistic: statistic?,
        dscp: sla.dscp,
        terms: Terms {
            further,
            statistics: Statistics {
                jitter: jitter?,
                loss: loss?,
                availability: availability?,
            },
            hard,
            contract,
        },
        watch,
    })
}

fn watch(sla: &RawSla, name: &String, doubts: &mut Doubts<'_>) -> Watch {
    let slots = sla
        .slots
        .as_ref()
        .and_then(|slots| limits::slots(slots, at!["sla", name, "slots"], doubts));
    let window = sla
        .window
        .as_ref()
        .and_then(|text| doubts.good(at!["sla", name, "window"], window(text)));
    for (field, count) in [("down_after", sla.down_after), ("up_after", sla.up_after)] {
        if let Some(count) = count {
            doubts.within(at!["sla", name, field], count.into(), 1.0..=1000.0);
        }
    }
    let bands = &sla.bands;
    for (field, share) in [
        ("warn_pct", bands.warn),
        ("leave_pct", bands.leave),
        ("enter_pct", bands.enter),
    ] {
        doubts.within(at!["sla", name, "bands", field], share, 1.0..=1000.0);
    }
    if bands.enter > bands.leave {
        let message = format!(
            "{} is above leave_pct ({}): a level would be broken and kept at once",
            bands.enter, bands.leave
        );
        doubts.value(at!["sla", name, "bands", "enter_pct"], message);
    }
    let on_violation = match &sla.on_violation {
        None => None,
        Some(text) => doubts.good(at!["sla", name, "on_violation"], on_violation(text)),
    };
    Watch {
        slots,
        window,
        down_after: sla.down_after,
        up_after: sla.up_after,
        bands: Bands {
            warn: bands.warn / 100.0,
            leave: bands.leave / 100.0,
            enter: bands.enter / 100.0,
        },
        on_violation: on_violation.unwrap_or_default(),
    }
}

/// `mean`, `median`, `worst`, a quantile such as `p95`, or `trimmed10`: the mean without 10 % at each end.
pub(super) fn statistic(text: &str) -> Result<Statistic, String> {
    let percent = |prefix: &str| text.strip_prefix(prefix)?.parse::<f64>().ok();
    let quantile = || {
        percent("p")
            .filter(|&percent| percent > 0.0 && percent < 100.0)
            .map(|percent| Statistic::Quantile(percent / 100.0))
    };
    let trimmed = || {
        percent("trimmed")
            .filter(|&percent| percent > 0.0 && percent < 50.0)
            .map(|percent| Statistic::Trimmed(percent / 100.0))
    };
    match text {
        "mean" => Ok(Statistic::Mean),
        "median" => Ok(Statistic::Quantile(0.5)),
        "worst" => Ok(Statistic::Worst),
        _ => trimmed().or_else(quantile).ok_or_else(|| {
            format!(
                "'{text}' is no statistic: give mean, median, worst, a quantile such as p95, or trimmed10 (the mean \
                 without 10 % at each end)"
            )
        }),
    }
}

/// `30s x 4`, or `30s`.
fn window(text: &str) -> Result<SlidingWindow, String> {
    let wrong = || format!("'{text}' is no window: write it like 30s x 4");
    let (part, parts) = text.split_once(" x ").unwrap_or((text, "1"));
    let part = Span::parse(part.trim()).map_err(|_| wrong())?;
    let parts: u32 = parts.trim().parse().map_err(|_| wrong())?;
    let window = SlidingWindow { part, parts };
    if part < MILLI || !(1..=MAX_PARTS).contains(&parts) || window.whole() > DAY {
        return Err(format!(
            "'{text}' is out of range: give 1 to {MAX_PARTS} parts, a day at most"
        ));
    }
    Ok(window)
}

/// `hold`, `best_of_worst`, `best_of_worst(10%)`, `migrate`.
fn on_violation(text: &str) -> Result<OnViolation, String> {
    let variance = || {
        let percent = text.strip_prefix("best_of_worst(")?.strip_suffix("%)")?;
        let percent: f64 = percent.trim().parse().ok()?;
        (0.0..=100.0)
            .contains(&percent)
            .then_some(OnViolation::BestOfWorst(percent / 100.0))
    };
    match text {
        "hold" => Ok(OnViolation::Hold),
        "best_of_worst" => Ok(OnViolation::BestOfWorst(0.0)),
        "migrate" => Ok(OnViolation::Migrate),
        _ => variance().ok_or_else(|| {
            format!("'{text}' is unknown: give hold, best_of_worst, best_of_worst(10%), or migrate")
        }),
    }
}

/// Criteria as sessions write them.
pub(in crate::session) const WORDS: [(&str, Criterion); 9] = [
    ("rtt", Criterion::Rtt),
    ("jitter", Criterion::Jitter),
    ("loss", Criterion::Loss),
    ("availability", Criterion::Unavailability),
    ("ram", Criterion::Ram),
    ("cpu", Criterion::Cpu),
    ("capacity", Criterion::Capacity),
    ("isis_cost", Criterion::IsisCost),
    ("price", Criterion::Price),
];

fn criterion(word: &str) -> Result<Criterion, String> {
    WORDS
        .iter()
        .find(|(known, _)| *known == word)
        .map(|&(_, criterion)| criterion)
        .ok_or_else(|| {
            let words: Vec<&str> = WORDS.iter().map(|&(known, _)| known).collect();
            format!("'{word}' is no criterion; known: {}", words.join(", "))
        })
}
