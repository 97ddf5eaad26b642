//! Which EIDs run at a site, as engines are told that ask. The VM lives at Telco by the configuration.

use node::{ClientId, Config, Input};
use proto::node::{Residence, ResidentRow};
use proto::{ChangeId, NodeCommand, NodeReport, Span};

use crate::fabric::{Fabric, VM_BLOCK, fabric, fabric_with, marilyn, prefix, subscribe};
use crate::moving::busy_fabric;
use crate::network::Network;
use crate::preparing::{arrived, prepare};

const ELSEWHERE: Residence = Residence::Elsewhere;
const CONFIGURED: Residence = Residence::Here { since: None };
const ENGINE: ClientId = ClientId(9);

fn of(eids: &[&str]) -> NodeCommand {
    NodeCommand::Subscribe {
        residents: eids.iter().map(|eid| prefix(eid)).collect(),
    }
}

/// Asks by another connection than that of the tests.
fn ask(net: &mut Network, index: usize, command: NodeCommand) {
    let (client, request) = (ENGINE, 1);
    net.input(
        index,
        Input::Command {
            client,
            request,
            command,
        },
    );
}

/// What was told since reports were last forgotten, one list a report.
fn told(net: &Network, index: usize) -> Vec<Vec<(String, Residence)>> {
    let rows = |report: &NodeReport| match report {
        NodeReport::Residents { rows } => Some(rows.clone()),
        _ => None,
    };
    let row = |row: ResidentRow| (row.eid.to_string(), row.residence);
    let all = net.member(index).reports.iter();
    let all = all.filter_map(|(_, _, report)| rows(report));
    all.map(|rows| rows.into_iter().map(row).collect()).collect()
}

/// What was told of the VM alone.
fn of_the_vm(net: &Network, index: usize) -> Vec<Residence> {
    let rows = told(net, index).into_iter().flatten();
    let own = |(eid, residence): (String, Residence)| {
        assert_eq!(prefix(&eid), prefix(VM_BLOCK));
        residence
    };
    rows.map(own).collect()
}

/// All data centres are asked of the VM.
fn watched((mut net, at): (Network, Fabric)) -> (Network, Fabric) {
    for index in [at.telco, at.marilyn, at.lip6] {
        ask(&mut net, index, of(&[VM_BLOCK]));
    }
    net.forget_reports();
    (net, at)
}

fn stopped() -> NodeCommand {
    let eid = prefix(VM_BLOCK);
    NodeCommand::Stopped { eid }
}

#[test]
fn an_engine_is_told_at_once_of_the_eids_it_names_as_far_as_they_are_configured() {
    let (mut net, at) = fabric();
    net.forget_reports();
    ask(&mut net, at.telco, of(&[VM_BLOCK, "10.1.0.8/32", "10.2.1.0/24"]));
    ask(&mut net, at.marilyn, of(&[VM_BLOCK]));
    ask(&mut net, at.lip6, subscribe());
    // A server has no EIDs, and says so.
    ask(&mut net, at.server, of(&[VM_BLOCK]));
    let row = |residence| vec![vec![(prefix(VM_BLOCK).to_string(), residence)]];
    assert_eq!(told(&net, at.telco), row(CONFIGURED));
    assert_eq!(told(&net, at.marilyn), row(ELSEWHERE));
    assert_eq!(told(&net, at.server), [[]]);
    assert!(
        told(&net, at.lip6).is_empty(),
        "an engine of before asks for none"
    );
    net.run_for(Span::secs(30));
    assert_eq!(told(&net, at.telco).len(), 1, "and nothing has changed");
}

#[test]
fn it_is_told_as_a_vm_comes_and_goes() {
    let (mut net, at) = watched(busy_fabric());
    let now = net.now;
    assert_eq!(net.command(at.marilyn, arrived(1)), NodeReport::Done);
    net.run_for(Span::secs(2));
    let here = Residence::Here { since: Some(now) };
    assert_eq!(of_the_vm(&net, at.marilyn), [here]);
    assert_eq!(of_the_vm(&net, at.telco), [ELSEWHERE]);
    assert!(told(&net, at.lip6).is_empty(), "it was never there");
    // The old engine's connection ends; another asks.
    net.input(at.marilyn, Input::ClientGone { client: ENGINE });
    net.forget_reports();
    let now = net.now;
    assert_eq!(net.command(at.telco, arrived(2)), NodeReport::Done);
    net.run_for(Span::secs(2));
    assert_eq!(of_the_vm(&net, at.telco), [Residence::Here { since: Some(now) }]);
    assert!(told(&net, at.marilyn).is_empty());
    ask(&mut net, at.marilyn, of(&[VM_BLOCK]));
    assert_eq!(of_the_vm(&net, at.marilyn), [ELSEWHERE]);
}

#[test]
fn one_that_has_stopped_runs_nowhere_until_it_arrives_or_stays() {
    let (mut net, at) = watched(busy_fabric());
    assert_eq!(net.command(at.telco, stopped()), NodeReport::Done);
    assert_eq!(of_the_vm(&net, at.telco), [ELSEWHERE]);
    let eid = prefix(VM_BLOCK);
    assert_eq!(
        net.command(at.telco, NodeCommand::Abandon { eid }),
        NodeReport::Done
    );
    assert_eq!(of_the_vm(&net, at.telco), [ELSEWHERE, CONFIGURED]);
    // Nobody says what becomes of it: it is taken to be here.
    net.forget_reports();
    assert_eq!(net.command(at.telco, stopped()), NodeReport::Done);
    net.run_for(Span::secs(9));
    assert_eq!(of_the_vm(&net, at.telco), [ELSEWHERE]);
    net.run_for(Span::secs(2));
    assert_eq!(of_the_vm(&net, at.telco), [ELSEWHERE, CONFIGURED]);
    // Prepared, it is held at the other site, and goes on from here.
    net.forget_reports();
    assert_eq!(net.command(at.telco, prepare(1, marilyn())), NodeReport::Done);
    net.run_for(Span::secs(1));
    assert_eq!(net.command(at.telco, stopped()), NodeReport::Done);
    net.run_for(Span::secs(1));
    assert_eq!(
        (of_the_vm(&net, at.telco), of_the_vm(&net, at.marilyn)),
        (vec![ELSEWHERE], vec![])
    );
    let since = Some(net.now);
    assert_eq!(net.command(at.marilyn, arrived(2)), NodeReport::Done);
    net.run_for(Span::secs(90));
    assert_eq!(of_the_vm(&net, at.marilyn), [Residence::Here { since }]);
    assert_eq!(
        of_the_vm(&net, at.telco),
        [ELSEWHERE],
        "nor once late packets are no longer sent on"
    );
}

#[test]
fn a_vm_within_a_block_of_its_site_is_told_by_the_longest_mapping_around_it() {
    let wide = |mut config: Config| {
        for own in &mut config.eids {
            if own.prefix == prefix(VM_BLOCK) {
                own.prefix = prefix("10.1.0.0/24");
            }
        }
        config
    };
    let (mut net, at) = fabric_with(wide);
    net.run_for(Span::secs(2));
    let both = of(&[VM_BLOCK, "10.1.0.9/32"]);
    net.forget_reports();
    for index in [at.telco, at.marilyn] {
        ask(&mut net, index, both.clone());
    }
    let since = Some(net.now);
    assert_eq!(net.command(at.marilyn, arrived(1)), NodeReport::Done);
    net.run_for(Span::secs(2));
    let row = |eid: &str, residence| (prefix(eid).to_string(), residence);
    let (vm, other) = (VM_BLOCK, "10.1.0.9/32");
    assert_eq!(
        told(&net, at.telco),
        [
            vec![row(vm, CONFIGURED), row(other, CONFIGURED)],
            vec![row(vm, ELSEWHERE)]
        ]
    );
    assert_eq!(
        told(&net, at.marilyn),
        [
            vec![row(vm, ELSEWHERE), row(other, ELSEWHERE)],
            vec![row(vm, Residence::Here { since })]
        ]
    );
    // A move of the whole block takes the other along, and says nothing new of what is there already but its arrival.
    net.forget_reports();
    let since = Some(net.now);
    let change = ChangeId(2);
    let eid = prefix("10.1.0.0/24");
    assert_eq!(
        net.command(at.marilyn, NodeCommand::Arrived { change, eid }),
        NodeReport::Done
    );
    net.run_for(Span::secs(2));
    assert_eq!(told(&net, at.telco), [vec![row(other, ELSEWHERE)]]);
    assert_eq!(
        told(&net, at.marilyn),
        [vec![row(other, Residence::Here { since })]]
    );
}

#[test]
fn what_is_told_outlives_a_restart_of_the_forwarder() {
    let (mut net, at) = busy_fabric();
    let since = Some(net.now);
    assert_eq!(net.command(at.marilyn, arrived(1)), NodeReport::Done);
    net.run_for(Span::secs(2));
    net.forget_reports();
    for (index, residence) in [(at.telco, ELSEWHERE), (at.marilyn, Residence::Here { since })] {
        net.kill(index);
        net.start(index);
        ask(&mut net, index, of(&[VM_BLOCK]));
        assert_eq!(of_the_vm(&net, index), [residence]);
    }
}

/// As a forwarder of before reads a subscription.
#[derive(Debug, PartialEq, serde::Deserialize)]
#[serde(rename_all = "kebab-case", tag = "command")]
enum Before {
    Subscribe,
}

#[test]
fn a_subscription_of_before_is_read_and_one_of_now_is_read_by_those_of_before() {
    let before: NodeCommand = serde_json::from_str(r#"{"command":"subscribe"}"#).unwrap();
    assert_eq!(before, subscribe());
    assert_eq!(
        serde_json::to_string(&before).unwrap(),
        r#"{"command":"subscribe"}"#
    );
    let now = serde_json::to_string(&of(&[VM_BLOCK])).unwrap();
    assert_eq!(now, r#"{"command":"subscribe","residents":["10.1.0.7/32"]}"#);
    assert_eq!(serde_json::from_str::<Before>(&now).unwrap(), Before::Subscribe);
    let row = ResidentRow {
        eid: prefix(VM_BLOCK),
        residence: CONFIGURED,
    };
    let line = serde_json::to_string(&row).unwrap();
    assert_eq!(line, r#"{"eid":"10.1.0.7/32","runs":"here"}"#);
    assert_eq!(serde_json::from_str::<ResidentRow>(&line).unwrap(), row);
}
