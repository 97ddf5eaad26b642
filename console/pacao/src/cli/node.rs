//! `pacao ctl node`

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use lisp_wire::{EidPrefix, InstanceId, MessageKind};
use proto::{Direction, Span};

const EXAMPLES: &str = "\
Examples:
  pacao ctl node telco map-cache --eid 10.1.0.7      what is known of one EID
  pacao ctl node /run/pacao/ms.sock registrations    who has registered what, and when it is due again
  pacao ctl node ms subscriptions --json             one JSON object with all rows
  pacao ctl node telco counters --dropped            every reason a packet or message was dropped for
  pacao ctl node telco log --eid '[7]10.1.0.0/16' --type map-register,map-notify
  pacao ctl node telco log --refused --full          what was refused and why, field by field
  pacao ctl node telco log --follow --json           one JSON object a line, as it happens
  pacao ctl node telco prepare 10.1.0.7/32 --to 172.16.0.2   before the VM moves to the site with that locator
  pacao ctl node telco capture --to telco.pcapng --seconds 30
  pacao ctl node telco reload                        read its configuration file anew
  pacao ctl node telco pin 10.2.0.0/16 172.16.1.1 --ttl 10m    and: unpin 10.2.0.0/16

A name stands for /run/pacao/NAME.sock, or NAME.sock in pacao's part of $XDG_RUNTIME_DIR.
Exit codes: 0 answered (nothing to show is an answer), 1 the forwarder refused, 2 it could not be asked.";

/// `pacao ctl node`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct NodeArgs {
    /// The forwarder: its control socket, or the name of its site.
    pub node: PathBuf,
    /// What to ask, or to have done.
    #[command(subcommand)]
    pub ask: NodeAsk,
}

/// What to ask of a forwarder.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeAsk {
    /// Mappings of others: locators, whether they answer, packets, time left, origin.
    MapCache(RowArgs),
    /// Mappings registered here (Map-Server): by whom, age, time left, when they are due again.
    Registrations(RowArgs),
    /// This node's own EIDs at its Map-Servers: acknowledged when, due when.
    OwnRegistrations(RowArgs),
    /// This node's own EIDs and what single clients are told of them.
    Database(RowArgs),
    /// Who asked for which own EID lately, how long that counts, and how they are told of changes.
    Requesters(RowArgs),
    /// Who is subscribed to mappings here (Map-Server, RFC 9437).
    Subscriptions(RowArgs),
    /// The mappings that this node is subscribed to elsewhere (RFC 9437).
    Subscribed(RowArgs),
    /// Probed locators and their figures.
    Probes,
    /// Packets and messages by fate.
    Counters(CounterArgs),
    /// Control messages sent and received, in words, with what became of each.
    Log(LogArgs),
    /// Read the configuration file anew. Keys, servers and sites count at once; one that is wrong changes nothing.
    Reload,
    /// An EID has just arrived at this site: it becomes the entry, the group and the Map-Servers are told.
    Arrived(ArrivedArgs),
    /// Put a mapping into the map cache by hand; nothing that is heard changes it until it ends.
    Pin(PinArgs),
    /// Take a mapping out of the map cache, whether by hand or not: the next packet asks anew.
    Unpin(UnpinArgs),
    /// Write the node's own control messages into a pcapng file for tshark or Wireshark.
    Capture(CaptureArgs),
    /// Before an EID moves away from here: hand its clients, keys and mappings to the site it will come to, and wait
    /// until that has them.
    Prepare(PrepareArgs),
    /// The EID has stopped here and is about to run elsewhere: packets for it are sent on and held there, or held here.
    Stopped(EidArgs),
    /// The EID stays after all: forget what was prepared, deliver what was held.
    Abandon(EidArgs),
}

/// An EID that moves.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct EidArgs {
    /// The EID: 10.1.0.7/32.
    pub eid: EidPrefix,
}

/// A move to prepare.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct PrepareArgs {
    /// The EID: 10.1.0.7/32.
    pub eid: EidPrefix,
    /// A locator of the node at the site that it will come to.
    #[arg(long, value_name = "RLOC")]
    pub to: IpAddr,
    /// How long the preparation holds, 1s to 1h.
    #[arg(long = "for", value_name = "TIME", default_value = "300s", value_parser = Span::parse)]
    pub life: Span,
}

/// Which rows of a table.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct RowArgs {
    /// Only EIDs within this block, or blocks around it: 10.1.0.0/16, `[7]10.1.0.7`, 2001:db8::/32.
    #[arg(long, value_name = "PREFIX")]
    pub eid: Option<EidPrefix>,
    /// Stop after so many rows.
    #[arg(long, value_name = "N")]
    pub most: Option<usize>,
}

/// Which counters.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct CounterArgs {
    /// Only reasons for which packets were dropped, or messages refused, and how often; and whether the state is stored.
    #[arg(long)]
    pub dropped: bool,
    /// Those that are zero too.
    #[arg(long)]
    pub all: bool,
}

/// Which messages.
#[derive(Args, Clone, Debug)]
pub(crate) struct LogArgs {
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Go on with what happens, until Ctrl-C.
    #[arg(long, short)]
    pub follow: bool,
    /// Begin with the last so many.
    #[arg(long, value_name = "N")]
    pub last: Option<usize>,
    /// Every field of each message.
    #[arg(long)]
    pub full: bool,
}

/// What messages must be like; all that is given must hold.
#[derive(Args, Clone, Debug)]
pub(crate) struct FilterArgs {
    /// Exchanged with this address.
    #[arg(long, value_name = "ADDRESS")]
    pub peer: Option<IpAddr>,
    /// About an EID within this block, or a block around it; `[IID]` before it names the instance-id.
    #[arg(long, value_name = "PREFIX")]
    pub eid: Option<EidPrefix>,
    /// About EIDs of this instance-id.
    #[arg(long, value_name = "NUMBER", value_parser = instance)]
    pub iid: Option<InstanceId>,
    /// Of these types: map-request, rloc-probe, smr, map-reply, probe-reply, map-register, map-notify,
    /// map-notify-ack, map-referral, info-request, info-reply, ecm, change-priority, extension, unknown.
    #[arg(long = "type", value_name = "TYPE,TYPE", value_delimiter = ',', value_parser = kind)]
    pub kinds: Vec<MessageKind>,
    /// That went this way.
    #[arg(long, value_name = "in|out")]
    pub direction: Option<Way>,
    /// Refused ones alone.
    #[arg(long)]
    pub refused: bool,
    /// No RLOC probes, nor answers to them, that nothing was wrong with.
    #[arg(long)]
    pub no_probes: bool,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// To the node.
    In,
    /// From the node.
    Out,
}

impl From<Way> for Direction {
    fn from(way: Way) -> Self {
        match way {
            Way::In => Self::In,
            Way::Out => Self::Out,
        }
    }
}

/// What to write where.
#[derive(Args, Clone, Debug)]
pub(crate) struct CaptureArgs {
    /// A new file, readable by you alone; - for standard output.
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
    #[command(flatten)]
    pub filter: FilterArgs,
    /// End after so long. What was written is whole at any time, so Ctrl-C is fine too.
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// End after so many messages.
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub packets: u64,
    /// Begin with what the node still remembers.
    #[arg(long)]
    pub past: bool,
}

/// What has arrived.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ArrivedArgs {
    /// One of the node's own EIDs, exactly as in its configuration.
    #[arg(value_name = "EID")]
    pub eid: EidPrefix,
}

/// A mapping by hand.
#[derive(Args, Clone, Debug)]
pub(crate) struct PinArgs {
    /// Which EIDs.
    #[arg(value_name = "EID")]
    pub eid: EidPrefix,
    /// Where they are, the best first.
    #[arg(value_name = "RLOC", required = true, num_args = 1..=32)]
    pub rlocs: Vec<IpAddr>,
    /// For how long, at least 1s.
    #[arg(long, default_value = "10m", value_name = "SPAN", value_parser = Span::parse)]
    pub ttl: Span,
}

/// What is to be forgotten.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct UnpinArgs {
    /// Exactly as the map cache has it.
    #[arg(value_name = "EID")]
    pub eid: EidPrefix,
}

fn kind(text: &str) -> Result<MessageKind, String> {
    let known = MessageKind::ALL.into_iter().find(|kind| kind.name() == text);
    known.ok_or_else(|| {
        let names = MessageKind::ALL.map(MessageKind::name);
        format!("use one of {}", names.join(", "))
    })
}

fn instance(text: &str) -> Result<InstanceId, String> {
    let number = text
        .parse()
        .map_err(|_| "use a number below 16777216".to_owned())?;
    InstanceId::new(number).map_err(|error| error.to_string())
}
