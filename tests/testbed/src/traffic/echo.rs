//! Numbered packets there and back, and an account of each.

use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use proto::{Span, Timestamp};

use super::{EchoSummary, TrafficError, TrafficLine, say};

pub(super) struct Order {
    pub(super) server: SocketAddr,
    pub(super) interval: Span,
    pub(super) time: Option<Span>,
    pub(super) drain: Span,
    pub(super) size: usize,
    pub(super) detail: Detail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    Each,
    Summary,
}

pub(super) fn run(order: &Order) -> Result<(), TrafficError> {
    let failed = |what| {
        move |source| TrafficError::Peer {
            what,
            peer: order.server,
            source,
        }
    };
    let any: SocketAddr = if order.server.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0_u16; 8], 0).into()
    };
    // Not connected: a connected socket would be told of ICMP errors, and packets are to be sent whatever happens.
    let socket = UdpSocket::bind(any).map_err(failed("open a socket for"))?;
    let interval = order.interval.to_duration().max(Duration::from_micros(50));
    let enough = Arc::new(AtomicBool::new(false));
    if order.time.is_none() {
        watch_input(&enough)?;
    }
    let began = Instant::now();
    if order.detail == Detail::Each {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        say(&TrafficLine::Began {
            at: Timestamp(Span::from(wall).micros()),
        })?;
    }
    // Tells this run's packets from those of an earlier one on the same port.
    let run = u64::from(std::process::id());
    let mut account = Account::default();
    let mut next = Duration::ZERO;
    let mut stop = order.time.map(Span::to_duration);
    loop {
        let now = began.elapsed();
        if stop.is_none() && enough.load(Ordering::Relaxed) {
            stop = Some(now);
        }
        let sending = stop.is_none_or(|stop| next < stop);
        if !sending && (account.complete() || now >= account.last_sent() + order.drain.to_duration()) {
            break;
        }
        if sending && now >= next {
            let seq = account.send(now);
            let mut packet = vec![0; order.size];
            packet[..8].copy_from_slice(&seq.to_be_bytes());
            packet[8..16].copy_from_slice(&run.to_be_bytes());
            // No route or a full buffer is a lost packet, and is counted as one.
            let _ = socket.send_to(&packet, order.server);
            next += interval;
            continue;
        }
        let until = if sending {
            next
        } else {
            account.last_sent() + order.drain.to_duration()
        };
        let wait = until
            .saturating_sub(now)
            .clamp(Duration::from_micros(10), Duration::from_millis(100));
        socket.set_read_timeout(Some(wait)).map_err(failed("wait for"))?;
        if let Some((seq, from_run)) = receive(&socket).map_err(failed("receive from"))?
            && from_run == run
            && let Some((at, rtt)) = account.back(seq, began.elapsed())
            && order.detail == Detail::Each
        {
            say(&TrafficLine::Back {
                seq,
                at_ms: millis(at),
                rtt_ms: millis(rtt),
            })?;
        }
    }
    if order.detail == Detail::Each {
        for (seq, at) in account.missing() {
            say(&TrafficLine::Missing {
                seq,
                at_ms: millis(at),
            })?;
        }
    }
    say(&TrafficLine::Echoed(account.summary()))
}

fn watch_input(enough: &Arc<AtomicBool>) -> Result<(), TrafficError> {
    let enough = Arc::clone(enough);
    let watch = move || {
        let mut byte = [0];
        while matches!(io::stdin().read(&mut byte), Ok(1)) {}
        enough.store(true, Ordering::Relaxed);
    };
    let started = std::thread::Builder::new().name("input".to_owned()).spawn(watch);
    started.map(drop).map_err(|source| TrafficError::Io {
        what: "start a thread",
        source,
    })
}

fn receive(socket: &UdpSocket) -> io::Result<Option<(u64, u64)>> {
    let mut packet = [0; 2048];
    match socket.recv_from(&mut packet) {
        Ok((length, _)) if length >= 16 => {
            let number = |at: usize| {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(&packet[at..at + 8]);
                u64::from_be_bytes(bytes)
            };
            Ok(Some((number(0), number(8))))
        }
        Ok(_) => Ok(None),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::WouldBlock
                    | ErrorKind::TimedOut
                    | ErrorKind::Interrupted
                    | ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What was sent and what came of it. Times count from the start.
#[derive(Debug, Default)]
struct Account {
    packets: Vec<Packet>,
    back: u64,
    duplicated: u64,
    reordered: u64,
    latest: Option<u64>,
}

#[derive(Debug)]
struct Packet {
    sent: Duration,
    rtt: Option<Duration>,
}

impl Account {
    fn send(&mut self, now: Duration) -> u64 {
        self.packets.push(Packet { sent: now, rtt: None });
        self.packets.len() as u64 - 1
    }

    /// A packet came back: when it was sent and how long it took, unless it is known already.
    fn back(&mut self, seq: u64, now: Duration) -> Option<(Duration, Duration)> {
        let packet = self.packets.get_mut(usize::try_from(seq).ok()?)?;
        if packet.rtt.is_some() {
            self.duplicated += 1;
            return None;
        }
        let rtt = now.saturating_sub(packet.sent);
        packet.rtt = Some(rtt);
        self.back += 1;
        if self.latest.is_some_and(|latest| seq < latest) {
            self.reordered += 1;
        } else {
            self.latest = Some(seq);
        }
        Some((packet.sent, rtt))
    }

    fn complete(&self) -> bool {
        self.back == self.packets.len() as u64
    }

    fn last_sent(&self) -> Duration {
        self.packets.last().map_or(Duration::ZERO, |packet| packet.sent)
    }

    fn missing(&self) -> impl Iterator<Item = (u64, Duration)> {
        let numbered = (0..).zip(&self.packets);
        numbered
            .filter(|(_, packet)| packet.rtt.is_none())
            .map(|(seq, packet)| (seq, packet.sent))
    }

    fn summary(&self) -> EchoSummary {
        let mut rtts: Vec<f64> = self
            .packets
            .iter()
            .filter_map(|packet| packet.rtt)
            .map(millis)
            .collect();
        rtts.sort_by(f64::total_cmp);
        let quantile = |share: f64| {
            let place = (rtts.len() as f64 * share).ceil() as usize;
            rtts.get(place.saturating_sub(1)).copied().unwrap_or_default()
        };
        let sent = self.packets.len() as u64;
        EchoSummary {
            sent,
            received: self.back,
            lost: sent - self.back,
            duplicated: self.duplicated,
            reordered: self.reordered,
            rtt_min_ms: quantile(0.0),
            rtt_mean_ms: if rtts.is_empty() {
                0.0
            } else {
                rtts.iter().sum::<f64>() / rtts.len() as f64
            },
            rtt_p50_ms: quantile(0.5),
            rtt_p99_ms: quantile(0.99),
            rtt_max_ms: quantile(1.0),
        }
    }
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn each_packet_is_accounted_for_once() {
        let mut account = Account::default();
        for i in 0..5 {
            assert_eq!(account.send(MS * 20 * i), u64::from(i));
        }
        assert_eq!(account.back(0, MS * 37), Some((Duration::ZERO, MS * 37)));
        assert_eq!(account.back(2, MS * 77), Some((MS * 40, MS * 37)));
        assert_eq!(account.back(1, MS * 80), Some((MS * 20, MS * 60)));
        assert_eq!(account.back(1, MS * 81), None);
        assert_eq!(account.back(99, MS * 81), None);
        assert!(!account.complete());
        let summary = account.summary();
        assert_eq!((summary.sent, summary.received, summary.lost), (5, 3, 2));
        assert_eq!((summary.duplicated, summary.reordered), (1, 1));
        assert_eq!(account.missing().map(|(seq, _)| seq).collect::<Vec<_>>(), [3, 4]);
        assert!((summary.rtt_p50_ms - 37.0).abs() < 1e-9 && (summary.rtt_max_ms - 60.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_sent_is_nothing_lost() {
        assert_eq!(Account::default().summary(), EchoSummary::default());
    }
}
