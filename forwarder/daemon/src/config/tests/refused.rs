//! Files that are refused, with the place and what would be right.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{Config, WHOLE, refusal};

#[test]
fn an_error_names_file_line_field_and_what_would_be_right() {
    let cases = [
        (
            "prefix: 10.1.0.7/32",
            "prefix: 10.1.0.7/33",
            ":15:",
            "eids[0]",
            "prefix length 33 is too long",
        ),
        (
            "register_every: 60s",
            "register_every: soon",
            ":9:",
            "register_every",
            "10s, 500ms or 2m",
        ),
        (
            "register_every: 60s",
            "register_every: 60ms",
            ":9:",
            "register_every",
            "at least 1s",
        ),
        (
            "register_every: 60s",
            "subscribe_every: 16m",
            ":9:",
            "subscribe_every",
            "from 1s to 15m",
        ),
        (
            "ttl: 1440,",
            "ttl: 1440, map_version: 4096,",
            ":15:",
            "eids[0].map_version",
            "from 1 to 4095",
        ),
        (
            "ttl: 1440,",
            "ttl: 1440, map_version: 0,",
            ":15:",
            "eids[0].map_version",
            "from 1 to 4095",
        ),
        (
            "ttl: 1440,",
            "ttl: 1440, map_version: 1,",
            ":15:",
            "eids",
            "a use only with data_header.map_version: true",
        ),
        (
            "roles: [itr,",
            "roles: [router, itr,",
            ":6:",
            "roles",
            "unknown variant `router`, expected one of `itr`",
        ),
        (
            "map_resolvers:",
            "map_resolver:",
            ":7:",
            "map_resolver",
            "unknown field `map_resolver`, expected one of",
        ),
        (
            "key: main,",
            "key: mian,",
            ":8:",
            "map_servers[0].key",
            "under keys: change, main, sites",
        ),
        (
            "keys: [main]",
            "keys: [main, none]",
            ":16:",
            "sites[0].keys[1]",
            "no key called 'none'",
        ),
        (
            "tun: { name: lisp0",
            "tun: { name: a-name-that-is-too-long",
            ":5:",
            "tun.name",
            "1 to 15",
        ),
        (
            "uplink_mtu: 1500",
            "uplink_mtu: 900",
            ":5:",
            "tun.uplink_mtu",
            "at least 1336",
        ),
        (
            "routes: [10.2.0.0/16]",
            "routes: ['[7]10.2.0.0/16']",
            ":5:",
            "tun.routes[0]",
            "give instance_id",
        ),
        (
            "secret: \"battery staple\"",
            "mac: whole",
            ":12:",
            "keys.change",
            "needs a secret or a secret_file",
        ),
        (
            "address: 172.16.0.1, priority: 1, weight: 100 }]\ntun",
            "address: 0.0.0.0 }]\ntun",
            ":4:",
            "rlocs[0].address",
            "not a wildcard",
        ),
        (
            "down_after: 3",
            "down_after: 0",
            ":18:",
            "probing.down_after",
            "at least 1",
        ),
        (
            "scopes: { change:",
            "scopes: { main:",
            ":17:",
            "change_priority.scopes.main",
            "neither among",
        ),
        (
            "move_keys: [sites], ",
            "",
            ":17:",
            "change_priority.scopes.sites",
            "neither among",
        ),
        (
            "move_keys: [sites], scopes: { change: [10.1.0.0/16], sites: [10.1.0.0/16] }",
            "scopes: { change: [10.1.0.0/16] }",
            ":17:",
            "change_priority.group",
            "none of their clients holds: move_keys:",
        ),
        (
            "move_keys: [sites]",
            "move_keys: [site]",
            ":17:",
            "change_priority.scopes.sites",
            "neither among",
        ),
        (
            "secret: \"of the sites\"",
            "secret: \"battery staple\"",
            ":17:",
            "change_priority.move_keys[0]",
            "'sites' has the same secret as 'change'",
        ),
        (
            "keys: [change],",
            "keys: [change, sites],",
            ":17:",
            "change_priority.move_keys[0]",
            "'sites' stands at change_priority.keys too",
        ),
        (
            "keys: [main]",
            "keys: [main, sites]",
            ":17:",
            "change_priority.move_keys[0]",
            "'sites' stands at sites[0].keys too",
        ),
        (
            "key: main,",
            "key: [main, sites],",
            ":17:",
            "change_priority.move_keys[0]",
            "'sites' stands at map_servers[0].key too",
        ),
        (
            "map_resolvers: [172.16.9.1]",
            "map_resolvers: [{ address: 172.16.9.1, subscribe: true, key: sites }]",
            ":17:",
            "change_priority.move_keys[0]",
            "'sites' stands at map_resolvers[0].key too",
        ),
        (
            "nonces: any }]",
            "nonces: any, pubsub: { key: sites } }]",
            ":17:",
            "change_priority.move_keys[0]",
            "'sites' stands at sites[0].pubsub.key too",
        ),
        (
            "state_dir: telco",
            "pubsub: { key: sites }",
            ":17:",
            "change_priority.move_keys[0]",
            "'sites' stands at pubsub.key too",
        ),
        (
            "rtr: { eids: [10.3.0.0/16] }",
            "rtr: { eids: [10.3.0.0/16], nat: [{ map_server: 172.16.9.1, key: sites }] }",
            ":17:",
            "change_priority.move_keys[0]",
            "'sites' stands at rtr.nat[0].key too",
        ),
        (
            "state_dir: telco",
            "nat_rtrs: [172.16.9.4, { address: 172.16.9.5, key: sites }]",
            ":17:",
            "change_priority.move_keys[0]",
            "'sites' stands at nat_rtrs[1].key too",
        ),
        (
            "id: 3, algorithm",
            "id: 2, algorithm",
            ":17:",
            "change_priority.move_keys",
            "id 2 is there twice",
        ),
    ];
    for (right, wrong, line, field, advice) in cases {
        assert!(WHOLE.contains(right), "{right}");
        let said = refusal(&WHOLE.replace(right, wrong));
        let file_and_line = format!("/etc/pacao/telco.yaml{line}");
        for part in [file_and_line.as_str(), field, advice] {
            assert!(said.contains(part), "{wrong}: '{part}' is missing in: {said}");
        }
    }
}

#[test]
fn a_role_that_carries_packets_needs_a_tun() {
    let said = refusal("name: a\nrlocs: [{ address: 10.0.0.1 }]\nroles: [etr]\n");
    assert!(said.contains("tun: roles itr and etr carry packets"), "{said}");
}

#[test]
fn a_secret_file_that_others_can_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("main.key");
    std::fs::write(&secret, "correct horse\n").unwrap();
    let text = WHOLE.replace("secret: \"correct horse\"", "secret_file: main.key");
    let path = directory.path().join("telco.yaml");
    for (mode, accepted) in [(0o644, false), (0o640, false), (0o600, true), (0o400, true)] {
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).unwrap();
        let outcome = Config::parse(&path, &text);
        assert_eq!(outcome.is_ok(), accepted, "{mode:o}: {outcome:?}");
        if let Err(error) = outcome {
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }
}

#[test]
fn secrets_are_never_shown() {
    let config = Config::parse(Path::new("x.yaml"), WHOLE).unwrap();
    let shown = format!("{config:?}");
    assert!(!shown.contains("horse") && !shown.contains("staple"));
}
