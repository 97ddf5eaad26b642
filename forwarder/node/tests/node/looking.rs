//! Looking at a node: its message log, and its tables page by page.

use lisp_wire::{EidPrefix, Locator, MessageKind, Priority, Type5, Weight};
use proto::inspect::{LogDetail, LogFilter, LogPage, LogQuery, LoggedMessage, MessageOutcome};
use proto::node::{CacheRow, Show};
use proto::{Cursor, Direction, NodeCommand, NodeReport, Page, Span};

use crate::fabric::{CP_SECRET, Fabric, SITE_SECRET, VM, fabric, paris, prefix, server, telco};
use crate::network::Network;

pub(crate) fn log(net: &mut Network, index: usize, filter: &LogFilter) -> Vec<LoggedMessage> {
    let mut query = LogQuery {
        filter: filter.clone(),
        detail: LogDetail::Fields,
        ..LogQuery::default()
    };
    let mut messages = Vec::new();
    loop {
        let LogPage {
            messages: some,
            next,
            more,
            ..
        } = match net.command(index, NodeCommand::Log { query: query.clone() }) {
            NodeReport::Log(page) => page,
            other => panic!("the log was asked for, not {other:?}"),
        };
        messages.extend(some);
        if !more {
            return messages;
        }
        query.after = next;
    }
}

/// A table, so many rows a page, and how many pages it took.
fn pages(
    net: &mut Network,
    index: usize,
    what: Show,
    eid: Option<EidPrefix>,
    most: u32,
) -> (Vec<NodeReport>, usize) {
    let (mut parts, mut after) = (Vec::new(), None);
    loop {
        let command = NodeCommand::Page {
            what,
            eid,
            after: after.take(),
            most,
        };
        match net.command(index, command) {
            NodeReport::Page(Page { page, next }) => {
                parts.push(*page);
                after = next;
            }
            other => panic!("a page was asked for, not {other:?}"),
        }
        if after.is_none() {
            let count = parts.len();
            return (parts, count);
        }
    }
}

fn cache_rows(net: &mut Network, index: usize, eid: Option<&str>, most: u32) -> (Vec<CacheRow>, usize) {
    let (parts, count) = pages(net, index, Show::MapCache, eid.map(prefix), most);
    let rows = parts.into_iter().flat_map(|part| match part {
        NodeReport::MapCache { rows } => rows,
        other => panic!("rows of the map cache were asked for, not {other:?}"),
    });
    (rows.collect(), count)
}

fn asked() -> (Network, Fabric) {
    let (mut net, at) = fabric();
    net.miss(at.paris, VM);
    net.run_for(Span::millis(200));
    (net, at)
}

fn told(messages: &[LoggedMessage]) -> Vec<(Direction, MessageKind, &MessageOutcome)> {
    messages
        .iter()
        .map(|message| (message.direction, message.kind, &message.outcome))
        .collect()
}

#[test]
fn a_question_and_its_answer_are_in_the_log_of_both() {
    let (mut net, at) = asked();
    let vm = LogFilter {
        eid: Some(prefix(VM)),
        kinds: vec![MessageKind::Ecm, MessageKind::MapRequest, MessageKind::MapReply],
        ..LogFilter::default()
    };
    let asker = log(&mut net, at.paris, &vm);
    let accepted = |what: &str| MessageOutcome::Accepted {
        what: Some(what.to_owned()),
    };
    assert_eq!(
        told(&asker),
        [
            (Direction::Out, MessageKind::Ecm, &MessageOutcome::Sent),
            (
                Direction::In,
                MessageKind::MapReply,
                &accepted("control.map-replies.accepted")
            ),
        ]
    );
    assert_eq!((asker[0].peer.ip(), asker[1].peer.ip()), (server().0, telco().0));
    assert_eq!(
        asker[0].nonce, asker[1].nonce,
        "the answer has the question's nonce"
    );
    assert!(
        asker[1].line.starts_with("10.1.0.7/32 = 172.16.0.1 1/100"),
        "{}",
        asker[1].line
    );
    let answerer = log(&mut net, at.telco, &vm);
    assert_eq!(
        told(&answerer),
        [
            (
                Direction::In,
                MessageKind::Ecm,
                &accepted("control.map-requests.answered")
            ),
            (Direction::Out, MessageKind::MapReply, &MessageOutcome::Sent),
        ]
    );
    let between = log(&mut net, at.server, &vm);
    assert_eq!(
        told(&between)[0],
        (
            Direction::In,
            MessageKind::Ecm,
            &accepted("control.map-server.forwarded")
        )
    );
}

#[test]
fn what_is_refused_says_why() {
    let (mut net, at) = asked();
    let register = net
        .tap
        .iter()
        .find(|packet| {
            packet.to.ip() == server().0
                && MessageKind::of(&packet.bytes, Type5::default()) == MessageKind::MapRegister
        })
        .cloned()
        .unwrap();
    let mut forged = register.bytes.clone();
    *forged.last_mut().unwrap() ^= 1;
    net.inject(register.from, server().0, register.bytes.clone());
    net.inject(register.from, server().0, forged);
    net.inject(register.from, server().0, vec![0x30, 0, 0]);
    net.run_for(Span::millis(50));
    let refused = LogFilter {
        refused: true,
        ..LogFilter::default()
    };
    let refused = log(&mut net, at.server, &refused);
    let reasons: Vec<&str> = refused
        .iter()
        .map(|message| match &message.outcome {
            MessageOutcome::Refused { why } => why.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        reasons,
        [
            "control.refused.replay",
            "control.refused.bad-mac",
            "control.refused.malformed"
        ]
    );
    assert!(refused[2].line.contains("cut short"), "{}", refused[2].line);
    assert_eq!(refused[0].key_id, Some(1));
}

#[test]
fn neither_the_log_nor_any_table_holds_a_secret_or_a_mac() {
    let (mut net, at) = asked();
    net.run_for(Span::secs(61));
    let mut text = String::new();
    for index in [at.paris, at.telco, at.server] {
        text += &serde_json::to_string(&log(&mut net, index, &LogFilter::default())).unwrap();
        for what in [
            Show::MapCache,
            Show::Registrations,
            Show::Database,
            Show::Requesters,
            Show::Probes,
            Show::Counters,
            Show::Subscriptions,
            Show::Subscribed,
            Show::OwnRegistrations,
        ] {
            let (parts, _) = pages(&mut net, index, what, None, 0);
            text += &serde_json::to_string(&parts).unwrap();
        }
    }
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    };
    for secret in [SITE_SECRET, CP_SECRET] {
        assert!(!text.contains(&hex(secret)) && !text.contains(std::str::from_utf8(secret).unwrap()));
    }
    let macs: Vec<String> = net
        .tap
        .iter()
        .filter(|packet| packet.bytes.first().is_some_and(|first| first >> 4 == 3))
        .filter_map(|packet| packet.bytes.get(16..32).map(hex))
        .collect();
    assert!(macs.len() > 4, "there were registrations");
    assert!(macs.iter().all(|mac| !text.contains(mac.as_str())));
}

#[test]
fn a_long_table_is_told_in_pages_each_row_once() {
    let (mut net, at) = fabric();
    let eids: Vec<EidPrefix> = (0..700_u32)
        .map(|number| prefix(&format!("10.77.{}.{}/32", number / 256, number % 256)))
        .collect();
    let locators = vec![Locator::unicast(telco(), Priority(1), Weight(100))];
    for eid in &eids {
        let command = NodeCommand::SetCache {
            eid: *eid,
            locators: locators.clone(),
            ttl: Span::secs(600),
        };
        assert_eq!(net.command(at.paris, command), NodeReport::Done);
    }
    for (most, expected) in [(0, 3), (100, 7), (1_000_000, 3), (7, 100)] {
        net.forget_reports();
        let (rows, count) = cache_rows(&mut net, at.paris, None, most);
        let told: Vec<EidPrefix> = rows.iter().map(|row| row.eid).collect();
        assert_eq!(told, eids, "{most} a page");
        assert_eq!(count, expected, "{most} a page");
    }
    let (rows, _) = cache_rows(&mut net, at.paris, Some("10.77.1.0/24"), 50);
    assert_eq!(rows.len(), 256);
    let (rows, _) = cache_rows(&mut net, at.paris, Some("10.77.1.7/32"), 50);
    assert_eq!(rows.len(), 1);
    let (rows, _) = cache_rows(&mut net, at.paris, Some("[7]10.77.1.0/24"), 50);
    assert_eq!(rows, []);
}

#[test]
fn a_block_around_what_is_asked_for_is_told_before_what_is_within() {
    let (mut net, at) = fabric();
    let locators = vec![Locator::unicast(telco(), Priority(1), Weight(100))];
    for text in ["10.77.0.0/16", "10.77.3.0/24", "10.77.3.9/32", "10.77.4.0/24"] {
        let command = NodeCommand::SetCache {
            eid: prefix(text),
            locators: locators.clone(),
            ttl: Span::secs(600),
        };
        assert_eq!(net.command(at.paris, command), NodeReport::Done, "{text}");
    }
    for most in [0, 1] {
        let (rows, _) = cache_rows(&mut net, at.paris, Some("10.77.3.0/24"), most);
        let told: Vec<String> = rows.iter().map(|row| row.eid.to_string()).collect();
        assert_eq!(
            told,
            ["10.77.0.0/16", "10.77.3.0/24", "10.77.3.9/32"],
            "{most} a page"
        );
    }
}

#[test]
fn every_table_is_the_same_whole_and_row_by_row() {
    let (mut net, at) = asked();
    net.run_for(Span::secs(2));
    let mut rows_seen = 0;
    for index in [at.paris, at.telco, at.server] {
        for what in [
            Show::MapCache,
            Show::Registrations,
            Show::Database,
            Show::Requesters,
            Show::OwnRegistrations,
        ] {
            let whole = serde_json::to_value(net.command(index, NodeCommand::Show { what })).unwrap();
            let (parts, _) = pages(&mut net, index, what, None, 1);
            let rows: Vec<serde_json::Value> = parts
                .iter()
                .flat_map(|part| {
                    serde_json::to_value(part).unwrap()["rows"]
                        .as_array()
                        .unwrap()
                        .clone()
                })
                .collect();
            assert_eq!(&rows, whole["rows"].as_array().unwrap(), "{what:?}");
            rows_seen += rows.len();
        }
    }
    assert!(rows_seen > 8, "{rows_seen} rows");
}

#[test]
fn a_cursor_that_no_page_gave_out_is_refused() {
    let (mut net, at) = fabric();
    for text in ["", "nowhere", "10.1.0.0/99 x"] {
        let command = NodeCommand::Page {
            what: Show::MapCache,
            eid: None,
            after: Some(Cursor(text.to_owned())),
            most: 0,
        };
        assert!(
            matches!(net.command(at.paris, command), NodeReport::Refused { .. }),
            "{text}"
        );
    }
}

#[test]
fn registrations_and_requesters_say_when_they_are_due_and_when_they_end() {
    let (mut net, at) = asked();
    net.run_for(Span::secs(20));
    let NodeReport::Registrations { rows } = net.command(
        at.server,
        NodeCommand::Show {
            what: Show::Registrations,
        },
    ) else {
        panic!("registrations were asked for")
    };
    let row = rows.iter().find(|row| row.eid == prefix(VM)).unwrap();
    assert!(row.age >= Span::secs(20) && row.age < Span::secs(22), "{row:?}");
    assert!(row.refresh_in.is_some_and(|due| due < Span::secs(41)), "{row:?}");
    assert_eq!(
        row.expires_in.micros() + row.age.micros(),
        Span::secs(180).micros()
    );
    let NodeReport::Requesters { rows } = net.command(
        at.telco,
        NodeCommand::Show {
            what: Show::Requesters,
        },
    ) else {
        panic!("requesters were asked for")
    };
    let row = rows.iter().find(|row| row.client == paris()).unwrap();
    assert_eq!(row.told_by, "change-priority-or-smr");
    assert!(row.expires_in > Span::ZERO, "{row:?}");
    let show = NodeCommand::Show {
        what: Show::OwnRegistrations,
    };
    let NodeReport::OwnRegistrations { rows } = net.command(at.telco, show) else {
        panic!("own registrations were asked for")
    };
    let row = rows.iter().find(|row| row.eid == prefix(VM)).unwrap();
    assert!(
        row.acknowledged_ago.is_some_and(|ago| ago < Span::secs(21)),
        "{row:?}"
    );
    assert_eq!((row.server, row.unanswered), (server(), 0));
}
