//! What the machines want done, done.

use std::net::SocketAddr;
use std::sync::Arc;

use lisp_wire::{EidPrefix, Rloc};
use nix::errno::Errno;
use node::{Effect, Input, To};
use proto::node::{CacheRow, CounterRow};
use proto::{NodeReport, Page, ReportFrame};

use super::{Control, PUBLICATIONS, Published};
use crate::memory::{Follows, Memory};

impl Control {
    pub(super) fn carry_out(&mut self, effects: Vec<Effect>) {
        let mut follows = Follows::Others;
        for effect in effects {
            let effect = match effect {
                Effect::Remember(state) => {
                    if let Some(memory) = &mut self.memory {
                        memory.keep(state);
                        follows = Follows::TheState;
                    }
                    continue;
                }
                effect => effect,
            };
            let now = match &mut self.memory {
                Some(memory) => memory.hold_back(effect, follows),
                None => Some(effect),
            };
            if let Some(effect) = now {
                self.act(effect);
            }
        }
        self.publish();
    }

    /// Says what had to wait until the state was stored that it rests on.
    pub(super) fn say_what_waited(&mut self) {
        while let Some(effect) = self.memory.as_mut().and_then(Memory::next_said) {
            self.act(effect);
        }
    }

    fn act(&mut self, effect: Effect) {
        // Held packets are sent by the new tables before the packet threads have them: what comes after a held packet
        // must not overtake it.
        if !matches!(
            effect,
            Effect::Publish(_) | Effect::Release { .. } | Effect::Discard { .. }
        ) {
            self.publish();
        }
        match effect {
            Effect::Send {
                from,
                to,
                bytes,
                dscp,
            } => {
                let outcome = self.sockets.send(from, to, &bytes, dscp);
                self.note_refusal(to, outcome);
            }
            Effect::SendFromData { to, bytes } => {
                let outcome = self.sockets.send_from_data(to, &bytes);
                self.note_refusal(to, outcome);
            }
            Effect::Publish(cache) => {
                self.desk.tables.cache = cache;
                self.desk.published = Published::NotYet;
            }
            Effect::Release { eid } => self.let_go(&eid),
            Effect::Discard { eid } => self.discard(&eid),
            Effect::Deliver { eid } => self.deliver(&eid),
            Effect::Report { to, reply_to, report } => self.report(to, reply_to, report),
            // Given to the memory before.
            Effect::Remember(_) => {}
        }
    }

    /// Gives the packet threads the tables of the desk.
    pub(super) fn publish(&mut self) {
        if self.desk.published == Published::NotYet {
            self.desk.published = Published::Yes;
            self.shared.tables.store(Arc::new(self.desk.tables.clone()));
            if self.desk.publications.len() >= PUBLICATIONS {
                self.desk.publications.pop_front();
            }
            self.desk.publications.push_back(self.clock.now());
        }
    }

    fn let_go(&mut self, block: &EidPrefix) {
        // Those that the packet threads have handed over and nobody has looked at yet come first.
        self.listen();
        let packets = self.desk.holding.take(block);
        self.send_held(block.iid(), packets.iter().map(|(packet, ())| packet.as_slice()));
        self.redirect(block);
    }

    fn discard(&mut self, block: &EidPrefix) {
        let count = self.desk.holding.take(block).len();
        self.shared.control.add(datapath::Fate::NoMapping, count as u64);
    }

    fn report(&mut self, to: To, reply_to: Option<u64>, mut report: NodeReport) {
        match &mut report {
            NodeReport::Counters { rows } => {
                let bare = |row: CounterRow| CounterRow {
                    meaning: String::new(),
                    ..row
                };
                rows.extend(self.counter_rows().map(bare));
            }
            NodeReport::MapCache { rows } => self.tell_since_when(rows),
            NodeReport::Page(Page { page, .. }) => match page.as_mut() {
                NodeReport::Counters { rows } => rows.extend(self.counter_rows()),
                NodeReport::MapCache { rows } => self.tell_since_when(rows),
                _ => {}
            },
            _ => {}
        }
        let Some(clients) = &mut self.clients else { return };
        let frame = ReportFrame { reply_to, report };
        match to {
            To::Client(client) => clients.tell(client, &frame),
            To::Subscribers => clients.publish(self.node.subscribers(), &frame),
        }
    }

    /// A mapping is in force with the first tables that were published after it was told.
    fn tell_since_when(&self, rows: &mut [CacheRow]) {
        let publications = &self.desk.publications;
        for row in rows {
            let after = publications.partition_point(|at| *at < row.told_at);
            let all_known = after > 0 || publications.len() < PUBLICATIONS;
            row.in_force_at = publications.get(after).copied().filter(|_| all_known);
        }
    }

    /// What the machines do not count: control messages lost at the sockets, and packets.
    fn counter_rows(&self) -> impl Iterator<Item = CounterRow> {
        let row = |(name, value, meaning): (&str, u64, &str)| CounterRow {
            name: name.to_owned(),
            value,
            meaning: meaning.to_owned(),
        };
        self.sockets
            .counter_rows()
            .map(row)
            .chain(self.memory.iter().flat_map(Memory::counter_rows))
            .chain(self.shared.counter_rows())
    }

    fn note_refusal(&mut self, to: SocketAddr, outcome: std::io::Result<()>) {
        let Err(error) = outcome else { return };
        tracing::debug!(%to, %error, "control: send");
        if matches!(
            error.raw_os_error().map(Errno::from_raw),
            Some(Errno::ENETUNREACH | Errno::EHOSTUNREACH)
        ) {
            let now = self.clock.now();
            if self.desk.paths.may_say_unreachable(to.ip(), now) {
                self.desk
                    .inputs
                    .push_back(Input::Unreachable { rloc: Rloc(to.ip()) });
            }
        }
    }
}
