//! When a peer is asked for an echo, and what its silence means (RFC 9300 section 10.1).

use datapath::marks::{Echo, Traffic};
use lisp_wire::DataNonce;
use proto::{Span, Timestamp};

use crate::context::Context;

/// So many packets must have asked, and so many others come in without an answer: fewer may have been lost, or been on
/// their way already.
const ENOUGH: u32 = 3;
/// A locator that did not echo is tried again after so long: no packet goes there that could tell.
const TRY_AGAIN: Span = Span::secs(30);

/// How far a question to a peer is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asking {
    /// Not before then, and only if packets go there.
    Resting { until: Timestamp, sent: u32 },
    /// Each packet asks.
    Pressing { since: Timestamp, before: Traffic },
    /// None asks any more; what was asked may still be answered, by one who was asking us meanwhile.
    Waiting {
        since: Timestamp,
        asked: u32,
        heard: u32,
    },
    /// The way there is closed, as far as is known.
    Silent { until: Timestamp },
}

impl Default for Asking {
    fn default() -> Self {
        Self::Resting {
            until: Timestamp(0),
            sent: 0,
        }
    }
}

/// What has become of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is being asked.
    Asked,
    /// It was answered: both ways are open.
    Echoed,
    /// The peer sends packets and does not answer: the way there is closed.
    Silent,
    /// The locator is given another chance.
    TryAgain,
}

impl Asking {
    /// Goes on; `willing` is whether the peer says that it echoes.
    pub(super) fn follow(&mut self, echo: &Echo, willing: bool, cx: &mut Context<'_>) -> Option<Verdict> {
        let (now, trust) = (cx.now, &cx.config.data_header);
        let traffic = echo.traffic();
        let rest = Self::Resting {
            until: now + trust.echo_every,
            sent: traffic.sent,
        };
        let (next, verdict) = match *self {
            Self::Resting { until, sent } if willing && now >= until && traffic.sent != sent => {
                echo.ask(DataNonce::from_random(cx.nonces.random().0 as u32));
                let asking = Self::Pressing {
                    since: now,
                    before: traffic,
                };
                (asking, Verdict::Asked)
            }
            Self::Pressing { .. } | Self::Waiting { .. } if !echo.is_awaited() => (rest, Verdict::Echoed),
            Self::Pressing { since, before } if now.since(since) >= trust.echo_wait => {
                echo.cease();
                *self = Self::Waiting {
                    since: now,
                    asked: traffic.asked.wrapping_sub(before.asked),
                    heard: traffic.heard,
                };
                return None;
            }
            Self::Waiting { since, asked, heard } if now.since(since) >= trust.echo_wait => {
                let heard = traffic.heard.wrapping_sub(heard);
                if asked < ENOUGH || heard < ENOUGH {
                    // Traffic of one direction says nothing of the other.
                    *self = rest;
                    return None;
                }
                let until = now + TRY_AGAIN;
                (Self::Silent { until }, Verdict::Silent)
            }
            Self::Silent { until } if now >= until => {
                let again = Self::Resting {
                    until: now,
                    sent: traffic.sent,
                };
                (again, Verdict::TryAgain)
            }
            _ => return None,
        };
        *self = next;
        Some(verdict)
    }
}
