//! What a knob has that nobody writes and that is no constant of the format: another knob's value, or one of many.

use std::collections::BTreeMap;

use pacao_core::Config;
use pacao_core::config::{Budget, Sla, When};
use serde_yaml::Value;

use super::Source;
use crate::session::check::WORDS;

/// By path.
pub(super) type Followed = BTreeMap<String, (Value, Source)>;

pub(super) fn all(config: &Config) -> Option<Followed> {
    let mut followed = Followed::new();
    policy(config, &mut followed)?;
    for (name, sla) in &config.sla {
        class(&format!("sla.{name}"), (sla, config), &mut followed);
    }
    for name in config.sites.keys() {
        constant(&format!("sites.{name}.price"), 0, &mut followed);
        for field in ["ram_mb", "cpu", "users"] {
            constant(
                &format!("sites.{name}.capacity.{field}"),
                "no limit",
                &mut followed,
            );
        }
    }
    for name in config.vms.keys() {
        constant(&format!("vms.{name}.shared"), "sum", &mut followed);
        for field in ["ram_mb", "cpu"] {
            constant(&format!("vms.{name}.demand.{field}"), 0, &mut followed);
        }
    }
    if config.legs.unwrap_or_default().measure {
        legs(config, &mut followed);
    }
    for part in ["wan", "fabric"] {
        constant(&format!("lab.{part}.default.rtt"), "0s", &mut followed);
        constant(&format!("lab.{part}.default.jitter"), "0s", &mut followed);
        constant(&format!("lab.{part}.default.loss_pct"), 0, &mut followed);
    }
    Some(followed)
}

fn constant(path: &str, value: impl Into<Value>, followed: &mut Followed) {
    followed.insert(path.to_owned(), (value.into(), Source::Default));
}

fn follow(path: &str, value: impl Into<Value>, field: impl Into<String>, followed: &mut Followed) {
    let source = Source::As { field: field.into() };
    followed.insert(path.to_owned(), (value.into(), source));
}

fn policy(config: &Config, followed: &mut Followed) -> Option<()> {
    let budget = serde_yaml::to_value(Budget::default()).ok()?;
    for (field, limit) in budget.as_mapping()? {
        let field = field.as_str()?;
        constant(&format!("policy.budget.{field}"), limit.clone(), followed);
        for scoped in &config.calm.budgets {
            constant(
                &format!("policy.budgets.{}.{field}", scoped.name),
                "no limit",
                followed,
            );
        }
    }
    for window in &config.calm.windows {
        let path = format!("policy.windows.{}", window.name);
        constant(&format!("{path}.who"), "everyone", followed);
        // One with dates happens once.
        if let When::Weekly { .. } = window.when {
            for kind in ["deny", "allow"] {
                constant(&format!("{path}.{kind}.days"), "every day", followed);
            }
        }
    }
    Some(())
}

fn class(path: &str, (sla, config): (&Sla, &Config), followed: &mut Followed) {
    let slots = &config.slots;
    for (field, span) in [
        ("slots.decide", slots.decide),
        ("slots.settle", slots.settle),
        ("slots.probe", slots.probe),
    ] {
        follow(&format!("{path}.{field}"), span.to_string(), field, followed);
    }
    let (whose, slots) = match &sla.watch.slots {
        Some(own) => (format!("{path}.slots"), own),
        None => ("slots".to_owned(), slots),
    };
    let window = slots.decide.to_string();
    follow(
        &format!("{path}.window"),
        window,
        format!("{whose}.decide"),
        followed,
    );
    let (down, up) = (config.policy.down_after, config.policy.up_after);
    follow(&format!("{path}.down_after"), down, "policy.down_after", followed);
    follow(&format!("{path}.up_after"), up, "policy.up_after", followed);
    constant(&format!("{path}.on_violation"), "best_of_worst", followed);
    for field in ["jitter", "loss", "availability"] {
        constant(&format!("{path}.statistics.{field}"), "mean", followed);
    }
    for (field, criterion) in WORDS {
        // What has no bound needs no weight.
        if sla.terms.further.contains_key(&criterion) {
            constant(&format!("{path}.weights.{field}"), 0, followed);
        }
    }
}

/// As the strictest of the classes that users have.
fn legs(config: &Config, followed: &mut Followed) {
    let used = || {
        let names = config.users.values().map(|user| &user.sla);
        names.filter_map(|name| Some((name, config.sla.get(name)?)))
    };
    let of = |name: &proto::SlaName, field: &str, is_own: bool, other: &str| {
        if is_own {
            format!("sla.{name}.{field}")
        } else {
            other.to_owned()
        }
    };
    let probes = used().map(|(name, sla)| {
        let own = sla.watch.slots;
        let probe = own.unwrap_or(config.slots).probe;
        (probe, of(name, "slots.probe", own.is_some(), "slots.probe"))
    });
    let downs = used().map(|(name, sla)| {
        let own = sla.watch.down_after;
        let count = own.unwrap_or(config.policy.down_after);
        (count, of(name, "down_after", own.is_some(), "policy.down_after"))
    });
    let ups = used().map(|(name, sla)| {
        let own = sla.watch.up_after;
        let count = own.unwrap_or(config.policy.up_after);
        (count, of(name, "up_after", own.is_some(), "policy.up_after"))
    });
    let probe = probes
        .min()
        .unwrap_or((config.slots.probe, "slots.probe".to_owned()));
    let down = downs
        .min()
        .unwrap_or((config.policy.down_after, "policy.down_after".to_owned()));
    let up = ups
        .max()
        .unwrap_or((config.policy.up_after, "policy.up_after".to_owned()));
    follow("legs.probe", probe.0.to_string(), probe.1, followed);
    follow("legs.down_after", down.0, down.1, followed);
    follow("legs.up_after", up.0, up.1, followed);
    let timeout = config.policy.probe_timeout.to_string();
    follow("legs.timeout", timeout, "policy.probe_timeout", followed);
}
