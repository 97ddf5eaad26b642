use super::*;
use lisp_wire::Algorithm;

fn config() -> Config {
    let key = Key::new(1, Algorithm::HmacSha256, b"secret").unwrap();
    let prefix = "10.1.0.0/24".parse().unwrap();
    let site = Site {
        prefix,
        keys: vec![key.clone()],
        accept_more_specifics: false,
        nonces: NonceRule::Growing,
        pubsub: None,
        answered_for: AnsweredFor::Everyone,
        quota: Quota::default(),
    };
    let rloc = Rloc([192, 0, 2, 1].into());
    Config {
        name: SiteName::new("telco").unwrap(),
        xtr_id: XtrId(1),
        site_id: SiteId(0),
        rlocs: vec![OwnRloc {
            rloc,
            priority: Priority(1),
            weight: Weight(1),
        }],
        roles: BTreeSet::new(),
        map_resolvers: Vec::new(),
        map_servers: Vec::new(),
        register_every: Span::secs(60),
        subscribe_every: Span::secs(180),
        eids: vec![OwnEid {
            prefix,
            ttl: Ttl(10),
            locators: Vec::new(),
            register: true,
            map_version: MapVersion::NONE,
        }],
        sites: vec![site],
        authority: Vec::new(),
        delegations: Vec::new(),
        ddt_roots: Vec::new(),
        nat_rtrs: Vec::new(),
        nat: NatRouters::default(),
        answers_per_second: 1000,
        pubsub: PubSub::default(),
        subscribe: BTreeMap::new(),
        change_priority: ChangePriority {
            keys: vec![ScopedKey {
                key,
                scope: Scope::All,
            }],
            move_keys: vec![ScopedKey {
                key: Key::new(2, Algorithm::HmacSha256, b"of the sites").unwrap(),
                scope: Scope::All,
            }],
            group: vec![Rloc([192, 0, 2, 2].into())],
            ..ChangePriority::default()
        },
        probing: Probing::default(),
        data_header: DataHeader::default(),
    }
}

#[test]
fn what_cannot_work_is_refused_by_the_name_of_its_field() {
    type Spoil = fn(&mut Config);
    let spoils: [(&str, Spoil); 19] = [
        ("data_header.echo_wait", |c| c.data_header.echo_wait = Span(1)),
        ("answers_per_second", |c| c.answers_per_second = 0),
        ("ddt.delegations", |c| {
            c.delegations.push(Delegation {
                prefix: "10.3.0.0/16".parse().unwrap(),
                to: DelegatedTo::Nodes,
                nodes: vec![Rloc([192, 0, 2, 9].into())],
            });
        }),
        ("roles", |c| c.roles = [Role::MapResolver].into()),
        ("rlocs", |c| c.rlocs.clear()),
        ("register_every", |c| c.register_every = Span::ZERO),
        ("subscribe_every", |c| c.subscribe_every = Span::secs(901)),
        ("eids", |c| {
            c.eids[0].map_version = MapVersion::new(1).unwrap();
        }),
        ("probing.cache_interval", |c| c.probing.cache_interval = Span(1)),
        ("probing.timeout", |c| c.probing.timeout = Span(1)),
        ("probing.down_after", |c| c.probing.down_after = 0),
        ("eids", |c| c.eids.push(c.eids[0].clone())),
        ("eids", |c| c.eids[0].ttl = Ttl(0)),
        ("sites", |c| c.sites[0].keys.clear()),
        ("subscribe", |c| {
            let key = c.sites[0].keys[0].clone();
            c.subscribe = [(Rloc([192, 0, 2, 9].into()), key.into())].into();
        }),
        ("change_priority.keys", |c| {
            c.change_priority.keys.push(c.change_priority.keys[0].clone());
        }),
        ("change_priority.move_keys", |c| {
            let key = Key::new(1, Algorithm::HmacSha256, b"another").unwrap();
            c.change_priority.move_keys[0].key = key;
        }),
        ("change_priority.group", |c| c.change_priority.move_keys.clear()),
        ("change_priority.move_keys[0]", |c| {
            let key = Key::new(3, Algorithm::HmacSha256, b"secret").unwrap();
            c.change_priority.move_keys[0].key = key;
        }),
    ];
    assert_eq!(config().check(), Ok(()));
    for (field, spoil) in spoils {
        let mut config = config();
        spoil(&mut config);
        let error = config.check().unwrap_err().to_string();
        assert!(error.starts_with(&format!("{field}:")), "{error}");
    }
}
