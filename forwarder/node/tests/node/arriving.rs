//! A VM moves to another site: arrival, handover, registration, restarts.

use lisp_wire::message::Purpose;
use lisp_wire::{Eid, Message, Priority, Rloc};
use node::Input;
use proto::node::{ChangeOutcome, Show};
use proto::{ChangeId, NodeCommand, NodeReport, Span};

use crate::fabric::{
    VM, VM_BLOCK, fabric_of_hosts, fabric_with, lip6, lyon, marilyn, paris, prefix, rloc, switch, telco,
};
use crate::moving::{busy_fabric, change_priority, database, is_update, outcomes, priority};
use crate::network::{Network, Packet, Way};
use crate::resolving::is_ecm;

#[test]
fn a_vm_that_arrives_takes_its_clients_and_its_registration_along() {
    let (mut net, at) = busy_fabric();
    let arrived = NodeCommand::Arrived {
        change: ChangeId(1),
        eid: prefix(VM_BLOCK),
    };
    assert_eq!(net.command(at.marilyn, arrived), NodeReport::Done);
    // One way to the old site, one way on to the clients.
    net.run_for(Span::millis(20));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    assert_eq!(net.member(at.lyon).way(VM), Way::To(marilyn()));
    net.run_for(Span::secs(200));
    let old = database(&mut net, at.telco).remove(0).locators;
    assert_eq!(
        (priority(&old, telco()), priority(&old, marilyn())),
        (Some(Priority::NEVER), Some(Priority(1)))
    );
    let new = database(&mut net, at.marilyn).remove(0).locators;
    assert_eq!(
        (priority(&new, marilyn()), priority(&new, telco())),
        (Some(Priority(1)), Some(Priority(2)))
    );
    let NodeReport::Registrations { rows } = net.command(
        at.server,
        NodeCommand::Show {
            what: Show::Registrations,
        },
    ) else {
        panic!("registrations were asked for");
    };
    let vm: Vec<Rloc> = rows
        .iter()
        .filter(|row| row.eid == prefix(VM_BLOCK))
        .map(|row| row.from)
        .collect();
    assert_eq!(vm, [marilyn()], "the old site has stopped registering");
    let told = outcomes(&net, at.marilyn, 1);
    assert_eq!(
        told.len(),
        3,
        "stored, and taken by the two others of the group: {told:?}"
    );
}

#[test]
fn a_registration_that_crossed_the_handover_does_not_win() {
    let (mut net, at) = busy_fabric();
    net.delay(telco().0, crate::fabric::server().0, Span::millis(15));
    // The old site repeats its registration at 60 s, 5 ms before the handover reaches it; it arrives after the new one.
    net.run_for(Span::millis(60_000 - 3_100 - 5));
    net.command(
        at.marilyn,
        NodeCommand::Arrived {
            change: ChangeId(1),
            eid: prefix(VM_BLOCK),
        },
    );
    net.run_for(Span::secs(2));
    let NodeReport::Registrations { rows } = net.command(
        at.server,
        NodeCommand::Show {
            what: Show::Registrations,
        },
    ) else {
        panic!("registrations were asked for");
    };
    let crossed = rows
        .iter()
        .find(|row| row.from == telco())
        .map(|row| row.expires_in);
    assert!(
        crossed.is_some_and(|left| left > Span::secs(178)),
        "the old site's last came at 60 s: {crossed:?}"
    );
    let newest = rows
        .iter()
        .filter(|row| row.eid == prefix(VM_BLOCK))
        .max_by_key(|row| row.expires_in);
    assert_eq!(newest.map(|row| row.from), Some(marilyn()));
}

#[test]
fn what_was_decided_outlives_a_restart_of_the_node_that_serves_it() {
    let (mut net, at) = busy_fabric();
    net.command(at.telco, switch(1, paris(), &[lip6()]));
    net.command(
        at.marilyn,
        NodeCommand::Arrived {
            change: ChangeId(2),
            eid: prefix("10.1.0.7/32"),
        },
    );
    net.run_for(Span::secs(2));
    // The handover came after the switch, and the view with it went.
    let before = database(&mut net, at.telco);
    assert_eq!(before.len(), 1);
    net.command(at.telco, switch(3, lyon(), &[lip6()]));
    net.run_for(Span::secs(2));
    let before = [at.telco, at.marilyn].map(|index| database(&mut net, index));
    for index in [at.telco, at.marilyn] {
        net.kill(index);
        net.start(index);
    }
    net.run_for(Span::secs(2));
    assert_eq!(
        [at.telco, at.marilyn].map(|index| database(&mut net, index)),
        before
    );
    let NodeReport::Registrations { rows } = net.command(
        at.server,
        NodeCommand::Show {
            what: Show::Registrations,
        },
    ) else {
        panic!("registrations were asked for");
    };
    let newest = rows
        .iter()
        .filter(|row| row.eid == prefix(VM_BLOCK))
        .max_by_key(|row| row.expires_in);
    assert_eq!(
        newest.map(|row| row.from),
        Some(marilyn()),
        "the old site does not claim the VM back"
    );
}

#[test]
fn a_client_that_was_only_given_a_view_hears_of_the_handover_too() {
    let (mut net, at) = busy_fabric();
    // Paris asked the VM's home; the third site only knows its view.
    net.command(at.lip6, switch(1, paris(), &[lip6(), telco()]));
    net.run_for(Span::secs(1));
    assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()));
    net.lose(|packet| packet.from.ip() == telco().0);
    net.command(
        at.marilyn,
        NodeCommand::Arrived {
            change: ChangeId(2),
            eid: prefix(VM_BLOCK),
        },
    );
    net.run_for(Span::secs(1));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
}

#[test]
fn the_old_site_stops_repeating_a_registration_when_it_hands_over() {
    let (mut net, at) = busy_fabric();
    let from_telco = |packet: &Packet| {
        packet.from.ip() == telco().0 && packet.is(|message| matches!(message, Message::MapRegister(_)))
    };
    net.lose(move |packet| from_telco(packet));
    // The round at 60 s is lost and repeated for 15 s; the VM leaves in between.
    net.run_for(Span::secs(58));
    let repeated = net.tap.iter().filter(|packet| from_telco(packet)).count();
    net.command(
        at.marilyn,
        NodeCommand::Arrived {
            change: ChangeId(1),
            eid: prefix(VM_BLOCK),
        },
    );
    net.run_for(Span::secs(120));
    assert!(repeated >= 2, "{repeated}");
    assert_eq!(
        net.tap.iter().filter(|packet| from_telco(packet)).count(),
        repeated
    );
}

#[test]
fn a_handover_said_again_tells_the_clients_once() {
    let (mut net, at) = busy_fabric();
    // The old site's acknowledgements to the new one are lost for a while.
    let mut lost = 0;
    net.lose(move |packet| {
        let acknowledges =
            change_priority(packet).is_some_and(|message| message.purpose == Purpose::Acknowledge);
        let lose = acknowledges && packet.from.ip() == telco().0 && lost < 3;
        lost += u32::from(lose);
        lose
    });
    net.command(
        at.marilyn,
        NodeCommand::Arrived {
            change: ChangeId(1),
            eid: prefix(VM_BLOCK),
        },
    );
    net.run_for(Span::secs(3));
    let told = |packet: &&Packet| is_update(packet) && packet.to.ip() == paris().0;
    assert_eq!(net.tap.iter().filter(told).count(), 1);
    assert!(outcomes(&net, at.marilyn, 1).iter().any(|outcome| {
        matches!(outcome, ChangeOutcome::Acknowledged { client, attempts: 4, .. } if *client == telco())
    }));
}

#[test]
fn a_client_that_was_told_of_an_eid_beside_the_block_it_asked_for_hears_of_its_move() {
    let (mut net, at) = fabric_with(|mut config| {
        for eid in config
            .eids
            .iter_mut()
            .filter(|eid| eid.prefix == prefix(VM_BLOCK))
        {
            eid.prefix = prefix("10.1.0.0/24");
        }
        config
    });
    let arrived = |change, eid: &str| NodeCommand::Arrived {
        change: ChangeId(change),
        eid: prefix(eid),
    };
    net.command(at.telco, arrived(1, VM_BLOCK));
    net.run_for(Span::secs(5));
    net.miss(at.paris, "10.1.0.8");
    net.run_for(Span::secs(1));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    assert!(net.cache(at.paris).iter().any(|row| row.eid == prefix(VM_BLOCK)));
    net.command(at.marilyn, arrived(2, VM_BLOCK));
    net.run_for(Span::secs(1));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    assert_eq!(net.member(at.paris).way("10.1.0.8"), Way::To(telco()));
}

#[test]
fn a_client_that_has_roamed_hears_of_moves_at_its_new_address() {
    let (mut net, at) = busy_fabric();
    net.relocate(at.paris, rloc("172.16.1.77"));
    net.run_for(Span::secs(5));
    net.command(
        at.marilyn,
        NodeCommand::Arrived {
            change: ChangeId(1),
            eid: prefix(VM_BLOCK),
        },
    );
    net.run_for(Span::secs(1));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
}

#[test]
fn a_client_that_has_roamed_asks_for_all_that_it_keeps_but_not_at_once() {
    let (mut net, at) = fabric_of_hosts(90);
    assert_eq!(net.cache(at.paris).len(), 90);
    let new = rloc("172.16.1.77");
    net.relocate(at.paris, new);
    let at_once = net.sent(new, is_ecm);
    net.run_for(Span::secs(3));
    assert_eq!((at_once, net.sent(new, is_ecm)), (20, 90));
}

#[test]
fn who_goes_on_sending_where_an_eid_has_left_is_solicited_even_if_it_never_asked_there() {
    let (mut net, at) = busy_fabric();
    // The old site has lost its log of who asked.
    net.kill(at.telco);
    net.start(at.telco);
    net.command(
        at.marilyn,
        NodeCommand::Arrived {
            change: ChangeId(1),
            eid: prefix(VM_BLOCK),
        },
    );
    net.run_for(Span::secs(1));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    let late = |net: &mut Network| {
        let eid = Eid::of(VM.parse().unwrap());
        net.input(at.telco, Input::Late { rloc: paris(), eid });
    };
    let solicited = |net: &Network| {
        net.sent(
            telco(),
            |message| matches!(message, Message::MapRequest(request) if request.solicit),
        )
    };
    // What was under way when it left says nothing yet, nor does who may still be told by others.
    for wait in [600, 600, 0] {
        (0..50).for_each(|_| late(&mut net));
        assert_eq!(solicited(&net), 0);
        net.run_for(Span::millis(wait));
    }
    net.run_for(Span::millis(600));
    (0..50).for_each(|_| late(&mut net));
    assert_eq!(solicited(&net), 1);
    net.run_for(Span::secs(1));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    // It comes back, and leaves again: who was late then is not late at once now.
    for (change, site) in [(2, at.telco), (3, at.marilyn)] {
        let (change, eid) = (ChangeId(change), prefix(VM_BLOCK));
        net.command(site, NodeCommand::Arrived { change, eid });
        net.run_for(Span::secs(1));
    }
    late(&mut net);
    assert_eq!(solicited(&net), 1);
    // The time for late packets is over: nothing is sent on any more.
    net.run_for(Span::secs(60));
    late(&mut net);
    assert_eq!(solicited(&net), 1);
}
