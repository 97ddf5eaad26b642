//! An EID moves, and of three that speak to it one is told by its Map-Server (RFC 9437), one by Change-Priority and one, which knows
//! nothing else, by solicitation: each once, each by its way, chosen by the forwarders themselves.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;
use std::net::{IpAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use lisp_wire::{EidPrefix, Locator, MessageKind, Priority, Rloc, Weight};
use proto::node::{Show, Tell};
use proto::{Audience, ChangeId, NodeCommand, NodeReport};
use system_tests::fabric::{ask, counters, map_cache, sent};
use system_tests::oor::{Internet, MAP_SERVER, Place, SECRET};
use system_tests::patience::wait_for;
use system_tests::talk::a_while;

/// Speaks to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Subscribes,
    KnowsChangePriority,
    KnowsRfc9301,
}

const KINDS: [Kind; 3] = [Kind::Subscribes, Kind::KnowsChangePriority, Kind::KnowsRfc9301];

struct Client {
    control: PathBuf,
    rloc: Rloc,
    /// Goes on as long as the scene.
    _talk: Talker,
}

/// Sends a packet to the EID ten times a second, from where its router is.
struct Talker(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Drop for Talker {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        let _ = self.1.take().map(JoinHandle::join);
    }
}

impl Talker {
    fn start(internet: &Internet, place: Place, to: IpAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let space = internet.space(place).unwrap();
        let socket = space.run(|| UdpSocket::bind("0.0.0.0:0")).unwrap().unwrap();
        let ends = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                // Whoever is not there yet does not hear it.
                let _ = socket.send_to(b"hello", (to, 5001));
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        Self(stop, Some(thread))
    }
}

fn keys() -> String {
    format!(
        "keys:
  main: {{ id: 1, algorithm: hmac-sha256, secret: {SECRET} }}
  publish: {{ id: 2, algorithm: hmac-sha256, secret: what is published }}
  change: {{ id: 3, algorithm: hmac-sha256, secret: what is told to clients }}
  sites: {{ id: 4, algorithm: hmac-sha256, secret: what sites say to each other }}\n"
    )
}

/// One of the two sites that the EID may be at.
fn site(internet: &Internet, eid: EidPrefix, here: Place) -> String {
    let [first, second] = [internet.a.rloc(0), internet.b.rloc(0)];
    let (own, other, registers) = if here == Place::A {
        (first, second, true)
    } else {
        (second, first, false)
    };
    format!(
        "{}rlocs: [{{ address: {own} }}]
tun: {{ name: lisp0, routes: [] }}
roles: [itr, etr]
map_resolvers: [{MAP_SERVER}]
map_servers: [{{ address: {MAP_SERVER}, key: main, proxy_reply: true }}]
register_every: 2s
eids: [{{ prefix: {eid}, register: {registers}, locators: [{{ address: {first} }}, {{ address: {second}, priority: 2 }}] }}]
change_priority: {{ keys: [change], move_keys: [sites], group: [{other}] }}
",
        keys()
    )
}

fn client(kind: Kind, rloc: IpAddr, eid: EidPrefix) -> String {
    let resolver = match kind {
        Kind::Subscribes => format!("{{ address: {MAP_SERVER}, subscribe: true, key: publish }}"),
        Kind::KnowsChangePriority | Kind::KnowsRfc9301 => MAP_SERVER.to_string(),
    };
    let knows = match kind {
        Kind::Subscribes | Kind::KnowsChangePriority => "change_priority: { keys: [change] }\n",
        Kind::KnowsRfc9301 => "",
    };
    format!(
        "{}rlocs: [{{ address: {rloc} }}]
tun: {{ name: lisp0, routes: [{eid}] }}
roles: [itr]
map_resolvers: [{resolver}]
map_servers: []
{knows}",
        keys()
    )
}

fn counted(socket: &Path, name: &str) -> u64 {
    counters(socket).unwrap()[name]
}

/// The first locator that a client has of the EID.
fn entry(control: &Path, eid: EidPrefix) -> Option<Rloc> {
    let rows = map_cache(control).unwrap();
    let row = rows.into_iter().find(|row| row.eid == eid)?;
    let best = row.locators.iter().min_by_key(|known| known.locator.priority)?;
    Some(best.locator.rloc)
}

/// Three clients of an EID that is at the first site.
struct Scene {
    eid: EidPrefix,
    server: PathBuf,
    old: PathBuf,
    new: PathBuf,
    /// In the order of [`KINDS`].
    clients: [Client; 3],
    home: Rloc,
    away: Rloc,
    internet: Internet,
}

fn map_server(eid: EidPrefix) -> String {
    format!(
        "{}rlocs: [{{ address: {MAP_SERVER} }}]
roles: [map-server, map-resolver]
pubsub: {{ key: publish }}
sites: [{{ prefix: {eid}, keys: [main], answered_for: subscribers }}]
",
        keys()
    )
}

impl Scene {
    fn set() -> Self {
        let mut internet = Internet::lay().unwrap();
        let eid: EidPrefix = "192.168.1.10/32".parse().unwrap();
        let address = internet.a.host_address();
        let server = internet.ours(Place::Server, &map_server(eid)).unwrap();
        let text = site(&internet, eid, Place::B);
        let new = internet.ours(Place::B, &text).unwrap();
        let text = site(&internet, eid, Place::A);
        let old = internet.ours(Place::A, &text).unwrap();
        let [home, away] = [&internet.a, &internet.b].map(|site| Rloc(site.rloc(0)));
        wait_for(
            "the EID is registered",
            || counted(&old, "control.map-registers.acknowledged"),
            |times| (*times > 0).then_some(()),
        );
        let clients = KINDS.map(|kind| {
            let (place, rloc) = internet.rtr().unwrap();
            let control = internet.ours(place, &client(kind, rloc, eid)).unwrap();
            Client {
                control,
                rloc: Rloc(rloc),
                _talk: Talker::start(&internet, place, address),
            }
        });
        let scene = Self {
            eid,
            server,
            old,
            new,
            clients,
            home,
            away,
            internet,
        };
        scene.is_entered_by(home);
        scene.shows();
        scene
    }

    fn is_entered_by(&self, rloc: Rloc) {
        for client in &self.clients {
            wait_for(
                "the client goes to the site",
                || entry(&client.control, self.eid),
                |entry| (*entry == Some(rloc)).then_some(()),
            );
        }
    }

    /// Each shows how it is told, for each is told something: a view of its own, as the engine gives.
    fn shows(&self) {
        let locator = |(rloc, priority)| Locator::unicast(rloc, Priority(priority), Weight(100));
        for (number, client) in (1..).zip(&self.clients) {
            let change = NodeCommand::SetLocators {
                change: ChangeId(number),
                eid: self.eid,
                audience: Audience::Client { rloc: client.rloc },
                locators: vec![locator((self.home, 1)), locator((self.away, 3))],
                tell: Tell::ChangePriority,
            };
            assert_eq!(ask(&self.old, change).unwrap(), NodeReport::Done);
        }
        let told_by = || {
            let what = Show::Requesters;
            let NodeReport::Requesters { rows } = ask(&self.old, NodeCommand::Show { what }).unwrap() else {
                panic!("requesters were asked for");
            };
            rows.into_iter()
                .map(|row| (row.client, row.told_by))
                .collect::<BTreeMap<_, _>>()
        };
        wait_for("how each is told is known", told_by, |told_by| {
            // Who subscribes has never asked the site itself.
            let known = self
                .clients
                .each_ref()
                .map(|client| told_by.get(&client.rloc).map(String::as_str));
            (known == [None, Some("change-priority"), Some("smr")]).then_some(())
        });
        self.old_counts("control.change-priority.acknowledged", 2);
    }

    fn old_counts(&self, name: &str, times: u64) {
        wait_for(
            name,
            || counters(&self.old).unwrap(),
            |now| (now[name] == times).then_some(()),
        );
    }

    fn moves(&self) {
        let (change, eid) = (ChangeId(9), self.eid);
        let arrived = NodeCommand::Arrived { change, eid };
        assert_eq!(ask(&self.new, arrived).unwrap(), NodeReport::Done);
        self.is_entered_by(self.away);
    }
}

#[test]
fn a_subscriber_one_that_knows_change_priority_and_one_that_does_not_are_each_told_of_a_move_by_its_way() {
    let scene = Scene::set();
    let (_, before) = sent(&scene.old, scene.eid, 0).unwrap();
    let (_, before_server) = sent(&scene.server, scene.eid, 0).unwrap();
    scene.moves();
    // Nothing shows that the subscriber does not know.
    scene.old_counts("control.change-priority.published", 1);
    // What would be said twice is said within this time.
    a_while();
    let (told, _) = sent(&scene.old, scene.eid, before).unwrap();
    let [subscriber, knows, other] = scene.clients.each_ref().map(|client| client.rloc.0);
    let times = |to, kind| told.get(&(to, kind)).copied().unwrap_or(0);
    let [change, smr] = [MessageKind::ChangePriority, MessageKind::Smr];
    assert_eq!(
        (times(subscriber, change), times(subscriber, smr)),
        (0, 0),
        "{told:?}"
    );
    assert_eq!((times(knows, change), times(knows, smr)), (1, 0), "{told:?}");
    // It asks the new site, so no answer comes to the old one, which says it up to three times.
    assert_eq!(times(other, change), 0, "{told:?}");
    assert!((1..=3).contains(&times(other, smr)), "{told:?}");
    let (published, _) = sent(&scene.server, scene.eid, before_server).unwrap();
    let to = |rloc| {
        published
            .get(&(rloc, MessageKind::MapNotify))
            .copied()
            .unwrap_or(0)
    };
    assert_eq!((to(subscriber), to(knows), to(other)), (1, 0, 0), "{published:?}");
    assert_eq!(counted(&scene.old, "control.change-priority.unpublished"), 0);
    assert_eq!(counted(&scene.new, "control.change-priority.published"), 0);
}

#[test]
fn a_subscriber_whose_map_server_has_forgotten_it_gives_itself_away_by_its_packets_and_is_told() {
    let mut scene = Scene::set();
    scene.internet.kill(Place::Server).unwrap();
    let text = map_server(scene.eid);
    scene.server = scene.internet.ours(Place::Server, &text).unwrap();
    wait_for(
        "the site is registered again",
        || counted(&scene.server, "control.map-registers.accepted"),
        |times| (*times > 0).then_some(()),
    );
    let (_, before) = sent(&scene.old, scene.eid, 0).unwrap();
    scene.moves();
    scene.old_counts("control.change-priority.unpublished", 1);
    assert_eq!(counted(&scene.old, "control.change-priority.published"), 0);
    assert_eq!(counted(&scene.server, "control.pubsub.published"), 0);
    let (told, _) = sent(&scene.old, scene.eid, before).unwrap();
    let [subscriber, ..] = scene.clients.each_ref().map(|client| client.rloc.0);
    assert_eq!(
        told.get(&(subscriber, MessageKind::ChangePriority)),
        Some(&1),
        "{told:?}"
    );
}
