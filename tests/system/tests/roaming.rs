//! A user's router moves: its address changes, then the family of its address. It tells the mapping system and its peers
//! by itself, and what the user is doing goes on. And families mixed every way, without anybody moving.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use lisp_wire::MessageKind;
use system_tests::fabric::{counters, map_cache, sent};
use system_tests::moving::{Centre, Moving, USERS};
use system_tests::oor::{Internet, MAP_SERVER, Place, SECRET, Site, map_server6};
use system_tests::patience::wait_for;
use system_tests::talk::{Answerer, Talk};

fn key() -> String {
    format!("keys: {{ main: {{ id: 1, algorithm: hmac-sha256, secret: {SECRET} }} }}\n")
}

/// With these locators, as they stand in the file.
fn xtr(here: &Site, there: &Site, rlocs: &str) -> String {
    let servers = [MAP_SERVER, map_server6()];
    let registers = servers
        .map(|address| format!("{{ address: '{address}', key: main }}"))
        .join(", ");
    format!(
        "{}rlocs: [{rlocs}]
tun: {{ name: lisp0, routes: ['{}', '{}'] }}
roles: [itr, etr]
map_resolvers: ['{}', '{}']
map_servers: [{registers}]
eids: [{{ prefix: '{}' }}, {{ prefix: '{}' }}]
probing: {{ cache_interval: 200ms, timeout: 500ms, down_after: 3 }}
",
        key(),
        there.prefix(),
        there.prefix6(),
        servers[0],
        servers[1],
        here.prefix(),
        here.prefix6(),
    )
}

fn map_server(internet: &Internet) -> String {
    let sites = [&internet.a, &internet.b].map(|site| {
        let (v4, v6) = (site.prefix(), site.prefix6());
        format!("  - {{ prefix: '{v4}', keys: [main] }}\n  - {{ prefix: '{v6}', keys: [main] }}\n")
    });
    format!(
        "{}rlocs: [{{ address: {MAP_SERVER} }}, {{ address: '{}' }}]\nroles: [map-server, map-resolver]\nsites:\n{}",
        key(),
        map_server6(),
        sites.concat()
    )
}

fn registers(socket: &Path) {
    wait_for(
        "the Map-Server has the mappings",
        || counters(socket).unwrap(),
        |counted| (counted["control.map-registers.acknowledged"] > 0).then_some(()),
    );
}

/// Until a peer knows a site at these locators and no others.
fn is_known_at(socket: &Path, site: &Site, at: &[IpAddr]) {
    let eids = [site.prefix(), site.prefix6()].map(|text| text.parse().unwrap());
    wait_for(
        "the peer follows",
        || map_cache(socket).unwrap(),
        |rows| {
            let known = |eid| {
                let row = rows.iter().find(|row| row.eid == eid)?;
                let rlocs = row.locators.iter().map(|known| known.locator.rloc.0);
                rlocs.eq(at.iter().copied()).then_some(())
            };
            eids.iter().try_for_each(|eid| known(*eid))
        },
    );
}

#[test]
fn a_user_that_moves_to_another_address_and_to_another_family_is_followed() {
    let mut internet = Internet::lay().unwrap();
    internet.six().unwrap();
    internet.roam(&internet.a, (Some(2), None)).unwrap();
    let capture = internet.capture().unwrap();
    internet.ours(Place::Server, &map_server(&internet)).unwrap();
    let fixed = format!(
        "{{ address: {}, priority: 1 }}, {{ address: '{}', priority: 2 }}",
        internet.b.rloc(0),
        internet.b.rloc6()
    );
    let text = xtr(&internet.b, &internet.a, &fixed);
    let peer = internet.ours(Place::B, &text).unwrap();
    let text = xtr(&internet.a, &internet.b, "{ interface: wan0 }");
    let user = internet.ours(Place::A, &text).unwrap();
    registers(&peer);
    registers(&user);
    let (a, b) = (&internet.a, &internet.b);
    let addresses = [b.host_address(), b.host_address6()];
    let _answers = addresses.map(|address| Answerer::start(&b.host, address).unwrap());
    let talks = addresses.map(|address| Talk::start(&a.host, address).unwrap());
    let all_come_back = || talks.iter().for_each(|talk| talk.come_back(25).unwrap());
    all_come_back();
    is_known_at(&peer, a, &[a.rloc(0)]);

    internet.roam(a, (Some(77), None)).unwrap();
    let second: IpAddr = "10.80.1.77".parse().unwrap();
    is_known_at(&peer, a, &[second]);
    all_come_back();

    internet.roam(a, (None, Some(0x42))).unwrap();
    let third: IpAddr = "2001:db8:80:1::42".parse().unwrap();
    is_known_at(&peer, a, &[third]);
    all_come_back();

    internet.roam(a, (Some(2), Some(0x42))).unwrap();
    is_known_at(&peer, a, &[a.rloc(0), third]);
    all_come_back();

    for talk in talks {
        let told = talk.finish().unwrap();
        eprintln!(
            "roaming: {} of {} packets lost over three moves",
            told.lost, told.sent
        );
        assert!(told.received > told.lost, "{told:?}");
        assert_eq!(told.duplicated, 0, "{told:?}");
    }
    // Between two addresses there may be a moment with both, or with neither of a family.
    assert!(counters(&user).unwrap()["control.relocations"] >= 3);
    capture.stop().unwrap().is_well_formed().unwrap();
}

#[test]
fn either_family_is_carried_in_either_and_a_locator_of_a_family_not_spoken_is_passed_over() {
    let mut internet = Internet::lay().unwrap();
    internet.six().unwrap();
    let capture = internet.capture().unwrap();
    internet.ours(Place::Server, &map_server(&internet)).unwrap();
    // Site 1 has both and prefers the one that site 2 does not speak.
    let (old, new) = (internet.a.rloc(0), internet.a.rloc6());
    let both = format!("{{ address: {old}, priority: 1 }}, {{ address: '{new}', priority: 2 }}");
    let text = xtr(&internet.a, &internet.b, &both);
    let first = internet.ours(Place::A, &text).unwrap();
    let six = format!("{{ address: '{}' }}", internet.b.rloc6());
    let text = xtr(&internet.b, &internet.a, &six);
    let second = internet.ours(Place::B, &text).unwrap();
    registers(&first);
    registers(&second);
    let (a, b) = (&internet.a, &internet.b);
    for (from, to) in [(a, b), (b, a)] {
        for address in [to.host_address(), to.host_address6()] {
            let _answers = Answerer::start(&to.host, address).unwrap();
            Talk::start(&from.host, address).unwrap().come_back(20).unwrap();
        }
    }
    for socket in [&first, &second] {
        let counted = counters(socket).unwrap();
        assert_eq!(counted["encap.drop.no-family"], 0, "{counted:#?}");
    }
    let captured = capture.stop().unwrap();
    captured.is_well_formed().unwrap();
    for inner in ["ip", "ipv6"] {
        // The outer header is the first of its kind.
        let filter = format!("lisp-data && ipv6.src == {} && {inner}", a.rloc6());
        assert!(captured.shown(&filter).unwrap().len() >= 40, "{inner}");
    }
    assert_eq!(
        captured
            .shown("udp.dstport == 4341 && ip.src == 10.80.0.0/16")
            .unwrap(),
        Vec::<String>::new()
    );
}

const ROME: Centre = Centre::Rome;
const PARIS: Centre = Centre::Paris;

/// Where `inria` is, and where it roams to.
const FIRST: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 16, 1, 1));
const SECOND: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 16, 2, 1));

/// `inria` roams in mid-talk, until a data centre and its packets follow; the number of a packet that came back after.
fn roams(scene: &Moving, talk: &Talk, seen_by: Centre) -> u64 {
    scene.roam("inria", (FIRST, SECOND)).unwrap();
    scene.knows(seen_by, "inria", SECOND).unwrap();
    talk.next_back().unwrap()
}

/// Change-Priority that a data centre sent to each address of `inria` since a message of its log.
fn told(scene: &Moving, by: Centre, since: u64) -> [usize; 2] {
    let (sent, _) = sent(&scene.control(by).unwrap(), scene.eid, since).unwrap();
    [FIRST, SECOND].map(|to| sent.get(&(to, MessageKind::ChangePriority)).copied().unwrap_or(0))
}

/// The number of the last message in a data centre's log.
fn last_word(scene: &Moving, of: Centre) -> u64 {
    sent(&scene.control(of).unwrap(), scene.eid, 0).unwrap().1
}

/// Ends all talks. Who stays where it is has lost nothing; who roams has lost some in a row, all between two of its packets.
fn judge(talks: BTreeMap<&'static str, Talk>, [left, followed]: [u64; 2]) {
    for (user, talk) in talks {
        let fate = talk.fate().unwrap();
        assert_eq!(fate.summary.duplicated, 0, "{user}: {:?}", fate.summary);
        if user == "inria" {
            let within = |seq: &u64| (left..followed).contains(seq);
            assert!(
                fate.missing.iter().all(within),
                "{left}..{followed}: {:?}",
                fate.missing
            );
            assert!(
                fate.missing.windows(2).all(|pair| pair[1] == pair[0] + 1),
                "{:?}",
                fate.missing
            );
            eprintln!(
                "roaming: {} of {} packets lost, in a row",
                fate.missing.len(),
                fate.summary.sent
            );
        } else {
            assert_eq!(fate.missing, Vec::<u64>::new(), "{user}: {:?}", fate.summary);
        }
    }
}

#[test]
fn a_user_that_has_roamed_is_told_where_it_is_when_the_vm_it_talks_to_moves_and_loses_nothing_then() {
    let scene = Moving::start().unwrap();
    let talks = scene.talks().unwrap();
    let left = talks["inria"].next_back().unwrap();
    let followed = roams(&scene, &talks["inria"], ROME);

    let since = [ROME, PARIS].map(|centre| last_word(&scene, centre));
    scene.moves(ROME, PARIS).unwrap();
    for user in USERS {
        scene.enters_by(user, PARIS).unwrap();
        talks[user].come_back(25).unwrap();
    }
    let [by_rome, by_paris] =
        [(ROME, since[0]), (PARIS, since[1])].map(|(by, since)| told(&scene, by, since));
    assert!(by_paris[1] >= 1, "{by_paris:?}");
    assert_eq!(by_rome[1], 0, "who is handed over is told by the destination");
    judge(talks, [left, followed]);
    scene.lab.stop().unwrap();
}

#[test]
fn a_user_that_roams_between_the_preparation_and_the_move_is_told_at_its_new_address() {
    let scene = Moving::start().unwrap();
    let talks = scene.talks().unwrap();
    scene
        .order(ROME, "prepare", &["--to", &PARIS.rloc().0.to_string()])
        .unwrap();
    let left = talks["inria"].next_back().unwrap();
    let followed = roams(&scene, &talks["inria"], ROME);

    let since = last_word(&scene, PARIS);
    scene.finish_move(ROME, PARIS).unwrap();
    for user in USERS {
        scene.enters_by(user, PARIS).unwrap();
        talks[user].come_back(25).unwrap();
    }
    assert!(told(&scene, PARIS, since)[1] >= 1);
    judge(talks, [left, followed]);
    scene.lab.stop().unwrap();
}

#[test]
fn a_user_that_roams_after_the_vm_has_moved_is_followed_by_its_new_site_and_told_by_it_of_the_next_move() {
    let scene = Moving::start().unwrap();
    let talks = scene.talks().unwrap();
    scene.moves(ROME, PARIS).unwrap();
    for user in USERS {
        scene.enters_by(user, PARIS).unwrap();
        talks[user].come_back(25).unwrap();
    }
    let left = talks["inria"].next_back().unwrap();
    let followed = roams(&scene, &talks["inria"], PARIS);

    let since = last_word(&scene, ROME);
    scene.moves(PARIS, ROME).unwrap();
    for user in USERS {
        scene.enters_by(user, ROME).unwrap();
        talks[user].come_back(25).unwrap();
    }
    assert!(told(&scene, ROME, since)[1] >= 1);
    judge(talks, [left, followed]);
    scene.lab.stop().unwrap();
}
