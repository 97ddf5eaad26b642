//! The console's side: `pacao attach` and `pacao ctl`.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use proto::{ClientFrame, EngineFrame, PROTOCOL};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep_until, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::{HANDSHAKE, MAX_FROM_ENGINE, PING_EVERY, SILENCE, Token, limits};
use crate::attachment::{ASKS, Ask, Attachment, FRAMES};

/// Owns a connection: dropped, it hangs up.
#[derive(Debug)]
pub struct Connection {
    task: JoinSet<()>,
}

impl Connection {
    /// Lets the engine know that nobody listens any more, once the [`Attachment`] is dropped; then hangs up.
    pub async fn hang_up(mut self) {
        // An engine that does not answer is left without ceremony.
        let _ = timeout(FAREWELL, self.task.join_next()).await;
    }
}

/// How long a goodbye may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// An engine that cannot be attached to.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Not `ws://host:port/`.
    #[error("'{url}' is not the URL of an engine: write it like ws://127.0.0.1:4711/")]
    Url {
        /// As given.
        url: String,
    },
    /// The token would cross a network in clear.
    #[error(
        "{host} is not this host, and the connection is not encrypted; forward the port through SSH and attach to ws://127.0.0.1:PORT/"
    )]
    NotLoopback {
        /// As given.
        host: String,
    },
    /// Nobody listens there.
    #[error("no engine answers at {url}: {why}")]
    Unreachable {
        /// As given.
        url: String,
        /// Why.
        why: String,
    },
    /// HTTP 401.
    #[error("the engine at {url} refused the token; it belongs to another session, or another user's engine")]
    Unauthorized {
        /// As given.
        url: String,
    },
    /// Something else listens there, or it refused.
    #[error("{url} does not speak as an engine does: {why}")]
    NotAnEngine {
        /// As given.
        url: String,
        /// What it said.
        why: String,
    },
    /// The engine said goodbye at once, or is of another version.
    #[error("the engine at {url} let go: {why}")]
    Refused {
        /// As given.
        url: String,
        /// Its word.
        why: String,
    },
}

type Socket = WebSocketStream<TcpStream>;

/// Attaches to an engine of another process. The [`Attachment`] is that of
/// [`EngineHandle::attach`](crate::shell::EngineHandle::attach); when the connection is lost its last frame is a
/// `Bye` that says so. Who asks is `operator`, whatever an [`Ask`] says.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(
    url: &str,
    token: &Token,
    operator: &str,
) -> Result<(Attachment, Connection), ConnectError> {
    let unreachable = |why: String| ConnectError::Unreachable {
        url: url.to_owned(),
        why,
    };
    let (request, host, port) = request(url, token)?;
    let connecting = timeout(HANDSHAKE, TcpStream::connect((host.as_str(), port))).await;
    let stream = connecting.map_err(|_| unreachable("no answer".into()))?;
    let stream = stream.map_err(|error| unreachable(error.to_string()))?;
    // A name may mean several addresses: what counts is where the connection went.
    if !stream.peer_addr().is_ok_and(|peer| peer.ip().is_loopback()) {
        return Err(ConnectError::NotLoopback { host });
    }
    let _only_slower_without = stream.set_nodelay(true);
    let upgrading = client_async_with_config(request, stream, Some(limits(MAX_FROM_ENGINE)));
    let upgraded = timeout(HANDSHAKE, upgrading)
        .await
        .map_err(|_| unreachable("no answer".into()))?;
    let (mut socket, _) = upgraded.map_err(|error| refused(url, error))?;

    let hello = ClientFrame::Hello {
        protocol: PROTOCOL,
        operator: operator.to_owned(),
    };
    let greeted = async {
        send(&mut socket, &hello).await?;
        first(&mut socket).await
    };
    let greeted = timeout(HANDSHAKE, greeted)
        .await
        .unwrap_or_else(|_| Err("no greeting".into()));
    let not_an_engine = |why| ConnectError::NotAnEngine {
        url: url.to_owned(),
        why,
    };
    let hello = greeted.map_err(not_an_engine)?;
    match &hello {
        EngineFrame::Hello { protocol, .. } if *protocol == PROTOCOL => {}
        EngineFrame::Hello { protocol, .. } => {
            let why = format!(
                "it speaks protocol {protocol}, this console {PROTOCOL}; use the same version of both"
            );
            return Err(ConnectError::Refused {
                url: url.to_owned(),
                why,
            });
        }
        EngineFrame::Bye { why } => {
            return Err(ConnectError::Refused {
                url: url.to_owned(),
                why: why.clone(),
            });
        }
        _ => return Err(not_an_engine("its first frame is no hello".into())),
    }
    let (frames, from_engine) = mpsc::channel(FRAMES);
    let (to_engine, asks) = mpsc::channel(ASKS);
    let _room_for_one = frames.try_send(hello);
    let mut task = JoinSet::new();
    let url = url.to_owned();
    task.spawn(async move {
        let why = pump(socket, &frames, asks).await;
        if let Some(why) = why {
            let why = format!("the connection to {url} was lost: {why}");
            let _the_console_is_gone_too = frames.send(EngineFrame::Bye { why }).await;
        }
    });
    Ok((
        Attachment {
            frames: from_engine,
            ask: to_engine,
        },
        Connection { task },
    ))
}

fn request(url: &str, token: &Token) -> Result<(Request, String, u16), ConnectError> {
    let bad = || ConnectError::Url { url: url.to_owned() };
    let mut request = url.into_client_request().map_err(|_| bad())?;
    let uri = request.uri();
    if uri.scheme_str() != Some("ws") {
        return Err(bad());
    }
    let host = uri.host().ok_or_else(bad)?.trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().ok_or_else(bad)?;
    let mut bearer = HeaderValue::from_str(&token.bearer()).map_err(|_| bad())?;
    bearer.set_sensitive(true);
    request.headers_mut().insert(header::AUTHORIZATION, bearer);
    Ok((request, host, port))
}

fn refused(url: &str, error: Error) -> ConnectError {
    let url = url.to_owned();
    match error {
        Error::Http(response) if response.status() == StatusCode::UNAUTHORIZED => {
            ConnectError::Unauthorized { url }
        }
        Error::Http(response) => {
            let body = response.body().as_deref().unwrap_or_default();
            let said = String::from_utf8_lossy(&body[..body.len().min(200)])
                .trim()
                .to_owned();
            ConnectError::NotAnEngine {
                url,
                why: format!("{} {said}", response.status()).trim().to_owned(),
            }
        }
        other => ConnectError::NotAnEngine {
            url,
            why: other.to_string(),
        },
    }
}

/// The engine's first frame.
async fn first(socket: &mut Socket) -> Result<EngineFrame, String> {
    loop {
        if let Some(frame) = heard(socket).await? {
            return Ok(frame);
        }
    }
}

/// Carries frames and commands; `None` once either side ended it in order, else why the connection was lost.
async fn pump(
    mut socket: Socket,
    frames: &mpsc::Sender<EngineFrame>,
    mut asks: mpsc::Receiver<Ask>,
) -> Option<String> {
    let mut pings = interval(PING_EVERY);
    let mut silent_at = Instant::now() + SILENCE;
    loop {
        let done = tokio::select! {
            heard = heard(&mut socket) => {
                silent_at = Instant::now() + SILENCE;
                match heard {
                    Err(why) => Err(why),
                    Ok(None) => Ok(false),
                    // A console that is slow makes us wait here; the engine then drops notices for it.
                    Ok(Some(frame)) => {
                        let bye = matches!(frame, EngineFrame::Bye { .. });
                        Ok(frames.send(frame).await.is_err() || bye)
                    }
                }
            }
            ask = asks.recv() => match ask {
                None => Ok(true),
                Some((request, command, _)) => {
                    send(&mut socket, &ClientFrame::Ask { request, command }).await.map(|()| false)
                }
            },
            () = frames.closed() => Ok(true),
            _ = pings.tick() => socket.send(Message::Ping(Vec::new().into())).await.map(|()| false).map_err(text),
            () = sleep_until(silent_at) => Err(format!("nothing heard for {} s", SILENCE.as_secs())),
        };
        match done {
            Ok(false) => {}
            Ok(true) => {
                let _gone_already = timeout(HANDSHAKE, socket.close(None)).await;
                return None;
            }
            Err(why) => return Some(why),
        }
    }
}

/// The next frame; `None` for a sign of life.
async fn heard(socket: &mut Socket) -> Result<Option<EngineFrame>, String> {
    match socket.next().await {
        None | Some(Ok(Message::Close(_))) => Err("the engine hung up".into()),
        Some(Err(error)) => Err(text(error)),
        Some(Ok(Message::Text(text))) => serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| format!("that is no frame: {error}")),
        Some(Ok(_)) => Ok(None),
    }
}

async fn send(socket: &mut Socket, frame: &ClientFrame) -> Result<(), String> {
    let json = serde_json::to_string(frame).map_err(|error| error.to_string())?;
    socket.send(Message::text(json)).await.map_err(text)
}

#[allow(clippy::needless_pass_by_value)] // for map_err
fn text(error: Error) -> String {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => "the engine hung up".into(),
        Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}
