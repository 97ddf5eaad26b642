use lisp_wire::message::{MapRequest, NotifyBits};
use lisp_wire::{EidPrefix, Message, Nonce, Rloc};
use proto::{LogDetail, LogFilter, LogQuery, MessageOutcome};

use super::*;

fn message(eid: &str, nonce: u64) -> Vec<u8> {
    let request = MapRequest {
        nonce: Nonce(nonce),
        authoritative: false,
        probe: false,
        solicit: false,
        invoked: false,
        proxy_itr: false,
        no_reply: false,
        source_eid: None,
        itr_rlocs: vec![Rloc([172, 16, 1, 1].into())],
        eids: vec![eid.parse().unwrap()],
        map_reply: None,
        notify: NotifyBits::NONE,
        xtr: None,
    };
    let mut bytes = Vec::new();
    Message::MapRequest(request).emit(&mut bytes).unwrap();
    bytes
}

fn probe(nonce: u64) -> Vec<u8> {
    let mut bytes = message("0.0.0.0/0", nonce);
    bytes[0] |= 0x02;
    bytes
}

fn peer(last: u8) -> SocketAddr {
    SocketAddr::from(([172, 16, 1, last], 4342))
}

fn came(journal: &mut Journal, bytes: Vec<u8>, counters: &[Counter]) {
    journal.begin();
    for counter in counters {
        journal.counted(*counter);
    }
    journal.end(Came {
        from: peer(1),
        local: [172, 16, 0, 1].into(),
        at: Timestamp(5),
        bytes,
    });
}

fn send(journal: &mut Journal, to: u8, bytes: &[u8]) {
    let from = Some([172, 16, 0, 1].into());
    journal.sent(((from, CONTROL_PORT), peer(to)), bytes, (48, Timestamp(6)));
}

/// All that a filter lets through, page by page.
fn all(journal: &Journal, filter: &LogFilter) -> Vec<proto::LoggedMessage> {
    let mut query = LogQuery {
        filter: filter.clone(),
        ..LogQuery::default()
    };
    let mut messages = Vec::new();
    loop {
        let page = journal.page(&query);
        assert!(page.messages.len() <= 256);
        messages.extend(page.messages);
        if !page.more {
            return messages;
        }
        assert!(page.next > query.after, "a page leads on");
        query.after = page.next;
    }
}

#[test]
fn a_message_stands_before_what_was_said_to_it_with_what_came_of_it() {
    let mut journal = Journal::new(Type5::default());
    journal.begin();
    journal.counted(Counter::Received);
    journal.counted(Counter::RequestsAnswered);
    send(&mut journal, 1, &message("10.1.0.7/32", 2));
    journal.counted(Counter::Sent);
    journal.end(Came {
        from: peer(1),
        local: [172, 16, 0, 1].into(),
        at: Timestamp(4),
        bytes: message("10.1.0.7/32", 1),
    });
    came(
        &mut journal,
        message("10.1.0.7/32", 3),
        &[Counter::Received, Counter::Replay],
    );
    let told = all(&journal, &LogFilter::default());
    let numbers: Vec<u64> = told.iter().map(|message| message.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
    let outcomes: Vec<MessageOutcome> = told.into_iter().map(|message| message.outcome).collect();
    let what = Some("control.map-requests.answered".to_owned());
    assert_eq!(
        outcomes,
        [
            MessageOutcome::Accepted { what },
            MessageOutcome::Sent,
            MessageOutcome::Refused {
                why: "control.refused.replay".to_owned()
            }
        ]
    );
}

#[test]
fn what_is_counted_outside_of_a_datagram_judges_none() {
    let mut journal = Journal::new(Type5::default());
    journal.counted(Counter::Replay);
    came(&mut journal, message("10.1.0.7/32", 1), &[]);
    journal.counted(Counter::Replay);
    let told = all(&journal, &LogFilter::default());
    assert_eq!(told[0].outcome, MessageOutcome::Accepted { what: None });
}

#[test]
fn probes_and_forgeries_push_out_nothing_else() {
    let mut journal = Journal::new(Type5::default());
    came(&mut journal, message("10.1.0.7/32", 1), &[]);
    for nonce in 0..20_000 {
        send(&mut journal, 2, &probe(nonce));
        came(&mut journal, vec![0xff; 400], &[Counter::Malformed]);
    }
    let told = all(&journal, &LogFilter::default());
    assert_eq!(told[0].number, 1);
    assert_eq!(told[0].nonce.as_deref(), Some("0x0000000000000001"));
    assert!(
        told.len() > 2000,
        "the newest of the others are kept: {}",
        told.len()
    );
    assert_eq!(told.last().unwrap().number, 40_001);
}

#[test]
fn no_flood_makes_it_larger_than_its_bounds() {
    let mut journal = Journal::new(Type5::default());
    let mut large = message("10.1.0.7/32", 1);
    large.resize(65_507, 0);
    for _ in 0..200 {
        came(&mut journal, large.clone(), &[]);
        came(&mut journal, large.clone(), &[Counter::Malformed]);
    }
    for nonce in 0..20_000 {
        came(&mut journal, message("10.1.0.7/32", nonce), &[]);
    }
    for (ring, most, most_bytes) in [
        (&journal.messages, MOST_MESSAGES, MOST_BYTES),
        (&journal.refused, MOST_REFUSED, MOST_REFUSED_BYTES),
    ] {
        let (entries, bytes) = ring.weight();
        assert!(
            entries <= most && bytes <= most_bytes,
            "{entries} entries, {bytes} bytes"
        );
    }
}

#[test]
fn a_filter_lets_through_what_fits_all_of_it() {
    let mut journal = Journal::new(Type5::default());
    came(&mut journal, message("10.1.0.7/32", 1), &[]);
    came(&mut journal, message("[7]10.1.0.7/32", 2), &[]);
    came(&mut journal, message("10.1.0.0/16", 3), &[Counter::Replay]);
    send(&mut journal, 9, &message("10.2.0.0/16", 4));
    send(&mut journal, 9, &probe(5));
    came(&mut journal, probe(6), &[Counter::Replay]);
    let numbers = |filter: LogFilter| -> Vec<u64> {
        let told = all(&journal, &filter);
        told.into_iter().map(|message| message.number).collect()
    };
    let eid = |text: &str| text.parse::<EidPrefix>().ok();
    let with = LogFilter::default;
    // Within the block, and around it; but in its own tenant.
    assert_eq!(
        numbers(LogFilter {
            eid: eid("10.1.0.0/24"),
            ..with()
        }),
        [1, 3, 5, 6]
    );
    assert_eq!(
        numbers(LogFilter {
            eid: eid("[7]0.0.0.0/0"),
            ..with()
        }),
        [2]
    );
    let instance = lisp_wire::InstanceId::new(7).ok();
    assert_eq!(numbers(LogFilter { instance, ..with() }), [2]);
    assert_eq!(
        numbers(LogFilter {
            peer: Some(peer(9).ip()),
            ..with()
        }),
        [4, 5]
    );
    assert_eq!(
        numbers(LogFilter {
            refused: true,
            ..with()
        }),
        [3, 6]
    );
    // A probe that something was wrong with is no mere probe.
    assert_eq!(
        numbers(LogFilter {
            no_probes: true,
            ..with()
        }),
        [1, 2, 3, 4, 6]
    );
    let direction = Some(Direction::Out);
    let kinds = vec![MessageKind::MapRequest];
    assert_eq!(
        numbers(LogFilter {
            direction,
            kinds,
            ..with()
        }),
        [4]
    );
}

#[test]
fn who_comes_back_too_late_is_told_that_something_is_missing() {
    let mut journal = Journal::new(Type5::default());
    came(&mut journal, message("10.1.0.7/32", 1), &[]);
    let read = journal.page(&LogQuery::default());
    assert!(!read.gap && !read.more && read.next == 1);
    for nonce in 0..=MOST_MESSAGES as u64 {
        came(&mut journal, message("10.1.0.7/32", nonce), &[]);
    }
    let query = LogQuery {
        after: read.next,
        ..LogQuery::default()
    };
    let late = journal.page(&query);
    assert!(late.gap && late.more);
    let from_the_start = journal.page(&LogQuery::default());
    assert!(!from_the_start.gap, "who asks for what there is misses nothing");
}

#[test]
fn a_capture_has_the_bytes_as_they_were() {
    let mut journal = Journal::new(Type5::default());
    let bytes = message("10.1.0.7/32", 1);
    came(&mut journal, bytes.clone(), &[]);
    let query = LogQuery {
        detail: LogDetail::Bytes,
        ..LogQuery::default()
    };
    let told = journal.page(&query).messages.remove(0);
    let text: String = bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    assert_eq!(told.bytes, text);
    assert!(told.fields.is_empty());
}

#[test]
fn long_messages_make_short_pages() {
    let mut journal = Journal::new(Type5::default());
    let mut large = message("10.1.0.7/32", 1);
    large.resize(60_000, 0);
    for _ in 0..20 {
        came(&mut journal, large.clone(), &[]);
    }
    for (detail, most) in [(LogDetail::Bytes, 5), (LogDetail::Fields, 1)] {
        let query = LogQuery {
            detail,
            ..LogQuery::default()
        };
        let page = journal.page(&query);
        assert_eq!((page.messages.len(), page.more), (most, true), "{detail:?}");
    }
}

#[test]
fn what_comes_late_into_a_full_ring_hides_no_gap() {
    let mut journal = Journal::new(Type5::default());
    journal.begin();
    for nonce in 0..2 * MOST_MESSAGES as u64 {
        send(&mut journal, 2, &message("10.1.0.7/32", nonce));
    }
    journal.end(Came {
        from: peer(1),
        local: [172, 16, 0, 1].into(),
        at: Timestamp(4),
        bytes: message("10.1.0.7/32", 1),
    });
    let query = LogQuery {
        after: 100,
        ..LogQuery::default()
    };
    assert!(journal.page(&query).gap);
}
