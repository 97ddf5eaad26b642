//! The far end: bytes for whoever connects, and packets back to where they came from.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

use super::{TrafficError, TrafficLine, say};

/// Served at most at the same time; more are turned away.
const CONNECTIONS: usize = 256;
const CHUNK: usize = 64 * 1024;

pub(super) fn run(listen: SocketAddr) -> Result<(), TrafficError> {
    let failed = |what| {
        move |source| TrafficError::Peer {
            what,
            peer: listen,
            source,
        }
    };
    let listener = TcpListener::bind(listen).map_err(failed("listen on TCP"))?;
    let at = listener.local_addr().map_err(failed("listen on TCP"))?;
    let echo = UdpSocket::bind(at).map_err(failed("listen on UDP"))?;
    say(&TrafficLine::Serving { at })?;
    std::thread::Builder::new()
        .name("echo".to_owned())
        .spawn(move || send_back(&echo))
        .map_err(|source| TrafficError::Io {
            what: "start a thread",
            source,
        })?;
    let mut served: Vec<std::thread::JoinHandle<()>> = Vec::new();
    for connection in listener.incoming() {
        // A connection that broke before it was taken concerns nobody else.
        let Ok(connection) = connection else { continue };
        served.retain(|thread| !thread.is_finished());
        if served.len() < CONNECTIONS {
            let thread = std::thread::Builder::new().spawn(move || pour(connection));
            served.push(thread.map_err(|source| TrafficError::Io {
                what: "start a thread",
                source,
            })?);
        }
    }
    Ok(())
}

/// Writes zeros until the other side has enough.
fn pour(mut connection: TcpStream) {
    let chunk = vec![0; CHUNK];
    while connection.write_all(&chunk).is_ok() {}
}

fn send_back(socket: &UdpSocket) {
    let mut packet = [0; 2048];
    loop {
        // An error here is an ICMP message about some earlier packet; the next packet is as good as any.
        if let Ok((length, from)) = socket.recv_from(&mut packet) {
            let _ = socket.send_to(&packet[..length], from);
        }
    }
}
