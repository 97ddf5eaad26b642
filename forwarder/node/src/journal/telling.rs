//! Messages of the journal as they are told: filtered, read, a bounded number at a time.

use std::fmt::Write;

use lisp_wire::{Description, EidPrefix};
use proto::inspect::hex_nonce;
use proto::{LogDetail, LogFilter, LogPage, LogQuery, LoggedMessage, MessageOutcome};

use super::{Course, Entry, Journal};

/// Messages told at a time.
const MOST_TOLD: usize = 256;
/// Messages looked at for that: reading one takes microseconds, and packets must not wait for milliseconds.
const MOST_READ: usize = 1024;
/// Bytes of messages looked at; the last one may go beyond.
const MOST_BYTES: usize = 256 << 10;
/// A message field by field takes so many times the work.
const FIELDS_WEIGH: usize = 16;

impl Journal {
    /// A part of what was asked for.
    pub(crate) fn page(&self, query: &LogQuery) -> LogPage {
        let most = match query.most as usize {
            0 => MOST_TOLD,
            most => most.min(MOST_TOLD),
        };
        let mut page = LogPage {
            // Who asks for what is after the last learns where that is.
            next: query.after.min(self.numbered),
            gap: query.after > 0 && self.rings().iter().any(|ring| ring.gone() > query.after),
            ..LogPage::default()
        };
        let weight = match query.detail {
            LogDetail::Line | LogDetail::Bytes => 1,
            LogDetail::Fields => FIELDS_WEIGH,
        };
        let (mut read, mut bytes) = (0, 0);
        for entry in self.after(query.after) {
            if read == MOST_READ || page.messages.len() == most || bytes > MOST_BYTES {
                page.more = true;
                break;
            }
            read += 1;
            bytes += entry.bytes.len() * weight;
            page.next = entry.number;
            page.messages.extend(self.told(entry, query));
        }
        page
    }

    fn rings(&self) -> [&super::Ring; 3] {
        [&self.messages, &self.probes, &self.refused]
    }

    /// Entries of all rings by number.
    fn after(&self, number: u64) -> impl Iterator<Item = &Entry> {
        let mut heads = self.rings().map(|ring| ring.after(number).peekable());
        std::iter::from_fn(move || {
            let earliest = heads
                .iter_mut()
                .filter_map(|head| Some((head.peek()?.number, head)))
                .min_by_key(|(number, _)| *number);
            earliest.and_then(|(_, head)| head.next())
        })
    }

    /// The message in words, if it is wanted.
    fn told(&self, entry: &Entry, query: &LogQuery) -> Option<LoggedMessage> {
        let filter = &query.filter;
        if !concerns(filter, entry) {
            return None;
        }
        let told = Description::of(&entry.bytes, self.type5);
        if !is_about(filter, &told.eids) {
            return None;
        }
        let (dscp, outcome) = match entry.course {
            Course::Sent { dscp } => (Some(dscp), MessageOutcome::Sent),
            Course::Accepted { what } => {
                let what = what.map(|what| what.name().to_owned());
                (None, MessageOutcome::Accepted { what })
            }
            Course::Refused { why } => {
                let why = why.name().to_owned();
                (None, MessageOutcome::Refused { why })
            }
        };
        Some(LoggedMessage {
            number: entry.number,
            at: entry.at,
            direction: entry.direction(),
            peer: entry.peer,
            local: entry.local,
            local_port: entry.local_port,
            dscp,
            kind: told.kind,
            line: told.line,
            eids: told.eids,
            nonce: told.nonce.map(hex_nonce),
            key_id: told.key.map(|(id, _)| id),
            algorithm: told.key.map(|(_, algorithm)| algorithm),
            outcome,
            length: entry.bytes.len(),
            fields: match query.detail {
                LogDetail::Fields => told.fields,
                LogDetail::Line | LogDetail::Bytes => Vec::new(),
            },
            bytes: match query.detail {
                LogDetail::Bytes => hex(&entry.bytes),
                LogDetail::Line | LogDetail::Fields => String::new(),
            },
        })
    }
}

/// Whether what is known without reading a message fits.
fn concerns(filter: &LogFilter, entry: &Entry) -> bool {
    let refused = matches!(entry.course, Course::Refused { .. });
    filter.peer.is_none_or(|peer| peer == entry.peer.ip())
        && filter
            .direction
            .is_none_or(|direction| direction == entry.direction())
        && (filter.kinds.is_empty() || filter.kinds.contains(&entry.kind))
        && (!filter.refused || refused)
        && !(filter.no_probes && entry.kind.probes() && !refused)
}

fn is_about(filter: &LogFilter, eids: &[EidPrefix]) -> bool {
    let near = |block: EidPrefix| eids.iter().any(|eid| block.covers(eid) || eid.covers(&block));
    filter.eid.is_none_or(near)
        && filter
            .instance
            .is_none_or(|instance| eids.iter().any(|eid| eid.iid() == instance))
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
