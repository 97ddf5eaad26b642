//! One TCP stream towards us, with the receive window held where it is wanted.

use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use proto::Span;
use socket2::{Domain, Protocol, Socket, Type};

use super::{TrafficError, TrafficLine, say};
use crate::raw;

/// A reader that waits longer than this has lost its peer.
const SILENCE: Duration = Duration::from_secs(30);

pub(super) struct Order {
    pub(super) server: SocketAddr,
    pub(super) window: Option<u32>,
    pub(super) time: Span,
    pub(super) report_every: Span,
}

pub(super) fn run(order: &Order) -> Result<(), TrafficError> {
    let failed = |what| {
        move |source| TrafficError::Peer {
            what,
            peer: order.server,
            source,
        }
    };
    let began = Instant::now();
    let mut socket = Socket::new(
        Domain::for_address(order.server),
        Type::STREAM,
        Some(Protocol::TCP),
    )
    .map_err(failed("open a socket for"))?;
    if let Some(window) = order.window {
        hold(&socket, window).map_err(failed("hold the window towards"))?;
    }
    socket
        .connect(&order.server.into())
        .map_err(failed("connect to"))?;
    say(&TrafficLine::Connected {
        after_ms: millis(began.elapsed()),
    })?;

    let every = order.report_every.to_duration().max(Duration::from_millis(1));
    let end = order.time.to_duration();
    let (mut bytes, mut broke, mut heard) = (0_u64, None, Instant::now());
    let mut report = every;
    let mut chunk = vec![0; 256 * 1024];
    while began.elapsed() < end {
        let wait = report
            .min(end)
            .saturating_sub(began.elapsed())
            .max(Duration::from_micros(100));
        socket.set_read_timeout(Some(wait)).map_err(failed("wait for"))?;
        match socket.read(&mut chunk) {
            Ok(0) => {
                broke = Some("the server closed the connection".to_owned());
                break;
            }
            Ok(count) => {
                bytes += count as u64;
                heard = Instant::now();
                if let Some(window) = order.window {
                    // Kernels from 6.6 set the clamp anew whenever they learn more of the segments' true size.
                    raw::clamp_window(socket.as_fd(), window).map_err(failed("hold the window towards"))?;
                }
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                if heard.elapsed() > SILENCE {
                    broke = Some(format!("nothing came for {} s", SILENCE.as_secs()));
                    break;
                }
            }
            Err(error) => {
                broke = Some(error.to_string());
                break;
            }
        }
        if began.elapsed() >= report {
            let window = raw::advertised_window(socket.as_fd());
            say(&TrafficLine::Volume {
                at_ms: millis(began.elapsed()),
                bytes,
                window,
            })?;
            while report <= began.elapsed() {
                report += every;
            }
        }
    }
    say(&TrafficLine::Downloaded {
        seconds: began.elapsed().as_secs_f64(),
        bytes,
        broke,
    })
}

/// Before connecting: the clamp also decides the window scale, and so how finely the window can be told.
fn hold(socket: &Socket, window: u32) -> std::io::Result<()> {
    // The kernel counts its own overhead against the buffer; with four times the window it never is what limits.
    socket.set_recv_buffer_size(window as usize * 4)?;
    raw::clamp_window(socket.as_fd(), window)
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
