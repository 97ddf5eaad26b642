//! Bytes that mean harm: cut short, turned, padded, or lying about what follows.

use lisp_wire::error::Part;
use lisp_wire::path::PathError;
use lisp_wire::{Message, NotifyBits, SiteId, Type5, WireError, XtrId};
use proptest::prelude::*;

use crate::corpora::targets;
use crate::samples;
use crate::strategies;

pub(crate) fn bytes_of(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.emit(&mut bytes).unwrap();
    bytes
}

/// The bytes of the sample with this name.
fn sample(name: &str) -> Vec<u8> {
    let (_, message) = samples::all()
        .into_iter()
        .find(|(known, _)| *known == name)
        .unwrap();
    bytes_of(&message)
}

/// What reading the sample says after `edit`.
pub(crate) fn edited(name: &str, edit: impl Fn(&mut Vec<u8>)) -> Result<Message, WireError> {
    let mut bytes = sample(name);
    edit(&mut bytes);
    Message::parse(&bytes)
}

/// Where the first record of a Map-Reply begins.
const RECORD: usize = 12;
/// Where the first locator of its record begins, for an IPv4 EID.
const LOCATOR: usize = RECORD + 16;

#[test]
fn no_message_can_be_cut_short_or_padded() {
    for (name, message) in samples::all() {
        let mut bytes = bytes_of(&message);
        for length in 0..bytes.len() {
            for type5 in [Type5::MapNotifyAck, Type5::ChangePriority] {
                let cut = Message::parse_with(&bytes[..length], type5);
                assert!(cut.is_err(), "{name} cut to {length} bytes: {cut:?}");
            }
        }
        bytes.push(0);
        let padded = Message::parse(&bytes).unwrap_err();
        let refused = match message {
            Message::Encapsulated(_) => matches!(
                padded,
                WireError::Inner {
                    part: Part::InnerIp,
                    ..
                }
            ),
            // Read as an acknowledgement, or as what it is: either way one byte is too many.
            _ => padded == WireError::Trailing { count: 1 } || name == "change-priority-legacy-handover",
        };
        assert!(refused, "{name}: {padded:?}");
    }
}

#[test]
fn counts_are_held_against_the_bytes_before_anything_is_allocated() {
    let mut bytes = vec![0; 100];
    (bytes[0], bytes[3]) = (0x20, 255);
    let records = WireError::Truncated {
        part: Part::Record(0),
        need: 255 * 16,
        have: 88,
    };
    assert_eq!(Message::parse(&bytes), Err(records));

    let locators = edited("map-reply", |bytes| {
        bytes.resize(100, 0);
        bytes[RECORD + 4] = 255;
    });
    let part = Part::Locator {
        record: 0,
        locator: 0,
    };
    assert_eq!(
        locators,
        Err(WireError::Truncated {
            part,
            need: 255 * 8,
            have: 72
        })
    );

    let eids = edited("map-request", |bytes| bytes[3] = 255);
    assert_eq!(
        eids,
        Err(WireError::Truncated {
            part: Part::EidRecord(0),
            need: 255 * 8,
            have: 8
        })
    );
}

#[test]
fn a_datagram_that_ends_early_says_where() {
    let cut = |name: &str, length: usize| Message::parse(&sample(name)[..length]).unwrap_err();
    let short = |part, need, have| WireError::Truncated { part, need, have };
    assert_eq!(Message::parse(&[]).unwrap_err(), short(Part::Header, 4, 0));
    assert_eq!(cut("map-request", 3), short(Part::Header, 4, 3));
    assert_eq!(cut("map-request", 9), short(Part::Nonce, 8, 5));
    assert_eq!(cut("map-request", 13), short(Part::SourceEid, 2, 1));
    assert_eq!(cut("map-register", 13), short(Part::Authentication, 2, 1));
    assert_eq!(
        cut("map-reply", LOCATOR + 9),
        short(
            Part::Locator {
                record: 0,
                locator: 0
            },
            4,
            1
        )
    );
    assert_eq!(cut("map-register-with-xtr", 110), short(Part::Trailer, 16, 2));
    assert_eq!(cut("change-priority-update", 20), short(Part::XtrId, 16, 4));
    assert_eq!(cut("encapsulated-ipv4", 20), short(Part::InnerIp, 20, 16));
}

#[test]
fn what_is_not_spoken_is_refused_by_name() {
    let word = |word: u32| Message::parse(&word.to_be_bytes()).unwrap_err();
    for number in [0, 9, 14] {
        assert_eq!(word(u32::from(number) << 28), WireError::UnknownType { number });
    }
    assert_eq!(word(0xf400_0000), WireError::UnknownSubType { number: 0x400 });
    assert_eq!(word(0x2200_0000), WireError::LispSec);
    // Authentication data of type 1, and of any type where the envelope is not a router's.
    let sealed = |word: u32, kind: u8| {
        let bytes = [&word.to_be_bytes()[..], &[kind, 0, 0, 0, 0, 0, 0, 0]].concat();
        Message::parse(&bytes).unwrap_err()
    };
    assert_eq!(sealed(0x8840_0000, 1), WireError::LispSec);
    assert_eq!(sealed(0x8800_0000, 2), WireError::LispSec);
}

#[test]
fn an_info_reply_that_lies_about_its_address_is_refused() {
    // Nonce, authentication without a MAC, TTL, an IPv4 prefix: then the address.
    const NAT: usize = 16 + 12;
    let lengths = edited("info-reply", |bytes| bytes[NAT + 7] -= 1);
    assert!(lengths.is_err(), "{lengths:?}");
    let kind = edited("info-reply", |bytes| bytes[NAT + 4] = 2);
    let part = Part::NatTraversal;
    assert_eq!(kind, Err(WireError::Lcaf { part, kind: 2 }));
    let bare = edited("info-reply", |bytes| bytes[NAT..NAT + 2].copy_from_slice(&[0, 1]));
    assert_eq!(bare, Err(WireError::AddressFamily { part, afi: 1 }));
    // A request has nothing there.
    let request = edited("info-reply", |bytes| bytes[0] = 0x70);
    assert_eq!(request, Err(WireError::AddressFamily { part, afi: 16387 }));
}

#[test]
fn a_referral_with_signatures_is_read_past_them_and_one_without_a_meaning_is_refused() {
    let signed = edited("map-referral-node", |bytes| {
        bytes[RECORD + 8] = 0x10;
        bytes.extend([0; 14]);
        bytes.extend([0, 3]);
        bytes.extend([0; 4 + 3]);
    });
    assert_eq!(signed, Message::parse(&sample("map-referral-node")));
    let cut = edited("map-referral-node", |bytes| {
        bytes[RECORD + 8] = 0x10;
        bytes.extend([0; 14]);
        bytes.extend([0xff, 0xff]);
    });
    assert!(
        matches!(
            cut,
            Err(WireError::Truncated {
                need: 65_539,
                have: 0,
                ..
            })
        ),
        "{cut:?}"
    );
    let part = Part::Record(0);
    let action = edited("map-referral-node", |bytes| bytes[RECORD + 6] |= 7 << 5);
    assert_eq!(action, Err(WireError::Action { part, number: 7 }));
}

#[test]
fn addresses_that_cannot_stand_where_they_stand_are_refused() {
    let part = Part::Record(0);
    let afi = |afi: u16| {
        edited("map-reply", |bytes| {
            bytes[RECORD + 10..][..2].copy_from_slice(&afi.to_be_bytes());
        })
    };
    for number in [0, 6, 16389] {
        assert_eq!(afi(number), Err(WireError::AddressFamily { part, afi: number }));
    }
    let mask = edited("map-reply", |bytes| bytes[RECORD + 5] = 33);
    let address = "10.2.0.0".parse().unwrap();
    assert_eq!(
        mask,
        Err(WireError::MaskLength {
            part,
            address,
            length: 33
        })
    );
    let kind = edited("map-reply-tenants", |bytes| bytes[RECORD + 14] = 4);
    assert_eq!(kind, Err(WireError::Lcaf { part, kind: 4 }));
    let number = edited("map-reply-tenants", |bytes| bytes[RECORD + 18] = 1);
    assert_eq!(
        number,
        Err(WireError::InstanceId {
            part,
            number: 0x0100_0007
        })
    );
    let length = edited("map-reply-tenants", |bytes| bytes[RECORD + 17] = 14);
    assert_eq!(
        length,
        Err(WireError::LcafLength {
            part,
            length: 14,
            holds: 10
        })
    );
    let action = edited("map-reply-negative", |bytes| bytes[RECORD + 6] = 0xd0);
    assert_eq!(action, Err(WireError::Action { part, number: 6 }));
}

#[test]
fn locators_of_other_kinds_are_left_out_but_not_all_of_them() {
    // Geographic coordinates (LCAF 5) before the one that can be used, and no address at all after it.
    let path = [1, 100, 255, 0, 0, 1, 0x40, 0x03, 0, 0, 5, 0, 0, 2, 9, 9];
    let nowhere = [1, 100, 255, 0, 0, 1, 0, 0];
    let known = samples::unsigned().swap_remove(7).1;
    let some = edited("map-reply", |bytes| {
        bytes[RECORD + 4] = 3;
        bytes.splice(LOCATOR..LOCATOR, path);
        bytes.extend(nowhere);
    });
    assert_eq!(some, Ok(known));
    let part = Part::Locator {
        record: 0,
        locator: 0,
    };
    let none = edited("map-reply", |bytes| {
        bytes.truncate(LOCATOR);
        bytes.extend(path);
    });
    assert_eq!(none, Err(WireError::Lcaf { part, kind: 5 }));
    let unknown = edited("map-reply", |bytes| bytes[LOCATOR + 7] = 6);
    assert_eq!(unknown, Err(WireError::AddressFamily { part, afi: 6 }));
}

/// A Map-Reply with one locator, whose address is a path of these hops as they stand on the wire.
fn with_path(hops: &[u8]) -> Result<Message, WireError> {
    edited("map-reply", |bytes| {
        bytes.truncate(LOCATOR);
        bytes.extend([1, 100, 255, 0, 0, 1, 0x40, 0x03, 0, 0, 10, 0, 0, hops.len() as u8]);
        bytes.extend(hops);
    })
}

#[test]
fn an_explicit_path_is_read_hop_by_hop_and_one_that_goes_round_is_none() {
    let hop = |flags: u8, last: u8| [0, flags, 0, 1, 192, 0, 2, last];
    let read = with_path(&[hop(7, 1), hop(1, 2), hop(0, 3)].concat());
    let Ok(Message::MapReply(reply)) = read else {
        panic!("{read:?}")
    };
    let locator = reply.records[0].locators[0];
    let path = locator.path.unwrap();
    let seen: Vec<_> = path
        .hops()
        .iter()
        .map(|hop| (hop.lookup, hop.probe, hop.strict))
        .collect();
    assert_eq!(
        seen,
        [(true, true, true), (false, false, true), (false, false, false)]
    );
    assert_eq!((locator.rloc, locator.etr()), (path.first(), path.hops()[2].rloc));
    let mut again = Vec::new();
    Message::MapReply(reply).emit(&mut again).unwrap();
    assert!(again.ends_with(&[hop(7, 1), hop(1, 2), hop(0, 3)].concat()));

    let part = Part::Locator {
        record: 0,
        locator: 0,
    };
    let why = |why| Err(WireError::Path { part, why });
    let rloc = lisp_wire::Rloc([192, 0, 2, 1].into());
    assert_eq!(with_path(&[]), why(PathError::Empty));
    assert_eq!(
        with_path(&[hop(0, 1), hop(0, 2), hop(0, 1)].concat()),
        why(PathError::Twice { rloc })
    );
    let nine: Vec<u8> = (0..9).flat_map(|last| hop(0, last)).collect();
    assert_eq!(with_path(&nine), why(PathError::TooLong { count: 9 }));
    // A hop that is a MAC address is understood by others; one that is cut short by nobody.
    let foreign = [&hop(0, 1)[..], &[0, 0, 0x40, 0x05, 1, 2, 3, 4, 5, 6]].concat();
    assert_eq!(with_path(&foreign), Err(WireError::Lcaf { part, kind: 10 }));
    let cut = with_path(&hop(0, 1)[..7]);
    assert!(matches!(cut, Err(WireError::Truncated { .. })), "{cut:?}");
}

#[test]
fn a_request_that_nobody_could_answer_is_refused() {
    let nowhere = edited("map-request-probe", |bytes| {
        bytes.drain(16..20);
        bytes[15] = 0;
    });
    assert_eq!(
        nowhere,
        Err(WireError::Missing {
            part: Part::ItrRloc(0)
        })
    );
    let nothing = edited("map-request-probe", |bytes| bytes[3] = 0);
    assert_eq!(
        nothing,
        Err(WireError::Missing {
            part: Part::EidRecord(0)
        })
    );
}

#[test]
fn whoever_wants_to_be_notified_says_who_it_is() {
    let subscribing = edited("map-request", |bytes| {
        bytes[1] |= 0x10;
        bytes[24] |= 0x80;
        bytes.extend([7; 24]);
    });
    let mut expected = samples::request();
    expected.xtr = Some((
        XtrId(u128::from_be_bytes([7; 16])),
        SiteId(u64::from_be_bytes([7; 8])),
    ));
    expected.notify = NotifyBits::FIRST;
    assert_eq!(subscribing, Ok(Message::MapRequest(expected)));
    // N alone is a reserved bit.
    let nameless = edited("map-request", |bytes| bytes[24] |= 0x80);
    assert_eq!(nameless, Ok(Message::MapRequest(samples::request())));
    let bare = edited("map-request", |bytes| bytes[1] |= 0x10);
    assert_eq!(
        bare,
        Err(WireError::Truncated {
            part: Part::Trailer,
            need: 16,
            have: 0
        })
    );
}

#[test]
fn only_a_subscriber_may_give_no_address_to_answer_to() {
    // The N bit of the one EID record stands behind the ITR-RLOC of two bytes.
    let curious = edited("map-request-unsubscribe", |bytes| bytes[20] &= 0x7f);
    assert_eq!(
        curious,
        Err(WireError::Missing {
            part: Part::ItrRloc(0)
        })
    );
}

#[test]
fn an_envelope_that_lies_about_its_content_is_refused() {
    let inner = |part, field, says, is| {
        Err(WireError::Inner {
            part,
            field,
            says,
            is,
        })
    };
    // IPv4 fields are covered by a checksum, so that turning one shows there first.
    for at in 4..24 {
        let turned = edited("encapsulated-ipv4", |bytes| bytes[at] ^= 0x10);
        assert!(turned.is_err(), "byte {at}");
    }
    let udp = 24;
    for at in [udp, udp + 6, udp + 8, udp + 20] {
        let turned = edited("encapsulated-ipv4", |bytes| bytes[at] ^= 1);
        assert_eq!(
            turned,
            Err(WireError::Checksum { part: Part::InnerUdp }),
            "byte {at}"
        );
    }
    let port = edited("encapsulated-ipv4", |bytes| bytes[udp + 3] = 0xf5);
    assert_eq!(port, inner(Part::InnerUdp, "destination port", 4341, 4342));
    let length = edited("encapsulated-ipv4", |bytes| bytes[udp + 5] -= 1);
    assert_eq!(length, inner(Part::InnerUdp, "length", 39, 40));
    let version = edited("encapsulated-ipv6", |bytes| bytes[4] = 0x50);
    assert_eq!(version, inner(Part::InnerIp, "version", 5, 4));
    let next = edited("encapsulated-ipv6", |bytes| bytes[10] = 6);
    assert_eq!(next, inner(Part::InnerIp, "next header", 6, 17));
    let length = edited("encapsulated-ipv6", |bytes| bytes[9] += 1);
    assert!(matches!(
        length,
        Err(WireError::Inner {
            part: Part::InnerIp,
            field: "payload length",
            ..
        })
    ));
}

#[test]
fn an_inner_checksum_may_be_absent_over_ipv4_only() {
    let absent = |name, at: usize| edited(name, |bytes| bytes[at..][..2].fill(0));
    assert!(absent("encapsulated-ipv4", 24 + 6).is_ok());
    let refused = Err(WireError::Checksum { part: Part::InnerUdp });
    assert_eq!(absent("encapsulated-ipv6", 44 + 6), refused);
}

#[test]
fn the_flags_of_a_change_priority_exclude_each_other() {
    for flags in [0xc0, 0xa0, 0x60, 0xe0, 0x90, 0x50, 0x30] {
        let both = edited("change-priority-update", |bytes| bytes[2] = flags);
        assert_eq!(
            both,
            Err(WireError::Flags {
                part: Part::Header,
                flags
            })
        );
    }
    let both = edited("change-priority-legacy-update", |bytes| bytes[0] = 0x5c);
    assert_eq!(
        both,
        Err(WireError::Flags {
            part: Part::Header,
            flags: 0x0c
        })
    );
}

#[test]
fn a_preparation_has_a_step_that_there_is_and_something_sealed_where_it_hands_over() {
    let step = edited("preparation-stopped", |bytes| bytes[2] = 0x40);
    assert_eq!(
        step,
        Err(WireError::Flags {
            part: Part::Header,
            flags: 0x40
        })
    );
    let nothing = edited("preparation-stopped", |bytes| bytes[2] = 0);
    assert_eq!(nothing, Err(WireError::Missing { part: Part::Sealed }));
    let more = edited("preparation-hand", |bytes| bytes[2] = 0x20);
    assert_eq!(more, Err(WireError::Trailing { count: 44 }));
    let nobody = edited("preparation-stopped", |bytes| bytes[44..46].fill(0));
    assert_eq!(
        nobody,
        Err(WireError::AddressFamily {
            part: Part::Ends,
            afi: 0
        })
    );
}

#[test]
fn a_change_priority_has_the_locators_its_purpose_needs() {
    let count = |part, count| Err(WireError::LocatorCount { part, count });
    let arrived = edited("change-priority-update", |bytes| bytes[2] = 0x80);
    assert_eq!(arrived, count(Part::Record(0), 1));
    let handover = edited("change-priority-arrived", |bytes| bytes[2] = 0);
    assert_eq!(handover, count(Part::Record(0), 0));
    let legacy = edited("change-priority-legacy-update", |bytes| bytes[0] = 0x58);
    assert_eq!(legacy, count(Part::Record(0), 2));
    let lying = edited("change-priority-legacy-update", |bytes| bytes[3] = 1);
    assert_eq!(
        lying,
        Err(WireError::Counts {
            part: Part::Record(0),
            header: 1,
            record: 2
        })
    );
    let nothing = edited("change-priority-update", |bytes| {
        bytes.truncate(32);
        bytes[3] = 0;
    });
    assert_eq!(
        nothing,
        Err(WireError::Missing {
            part: Part::Record(0)
        })
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        targets::message(&bytes);
        targets::data_header(&bytes);
        targets::verify(&bytes);
    }

    #[test]
    fn any_bytes_after_a_believable_head_are_read_or_refused(
        kind in proptest::sample::select(vec![1_u8, 2, 3, 4, 5, 8, 15]),
        flags in any::<u8>(),
        count in 0..4_u8,
        rest in proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..200),
    ) {
        let mut bytes = vec![kind << 4 | flags & 0x0f, 0, 0, count];
        bytes.extend(rest);
        targets::message(&bytes);
        targets::verify(&bytes);
    }

    #[test]
    fn a_message_with_bits_turned_is_read_or_refused(
        message in strategies::message(),
        turns in proptest::collection::vec(any::<prop::sample::Index>(), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = bytes_of(&message);
        for turn in &turns {
            let bit = turn.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        targets::message(&bytes);
        targets::message(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn a_message_cut_short_is_refused(message in strategies::message(), cut in any::<prop::sample::Index>()) {
        let bytes = bytes_of(&message);
        let cut = &bytes[..cut.index(bytes.len())];
        prop_assert!(Message::parse(cut).is_err());
        prop_assert!(Message::parse_with(cut, Type5::ChangePriority).is_err());
    }
}
