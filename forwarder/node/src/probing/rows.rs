//! Probed locators as they are shown.

use lisp_wire::Rloc;
use proto::node::ProbeRow;

use super::{Cached, Probing, Target};
use crate::cache::Cache;
use crate::context::Context;
use crate::tables::{Rows, Window, beyond, read_rloc};

impl Probing {
    /// Rows for `Show::Probes`.
    pub(crate) fn rows(&self, window: &Window, cache: &Cache, cx: &Context<'_>) -> Rows<ProbeRow> {
        let following = self.targets.range(beyond(window.key_after(None, read_rloc)));
        window.cut(following.map(|(rloc, target)| (None, *rloc, row(*rloc, target, cache, cx))))
    }
}

fn row(rloc: Rloc, target: &Target, cache: &Cache, cx: &Context<'_>) -> ProbeRow {
    let window = &target.window;
    let (interval, dscp) = target
        .engine
        .map_or((cx.config.probing.cache_interval, 0), |spec| {
            (spec.interval, spec.dscp)
        });
    ProbeRow {
        rloc,
        up: !target.down && window.loss_pct().is_some_and(|loss| loss < 100.0),
        rtt: window.rtt(),
        jitter_ms: window.jitter_ms(),
        loss_pct: window.loss_pct(),
        availability_pct: window.availability_pct(cx.now),
        probed_for: match (&target.engine, target.cached) {
            (Some(_), Cached::Yes) => "both",
            (Some(_), Cached::No) => "engine",
            (None, _) => "map-cache",
        }
        .to_owned(),
        interval,
        dscp,
        lost_in_a_row: target.lost_in_a_row,
        mappings: cache.mappings_at(rloc),
    }
}
