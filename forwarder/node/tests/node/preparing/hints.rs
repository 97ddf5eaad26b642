//! Where clients are, as the other site says: believed of clients only, and for want of anything better.

use lisp_wire::{EidPrefix, MappingRecord, Rloc};
use proto::Span;

use super::forged::{handed, inject, message, sealed};
use super::{arrived, prepare};
use crate::fabric::{Fabric, VM, VM_BLOCK, marilyn, move_key, paris, prefix, ranked, rloc, telco};
use crate::moving::busy_fabric;
use crate::network::{Network, Way};

fn record(eid: &str, at: Rloc) -> MappingRecord {
    MappingRecord {
        ttl: lisp_wire::Ttl(60),
        eid: prefix(eid),
        action: lisp_wire::Action::NoAction,
        authoritative: false,
        map_version: 0,
        locators: ranked(&[at]),
    }
}

/// Marilyn is handed Paris as a client, with these mappings.
fn hand(net: &mut Network, mappings: Vec<MappingRecord>) {
    let mut list = handed(&[paris()]);
    list.mappings = mappings;
    let bytes = sealed(message(net), &list, &move_key());
    inject(net, marilyn(), bytes);
}

fn taken_and_refused(net: &mut Network, at: Fabric) -> [u64; 2] {
    ["mappings", "mappings.refused"]
        .map(|name| net.counter(at.marilyn, &format!("control.preparations.{name}")))
}

fn origins(net: &mut Network, index: usize) -> Vec<(EidPrefix, String)> {
    let rows = net.cache(index);
    rows.into_iter().map(|row| (row.eid, row.origin)).collect()
}

#[test]
fn where_clients_are_is_believed_of_clients_only_and_never_of_our_own_eids() {
    let (mut net, at) = busy_fabric();
    let good = record("10.2.1.0/24", paris());
    let mappings = vec![
        good,
        record("10.9.0.0/16", rloc("172.16.6.6")),
        record("10.1.0.0/16", paris()),
    ];
    hand(&mut net, mappings);
    assert_eq!(taken_and_refused(&mut net, at), [1, 2]);
    assert_eq!(net.member(at.marilyn).way("10.2.1.1"), Way::To(paris()));
    assert_eq!(net.member(at.marilyn).way("10.9.0.1"), Way::Miss);
    assert_eq!(net.member(at.marilyn).way(VM), Way::Local);
}

#[test]
fn a_handed_mapping_is_of_the_eids_tenant_and_no_wider_than_a_site() {
    let (mut net, at) = busy_fabric();
    let mappings = vec![
        record("[7]10.2.1.0/24", paris()),
        record("0.0.0.0/0", paris()),
        record("11.0.0.0/8", paris()),
        record("10.2.0.0/15", paris()),
        record("::/0", paris()),
        record("2001:db8::/31", paris()),
        record("10.2.0.0/16", paris()),
        record("2001:db8::/32", paris()),
    ];
    hand(&mut net, mappings);
    assert_eq!(taken_and_refused(&mut net, at), [2, 6]);
    let known: Vec<EidPrefix> = origins(&mut net, at.marilyn)
        .into_iter()
        .map(|(eid, _)| eid)
        .collect();
    assert_eq!(known, [prefix("10.2.0.0/16"), prefix("2001:db8::/32")]);
}

#[test]
fn that_nobody_is_there_is_known_better_than_what_is_handed_over() {
    let (mut net, at) = busy_fabric();
    // Nobody has registered it, so that the mapping system says that there is a hole.
    net.miss(at.marilyn, "10.77.1.1");
    net.run_for(Span::millis(100));
    let before = origins(&mut net, at.marilyn);
    assert_ne!(net.member(at.marilyn).way("10.77.1.1"), Way::Miss);
    assert!(
        before
            .iter()
            .any(|(eid, origin)| origin == "map-reply" && eid.covers(&prefix("10.77.1.0/24")))
    );
    hand(&mut net, vec![record("10.77.1.0/24", paris())]);
    net.command(at.marilyn, arrived(2));
    assert_eq!(origins(&mut net, at.marilyn), before);
    assert_ne!(net.member(at.marilyn).way("10.77.1.1"), Way::To(paris()));
}

#[test]
fn what_is_asked_for_later_outdoes_a_longer_mapping_that_was_handed_over() {
    let (mut net, at) = busy_fabric();
    hand(
        &mut net,
        vec![
            record("10.2.1.128/25", rloc("172.16.6.6")),
            record("10.2.1.0/26", paris()),
        ],
    );
    assert_eq!(taken_and_refused(&mut net, at), [1, 1]);
    hand_stranger(&mut net);
    assert_eq!(
        net.member(at.marilyn).way("10.2.1.200"),
        Way::To(rloc("172.16.6.6"))
    );
    // Not in the handed blocks: it is asked for, and the answer is about all of it.
    net.miss(at.marilyn, "10.2.1.100");
    net.run_for(Span::millis(100));
    assert_eq!(net.member(at.marilyn).way("10.2.1.200"), Way::To(paris()));
    let known = origins(&mut net, at.marilyn);
    assert_eq!(known, [(prefix("10.2.1.0/24"), "map-reply".to_owned())]);
}

/// Marilyn is handed a client that is none, at a better place for half of Paris's EIDs.
fn hand_stranger(net: &mut Network) {
    let mut list = handed(&[rloc("172.16.6.6")]);
    list.mappings = vec![record("10.2.1.128/25", rloc("172.16.6.6"))];
    let bytes = sealed(message(net), &list, &move_key());
    inject(net, marilyn(), bytes);
}

#[test]
fn a_handed_mapping_that_leads_nowhere_is_no_mapping() {
    let (mut net, at) = busy_fabric();
    let nowhere = rloc("127.0.0.1");
    let mut list = handed(&[nowhere]);
    list.mappings = vec![record("10.2.1.0/24", nowhere)];
    let bytes = sealed(message(&net), &list, &move_key());
    inject(&mut net, marilyn(), bytes);
    assert_eq!(
        net.member(at.marilyn).way("10.2.1.1"),
        Way::Miss,
        "not dropped: asked for"
    );
}

#[test]
fn a_mapping_set_by_hand_is_known_better_too() {
    let (mut net, at) = busy_fabric();
    let known = proto::NodeCommand::SetCache {
        eid: prefix("10.2.0.0/16"),
        locators: ranked(&[telco()]),
        ttl: Span::secs(60),
    };
    net.command(at.marilyn, known);
    hand(&mut net, vec![record("10.2.1.0/24", paris())]);
    assert_eq!(net.member(at.marilyn).way("10.2.1.1"), Way::To(telco()));
    assert_eq!(
        net.command(at.telco, prepare(1, marilyn())),
        proto::NodeReport::Done
    );
    net.run_for(Span::millis(100));
    assert_eq!(net.member(at.marilyn).way("10.2.1.1"), Way::To(telco()));
    assert_eq!(net.member(at.marilyn).way(VM), Way::Local, "{VM_BLOCK}");
}
