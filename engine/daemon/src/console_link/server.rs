//! The engine's side.

use std::collections::VecDeque;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{SinkExt, StreamExt};
use proto::{Actor, ClientFrame, EngineFrame, PROTOCOL};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, interval, sleep_until, timeout};
use tokio_tungstenite::tungstenite::handshake::server::{Callback, ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{StatusCode, header};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::{ConsoleLinkError, Endpoint, HANDSHAKE, MAX_FROM_CLIENT, PING_EVERY, SILENCE, Token, limits};
use crate::attachment::Attachment;
use crate::paths::StateDir;
use crate::shell::{self, Arrival};

/// Consoles at a time; one more is hung up on.
const MAX_CONSOLES: usize = 32;

/// Connections that have not shown the token yet. Any user of this host can make them: for one more, the oldest goes.
const MAX_STRANGERS: usize = 64;

pub(crate) struct Server {
    listener: TcpListener,
    token: Arc<Token>,
    endpoint: Endpoint,
    /// Removed when the server goes, and before another engine may take the folder.
    _file: EndpointFile,
    _state: Arc<StateDir>,
}

impl Server {
    /// Listens, and leaves token and endpoint files for those who want to attach.
    pub(crate) async fn bind(address: SocketAddr, state: Arc<StateDir>) -> Result<Self, ConsoleLinkError> {
        if !address.ip().is_loopback() {
            return Err(ConsoleLinkError::NotLoopback { address });
        }
        let paths = state.paths();
        let token = Token::keep(&paths.token())?;
        let bind = |source| ConsoleLinkError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let url = format!("ws://{}/", listener.local_addr().map_err(bind)?);
        let file = EndpointFile(paths.endpoint());
        fs::write(&file.0, format!("{url}\n")).map_err(|source| ConsoleLinkError::File {
            doing: "write",
            path: file.0.clone(),
            source,
        })?;
        let endpoint = Endpoint {
            url,
            token: paths.token(),
        };
        Ok(Self {
            listener,
            token: Arc::new(token),
            endpoint,
            _file: file,
            _state: state,
        })
    }

    pub(crate) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Serves consoles until the shell is gone.
    pub(crate) async fn run(self, arrivals: mpsc::Sender<Arrival>) {
        let mut consoles = JoinSet::new();
        let mut strangers = Strangers::default();
        loop {
            tokio::select! {
                () = arrivals.closed() => break,
                Some(_) = consoles.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) if consoles.len().saturating_sub(strangers.count()) < MAX_CONSOLES => {
                        let (token, arrivals) = (Arc::clone(&self.token), arrivals.clone());
                        let known = Arc::new(AtomicBool::new(false));
                        let gate = Gate { token, known: Arc::clone(&known) };
                        let task = consoles.spawn(async move {
                            if let Err(why) = serve(stream, gate, &arrivals).await {
                                tracing::info!(%peer, %why, "console let go");
                            }
                        });
                        strangers.enter(Stranger { task, known });
                    }
                    Ok((_, peer)) => tracing::warn!(%peer, "console refused: {MAX_CONSOLES} are connected"),
                    Err(error) => {
                        // Out of file descriptors, mostly: give others time to close some.
                        tracing::warn!(%error, "cannot accept a console");
                        tokio::time::sleep(PING_EVERY / 10).await;
                    }
                },
            }
        }
        // Each has a goodbye to pass on.
        while consoles.join_next().await.is_some() {}
    }
}

/// Connections in the order they came, until they show the token.
#[derive(Default)]
struct Strangers(VecDeque<Stranger>);

struct Stranger {
    task: AbortHandle,
    known: Arc<AtomicBool>,
}

impl Strangers {
    fn count(&mut self) -> usize {
        self.0
            .retain(|stranger| !stranger.task.is_finished() && !stranger.known.load(Ordering::Relaxed));
        self.0.len()
    }

    fn enter(&mut self, stranger: Stranger) {
        if self.count() >= MAX_STRANGERS
            && let Some(oldest) = self.0.pop_front()
        {
            oldest.task.abort();
        }
        self.0.push_back(stranger);
    }
}

struct EndpointFile(PathBuf);

impl Drop for EndpointFile {
    fn drop(&mut self) {
        let _gone_already = fs::remove_file(&self.0);
    }
}

/// Why a console was let go.
#[derive(Debug, thiserror::Error)]
enum Parting {
    #[error("it did not greet within {} s", HANDSHAKE.as_secs())]
    NoGreeting,
    #[error("it hung up")]
    HungUp,
    #[error("nothing heard for {} s", SILENCE.as_secs())]
    Silent,
    #[error("it reads nothing")]
    Stuck,
    #[error("{0}")]
    Misspoke(String),
    #[error("the engine has ended")]
    EngineGone,
    #[error(transparent)]
    Socket(#[from] Box<Error>),
}

impl From<Error> for Parting {
    fn from(error: Error) -> Self {
        Self::Socket(Box::new(error))
    }
}

type Socket = WebSocketStream<TcpStream>;

async fn serve(stream: TcpStream, gate: Gate, arrivals: &mpsc::Sender<Arrival>) -> Result<(), Parting> {
    let _only_slower_without = stream.set_nodelay(true);
    let accepting = accept_hdr_async_with_config(stream, gate, Some(limits(MAX_FROM_CLIENT)));
    let mut socket = timeout(HANDSHAKE, accepting)
        .await
        .map_err(|_| Parting::NoGreeting)??;
    let greeted = timeout(HANDSHAKE, greeting(&mut socket))
        .await
        .unwrap_or(Err(Parting::NoGreeting));
    let served = match greeted {
        Ok(operator) => talk(&mut socket, Actor::Operator { name: operator }, arrivals).await,
        Err(parting) => Err(parting),
    };
    if let Err(parting @ (Parting::Misspoke(_) | Parting::NoGreeting | Parting::EngineGone)) = &served {
        let _gone_already = send(
            &mut socket,
            &EngineFrame::Bye {
                why: parting.to_string(),
            },
        )
        .await;
    }
    let _gone_already = timeout(HANDSHAKE, socket.close(None)).await;
    served
}

/// Decides on the HTTP request, before anything is upgraded.
struct Gate {
    token: Arc<Token>,
    /// Set once the token was shown.
    known: Arc<AtomicBool>,
}

impl Callback for Gate {
    fn on_request(self, request: &Request, response: Response) -> Result<Response, ErrorResponse> {
        let headers = request.headers();
        if headers.contains_key(header::ORIGIN) {
            return Err(refusal(
                StatusCode::FORBIDDEN,
                "no browsers: a request with an Origin is refused",
            ));
        }
        let shown = headers
            .get(header::AUTHORIZATION)
            .is_some_and(|value| self.token.is_shown(value.as_bytes()));
        if shown {
            self.known.store(true, Ordering::Relaxed);
            Ok(response)
        } else {
            Err(refusal(StatusCode::UNAUTHORIZED, "show the token of this engine"))
        }
    }
}

fn refusal(status: StatusCode, why: &str) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(format!("{why}\n")));
    *response.status_mut() = status;
    response
}

async fn greeting(socket: &mut Socket) -> Result<String, Parting> {
    match heard(socket).await? {
        Some(ClientFrame::Hello { protocol, .. }) if protocol != PROTOCOL => Err(Parting::Misspoke(format!(
            "the console speaks protocol {protocol}, this engine {PROTOCOL}; use the same version of both"
        ))),
        Some(ClientFrame::Hello { operator, .. }) => {
            proto::text::operator(&operator).map_err(Parting::Misspoke)?;
            Ok(operator)
        }
        Some(ClientFrame::Ask { .. }) | None => {
            Err(Parting::Misspoke("the first frame must be a hello".into()))
        }
    }
}

async fn talk(socket: &mut Socket, operator: Actor, arrivals: &mpsc::Sender<Arrival>) -> Result<(), Parting> {
    let Attachment { mut frames, ask } = shell::attach(arrivals).await.map_err(|_| Parting::EngineGone)?;
    let mut pings = interval(PING_EVERY);
    let mut silent_at = Instant::now() + SILENCE;
    loop {
        tokio::select! {
            frame = frames.recv() => match frame {
                // The channel ends without goodbye only if the engine was killed.
                None => return Err(Parting::EngineGone),
                Some(frame) => {
                    send(socket, &frame).await?;
                    if matches!(frame, EngineFrame::Bye { .. }) {
                        return Ok(());
                    }
                }
            },
            heard = heard(socket) => {
                silent_at = Instant::now() + SILENCE;
                match heard? {
                    Some(ClientFrame::Ask { request, command }) => {
                        let asked = ask.send((request, command, operator.clone())).await;
                        asked.map_err(|_| Parting::EngineGone)?;
                    }
                    Some(ClientFrame::Hello { .. }) => return Err(Parting::Misspoke("a second hello".into())),
                    None => {}
                }
            }
            _ = pings.tick() => written(socket, Message::Ping(Vec::new().into())).await?,
            () = sleep_until(silent_at) => return Err(Parting::Silent),
        }
    }
}

/// The next frame; `None` for a sign of life.
async fn heard(socket: &mut Socket) -> Result<Option<ClientFrame>, Parting> {
    match socket.next().await.ok_or(Parting::HungUp)?? {
        Message::Text(text) => {
            let frame = serde_json::from_str(&text);
            frame
                .map(Some)
                .map_err(|error| Parting::Misspoke(format!("that is no frame: {error}")))
        }
        Message::Binary(_) => Err(Parting::Misspoke("frames are text".into())),
        Message::Close(_) => Err(Parting::HungUp),
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(None),
    }
}

async fn send(socket: &mut Socket, frame: &EngineFrame) -> Result<(), Parting> {
    let text = serde_json::to_string(frame).map_err(|error| Parting::Misspoke(error.to_string()))?;
    written(socket, Message::text(text)).await
}

/// While a console reads nothing its notices are dropped in the shell; only one that is stuck for long is let go.
async fn written(socket: &mut Socket, message: Message) -> Result<(), Parting> {
    timeout(SILENCE * 2, socket.send(message))
        .await
        .map_err(|_| Parting::Stuck)??;
    Ok(())
}
