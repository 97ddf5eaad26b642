//! What the threads have in common: the published tables, and the counters each thread keeps for itself.

use std::sync::Arc;

use arc_swap::ArcSwap;
use datapath::{Counters, Fate, Limits, MapCache, encap::Routes};
use proto::node::CounterRow;

/// What the packet path goes by. Replaced whole; a batch goes by one of them from beginning to end.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    pub(crate) cache: MapCache,
    pub(crate) limits: Limits,
}

impl Tables {
    pub(crate) fn routes(&self) -> Routes<'_> {
        Routes {
            cache: &self.cache,
            limits: &self.limits,
        }
    }
}

/// Shared by all threads.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) tables: ArcSwap<Tables>,
    /// The thread from the site to the network.
    pub(crate) outbound: Arc<Counters>,
    /// The thread from the network to the site.
    pub(crate) inbound: Arc<Counters>,
    /// The control thread: packets held and released.
    pub(crate) control: Arc<Counters>,
}

impl Shared {
    pub(crate) fn new(uplink_mtu: u16) -> Self {
        let tables = Tables {
            cache: MapCache::new(),
            limits: Limits::new(uplink_mtu),
        };
        Self {
            tables: ArcSwap::from_pointee(tables),
            outbound: Arc::default(),
            inbound: Arc::default(),
            control: Arc::default(),
        }
    }

    pub(crate) fn total(&self, fate: Fate) -> u64 {
        self.outbound.get(fate) + self.inbound.get(fate) + self.control.get(fate)
    }

    /// All packet counters, in their fixed order.
    pub(crate) fn counter_rows(&self) -> impl Iterator<Item = CounterRow> {
        Fate::ALL.iter().map(|fate| CounterRow {
            name: fate.name().to_owned(),
            value: self.total(*fate),
            meaning: fate.meaning().to_owned(),
        })
    }
}
