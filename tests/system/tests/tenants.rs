//! Two tenants with the same addresses, between the same two sites, by the same two forwarders: both are carried, and
//! no packet of one ever gets to the other.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::path::Path;

use proto::node::Show;
use proto::{NodeCommand, NodeReport};
use system_tests::fabric::{ask, counters, map_cache};
use system_tests::oor::{Internet, MAP_SERVER, Place, SECRET, Site};
use system_tests::patience::wait_for;
use system_tests::talk::{Answerer, Talk, a_while};
use testbed::Namespace;

/// Instance-id, interface of the site, interface of the tunnel, routing table.
const BLUE: (u32, &str, &str, u32) = (7, "eid0", "lisp7", 107);
const RED: (u32, &str, &str, u32) = (0x00ab_cdef, "eid1", "lisp8", 108);

fn key() -> String {
    format!("keys: {{ main: {{ id: 1, algorithm: hmac-sha256, secret: {SECRET} }} }}\n")
}

fn xtr(here: &Site, there: &Site) -> String {
    let tun = |(iid, _, tun, table): (u32, &str, &str, u32)| {
        format!(
            "{{ name: {tun}, instance_id: {iid}, table: {table}, routes: ['{}', '{}'] }}",
            there.prefix(),
            there.prefix6()
        )
    };
    let eids = [BLUE.0, RED.0].map(|iid| {
        let (v4, v6) = (here.prefix(), here.prefix6());
        format!("{{ prefix: '[{iid}]{v4}' }}, {{ prefix: '[{iid}]{v6}' }}")
    });
    format!(
        "{}rlocs: [{{ address: {} }}]
tun: [{}, {}]
roles: [itr, etr]
map_resolvers: [{MAP_SERVER}]
map_servers: [{{ address: {MAP_SERVER}, key: main }}]
eids: [{}]
",
        key(),
        here.rloc(0),
        tun(BLUE),
        tun(RED),
        eids.join(", ")
    )
}

fn map_server(internet: &Internet) -> String {
    let sites = [&internet.a, &internet.b].map(|site| {
        let of = |iid: u32| {
            let (v4, v6) = (site.prefix(), site.prefix6());
            format!("  - {{ prefix: '[{iid}]{v4}', keys: [main] }}\n  - {{ prefix: '[{iid}]{v6}', keys: [main] }}\n")
        };
        of(BLUE.0) + &of(RED.0)
    });
    format!(
        "{}rlocs: [{{ address: {MAP_SERVER} }}]\nroles: [map-server, map-resolver]\nsites:\n{}",
        key(),
        sites.concat()
    )
}

/// What comes by a tenant's interfaces is looked up in the tenant's table, and found there or nowhere.
fn keep_apart(site: &Site) {
    for (_, near, tun, table) in [BLUE, RED] {
        let (v4, v6) = (site.prefix(), site.prefix6());
        let routes = move |links: &mut testbed::namespace::netlink::Links| {
            for prefix in [v4, v6] {
                let (address, length) = prefix.split_once('/').unwrap();
                let to = (address.parse().unwrap(), length.parse().unwrap());
                links.route_in(table, to, near, None)?;
                for interface in [near, tun] {
                    links.rule(address.parse().unwrap(), interface, table)?;
                }
            }
            Ok(())
        };
        site.router.links(routes).unwrap();
    }
}

fn registered(socket: &Path) -> usize {
    let what = Show::Registrations;
    match ask(socket, NodeCommand::Show { what }).unwrap() {
        NodeReport::Registrations { rows } => rows.len(),
        other => panic!("asked for registrations, got {other:?}"),
    }
}

#[test]
fn two_tenants_with_the_same_addresses_are_both_carried_and_never_mixed() {
    let mut internet = Internet::lay().unwrap();
    let red: [Namespace; 2] = internet.second_tenant().unwrap();
    keep_apart(&internet.a);
    keep_apart(&internet.b);
    let capture = internet.capture().unwrap();
    let server = internet.ours(Place::Server, &map_server(&internet)).unwrap();
    let xtrs = [
        internet.ours(Place::A, &xtr(&internet.a, &internet.b)).unwrap(),
        internet.ours(Place::B, &xtr(&internet.b, &internet.a)).unwrap(),
    ];
    wait_for(
        "both tenants of both sites are registered",
        || registered(&server),
        |count| (*count == 8).then_some(()),
    );
    let (a, b) = (&internet.a, &internet.b);
    let addresses = [b.host_address(), b.host_address6()];
    // Nobody answers at the red address; were a packet to cross, blue would.
    let _blue = addresses.map(|address| Answerer::start(&b.host, address).unwrap());
    let talks = addresses.map(|address| {
        let blue = Talk::start(&a.host, address).unwrap();
        (blue, Talk::start(&red[0], address).unwrap())
    });
    for (blue, silent) in &talks {
        blue.come_back(30).unwrap();
        assert_eq!(silent.came_back(), 0, "blue answers red");
    }
    let red_servers = addresses.map(|address| Answerer::start(&red[1], address).unwrap());
    for (blue, red) in &talks {
        red.come_back(30).unwrap();
        blue.come_back(30).unwrap();
    }
    // And the other way about: red is gone, blue goes on.
    drop(red_servers);
    a_while();
    for (blue, red) in &talks {
        let _late = red.came_back();
        blue.come_back(30).unwrap();
        assert_eq!(red.came_back(), 0, "blue answers red");
    }
    drop(talks);

    for socket in &xtrs {
        let rows = map_cache(socket).unwrap();
        for (iid, ..) in [BLUE, RED] {
            let of = rows
                .iter()
                .filter(|row| row.eid.iid().get() == iid && row.forwarding == "encapsulate");
            assert_eq!(of.count(), 2, "{rows:#?}");
        }
        let counted = counters(socket).unwrap();
        assert_eq!(counted["decap.drop.instance-id"], 0, "{counted:#?}");
    }
    let captured = capture.stop().unwrap();
    captured.is_well_formed().unwrap();
    for (iid, ..) in [BLUE, RED] {
        for (from, to) in [(a.rloc(0), b.rloc(0)), (b.rloc(0), a.rloc(0))] {
            let filter = format!("lisp-data.iid == {iid} && ip.src == {from} && ip.dst == {to}");
            let count = captured.shown(&filter).unwrap().len();
            assert!(count >= 60, "{count} packets of tenant {iid} from {from}");
        }
    }
    let neither = format!(
        "lisp-data && !(lisp-data.iid == {} || lisp-data.iid == {})",
        BLUE.0, RED.0
    );
    assert_eq!(captured.shown(&neither).unwrap(), Vec::<String>::new());
}

#[test]
fn a_packet_of_a_tenant_that_is_not_here_is_dropped_and_counted() {
    let mut internet = Internet::lay().unwrap();
    let red = internet.second_tenant().unwrap();
    let only_blue = |here: &Site, there: &Site| {
        let whole = xtr(here, there);
        let lines = whole.lines().map(|line| {
            if line.starts_with("tun:") {
                let (blue, _) = line.split_once(", { name: lisp8").unwrap();
                blue.to_owned() + "]"
            } else if line.starts_with("eids:") {
                let (blue, _) = line.split_once(&format!(", {{ prefix: '[{}]", RED.0)).unwrap();
                blue.to_owned() + "]"
            } else {
                line.to_owned()
            }
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    keep_apart(&internet.a);
    keep_apart(&internet.b);
    let a = internet.ours(Place::A, &xtr(&internet.a, &internet.b)).unwrap();
    let text = only_blue(&internet.b, &internet.a);
    let b = internet.ours(Place::B, &text).unwrap();
    // By hand, since no Map-Server would say that red is there.
    let command = NodeCommand::SetCache {
        eid: format!("[{}]{}", RED.0, internet.b.prefix()).parse().unwrap(),
        locators: vec![lisp_wire::Locator::unicast(
            lisp_wire::Rloc(internet.b.rloc(0)),
            lisp_wire::Priority(1),
            lisp_wire::Weight(100),
        )],
        ttl: proto::Span::secs(60),
    };
    let report = ask(&a, command).unwrap();
    assert!(matches!(report, NodeReport::Done), "{report:?}");
    let _answers = Answerer::start(&internet.b.host, internet.b.host_address()).unwrap();
    let talk = Talk::start(&red[0], internet.b.host_address()).unwrap();
    wait_for(
        "packets of the other tenant are dropped",
        || counters(&b).unwrap(),
        |counted| (counted["decap.drop.instance-id"] >= 10).then_some(()),
    );
    assert_eq!(talk.came_back(), 0);
    assert_eq!(counters(&b).unwrap()["decap.packets"], 0);
}
