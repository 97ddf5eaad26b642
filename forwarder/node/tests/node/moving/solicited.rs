//! Clients that are told by solicitation (SMR): all of them, or those that Change-Priority does not reach.

use super::*;

#[test]
fn where_clients_are_told_by_solicitation_they_ask_anew_and_get_no_update() {
    let (mut net, at) = fabric_with(|mut config| {
        config.change_priority.tell_by = TellBy::Solicitation;
        config
    });
    net.miss(at.paris, VM);
    net.run_for(Span::secs(3));
    net.command(at.telco, switch(1, paris(), &[marilyn(), telco()]));
    net.run_for(Span::millis(200));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    assert_eq!(net.tap.iter().filter(|packet| is_solicitation(packet)).count(), 1);
    assert!(!net.tap.iter().any(is_update));
    assert!(matches!(
        outcomes(&net, at.telco, 1)[..],
        [ChangeOutcome::Acknowledged { attempts: 1, .. }]
    ));
}

#[test]
fn without_a_key_there_is_still_the_solicitation() {
    let (mut net, at) = fabric_with(|mut config| {
        config.change_priority.keys.clear();
        config
    });
    net.miss(at.paris, VM);
    net.run_for(Span::secs(3));
    net.command(at.telco, switch(1, paris(), &[marilyn()]));
    net.run_for(Span::millis(100));
    assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    assert!(!net.tap.iter().any(is_change_priority));
}

#[test]
fn a_client_that_acknowledges_again_is_solicited_no_more() {
    let (mut net, at) = insisting_fabric();
    net.lose(is_change_priority);
    net.command(at.telco, switch(1, paris(), &[marilyn(), telco()]));
    net.run_for(Span::secs(10));
    net.lose(|_| false);
    for change in 2..5 {
        net.command(at.telco, switch(change, paris(), &[lip6()]));
        net.run_for(Span::secs(3));
    }
    // Once when it was silent, once in doubt.
    assert_eq!(net.tap.iter().filter(|packet| is_solicitation(packet)).count(), 2);
}

#[test]
fn a_solicitation_asks_for_the_changed_eid_or_for_the_peers_own_where_it_is_known_to_want_that() {
    for (own_eid_peers, asked) in [(vec![], VM_BLOCK), (vec![paris()], "10.2.1.10/32")] {
        let (mut net, at) = fabric_with(|mut config| {
            config.change_priority.tell_by = TellBy::Solicitation;
            config.change_priority.own_eid_peers = own_eid_peers.iter().copied().collect();
            config
        });
        let source = Some(prefix("10.2.1.10/32").first());
        let eid = prefix(VM_BLOCK).first();
        net.input(at.paris, Input::Miss { eid, source });
        net.run_for(Span::secs(3));
        net.command(at.telco, switch(1, paris(), &[marilyn(), telco()]));
        net.run_for(Span::millis(200));
        let solicited = net.tap.iter().find(|packet| is_solicitation(packet)).unwrap();
        let Some(Message::MapRequest(request)) = solicited.message() else {
            panic!("a solicitation is a Map-Request")
        };
        assert_eq!(request.eids, [prefix(asked)]);
        assert_eq!(request.source_eid, Some(eid));
        assert_eq!(net.member(at.paris).way(VM), Way::To(marilyn()));
    }
}

#[test]
fn clients_beyond_what_can_be_told_at_a_time_are_solicited() {
    let (mut net, at) = fabric_with(|mut config| {
        if let Some(eid) = config.eids.pop_if(|_| config.name.as_str() == "telco") {
            let each = |text: &str| OwnEid {
                prefix: prefix(text),
                ..eid.clone()
            };
            let texts = (1..=5).map(|host| format!("10.1.0.{host}/32"));
            config.eids = texts
                .chain(["10.1.0.0/24".to_owned()])
                .map(|text| each(&text))
                .collect();
        }
        config
    });
    // Each is told of all of them, and asked for one.
    let first = 0x0b00_0000;
    for client in first..first + 4096 {
        let mut request = asked_by(client);
        request.eids = vec![prefix("10.1.0.200/32")];
        let bytes = bytes_of(&Message::MapRequest(request));
        net.inject("172.16.6.6:4342".parse().unwrap(), telco().0, bytes);
        net.run_for(Span(200));
    }
    net.run_for(Span::millis(10));
    for host in 1..=5 {
        let everyone = NodeCommand::SetLocators {
            change: ChangeId(host),
            eid: prefix(&format!("10.1.0.{host}/32")),
            audience: Audience::Everyone,
            locators: ranked(&[marilyn()]),
            tell: Tell::ChangePriority,
        };
        assert_eq!(net.command(at.telco, everyone), NodeReport::Done);
    }
    let solicited = net.tap.iter().filter(|packet| is_solicitation(packet)).count();
    assert_eq!(solicited, 5 * 4096 - 16_384);
    assert_eq!(net.counter(at.telco, "control.refused.full"), solicited as u64);
}
