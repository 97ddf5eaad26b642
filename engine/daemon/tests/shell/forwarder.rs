//! A forwarder that only exists on its control socket: it answers commands, and its probes find what the test says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lisp_wire::Rloc;
use proto::node::ChangeOutcome;
use proto::{
    Audience, NodeCommand, NodeFrame, NodeReport, ProbeOutcome, ProbeSample, ProbeTarget, ReportFrame,
    SiteName, Span, Timestamp,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::interval;

/// What the probes find, and what was asked.
#[derive(Default)]
struct World {
    rtts: BTreeMap<Rloc, ProbeOutcome>,
    asked: Vec<NodeCommand>,
}

pub(crate) struct FakeForwarder {
    site: SiteName,
    socket: PathBuf,
    world: Arc<Mutex<World>>,
    serving: Option<JoinSet<()>>,
}

impl FakeForwarder {
    /// One that is up. Its probes of anything unsaid find 10 ms.
    pub(crate) fn start(site: &str, socket: &Path) -> Self {
        let mut forwarder = Self {
            site: SiteName::new(site).unwrap(),
            socket: socket.to_owned(),
            world: Arc::default(),
            serving: None,
        };
        forwarder.restart();
        forwarder
    }

    /// Up again, with connections of its own.
    pub(crate) fn restart(&mut self) {
        self.stop();
        let listener = UnixListener::bind(&self.socket).unwrap();
        let (site, world) = (self.site.clone(), Arc::clone(&self.world));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut peers = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                peers.spawn(serve(stream, site.clone(), Arc::clone(&world)));
            }
        });
        self.serving = Some(serving);
    }

    /// Gone: connections break and nobody listens.
    pub(crate) fn stop(&mut self) {
        self.serving = None;
        let _absent = std::fs::remove_file(&self.socket);
    }

    /// From now on its probes of `rloc` are answered after this long.
    pub(crate) fn finds(&self, rloc: Rloc, rtt: Span) {
        self.world
            .lock()
            .unwrap()
            .rtts
            .insert(rloc, ProbeOutcome::Rtt(rtt));
    }

    /// Everything that was asked so far.
    pub(crate) fn asked(&self) -> Vec<NodeCommand> {
        self.world.lock().unwrap().asked.clone()
    }
}

fn now() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64)
}

async fn serve(stream: UnixStream, site: SiteName, world: Arc<Mutex<World>>) {
    let (read, mut write) = stream.into_split();
    let hello = NodeReport::Hello {
        name: site,
        version: "fake".into(),
        rlocs: Vec::new(),
        since: now(),
    };
    if tell(&mut write, None, hello).await.is_ok() {
        let _engine_gone = talk(read, write, &world).await;
    }
}

async fn talk(read: OwnedReadHalf, mut write: OwnedWriteHalf, world: &Mutex<World>) -> std::io::Result<()> {
    let mut lines = BufReader::new(read).lines();
    let mut targets: Vec<ProbeTarget> = Vec::new();
    let mut probes = interval(Duration::from_millis(50));
    loop {
        tokio::select! {
            line = lines.next_line() => {
                let Some(line) = line? else { return Ok(()) };
                let NodeFrame { request, command } = serde_json::from_str(&line).expect("the engine sends frames");
                world.lock().unwrap().asked.push(command.clone());
                for report in answers(&command) {
                    tell(&mut write, Some(request), report).await?;
                }
                if let NodeCommand::Probe { targets: new } = command {
                    probes = interval(new.first().map_or(Duration::from_secs(1), |target| target.interval.to_duration()));
                    targets = new;
                }
            }
            _ = probes.tick(), if !targets.is_empty() => {
                let samples = targets.iter().map(|target| {
                    let found = world.lock().unwrap().rtts.get(&target.rloc).copied();
                    let outcome = found.unwrap_or(ProbeOutcome::Rtt(Span::millis(10)));
                    ProbeSample { target: target.rloc, sent_at: now(), outcome }
                });
                let report = NodeReport::Probes { samples: samples.collect() };
                tell(&mut write, None, report).await?;
            }
        }
    }
}

fn answers(command: &NodeCommand) -> Vec<NodeReport> {
    match command {
        NodeCommand::SetLocators {
            change,
            audience,
            tell,
            ..
        } => {
            let outcome = match (audience, tell) {
                (Audience::Client { rloc }, proto::node::Tell::ChangePriority) => {
                    ChangeOutcome::Acknowledged {
                        client: *rloc,
                        after: Span::millis(3),
                        attempts: 1,
                    }
                }
                _ => ChangeOutcome::Stored,
            };
            vec![
                NodeReport::Done,
                NodeReport::Changed {
                    change: *change,
                    outcome,
                },
            ]
        }
        NodeCommand::Show { .. } => vec![NodeReport::Counters { rows: Vec::new() }],
        NodeCommand::Log { query } => vec![NodeReport::Log(proto::LogPage {
            next: query.after + 7,
            ..proto::LogPage::default()
        })],
        _ => vec![NodeReport::Done],
    }
}

async fn tell(write: &mut OwnedWriteHalf, reply_to: Option<u64>, report: NodeReport) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(&ReportFrame { reply_to, report }).unwrap();
    line.push(b'\n');
    write.write_all(&line).await
}
