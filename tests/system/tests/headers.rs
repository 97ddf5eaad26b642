//! Data headers that say more than whose packet it is, on a wire: a locator that is down is told by status bits long before
//! probes find it, a path that is closed one way is found by an echo that does not come.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use system_tests::fabric::{counters, map_cache};
use system_tests::oor::{Internet, MAP_SERVER, Place, SECRET, Site};
use system_tests::patience::wait_for;
use system_tests::talk::{Answerer, Talk};

/// All locators of the lab are trusted with all there is to be said; probes need at least twenty seconds to find that a
/// locator is down.
fn common(rlocs: &str, header: &str) -> String {
    format!(
        "keys: {{ main: {{ id: 1, algorithm: hmac-sha256, secret: {SECRET} }} }}
rlocs: [{rlocs}]
data_header: {{ locator_status: true, echo_nonce: true, map_version: true, peers: [10.80.0.0/16], {header} }}
"
    )
}

fn xtr(routes: &Site, (eid, locators): (&str, &str)) -> String {
    format!(
        "tun: {{ name: lisp0, routes: ['{}'] }}
roles: [itr, etr]
map_resolvers: [{MAP_SERVER}]
map_servers: [{{ address: {MAP_SERVER}, key: main }}]
eids: [{{ prefix: '{eid}', map_version: 1, locators: [{locators}] }}]
",
        routes.prefix()
    )
}

fn map_server(internet: &Internet) -> String {
    let sites = [&internet.a, &internet.b]
        .map(|site| format!("  - {{ prefix: '{}', keys: [main] }}\n", site.prefix()));
    let own = format!("{{ address: {MAP_SERVER} }}");
    let key = format!("keys: {{ main: {{ id: 1, algorithm: hmac-sha256, secret: {SECRET} }} }}\n");
    format!(
        "{key}rlocs: [{own}]\nroles: [map-server, map-resolver]\nsites:\n{}",
        sites.concat()
    )
}

/// Whether a forwarder believes that a locator of the site's mapping is up.
fn believes_up(socket: &Path, site: &Site, rloc: IpAddr) -> Option<bool> {
    let eid = site.prefix().parse().unwrap();
    let rows = map_cache(socket).unwrap();
    let row = rows.iter().find(|row| row.eid == eid)?;
    let mut locators = row.locators.iter();
    locators
        .find(|known| known.locator.rloc.0 == rloc)
        .map(|known| known.up)
}

fn is_believed(socket: &Path, site: &Site, (rloc, up): (IpAddr, bool)) -> Duration {
    let begin = Instant::now();
    wait_for(
        "the peer changes its mind",
        || believes_up(socket, site, rloc),
        |known| (*known == Some(up)).then_some(()),
    );
    begin.elapsed()
}

#[test]
fn a_locator_that_goes_down_is_told_by_status_bits_long_before_probes_find_it() {
    let mut internet = Internet::lay().unwrap();
    let (second, second_rloc) = internet.rtr().unwrap();
    internet.second_way(second, &internet.b).unwrap();
    let capture = internet.capture().unwrap();
    internet.ours(Place::Server, &map_server(&internet)).unwrap();
    let (first_rloc, b, a) = (internet.b.rloc(0), internet.b.prefix(), internet.a.rloc(0));
    let locators = format!("{{ address: {second_rloc} }}, {{ address: {first_rloc}, priority: 2 }}");
    let slow = "probing: { cache_interval: 10s, timeout: 2s, down_after: 3 }\n";
    let fast = "probing: { cache_interval: 100ms, timeout: 300ms, down_after: 3 }\n";
    let text = common(&format!("{{ address: {a} }}"), "")
        + &xtr(
            &internet.b,
            (&internet.a.prefix(), &format!("{{ address: {a} }}")),
        )
        + slow;
    let user = internet.ours(Place::A, &text).unwrap();
    for (place, rloc) in [(Place::B, first_rloc), (second, second_rloc)] {
        let text = common(&format!("{{ address: {rloc} }}"), "") + &xtr(&internet.a, (&b, &locators)) + fast;
        internet.ours(place, &text).unwrap();
    }
    let _answers =
        [&internet.a, &internet.b].map(|site| Answerer::start(&site.host, site.host_address()).unwrap());
    // Both ends have something to say by themselves: bits come with packets.
    let there = Talk::start(&internet.a.host, internet.b.host_address()).unwrap();
    let back = Talk::start(&internet.b.host, internet.a.host_address()).unwrap();
    there.come_back(50).unwrap();
    back.come_back(50).unwrap();
    assert_eq!(believes_up(&user, &internet.b, second_rloc), Some(true));

    internet.kill(second).unwrap();
    let after = is_believed(&user, &internet.b, (second_rloc, false));
    eprintln!(
        "headers: known after {} ms; probes would need 20 s",
        after.as_millis()
    );
    assert!(after < Duration::from_secs(10), "{after:?}");
    there.come_back(25).unwrap();
    let counted = counters(&user).unwrap();
    assert!(counted["control.data-header.status-down"] >= 1, "{counted:#?}");
    assert_eq!(counted["probes.lost"], 0, "probes knew it first");
    drop((there, back));

    let captured = capture.stop().unwrap();
    captured.is_well_formed().unwrap();
    let shown = |filter: &str| captured.shown(filter).unwrap().len();
    // The locators stand in the order of their addresses: the first one, at site 2, has the lowest bit.
    assert!(shown("lisp-data.flags.lsb == 1 && lisp-data.lsb == 3") > 0);
    assert!(shown("lisp-data.flags.lsb == 1 && lisp-data.lsb == 1") > 0);
    assert!(shown("lisp-data.flags.mv == 1 && lisp-data.srcmapver > 0 && lisp-data.dstmapver > 0") > 0);
    assert_eq!(
        shown("lisp-data && (lisp-data.flags.en_invalid || lisp-data.flags.nv_invalid || _ws.malformed)"),
        0
    );
}

#[test]
fn a_path_that_is_closed_one_way_is_found_by_an_echo_that_does_not_come() {
    let mut internet = Internet::lay().unwrap();
    let capture = internet.capture().unwrap();
    internet.ours(Place::Server, &map_server(&internet)).unwrap();
    let slow = "probing: { cache_interval: 10s, timeout: 5s, down_after: 3 }\n";
    let mut sockets = Vec::new();
    for (place, here, there) in [(Place::A, 1, 2), (Place::B, 2, 1)] {
        let [here, there] = [here, there].map(|number| if number == 1 { &internet.a } else { &internet.b });
        let [first, second] = [0, 1].map(|cable| here.rloc(cable));
        let locators = format!("{{ address: {first} }}, {{ address: {second}, priority: 2 }}");
        let header = "echo_every: 500ms, echo_wait: 300ms";
        let text = common(&locators, header) + &xtr(there, (&here.prefix(), &locators)) + slow;
        sockets.push(internet.ours(place, &text).unwrap());
    }
    let _answers =
        [&internet.a, &internet.b].map(|site| Answerer::start(&site.host, site.host_address()).unwrap());
    let there = Talk::start(&internet.a.host, internet.b.host_address()).unwrap();
    let back = Talk::start(&internet.b.host, internet.a.host_address()).unwrap();
    there.come_back(50).unwrap();
    back.come_back(50).unwrap();
    wait_for(
        "echoes come",
        || counters(&sockets[0]).unwrap(),
        |counted| (counted["control.data-header.echo.came"] >= 2).then_some(()),
    );
    assert_eq!(
        counters(&sockets[0]).unwrap()["control.data-header.echo.missed"],
        0
    );

    // What is sent to site 2's first locator is lost; what site 2 sends goes on.
    internet.cut_off(&internet.b).unwrap();
    let rloc = internet.b.rloc(0);
    let after = is_believed(&sockets[0], &internet.b, (rloc, false));
    eprintln!(
        "headers: one-way path known after {} ms; probes would need 20 s",
        after.as_millis()
    );
    assert!(after < Duration::from_secs(15), "{after:?}");
    assert!(counters(&sockets[0]).unwrap()["control.data-header.echo.missed"] >= 1);
    // By the other locator it is well again, both ways.
    there.come_back(25).unwrap();
    back.come_back(25).unwrap();
    drop((there, back));

    let captured = capture.stop().unwrap();
    captured.is_well_formed().unwrap();
    let shown = |filter: &str| captured.shown(filter).unwrap().len();
    assert!(shown("lisp-data.flags.nonce == 1 && lisp-data.flags.enr == 1") > 0);
    assert!(shown("lisp-data.flags.nonce == 1 && lisp-data.flags.enr == 0") > 0);
    assert_eq!(
        shown("lisp-data && (lisp-data.flags.en_invalid || lisp-data.flags.nv_invalid || _ws.malformed)"),
        0
    );
}
