//! One xTR that registers everything, and very many that subscribe: on one socket, told apart by their xTR-IDs. What is
//! not answered is said again under a new nonce.

use std::collections::{BTreeSet, HashMap};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use lisp_wire::message::{
    AuthField, Encapsulated, MapNotify, MapRegister, MapRequest, NotifyBits, SiteId, Via, XtrId,
};
use lisp_wire::{
    Action, Algorithm, CONTROL_PORT, EidPrefix, InstanceId, Key, Locator, MappingRecord, Message, Nonce,
    Priority, Rloc, Ttl, Weight,
};
use nix::sys::socket::{setsockopt, sockopt};

use super::server::{ADDRESS, LOAD, PUBLISH, REGISTER, Server};

/// Records in one registration: what fits a datagram of 1,280 bytes.
const RECORDS: u32 = 32;
/// Questions that wait for their answers at the same time.
const WINDOW: usize = 128;
/// What has no answer for this long is said again.
const RETRY: Duration = Duration::from_millis(500);
/// Nothing at all for this long: the node is gone.
const PATIENCE: Duration = Duration::from_secs(30);
/// So that a thousand publications at once find room, bytes.
const BUFFER: usize = 8 << 20;
const XTR: XtrId = XtrId(1);
const DAY: Ttl = Ttl(1440);

/// What is to be said until it is answered.
#[derive(Clone, Copy, Debug)]
enum Job {
    /// The EIDs from this number on.
    Register(u32, u32),
    /// A subscriber's wish, and the EID's number.
    Subscribe(u32, u32),
}

pub(super) struct Load {
    socket: UdpSocket,
    register: Key,
    publish: Key,
    nonce: u64,
    repeated: u64,
    /// Turns over with each change, so that each is one.
    priorities: HashMap<u32, u8>,
    /// How many are subscribed to an EID.
    subscribers: HashMap<u32, u32>,
}

impl Load {
    pub(super) fn connect(server: &Server) -> anyhow::Result<Self> {
        let socket = server.namespace.run(|| UdpSocket::bind((LOAD, CONTROL_PORT)))??;
        socket.connect((ADDRESS, CONTROL_PORT))?;
        socket.set_read_timeout(Some(Duration::from_millis(20)))?;
        // Without the right to, what the system allows must do: what finds no room is said again.
        if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &BUFFER)?;
        }
        let key = |(id, secret): (u8, &str)| Key::new(id, Algorithm::HmacSha256, secret.as_bytes());
        Ok(Self {
            socket,
            register: key(REGISTER)?,
            publish: key(PUBLISH)?,
            nonce: 1,
            repeated: 0,
            priorities: HashMap::new(),
            subscribers: HashMap::new(),
        })
    }

    /// Messages that were said again.
    pub(super) const fn repeated(&self) -> u64 {
        self.repeated
    }

    /// Registers EIDs 0 to `count`; how long that took.
    pub(super) fn register_all(&mut self, count: u32) -> anyhow::Result<Duration> {
        let firsts = (0..count).step_by(RECORDS as usize);
        self.work(firsts.map(|first| Job::Register(first, RECORDS.min(count - first))))
    }

    /// All `subscribers` subscribe to EID 0, and in turn to the others until there are `count` subscriptions.
    pub(super) fn subscribe_all(
        &mut self,
        count: u32,
        subscribers: u32,
        eids: u32,
    ) -> anyhow::Result<Duration> {
        ensure!(
            (subscribers..=subscribers.saturating_mul(eids)).contains(&count),
            "{count} subscriptions of {subscribers} subscribers to {eids} EIDs: give from {subscribers} to {}",
            u64::from(subscribers) * u64::from(eids)
        );
        let place = move |number: u32| {
            let (round, subscriber) = (number / subscribers, number % subscribers);
            // Spread over the EIDs; in each round a subscriber has another.
            let others = u64::from(eids.saturating_sub(1).max(1));
            let eid = match round {
                0 => 0,
                _ => 1 + ((u64::from(number) - u64::from(subscribers)) % others) as u32,
            };
            (subscriber, eid)
        };
        for number in 0..count {
            *self.subscribers.entry(place(number).1).or_default() += 1;
        }
        self.work((0..count).map(|number| {
            let (subscriber, eid) = place(number);
            Job::Subscribe(subscriber, eid)
        }))
    }

    /// Changes the mapping of an EID; how long until its last subscriber has it, or, if it has none, until it is taken.
    pub(super) fn change(&mut self, eid: u32) -> anyhow::Result<Duration> {
        let expected = self.subscribers.get(&eid).copied().unwrap_or_default();
        let priority = self.priorities.entry(eid).or_insert(1);
        *priority = *priority % 250 + 1;
        let prefix = prefix(eid)?;
        let began = Instant::now();
        let nonce = self.say(Job::Register(eid, 1))?;
        let mut told = BTreeSet::new();
        let mut taken = false;
        while !taken || (told.len() as u32) < expected {
            ensure!(
                began.elapsed() < PATIENCE,
                "EID {eid}: {} of {expected} subscribers told after {PATIENCE:?}",
                told.len()
            );
            let Some(notify) = self.hear()? else { continue };
            taken |= notify.nonce == nonce;
            let of_change = notify.records.iter().any(|record| record.eid == prefix);
            if let (true, Some((xtr, _))) = (of_change && notify.nonce != nonce, notify.xtr) {
                told.insert(xtr);
            }
        }
        Ok(began.elapsed())
    }

    /// Says everything, and again what is not answered.
    fn work(&mut self, jobs: impl Iterator<Item = Job>) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let mut jobs = jobs.peekable();
        let mut open: HashMap<Nonce, (Job, Instant)> = HashMap::new();
        let mut heard_at = began;
        while jobs.peek().is_some() || !open.is_empty() {
            while open.len() < WINDOW
                && let Some(job) = jobs.next()
            {
                open.insert(self.say(job)?, (job, Instant::now()));
            }
            if let Some(notify) = self.hear()? {
                heard_at = Instant::now();
                open.remove(&notify.nonce);
            } else {
                let late = |(_, (_, at)): &(&Nonce, &(Job, Instant))| at.elapsed() > RETRY;
                let late: Vec<Nonce> = open.iter().filter(late).map(|(nonce, _)| *nonce).collect();
                for nonce in late {
                    if let Some((job, _)) = open.remove(&nonce) {
                        self.repeated += 1;
                        open.insert(self.say(job)?, (job, Instant::now()));
                    }
                }
            }
            ensure!(heard_at.elapsed() < PATIENCE, "the node has fallen silent");
        }
        Ok(began.elapsed())
    }

    /// Sends a job's message; its nonce, each above the one before.
    fn say(&mut self, job: Job) -> anyhow::Result<Nonce> {
        self.nonce += 1 << 20;
        let nonce = Nonce(self.nonce);
        let mut bytes = Vec::new();
        match job {
            Job::Register(first, count) => {
                let records = (first..first + count).map(|number| self.record(number));
                let message = MapRegister {
                    nonce,
                    proxy_reply: true,
                    want_notify: true,
                    merge: false,
                    use_ttl: true,
                    auth: unsigned(),
                    records: records.collect::<anyhow::Result<_>>()?,
                    xtr: Some((XTR, SiteId(0))),
                };
                Message::MapRegister(message).emit_signed(&self.register, &mut bytes)?;
            }
            Job::Subscribe(subscriber, eid) => {
                let eid = prefix(eid)?;
                let request = MapRequest {
                    nonce,
                    authoritative: false,
                    probe: false,
                    solicit: false,
                    invoked: false,
                    proxy_itr: false,
                    no_reply: false,
                    source_eid: None,
                    itr_rlocs: vec![Rloc(LOAD)],
                    eids: vec![eid],
                    map_reply: None,
                    notify: NotifyBits::FIRST,
                    xtr: Some((XtrId(1000 + u128::from(subscriber)), SiteId(0))),
                };
                let mut inner = Vec::new();
                Message::MapRequest(request).emit(&mut inner)?;
                let envelope = Encapsulated {
                    source: SocketAddr::new(LOAD, CONTROL_PORT),
                    destination: eid.address(),
                    ddt_originated: false,
                    via: Via::Nobody,
                    message: inner,
                };
                Message::Encapsulated(envelope).emit(&mut bytes)?;
            }
        }
        self.socket.send(&bytes).context("sending to the node")?;
        Ok(nonce)
    }

    /// A Map-Notify, acknowledged if it is a subscriber's; `None` if there was none for a moment.
    fn hear(&mut self) -> anyhow::Result<Option<MapNotify>> {
        let mut buffer = [0; 2048];
        let length = match self.socket.recv(&mut buffer) {
            Ok(length) => length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(None);
            }
            Err(error) => return Err(error).context("the node cannot be heard"),
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        let notify = match Message::parse(bytes)? {
            Message::MapNotify(notify) => notify,
            other => bail!("the node does not subscribe us, it says {other:?}"),
        };
        if notify.xtr.is_some_and(|(xtr, _)| xtr != XTR) {
            lisp_wire::verify(bytes, std::slice::from_ref(&self.publish))?;
            let mut bytes = Vec::new();
            let acknowledgement = Message::MapNotifyAck(notify.acknowledgement());
            acknowledgement.emit_signed(&self.publish, &mut bytes)?;
            self.socket.send(&bytes).context("acknowledging")?;
        }
        Ok(Some(notify))
    }

    fn record(&self, number: u32) -> anyhow::Result<MappingRecord> {
        let priority = self.priorities.get(&number).copied().unwrap_or(1);
        Ok(MappingRecord {
            ttl: DAY,
            eid: prefix(number)?,
            action: Action::NoAction,
            authoritative: true,
            map_version: 0,
            locators: vec![Locator::unicast(Rloc(LOAD), Priority(priority), Weight(100))],
        })
    }
}

/// 10.0.0.0 and on.
fn prefix(number: u32) -> anyhow::Result<EidPrefix> {
    let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 0)) + number);
    Ok(EidPrefix::new(InstanceId::DEFAULT, address.into(), 32)?)
}

fn unsigned() -> AuthField {
    AuthField {
        key_id: 0,
        algorithm: Algorithm::None,
        mac: Vec::new(),
    }
}
