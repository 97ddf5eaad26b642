//! What a site hands to another before an EID moves, as it stands under the seal.
//!
//! ```text
//! | Key Count (8) | Mapping Count (8) |  Client Count (16)        |
//! |                  Highest nonce used (64 bits)                 |
//! ~ keys: ID (8), Algorithm ID (8), MAC kind (8), Length (8), secret
//! ~ clients: Manner (8), Key index (8), Age in seconds (32),      ~
//! ~          RLOC with its AFI, source EID with its AFI or AFI 0  ~
//! ~ mapping records (RFC 9301 section 5.4)                        ~
//! ```

use super::family::{self, Address};
use super::preparation::rloc;
use super::reader::Reader;
use super::record;
use crate::authentication::{Key, MacLength};
use crate::error::{EmitError, Part, WireError};
use crate::message::{Algorithm, Nonce};
use crate::sealed::{Handed, HandedClient, Manner};

/// Counts and the nonce.
const HEAD: usize = 12;
/// Bytes of the shortest key.
const LEAST_KEY: usize = 5;
/// Bytes of the shortest client.
const LEAST_CLIENT: usize = 14;
/// In place of the index of a key: the client has none of its own.
const NO_KEY: u8 = 0xff;

impl Handed {
    /// Bytes under the seal when nothing is handed over.
    pub const LEAST_BYTES: usize = HEAD;

    /// Reads what was under a seal.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let reader = &mut reader;
        let [keys_count, mappings_count] = reader.array(Part::Sealed)?;
        let clients_count = reader.u16(Part::Sealed)?;
        let highest = Nonce(reader.u64(Part::Sealed)?);
        reader.expect(keys_count, LEAST_KEY, Part::HandedKey(0))?;
        let keys = (0..keys_count)
            .map(|index| read_key(reader, Part::HandedKey(index)))
            .collect::<Result<Vec<_>, _>>()?;
        let need = usize::from(clients_count) * LEAST_CLIENT;
        if reader.left() < need {
            return Err(WireError::Truncated {
                part: Part::HandedClient(0),
                need,
                have: reader.left(),
            });
        }
        let clients = (0..clients_count)
            .map(|index| read_client(reader, keys.len(), Part::HandedClient(index)))
            .collect::<Result<Vec<_>, _>>()?;
        let mappings = record::read_all(reader, mappings_count)?;
        reader.end()?;
        Ok(Self {
            highest,
            keys,
            clients,
            mappings,
        })
    }

    /// Appends what goes under a seal.
    ///
    /// # Errors
    /// Counts that do not fit, and keys that no index reaches.
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), EmitError> {
        let clients = u16::try_from(self.clients.len()).map_err(|_| EmitError::Count {
            what: "clients",
            count: self.clients.len(),
            least: 0,
            most: usize::from(u16::MAX),
        })?;
        out.extend_from_slice(&[
            record::count("keys", self.keys.len(), 0)?,
            record::count("mappings", self.mappings.len(), 0)?,
        ]);
        out.extend_from_slice(&clients.to_be_bytes());
        out.extend_from_slice(&self.highest.0.to_be_bytes());
        for key in &self.keys {
            let length = record::count("bytes of a secret", key.secret().len(), 1)?;
            let kind = match key.mac_length() {
                MacLength::Truncated => 0,
                MacLength::Whole => 1,
            };
            out.extend_from_slice(&[key.id, key.algorithm as u8, kind, length]);
            out.extend_from_slice(key.secret());
        }
        for client in &self.clients {
            let key = match client.key {
                Some(index) if usize::from(index) < self.keys.len() && index != NO_KEY => index,
                None => NO_KEY,
                Some(_) => {
                    return Err(EmitError::Contradiction {
                        what: "a client's key must be among those that are handed over",
                    });
                }
            };
            out.extend_from_slice(&[client.manner as u8, key]);
            out.extend_from_slice(&client.age_seconds.to_be_bytes());
            family::write_ip(client.rloc.0, out);
            match client.source {
                Some(eid) => family::write_eid(eid, out),
                None => out.extend_from_slice(&family::AFI_NONE.to_be_bytes()),
            }
        }
        record::write_all(&self.mappings, out)
    }
}

fn read_key(reader: &mut Reader<'_>, part: Part) -> Result<Key, WireError> {
    let [id, algorithm, kind, length] = reader.array(part)?;
    let secret = reader.bytes(usize::from(length), part)?;
    let known = [
        Algorithm::HmacSha1,
        Algorithm::HmacSha256,
        Algorithm::HmacSha256Hkdf,
    ];
    let algorithm = known
        .into_iter()
        .find(|known| *known as u8 == algorithm)
        .ok_or(WireError::Algorithm { number: algorithm })?;
    let mac_length = match kind {
        0 => MacLength::Truncated,
        1 => MacLength::Whole,
        flags => return Err(WireError::Flags { part, flags }),
    };
    let key = Key::new(id, algorithm, secret).map_err(|_| WireError::Missing { part })?;
    Ok(key.with_mac_length(mac_length))
}

fn read_client(reader: &mut Reader<'_>, keys: usize, part: Part) -> Result<HandedClient, WireError> {
    let [manner, key] = reader.array(part)?;
    let age_seconds = reader.u32(part)?;
    let manner = Manner::ALL
        .into_iter()
        .find(|known| *known as u8 == manner)
        .ok_or(WireError::Flags { part, flags: manner })?;
    let key = match key {
        NO_KEY => None,
        index if usize::from(index) < keys => Some(index),
        _ => return Err(WireError::Missing { part }),
    };
    let rloc = rloc(reader, part)?.ok_or(WireError::AddressFamily {
        part,
        afi: family::AFI_NONE,
    })?;
    let source = Address::read(reader, part)?.eid(part)?;
    Ok(HandedClient {
        rloc,
        source,
        manner,
        key,
        age_seconds,
    })
}

#[cfg(test)]
mod tests {
    use crate::sealed::{Around, SALT_BYTES};
    use crate::{Action, Locator, MappingRecord, Priority, Rloc, Ttl, Weight, XtrId};

    use super::*;

    fn handed() -> Handed {
        let key = Key::new(3, Algorithm::HmacSha256, b"of a client").unwrap();
        let client = |last, manner, key| HandedClient {
            rloc: Rloc([192, 0, 2, last].into()),
            source: (last == 1).then(|| "10.2.0.9/32".parse::<crate::EidPrefix>().unwrap().first()),
            manner,
            key,
            age_seconds: 7,
        };
        Handed {
            highest: Nonce(0x0102),
            keys: vec![key.with_mac_length(MacLength::Whole)],
            clients: vec![
                client(1, Manner::ChangePriority, Some(0)),
                client(2, Manner::SolicitOwn, None),
            ],
            mappings: vec![MappingRecord {
                ttl: Ttl(60),
                eid: "10.2.0.0/24".parse().unwrap(),
                action: Action::NoAction,
                authoritative: false,
                map_version: 0,
                locators: vec![Locator::unicast(
                    Rloc([192, 0, 2, 1].into()),
                    Priority(1),
                    Weight(100),
                )],
            }],
        }
    }

    #[rustfmt::skip]
    const BYTES: &[u8] = &[
        1, 1, 0, 2, 0, 0, 0, 0, 0, 0, 1, 2,
        3, 2, 1, 11, b'o', b'f', b' ', b'a', b' ', b'c', b'l', b'i', b'e', b'n', b't',
        1, 0, 0, 0, 0, 7, 0, 1, 192, 0, 2, 1, 0, 1, 10, 2, 0, 9,
        4, 255, 0, 0, 0, 7, 0, 1, 192, 0, 2, 2, 0, 0,
        0, 0, 0, 60, 1, 24, 0, 0, 0, 0, 0, 1, 10, 2, 0, 0,
        1, 100, 255, 0, 0, 1, 0, 1, 192, 0, 2, 1,
    ];

    fn bytes_of(handed: &Handed) -> Vec<u8> {
        let mut bytes = Vec::new();
        handed.write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_handed_over_has_these_bytes_and_comes_back_from_them() {
        assert_eq!(bytes_of(&handed()), BYTES);
        let read = Handed::read(BYTES).unwrap();
        assert_eq!(bytes_of(&read), BYTES);
        assert_eq!(read.clients, handed().clients);
        assert!(read.keys[0].same_as(&handed().keys[0]));
        assert!(
            !format!("{read:?}").contains("of a client"),
            "secrets are not shown"
        );
    }

    #[test]
    fn cut_anywhere_it_is_refused_and_no_spoilt_byte_makes_it_panic() {
        for length in 0..BYTES.len() {
            assert!(Handed::read(&BYTES[..length]).is_err(), "{length}");
        }
        assert_eq!(
            Handed::read(&[BYTES, &[0]].concat()).err(),
            Some(WireError::Trailing { count: 1 })
        );
        for at in 0..BYTES.len() {
            for turned in [0xff, 0x80, 0x01] {
                let mut bytes = BYTES.to_vec();
                bytes[at] ^= turned;
                if let Ok(read) = Handed::read(&bytes) {
                    let again = Handed::read(&bytes_of(&read)).unwrap();
                    assert_eq!(again.clients, read.clients);
                }
            }
        }
        // A count of clients that the bytes cannot hold asks for no memory.
        let lying = [&[0, 0, 0xff, 0xff], &BYTES[4..12]].concat();
        assert!(matches!(
            Handed::read(&lying).err(),
            Some(WireError::Truncated { have: 0, .. })
        ));
    }

    #[test]
    fn a_client_names_a_key_that_is_there() {
        let mut bytes = BYTES.to_vec();
        bytes[28] = 1;
        let missing = WireError::Missing {
            part: Part::HandedClient(0),
        };
        assert_eq!(Handed::read(&bytes).err(), Some(missing));
        let mut unsayable = handed();
        unsayable.clients[0].key = Some(1);
        assert!(unsayable.write(&mut Vec::new()).is_err());
    }

    #[test]
    fn a_seal_opens_by_its_key_in_its_message_only_and_hides_all_that_is_in_it() {
        let key = Key::new(1, Algorithm::HmacSha256, b"the group's").unwrap();
        let other = Key::new(1, Algorithm::HmacSha256, b"another's").unwrap();
        let around = Around {
            nonce: Nonce(5),
            xtr: XtrId(7),
        };
        let sealed = handed().seal(&key, around, [9; SALT_BYTES]).unwrap();
        assert_eq!(sealed.len(), handed().sealed_length().unwrap());
        let opened = Handed::open(&sealed, &key, around).unwrap();
        assert_eq!(bytes_of(&opened), BYTES);
        for part in [b"of a client".as_slice(), &[192, 0, 2, 1], &[10, 2, 0]] {
            assert!(
                !sealed.windows(part.len()).any(|window| window == part),
                "{part:?}"
            );
        }
        let opens = |key, around| Handed::open(&sealed, key, around).is_ok_and(|it| bytes_of(&it) == BYTES);
        assert!(opens(&key, around));
        assert!(!opens(&other, around));
        assert!(!opens(
            &key,
            Around {
                nonce: Nonce(6),
                ..around
            }
        ));
        assert!(!opens(
            &key,
            Around {
                xtr: XtrId(8),
                ..around
            }
        ));
        assert_ne!(sealed, handed().seal(&key, around, [8; SALT_BYTES]).unwrap());
        for length in 0..sealed.len() {
            assert!(Handed::open(&sealed[..length], &key, around).is_err(), "{length}");
        }
    }
}
