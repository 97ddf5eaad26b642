//! The map cache against the simplest thing that could be right: a list searched from end to end.

use std::net::IpAddr;

use crate::{Entry, Forwarding, MapCache};
use lisp_wire::{Eid, EidPrefix, InstanceId};
use proptest::prelude::*;

/// Prefixes that share much, so that they cover and part each other in every way.
fn prefixes() -> impl Strategy<Value = EidPrefix> {
    let v4 = (0u32..2, any::<u32>(), 0u8..=32).prop_map(|(iid, bits, length)| {
        let address = IpAddr::from(std::net::Ipv4Addr::from(bits & 0xc0c0_00c3));
        (iid, address, length)
    });
    let v6 = (0u32..2, any::<u128>(), 0u8..=128).prop_map(|(iid, bits, length)| {
        let address = IpAddr::from(std::net::Ipv6Addr::from(
            bits & 0xc000_0000_0000_0300_0000_0000_0000_0003,
        ));
        (iid, address, length)
    });
    prop_oneof![v4, v6].prop_map(|(iid, address, length)| {
        EidPrefix::new(InstanceId::new(iid).unwrap(), address, length).unwrap()
    })
}

/// Insertions and removals.
fn changes() -> impl Strategy<Value = Vec<(EidPrefix, bool)>> {
    prop::collection::vec((prefixes(), prop::bool::weighted(0.7)), 0..80)
}

fn entry(prefix: EidPrefix) -> Entry {
    Entry {
        prefix,
        forwarding: Forwarding::Pending,
    }
}

fn longest(model: &[EidPrefix], eid: &Eid) -> Option<EidPrefix> {
    model
        .iter()
        .filter(|prefix| prefix.contains(eid))
        .max_by_key(|prefix| prefix.length())
        .copied()
}

fn agrees(cache: &MapCache, model: &[EidPrefix]) -> Result<(), TestCaseError> {
    prop_assert_eq!(cache.len(), model.len());
    let mut sorted = model.to_vec();
    sorted.sort_by_key(|prefix| {
        (
            prefix.iid(),
            prefix.address().is_ipv6(),
            prefix.address(),
            prefix.length(),
        )
    });
    let shown: Vec<EidPrefix> = cache.iter().map(|entry| entry.prefix).collect();
    prop_assert_eq!(shown, sorted);
    Ok(())
}

proptest! {
    #[test]
    fn the_longest_prefix_wins_just_as_in_a_list(changes in changes(), asked in prop::collection::vec(prefixes(), 30)) {
        let (mut cache, mut model) = (MapCache::new(), Vec::new());
        for (prefix, insert) in changes {
            let known = model.contains(&prefix);
            model.retain(|other| *other != prefix);
            let old = if insert {
                model.push(prefix);
                cache.insert(entry(prefix))
            } else {
                cache.remove(&prefix)
            };
            prop_assert_eq!(old.is_some(), known);
            prop_assert_eq!(cache.get(&prefix).is_some(), insert);
        }
        agrees(&cache, &model)?;
        for eid in asked.iter().chain(&model).map(EidPrefix::first) {
            prop_assert_eq!(cache.lookup(&eid).map(|entry| entry.prefix), longest(&model, &eid));
        }
    }

    #[test]
    fn a_reader_keeps_what_it_holds_while_the_writer_goes_on(before in changes(), after in changes()) {
        let mut cache = MapCache::new();
        for (prefix, _) in &before {
            cache.insert(entry(*prefix));
        }
        let held = cache.clone();
        let model: Vec<EidPrefix> = held.iter().map(|entry| entry.prefix).collect();
        for (prefix, insert) in after {
            if insert { cache.insert(entry(prefix)) } else { cache.remove(&prefix) };
        }
        agrees(&held, &model)?;
    }

    #[test]
    fn removing_everything_leaves_nothing(changes in changes()) {
        let mut cache = MapCache::new();
        for (prefix, _) in &changes {
            cache.insert(entry(*prefix));
        }
        for (prefix, _) in &changes {
            cache.remove(prefix);
        }
        prop_assert!(cache.is_empty() && cache.iter().next().is_none());
        for (prefix, _) in &changes {
            prop_assert!(cache.lookup(&prefix.first()).is_none());
        }
    }
}

#[test]
fn tenants_and_families_are_kept_apart() {
    let mut cache = MapCache::new();
    cache.insert(entry("[7]0.0.0.0/0".parse().unwrap()));
    let address = [10, 0, 0, 1].into();
    assert!(cache.lookup(&Eid::of(address)).is_none());
    assert!(
        cache
            .lookup(&Eid {
                iid: InstanceId::new(7).unwrap(),
                address
            })
            .is_some()
    );
    let v6 = "::".parse().unwrap();
    assert!(
        cache
            .lookup(&Eid {
                iid: InstanceId::new(7).unwrap(),
                address: v6
            })
            .is_none()
    );
}
