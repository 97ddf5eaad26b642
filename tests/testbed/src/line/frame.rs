//! What a switch reads of a frame: Ethernet addresses, IP addresses, and which flow it belongs to.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use crate::namespace::Mac;

const HEADER: usize = 14;
/// IANA "Ethernet numbers": IPv4, ARP, IPv6.
const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;

/// A frame long enough to have an Ethernet header.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
}

impl<'a> View<'a> {
    /// `None` if there is no whole Ethernet header.
    pub fn of(bytes: &'a [u8]) -> Option<Self> {
        (bytes.len() >= HEADER).then_some(Self { bytes })
    }

    /// Where it is to go.
    pub fn destination(&self) -> Mac {
        self.mac(0)
    }

    /// Where it comes from.
    pub fn source(&self) -> Mac {
        self.mac(6)
    }

    /// Whether it is for more than one receiver (IEEE 802: the group bit).
    pub fn is_group(&self) -> bool {
        self.bytes[0] & 1 == 1
    }

    /// Bytes behind the Ethernet header.
    pub fn length(&self) -> u64 {
        (self.bytes.len() - HEADER) as u64
    }

    /// Whether it asks or tells who has which Ethernet address: ARP, or ICMPv6 types 135 and 136 (RFC 4861).
    pub fn resolves_neighbours(&self) -> bool {
        let payload = &self.bytes[HEADER..];
        match self.kind() {
            ARP => true,
            IPV6 => payload.get(6) == Some(&58) && matches!(payload.get(40), Some(135 | 136)),
            _ => false,
        }
    }

    /// Source and destination of an IP packet.
    pub fn addresses(&self) -> Option<(IpAddr, IpAddr)> {
        let payload = &self.bytes[HEADER..];
        match self.kind() {
            IPV4 => {
                let source: [u8; 4] = payload.get(12..16)?.try_into().ok()?;
                let destination: [u8; 4] = payload.get(16..20)?.try_into().ok()?;
                Some((source.into(), destination.into()))
            }
            IPV6 => {
                let source: [u8; 16] = payload.get(8..24)?.try_into().ok()?;
                let destination: [u8; 16] = payload.get(24..40)?.try_into().ok()?;
                Some((source.into(), destination.into()))
            }
            _ => None,
        }
    }

    /// The same number for all packets of a flow: addresses, protocol and ports where there are any, otherwise
    /// Ethernet addresses.
    pub fn flow(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        match self.addresses() {
            Some(addresses) => (addresses, self.protocol_and_ports()).hash(&mut hash),
            None => self.bytes[..HEADER].hash(&mut hash),
        }
        hash.finish()
    }

    fn protocol_and_ports(&self) -> (u8, Option<&[u8]>) {
        let payload = &self.bytes[HEADER..];
        let (protocol, header) = if self.kind() == IPV4 {
            let word = [payload[6], payload[7]];
            // A fragment (offset or "more follow"): only the first has ports, and all must stay together.
            let fragment = u16::from_be_bytes(word) & 0x3fff != 0;
            (
                payload[9],
                (!fragment).then_some(usize::from(payload[0] & 0x0f) * 4),
            )
        } else {
            (payload[6], Some(40))
        };
        // TCP, UDP, SCTP.
        let ports = header
            .filter(|_| matches!(protocol, 6 | 17 | 132))
            .and_then(|at| payload.get(at..at + 4));
        (protocol, ports)
    }

    fn kind(&self) -> u16 {
        u16::from_be_bytes([self.bytes[12], self.bytes[13]])
    }

    fn mac(&self, at: usize) -> Mac {
        let mut mac = [0; 6];
        mac.copy_from_slice(&self.bytes[at..at + 6]);
        Mac(mac)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An Ethernet frame with an IPv4 UDP packet, `payload` bytes after the UDP header.
    pub(in crate::line) fn udp(
        macs: (Mac, Mac),
        ips: ([u8; 4], [u8; 4]),
        ports: (u16, u16),
        payload: usize,
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(macs.1.0);
        bytes.extend(macs.0.0);
        bytes.extend(IPV4.to_be_bytes());
        bytes.extend([0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0]);
        bytes.extend(ips.0);
        bytes.extend(ips.1);
        bytes.extend(ports.0.to_be_bytes());
        bytes.extend(ports.1.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.resize(bytes.len() + payload, 0);
        bytes
    }

    #[test]
    fn flows_differ_by_port_and_fragments_of_one_packet_do_not() {
        let macs = (Mac([2; 6]), Mac([4; 6]));
        let ips = ([10, 0, 0, 1], [10, 0, 0, 2]);
        let one = udp(macs, ips, (1000, 4341), 100);
        let same = udp(macs, ips, (1000, 4341), 900);
        let other = udp(macs, ips, (1001, 4341), 100);
        let flow = |bytes: &[u8]| View::of(bytes).unwrap().flow();
        assert_eq!(flow(&one), flow(&same));
        assert_ne!(flow(&one), flow(&other));

        let fragment = |mut bytes: Vec<u8>, word: u16| {
            bytes[HEADER + 6..HEADER + 8].copy_from_slice(&word.to_be_bytes());
            bytes
        };
        assert_eq!(flow(&fragment(one, 0x2000)), flow(&fragment(other, 0x00b9)));
    }

    #[test]
    fn no_frame_makes_it_panic() {
        let whole = udp(
            (Mac([2; 6]), Mac([4; 6])),
            ([10, 0, 0, 1], [10, 0, 0, 2]),
            (1, 2),
            0,
        );
        for kind in [IPV4, IPV6, ARP, 0x1234] {
            for length in 0..80 {
                let mut bytes = whole.clone();
                bytes.resize(length, 0xff);
                if length >= HEADER {
                    bytes[12..HEADER].copy_from_slice(&kind.to_be_bytes());
                }
                if let Some(view) = View::of(&bytes) {
                    let _ = (
                        view.flow(),
                        view.resolves_neighbours(),
                        view.addresses(),
                        view.length(),
                    );
                } else {
                    assert!(length < HEADER);
                }
            }
        }
    }
}
