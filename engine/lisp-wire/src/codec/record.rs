//! EID-to-RLOC mapping records (RFC 9301 section 5.4).

use super::family::{self, Address};
use super::reader::Reader;
use crate::Rloc;
use crate::error::{EmitError, Part, WireError};
use crate::mapping::{Action, Locator, MappingRecord, Priority, Ttl, Weight};

/// Bytes of the shortest record: an IPv4 EID and no locators.
const LEAST_RECORD: usize = 16;
/// Bytes of the shortest locator: one without an address.
const LEAST_LOCATOR: usize = 8;

const AUTHORITATIVE: u16 = 0x1000;
const ACTION_SHIFT: u32 = 13;
const LOCAL: u16 = 0x0004;
const PROBED: u16 = 0x0002;
const REACHABLE: u16 = 0x0001;
/// 12 bits (RFC 9302 section 6).
const MAP_VERSION: u16 = 0x0fff;

/// Reads `count` records.
pub(super) fn read_all(reader: &mut Reader<'_>, count: u8) -> Result<Vec<MappingRecord>, WireError> {
    reader.expect(count, LEAST_RECORD, Part::Record(0))?;
    let mut records = Vec::with_capacity(usize::from(count));
    for index in 0..count {
        records.push(read(reader, Part::Record(index))?);
    }
    Ok(records)
}

/// Reads one record.
///
/// Locators we cannot reach, because they are canonical addresses (LCAF) other than paths, paths that go round, or none
/// at all (AFI 0), are left out: the others still work. A record with nothing but such locators is refused, for without them it would say that the
/// EIDs have no locators.
pub(super) fn read(reader: &mut Reader<'_>, part: Part) -> Result<MappingRecord, WireError> {
    let ttl = Ttl(reader.u32(part)?);
    let [count, mask_length] = reader.array(part)?;
    let flags = reader.u16(part)?;
    let map_version = reader.u16(part)? & MAP_VERSION;
    let eid = Address::read(reader, part)?.prefix(mask_length, part)?;
    let (locators, refusal) = read_locators(reader, count, part)?;
    if let (true, Some(unusable)) = (locators.is_empty(), refusal) {
        return Err(unusable);
    }
    let action = read_action((flags >> ACTION_SHIFT) as u8, &locators, part)?;
    Ok(MappingRecord {
        ttl,
        eid,
        action,
        authoritative: flags & AUTHORITATIVE != 0,
        map_version,
        locators,
    })
}

/// Reads the locators of a record: those we can reach, and why others were left out.
pub(super) fn read_locators(
    reader: &mut Reader<'_>,
    count: u8,
    part: Part,
) -> Result<(Vec<Locator>, Option<WireError>), WireError> {
    reader.expect(count, LEAST_LOCATOR, locator_part(part, 0))?;
    let mut locators = Vec::with_capacity(usize::from(count));
    let mut refusal = None;
    for index in 0..count {
        match read_locator(reader, locator_part(part, index))? {
            Ok(locator) => locators.push(locator),
            Err(unusable) => refusal = Some(unusable),
        }
    }
    Ok((locators, refusal))
}

/// The Locator Count of the record that comes next.
pub(super) fn stated_locators(mut ahead: Reader<'_>, part: Part) -> Result<u8, WireError> {
    let _ttl = ahead.u32(part)?;
    ahead.u8(part)
}

/// Appends the records of a message after their count has been written with [`count`].
pub(super) fn write_all(records: &[MappingRecord], out: &mut Vec<u8>) -> Result<(), EmitError> {
    records.iter().try_for_each(|record| write(record, out))
}

/// Appends one record.
pub(super) fn write(record: &MappingRecord, out: &mut Vec<u8>) -> Result<(), EmitError> {
    let MappingRecord {
        ttl,
        eid,
        action,
        authoritative,
        map_version,
        locators,
    } = record;
    check_version(*map_version)?;
    let authoritative = if *authoritative { AUTHORITATIVE } else { 0 };
    let flags = u16::from(*action as u8) << ACTION_SHIFT | authoritative;
    out.extend_from_slice(&ttl.0.to_be_bytes());
    out.extend_from_slice(&[count("locators", locators.len(), 0)?, eid.length()]);
    out.extend_from_slice(&flags.to_be_bytes());
    out.extend_from_slice(&map_version.to_be_bytes());
    family::write_eid(eid.first(), out);
    for locator in locators {
        write_locator(locator, out);
    }
    Ok(())
}

/// A map version has 12 bits.
pub(super) fn check_version(version: u16) -> Result<(), EmitError> {
    if version > MAP_VERSION {
        return Err(EmitError::Range {
            what: "map version",
            value: u32::from(version),
            bits: 12,
        });
    }
    Ok(())
}

/// The 8-bit count of `what`, of which there must be `least`.
pub(super) fn count(what: &'static str, count: usize, least: u8) -> Result<u8, EmitError> {
    match u8::try_from(count) {
        Ok(fits) if fits >= least => Ok(fits),
        _ => Err(EmitError::Count {
            what,
            count,
            least: usize::from(least),
            most: usize::from(u8::MAX),
        }),
    }
}

/// The inner result is an address that is no RLOC.
fn read_locator(reader: &mut Reader<'_>, part: Part) -> Result<Result<Locator, WireError>, WireError> {
    let [priority, weight, multicast_priority, multicast_weight] = reader.array(part)?;
    let flags = reader.u16(part)?;
    let (rloc, path) = match Address::read(reader, part)? {
        Address::Ip(address) => (Rloc(address), None),
        Address::Path(Ok(path)) => (path.first(), Some(path)),
        Address::Path(Err(why)) => return Ok(Err(WireError::Path { part, why })),
        Address::None => return Ok(Err(WireError::AddressFamily { part, afi: 0 })),
        Address::Tenant(_) => {
            return Ok(Err(WireError::Lcaf {
                part,
                kind: family::LCAF_INSTANCE_ID,
            }));
        }
        Address::OtherLcaf { kind } => return Ok(Err(WireError::Lcaf { part, kind })),
    };
    Ok(Ok(Locator {
        rloc,
        path,
        priority: Priority(priority),
        weight: Weight(weight),
        multicast_priority: Priority(multicast_priority),
        multicast_weight: Weight(multicast_weight),
        local: flags & LOCAL != 0,
        probed: flags & PROBED != 0,
        reachable: flags & REACHABLE != 0,
    }))
}

pub(super) fn write_locator(locator: &Locator, out: &mut Vec<u8>) {
    let Locator {
        rloc,
        path,
        priority,
        weight,
        multicast_priority,
        multicast_weight,
        local,
        probed,
        reachable,
    } = locator;
    let mut flags = 0;
    for (set, bit) in [(*local, LOCAL), (*probed, PROBED), (*reachable, REACHABLE)] {
        if set {
            flags |= bit;
        }
    }
    out.extend_from_slice(&[priority.0, weight.0, multicast_priority.0, multicast_weight.0]);
    out.extend_from_slice(&flags.to_be_bytes());
    match path {
        Some(path) => family::write_path(path, out),
        None => family::write_ip(rloc.0, out),
    }
}

/// An unassigned action matters only where there are no locators; beside locators the field says nothing.
fn read_action(number: u8, locators: &[Locator], part: Part) -> Result<Action, WireError> {
    match number {
        0 => Ok(Action::NoAction),
        1 => Ok(Action::NativelyForward),
        2 => Ok(Action::SendMapRequest),
        3 => Ok(Action::Drop),
        4 => Ok(Action::DropPolicyDenied),
        5 => Ok(Action::DropAuthFailure),
        _ if !locators.is_empty() => Ok(Action::NoAction),
        number => Err(WireError::Action { part, number }),
    }
}

const fn locator_part(record: Part, locator: u8) -> Part {
    match record {
        Part::Record(record) => Part::Locator { record, locator },
        _ => Part::CarriedLocator(locator),
    }
}
