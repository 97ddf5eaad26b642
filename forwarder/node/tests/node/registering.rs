//! Registrations: kept, repeated, expired, withdrawn, and not to be forged.

use lisp_wire::message::{SiteId, XtrId};
use lisp_wire::{Message, Rloc};
use node::Input;
use node::config::{NonceRule, OwnEid};
use proto::node::{RegistrationRow, Show};
use proto::{NodeCommand, NodeReport, Span, Timestamp};

use crate::fabric::{
    SITE_SECRET, VM, fabric, fabric_with, key, map_server, paris, prefix, ranked, server, telco, user,
};
use crate::network::{Network, Way};

fn is_register(message: &Message) -> bool {
    matches!(message, Message::MapRegister(_))
}

fn is_notify(message: &Message) -> bool {
    matches!(message, Message::MapNotify(_))
}

fn registrations(net: &mut Network, index: usize) -> Vec<RegistrationRow> {
    match net.command(
        index,
        NodeCommand::Show {
            what: Show::Registrations,
        },
    ) {
        NodeReport::Registrations { rows } => rows,
        other => panic!("registrations were asked for, not {other:?}"),
    }
}

fn registered(net: &mut Network, index: usize) -> Vec<String> {
    registrations(net, index)
        .iter()
        .map(|row| row.eid.to_string())
        .collect()
}

const ALL: [&str; 3] = ["10.1.0.7/32", "10.2.1.0/24", "10.2.2.0/24"];

#[test]
fn every_site_is_registered_once_and_stays_so() {
    let (mut net, at) = fabric();
    assert_eq!(registered(&mut net, at.server), ALL);
    assert_eq!(registrations(&mut net, at.server)[0].from, telco());
    net.run_for(Span::secs(600));
    assert_eq!(registered(&mut net, at.server), ALL);
    // One a minute, each acknowledged at once.
    assert_eq!(net.sent(telco(), is_register), 11);
    assert_eq!(net.counter(at.telco, "control.map-registers.acknowledged"), 11);
}

#[test]
fn a_lost_registration_is_repeated_with_a_higher_nonce_until_it_is_acknowledged() {
    let mut net = Network::new();
    let mut lost = 0;
    net.lose(move |packet| {
        let lose = lost < 3 && (packet.is(is_register) || packet.is(is_notify));
        lost += usize::from(lose);
        lose
    });
    let at_server = net.add(map_server());
    net.add(user("paris", paris(), "10.2.1.0/24"));
    net.run_for(Span::secs(8));
    assert_eq!(registered(&mut net, at_server), ["10.2.1.0/24"]);
    // RFC 9301 section 5.7: after a second, and then after twice the time each time.
    let registers = net.tap.iter().filter(|packet| packet.is(is_register));
    let sent: Vec<_> = registers.map(|packet| packet.sent_at).collect();
    let gaps: Vec<_> = sent.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    assert_eq!(gaps, [1, 2, 4].map(Span::secs));
    let nonces: Vec<_> = net
        .tap
        .iter()
        .filter_map(|packet| match packet.message()? {
            Message::MapRegister(register) => Some(register.nonce),
            _ => None,
        })
        .collect();
    assert!(nonces.is_sorted_by(|a, b| a < b));
}

// RFC 9301 section 5: 576 bytes are carried everywhere.
#[test]
fn many_eids_are_registered_in_messages_that_no_path_is_too_narrow_for() {
    let mut net = Network::new();
    let at_server = net.add(map_server());
    let mut config = user("paris", paris(), "10.2.1.0/32");
    config.eids = (0..100)
        .map(|last| OwnEid {
            prefix: prefix(&format!("10.2.1.{last}/32")),
            locators: crate::fabric::ranked(&[paris(), telco(), server()]),
            ..config.eids[0].clone()
        })
        .collect();
    net.add(config);
    net.run_for(Span::secs(1));
    assert_eq!(registered(&mut net, at_server).len(), 100);
    let longest = net.tap.iter().map(|packet| packet.bytes.len()).max().unwrap();
    assert!(longest <= 576 - 28, "{longest}");
    let registers = net.sent(paris(), is_register);
    assert!((10..=15).contains(&registers), "{registers}");
}

#[test]
fn a_map_server_that_restarts_knows_all_again_within_a_period() {
    let (mut net, at) = fabric();
    net.run_for(Span::secs(100));
    net.kill(at.server);
    net.run_for(Span::secs(10));
    net.start(at.server);
    assert!(registered(&mut net, at.server).is_empty());
    net.run_for(Span::secs(61));
    assert_eq!(registered(&mut net, at.server), ALL);
}

#[test]
fn a_registration_ends_three_minutes_after_the_last_word() {
    let (mut net, at) = fabric();
    net.kill(at.paris);
    net.run_for(Span::secs(178));
    assert_eq!(registered(&mut net, at.server), ALL);
    net.run_for(Span::secs(3));
    assert_eq!(registered(&mut net, at.server), [ALL[0], ALL[2]]);
}

#[test]
fn a_node_that_shuts_down_withdraws_what_it_registered() {
    let (mut net, at) = fabric();
    net.run_for(Span::secs(1));
    net.input(at.paris, Input::Shutdown);
    net.run_for(Span::millis(100));
    assert_eq!(registered(&mut net, at.server), [ALL[0], ALL[2]]);
}

#[test]
fn a_replayed_registration_is_refused_even_after_a_restart() {
    let (mut net, at) = fabric();
    let caught = net
        .tap
        .iter()
        .find(|packet| packet.is(is_register) && packet.from.ip() == paris().0)
        .cloned()
        .unwrap();
    net.run_for(Span::secs(1));
    net.input(at.paris, Input::Shutdown);
    net.kill(at.paris);
    net.run_for(Span::secs(2));
    net.inject(caught.from, server().0, caught.bytes.clone());
    net.run_for(Span::millis(50));
    assert_eq!(net.counter(at.server, "control.refused.replay"), 1);
    net.kill(at.server);
    net.start(at.server);
    net.inject("172.16.6.6:4342".parse().unwrap(), server().0, caught.bytes);
    net.run_for(Span::millis(50));
    assert_eq!(net.counter(at.server, "control.refused.replay"), 1);
    assert!(registered(&mut net, at.server).is_empty());
}

#[test]
fn the_replay_rule_can_be_waived_for_a_site_by_name() {
    let (mut net, at) = fabric_with(|mut config| {
        config
            .sites
            .iter_mut()
            .for_each(|site| site.nonces = NonceRule::Any);
        config
    });
    let caught = net
        .tap
        .iter()
        .find(|packet| packet.is(is_register) && packet.from.ip() == paris().0)
        .cloned()
        .unwrap();
    net.inject(caught.from, server().0, caught.bytes);
    net.run_for(Span::millis(50));
    assert_eq!(net.counter(at.server, "control.refused.replay"), 0);
    assert_eq!(net.counter(at.server, "control.map-registers.accepted"), 4);
}

#[test]
fn a_wrong_key_or_a_foreign_eid_registers_nothing() {
    let mut net = Network::new();
    let at_server = net.add(map_server());
    let mut forger = user("forger", paris(), "10.2.1.0/24");
    forger.map_servers[0].keys = key(b"guessed").into();
    net.add(forger);
    let mut thief = user("thief", telco(), "10.2.0.0/16");
    thief.eids.push(OwnEid {
        prefix: prefix("10.2.2.0/24"),
        ..thief.eids[0].clone()
    });
    net.add(thief);
    net.run_for(Span::secs(1));
    assert!(registered(&mut net, at_server).is_empty());
    assert!(net.counter(at_server, "control.refused.bad-mac") >= 1);
    assert!(net.counter(at_server, "control.refused.scope") >= 1);
}

#[test]
fn more_specific_eids_need_leave() {
    for (accept, expected) in [(true, 1), (false, 0)] {
        let mut net = Network::new();
        let mut config = map_server();
        config
            .sites
            .iter_mut()
            .for_each(|site| site.accept_more_specifics = accept);
        let at_server = net.add(config);
        net.add(user("paris", paris(), "10.2.1.128/25"));
        net.run_for(Span::secs(1));
        assert_eq!(registered(&mut net, at_server).len(), expected);
    }
}

#[test]
fn a_site_that_names_ever_more_xtrs_fills_its_own_place_only() {
    let (mut net, at) = fabric();
    let caught = net
        .tap
        .iter()
        .find(|packet| packet.is(is_register) && packet.from.ip() == paris().0)
        .cloned()
        .unwrap();
    let Some(Message::MapRegister(register)) = caught.message() else {
        panic!("a Map-Register was caught")
    };
    let accepted = net.counter(at.server, "control.map-registers.accepted");
    for xtr in 0..1030 {
        let mut register = register.clone();
        register.xtr = Some((XtrId(1_000_000 + xtr), SiteId(0)));
        let mut bytes = Vec::new();
        Message::MapRegister(register)
            .emit_signed(&key(SITE_SECRET), &mut bytes)
            .unwrap();
        net.inject(caught.from, server().0, bytes);
    }
    net.run_for(Span::millis(50));
    // Paris itself is the first of 1,024.
    assert_eq!(
        net.counter(at.server, "control.map-registers.accepted"),
        accepted + 1023
    );
    net.run_for(Span::secs(300));
    assert_eq!(registered(&mut net, at.server), ALL);
}

#[test]
fn a_map_server_asked_to_answers_itself() {
    let (mut net, at) = fabric_with(|mut config| {
        config
            .map_servers
            .iter_mut()
            .for_each(|server| server.proxy_reply = true);
        config
    });
    net.kill(at.telco);
    net.miss(at.paris, VM);
    net.run_for(Span::millis(21));
    assert_eq!(net.member(at.paris).way(VM), Way::To(telco()));
    assert_eq!(net.counter(at.server, "control.map-server.proxied"), 1);
}

#[test]
fn when_the_registering_etr_is_dead_the_next_locator_is_asked() {
    let (mut net, at) = fabric();
    net.kill(at.telco);
    net.miss(at.paris, VM);
    // Asked at 0 and 1 s in vain; at 2 s it is the next one's turn.
    net.run_for(Span::millis(1_999));
    assert_eq!(net.member(at.paris).way(VM), Way::Pending);
    net.run_for(Span::millis(31));
    assert!(matches!(net.member(at.paris).way(VM), Way::To(_)));
}

#[test]
fn a_node_without_the_role_takes_no_registrations() {
    let (mut net, at) = fabric();
    let caught = net
        .tap
        .iter()
        .find(|packet| packet.is(is_register))
        .cloned()
        .unwrap();
    net.inject(caught.from, paris().0, caught.bytes);
    net.run_for(Span::millis(50));
    assert_eq!(net.counter(at.paris, "control.refused.no-role"), 1);
}

#[test]
fn many_eids_are_registered_in_several_messages() {
    let mut net = Network::new();
    let at_server = net.add(map_server());
    let mut config = user("paris", paris(), "10.1.200.0/24");
    let template = config.eids[0].clone();
    config.eids = (0..40)
        .map(|host| OwnEid {
            prefix: prefix(&format!("10.1.{host}.0/24")),
            ..template.clone()
        })
        .collect();
    net.add(config);
    net.run_for(Span::secs(1));
    assert_eq!(registered(&mut net, at_server).len(), 40);
    assert!(net.tap.iter().all(|packet| packet.bytes.len() < 1200));
}

#[test]
fn a_forged_map_notify_acknowledges_nothing() {
    let mut net = Network::new();
    net.add(user("paris", paris(), "10.2.1.0/24"));
    let register = net.tap[0].message();
    let Some(Message::MapRegister(register)) = register else {
        panic!("a Map-Register was expected")
    };
    let notify = lisp_wire::message::MapNotify {
        nonce: register.nonce,
        auth: register.auth,
        records: register.records,
        xtr: register.xtr,
    };
    for secret in [b"guessed".as_slice(), SITE_SECRET] {
        let mut bytes = Vec::new();
        Message::MapNotify(notify.clone())
            .emit_signed(&key(secret), &mut bytes)
            .unwrap();
        net.inject("172.16.9.1:4342".parse().unwrap(), paris().0, bytes);
        net.run_for(Span::millis(5));
    }
    assert_eq!(net.counter(0, "control.refused.bad-mac"), 1);
    assert_eq!(net.counter(0, "control.map-registers.acknowledged"), 1);
}

#[test]
fn nonces_go_on_after_a_restart_though_the_clock_went_back() {
    let first_nonce = |remembered: Option<node::State>, now| {
        let config = user("paris", paris(), "10.2.1.0/24");
        let (mut node, _) = node::Node::new(config, now, [1; 32]);
        let mut effects = node.handle(remembered.map_or(Input::Tick, Input::Remembered), now);
        effects.extend(node.handle(Input::Tick, now + Span::secs(2)));
        let nonce = effects.iter().find_map(|effect| match effect {
            node::Effect::Send { bytes, .. } => match Message::parse(bytes) {
                Ok(Message::MapRegister(register)) => Some(register.nonce),
                _ => None,
            },
            _ => None,
        });
        let state = effects.into_iter().find_map(|effect| match effect {
            node::Effect::Remember(state) => Some(state),
            _ => None,
        });
        (nonce.unwrap(), state.unwrap())
    };
    let (before, state) = first_nonce(None, Timestamp(1_763_000_000_000_000));
    let (after, _) = first_nonce(Some(state), Timestamp(1_762_999_000_000_000));
    assert!(after > before, "{after:?} after {before:?}");
}

fn rows_of(net: &mut Network, index: usize) -> usize {
    registrations(net, index).len()
}

#[test]
fn a_site_registers_as_much_as_it_may_and_takes_no_room_from_others() {
    let hosts = |config: &mut node::Config, count: u32| {
        let eid = config.eids.pop().unwrap();
        let each = |number| node::config::OwnEid {
            prefix: prefix(&format!("10.1.1.{number}/32")),
            ..eid.clone()
        };
        config.eids = (1..=count).map(each).collect();
    };
    let (mut net, at) = fabric_with(|mut config| {
        match config.name.as_str() {
            "telco" => hosts(&mut config, 20),
            "server" => config.sites[0].quota.registrations = 12,
            _ => {}
        }
        config
    });
    net.run_for(Span::secs(5));
    // Twelve of the first site, and one each of two others.
    assert_eq!(rows_of(&mut net, at.server), 12 + 2);
    assert!(net.counter(at.server, "control.refused.site-quota") >= 8);
    // What is registered is repeated and ends as ever, and leaves room then.
    net.run_for(Span::secs(300));
    assert_eq!(rows_of(&mut net, at.server), 12 + 2);
    net.kill(at.telco);
    net.run_for(Span::secs(200));
    net.start(at.telco);
    net.run_for(Span::secs(5));
    assert_eq!(rows_of(&mut net, at.server), 12 + 2);
}

#[test]
fn the_bytes_of_a_sites_registrations_are_bounded_too() {
    let kept_with = |bytes| {
        let (mut net, at) = fabric_with(|mut config| {
            if config.name.as_str() == "server" {
                config.sites[0].quota.bytes = bytes;
            }
            config
        });
        net.run_for(Span::secs(5));
        rows_of(&mut net, at.server)
    };
    assert_eq!([kept_with(100), kept_with(100_000)], [2, 3]);
}

#[test]
fn a_registration_of_more_locators_than_are_kept_is_refused_whole_and_for_that_reason() {
    let kept_with = |locators: u8| {
        let (mut net, at) = fabric_with(|mut config| {
            if config.name.as_str() == "telco" {
                let rlocs = (1..=locators).map(|last| Rloc([172, 16, 7, last].into()));
                config.eids[0].locators = ranked(&rlocs.collect::<Vec<_>>());
            }
            config
        });
        net.run_for(Span::secs(5));
        let refused = net.counter(at.server, "control.refused.too-many-locators");
        (rows_of(&mut net, at.server), refused > 0)
    };
    assert_eq!([kept_with(32), kept_with(33)], [(3, false), (2, true)]);
}
