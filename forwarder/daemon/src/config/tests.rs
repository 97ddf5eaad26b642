use datapath::EidSet;
use lisp_wire::Rloc;
use lisp_wire::message::XtrId;
use node::config::{AnsweredFor, DelegatedTo, Legacy, NonceRule, Role, Scope, TellBy};
use proto::Span;

use super::*;

mod refused;

// The first line is empty: a line number is one more than it looks.
const WHOLE: &str = r#"
name: telco
xtr_id: 0x1
rlocs: [{ address: 172.16.0.1, priority: 1, weight: 100 }]
tun: { name: lisp0, uplink_mtu: 1500, routes: [10.2.0.0/16] }
roles: [itr, etr, rtr, map-server]
map_resolvers: [172.16.9.1]
map_servers: [{ address: 172.16.9.1, key: main, proxy_reply: false }]
register_every: 60s
keys:
  main: { id: 1, algorithm: hmac-sha256, secret: "correct horse", mac: whole }
  change: { id: 2, algorithm: hmac-sha256, secret: "battery staple" }
  sites: { id: 3, algorithm: hmac-sha256, secret: "of the sites" }
eids:
  - { prefix: 10.1.0.7/32, ttl: 1440, locators: [{ address: 172.16.0.1, priority: 1, weight: 100 }] }
sites: [{ prefix: 10.1.0.0/16, keys: [main], accept_more_specifics: true, answered_for: subscribers, nonces: any }]
change_priority: { keys: [change], move_keys: [sites], scopes: { change: [10.1.0.0/16], sites: [10.1.0.0/16] }, group: [172.16.0.2, 172.16.0.3], legacy: true, own_eid_peers: [172.16.0.9], tell_by: smr }
probing: { cache_interval: 1s, timeout: 2s, down_after: 3 }
control: { socket: /run/pacao/telco.sock, allow_uids: [0] }
state_dir: telco
rtr: { eids: [10.3.0.0/16] }
"#;

fn refusal(text: &str) -> String {
    Config::parse(Path::new("/etc/pacao/telco.yaml"), text)
        .unwrap_err()
        .to_string()
}

#[test]
fn every_field_reaches_its_part() {
    let config = Config::parse(Path::new("/etc/pacao/telco.yaml"), WHOLE).unwrap();
    let node = &config.node;
    assert_eq!(node.xtr_id, XtrId(1));
    assert!(node.has(Role::MapServer) && !node.has(Role::MapResolver));
    let relayed = EidSet::from_iter(["10.3.0.0/16".parse().unwrap()]);
    assert_eq!(config.relay, Relay::For(relayed));
    assert_eq!(
        (node.probing.timeout, node.register_every),
        (Span::secs(2), Span::secs(60))
    );
    assert_eq!(node.sites[0].nonces, NonceRule::Any);
    assert_eq!(node.sites[0].answered_for, AnsweredFor::Subscribers);
    assert_eq!(node.change_priority.legacy, Legacy::Accepted);
    assert_eq!(node.change_priority.tell_by, TellBy::Solicitation);
    let peer = lisp_wire::Rloc([172, 16, 0, 9].into());
    assert!(node.change_priority.own_eid_peers.contains(&peer));
    assert_eq!(
        node.change_priority.keys[0].scope,
        Scope::Within(vec!["10.1.0.0/16".parse().unwrap()])
    );
    assert_eq!(node.change_priority.move_keys[0].key.id, 3);
    assert_eq!(
        node.change_priority.move_keys[0].scope,
        node.change_priority.keys[0].scope
    );
    assert_eq!(node.eids[0].locators.len(), 1);
    let tun = &config.tuns[0];
    assert_eq!(tun.mtu(config.outer()), 1464);
    assert_eq!(config.control.unwrap().allow_uids, [0]);
    assert_eq!(config.state_dir.unwrap(), Path::new("/etc/pacao/telco"));
}

#[test]
fn subscriptions_are_off_until_a_key_is_named_for_them() {
    let path = Path::new("/etc/pacao/telco.yaml");
    let silent = Config::parse(path, WHOLE).unwrap().node;
    assert!(silent.subscribe.is_empty() && silent.pubsub.key.is_none() && silent.sites[0].pubsub.is_none());
    let text = WHOLE
        .replace(
            "[172.16.9.1]",
            "[{ address: 172.16.9.1, subscribe: true, key: main }, 172.16.9.2]",
        )
        .replace("nonces: any }", "nonces: any, pubsub: { key: change } }")
        .replace("control:", "pubsub: { key: main, most: 7 }\ncontrol:");
    let node = Config::parse(path, &text).unwrap().node;
    assert_eq!(node.map_resolvers.len(), 2);
    let id = |keys: &node::config::KeyRing| keys.signing(0).map(|key| key.id);
    let subscribed: Vec<_> = node
        .subscribe
        .iter()
        .map(|(rloc, keys)| (*rloc, id(keys)))
        .collect();
    assert_eq!(subscribed, [(Rloc([172, 16, 9, 1].into()), Some(1))]);
    assert_eq!(node.sites[0].pubsub.as_ref().and_then(id), Some(2));
    assert_eq!(
        (node.pubsub.key.as_ref().and_then(id), node.pubsub.most),
        (Some(1), 7)
    );
    let keyless = WHOLE.replace("[172.16.9.1]", "[{ address: 172.16.9.1, subscribe: true }]");
    let unknown = WHOLE.replace("control:", "pubsub: { key: none }\ncontrol:");
    let useless = WHOLE.replace("[172.16.9.1]", "[{ address: 172.16.9.1, key: main }]");
    for (text, field) in [
        (keyless, "map_resolvers[0].key"),
        (useless, "map_resolvers[0].key"),
        (unknown, "pubsub.key"),
    ] {
        let refused = refusal(&text);
        assert!(refused.contains(field), "{refused}");
    }
}

#[test]
fn a_mapping_has_the_version_that_the_operator_gives_it_and_a_memory_for_what_becomes_of_it() {
    let text = WHOLE.replace("ttl: 1440,", "ttl: 1440, map_version: 7,");
    let text = format!("{text}data_header: {{ map_version: true, peers: [172.16.0.0/16] }}\n");
    let config = Config::parse(Path::new("telco.yaml"), &text).unwrap();
    assert_eq!(config.node.eids[0].map_version.get(), 7);
    assert_eq!(config.node.subscribe_every, Span::secs(180));
    let refused = refusal(&text.replace("state_dir: telco\n", ""));
    assert!(
        refused.contains("eids[0].map_version: needs a state_dir"),
        "{refused}"
    );
}

#[test]
fn data_headers_say_and_believe_nothing_until_peers_are_trusted() {
    let toward = |said: &str, rloc: &str| {
        let text = format!("{WHOLE}data_header: {said}\n");
        let config = Config::parse(Path::new("telco.yaml"), &text).unwrap();
        let signals = config.node.data_header.toward(Rloc(rloc.parse().unwrap()));
        [signals.locator_status, signals.echo_nonce, signals.map_version]
    };
    let peers = "peers: [172.16.0.0/16, { rlocs: 172.16.9.0/24, echo_nonce: false, map_version: true }]";
    let said = format!("{{ locator_status: true, echo_nonce: true, {peers} }}");
    assert_eq!(toward(&said, "172.16.0.2"), [true, true, false]);
    assert_eq!(toward(&said, "172.16.9.2"), [true, false, true]);
    assert_eq!(toward(&said, "192.0.2.1"), [false; 3]);
    let bare = Config::parse(Path::new("telco.yaml"), WHOLE).unwrap();
    assert!(!bare.node.data_header.any());
    let refused = |said: &str| refusal(&format!("{WHOLE}data_header: {said}\n"));
    let wrong = [
        (
            "{ echo_nonce: true }",
            "data_header.peers: say which peers are trusted",
        ),
        (
            "{ peers: [172.16.0.0/16] }",
            "data_header.peers[0]: nothing is switched on",
        ),
        (
            "{ map_version: true, peers: ['[7]172.16.0.0/16'] }",
            "data_header.peers[0]: locators have no",
        ),
        (
            "{ echo_nonce: true, echo_wait: 1ms, peers: [172.16.0.0/16] }",
            "data_header.echo_wait: must be at least 100ms",
        ),
    ];
    for (said, why) in wrong {
        let refused = refused(said);
        assert!(
            refused.starts_with("/etc/pacao/telco.yaml:22:") && refused.contains(why),
            "{refused}"
        );
    }
}

#[test]
fn tenants_have_an_interface_and_a_table_each() {
    let path = Path::new("/etc/pacao/telco.yaml");
    let one = "tun: { name: lisp0, uplink_mtu: 1500, routes: [10.2.0.0/16] }";
    let two = "tun: [{ name: lisp0, routes: [10.2.0.0/16] }, { name: lisp7, instance_id: 7, routes: [10.2.0.0/16], table: 700 }]";
    let text = WHOLE
        .replace(one, two)
        .replace("eids:\n", "eids:\n  - { prefix: '[7]10.1.0.7/32' }\n");
    let tuns = Config::parse(path, &text).unwrap().tuns;
    let tenants: Vec<_> = tuns
        .iter()
        .map(|tun| (tun.iid.get(), tun.table, tun.routes.len()))
        .collect();
    assert_eq!(tenants, [(0, None, 1), (7, Some(700), 1)]);
    for (right, wrong, advice) in [
        (
            "instance_id: 7",
            "instance_id: 0",
            "tun[1].instance_id: tenant 0 has an interface already",
        ),
        (
            "name: lisp7",
            "name: lisp0",
            "tun[1].name: 'lisp0' is there twice",
        ),
        (
            "name: lisp7",
            "name: lisp7, uplink_mtu: 1400",
            "tun[1].uplink_mtu",
        ),
        ("table: 700", "tabel: 700", "unknown field `tabel`"),
        (
            "'[7]10.1.0.7/32'",
            "'[8]10.1.0.7/32'",
            "eids[0].prefix: tenant 8 has no interface",
        ),
    ] {
        assert!(text.contains(right), "{right}");
        let said = refusal(&text.replace(right, wrong));
        assert!(said.contains(advice), "{said}");
    }
}

#[test]
fn a_key_may_have_another_beside_it_that_replaces_it() {
    let text = WHOLE.replace("key: main,", "key: [change, main],");
    assert_ne!(text, WHOLE);
    let node = Config::parse(Path::new("telco.yaml"), &text).unwrap().node;
    let ids: Vec<_> = node.map_servers[0].keys.all().iter().map(|key| key.id).collect();
    assert_eq!(ids, [2, 1]);
    for wrong in ["key: [],", "key: [main, other],"] {
        let refused = refusal(&WHOLE.replace("key: main,", wrong));
        assert!(refused.contains("map_servers[0].key"), "{refused}");
    }
}

#[test]
fn a_re_encapsulating_router_is_told_for_which_eids_it_is_one() {
    let open = WHOLE.replace("rtr: { eids: [10.3.0.0/16] }", "");
    assert!(refusal(&open).contains("rtr: the role rtr needs the EIDs"));
    assert!(refusal(&WHOLE.replace("[10.3.0.0/16] }", "[] }")).contains("rtr: the role rtr needs the EIDs"));
    assert!(refusal(&WHOLE.replace("etr, rtr,", "etr,")).contains("only with the role rtr"));
}

/// A Map-Server that names two routers and shares a key with one, and is a router itself for another Map-Server.
fn natting() -> String {
    let text = WHOLE.replace(
        "10.3.0.0/16] }",
        "10.3.0.0/16], nat: [{ map_server: 172.16.9.2, key: change }] }",
    );
    text + "nat_rtrs: [172.16.9.4, { address: 172.16.9.5, key: [main, change] }]\n"
}

#[test]
fn routers_through_nats_and_their_map_servers_share_keys() {
    let config = Config::parse(Path::new("/etc/pacao/telco.yaml"), &natting()).unwrap();
    let rloc = |last| Rloc([172, 16, 9, last].into());
    let ids = |keys: &node::config::KeyRing| keys.all().iter().map(|key| key.id).collect::<Vec<_>>();
    let node = config.node;
    // Both are named to xTRs, and registrations are taken from the one that has a key.
    assert_eq!(node.nat_rtrs, [rloc(4), rloc(5)]);
    let routers: Vec<_> = node
        .nat
        .routers
        .iter()
        .map(|(at, keys)| (*at, ids(keys)))
        .collect();
    assert_eq!(routers, [(rloc(5), vec![1, 2])]);
    let servers: Vec<_> = node
        .nat
        .servers
        .iter()
        .map(|(at, keys)| (*at, ids(keys)))
        .collect();
    assert_eq!(servers, [(rloc(2), vec![2])]);
    assert_eq!(node.nat.eids, ["10.3.0.0/16".parse().unwrap()]);
    let plain = Config::parse(Path::new("telco.yaml"), WHOLE).unwrap().node.nat;
    assert!(plain.routers.is_empty() && plain.servers.is_empty() && plain.eids.is_empty());
}

#[test]
fn what_is_wrong_with_a_router_through_nats_is_named_with_its_place() {
    let cases = [
        (
            "172.16.9.4",
            "172.16.9.400",
            ":22:",
            "nat_rtrs",
            "an address, or { address, key }",
        ),
        (
            "172.16.9.5, key: [",
            "172.16.9.5, keys: [",
            ":22:",
            "nat_rtrs",
            "an address, or { address, key }",
        ),
        (
            "[main, change]",
            "[main, other]",
            ":22:",
            "nat_rtrs[1].key",
            "no key called 'other'",
        ),
        (
            "[main, change]",
            "[]",
            ":22:",
            "nat_rtrs[1].key",
            "at least one key",
        ),
        (
            "172.16.9.2, key: change",
            "172.16.9.2, key: none",
            ":21:",
            "rtr.nat[0].key",
            "no key called 'none'",
        ),
        (
            "172.16.9.2, key: change",
            "172.16.9.2, key: []",
            ":21:",
            "rtr.nat[0].key",
            "at least one key",
        ),
        (
            "172.16.9.2, key: change",
            "172.16.9.2",
            ":21:",
            "rtr.nat[0]",
            "missing field `key`",
        ),
        (
            "map_server: 172.16.9.2",
            "server: 172.16.9.2",
            ":21:",
            "rtr.nat[0]",
            "expected one of `map_server`, `key`, `nonces`",
        ),
        (
            "map_server: 172.16.9.2",
            "map_server: here",
            ":21:",
            "rtr.nat[0].map_server",
            "invalid IP address",
        ),
    ];
    for (right, wrong, line, field, advice) in cases {
        let text = natting();
        assert!(text.contains(right), "{right}");
        let said = refusal(&text.replace(right, wrong));
        let file_and_line = format!("/etc/pacao/telco.yaml{line}");
        for part in [file_and_line.as_str(), field, advice] {
            assert!(said.contains(part), "{wrong}: '{part}' is missing in: {said}");
        }
    }
    let many = format!("{WHOLE}nat_rtrs: [{}]\n", ["172.16.9.4"; 17].join(", "));
    assert!(refusal(&many).contains("nat_rtrs: an Info-Reply names 16 routers at most"));
}

#[test]
fn an_eid_is_reached_over_a_path_where_one_is_given() {
    let path = Path::new("/etc/pacao/telco.yaml");
    let one = "locators: [{ address: 172.16.0.1, priority: 1, weight: 100 }]";
    let over = "locators: [{ path: [172.16.8.1, { address: 172.16.8.2, strict: true, probe: false }, 172.16.0.1], priority: 3 }]";
    let text = WHOLE.replace(one, over);
    let locator = Config::parse(path, &text).unwrap().node.eids[0].locators[0];
    let way = locator.path.unwrap();
    assert_eq!(way.to_string(), "172.16.8.1 > 172.16.8.2 > 172.16.0.1");
    let bits: Vec<_> = way.hops().iter().map(|hop| (hop.probe, hop.strict)).collect();
    assert_eq!(bits, [(true, false), (false, true), (true, false)]);
    assert_eq!(
        (locator.priority.0, locator.rloc, locator.etr()),
        (3, way.first(), way.last())
    );
    for (right, wrong, advice) in [
        (
            "172.16.8.2",
            "172.16.8.1",
            "eids[0].locators[0].path: 172.16.8.1 is there twice",
        ),
        (
            "priority: 3",
            "address: 172.16.0.1",
            "eids[0].locators[0]: give either an address or a path",
        ),
    ] {
        let said = refusal(&text.replace(right, wrong));
        assert!(said.contains(advice), "{said}");
    }
}

#[test]
fn sha_1_is_used_only_where_the_file_says_that_it_is_legacy() {
    let text = "name: ms\nrlocs: [{ address: 2001:db8::9 }]\nroles: [map-server]\n\
                keys: { old: { id: 0, algorithm: hmac-sha1, secret: s } }\n";
    let refused = refusal(text);
    assert!(
        refused.contains("keys.old") && refused.contains("legacy: true"),
        "{refused}"
    );
    let named = text.replace("secret: s", "secret: s, legacy: true");
    assert!(Config::parse(Path::new("ms.yaml"), &named).is_ok());
}

#[test]
fn locators_can_be_whatever_an_interface_has() {
    let path = Path::new("/etc/pacao/telco.yaml");
    let fixed = "rlocs: [{ address: 172.16.0.1, priority: 1, weight: 100 }]";
    let text = WHOLE.replace(
        fixed,
        "rlocs: [{ interface: wlan0 }, { interface: wwan0, priority: 2 }]",
    );
    let config = Config::parse(path, &text).unwrap();
    let names: Vec<_> = config
        .roaming
        .iter()
        .map(|one| (one.name.as_str(), one.priority.0))
        .collect();
    assert_eq!(names, [("wlan0", 1), ("wwan0", 2)]);
    assert_eq!(config.outer(), OuterFamily::WithV6);
    for (wrong, advice) in [
        (
            "rlocs: [{ interface: wlan0 }, { address: 172.16.0.1 }]",
            "rlocs: either all locators are addresses",
        ),
        (
            "rlocs: [{ interface: wlan0, address: 172.16.0.1 }]",
            "rlocs[0]: give either an address or the interface",
        ),
        (
            "rlocs: [{ interface: a-name-that-is-too-long }]",
            "rlocs[0].interface: an interface name",
        ),
    ] {
        let said = refusal(&WHOLE.replace(fixed, wrong));
        assert!(said.contains(advice), "{said}");
    }
}

#[test]
fn a_delegation_goes_to_nodes_or_to_map_servers_within_the_authority() {
    let text = "name: root\nrlocs: [{ address: 2001:db8::9 }]\nroles: [map-server, map-resolver]\n\
                ddt: { roots: [2001:db8::1], authority: [10.0.0.0/8], delegations: [\
                { prefix: 10.1.0.0/16, nodes: [2001:db8::2] }, { prefix: 10.2.0.0/16, map_servers: [2001:db8::3] }] }\n";
    let node = Config::parse(Path::new("root.yaml"), text).unwrap().node;
    let to: Vec<_> = node.delegations.iter().map(|part| part.to).collect();
    assert_eq!(to, [DelegatedTo::Nodes, DelegatedTo::MapServers]);
    assert_eq!(node.ddt_roots.len(), 1);
    for (right, wrong) in [
        ("map_servers: [2001:db8::3]", "map_servers: []"),
        (
            "map_servers: [2001:db8::3]",
            "map_servers: [2001:db8::3], nodes: [2001:db8::2]",
        ),
        ("10.2.0.0/16", "11.2.0.0/16"),
        ("10.2.0.0/16", "10.1.0.0/16"),
    ] {
        let refused = refusal(&text.replace(right, wrong));
        assert!(refused.contains("ddt.delegations"), "{refused}");
    }
}

#[test]
fn little_is_needed() {
    let text = "name: ms\nrlocs: [{ address: 2001:db8::9 }]\nroles: [map-server, map-resolver]\n";
    let config = Config::parse(Path::new("ms.yaml"), text).unwrap();
    assert!(config.tuns.is_empty() && config.control.is_none() && config.node.eids.is_empty());
    assert_eq!(config.outer(), OuterFamily::WithV6);
    let again = Config::parse(Path::new("ms.yaml"), text).unwrap();
    assert_eq!(config.node.xtr_id, again.node.xtr_id);
    let other = Config::parse(Path::new("ms.yaml"), &text.replace("name: ms", "name: mr")).unwrap();
    assert_ne!(config.node.xtr_id, other.node.xtr_id);
}

#[test]
fn a_secret_is_not_shown_where_it_is_wrong() {
    let hidden = [
        ("12345678901", "in quotes"),
        ("-12345678901", "in quotes"),
        ("1234567.8901", "in quotes"),
        ("123456789012345678901234567890", "in quotes"),
        ("true", "in quotes"),
        ("[12345678901]", "in quotes"),
        ("{ 12345678901: a }", "in quotes"),
    ];
    for (secret, what) in hidden {
        let text = WHOLE.replace("secret: \"correct horse\"", &format!("secret: {secret}"));
        let refused = refusal(&text);
        assert!(
            refused.contains("telco.yaml:11:")
                && refused.contains("keys.main.secret")
                && refused.contains(what),
            "{refused}"
        );
        assert!(
            !refused.contains("123456") && !refused.contains("`true`"),
            "{refused}"
        );
    }
    let whole = "{ id: 1, algorithm: hmac-sha256, secret: \"correct horse\", mac: whole }";
    for secret in ["\"correct horse\"", "12345678901"] {
        let refused = refusal(&WHOLE.replace(whole, secret));
        assert!(
            refused.contains("keys.main") && refused.contains("a key is a block"),
            "{refused}"
        );
        assert!(
            !refused.contains("correct horse") && !refused.contains("123456"),
            "{refused}"
        );
    }
}
