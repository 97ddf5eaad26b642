//! Sends packets that were held, now that there is a mapping.

use std::sync::Arc;

use datapath::{Counters, Egress, Encapsulator, Fate, Held, PacketBatch};
use lisp_wire::{Eid, InstanceId};

use crate::outbound::BATCH;
use crate::shared::Tables;
use crate::transmit::{Refusal, Transmitter};

/// The control thread's own way to the network.
#[derive(Debug)]
pub(crate) struct Release {
    encapsulator: Encapsulator,
    transmitter: Transmitter,
    batch: PacketBatch,
    egress: Egress,
    counters: Arc<Counters>,
}

impl Release {
    /// For packets of at most `largest` bytes.
    pub(crate) fn new(
        encapsulator: Encapsulator,
        transmitter: Transmitter,
        largest: usize,
        counters: Arc<Counters>,
    ) -> Self {
        let (batch, egress) = (PacketBatch::new(BATCH, largest), Egress::new(BATCH, largest));
        Self {
            encapsulator,
            transmitter,
            batch,
            egress,
            counters,
        }
    }

    /// Sends packets of a tenant in order. Those that still have no mapping come back, each with where it wants to go.
    pub(crate) fn send<'a>(
        &mut self,
        tables: &Tables,
        (tenant, packets): (InstanceId, impl IntoIterator<Item = &'a [u8]>),
        mut refused: impl FnMut(Refusal),
    ) -> Vec<(Eid, Vec<u8>)> {
        let mut unsent = Vec::new();
        for packet in packets {
            if self.batch.is_full() {
                self.flush(tables, &mut unsent, &mut refused);
            }
            if let Some(slot) = self.batch.push(packet) {
                self.batch.set_tenant(slot, tenant);
            }
        }
        self.flush(tables, &mut unsent, &mut refused);
        unsent
    }

    fn flush(&mut self, tables: &Tables, unsent: &mut Vec<(Eid, Vec<u8>)>, refused: impl FnMut(Refusal)) {
        self.encapsulator
            .encapsulate_batch(tables.routes(), &mut self.batch, &mut self.egress);
        self.counters
            .add(Fate::Released, self.egress.datagrams.len() as u64);
        self.transmitter.send(&self.batch, &self.egress, refused);
        let copy = |held: &Held| (held.eid, self.batch.packet(held.slot).to_vec());
        unsent.extend(self.egress.held.iter().map(copy));
        self.egress.clear();
        self.batch.clear();
    }
}
