//! A link as it is written down.

use std::collections::VecDeque;
use std::num::NonZero;

use proto::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use super::{Link, Phase, Rare};
use crate::monitor::ring::{self, Misfit, Ring};

/// What a link is written as. Versions that kept samples otherwise wrote the same fields.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Written {
    ring: ring::Written,
    phase: Phase,
    jitter16: u64,
    last_rtt: Option<u32>,
    answered_sent_at: Timestamp,
    lost_run: u32,
    answered_run: u32,
    lost_since: Timestamp,
    down_since: Option<Timestamp>,
    heard_at: Option<Timestamp>,
    /// Samples from before this are of another life of the engine: only of versions that kept them in the window.
    #[serde(default, skip_serializing)]
    valid_from: Timestamp,
    fresh: bool,
    #[serde(default)]
    overdue: VecDeque<(Timestamp, u64)>,
}

impl Serialize for Link {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written::from(self).serialize(serializer)
    }
}

impl From<&Link> for Written {
    fn from(link: &Link) -> Self {
        let mut ring = ring::Written::from(&link.ring);
        let rare = link.rare.as_deref();
        ring.taken = rare.map_or(0, |rare| rare.taken);
        Self {
            ring,
            phase: link.phase,
            jitter16: link.jitter16.into(),
            last_rtt: link.last_rtt(),
            answered_sent_at: link.answered_sent_at,
            lost_run: link.lost_run(),
            answered_run: link.answered_run(),
            lost_since: rare.map_or(Timestamp(0), |rare| rare.lost_since),
            down_since: link.down_since(),
            heard_at: link.heard_at(),
            valid_from: Timestamp(0),
            fresh: link.fresh,
            overdue: rare.map_or_else(VecDeque::new, |rare| rare.overdue.clone()),
        }
    }
}

impl TryFrom<Written> for Link {
    type Error = Misfit;

    fn try_from(written: Written) -> Result<Self, Misfit> {
        let taken = written.ring.taken;
        let mut ring = Ring::try_from(written.ring)?;
        ring.retire_before(written.valid_from);
        let heard_at = written.heard_at.filter(|&at| ring.last_at() != Some(at));
        let run = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
        let mut link = Self {
            ring,
            answered_sent_at: written.answered_sent_at,
            rare: Some(Box::new(Rare {
                lost_since: written.lost_since,
                down_since: written.down_since,
                heard_at,
                overdue: written.overdue,
                taken,
            })),
            jitter16: u32::try_from(written.jitter16).unwrap_or(u32::MAX),
            after_last: written
                .last_rtt
                .and_then(|rtt| NonZero::new(rtt.saturating_add(1))),
            run: run(written.answered_run) - run(written.lost_run),
            phase: written.phase,
            fresh: written.fresh,
        };
        link.tidy();
        Ok(link)
    }
}
