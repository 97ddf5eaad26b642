//! Change-Priority: what the thesis's Algorithm 1 does, and that nobody else can do it.

mod solicited;

use lisp_wire::message::{ChangePriority, Purpose};
use lisp_wire::{Locator, Message, Priority, Rloc};
use node::Input;
use node::config::{Legacy, OwnEid, TellBy};
use proto::node::{ChangeOutcome, DatabaseRow, RequesterRow, Show, Tell};
use proto::{Audience, ChangeId, NodeCommand, NodeReport, Span};

use crate::fabric::{
    Fabric, VM, VM_BLOCK, fabric, fabric_with, lip6, lyon, marilyn, paris, prefix, ranked, switch, telco,
};
use crate::network::{CLIENT, Network, Packet, Way};
use crate::resolving::{asked_by, bytes_of};

pub(crate) fn change_priority(packet: &Packet) -> Option<ChangePriority> {
    match packet.message()? {
        Message::ChangePriority(message) => Some(message),
        _ => None,
    }
}

pub(crate) fn is_update(packet: &Packet) -> bool {
    change_priority(packet).is_some_and(|message| message.purpose == Purpose::UpdateCache)
}

pub(crate) fn is_change_priority(packet: &Packet) -> bool {
    change_priority(packet).is_some()
}

fn is_solicitation(packet: &Packet) -> bool {
    matches!(packet.message(), Some(Message::MapRequest(request)) if request.solicit)
}

pub(crate) fn outcomes(net: &Network, index: usize, change: u64) -> Vec<ChangeOutcome> {
    let of = |report: &NodeReport| match report {
        NodeReport::Changed { change: id, outcome } if *id == ChangeId(change) => Some(outcome.clone()),
        _ => None,
    };
    net.member(index)
        .reports
        .iter()
        .filter_map(|(_, _, report)| of(report))
        .collect()
}

pub(crate) fn database(net: &mut Network, index: usize) -> Vec<DatabaseRow> {
    match net.command(index, NodeCommand::Show { what: Show::Database }) {
        NodeReport::Database { rows } => rows,
        other => panic!("the database was asked for, not {other:?}"),
    }
}

fn requesters(net: &mut Network, index: usize) -> Vec<RequesterRow> {
    match net.command(
        index,
        NodeCommand::Show {
            what: Show::Requesters,
        },
    ) {
        NodeReport::Requesters { rows } => rows,
        other => panic!("the requesters were asked for, not {other:?}"),
    }
}

pub(crate) fn priority(locators: &[Locator], rloc: Rloc) -> Option<Priority> {
    locators
        .iter()
        .find(|locator| locator.rloc == rloc)
        .map(|locator| locator.priority)
}

/// Both users speak to the VM.
pub(crate) fn busy_fabric() -> (Network, Fabric) {
    let (mut net, at) = fabric();
    net.miss(at.paris, VM);
    net.miss(at.lyon, VM);
    net.run_for(Span::secs(3));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    net.forget_reports();
    (net, at)
}

/// The same, where clients are told by Change-Priority, whatever they have shown.
fn insisting_fabric() -> (Network, Fabric) {
    let (mut net, at) = fabric_with(insisting);
    net.miss(at.paris, VM);
    net.miss(at.lyon, VM);
    net.run_for(Span::secs(3));
    net.forget_reports();
    (net, at)
}

fn insisting(mut config: node::Config) -> node::Config {
    config.change_priority.tell_by = TellBy::ChangePriority;
    config
}

#[test]
fn a_switch_moves_one_client_after_one_way_and_is_acknowledged_after_a_round_trip() {
    let (mut net, at) = busy_fabric();
    let expires = net.cache(at.paris)[0].expires_in;
    assert_eq!(
        net.command(at.telco, switch(1, paris(), &[marilyn(), telco()])),
        NodeReport::Done
    );
    net.run_for(Span::millis(10));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    assert_eq!(net.member(at.lyon).way(VM), Way::To(telco()));
    net.run_for(Span::millis(10));
    let acknowledged = ChangeOutcome::Acknowledged {
        client: paris(),
        after: Span::millis(20),
        attempts: 1,
    };
    assert_eq!(outcomes(&net, at.telco, 1), [acknowledged]);
    let row = net.cache(at.paris)[0].clone();
    assert_eq!(row.origin, "change-priority");
    assert_eq!(row.expires_in.micros(), expires.micros() - 20_000);
    // Nothing is repeated after that.
    net.run_for(Span::secs(10));
    assert_eq!(net.tap.iter().filter(|packet| is_update(packet)).count(), 1);
}

#[test]
fn a_switch_from_another_data_centre_than_the_vms_own_works_too() {
    let (mut net, at) = busy_fabric();
    net.command(at.lip6, switch(1, paris(), &[lip6()]));
    net.run_for(Span::millis(20));
    assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()));
}

#[test]
fn a_lost_update_is_repeated_and_a_lost_acknowledgement_does_not_apply_it_twice() {
    let (mut net, at) = insisting_fabric();
    let mut seen = 0;
    // The first update, and the acknowledgement of the second.
    net.lose(move |packet| {
        seen += usize::from(is_change_priority(packet));
        is_change_priority(packet) && (seen == 1 || seen == 3)
    });
    let before = net.member(at.paris).publications;
    net.command(at.telco, switch(1, paris(), &[marilyn(), telco()]));
    net.run_for(Span::secs(2));
    let acknowledged = ChangeOutcome::Acknowledged {
        client: paris(),
        after: Span::millis(320),
        attempts: 3,
    };
    assert_eq!(outcomes(&net, at.telco, 1), [acknowledged]);
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    assert_eq!(net.member(at.paris).publications, before + 1);
    assert_eq!(net.counter(at.paris, "control.change-priority.applied"), 1);
}

#[test]
fn the_same_change_twice_in_flight_is_one() {
    let (mut net, at) = busy_fabric();
    for _ in 0..3 {
        assert_eq!(
            net.command(at.telco, switch(1, paris(), &[marilyn()])),
            NodeReport::Done
        );
    }
    net.run_for(Span::secs(1));
    assert_eq!(outcomes(&net, at.telco, 1).len(), 1);
    assert_eq!(net.tap.iter().filter(|packet| is_update(packet)).count(), 1);
}

#[test]
fn a_newer_change_overtakes_one_in_flight() {
    let (mut net, at) = busy_fabric();
    net.command(at.telco, switch(1, paris(), &[marilyn()]));
    net.command(at.telco, switch(2, paris(), &[lip6()]));
    net.run_for(Span::secs(1));
    assert_eq!(
        outcomes(&net, at.telco, 1),
        [ChangeOutcome::Unanswered {
            client: paris(),
            attempts: 1
        }]
    );
    assert!(matches!(
        outcomes(&net, at.telco, 2)[..],
        [ChangeOutcome::Acknowledged { attempts: 1, .. }]
    ));
    assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()));
}

#[test]
fn all_of_thousands_who_asked_are_told_and_overtaken_once_each() {
    let (mut net, at) = fabric();
    for client in 0x0b00_0000..0x0b00_0000 + 3000 {
        let bytes = bytes_of(&Message::MapRequest(asked_by(client)));
        net.inject("172.16.6.6:4342".parse().unwrap(), telco().0, bytes);
        net.run_for(Span(200));
    }
    net.run_for(Span::millis(10));
    for change in [1, 2] {
        let everyone = NodeCommand::SetLocators {
            change: ChangeId(change),
            eid: prefix(VM_BLOCK),
            audience: Audience::Everyone,
            locators: ranked(&[marilyn(), telco()]),
            tell: Tell::ChangePriority,
        };
        assert_eq!(net.command(at.telco, everyone), NodeReport::Done);
    }
    assert_eq!(outcomes(&net, at.telco, 1).len(), 3000);
    assert_eq!(outcomes(&net, at.telco, 2).len(), 0);
    net.run_for(Span::secs(10));
    assert_eq!(outcomes(&net, at.telco, 2).len(), 3000);
}

#[test]
fn a_client_without_traffic_acknowledges_and_finds_its_view_later() {
    let (mut net, at) = fabric();
    net.command(at.telco, switch(1, paris(), &[lip6()]));
    net.run_for(Span::millis(50));
    assert!(matches!(
        outcomes(&net, at.telco, 1)[..],
        [ChangeOutcome::Acknowledged { .. }]
    ));
    assert_eq!(net.member(at.paris).way(VM), Way::Miss);
    assert_eq!(net.counter(at.paris, "control.change-priority.idle"), 1);
    net.miss(at.paris, VM);
    net.run_for(Span::millis(100));
    assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()));
}

#[test]
fn an_update_that_races_an_older_answer_comes_again_after_it() {
    let (mut net, at) = fabric_with(insisting);
    net.miss(at.paris, VM);
    // The ETR answers at 20 ms by the old view; the update is sent right after, and arrives with it.
    net.delay(telco().0, paris().0, Span::millis(30));
    net.run_for(Span::millis(21));
    net.delay(telco().0, paris().0, Span::millis(5));
    net.command(at.telco, switch(1, paris(), &[marilyn()]));
    net.run_for(Span::secs(1));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    assert_eq!(net.counter(at.paris, "control.refused.awaited"), 1);
    assert!(matches!(
        outcomes(&net, at.telco, 1)[..],
        [ChangeOutcome::Acknowledged { attempts: 2, .. }]
    ));
}

#[test]
fn a_client_that_speaks_no_change_priority_is_solicited_instead() {
    let (mut net, at) = insisting_fabric();
    net.lose(is_change_priority);
    net.command(at.telco, switch(1, paris(), &[marilyn(), telco()]));
    net.run_for(Span::millis(6_299));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    net.run_for(Span::millis(100));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    assert!(matches!(
        outcomes(&net, at.telco, 1)[..],
        [ChangeOutcome::Acknowledged { attempts: 7, .. }]
    ));
    // The next time it is solicited at once.
    net.run_for(Span::secs(5));
    net.command(at.telco, switch(2, paris(), &[lip6()]));
    net.run_for(Span::millis(50));
    assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()));
    assert!(matches!(
        outcomes(&net, at.telco, 2)[..],
        [ChangeOutcome::Acknowledged { attempts: 2, .. }]
    ));
}

#[test]
fn a_client_that_is_gone_is_reported_and_keeps_its_view() {
    let (mut net, at) = busy_fabric();
    net.kill(at.paris);
    net.command(at.telco, switch(1, paris(), &[lip6()]));
    net.run_for(Span::secs(10));
    assert_eq!(
        outcomes(&net, at.telco, 1),
        [ChangeOutcome::Unanswered {
            client: paris(),
            attempts: 9
        }]
    );
    let update = |packet: &&Packet| is_update(packet) && packet.to.ip() == paris().0;
    let sent: Vec<u64> = net
        .tap
        .iter()
        .filter(update)
        .map(|packet| packet.sent_at.micros() / 1000)
        .collect();
    let gaps: Vec<u64> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps, [100, 200, 400, 800, 1600]);
    let view = database(&mut net, at.telco)
        .into_iter()
        .find(|row| row.audience == Audience::Client { rloc: paris() });
    assert_eq!(priority(&view.unwrap().locators, lip6()), Some(Priority(1)));
}

#[test]
fn a_change_for_everyone_is_registered_and_told_to_all_who_asked_but_those_with_a_view() {
    let (mut net, at) = busy_fabric();
    net.command(at.telco, switch(1, lyon(), &[lip6()]));
    net.run_for(Span::secs(1));
    let everyone = NodeCommand::SetLocators {
        change: ChangeId(2),
        eid: prefix(VM_BLOCK),
        audience: Audience::Everyone,
        locators: ranked(&[marilyn(), telco()]),
        tell: Tell::ChangePriority,
    };
    net.command(at.telco, everyone);
    net.run_for(Span::secs(1));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    assert_eq!(net.member(at.lyon).way(VM), Way::To(lip6()));
    assert!(
        matches!(outcomes(&net, at.telco, 2)[..], [ChangeOutcome::Acknowledged { client, .. }] if client == paris())
    );
    let NodeReport::Registrations { rows } = net.command(
        at.server,
        NodeCommand::Show {
            what: Show::Registrations,
        },
    ) else {
        panic!("registrations were asked for");
    };
    assert_eq!(priority(&rows[0].locators, marilyn()), Some(Priority(1)));
}

#[test]
fn a_change_that_is_told_to_nobody_is_stored() {
    let (mut net, at) = busy_fabric();
    let mut command = switch(1, paris(), &[lip6()]);
    if let NodeCommand::SetLocators { tell, .. } = &mut command {
        *tell = Tell::Nobody;
    }
    net.command(at.telco, command);
    net.run_for(Span::secs(1));
    assert_eq!(outcomes(&net, at.telco, 1), [ChangeOutcome::Stored]);
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
}

#[test]
fn impossible_changes_are_refused_with_a_reason() {
    let (mut net, at) = busy_fabric();
    let mut foreign = switch(1, paris(), &[lip6()]);
    if let NodeCommand::SetLocators { eid, .. } = &mut foreign {
        *eid = prefix("10.9.0.0/16");
    }
    let itself = switch(2, telco(), &[lip6()]);
    let empty = switch(3, paris(), &[]);
    let twice = switch(4, paris(), &[lip6(), lip6()]);
    for command in [foreign, itself, empty, twice] {
        assert!(
            matches!(net.command(at.telco, command.clone()), NodeReport::Refused { .. }),
            "{command:?}"
        );
    }
    net.run_for(Span::secs(1));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    assert_eq!(database(&mut net, at.telco).len(), 1);
}

#[test]
fn who_asked_is_kept_for_as_long_as_what_they_were_told_lasts() {
    let (mut net, at) = busy_fabric();
    let clients: Vec<Rloc> = requesters(&mut net, at.telco)
        .iter()
        .map(|row| row.client)
        .collect();
    assert_eq!(clients, [paris(), lyon()]);
    net.run_for(Span::secs(601));
    assert!(requesters(&mut net, at.telco).is_empty());
}

#[test]
fn a_longer_eid_than_the_cached_one_moves_alone() {
    let (mut net, at) = fabric_with(|mut config| {
        for own in config
            .eids
            .iter_mut()
            .filter(|own| own.prefix == prefix(VM_BLOCK))
        {
            own.prefix = prefix("10.1.0.0/24");
        }
        config
    });
    net.miss(at.paris, "10.1.0.9");
    net.run_for(Span::secs(1));
    net.command(at.telco, switch(1, paris(), &[lip6()]));
    net.run_for(Span::secs(1));
    assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()));
    assert_eq!(net.member(at.paris).way("10.1.0.9"), Way::To(telco()));
    // Who asks now is told of both.
    net.miss(at.lyon, "10.1.0.9");
    net.run_for(Span::secs(1));
    assert_eq!(net.cache(at.lyon).len(), 2);
}

#[test]
fn the_legacy_form_goes_to_legacy_peers_and_is_taken_only_where_configured() {
    for (legacy, expected, refused) in [(Legacy::Accepted, marilyn(), 0), (Legacy::Refused, telco(), 1)] {
        let (mut net, at) = fabric_with(|mut config| {
            config.change_priority.legacy_peers = [paris()].into();
            config.change_priority.legacy = legacy;
            config
        });
        net.miss(at.paris, VM);
        net.run_for(Span::secs(3));
        net.command(at.telco, switch(1, paris(), &[marilyn(), telco()]));
        net.run_for(Span::millis(50));
        assert_eq!(net.member(at.paris).way(VM), Way::To(expected));
        assert_eq!(net.counter(at.paris, "control.refused.legacy"), refused);
        let update = net
            .tap
            .iter()
            .rev()
            .find(|packet| is_update(packet))
            .cloned()
            .unwrap();
        assert_eq!(update.bytes[0] >> 4, 5);
        // It cannot be acknowledged: the solicitation after it makes sure, and tells us.
        net.run_for(Span::secs(1));
        assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
        assert_eq!(net.tap.iter().filter(|packet| is_solicitation(packet)).count(), 1);
        assert!(matches!(
            outcomes(&net, at.telco, 1)[..],
            [ChangeOutcome::Acknowledged { attempts: 2, .. }]
        ));
        net.inject("172.16.6.6:4342".parse().unwrap(), paris().0, update.bytes);
        net.run_for(Span::millis(50));
        let counter = if legacy == Legacy::Accepted {
            "replay"
        } else {
            "legacy"
        };
        assert_eq!(
            net.counter(at.paris, &format!("control.refused.{counter}")),
            refused + 1
        );
    }
}

#[test]
fn whoever_orders_a_change_hears_of_it_without_subscribing() {
    let (mut net, at) = busy_fabric();
    net.input(at.telco, Input::ClientGone { client: CLIENT });
    net.command(at.telco, switch(1, paris(), &[marilyn()]));
    net.run_for(Span::millis(50));
    let direct = |(to, _, report): &&(node::To, Option<u64>, NodeReport)| {
        *to == node::To::Client(CLIENT) && matches!(report, NodeReport::Changed { .. })
    };
    assert_eq!(net.member(at.telco).reports.iter().filter(direct).count(), 1);
}

#[test]
fn a_lost_message_does_not_hold_up_another_about_another_eid_nor_is_it_held_up() {
    let (mut net, at) = fabric_with(|mut config| {
        config.change_priority.tell_by = TellBy::ChangePriority;
        let second = |own: &node::config::OwnEid| node::config::OwnEid {
            prefix: prefix("10.1.0.8/32"),
            ..own.clone()
        };
        let vm = config
            .eids
            .iter()
            .find(|own| own.prefix == prefix(VM_BLOCK))
            .map(second);
        config.eids.extend(vm);
        config
    });
    net.miss(at.paris, VM);
    net.miss(at.paris, "10.1.0.8");
    net.run_for(Span::secs(3));
    let mut updates = 0;
    net.lose(move |packet| {
        updates += u32::from(is_update(packet));
        is_update(packet) && updates == 1
    });
    net.command(at.telco, switch(1, paris(), &[marilyn()]));
    let mut second = switch(2, paris(), &[lip6()]);
    if let NodeCommand::SetLocators { eid, .. } = &mut second {
        *eid = prefix("10.1.0.8/32");
    }
    net.command(at.telco, second);
    net.run_for(Span::millis(130));
    assert_eq!(net.member(at.paris).way("10.1.0.8"), Way::To(lip6()));
    assert_eq!(
        net.member(at.paris).way(VM),
        Way::To(marilyn()),
        "the first came again after the second"
    );
    assert!(matches!(
        outcomes(&net, at.telco, 1)[..],
        [ChangeOutcome::Acknowledged { attempts: 2, .. }]
    ));
}
