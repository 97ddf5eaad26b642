//! The 8 bytes between the outer UDP header and the inner packet (RFC 9300 sections 5.1 and 5.3).

use std::fmt;

use crate::InstanceId;
use crate::error::{Part, WireError};

/// Bytes of the header.
pub const DATA_HEADER_LEN: usize = 8;

const N: u64 = 1 << 63;
const L: u64 = 1 << 62;
const E: u64 = 1 << 61;
const V: u64 = 1 << 60;
const I: u64 = 1 << 59;
const KK_SHIFT: u32 = 56;
const KK: u64 = 0b11 << KK_SHIFT;
/// Nonce, or the two map versions.
const MARK_SHIFT: u32 = 32;
const MARK: u64 = 0x00ff_ffff << MARK_SHIFT;
const IID_SHIFT: u32 = 8;
const SECOND_WORD: u64 = 0xffff_ffff;

/// A checked data header.
///
/// It is kept as its eight bytes, so that the packet path copies one word. What the flags call unused is zero:
/// two headers that mean the same are equal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DataHeader(u64);

impl DataHeader {
    /// No flags: a packet of the default tenant.
    pub const PLAIN: Self = Self(0);

    /// I=1: a packet of this tenant. The default tenant has it too, spelled out as instance-id 0.
    pub const fn tenant(iid: InstanceId) -> Self {
        Self(I | (iid.get() as u64) << IID_SHIFT)
    }

    /// The header for packets of `iid`: [`DataHeader::PLAIN`] for the default tenant, as peers without tenants send it.
    pub const fn of(iid: InstanceId) -> Self {
        if iid.get() == 0 {
            Self::PLAIN
        } else {
            Self::tenant(iid)
        }
    }

    /// The same header with a mark in place of any it had.
    #[must_use]
    pub const fn with_mark(self, mark: Mark) -> Self {
        let rest = self.0 & !(N | E | V | MARK);
        Self(match mark {
            Mark::Absent => rest,
            Mark::Nonce { nonce, echo } => {
                let echo = match echo {
                    EchoRequest::No => 0,
                    EchoRequest::Yes => E,
                };
                rest | N | echo | (nonce.0 as u64) << MARK_SHIFT
            }
            Mark::Versions { source, destination } => {
                rest | V | (source.0 as u64) << (MARK_SHIFT + 12) | (destination.0 as u64) << MARK_SHIFT
            }
        })
    }

    /// L=1: the same header with locator-status bits, the lowest bit for the first locator. There are 32 of them,
    /// but only 8 beside an instance-id; the higher ones are left out then (RFC 9300 section 5.3).
    #[must_use]
    pub const fn with_locator_status(self, bits: u32) -> Self {
        if self.0 & I == 0 {
            Self(self.0 & !SECOND_WORD | L | bits as u64)
        } else {
            Self(self.0 & !0xff | L | bits as u64 & 0xff)
        }
    }

    /// Reads the first 8 bytes of a UDP payload; the inner packet follows them.
    ///
    /// The reserved bit, E without N, V beside N, and fields whose flag is not set are ignored (RFC 9300 section 5.3).
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub const fn parse(payload: &[u8]) -> Result<Self, WireError> {
        let Some(bytes) = payload.first_chunk::<DATA_HEADER_LEN>() else {
            return Err(WireError::Truncated {
                part: Part::DataHeader,
                need: DATA_HEADER_LEN,
                have: payload.len(),
            });
        };
        let word = u64::from_be_bytes(*bytes);
        let mut kept = word & (N | L | V | I | KK);
        if kept == 0 {
            return Ok(Self::PLAIN);
        }
        if kept & N != 0 {
            // Both must not be set; where they are, it is a nonce.
            kept = kept & !V | word & E;
        }
        if kept & (N | V) != 0 {
            kept |= word & MARK;
        }
        if kept & I != 0 {
            kept |= word & (SECOND_WORD & !0xff);
            if kept & L != 0 {
                kept |= word & 0xff;
            }
        } else if kept & L != 0 {
            kept |= word & SECOND_WORD;
        }
        Ok(Self(kept))
    }

    /// The eight bytes.
    pub const fn emit(self) -> [u8; DATA_HEADER_LEN] {
        self.0.to_be_bytes()
    }

    /// The tenant where I=1.
    pub const fn instance_id(self) -> Option<InstanceId> {
        if self.0 & I == 0 {
            None
        } else {
            Some(InstanceId::of_low_bits((self.0 >> IID_SHIFT) as u32))
        }
    }

    /// Whose packet it is: the default tenant where I=0.
    pub const fn iid(self) -> InstanceId {
        match self.instance_id() {
            Some(iid) => iid,
            None => InstanceId::DEFAULT,
        }
    }

    /// Nonce or versions.
    pub const fn mark(self) -> Mark {
        let field = ((self.0 & MARK) >> MARK_SHIFT) as u32;
        if self.0 & N != 0 {
            let echo = if self.0 & E == 0 {
                EchoRequest::No
            } else {
                EchoRequest::Yes
            };
            Mark::Nonce {
                nonce: DataNonce(field),
                echo,
            }
        } else if self.0 & V != 0 {
            let source = MapVersion((field >> 12) as u16);
            Mark::Versions {
                source,
                destination: MapVersion((field & 0xfff) as u16),
            }
        } else {
            Mark::Absent
        }
    }

    /// The locator-status bits where L=1: 32, or 8 beside an instance-id.
    pub const fn locator_status(self) -> Option<u32> {
        if self.0 & L == 0 {
            return None;
        }
        let word = (self.0 & SECOND_WORD) as u32;
        Some(if self.0 & I == 0 { word } else { word & 0xff })
    }

    /// Whether it says anything but whose packet it is: locator-status bits, a nonce or versions.
    pub const fn is_marked(self) -> bool {
        self.0 & (N | L | V) != 0
    }

    /// KK: which key the payload is encrypted with, 1 to 3; 0 for a payload in the clear (RFC 8061).
    pub const fn encryption_key(self) -> u8 {
        ((self.0 & KK) >> KK_SHIFT) as u8
    }
}

impl Default for DataHeader {
    fn default() -> Self {
        Self::PLAIN
    }
}

impl fmt::Debug for DataHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataHeader")
            .field("instance_id", &self.instance_id())
            .field("mark", &self.mark())
            .field("locator_status", &self.locator_status())
            .field("encryption_key", &self.encryption_key())
            .finish()
    }
}

/// What the first word of the header says besides its flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mark {
    /// N=0, V=0: nothing.
    #[default]
    Absent,
    /// N=1: a nonce (RFC 9300 section 10.1).
    Nonce {
        /// The nonce.
        nonce: DataNonce,
        /// E.
        echo: EchoRequest,
    },
    /// V=1: versions of the mappings in use (RFC 9302).
    Versions {
        /// Of the source EID's mapping.
        source: MapVersion,
        /// Of the destination EID's mapping.
        destination: MapVersion,
    },
}

/// The E bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EchoRequest {
    /// E=0.
    #[default]
    No,
    /// E=1: the receiver is asked to send the nonce back.
    Yes,
}

/// A nonce of data packets, 24 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DataNonce(u32);

impl DataNonce {
    /// The low 24 bits of a random number.
    pub const fn from_random(number: u32) -> Self {
        Self(number & 0x00ff_ffff)
    }

    /// The nonce, below 2^24.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The version of a mapping, 12 bits; 0 says nothing (RFC 9302 section 6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MapVersion(u16);

impl MapVersion {
    /// A number below 4096.
    pub const fn new(number: u16) -> Option<Self> {
        if number < 1 << 12 {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The number, below 4096.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// 0: the mapping has no version, and nothing is to be concluded from it (RFC 9302 section 6.1).
    pub const NONE: Self = Self(0);

    /// What follows it: 4095 is followed by 1, since 0 says nothing.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 % 4095 + 1)
    }

    /// How it stands to another, around the circle (RFC 9302 section 6); `None` where either says nothing. Of opposites the
    /// larger number is the newer.
    pub const fn compared_with(self, other: Self) -> Option<Age> {
        if self.0 == 0 || other.0 == 0 {
            return None;
        }
        match (self.0 + 4096 - other.0) % 4096 {
            0 => Some(Age::Same),
            1..2048 => Some(Age::Newer),
            2048 if self.0 > other.0 => Some(Age::Newer),
            _ => Some(Age::Older),
        }
    }
}

/// How one version of a mapping stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Age {
    /// It came after the other.
    Newer,
    /// It is the other.
    Same,
    /// It came before the other.
    Older,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(number: u32) -> DataHeader {
        DataHeader::tenant(InstanceId::new(number).unwrap())
    }

    fn nonce(number: u32, echo: EchoRequest) -> Mark {
        Mark::Nonce {
            nonce: DataNonce::from_random(number),
            echo,
        }
    }

    fn versions(source: u16, destination: u16) -> Mark {
        let version = |number| MapVersion::new(number).unwrap();
        Mark::Versions {
            source: version(source),
            destination: version(destination),
        }
    }

    #[test]
    fn each_header_is_its_eight_bytes() {
        let pairs = [
            ([0; 8], DataHeader::PLAIN),
            ([0x08, 0, 0, 0, 0, 0, 0, 0], tenant(0)),
            ([0x08, 0, 0, 0, 0, 0x01, 0x02, 0], tenant(0x0102)),
            ([0x08, 0, 0, 0, 0xff, 0xff, 0xff, 0], tenant(0x00ff_ffff)),
            (
                [0x40, 0, 0, 0, 0x80, 0, 0, 0x01],
                DataHeader::PLAIN.with_locator_status(0x8000_0001),
            ),
            (
                [0x48, 0, 0, 0, 0, 0, 0x07, 0x81],
                tenant(7).with_locator_status(0xff81),
            ),
            (
                [0x80, 0xab, 0xcd, 0xef, 0, 0, 0, 0],
                DataHeader::PLAIN.with_mark(nonce(0xab_cdef, EchoRequest::No)),
            ),
            (
                [0xa8, 0xab, 0xcd, 0xef, 0, 0, 7, 0],
                tenant(7).with_mark(nonce(0x12ab_cdef, EchoRequest::Yes)),
            ),
            (
                [0x10, 0x12, 0x34, 0x56, 0, 0, 0, 0],
                DataHeader::PLAIN.with_mark(versions(0x123, 0x456)),
            ),
        ];
        for (bytes, header) in pairs {
            assert_eq!(header.emit(), bytes, "{header:?}");
            assert_eq!(DataHeader::parse(&bytes), Ok(header));
        }
    }

    #[test]
    fn a_header_says_what_was_put_into_it() {
        let header = tenant(7)
            .with_locator_status(0x181)
            .with_mark(nonce(5, EchoRequest::Yes));
        assert_eq!(header.instance_id().map(InstanceId::get), Some(7));
        assert_eq!(header.locator_status(), Some(0x81));
        assert_eq!(header.mark(), nonce(5, EchoRequest::Yes));
        assert_eq!(header.with_mark(versions(1, 2)).mark(), versions(1, 2));
        assert_eq!(
            header.with_mark(Mark::Absent),
            tenant(7).with_locator_status(0x81)
        );
        assert_eq!(DataHeader::PLAIN.iid(), InstanceId::DEFAULT);
        assert_eq!(DataHeader::of(InstanceId::DEFAULT), DataHeader::PLAIN);
        assert_eq!(DataHeader::of(header.iid()), tenant(7));
    }

    #[test]
    fn what_follows_the_header_is_not_read() {
        let payload = [0x08, 0, 0, 0, 0, 0, 0x07, 0, 0x45, 0xff];
        assert_eq!(DataHeader::parse(&payload), Ok(tenant(7)));
    }

    #[test]
    fn what_no_flag_speaks_for_is_ignored() {
        // The reserved bit, E without N, and bits in every field.
        assert_eq!(
            DataHeader::parse(&[0x24, 255, 255, 255, 255, 255, 255, 255]),
            Ok(DataHeader::PLAIN)
        );
        assert_eq!(
            DataHeader::parse(&[0x08, 255, 255, 255, 0, 0, 7, 255]),
            Ok(tenant(7))
        );
    }

    #[test]
    fn an_encrypted_payload_is_told_apart() {
        for key in 1..=3 {
            let header = DataHeader::parse(&[key, 0, 0, 0, 0, 0, 0, 0]).unwrap();
            assert_eq!(header.encryption_key(), key);
            assert_ne!(header, DataHeader::PLAIN);
        }
        assert_eq!(tenant(7).encryption_key(), 0);
    }

    #[test]
    fn short_headers_are_refused() {
        for have in 0..DATA_HEADER_LEN {
            let short = WireError::Truncated {
                part: Part::DataHeader,
                need: 8,
                have,
            };
            assert_eq!(DataHeader::parse(&[0; 8][..have]), Err(short));
        }
    }

    // RFC 9300 section 5.3: N and V must not be set both; a receiver takes the field for a nonce then.
    #[test]
    fn a_header_with_a_nonce_and_versions_has_a_nonce() {
        let header = DataHeader::parse(&[0xb0, 0x12, 0x34, 0x56, 0, 0, 0, 0]).unwrap();
        assert_eq!(header.mark(), nonce(0x12_3456, EchoRequest::Yes));
        assert_eq!(header.emit(), [0xa0, 0x12, 0x34, 0x56, 0, 0, 0, 0]);
    }

    #[test]
    fn versions_go_round_and_zero_says_nothing() {
        let version = |number| MapVersion::new(number).unwrap();
        let pairs = [
            (2, 1, Some(Age::Newer)),
            (1, 4095, Some(Age::Newer)),
            (4095, 1, Some(Age::Older)),
            (7, 7, Some(Age::Same)),
            (2048, 1, Some(Age::Newer)),
            (2049, 1, Some(Age::Newer)),
            (1, 2049, Some(Age::Older)),
            // The example of RFC 9302 section 6.
            (69 + 2048, 69, Some(Age::Newer)),
            (69 + 2049, 69, Some(Age::Older)),
            (2050, 1, Some(Age::Older)),
            (0, 1, None),
            (1, 0, None),
        ];
        for (one, other, age) in pairs {
            assert_eq!(version(one).compared_with(version(other)), age, "{one} {other}");
        }
        assert_eq!([4095, 1, 0].map(|n| version(n).next().get()), [1, 2, 1]);
    }

    #[test]
    fn every_header_that_can_be_said_is_read_as_it_was_said_and_no_other_can() {
        let marks = [
            Mark::Absent,
            nonce(0, EchoRequest::No),
            nonce(0xff_ffff, EchoRequest::Yes),
            versions(0, 0),
            versions(4095, 1),
        ];
        let said = |base: DataHeader, status: Option<u32>, mark| {
            let header = status.map_or(base, |bits| base.with_locator_status(bits));
            header.with_mark(mark)
        };
        for mark in marks {
            for status in [None, Some(0), Some(0x81), Some(u32::MAX)] {
                for base in [DataHeader::PLAIN, tenant(0), tenant(7), tenant(0x00ff_ffff)] {
                    let header = said(base, status, mark);
                    let bytes = header.emit();
                    assert_eq!(DataHeader::parse(&bytes), Ok(header));
                    assert_eq!((header.mark(), header.iid()), (mark, base.iid()));
                    let width = if base.instance_id().is_some() {
                        0xff
                    } else {
                        u32::MAX
                    };
                    assert_eq!(header.locator_status(), status.map(|bits| bits & width));
                    assert_eq!(header.is_marked(), mark != Mark::Absent || status.is_some());
                    // N and V exclude each other, E goes with N alone.
                    let [n, e, v] = [0x80, 0x20, 0x10].map(|bit| bytes[0] & bit != 0);
                    assert!(!(n && v) && (n || !e), "{header:?}");
                }
            }
        }
        // All 256 combinations of flags: what is read is what can be said again.
        for flags in 0..=u8::MAX {
            let bytes = [flags, 0xab, 0xcd, 0xef, 1, 2, 3, 4];
            let header = DataHeader::parse(&bytes).unwrap();
            assert_eq!(DataHeader::parse(&header.emit()), Ok(header), "{flags:#x}");
            assert!(header.emit()[0] & 0x90 != 0x90, "{flags:#x}");
        }
    }

    #[test]
    fn a_map_version_has_12_bits() {
        assert_eq!(MapVersion::new(4095).map(MapVersion::get), Some(4095));
        assert_eq!(MapVersion::new(4096), None);
    }
}
