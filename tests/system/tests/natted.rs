//! A site behind a NAT of the kernel's: registered through a router that helps, and reached through it, both ways, also when the
//! NAT gives it another port; and OpenOverlayRouter in its place.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::process::Command;

use system_tests::fabric::{counters, map_cache};
use system_tests::oor::{Internet, MAP_SERVER, Place, SECRET, Site};
use system_tests::patience::wait_for;
use system_tests::talk::{Answerer, Talk};

fn keys() -> String {
    format!(
        "keys:\n  main: {{ id: 1, algorithm: hmac-sha256, secret: {SECRET} }}\n  router: {{ id: 2, algorithm: hmac-sha256, secret: between routers }}\n"
    )
}

/// Runs a program where everything is routed, which is where the NAT is.
fn in_core(internet: &Internet, program: &str, arguments: &[&str]) {
    let mut command = Command::new(program);
    command.args(arguments);
    let status = internet.core.spawn(command).unwrap().wait().unwrap();
    assert!(
        status.success(),
        "{program} {arguments:?} (apt-get install nftables)"
    );
}

/// What site 1 sends leaves with an address of the core's, and only what answers it gets in.
fn translate(internet: &Internet, ports: &str) {
    let rules = format!(
        "flush ruleset
table ip nat {{
    chain out {{ type nat hook postrouting priority 100; ip protocol udp ip saddr 10.80.1.0/24 masquerade {ports}; }}
    chain in {{ type filter hook forward priority 0; oifname port10 ct state != {{ established, related }} drop; }}
}}"
    );
    in_core(internet, "nft", &[&rules]);
}

/// The NAT forgets all it knew, as one that was switched off and on.
fn forget(internet: &Internet) {
    // IPCTNL_MSG_CT_DELETE without a tuple (linux/netfilter/nfnetlink_conntrack.h).
    let flush = "import socket, struct
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
s.send(struct.pack('=IHHIIBBH', 20, 1 << 8 | 2, 5, 1, 0, 0, 0, 0))
assert struct.unpack_from('=i', s.recv(4096), 16)[0] == 0";
    in_core(internet, "python3", &["-c", flush]);
}

#[test]
fn a_site_behind_a_nat_is_reached_through_its_router_both_ways_and_followed_to_another_port() {
    let mut internet = Internet::lay().unwrap();
    let (router, router_rloc) = internet.rtr().unwrap();
    translate(&internet, "");
    let capture = internet.capture().unwrap();
    let [a, b] = [&internet.a, &internet.b].map(Site::prefix);
    let text = format!(
        "{}rlocs: [{{ address: {MAP_SERVER} }}]
roles: [map-server, map-resolver]
sites: [{{ prefix: {a}, keys: [main] }}, {{ prefix: {b}, keys: [main] }}]
nat_rtrs: [{{ address: {router_rloc}, key: router }}]
",
        keys()
    );
    let server = internet.ours(Place::Server, &text).unwrap();
    let text = format!(
        "{}rlocs: [{{ address: {router_rloc} }}]
roles: [rtr]
map_resolvers: [{MAP_SERVER}]
rtr: {{ eids: [{a}, {b}], nat: [{{ map_server: {MAP_SERVER}, key: router }}] }}
",
        keys()
    );
    let rtr = internet.ours(router, &text).unwrap();
    let xtr = |rloc, routes: &str, (eid, server): (&str, &str)| {
        format!(
            "{}rlocs: [{{ address: {rloc} }}]
tun: {{ name: lisp0, routes: [{routes}] }}
roles: [itr, etr]
map_resolvers: [{MAP_SERVER}]
register_every: 2s
map_servers: [{{ address: {MAP_SERVER}, key: main{server} }}]
eids: [{{ prefix: {eid} }}]
",
            keys()
        )
    };
    let text = xtr(internet.b.rloc(0), &a, (&b, ""));
    let peer = internet.ours(Place::B, &text).unwrap();
    let text = xtr(internet.a.rloc(0), &b, (&a, ", behind_nat: true"));
    let natted = internet.ours(Place::A, &text).unwrap();
    wait_for(
        "the router knows the way in, and the site that it is registered",
        || (counters(&rtr).unwrap(), counters(&natted).unwrap()),
        |(router, site)| {
            let known = router["control.nat.reached"] > 0 && site["control.nat.registered"] > 0;
            (known && site["control.map-registers.acknowledged"] > 1).then_some(())
        },
    );
    let _answers =
        [&internet.a, &internet.b].map(|site| Answerer::start(&site.host, site.host_address()).unwrap());
    let there = Talk::start(&internet.a.host, internet.b.host_address()).unwrap();
    let back = Talk::start(&internet.b.host, internet.a.host_address()).unwrap();
    there.come_back(50).unwrap();
    back.come_back(50).unwrap();
    // The peer knows the router, and no address behind the NAT.
    let rows = map_cache(&peer).unwrap();
    let row = rows.iter().find(|row| row.eid == a.parse().unwrap()).unwrap();
    let told: Vec<_> = row.locators.iter().map(|known| known.locator.rloc.0).collect();
    assert_eq!(told, [router_rloc]);
    // All is on the registered ports so far, so the dissector can tell what is what.
    let captured = capture.stop().unwrap();
    captured.is_well_formed().unwrap();
    assert!(
        !captured
            .shown("lisp && udp.srcport == 4341 && udp.dstport == 4342")
            .unwrap()
            .is_empty()
    );

    translate(&internet, "to :40000-40999");
    forget(&internet);
    wait_for(
        "the router follows the NAT",
        || counters(&rtr).unwrap(),
        |counted| (counted["control.nat.moved"] > 0).then_some(()),
    );
    there.come_back(50).unwrap();
    back.come_back(50).unwrap();
    // A router of which the Map-Server knows nothing cannot register anybody, nor anybody without the site's key.
    let counted = counters(&server).unwrap();
    assert_eq!(counted["control.refused.scope"], 0, "{counted:#?}");
}

/// OpenOverlayRouter behind the NAT. It draws the nonces of its registrations at random, and is named for that at each of three places.
#[test]
fn openoverlayrouter_behind_a_nat_is_reached_through_our_router_both_ways() {
    let mut internet = Internet::lay().unwrap();
    let (router, router_rloc) = internet.rtr().unwrap();
    translate(&internet, "");
    let [a, b] = [&internet.a, &internet.b].map(Site::prefix);
    let keys = format!(
        "keys:\n  main: {{ id: 0, algorithm: hmac-sha1, legacy: true, mac: whole, secret: {SECRET} }}\n  router: {{ id: 2, algorithm: hmac-sha256, secret: between routers }}\n"
    );
    let text = format!(
        "{keys}rlocs: [{{ address: {MAP_SERVER} }}]
roles: [map-server, map-resolver]
sites: [{{ prefix: {a}, keys: [main], nonces: any }}, {{ prefix: {b}, keys: [main] }}]
nat_rtrs: [{{ address: {router_rloc}, key: router, nonces: any }}]
"
    );
    let server = internet.ours(Place::Server, &text).unwrap();
    let text = format!(
        "{keys}rlocs: [{{ address: {router_rloc} }}]
roles: [rtr]
map_resolvers: [{MAP_SERVER}]
rtr: {{ eids: [{a}, {b}], nat: [{{ map_server: {MAP_SERVER}, key: router, nonces: any }}] }}
"
    );
    let rtr = internet.ours(router, &text).unwrap();
    let text = format!(
        "{keys}rlocs: [{{ address: {} }}]
tun: {{ name: lisp0, routes: [{a}] }}
roles: [itr, etr]
map_resolvers: [{MAP_SERVER}]
register_every: 2s
map_servers: [{{ address: {MAP_SERVER}, key: main }}]
eids: [{{ prefix: {b} }}]
",
        internet.b.rloc(0)
    );
    let peer = internet.ours(Place::B, &text).unwrap();
    let text = format!(
        "operating-mode = xTR
encapsulation = LISP
ipv6-scope = GLOBAL
nat_traversal_support = on
map-request-retries = 2
rloc-probing {{
    rloc-probe-interval = 0
}}
map-resolver = {{
    {MAP_SERVER}
}}
map-server {{
    address = {MAP_SERVER}
    key-type = 1
    key = {SECRET}
    proxy-reply = on
}}
database-mapping {{
    eid-prefix = {a}
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
    );
    internet.oor(Place::A, &text).unwrap();
    wait_for(
        "the site behind the NAT is registered",
        || {
            (
                counters(&rtr).unwrap(),
                counters(&server).unwrap(),
                internet.log(Place::A),
            )
        },
        |(router, server, _)| {
            let taken = server["control.map-registers.accepted"] > 0;
            (taken && router["control.nat.reached"] > 0).then_some(())
        },
    );
    let _answers =
        [&internet.a, &internet.b].map(|site| Answerer::start(&site.host, site.host_address()).unwrap());
    let there = Talk::start(&internet.a.host, internet.b.host_address()).unwrap();
    there.come_back(50).unwrap();
    let back = Talk::start(&internet.b.host, internet.a.host_address()).unwrap();
    back.come_back(50).unwrap();
    let rows = map_cache(&peer).unwrap();
    let row = rows.iter().find(|row| row.eid == a.parse().unwrap()).unwrap();
    // It names its own address besides, as one that cannot be reached (R=0), and nothing goes there.
    let told: Vec<_> = row.locators.iter().map(|known| known.locator.rloc.0).collect();
    assert_eq!(told, [internet.a.rloc(0), router_rloc]);
    let used = row.locators.iter().filter(|known| known.packets > 0);
    let used: Vec<_> = used.map(|known| known.locator.rloc.0).collect();
    assert_eq!(used, [router_rloc], "{row:?}");
    let told = [there, back].map(|talk| talk.finish().unwrap());
    assert!(told.iter().all(|one| one.duplicated == 0), "{told:?}");
}
