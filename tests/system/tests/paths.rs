//! Explicit locator paths (LISP-TE): packets go over two re-encapsulating routers, hop by hop, as the mapping says, and
//! those routers send on nothing else.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::net::IpAddr;
use std::path::PathBuf;

use proto::{NodeCommand, NodeReport, Span};
use system_tests::capture::Captured;
use system_tests::fabric::{ask, counters, map_cache};
use system_tests::oor::{Internet, MAP_SERVER, Place, SECRET, Site};
use system_tests::patience::wait_for;
use system_tests::talk::{Answerer, Talk};

/// EIDs that the routers on the way do not serve.
const FOREIGN: &str = "198.51.100.0/24";

fn key() -> String {
    format!("keys: {{ main: {{ id: 1, algorithm: hmac-sha256, secret: {SECRET} }} }}\n")
}

/// Over `path`, or directly.
fn xtr(here: &Site, there: &Site, path: &[IpAddr]) -> String {
    let mut hops: Vec<String> = path.iter().map(IpAddr::to_string).collect();
    hops.push(here.rloc(0).to_string());
    let locators = format!("locators: [{{ path: [{}] }}]", hops.join(", "));
    format!(
        "{}rlocs: [{{ address: {} }}]
tun: {{ name: lisp0, routes: ['{}', '{}', '{FOREIGN}'] }}
roles: [itr, etr]
map_resolvers: [{MAP_SERVER}]
map_servers: [{{ address: {MAP_SERVER}, key: main }}]
eids: [{{ prefix: '{}', {locators} }}, {{ prefix: '{}', {locators} }}]
probing: {{ cache_interval: 200ms, timeout: 500ms, down_after: 2 }}
",
        key(),
        here.rloc(0),
        there.prefix(),
        there.prefix6(),
        here.prefix(),
        here.prefix6(),
    )
}

fn rtr(address: IpAddr) -> String {
    format!(
        "rlocs: [{{ address: {address} }}]
roles: [rtr]
rtr: {{ eids: [192.168.0.0/16, 'fd00::/16'] }}
map_resolvers: [{MAP_SERVER}]
probing: {{ cache_interval: 200ms, timeout: 500ms, down_after: 2 }}
"
    )
}

fn map_server(internet: &Internet) -> String {
    let sites = [&internet.a, &internet.b].map(|site| {
        let (v4, v6) = (site.prefix(), site.prefix6());
        format!("  - {{ prefix: '{v4}', keys: [main] }}\n  - {{ prefix: '{v6}', keys: [main] }}\n")
    });
    format!(
        "{}rlocs: [{{ address: {MAP_SERVER} }}]\nroles: [map-server, map-resolver]\nsites:\n{}",
        key(),
        sites.concat()
    )
}

/// Site 2 is reached over both routers in turn, site 1 over the second one alone.
struct Scene {
    internet: Internet,
    rtrs: [(Place, IpAddr, PathBuf); 2],
    a: PathBuf,
}

fn scene() -> Scene {
    let mut internet = Internet::lay().unwrap();
    internet.ours(Place::Server, &map_server(&internet)).unwrap();
    let rtrs = [(); 2].map(|()| {
        let (place, address) = internet.rtr().unwrap();
        let socket = internet.ours(place, &rtr(address)).unwrap();
        (place, address, socket)
    });
    let [first, second] = [rtrs[0].1, rtrs[1].1];
    let text = xtr(&internet.b, &internet.a, &[first, second]);
    let b = internet.ours(Place::B, &text).unwrap();
    let text = xtr(&internet.a, &internet.b, &[second]);
    let a = internet.ours(Place::A, &text).unwrap();
    for socket in [&a, &b] {
        wait_for(
            "the Map-Server has the paths",
            || counters(socket).unwrap(),
            |counted| (counted["control.map-registers.acknowledged"] > 0).then_some(()),
        );
    }
    Scene { internet, rtrs, a }
}

/// Data packets from one router to another.
fn between(captured: &Captured, from: IpAddr, to: IpAddr) -> usize {
    let filter = format!("udp.dstport == 4341 && ip.src == {from} && ip.dst == {to}");
    captured.shown(&filter).unwrap().len()
}

#[test]
fn packets_go_hop_by_hop_as_the_mapping_says_and_skip_one_that_is_gone() {
    let mut scene = scene();
    let capture = scene.internet.capture().unwrap();
    let (a, b) = (&scene.internet.a, &scene.internet.b);
    let [(first_place, first, first_socket), (_, second, second_socket)] = &scene.rtrs;
    let addresses = [b.host_address(), b.host_address6()];
    let _answers = addresses.map(|address| Answerer::start(&b.host, address).unwrap());
    let talks = addresses.map(|address| Talk::start(&a.host, address).unwrap());
    for talk in &talks {
        talk.come_back(50).unwrap();
    }
    let captured = capture.stop().unwrap();
    captured.is_well_formed().unwrap();
    let (here, there) = (a.rloc(0), b.rloc(0));
    for (from, to) in [
        (here, *first),
        (*first, *second),
        (*second, there),
        (there, *second),
        (*second, here),
    ] {
        let count = between(&captured, from, to);
        assert!(count >= 80, "{count} packets from {from} to {to}");
    }
    for (from, to) in [
        (here, there),
        (there, here),
        (here, *second),
        (*first, there),
        (there, *first),
    ] {
        assert_eq!(between(&captured, from, to), 0, "from {from} to {to}");
    }
    for socket in [first_socket, second_socket] {
        let counted = counters(socket).unwrap();
        assert!(counted["decap.relayed"] >= 80, "{counted:#?}");
        assert_eq!(counted["encap.drop.not-on-path"], 0, "{counted:#?}");
    }
    let rows = map_cache(&scene.a).unwrap();
    let row = rows
        .iter()
        .find(|row| row.eid == b.prefix().parse().unwrap())
        .unwrap();
    let locator = row.locators[0].locator;
    assert_eq!(locator.rloc.0, *first);
    let expected = format!("{first} > {second} > {there}");
    assert_eq!(locator.path.unwrap().to_string(), expected);

    let (first_place, second, there) = (*first_place, *second, there);
    scene.internet.kill(first_place).unwrap();
    wait_for(
        "packets go to the second router at once",
        || map_cache(&scene.a).unwrap(),
        |rows| {
            let next = rows
                .iter()
                .flat_map(|row| &row.locators)
                .map(|known| known.locator.rloc.0);
            next.clone().any(|rloc| rloc == second).then_some(())
        },
    );
    for talk in &talks {
        talk.come_back(30).unwrap();
    }
    assert_ne!(second, there);
}

#[test]
fn a_router_on_the_way_sends_on_nothing_but_what_it_is_there_for() {
    let scene = scene();
    let (_, first, socket) = &scene.rtrs[0];
    let through = |eid: &str| {
        let command = NodeCommand::SetCache {
            eid: eid.parse().unwrap(),
            locators: vec![lisp_wire::Locator::unicast(
                lisp_wire::Rloc(*first),
                lisp_wire::Priority(1),
                lisp_wire::Weight(100),
            )],
            ttl: Span::secs(60),
        };
        let report = ask(&scene.a, command).unwrap();
        assert!(matches!(report, NodeReport::Done), "{report:?}");
    };
    through(FOREIGN);
    let _foreign = Talk::start(&scene.internet.a.host, "198.51.100.7".parse().unwrap()).unwrap();
    let counted = wait_for(
        "packets to EIDs of others are dropped",
        || counters(socket).unwrap(),
        |counted| (counted["decap.drop.relay-refused"] >= 10).then(|| counted.clone()),
    );
    assert_eq!(counted["encap.packets"], 0, "{counted:#?}");
    assert_eq!(counted["control.map-requests.sent"], 0, "{counted:#?}");
}
