//! The engine's state as it is written down, and checked when it is read: what indexes must lie within.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Engine;
use crate::crowds::Crowds;
use crate::fabric::{Dc, PairIx};
use crate::legs::Legs;

/// A written state that contradicts its own configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine's written state does not fit its configuration: {what}")]
struct Misfit {
    what: &'static str,
}

impl Serialize for Engine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Engine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut engine = Self::deserialize(deserializer)?;
        if !engine.homes.fits(&engine.fabric) {
            let what = "homes of known VMs and data centres";
            return Err(D::Error::custom(Misfit { what }));
        }
        // The legs are numbered by it already.
        let _renumbered = engine.fabric.follow(&engine.homes);
        if engine.legs.is_unwritten() {
            engine.legs = Legs::new(&engine.fabric);
        }
        engine.fits().map_err(D::Error::custom)?;
        engine.monitor.fit(&engine.fabric);
        engine.crowds = Crowds::of(&engine.fabric, &engine.pairs);
        Ok(engine)
    }
}

impl Engine {
    fn fits(&self) -> Result<(), Misfit> {
        let fabric = &self.fabric;
        let known = |dc: &Dc| dc.at() < fabric.sites.len();
        let view = |order: &Vec<Dc>| !order.is_empty() && order.iter().all(known);
        let pair = |ix: PairIx| ix.at() < self.pairs.len();
        let checks = [
            (
                self.nodes.len() == fabric.sites.len(),
                "one forwarder for each data centre",
            ),
            (
                self.monitor.links() == fabric.links(),
                "one link for each user and data centre",
            ),
            (
                self.legs.fits(fabric),
                "one leg for each two data centres of which a VM lives at the second",
            ),
            (
                self.pairs.len() == fabric.pairs.len(),
                "one entry for each user and VM",
            ),
            (
                self.defaults.len() == fabric.vms.len(),
                "one default view for each VM",
            ),
            (
                self.pairs.iter().all(|pair| view(&pair.order)),
                "views of known data centres",
            ),
            (
                self.pairs
                    .iter()
                    .filter_map(|pair| pair.flight.as_ref())
                    .all(|flight| view(&flight.order)),
                "switches to known data centres",
            ),
            (
                self.pairs
                    .iter()
                    .filter_map(|pair| pair.provisional.as_ref())
                    .all(|provisional| provisional.fits(known)),
                "switches that could be taken back to known data centres",
            ),
            (
                self.defaults.iter().flatten().all(view),
                "default views of known data centres",
            ),
            (
                self.agenda.iter().all(|&(_, ix)| pair(ix)),
                "an agenda of known entries",
            ),
            (self.changes.pairs().all(pair), "changes of known entries"),
            (
                self.calm_fits(),
                "policy of known entries, links and data centres",
            ),
            (
                self.books.as_ref().is_none_or(|books| books.fits(fabric)),
                "accounts of known entries, links and data centres",
            ),
        ];
        match checks.iter().find(|(holds, _)| !holds) {
            Some(&(_, what)) => Err(Misfit { what }),
            None => Ok(()),
        }
    }
}
