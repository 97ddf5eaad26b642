//! A whole node among strangers: whatever datagrams come, from wherever, at whatever times, it goes on, and nothing
//! that only a key can change is changed. `node`'s own tests run the corpus through the same function.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use lisp_wire::message::{SiteId, XtrId};
use lisp_wire::{Algorithm, CONTROL_PORT, Eid, EidPrefix, Key, Locator, Priority, Rloc, Ttl, Weight};
use node::config::{
    ChangePriority, DataHeader, MapServer, NatRouters, NonceRule, OwnEid, OwnRloc, Probing, PubSub, Role,
    Scope, ScopedKey, Site,
};
use node::{ClientId, Config, Effect, Input, Node, State};
use proto::node::Show;
use proto::{NodeCommand, NodeReport, SiteName, Span, Timestamp};

const BEGAN: Timestamp = Timestamp(1_763_000_000_000_000);
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 16, 0, 1));
const CLIENT: ClientId = ClientId(1);
/// At most so many of the node's own datagrams are remembered, to be turned against it.
const MOST_SENT: usize = 64;

/// Runs a script of bytes: what comes when and from whom. It ends where the bytes do.
pub fn node(script: &[u8]) {
    let mut scene = Scene::set();
    let before = scene.guarded();
    let mut script = Script(script);
    while scene.step(&mut script).is_some() {}
    assert_eq!(scene.guarded(), before, "changed by somebody without a key");
    // It is still there for an honest question.
    scene.handle(Input::Tick);
}

struct Scene {
    node: Node,
    now: Timestamp,
    sent: Vec<Vec<u8>>,
}

impl Scene {
    fn set() -> Self {
        let (node, effects) = Node::new(config(), BEGAN, [7; 32]);
        let mut scene = Self {
            node,
            now: BEGAN,
            sent: Vec::new(),
        };
        scene.take(effects);
        scene.handle(Input::Remembered(State::default()));
        scene.handle(Input::Connected { client: CLIENT });
        scene.handle(Input::Command {
            client: CLIENT,
            request: 1,
            command: NodeCommand::SetCache {
                eid: prefix("10.9.0.0/16"),
                locators: vec![Locator::unicast(rloc(9), Priority(1), Weight(100))],
                ttl: Span::secs(86_400),
            },
        });
        scene
    }

    /// One step of the script; `None` at its end.
    fn step(&mut self, script: &mut Script<'_>) -> Option<()> {
        let what = script.byte()?;
        match what % 4 {
            // Somebody sends bytes of their own.
            0 => {
                let from = script.address()?;
                let length = usize::from(script.byte()?) * usize::from(script.byte()? % 8 + 1);
                let bytes = script.0.get(..length).unwrap_or(script.0).to_vec();
                script.0 = script.0.get(length..).unwrap_or_default();
                self.receive(from, bytes);
            }
            // Or what the node itself once sent, with some bytes changed.
            1 => {
                let (from, which, changes) = (script.address()?, script.byte()?, script.byte()? % 8);
                let mut bytes = self
                    .sent
                    .get(usize::from(which) % self.sent.len().max(1))?
                    .clone();
                for _ in 0..changes {
                    let (at, value) = (script.byte()?, script.byte()?);
                    if let Some(byte) = bytes.get_mut(usize::from(at)) {
                        *byte = value;
                    }
                }
                self.receive(from, bytes);
            }
            2 => {
                // Less than the lifetime of what staff pinned: that it ends by itself is no stranger's doing.
                let later = self.now + Span(1 << (script.byte()? % 32));
                self.now = later.min(BEGAN + Span::secs(43_200));
                self.handle(Input::Tick);
            }
            _ => {
                let eid = Eid::of([10, 2, 0, script.byte()?].into());
                self.handle(Input::Miss { eid, source: None });
            }
        }
        Some(())
    }

    fn receive(&mut self, from: SocketAddr, bytes: Vec<u8>) {
        self.handle(Input::Datagram {
            from,
            local: HERE,
            bytes,
            received_at: self.now,
        });
    }

    fn handle(&mut self, input: Input) {
        let effects = self.node.handle(input, self.now);
        self.take(effects);
        let next = self.node.next_deadline();
        assert!(
            next.is_none_or(|next| next > BEGAN),
            "a deadline before the beginning"
        );
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            if let Effect::Send { bytes, .. } = effect
                && self.sent.len() < MOST_SENT
            {
                self.sent.push(bytes);
            }
        }
    }

    /// What only keys, or staff, can change.
    fn guarded(&mut self) -> BTreeMap<&'static str, String> {
        let mut told = BTreeMap::new();
        for (name, what) in [
            ("registrations", Show::Registrations),
            ("subscriptions", Show::Subscriptions),
            ("subscribed", Show::Subscribed),
            ("database", Show::Database),
            ("map cache", Show::MapCache),
        ] {
            let command = NodeCommand::Show { what };
            let input = Input::Command {
                client: CLIENT,
                request: 2,
                command,
            };
            for effect in self.node.handle(input, self.now) {
                if let Effect::Report { report, .. } = effect {
                    told.insert(name, words(report));
                }
            }
        }
        told
    }
}

/// Without figures that change by themselves.
fn words(report: NodeReport) -> String {
    match report {
        NodeReport::MapCache { rows } => {
            let by_hand = rows.into_iter().filter(|row| row.origin == "manual");
            let rows = by_hand.map(|row| {
                let rlocs: Vec<_> = row.locators.iter().map(|cached| cached.locator.rloc).collect();
                (row.eid, rlocs)
            });
            format!("{:?}", rows.collect::<Vec<_>>())
        }
        NodeReport::Database { rows } => {
            let rows = rows.into_iter().map(|row| {
                let locators = row
                    .locators
                    .iter()
                    .map(|locator| (locator.rloc, locator.priority));
                (row.eid, row.audience, locators.collect::<Vec<_>>())
            });
            format!("{:?}", rows.collect::<Vec<_>>())
        }
        other => format!("{other:?}"),
    }
}

/// Every role at once; none of its keys is known to whoever writes scripts.
fn config() -> Config {
    let server = rloc(8);
    Config {
        name: SiteName::new("fuzzed").expect("a name"),
        xtr_id: XtrId(1),
        site_id: SiteId(0),
        rlocs: vec![OwnRloc {
            rloc: Rloc(HERE),
            priority: Priority(1),
            weight: Weight(100),
        }],
        roles: [Role::Itr, Role::Etr, Role::MapServer, Role::MapResolver].into(),
        map_resolvers: vec![server],
        map_servers: vec![MapServer {
            address: server,
            keys: key(1, b"of registrations").into(),
            proxy_reply: true,
            merge: false,
            behind_nat: true,
        }],
        register_every: Span::secs(60),
        subscribe_every: Span::secs(180),
        eids: vec![OwnEid {
            prefix: prefix("10.1.0.0/16"),
            ttl: Ttl(60),
            locators: Vec::new(),
            register: true,
            map_version: lisp_wire::data_header::MapVersion::NONE,
        }],
        sites: vec![Site {
            prefix: prefix("10.3.0.0/16"),
            keys: vec![key(2, b"of another site")],
            accept_more_specifics: true,
            nonces: NonceRule::Growing,
            pubsub: None,
            answered_for: node::config::AnsweredFor::Everyone,
            quota: node::config::Quota::default(),
        }],
        authority: Vec::new(),
        delegations: Vec::new(),
        ddt_roots: vec![rloc(7)],
        nat_rtrs: Vec::new(),
        nat: NatRouters {
            routers: [(rloc(6), key(6, b"of a router").into())].into(),
            servers: [(server, key(6, b"of a server").into())].into(),
            eids: vec![prefix("10.6.0.0/16")],
            ..NatRouters::default()
        },
        answers_per_second: 1000,
        pubsub: PubSub {
            key: Some(key(3, b"of publications").into()),
            ..PubSub::default()
        },
        subscribe: [(server, key(4, b"of what is told to us").into())].into(),
        change_priority: ChangePriority {
            keys: vec![ScopedKey {
                key: key(5, b"of changes"),
                scope: Scope::All,
            }],
            move_keys: vec![ScopedKey {
                key: key(7, b"of moves"),
                scope: Scope::All,
            }],
            group: vec![rloc(2)],
            ..ChangePriority::default()
        },
        probing: Probing::default(),
        data_header: DataHeader::default(),
    }
}

fn key(id: u8, secret: &[u8]) -> Key {
    Key::new(id, Algorithm::HmacSha256, secret).expect("a secret and an algorithm")
}

fn rloc(host: u8) -> Rloc {
    Rloc([172, 16, 0, host].into())
}

fn prefix(text: &str) -> EidPrefix {
    text.parse().expect("a prefix")
}

/// Bytes that are taken from the front.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// One of the node's peers, itself among them.
    fn address(&mut self) -> Option<SocketAddr> {
        let host = self.byte()? % 16;
        let port = if host < 12 { CONTROL_PORT } else { 40_000 };
        Some(SocketAddr::new(rloc(host % 12).0, port))
    }
}
