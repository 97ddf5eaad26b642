//! Publish/subscribe between forwarders (RFC 9437), each a process in a network of its own: mappings change, vanish and come
//! back, servers restart, and strangers forge and replay what they have heard.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

use lisp_wire::message::{AuthField, MapNotify, XtrId};
use lisp_wire::{
    Action, Algorithm, CONTROL_PORT, EidPrefix, Key, Locator, MappingRecord, Message, Nonce, Priority, Rloc,
    Ttl, Weight,
};
use proto::inspect::{SubscribedRow, SubscriptionRow};
use proto::node::{CacheRow, Show, Tell};
use proto::{Audience, ChangeId, NodeCommand, NodeReport, Span};
use system_tests::fabric::{ask, counters, map_cache};
use system_tests::oor::{Internet, MAP_SERVER, Place, SECRET, Site};
use system_tests::patience::wait_for;
use system_tests::product::pacao;
use system_tests::talk::{Answerer, Talk, a_while};
use testbed::Namespace;

const PUBLISH: &str = "what publications are signed with";
const PUBLISH_ID: u8 = 9;

fn keys(publish: &str) -> String {
    format!(
        "keys:
  main: {{ id: 1, algorithm: hmac-sha256, secret: {SECRET} }}
  publish: {{ id: {PUBLISH_ID}, algorithm: hmac-sha256, secret: {publish} }}\n"
    )
}

fn map_server(internet: &Internet) -> String {
    let sites =
        [&internet.a, &internet.b].map(|site| format!("  - {{ prefix: {}, keys: [main] }}\n", site.prefix()));
    format!(
        "{}rlocs: [{{ address: {MAP_SERVER} }}]
roles: [map-server, map-resolver]
pubsub: {{ key: publish }}
sites:\n{}",
        keys(PUBLISH),
        sites.concat()
    )
}

/// A router at both cables of its site that subscribes with the key `publish`.
fn xtr(here: &Site, there: &Site, publish: &str) -> String {
    subscribing_every("180s", (here, there), publish)
}

/// The same, asking anew for its subscriptions after this time.
fn subscribing_every(every: &str, (here, there): (&Site, &Site), publish: &str) -> String {
    format!(
        "{}rlocs: [{{ address: {}, priority: 1 }}, {{ address: {}, priority: 2 }}]
tun: {{ name: lisp0, routes: [{}] }}
roles: [itr, etr]
map_resolvers: [{{ address: {MAP_SERVER}, subscribe: true, key: publish }}]
map_servers: [{{ address: {MAP_SERVER}, key: main, proxy_reply: true }}]
register_every: 2s
subscribe_every: {every}
eids: [{{ prefix: {} }}]
",
        keys(publish),
        here.rloc(0),
        here.rloc(1),
        there.prefix(),
        here.prefix(),
    )
}

/// Site 1 speaks to site 2 and is told of its changes.
struct Scene {
    internet: Internet,
    server: PathBuf,
    user: PathBuf,
    peer: PathBuf,
    changes: u64,
}

impl Scene {
    /// `publish` is the key that the user's router believes in.
    fn set(publish: &str) -> Self {
        let mut internet = Internet::lay().unwrap();
        let text = map_server(&internet);
        let server = internet.ours(Place::Server, &text).unwrap();
        let text = xtr(&internet.b, &internet.a, PUBLISH);
        let peer = internet.ours(Place::B, &text).unwrap();
        let text = xtr(&internet.a, &internet.b, publish);
        let user = internet.ours(Place::A, &text).unwrap();
        for socket in [&peer, &user] {
            counts(socket, "control.map-registers.acknowledged", 1);
        }
        Self {
            internet,
            server,
            user,
            peer,
            changes: 0,
        }
    }

    fn eid(&self) -> EidPrefix {
        self.internet.b.prefix().parse().unwrap()
    }

    /// The user's host speaks to the peer's.
    fn talk(&self) -> (Answerer, Talk) {
        let (a, b) = (&self.internet.a, &self.internet.b);
        let answers = Answerer::start(&b.host, b.host_address()).unwrap();
        let talk = Talk::start(&a.host, b.host_address()).unwrap();
        talk.come_back(20).unwrap();
        (answers, talk)
    }

    /// From now on everyone is to reach the peer by this cable alone. It says so to the Map-Server and to nobody else.
    fn enter_by(&mut self, cable: u8) -> Rloc {
        let rloc = Rloc(self.internet.b.rloc(cable));
        self.changes += 1;
        let change = NodeCommand::SetLocators {
            change: ChangeId(self.changes),
            eid: self.eid(),
            audience: Audience::Everyone,
            locators: vec![Locator::unicast(rloc, Priority(1), Weight(100))],
            tell: Tell::Nobody,
        };
        assert_eq!(ask(&self.peer, change).unwrap(), NodeReport::Done);
        rloc
    }

    /// What the user's router knows of the peer's site.
    fn known(&self) -> Option<CacheRow> {
        let rows = map_cache(&self.user).unwrap();
        rows.into_iter()
            .find(|row| row.eid == self.eid() && !row.locators.is_empty())
    }

    fn is_told(&self, of: &[Rloc]) {
        wait_for(
            "the subscriber is told",
            || self.known(),
            |known| {
                let row = known.as_ref()?;
                let rlocs = row.locators.iter().map(|cached| cached.locator.rloc);
                (row.origin == "publication" && rlocs.eq(of.iter().copied())).then_some(())
            },
        );
    }

    fn both(&self) -> [Rloc; 2] {
        [0, 1].map(|cable| Rloc(self.internet.b.rloc(cable)))
    }

    /// What the Map-Server has of the user's router and the peer's site.
    fn subscription(&self) -> Option<SubscriptionRow> {
        let what = Show::Subscriptions;
        let NodeReport::Subscriptions { rows } = ask(&self.server, NodeCommand::Show { what }).unwrap()
        else {
            panic!("asked for subscriptions");
        };
        let here = self.internet.a.rloc(0);
        rows.into_iter()
            .find(|row| row.eid == self.eid() && row.to.iter().any(|to| to.ip() == here))
    }

    /// Where the peer's site is by the Map-Server.
    fn registered(&self) -> Vec<Rloc> {
        let what = Show::Registrations;
        let NodeReport::Registrations { rows } = ask(&self.server, NodeCommand::Show { what }).unwrap()
        else {
            panic!("asked for registrations");
        };
        let of_peer = rows.iter().filter(|row| row.eid == self.eid());
        of_peer
            .flat_map(|row| &row.locators)
            .map(|locator| locator.rloc)
            .collect()
    }

    /// What the user's router has of the same.
    fn subscribed(&self) -> Option<SubscribedRow> {
        let what = Show::Subscribed;
        let NodeReport::Subscribed { rows } = ask(&self.user, NodeCommand::Show { what }).unwrap() else {
            panic!("asked for subscriptions");
        };
        rows.into_iter().find(|row| row.eid == self.eid())
    }

    fn forget(&self) {
        let mut command = pacao(["ctl", "node"]).unwrap();
        let output = command
            .arg(&self.user)
            .args(["unpin", &self.internet.b.prefix()])
            .output();
        let output = output.unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

fn counted(socket: &Path, name: &str) -> u64 {
    counters(socket).unwrap()[name]
}

/// Waits until a counter is there or past it.
fn counts(socket: &Path, name: &str, least: u64) {
    wait_for(
        name,
        || counters(socket).unwrap(),
        |now| (now[name] >= least).then_some(()),
    );
}

/// Sends bytes to a router as if from where they were first heard.
fn send(from: &Namespace, (source, to): (std::net::IpAddr, std::net::IpAddr), bytes: &[u8]) {
    let socket = from.run(move || UdpSocket::bind((source, 0))).unwrap().unwrap();
    let to = SocketAddr::new(to, CONTROL_PORT);
    assert_eq!(socket.send_to(bytes, to).unwrap(), bytes.len());
}

#[test]
fn a_subscriber_follows_changes_by_itself_loses_what_is_withdrawn_and_is_told_no_more_once_it_has_left() {
    let mut scene = Scene::set(PUBLISH);
    let capture = scene.internet.capture().unwrap();
    let (answers, talk) = scene.talk();
    scene.is_told(&scene.both());
    wait_for("the Map-Server has it", || scene.subscription(), Clone::clone);

    let asked = counted(&scene.user, "control.map-requests.sent");
    let before = scene.internet.b.received("wan1").unwrap();
    let second = scene.enter_by(1);
    scene.is_told(&[second]);
    talk.come_back(20).unwrap();
    assert!(
        scene.internet.b.received("wan1").unwrap() >= before + 20,
        "packets follow"
    );
    assert_eq!(
        counted(&scene.user, "control.map-requests.sent"),
        asked,
        "nobody asked"
    );
    counts(&scene.server, "control.pubsub.delivered", 1);

    // The router goes, and its registration with it; then it comes again.
    scene.internet.end(Place::B).unwrap();
    wait_for(
        "it is withdrawn",
        || scene.known(),
        |known| known.is_none().then_some(()),
    );
    assert_eq!(scene.subscribed().map(|row| row.there), Some(false));
    let text = xtr(&scene.internet.b, &scene.internet.a, PUBLISH);
    scene.peer = scene.internet.ours(Place::B, &text).unwrap();
    // What it was told to say outlived it.
    scene.is_told(&[second]);
    talk.come_back(20).unwrap();
    assert_eq!(talk.finish().unwrap().duplicated, 0);
    drop(answers);

    // What has left the map cache is of no interest any more.
    let served = counted(&scene.server, "control.pubsub.published");
    scene.forget();
    wait_for(
        "it is let go",
        || scene.subscription(),
        |row| row.is_none().then_some(()),
    );
    assert!(counted(&scene.server, "control.pubsub.unsubscribed") >= 1);
    scene.enter_by(0);
    wait_for(
        "the Map-Server has the change",
        || scene.registered(),
        |rlocs| (*rlocs == [scene.both()[0]]).then_some(()),
    );
    assert_eq!(counted(&scene.server, "control.pubsub.published"), served);
    assert_eq!(scene.known(), None);

    a_while();
    let captured = capture.stop().unwrap();
    // RFC 9437 section 5 ends a subscription by an ITR-RLOC of AFI 0, which this dissector does not know.
    let ending = "lisp.type == 1 && lisp.mreq.itr_rloc.afi == 0";
    captured.is_well_formed_but(ending).unwrap();
    assert!(!captured.shown(ending).unwrap().is_empty());
    let (user, server) = (scene.internet.a.rloc(0), MAP_SERVER);
    let notify = format!("lisp.type == 4 && ip.src == {server} && ip.dst == {user}");
    let acknowledged = format!("lisp.type == 5 && ip.src == {user} && ip.dst == {server}");
    // Confirmed, changed, withdrawn, back again, let go; each is acknowledged.
    assert!(captured.shown(&notify).unwrap().len() >= 5);
    assert!(captured.shown(&acknowledged).unwrap().len() >= 5);
}

#[test]
fn a_map_server_that_restarts_disturbs_nobody_and_tells_those_who_subscribe_anew() {
    let mut scene = Scene::set(PUBLISH);
    let (_answers, talk) = scene.talk();
    scene.is_told(&scene.both());
    scene.internet.kill(Place::Server).unwrap();
    talk.come_back(40).unwrap();
    assert!(scene.known().is_some(), "what was told stays in use");
    let text = map_server(&scene.internet);
    scene.server = scene.internet.ours(Place::Server, &text).unwrap();
    // Both sites within one refresh.
    counts(&scene.server, "control.map-registers.accepted", 2);
    talk.come_back(20).unwrap();
    let told = talk.finish().unwrap();
    assert_eq!((told.lost, told.duplicated), (0, 0), "{told:?}");

    // It has forgotten its subscribers; they ask anew every three minutes, and at once for what they have forgotten.
    assert_eq!(scene.subscription(), None);
    scene.forget();
    let (a, b) = (&scene.internet.a, &scene.internet.b);
    let talk = Talk::start(&a.host, b.host_address()).unwrap();
    talk.come_back(5).unwrap();
    wait_for("it is subscribed anew", || scene.subscription(), Clone::clone);
    let second = scene.enter_by(1);
    scene.is_told(&[second]);
}

#[test]
fn a_subscription_is_asked_for_anew_while_it_lasts_and_so_is_back_by_itself_when_the_map_server_has_forgotten_it()
 {
    let mut scene = Scene::set(PUBLISH);
    // Before it has asked for anything.
    scene.internet.kill(Place::A).unwrap();
    let text = subscribing_every("2s", (&scene.internet.a, &scene.internet.b), PUBLISH);
    scene.user = scene.internet.ours(Place::A, &text).unwrap();
    let (_answers, talk) = scene.talk();
    scene.is_told(&scene.both());
    let first = wait_for("the Map-Server has it", || scene.subscription(), Clone::clone);
    counts(&scene.server, "control.pubsub.subscribed", 4);
    let renewed = scene.subscription().unwrap();
    assert!(
        renewed.nonce > first.nonce,
        "{} after {}",
        renewed.nonce,
        first.nonce
    );
    // It lasts longer than it would have, though time has passed.
    assert!(renewed.expires_in > Span(first.expires_in.micros() - 4_000_000));
    assert_eq!(counted(&scene.user, "control.pubsub.farewells"), 0);
    assert_eq!(counted(&scene.server, "control.pubsub.expired"), 0);
    let second = scene.enter_by(1);
    scene.is_told(&[second]);

    scene.internet.kill(Place::Server).unwrap();
    let text = map_server(&scene.internet);
    scene.server = scene.internet.ours(Place::Server, &text).unwrap();
    wait_for("it is back by itself", || scene.subscription(), Clone::clone);
    let first = scene.enter_by(0);
    scene.is_told(&[first]);
    talk.come_back(20).unwrap();
    let told = talk.finish().unwrap();
    assert_eq!((told.lost, told.duplicated), (0, 0), "{told:?}");
}

#[test]
fn with_a_wrong_key_nobody_is_subscribed_nor_told_and_traffic_flows_all_the_same() {
    let mut scene = Scene::set("another secret");
    let (_answers, talk) = scene.talk();
    let known = wait_for("the mapping, asked for plainly", || scene.known(), Clone::clone);
    assert_eq!(known.origin, "map-reply");
    assert_eq!(scene.subscription(), None);
    assert_eq!(scene.subscribed(), None);
    assert!(counted(&scene.user, "control.refused.bad-mac") >= 1);
    assert_eq!(counted(&scene.user, "control.pubsub.confirmed"), 0);

    let second = scene.enter_by(1);
    wait_for(
        "the Map-Server has the change",
        || scene.registered(),
        |rlocs| (*rlocs == [second]).then_some(()),
    );
    talk.come_back(20).unwrap();
    let after = scene.known().unwrap();
    assert_eq!((after.origin.as_str(), after.locators.len()), ("map-reply", 2));
    assert_eq!(counted(&scene.user, "control.pubsub.applied"), 0);
}

#[test]
fn what_is_replayed_or_forged_changes_nothing_and_what_the_key_signs_does() {
    let mut scene = Scene::set(PUBLISH);
    let capture = scene.internet.capture().unwrap();
    let (_answers, talk) = scene.talk();
    scene.is_told(&scene.both());
    wait_for("the Map-Server has it", || scene.subscription(), Clone::clone);
    let second = scene.enter_by(1);
    scene.is_told(&[second]);
    counts(&scene.server, "control.pubsub.delivered", 1);
    // The kernel hands packets to the capture in batches.
    a_while();
    let captured = capture.stop().unwrap();

    let (user, server) = (scene.internet.a.rloc(0), MAP_SERVER);
    let (down, up) = ((server, user), (user, server));
    let about = |payload: &Vec<u8>| {
        let message = Message::parse(payload).unwrap();
        matches!(message, Message::MapNotify(notify) if notify.records.iter().any(|record| record.eid == scene.eid()))
    };
    let mut notifies = captured
        .payloads(&format!(
            "lisp.type == 4 && ip.src == {server} && ip.dst == {user}"
        ))
        .unwrap();
    notifies.retain(about);
    let confirmation = notifies.first().unwrap().clone();
    let publication = notifies.last().unwrap().clone();
    assert_ne!(confirmation, publication);
    let router = &scene.internet.server;

    let refused = counted(&scene.user, "control.pubsub.refused.replay");
    send(router, down, &confirmation);
    counts(&scene.user, "control.pubsub.refused.replay", refused + 1);
    // The last one again is taken for a lost acknowledgement: it is answered, and changes nothing.
    let repeated = counted(&scene.user, "control.pubsub.repeated");
    send(router, down, &publication);
    counts(&scene.user, "control.pubsub.repeated", repeated + 1);
    let forged = counted(&scene.user, "control.refused.bad-mac");
    let mut spoilt = publication.clone();
    *spoilt.last_mut().unwrap() ^= 1;
    send(router, down, &spoilt);
    counts(&scene.user, "control.refused.bad-mac", forged + 1);
    scene.is_told(&[second]);

    // To the Map-Server: the request to subscribe, once more.
    let before = scene.subscription().unwrap();
    let replayed = counted(&scene.server, "control.pubsub.refused.replay");
    let requests = captured
        .payloads(&format!(
            "lisp.type == 8 && ip.src == {user} && ip.dst == {server}"
        ))
        .unwrap();
    for request in &requests {
        send(&scene.internet.a.router, up, request);
    }
    counts(&scene.server, "control.pubsub.refused.replay", replayed + 1);
    let after = scene.subscription().unwrap();
    assert_eq!((after.nonce, after.to), (before.nonce, before.to));

    // A publication of our own, under a wrong secret and under the right one.
    let row = scene.subscribed().unwrap();
    let last = u64::from_str_radix(row.nonce.trim_start_matches("0x"), 16).unwrap();
    let xtr = XtrId(u128::from_str_radix(&after.xtr_id, 16).unwrap());
    let first = Rloc(scene.internet.b.rloc(0));
    let notify = Message::MapNotify(MapNotify {
        nonce: Nonce(last + 1),
        auth: AuthField {
            key_id: 0,
            algorithm: Algorithm::None,
            mac: Vec::new(),
        },
        records: vec![MappingRecord {
            ttl: Ttl(10),
            eid: scene.eid(),
            action: Action::NoAction,
            authoritative: false,
            map_version: 0,
            locators: vec![Locator::unicast(first, Priority(1), Weight(100))],
        }],
        xtr: Some((xtr, after.site_id)),
    });
    let signed = |secret: &str| {
        let key = Key::new(PUBLISH_ID, Algorithm::HmacSha256, secret.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        notify.emit_signed(&key, &mut bytes).unwrap();
        bytes
    };
    let forged = counted(&scene.user, "control.refused.bad-mac");
    send(router, down, &signed("a guess"));
    counts(&scene.user, "control.refused.bad-mac", forged + 1);
    scene.is_told(&[second]);
    send(router, down, &signed(PUBLISH));
    scene.is_told(&[first]);
    talk.come_back(20).unwrap();
}
