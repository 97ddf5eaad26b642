//! An xTR behind a NAT registers through a router, and is reached through it; nobody else draws its packets to himself.

use std::net::{IpAddr, SocketAddr};

use datapath::Forwarding;
use lisp_wire::message::{Encapsulated, MapRegister, SiteId, Via, XtrId};
use lisp_wire::{
    AuthField, CONTROL_PORT, Eid, EidPrefix, MappingRecord, Message, MessageKind, Nonce, Rloc, Ttl,
};
use node::config::{Config, NatRouters, NonceRule, Role};
use proto::{Direction, LogFilter, Span};

use crate::fabric::{SITE_SECRET, bare, key, lyon, map_server, paris, prefix, ranked, rloc, server, user};
use crate::looking::log;
use crate::network::{Nat, Network, Packet, Way};

const BLOCK: &str = "10.2.1.0/24";
const EID: &str = "10.2.1.9";
const PEERS_EID: &str = "10.2.2.9";
/// Shared by the router and the Map-Server.
const ROUTER_SECRET: &[u8] = b"between the two";
const ATTACKER: &str = "192.0.2.66:4341";

fn router() -> Rloc {
    rloc("172.16.8.1")
}

fn outside(port: u16) -> SocketAddr {
    SocketAddr::new([198, 51, 100, 1].into(), port)
}

/// What the NAT does: data packets leave by this port, control messages by the next.
fn by(port: u16) -> Nat {
    Nat {
        inside: paris().0,
        data: outside(port),
        control: outside(port + 1),
    }
}

fn naming_router() -> Config {
    let mut config = map_server();
    config.nat_rtrs = vec![router()];
    config.nat.routers.insert(router(), key(ROUTER_SECRET).into());
    config
}

fn helping() -> Config {
    Config {
        roles: [Role::Itr].into(),
        nat: NatRouters {
            servers: [(server(), key(ROUTER_SECRET).into())].into(),
            eids: vec![prefix(BLOCK), prefix("10.1.0.0/16")],
            ..NatRouters::default()
        },
        ..bare("router", router())
    }
}

#[derive(Clone, Copy)]
struct Members {
    server: usize,
    router: usize,
    natted: usize,
    peer: usize,
}

/// The Map-Server and the router as they are given, a site behind a NAT, and one that is not.
fn laid(server: Config, router: Config) -> (Network, Members) {
    let mut net = Network::new();
    net.nat = Some(by(40_000));
    let mut natted = user("paris", paris(), BLOCK);
    natted.map_servers[0].behind_nat = true;
    let at = Members {
        server: net.add(server),
        router: net.add(router),
        natted: net.add(natted),
        peer: net.add(user("lyon", lyon(), "10.2.2.0/24")),
    };
    net.run_for(Span::secs(1));
    (net, at)
}

fn usual() -> (Network, Members) {
    laid(naming_router(), helping())
}

/// Where the router sends packets for the site to.
fn led_to(net: &Network, at: Members) -> Option<SocketAddr> {
    let eid = Eid::of(EID.parse().unwrap());
    match &net.member(at.router).published.lookup(&eid)?.forwarding {
        Forwarding::Encapsulate(table) => {
            let rloc = table.choose(1)?.locator.rloc;
            Some(SocketAddr::new(rloc.0, table.port()?))
        }
        other => panic!("{other:?}"),
    }
}

fn goes_to_router(message: &Message) -> bool {
    matches!(message, Message::Encapsulated(envelope) if envelope.via == Via::ToRouter)
}

fn is_notice(message: &Message) -> bool {
    matches!(message, Message::Encapsulated(envelope) if matches!(envelope.via, Via::Notice(_)))
}

/// The last datagram of a kind.
fn caught(net: &Network, kind: fn(&Message) -> bool) -> Packet {
    net.tap.iter().rfind(|packet| packet.is(kind)).cloned().unwrap()
}

/// Runs until the site registers again, which is on its way then.
fn next_registration(net: &mut Network) -> Packet {
    let before = net.tap.len();
    net.run_until(Span::secs(25), |net| {
        net.tap[before..].iter().any(|packet| packet.is(goes_to_router))
    });
    caught(net, goes_to_router)
}

fn copy_to_router(net: &mut Network, packet: &Packet) {
    net.inject(ATTACKER.parse().unwrap(), router().0, packet.bytes.clone());
}

/// A registration as an xTR would send it through the router.
fn registration(nonce: u64, eids: impl IntoIterator<Item = EidPrefix>, secret: &[u8]) -> Vec<u8> {
    let record = |eid| MappingRecord {
        ttl: Ttl(60),
        eid,
        action: lisp_wire::Action::NoAction,
        authoritative: true,
        map_version: 0,
        locators: ranked(&[router()]),
    };
    let register = MapRegister {
        nonce: Nonce(nonce),
        proxy_reply: true,
        want_notify: true,
        merge: false,
        use_ttl: false,
        auth: AuthField::unsigned(),
        records: eids.into_iter().map(record).collect(),
        xtr: Some((XtrId(77), SiteId(0))),
    };
    let mut message = Vec::new();
    Message::MapRegister(register)
        .emit_signed(&key(secret), &mut message)
        .unwrap();
    let envelope = Encapsulated {
        source: SocketAddr::new(IpAddr::from([192, 168, 0, 2]), CONTROL_PORT),
        destination: server().0,
        ddt_originated: false,
        via: Via::ToRouter,
        message,
    };
    let mut bytes = Vec::new();
    Message::Encapsulated(envelope).emit(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_site_behind_a_nat_registers_through_the_router_and_is_reached_both_ways() {
    let (mut net, at) = usual();
    assert_eq!(led_to(&net, at), Some(outside(40_000)));
    net.miss(at.peer, EID);
    net.run_for(Span::secs(1));
    assert_eq!(net.member(at.peer).way(EID), Way::To(router()));
    assert_eq!(net.member(at.natted).way(PEERS_EID), Way::To(router()));
    // Its Map-Notify came to the data port, which is all that the NAT lets in.
    assert_eq!(net.counter(at.natted, "control.nat.registered"), 1);
    let acknowledged = net.counter(at.natted, "control.map-registers.acknowledged");
    net.run_for(Span::secs(20));
    assert_eq!(net.counter(at.natted, "control.nat.registered"), 2);
    assert_eq!(
        net.counter(at.natted, "control.map-registers.acknowledged"),
        acknowledged + 1
    );
    assert_eq!(net.counter(at.router, "control.nat.moved"), 0);
}

#[test]
fn another_port_of_the_nat_is_followed_with_the_next_registration() {
    let (mut net, at) = usual();
    net.nat = Some(by(41_000));
    assert_eq!(led_to(&net, at), Some(outside(40_000)));
    net.run_for(Span::secs(21));
    assert_eq!(led_to(&net, at), Some(outside(41_000)));
    assert_eq!(net.counter(at.router, "control.nat.moved"), 1);
    assert_eq!(net.counter(at.router, "control.nat.contested"), 0);
}

#[test]
fn a_site_that_falls_silent_is_forgotten_and_one_that_withdraws_at_once() {
    let (mut net, at) = usual();
    net.kill(at.natted);
    net.run_for(Span::secs(178));
    assert!(led_to(&net, at).is_some());
    net.run_for(Span::secs(3));
    assert_eq!(net.member(at.router).way(EID), Way::Miss);
    assert_eq!(net.counter(at.router, "control.nat.expired"), 1);
    let (mut net, at) = usual();
    net.input(at.natted, node::Input::Shutdown);
    net.run_for(Span::secs(1));
    assert_eq!(net.member(at.router).way(EID), Way::Miss);
    assert_eq!(net.counter(at.router, "control.nat.expired"), 0);
}

#[test]
fn a_router_that_restarts_knows_the_site_again_with_its_next_registration() {
    let (mut net, at) = usual();
    net.kill(at.router);
    net.run_for(Span::secs(5));
    net.start(at.router);
    assert_eq!(net.member(at.router).way(EID), Way::Miss);
    net.run_for(Span::secs(20));
    assert_eq!(led_to(&net, at), Some(outside(40_000)));
}

#[test]
fn a_registration_sent_again_from_elsewhere_moves_nobody_whatever_the_sites_rule_of_nonces() {
    for rule in [NonceRule::Growing, NonceRule::Any] {
        let mut config = naming_router();
        config.sites.iter_mut().for_each(|site| site.nonces = rule);
        let (mut net, at) = laid(config, helping());
        net.run_for(Span::secs(30));
        let old = caught(&net, goes_to_router);
        copy_to_router(&mut net, &old);
        net.run_for(Span::secs(6));
        assert_eq!(led_to(&net, at), Some(outside(40_000)), "{rule:?}");
        assert_eq!(net.counter(at.server, "control.refused.replay"), 1, "{rule:?}");
        assert_eq!(net.counter(at.router, "control.nat.unanswered"), 1, "{rule:?}");
    }
}

#[test]
fn nonces_drawn_at_random_register_where_the_site_and_both_ends_are_named_for_it_and_nowhere_else() {
    // The site at the Map-Server, the router there, the Map-Server at the router.
    for lenient in [
        [true; 3],
        [false, true, true],
        [true, false, true],
        [true, true, false],
    ] {
        let [at_site, at_server, at_router] = lenient;
        let mut server_config = naming_router();
        let rule = if at_site {
            NonceRule::Any
        } else {
            NonceRule::Growing
        };
        server_config.sites.iter_mut().for_each(|site| site.nonces = rule);
        server_config.nat.any_nonces.extend(at_server.then(router));
        let mut router_config = helping();
        router_config.nat.any_nonces.extend(at_router.then(server));
        let (mut net, at) = laid(server_config, router_config);
        let moved = net.counter(at.router, "control.nat.moved");
        let (first, second) = ("198.51.100.9:5000", "198.51.100.9:6000");
        for (nonce, from) in [(1 << 60, first), (7, second)] {
            let bytes = registration(nonce, [prefix("10.1.0.9/32")], SITE_SECRET);
            net.inject(from.parse().unwrap(), router().0, bytes);
            net.run_for(Span::secs(7));
        }
        let follows = net.counter(at.router, "control.nat.moved") - moved;
        assert_eq!(follows, u64::from(lenient == [true; 3]), "{lenient:?}");
    }
}

#[test]
fn an_old_answer_of_the_map_server_does_not_confirm_an_old_registration() {
    let (mut net, at) = usual();
    let old = caught(&net, goes_to_router);
    let notice = caught(&net, is_notice);
    net.run_for(Span::secs(10));
    copy_to_router(&mut net, &old);
    net.run_for(Span::millis(2));
    net.inject(notice.from, router().0, notice.bytes);
    net.run_for(Span::secs(1));
    assert_eq!(led_to(&net, at), Some(outside(40_000)));
    assert_eq!(net.counter(at.router, "control.refused.replay"), 1);
}

#[test]
fn a_copy_that_overtakes_a_registration_does_not_move_a_site_that_is_known() {
    let (mut net, at) = usual();
    let registration = next_registration(&mut net);
    copy_to_router(&mut net, &registration);
    net.run_for(Span::secs(1));
    assert_eq!(led_to(&net, at), Some(outside(40_000)));
    assert_eq!(net.counter(at.router, "control.nat.contested"), 1);
    assert_eq!(net.counter(at.router, "control.nat.moved"), 0);
}

#[test]
fn a_copy_that_is_confirmed_before_the_registration_comes_is_undone_by_it() {
    let (mut net, at) = usual();
    net.delay(outside(0).ip(), router().0, Span::millis(500));
    let registration = next_registration(&mut net);
    copy_to_router(&mut net, &registration);
    net.run_for(Span::millis(100));
    assert_eq!(led_to(&net, at), Some(ATTACKER.parse().unwrap()));
    net.run_for(Span::millis(450));
    assert_eq!(led_to(&net, at), Some(outside(40_000)));
    assert_eq!(net.counter(at.router, "control.nat.contested"), 1);
    // Who was moved back cannot be moved again by the same.
    copy_to_router(&mut net, &registration);
    net.run_for(Span::millis(100));
    assert_eq!(led_to(&net, at), Some(outside(40_000)));
}

#[test]
fn a_site_whose_first_registration_was_copied_is_back_with_its_next() {
    let (mut net, at) = usual();
    net.kill(at.router);
    net.start(at.router);
    let registration = next_registration(&mut net);
    copy_to_router(&mut net, &registration);
    net.run_for(Span::millis(100));
    assert_eq!(led_to(&net, at), Some(ATTACKER.parse().unwrap()));
    // Nothing acknowledges it to the xTR, which repeats it.
    net.run_for(Span::secs(1));
    assert_eq!(led_to(&net, at), Some(outside(40_000)));
}

#[test]
fn a_registration_under_a_guessed_key_teaches_the_router_nothing() {
    let (mut net, at) = usual();
    let forged = registration(u64::MAX - 1, [prefix(BLOCK)], b"guessed");
    net.inject(ATTACKER.parse().unwrap(), router().0, forged);
    net.run_for(Span::secs(6));
    assert_eq!(led_to(&net, at), Some(outside(40_000)));
    assert_eq!(net.counter(at.server, "control.refused.bad-mac"), 1);
    assert_eq!(net.counter(at.router, "control.nat.unanswered"), 1);
}

#[test]
fn an_eid_that_the_router_is_not_for_is_not_learnt() {
    let mut config = helping();
    config.nat.eids = vec![prefix("10.1.0.0/16")];
    let (mut net, at) = laid(naming_router(), config);
    assert_eq!(led_to(&net, at), None);
    assert!(net.counter(at.router, "control.refused.scope") > 0);
}

#[test]
fn a_router_that_the_map_server_shares_no_key_with_registers_nobody() {
    let mut config = naming_router();
    config.nat.routers.clear();
    let (mut net, at) = laid(config, helping());
    net.run_for(Span::secs(6));
    assert!(net.counter(at.server, "control.refused.scope") > 0);
    assert_eq!(net.counter(at.router, "control.nat.reached"), 0);
    assert_eq!(led_to(&net, at), None);
}

#[test]
fn a_map_servers_word_under_another_key_teaches_the_router_nothing() {
    let mut config = helping();
    config.nat.servers.insert(server(), key(b"another").into());
    let (mut net, at) = laid(naming_router(), config);
    net.run_for(Span::secs(6));
    assert!(net.counter(at.router, "control.refused.bad-mac") > 0);
    assert_eq!(net.counter(at.router, "control.nat.reached"), 0);
    assert_eq!(led_to(&net, at), None);
}

#[test]
fn a_map_server_that_the_router_is_not_for_is_sent_nothing() {
    let mut config = helping();
    config.nat.servers.clear();
    let (mut net, at) = laid(naming_router(), config);
    assert!(net.counter(at.router, "control.refused.no-role") > 0);
    assert_eq!(net.counter(at.router, "control.nat.relayed"), 0);
}

#[test]
fn a_flood_of_registrations_is_cut_and_counted_and_a_known_site_outlives_it() {
    let (mut net, at) = usual();
    let registered = net.counter(at.natted, "control.map-registers.acknowledged");
    for round in 0..42 {
        for one in 0..600 {
            let forged = registration(round * 600 + one, [prefix(BLOCK)], b"guessed");
            net.inject(ATTACKER.parse().unwrap(), router().0, forged);
        }
        net.run_for(Span::millis(500));
    }
    assert!(net.counter(at.router, "control.refused.rate") > 1000);
    assert!(net.counter(at.router, "control.refused.full") > 0);
    assert_eq!(
        net.counter(at.natted, "control.map-registers.acknowledged"),
        registered + 1
    );
    assert_eq!(led_to(&net, at), Some(outside(40_000)));
}

#[test]
fn a_flood_of_questions_does_not_stop_a_registration_on_its_way() {
    let (mut net, at) = usual();
    // Not at a time at which one more request would just be allowed.
    net.delay(outside(0).ip(), router().0, Span(10_025));
    next_registration(&mut net);
    let relayed = net.counter(at.router, "control.nat.relayed");
    // All at once, just before it is there; and then whatever is allowed meanwhile, up to the last microsecond.
    net.run_for(Span(8_900));
    let question = crate::resolving::bytes_of(&Message::MapRequest(crate::resolving::asked_by(0x0b00_0001)));
    let ask = |net: &mut Network| net.inject(ATTACKER.parse().unwrap(), router().0, question.clone());
    for _ in 0..20_500 {
        ask(&mut net);
    }
    for _ in 0..124 {
        net.run_for(Span(1));
        ask(&mut net);
    }
    net.run_for(Span::millis(2));
    assert!(net.counter(at.router, "control.refused.rate") >= 500);
    assert_eq!(net.counter(at.router, "control.nat.relayed"), relayed + 1);
}

#[test]
fn so_many_sites_are_known_and_those_that_are_stay_when_there_is_no_room() {
    let (mut net, at) = usual();
    let hosts: Vec<EidPrefix> = (0..17_000u32)
        .map(|host| EidPrefix::host(Eid::of(std::net::Ipv4Addr::from(0x0a01_0000 + host).into())))
        .collect();
    for (chunk, nonce) in hosts.chunks(250).zip(1..) {
        let bytes = registration(nonce, chunk.iter().copied(), SITE_SECRET);
        net.inject(ATTACKER.parse().unwrap(), router().0, bytes);
        net.run_for(Span::millis(50));
    }
    net.run_for(Span::secs(1));
    let known = net.counter(at.router, "control.refused.full");
    assert_eq!(known, 17_000 + 1 - 16_384);
    net.nat = Some(by(41_000));
    net.run_for(Span::secs(21));
    assert_eq!(led_to(&net, at), Some(outside(41_000)));
}

#[test]
fn the_log_has_what_goes_by_the_data_port_with_its_port_and_what_goes_inside_data_packets() {
    let (mut net, at) = usual();
    net.run_for(Span::secs(60));
    let sent = |direction| LogFilter {
        direction: Some(direction),
        ..LogFilter::default()
    };
    let by_data_port: Vec<MessageKind> = log(&mut net, at.natted, &sent(Direction::Out))
        .into_iter()
        .filter(|message| message.local_port == lisp_wire::DATA_PORT)
        .map(|message| message.kind)
        .collect();
    assert!(by_data_port.len() >= 3, "{by_data_port:?}");
    assert!(
        by_data_port.iter().all(|kind| *kind == MessageKind::Ecm),
        "{by_data_port:?}"
    );
    let handed_on = log(&mut net, at.router, &sent(Direction::Out))
        .into_iter()
        .filter(|message| message.kind == MessageKind::MapNotify && message.peer == outside(40_000));
    let heard = log(&mut net, at.natted, &sent(Direction::In))
        .into_iter()
        .filter(|message| message.kind == MessageKind::MapNotify)
        .count();
    let handed_on = handed_on.count();
    assert!(handed_on >= 3 && handed_on == heard, "{handed_on}, {heard}");
}
