use std::cell::Cell;

use lisp_wire::Algorithm;

use super::*;

fn site(block: &str) -> Site {
    Site {
        prefix: block.parse().unwrap(),
        keys: vec![Key::new(1, Algorithm::HmacSha256, b"a secret of the site").unwrap()],
        accept_more_specifics: true,
        nonces: NonceRule::Growing,
        pubsub: None,
        answered_for: crate::config::AnsweredFor::Everyone,
        quota: crate::config::Quota::default(),
    }
}

#[test]
fn a_message_is_verified_once_for_each_site_however_many_records_it_has() {
    let sites = ["10.1.0.0/16", "10.2.0.0/16"].map(site);
    let record = |eid: String| MappingRecord {
        ttl: Ttl(60),
        eid: eid.parse().unwrap(),
        action: Action::NoAction,
        authoritative: true,
        map_version: 0,
        locators: Vec::new(),
    };
    let of = |second: u8| (0..100).map(move |host| format!("10.{second}.0.{host}/32"));
    let register = MapRegister {
        proxy_reply: false,
        use_ttl: false,
        merge: false,
        want_notify: false,
        nonce: Nonce(1),
        auth: unsigned(),
        records: of(1).chain(of(2)).map(record).collect(),
        xtr: None,
    };
    let verified = Cell::new(0);
    let vouching = |keys| {
        verified.set(verified.get() + 1);
        <[Key]>::first(keys).ok_or(Counter::UnknownKey)
    };
    assert!(authorised(&register, &sites, vouching).is_ok());
    assert_eq!(verified.get(), 2);
}
