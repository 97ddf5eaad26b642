//! While the record cannot be written nothing moves, whatever modes and staff say: it could not be told afterwards.

use proto::policy::{Arming, Disarmed};
use proto::{Actor, ChangeId, Refusal, Reply, RequestId, Severity};

use super::Engine;
use crate::fabric::{Dc, PairIx};
use crate::outbox::Outbox;

impl Engine {
    /// Freezes until [`Self::record_mended`]. Switches of which nobody was told are broken off, and the command that
    /// began one is answered so if it is asked again. Modes, arming and what was earned stay as they are.
    pub(super) fn record_failed(
        &mut self,
        why: &str,
        (withheld, undone): (&[ChangeId], Option<RequestId>),
        out: &mut Outbox,
    ) {
        let now = out.now;
        self.calm.unrecorded.get_or_insert(now);
        self.policy_changed();
        for ix in (0..self.pairs.len() as u32).map(PairIx) {
            let flight = self.pairs[ix.at()].flight.as_ref();
            if flight.is_some_and(|flight| withheld.contains(&flight.change)) {
                let why = "nobody was told of it, for it could not be recorded".to_owned();
                self.break_off(ix, (why, now), out);
            }
        }
        if let Some(request) = undone {
            let refusal = Refusal::NotRecorded { why: why.to_owned() };
            self.desk.remember(request, Reply::Refused { refusal });
        }
    }

    /// Goes on as before, and tells all forwarders every view: what they were to be told meanwhile was withheld.
    pub(super) fn record_mended(&mut self, out: &mut Outbox) {
        if !self.thaw() {
            return;
        }
        let text = "the record can be written again: forwarders are told anew what was withheld".to_owned();
        self.log(Severity::Warning, text, out);
        let connected: Vec<Dc> = self
            .fabric
            .dcs()
            .filter(|dc| self.nodes[dc.at()].is_connected())
            .collect();
        for &dc in &connected {
            self.disown(dc);
        }
        for &dc in &connected {
            self.brief_all(dc, out);
        }
        for ix in (0..self.pairs.len() as u32).map(PairIx) {
            self.attend(ix, out);
        }
        self.close_anew(out);
    }

    /// Whoever takes a record up can write it, or finds out at once. `true`: it was frozen.
    pub(super) fn thaw(&mut self) -> bool {
        let frozen = self.calm.unrecorded.take().is_some();
        if frozen {
            self.policy_changed();
        }
        frozen
    }

    /// Whether it may move anything, as consoles are shown: frozen by the engine itself while nothing can be recorded.
    pub(super) fn arming_shown(&self) -> Arming {
        match self.calm.unrecorded {
            None => self.calm.arming.clone(),
            Some(since) => Arming::Disarmed {
                how: Disarmed::Freeze,
                by: Actor::Engine,
                since,
            },
        }
    }
}
