//! Every packet's fate, counted. A packet that is not forwarded has a named reason.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! fates {
    ($($(#[doc = $doc:literal])* $fate:ident = $name:literal,)*) => {
        /// What became of a packet, or of bytes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum Fate {
            $($(#[doc = $doc])* $fate,)*
        }

        impl Fate {
            /// All of them, in the order they are shown.
            pub const ALL: &[Self] = &[$(Self::$fate,)*];

            /// The dotted name it is shown by.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$fate => $name,)*
                }
            }

            /// What it counts, in words.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$fate => concat!($($doc),*).trim_ascii(),)*
                }
            }
        }
    };
}

fates! {
    /// Encapsulated and handed to the socket.
    Encapsulated = "encap.packets",
    /// Inner bytes of those.
    EncapsulatedBytes = "encap.bytes",
    /// Cut in pieces before encapsulation.
    Fragmented = "encap.fragmented",
    /// No mapping, or one that was asked for already: handed to the control thread to be held.
    Missed = "encap.missed",
    /// Held, and sent when the mapping came.
    Released = "encap.released",
    /// Held too long.
    HeldTooLong = "encap.drop.held-too-long",
    /// Too many were held already, for this EID or in all.
    HeldTooMany = "encap.drop.held-too-many",
    /// The mapping system knows no way.
    NoMapping = "encap.drop.no-mapping",
    /// The control thread did not keep up with the misses.
    MissQueueFull = "encap.drop.miss-queue-full",
    /// Not an IP packet, or a broken one.
    EncapMalformed = "encap.drop.malformed",
    /// Multicast, broadcast, link-local, loopback: not an EID's.
    EncapNotUnicast = "encap.drop.not-unicast",
    /// The EID is at this site: a routing loop behind the forwarder.
    EncapLocal = "encap.drop.local",
    /// The mapping says: drop.
    EncapPolicy = "encap.drop.policy",
    /// The mapping says: forward natively. What came by the TUN's routes has no other way.
    EncapNative = "encap.drop.native",
    /// The mapping's explicit path does not lead by this node, which was to send the packet on (RTR role).
    NotOnPath = "encap.drop.not-on-path",
    /// The mapping has no locator that may be used.
    NoLocator = "encap.drop.no-locator",
    /// The locator's address family is not spoken here.
    NoFamily = "encap.drop.no-family",
    /// TTL or hop limit ran out.
    TtlExpired = "encap.drop.ttl",
    /// Too big for the tunnel, and not to be cut; the sender is told.
    TooBig = "encap.drop.too-big",
    /// ICMP messages sent for those.
    TooBigTold = "encap.too-big-told",
    /// The network interface took no more.
    SendQueueFull = "encap.drop.queue-full",
    /// The network said no.
    SendFailed = "encap.drop.send-failed",
    /// Decapsulated and handed to the site.
    Decapsulated = "decap.packets",
    /// Inner bytes of those.
    DecapsulatedBytes = "decap.bytes",
    /// Decapsulated and sent on to another site (RTR role).
    Relayed = "decap.relayed",
    /// For an EID that has left this site: sent on to where it is now.
    Redirected = "decap.redirected",
    /// For an EID that is about to run at this site, or has stopped here: held.
    Awaiting = "decap.held",
    /// Held, and handed to the site when the EID ran there.
    Delivered = "decap.released",
    /// Held, and sent on when it was known that the EID runs elsewhere.
    HeldRedirected = "decap.held-redirected",
    /// Held too long for an EID that did not come.
    AwaitedTooLong = "decap.drop.held-too-long",
    /// Too many were held already, for this EID or in all.
    AwaitingTooMany = "decap.drop.held-too-many",
    /// The control thread did not keep up with those to be held.
    AwaitingQueueFull = "decap.drop.held-queue-full",
    /// No LISP header, or one that cannot be.
    BadHeader = "decap.drop.bad-header",
    /// The payload is encrypted, and no keys were agreed.
    Encrypted = "decap.drop.encrypted",
    /// Another tenant's.
    WrongInstance = "decap.drop.instance-id",
    /// What was inside is no IP packet.
    DecapMalformed = "decap.drop.malformed",
    /// A version of one of our mappings that is ahead of ours: whoever sent it does not know it from us (RFC 9302).
    VersionAhead = "decap.drop.map-version-ahead",
    /// A version of the sender's mapping that is behind the one its owner has told us (RFC 9302).
    VersionBehind = "decap.drop.map-version-behind",
    /// Versions where our mapping has none, or none of our mapping (RFC 9302).
    VersionNull = "decap.drop.map-version-null",
    /// Packets that were forwarded, but whose nonce, versions or locator-status bits nobody here believes.
    MarksIgnored = "decap.marks-ignored",
    /// Congestion met by a packet whose transport does not understand marks (RFC 6040).
    CongestionDrop = "decap.drop.congestion",
    /// The EID is not at this site, and the node is no RTR.
    NotLocal = "decap.drop.not-local",
    /// The EID is not at this site, and not one that the node sends packets on for (RTR role).
    RelayRefused = "decap.drop.relay-refused",
    /// The site's side took no more.
    DeliverFailed = "decap.drop.deliver-failed",
}

/// Counts by fate. Relaxed: figures for people, they order nothing. Each thread has its own, so that none waits for another.
#[derive(Debug)]
pub struct Counters {
    values: [AtomicU64; Fate::ALL.len()],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            values: [const { AtomicU64::new(0) }; Fate::ALL.len()],
        }
    }
}

impl Counters {
    /// Adds to a count.
    pub fn add(&self, fate: Fate, count: u64) {
        if let Some(value) = self.values.get(fate as usize) {
            value.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Adds one.
    pub fn count(&self, fate: Fate) {
        self.add(fate, 1);
    }

    /// A count.
    pub fn get(&self, fate: Fate) -> u64 {
        self.values
            .get(fate as usize)
            .map_or(0, |value| value.load(Ordering::Relaxed))
    }
}
