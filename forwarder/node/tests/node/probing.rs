//! Probes, their figures, and what follows from them.

use lisp_wire::message::MapReply;
use lisp_wire::{Message, Priority, Rloc};
use node::{Effect, Input, Node};
use proto::node::{ProbeRow, Show, Tell};
use proto::{NodeCommand, NodeReport, ProbeOutcome, ProbeSample, ProbeTarget, Span, Timestamp};

use crate::fabric::subscribe;
use crate::fabric::{VM, bare, fabric, lip6, lyon, marilyn, paris, rloc, switch, telco};
use crate::network::{CLIENT, Network, Packet, Way};

fn is_probe(message: &Message) -> bool {
    matches!(message, Message::MapRequest(request) if request.probe)
}

fn probes(packet: &Packet, target: Rloc) -> bool {
    packet.is(is_probe) && packet.to.ip() == target.0
}

fn probe(rlocs: &[Rloc]) -> NodeCommand {
    let target = |rloc: &Rloc| ProbeTarget {
        overdue_after: None,
        rloc: *rloc,
        interval: Span::millis(500),
        timeout: Span::secs(2),
        dscp: 46,
    };
    NodeCommand::Probe {
        targets: rlocs.iter().map(target).collect(),
    }
}

fn figures(net: &mut Network, index: usize) -> Vec<ProbeRow> {
    match net.command(index, NodeCommand::Show { what: Show::Probes }) {
        NodeReport::ProbeFigures { rows } => rows,
        other => panic!("figures were asked for, not {other:?}"),
    }
}

fn samples(net: &Network, index: usize) -> Vec<ProbeSample> {
    let of = |report: &NodeReport| match report {
        NodeReport::Probes { samples } => samples.clone(),
        _ => Vec::new(),
    };
    net.member(index)
        .reports
        .iter()
        .flat_map(|(_, _, report)| of(report))
        .collect()
}

#[test]
fn a_target_is_probed_at_its_pace_and_every_outcome_is_told_at_once() {
    let (mut net, at) = fabric();
    net.delay(telco().0, paris().0, Span::micros_of(18_500));
    assert_eq!(net.command(at.telco, probe(&[paris()])), NodeReport::Done);
    net.run_for(Span::secs(10));
    let samples = samples(&net, at.telco);
    assert_eq!(samples.len(), 20);
    assert!(
        samples
            .iter()
            .all(|sample| sample.outcome == ProbeOutcome::Rtt(Span::millis(37)))
    );
    let pace = |pair: &[ProbeSample]| pair[1].sent_at.since(pair[0].sent_at) == Span::millis(500);
    assert!(samples.windows(2).all(pace));
    let row = figures(&mut net, at.telco).remove(0);
    let rtt = row.rtt.unwrap();
    assert_eq!(
        (rtt.min, rtt.mean, rtt.p50, rtt.p95, rtt.p99, rtt.last),
        (37.0, 37.0, 37.0, 37.0, 37.0, 37.0)
    );
    assert_eq!(
        (row.jitter_ms, row.loss_pct, row.up),
        (Some(0.0), Some(0.0), true)
    );
    assert!((row.availability_pct - 100.0).abs() < 1e-9);
}

trait Micros {
    fn micros_of(n: u64) -> Span;
}

impl Micros for Span {
    fn micros_of(n: u64) -> Span {
        Span(n)
    }
}

#[test]
fn lost_probes_are_told_when_their_time_is_up_and_figure_as_loss() {
    let (mut net, at) = fabric();
    let mut count = 0;
    net.lose(move |packet| {
        let to_paris = packet.is(is_probe) && packet.to.ip() == paris().0;
        count += u32::from(to_paris);
        to_paris && count % 3 == 0
    });
    net.command(at.telco, probe(&[paris()]));
    net.run_for(Span::secs(16));
    let row = figures(&mut net, at.telco).remove(0);
    let loss = row.loss_pct.unwrap();
    assert!((30.0..=37.0).contains(&loss), "{loss}");
    assert!(row.up, "one in three lost is not down");
    assert!(
        samples(&net, at.telco)
            .iter()
            .any(|sample| sample.outcome == ProbeOutcome::Lost)
    );
}

#[test]
fn an_answer_after_its_time_is_late_and_the_probe_stays_lost() {
    let (mut net, at) = fabric();
    net.delay(telco().0, paris().0, Span::millis(1_001));
    net.command(at.telco, probe(&[paris()]));
    net.run_for(Span::secs(5));
    assert!(
        samples(&net, at.telco)
            .iter()
            .all(|sample| sample.outcome == ProbeOutcome::Lost)
    );
    assert!(net.counter(at.telco, "probes.late") > 0);
    assert_eq!(net.counter(at.telco, "control.refused.unsolicited"), 0);
}

#[test]
fn a_new_list_replaces_the_old_and_what_is_on_both_goes_on() {
    let (mut net, at) = fabric();
    net.command(at.telco, probe(&[paris(), marilyn()]));
    net.run_for(Span::secs(5));
    net.command(at.telco, probe(&[paris(), lip6()]));
    net.run_for(Span::millis(400));
    let rows = figures(&mut net, at.telco);
    let seen: Vec<Rloc> = rows.iter().map(|row| row.rloc).collect();
    assert_eq!(seen, [lip6(), paris()]);
    net.run_for(Span::secs(5));
    let to = |target| net.tap.iter().filter(|packet| probes(packet, target)).count();
    assert_eq!((to(paris()), to(marilyn())), (21, 10));
}

#[test]
fn the_list_stays_when_the_engine_goes() {
    let (mut net, at) = fabric();
    net.command(at.telco, probe(&[paris()]));
    net.input(at.telco, Input::ClientGone { client: CLIENT });
    net.run_for(Span::secs(60));
    assert_eq!(
        net.tap.iter().filter(|packet| probes(packet, paris())).count(),
        120
    );
}

#[test]
fn impossible_targets_are_refused_and_the_list_in_force_stays() {
    let (mut net, at) = fabric();
    net.command(at.telco, probe(&[paris()]));
    for bad in [telco(), rloc("2001:db8::1")] {
        assert!(matches!(
            net.command(at.telco, probe(&[bad])),
            NodeReport::Refused { .. }
        ));
    }
    net.run_for(Span::secs(1));
    assert_eq!(figures(&mut net, at.telco).len(), 1);
}

#[test]
fn users_fail_over_when_a_data_centre_dies_and_come_back_with_it() {
    let (mut net, at) = fabric();
    net.miss(at.paris, VM);
    net.run_for(Span::secs(5));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    net.kill(at.telco);
    net.run_for(Span::secs(4));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    let shown = net.cache(at.paris).remove(0).locators;
    assert_eq!(
        shown.iter().map(|locator| locator.up).collect::<Vec<_>>(),
        [false, true, true]
    );
    net.start(at.telco);
    net.run_for(Span::secs(2));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
}

#[test]
fn when_all_locators_are_down_the_best_is_used_all_the_same() {
    let (mut net, at) = fabric();
    net.miss(at.paris, VM);
    net.run_for(Span::secs(5));
    net.lose(|packet| packet.is(is_probe));
    net.run_for(Span::secs(10));
    assert!(net.cache(at.paris)[0].locators.iter().all(|locator| !locator.up));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
}

/// RFC 9301 section 5.4. What the engine closes to a user is not where his router goes by itself.
#[test]
fn a_locator_of_priority_255_is_never_used_neither_by_a_change_nor_by_a_map_reply() {
    let (mut net, at) = fabric();
    net.miss(at.paris, VM);
    net.run_for(Span::secs(5));
    let view = |tell| {
        let mut view = switch(1, paris(), &[telco(), marilyn(), lip6()]);
        if let NodeCommand::SetLocators {
            locators, tell: by, ..
        } = &mut view
        {
            locators[1].priority = Priority::NEVER;
            *by = tell;
        }
        view
    };
    // Told by Change-Priority: when the entry dies, the next that may be used, and then none.
    net.command(at.telco, view(Tell::ChangePriority));
    net.run_for(Span::secs(1));
    net.kill(at.telco);
    net.run_for(Span::secs(5));
    assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()));
    net.kill(at.lip6);
    net.run_for(Span::secs(5));
    let way = net.member(at.paris).way(VM);
    assert!(
        way != Way::To(marilyn()),
        "the only one that lives is closed: {way:?}"
    );
    // Answered from the view that a forwarder holds for him.
    let (mut net, at) = fabric();
    net.command(at.telco, view(Tell::Nobody));
    net.miss(at.paris, VM);
    net.run_for(Span::secs(5));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    net.kill(at.telco);
    net.run_for(Span::secs(5));
    assert_eq!(net.member(at.paris).way(VM), Way::To(lip6()));
}

#[test]
fn what_is_known_of_a_locator_outlives_a_new_mapping_that_names_it() {
    let (mut net, at) = fabric();
    net.miss(at.paris, VM);
    net.run_for(Span::secs(5));
    net.kill(at.lip6);
    net.run_for(Span::secs(5));
    let publications = net.member(at.paris).publications;
    net.command(
        at.telco,
        crate::fabric::switch(1, paris(), &[lip6(), marilyn(), telco()]),
    );
    net.run_for(Span::millis(100));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    assert_eq!(
        net.member(at.paris).publications,
        publications + 1,
        "not even for a moment"
    );
}

#[test]
fn a_switch_to_a_new_locator_has_it_probed() {
    let (mut net, at) = fabric();
    net.miss(at.paris, VM);
    net.run_for(Span::secs(5));
    let new = rloc("172.16.0.4");
    net.command(at.telco, crate::fabric::switch(1, paris(), &[new, telco()]));
    net.run_for(Span::millis(500));
    assert!(
        net.tap
            .iter()
            .any(|packet| packet.from.ip() == paris().0 && probes(packet, new))
    );
    net.run_for(Span::secs(5));
    assert_eq!(
        net.member(at.paris).way(VM),
        Way::To(telco()),
        "nobody answers there"
    );
    let probed: Vec<Rloc> = figures(&mut net, at.paris).iter().map(|row| row.rloc).collect();
    assert_eq!(
        probed,
        [telco(), new],
        "what no mapping names any more is probed no more"
    );
}

#[test]
fn unreachable_ends_the_probes_under_way_and_no_more() {
    let (mut net, at) = fabric();
    net.miss(at.paris, VM);
    net.run_for(Span::secs(5));
    for _ in 0..100 {
        net.input(at.paris, Input::Unreachable { rloc: telco() });
    }
    assert_eq!(
        net.member(at.paris).way(VM),
        Way::To(telco()),
        "a flood of forged errors is one lost probe at most"
    );
    let lost = net.counter(at.paris, "probes.lost");
    assert!(lost <= 1, "{lost}");
}

#[test]
fn a_probe_is_answered_with_the_mapping_marked_where_it_came_in() {
    let (mut net, at) = fabric();
    net.miss(at.paris, VM);
    net.run_for(Span::secs(5));
    let reply = net.tap.iter().rev().find_map(|packet| match packet.message()? {
        Message::MapReply(reply)
            if reply.probe && packet.from.ip() == telco().0 && packet.to.ip() == paris().0 =>
        {
            Some(reply)
        }
        _ => None,
    });
    let locators = reply.unwrap().records.remove(0).locators;
    let marked: Vec<Rloc> = locators
        .iter()
        .filter(|locator| locator.probed)
        .map(|locator| locator.rloc)
        .collect();
    assert_eq!(marked, [telco()]);
}

#[test]
fn what_was_known_of_a_locator_is_forgotten_with_the_last_mapping_that_names_it() {
    let (mut net, at) = fabric();
    net.miss(at.paris, VM);
    net.run_for(Span::secs(5));
    net.kill(at.telco);
    net.run_for(Span::secs(5));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    let set = |locators| NodeCommand::SetCache {
        eid: crate::fabric::prefix(crate::fabric::VM_BLOCK),
        locators,
        ttl: Span::secs(60),
    };
    net.command(at.paris, set(Vec::new()));
    net.command(at.paris, set(crate::fabric::ranked(&[telco(), marilyn()])));
    assert_eq!(
        net.member(at.paris).way(VM),
        Way::To(telco()),
        "nobody has probed it since"
    );
}

#[test]
fn losses_that_are_not_in_a_row_bring_nothing_down() {
    let (mut net, at) = fabric();
    net.miss(at.paris, VM);
    net.run_for(Span::secs(5));
    let publications = net.member(at.paris).publications;
    let mut count = 0;
    net.lose(move |packet| {
        let counts = packet.from.ip() == paris().0 && probes(packet, telco());
        count += u32::from(counts);
        counts && count % 3 != 0
    });
    net.run_for(Span::secs(30));
    assert!(net.counter(at.paris, "probes.lost") >= 15);
    assert_eq!(net.member(at.paris).publications, publications);
}

#[test]
fn answers_that_came_in_time_count_though_they_are_read_late() {
    let start = Timestamp(1_763_000_000_000_000);
    let (mut node, _) = Node::new(bare("telco", telco()), start, [1; 32]);
    for (request, command) in [(1, subscribe()), (2, probe(&[paris(), lyon()]))] {
        let client = CLIENT;
        node.handle(
            Input::Command {
                client,
                request,
                command,
            },
            start,
        );
    }
    let sent = node.handle(Input::Tick, start + Span::millis(100));
    let replies = sent.into_iter().filter_map(|effect| match effect {
        Effect::Send { to, bytes, .. } => match Message::parse(&bytes).unwrap() {
            Message::MapRequest(request) => {
                let reply = MapReply {
                    nonce: request.nonce,
                    probe: true,
                    echo_nonce: false,
                    records: Vec::new(),
                };
                let mut bytes = Vec::new();
                Message::MapReply(reply).emit(&mut bytes).unwrap();
                Some((to, bytes))
            }
            _ => None,
        },
        _ => None,
    });
    // The disk kept the control thread for longer than a probe may take.
    let now = start + Span::secs(3);
    let mut told = Vec::new();
    for (from, bytes) in replies.collect::<Vec<_>>() {
        let datagram = Input::Datagram {
            from,
            local: telco().0,
            bytes,
            received_at: start + Span::millis(150),
        };
        told.extend(node.handle(datagram, now));
    }
    let of = |effect: &Effect| match effect {
        Effect::Report {
            report: NodeReport::Probes { samples },
            ..
        } => samples.clone(),
        _ => Vec::new(),
    };
    let outcomes: Vec<ProbeOutcome> = told.iter().flat_map(of).map(|sample| sample.outcome).collect();
    assert_eq!(outcomes, [ProbeOutcome::Rtt(Span::millis(50)); 2]);
    assert!(
        node.next_deadline().is_some_and(|then| then <= now),
        "new probes are due"
    );
}

#[test]
fn a_probe_that_is_out_for_too_long_is_told_at_once_and_its_end_afterwards() {
    let (mut net, at) = fabric();
    net.delay(telco().0, paris().0, Span::millis(300));
    let NodeCommand::Probe { mut targets } = probe(&[paris()]) else {
        unreachable!("a list of targets")
    };
    targets[0].overdue_after = Some(Span::millis(100));
    assert_eq!(
        net.command(at.telco, NodeCommand::Probe { targets }),
        NodeReport::Done
    );
    net.run_for(Span::secs(3));
    let samples = samples(&net, at.telco);
    let ended: Vec<&ProbeSample> = samples
        .iter()
        .filter(|sample| sample.outcome == ProbeOutcome::Rtt(Span::millis(600)))
        .collect();
    assert!(ended.len() >= 4, "{samples:?}");
    for end in ended {
        let told: Vec<ProbeOutcome> = samples
            .iter()
            .filter(|sample| sample.sent_at == end.sent_at)
            .map(|sample| sample.outcome)
            .collect();
        assert_eq!(
            told,
            [
                ProbeOutcome::Overdue(Span::millis(100)),
                ProbeOutcome::Rtt(Span::millis(600))
            ]
        );
    }
}

fn keeps(net: &mut Network, index: usize, eid: &str, rlocs: &[Rloc]) {
    let set = NodeCommand::SetCache {
        eid: crate::fabric::prefix(eid),
        locators: crate::fabric::ranked(rlocs),
        ttl: Span::secs(6000),
    };
    assert_eq!(net.command(index, set), NodeReport::Done);
}

#[test]
fn of_one_mapping_the_best_sixteen_locators_are_probed() {
    let (mut net, at) = fabric();
    let rlocs: Vec<Rloc> = (1..=32)
        .rev()
        .map(|last| Rloc([172, 16, 7, last].into()))
        .collect();
    keeps(&mut net, at.paris, "10.7.0.0/16", &rlocs);
    net.run_for(Span::secs(3));
    for (rank, rloc) in rlocs.iter().enumerate() {
        let probed = net.tap.iter().any(|packet| probes(packet, *rloc));
        assert_eq!(probed, rank < 16, "{rloc}, {rank}");
    }
}

#[test]
fn a_locator_that_never_answered_is_probed_less_and_less_and_one_that_did_is_not() {
    let (mut net, at) = fabric();
    let nobody = Rloc([172, 16, 7, 1].into());
    keeps(&mut net, at.paris, "10.7.0.0/16", &[telco(), nobody]);
    net.run_for(Span::secs(5));
    net.kill(at.telco);
    net.run_for(Span::secs(295));
    let to = |rloc| net.tap.iter().filter(|packet| probes(packet, rloc)).count();
    assert!(to(telco()) >= 250, "{}", to(telco()));
    assert!((8..=16).contains(&to(nobody)), "{}", to(nobody));
}

#[test]
fn many_locators_share_what_is_probed_in_a_second() {
    let (mut net, at) = fabric();
    for block in 0..250u8 {
        let rlocs: Vec<Rloc> = (1..=16).map(|last| Rloc([172, 17, block, last].into())).collect();
        keeps(&mut net, at.paris, &format!("10.7.{block}.0/24"), &rlocs);
    }
    net.run_for(Span::secs(6));
    let sent = net.counter(at.paris, "probes.sent");
    assert!((7_000..=8_000).contains(&sent), "{sent}");
}
