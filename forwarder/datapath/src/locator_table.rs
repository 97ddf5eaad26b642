//! Priorities and weights, worked out once, so that a hash picks a locator (RFC 9301 section 5.4).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lisp_wire::{Locator, Rloc};

use crate::MappingMarks;

/// At most this many buckets: a share is exact to 1/1024, or wholly exact where the weights' sum allows.
const MOST_BUCKETS: usize = 1024;

/// Whether a locator can be reached, as far as is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Believed to answer.
    Up,
    /// Probes, the mapping's owner or the lack of a route say it is not.
    Down,
}

/// Packets and bytes sent to a locator from one mapping. Bytes are those of the inner packets.
#[derive(Debug, Default)]
pub struct LocatorCounters {
    packets: AtomicU64,
    bytes: AtomicU64,
}

impl LocatorCounters {
    /// Counts one packet. Relaxed: figures for people, they order nothing.
    pub fn count(&self, bytes: usize) {
        self.packets.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Packets so far.
    pub fn packets(&self) -> u64 {
        self.packets.load(Ordering::Relaxed)
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// A locator of a table.
#[derive(Clone, Debug)]
pub struct TableLocator {
    /// As told by the mapping's owner.
    pub locator: Locator,
    /// What is known of it here.
    pub reach: Reach,
    /// What it has carried; shared with earlier tables of the same mapping.
    pub counters: Arc<LocatorCounters>,
    /// Whether packets of other sites may go there by us.
    pub transit: Transit,
}

/// Whether packets that came by the network may be sent on to a locator (RTR role).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Transit {
    /// They may.
    #[default]
    Allowed,
    /// The mapping's explicit path does not lead by this node, so a packet that is here has lost its way. To begin the
    /// path anew could send it round.
    Refused,
}

/// The locators of one mapping, and the share of each in the traffic.
#[derive(Clone, Debug, Default)]
pub struct LocatorTable {
    locators: Box<[TableLocator]>,
    /// Indices into `locators`, as many of each as its share; empty if none may be used.
    buckets: Box<[u8]>,
    marks: Option<Arc<MappingMarks>>,
    port: Option<u16>,
}

impl LocatorTable {
    /// A table of at most 255 locators (more do not fit a record; those after are left out).
    ///
    /// Usable are those without priority 255 that their owner calls reachable: to others nothing may be sent (RFC 9300
    /// section 9). Used are the usable ones of the best priority that are [`Reach::Up`]; if there is none at all, those of
    /// the best priority: a packet sent in vain is lost just the same, and a wrong belief of ours must not become a black
    /// hole. Counters go on from `previous`.
    pub fn new(locators: impl IntoIterator<Item = (Locator, Reach)>, previous: Option<&Self>) -> Self {
        let locators: Box<[TableLocator]> = locators
            .into_iter()
            .take(255)
            .map(|(locator, reach)| {
                let counters = previous
                    .and_then(|table| table.counters_of(&locator))
                    .unwrap_or_default();
                TableLocator {
                    locator,
                    reach,
                    counters,
                    transit: Transit::Allowed,
                }
            })
            .collect();
        let buckets = buckets(&locators);
        Self {
            locators,
            buckets,
            marks: None,
            port: None,
        }
    }

    /// Says which locators packets of other sites may not go to.
    pub fn refuse_transit(&mut self, refused: impl Fn(&Locator) -> bool) {
        for entry in &mut self.locators {
            if refused(&entry.locator) {
                entry.transit = Transit::Refused;
            }
        }
    }

    /// Has packets go to this port, from the control port: behind a NAT nothing else gets through.
    pub const fn set_port(&mut self, port: Option<u16>) {
        self.port = port;
    }

    /// Gives it what data headers say of the mapping.
    pub fn set_marks(&mut self, marks: Option<Arc<MappingMarks>>) {
        self.marks = marks;
    }

    /// What data headers say of the mapping, where somebody is trusted with that.
    pub fn marks(&self) -> Option<&MappingMarks> {
        self.marks.as_deref()
    }

    /// The port that packets go to, where it is not the registered one.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether one of its locators is this address.
    pub(crate) fn names(&self, address: std::net::IpAddr) -> bool {
        self.locators.iter().any(|entry| entry.locator.rloc.0 == address)
    }

    /// The locator for a flow. `None` if the mapping has none that may be used.
    pub fn choose(&self, flow_hash: u32) -> Option<&TableLocator> {
        // Multiply and shift instead of a division: the hash is well mixed, so its high bits do.
        let bucket = (u64::from(flow_hash) * self.buckets.len() as u64) >> 32;
        let index = *self.buckets.get(bucket as usize)?;
        self.locators.get(usize::from(index))
    }

    /// All locators, as given.
    pub fn locators(&self) -> &[TableLocator] {
        &self.locators
    }

    /// Whether `rloc` carries a share of the traffic.
    pub fn in_use(&self, rloc: Rloc) -> bool {
        self.buckets.iter().any(|&index| {
            self.locators
                .get(usize::from(index))
                .is_some_and(|entry| entry.locator.rloc == rloc)
        })
    }

    fn counters_of(&self, locator: &Locator) -> Option<Arc<LocatorCounters>> {
        let same = |entry: &Locator| (entry.rloc, entry.path) == (locator.rloc, locator.path);
        self.locators
            .iter()
            .find(|entry| same(&entry.locator))
            .map(|entry| Arc::clone(&entry.counters))
    }
}

fn buckets(locators: &[TableLocator]) -> Box<[u8]> {
    let may_be_used = |entry: &&TableLocator| entry.locator.priority.usable() && entry.locator.reachable;
    let usable = || locators.iter().filter(may_be_used);
    let up = |entry: &&TableLocator| entry.reach == Reach::Up;
    let best_up = usable().filter(up).map(|entry| entry.locator.priority).min();
    let best = best_up.or_else(|| usable().map(|entry| entry.locator.priority).min());
    let used = |entry: &TableLocator| {
        Some(entry.locator.priority) == best && (best_up.is_none() || up(&entry)) && may_be_used(&entry)
    };
    let mut weights: Vec<(u8, usize)> = locators
        .iter()
        .zip(0u8..)
        .filter(|(entry, _)| used(entry))
        .map(|(entry, index)| (index, usize::from(entry.locator.weight.0)))
        .collect();
    if weights.iter().all(|(_, weight)| *weight == 0) {
        for (_, weight) in &mut weights {
            *weight = 1;
        }
    }
    apportion(&weights)
}

/// Buckets in proportion to weights: exactly if their sum (in lowest terms) is small enough, else by largest remainder.
fn apportion(weights: &[(u8, usize)]) -> Box<[u8]> {
    let divisor = weights
        .iter()
        .fold(0, |acc, (_, weight)| greatest_common_divisor(acc, *weight))
        .max(1);
    let sum: usize = weights.iter().map(|(_, weight)| weight / divisor).sum();
    if sum == 0 {
        return Box::default();
    }
    let size = sum.min(MOST_BUCKETS);
    let mut shares: Vec<(u8, usize, usize)> = weights
        .iter()
        .map(|(index, weight)| {
            let scaled = weight / divisor * size;
            (*index, scaled / sum, scaled % sum)
        })
        .collect();
    let left = size - shares.iter().map(|(_, count, _)| count).sum::<usize>();
    shares.sort_by_key(|(index, _, remainder)| (std::cmp::Reverse(*remainder), *index));
    shares.iter_mut().take(left).for_each(|(_, count, _)| *count += 1);
    shares.sort_by_key(|(index, _, _)| *index);
    shares
        .iter()
        .flat_map(|(index, count, _)| std::iter::repeat_n(*index, *count))
        .collect()
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

#[cfg(test)]
mod tests;
