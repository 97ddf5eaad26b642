//! Our forwarder and OpenOverlayRouter 1.3.0: each other's xTR, Map-Server, solicitations and probes.
//!
//! Judged by traffic between hosts, by our counters, and by tshark, which finds no fault with anything on the wire.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};

use lisp_wire::{Locator, Priority, Rloc, Weight};
use proto::node::{RegistrationRow, Show, Tell};
use proto::{Audience, ChangeId, NodeCommand, NodeReport};
use system_tests::fabric::{ask, counters};
use system_tests::oor::{Internet, MAP_SERVER, Place, SECRET, Site};
use system_tests::patience::{PATIENCE, wait_for};
use system_tests::product::pacao;
use testbed::Namespace;
use testbed::traffic::TrafficLine;

/// How OpenOverlayRouter probes: every second, and down after one repetition.
const OOR_XTR: &str = "operating-mode = xTR
encapsulation = LISP
ipv6-scope = GLOBAL
nat_traversal_support = off
map-request-retries = 2
rloc-probing {
    rloc-probe-interval = 1
    rloc-probe-retries = 1
    rloc-probe-retries-interval = 1
}
";

fn oor_xtr(site: &Site) -> String {
    let mut text = format!(
        "{OOR_XTR}map-resolver = {{
    {MAP_SERVER}
}}
map-server {{
    address = {MAP_SERVER}
    key-type = 1
    key = {SECRET}
    proxy-reply = off
}}
"
    );
    for prefix in [site.prefix(), site.prefix6()] {
        write!(
            text,
            "database-mapping {{
    eid-prefix = {prefix}
    iid = 0
    ttl = 10
    rloc-iface {{
        interface = wan0
        ip_version = 4
        priority = 1
        weight = 100
    }}
}}
"
        )
        .unwrap();
    }
    text
}

fn oor_map_server(internet: &Internet) -> String {
    let mut text = "operating-mode = MS\ncontrol-iface = wan0\nmap-request-retries = 2\n".to_owned();
    for site in [&internet.a, &internet.b] {
        for prefix in [site.prefix(), site.prefix6()] {
            write!(
                text,
                "lisp-site {{
    eid-prefix = {prefix}
    key-type = 1
    key = {SECRET}
    iid = 0
    accept-more-specifics = true
}}
"
            )
            .unwrap();
        }
    }
    text
}

/// The key as OpenOverlayRouter knows it.
fn key() -> String {
    format!(
        "keys: {{ main: {{ id: 0, algorithm: hmac-sha1, legacy: true, mac: whole, secret: {SECRET} }} }}\n"
    )
}

fn our_xtr(here: &Site, there: &Site) -> String {
    format!(
        "{}rlocs: [{{ address: {}, priority: 1 }}, {{ address: {}, priority: 2 }}]
tun: {{ name: lisp0, routes: ['{}', '{}'] }}
roles: [itr, etr]
map_resolvers: [{MAP_SERVER}]
map_servers: [{{ address: {MAP_SERVER}, key: main }}]
eids: [{{ prefix: '{}', ttl: 10 }}, {{ prefix: '{}', ttl: 10 }}]
probing: {{ cache_interval: 200ms, timeout: 1s, down_after: 3 }}
change_priority: {{ own_eid_peers: [{}] }}
",
        key(),
        here.rloc(0),
        here.rloc(1),
        there.prefix(),
        there.prefix6(),
        here.prefix(),
        here.prefix6(),
        there.rloc(0),
    )
}

fn our_map_server(internet: &Internet) -> String {
    let site = |prefix| format!("  - {{ prefix: '{prefix}', keys: [main], nonces: any }}\n");
    let sites: String = [&internet.a, &internet.b]
        .iter()
        .flat_map(|site_| [site(site_.prefix()), site(site_.prefix6())])
        .collect();
    format!(
        "{}rlocs: [{{ address: {MAP_SERVER} }}]\nroles: [map-server, map-resolver]\nsites:\n{sites}",
        key()
    )
}

/// Who has registered what with our Map-Server.
fn registrations(socket: &Path) -> Vec<RegistrationRow> {
    let command = NodeCommand::Show {
        what: Show::Registrations,
    };
    match ask(socket, command).unwrap() {
        NodeReport::Registrations { rows } => rows,
        other => panic!("asked for registrations, got {other:?}"),
    }
}

/// Until both families of EIDs of both sites are registered with our Map-Server.
fn all_are_registered(socket: &Path) {
    wait_for(
        "both sites have registered",
        || registrations(socket),
        |rows| (rows.len() == 4).then_some(()),
    );
}

/// Numbered packets from a host to another, and back.
struct Talk {
    echo: Child,
    server: Child,
    lines: Receiver<TrafficLine>,
}

impl Drop for Talk {
    fn drop(&mut self) {
        for child in [&mut self.echo, &mut self.server] {
            // Already ended is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Talk {
    fn start(from: &Namespace, to: &Namespace, address: IpAddr) -> Self {
        let at = SocketAddr::new(address, 5001).to_string();
        let mut serve = pacao(["traffic", "--die-with-parent", "serve", "--listen", &at]).unwrap();
        serve.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut server = to.spawn(serve).unwrap();
        let mut first = String::new();
        BufReader::new(server.stdout.take().unwrap())
            .read_line(&mut first)
            .unwrap();
        assert!(first.contains("serving"), "{first}");
        let mut echo = pacao(["traffic", "--die-with-parent", "echo", &at, "--each"]).unwrap();
        echo.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut echo = from.spawn(echo).unwrap();
        let output = echo.stdout.take().unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { echo, server, lines }
    }

    /// Waits until `count` more packets have come back, not counting those that did so before.
    fn come_back(&self, count: usize) {
        while self.lines.try_recv().is_ok() {}
        let mut back = 0;
        while back < count {
            let line = self.lines.recv_timeout(PATIENCE);
            if let TrafficLine::Back { .. } = line.expect("packets come back through the tunnel") {
                back += 1;
            }
        }
    }
}

/// Both hosts speak to each other, each first once, by IPv4 and by IPv6.
fn hosts_talk(internet: &Internet) {
    let (a, b) = (&internet.a, &internet.b);
    Talk::start(&a.host, &b.host, b.host_address()).come_back(50);
    Talk::start(&b.host, &a.host, a.host_address()).come_back(50);
    Talk::start(&b.host, &a.host, a.host_address6()).come_back(50);
    Talk::start(&a.host, &b.host, b.host_address6()).come_back(50);
}

#[test]
fn two_of_their_xtrs_talk_through_our_map_server() {
    let mut internet = Internet::lay().unwrap();
    let capture = internet.capture().unwrap();
    let server = internet.ours(Place::Server, &our_map_server(&internet)).unwrap();
    internet.oor(Place::A, &oor_xtr(&internet.a)).unwrap();
    internet.oor(Place::B, &oor_xtr(&internet.b)).unwrap();
    all_are_registered(&server);
    hosts_talk(&internet);
    let counted = counters(&server).unwrap();
    assert!(counted["control.map-server.forwarded"] >= 4, "{counted:#?}");
    capture.stop().unwrap().is_well_formed().unwrap();
}

#[test]
fn their_xtr_and_ours_talk_through_our_map_server() {
    let mut internet = Internet::lay().unwrap();
    let capture = internet.capture().unwrap();
    let server = internet.ours(Place::Server, &our_map_server(&internet)).unwrap();
    let ours = internet
        .ours(Place::A, &our_xtr(&internet.a, &internet.b))
        .unwrap();
    internet.oor(Place::B, &oor_xtr(&internet.b)).unwrap();
    all_are_registered(&server);
    hosts_talk(&internet);
    our_xtr_did_its_part(&ours);
    capture.stop().unwrap().is_well_formed().unwrap();
}

#[test]
fn their_xtr_and_ours_talk_through_their_map_server() {
    let mut internet = Internet::lay().unwrap();
    let capture = internet.capture().unwrap();
    internet.oor(Place::Server, &oor_map_server(&internet)).unwrap();
    let ours = internet
        .ours(Place::A, &our_xtr(&internet.a, &internet.b))
        .unwrap();
    internet.oor(Place::B, &oor_xtr(&internet.b)).unwrap();
    wait_for(
        "their Map-Server acknowledges our registration",
        || counters(&ours).unwrap(),
        |counted| (counted["control.map-registers.acknowledged"] > 0).then_some(()),
    );
    wait_for(
        "their Map-Server acknowledges their registrations",
        || [Place::B, Place::Server].map(|place| internet.log(place)),
        |[theirs, _]| (theirs.matches("Map-Notify").count() >= 2).then_some(()),
    );
    hosts_talk(&internet);
    our_xtr_did_its_part(&ours);
    capture.stop().unwrap().is_well_formed().unwrap();
}

/// It asked, was asked, and dropped nothing of what the hosts said.
fn our_xtr_did_its_part(socket: &Path) {
    let counted = counters(socket).unwrap();
    for name in [
        "control.map-registers.acknowledged",
        "control.map-replies.accepted",
        "control.map-requests.answered",
    ] {
        assert!(counted[name] > 0, "{name} in {counted:#?}");
    }
    let refused: Vec<_> = counted
        .iter()
        .filter(|(name, value)| {
            // The kernel looks for other routers on every interface, the tunnel's included.
            **value > 0
                && *name != "encap.drop.not-unicast"
                && (name.starts_with("control.refused.") || name.contains(".drop."))
        })
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

/// Our Map-Server, our router at site 1 (its control socket is returned), and theirs at site 2; all registered.
fn ours_and_theirs(internet: &mut Internet) -> PathBuf {
    let server = internet.ours(Place::Server, &our_map_server(internet)).unwrap();
    let ours = internet
        .ours(Place::A, &our_xtr(&internet.a, &internet.b))
        .unwrap();
    internet.oor(Place::B, &oor_xtr(&internet.b)).unwrap();
    all_are_registered(&server);
    ours
}

/// Tells our router that its IPv4 EIDs are reached by these cables, the best first, and everyone who asked for them.
fn reached_by(internet: &Internet, socket: &Path, change: u64, cables: &[u8]) {
    let locators = (1..).zip(cables).map(|(rank, cable)| {
        let rloc = Rloc(internet.a.rloc(*cable));
        Locator::unicast(rloc, Priority(rank), Weight(100))
    });
    let command = NodeCommand::SetLocators {
        change: ChangeId(change),
        eid: internet.a.prefix().parse().unwrap(),
        audience: Audience::Everyone,
        locators: locators.collect(),
        tell: Tell::ChangePriority,
    };
    let report = ask(socket, command).unwrap();
    assert!(!matches!(report, NodeReport::Refused { .. }), "{report:?}");
}

/// Waits until what is said arrives by `cable`, and sees that it goes on so.
fn arrives_by(internet: &Internet, talk: &Talk, cable: &str, other: &str) {
    let received = |interface: &str| internet.a.received(interface).unwrap();
    let before = received(cable);
    wait_for(
        "their traffic moves",
        || received(cable),
        |now| (*now > before + 50).then_some(()),
    );
    let (on, off) = (received(cable), received(other));
    talk.come_back(100);
    let (on, off) = (received(cable) - on, received(other) - off);
    // Messages and probes still come by the other one.
    assert!(on >= 90 && off <= 30, "{on} by {cable}, {off} by {other}");
}

#[test]
fn their_xtr_follows_our_solicitation_when_priorities_and_locators_change() {
    let mut internet = Internet::lay().unwrap();
    let capture = internet.capture().unwrap();
    let ours = ours_and_theirs(&mut internet);
    let talk = Talk::start(&internet.b.host, &internet.a.host, internet.a.host_address());
    arrives_by(&internet, &talk, "wan0", "wan1");
    reached_by(&internet, &ours, 1, &[1, 0]);
    arrives_by(&internet, &talk, "wan1", "wan0");
    reached_by(&internet, &ours, 2, &[0]);
    arrives_by(&internet, &talk, "wan0", "wan1");
    let captured = capture.stop().unwrap();
    captured.is_well_formed().unwrap();
    let solicited = format!("lisp.mreq.flags.smr == 1 && ip.dst == {}", internet.b.rloc(0));
    assert!(captured.shown(&solicited).unwrap().len() >= 2);
    let invoked = format!("lisp.mreq.flags.smri == 1 && ip.src == {}", internet.b.rloc(0));
    assert!(captured.shown(&invoked).unwrap().len() >= 2);
}

#[test]
fn probes_are_answered_both_ways_and_theirs_find_a_dead_locator_of_ours() {
    let mut internet = Internet::lay().unwrap();
    let capture = internet.capture().unwrap();
    let ours = ours_and_theirs(&mut internet);
    let talk = Talk::start(&internet.b.host, &internet.a.host, internet.a.host_address());
    talk.come_back(10);
    let counted = wait_for(
        "probes are answered both ways",
        || counters(&ours).unwrap(),
        |now| (now["probes.answered"] >= 10 && now["probes.served"] >= 6).then(|| now.clone()),
    );
    assert_eq!(counted["probes.lost"], 0, "{counted:#?}");
    let NodeReport::ProbeFigures { rows } = ask(&ours, NodeCommand::Show { what: Show::Probes }).unwrap()
    else {
        panic!("the figures of probes were asked for")
    };
    let theirs = rows.iter().find(|row| row.rloc.0 == internet.b.rloc(0)).unwrap();
    assert!(theirs.up && theirs.rtt.is_some(), "{theirs:?}");
    // Had their router not believed our answers, it would long have gone to the backup.
    arrives_by(&internet, &talk, "wan0", "wan1");
    internet.cut_off(&internet.a).unwrap();
    arrives_by(&internet, &talk, "wan1", "wan0");
    capture.stop().unwrap().is_well_formed().unwrap();
}
