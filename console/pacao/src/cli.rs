//! The command line.

mod node;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use proto::{ActionClass, Mode, Scope, SiteName, TenantName, UserName, VmName};

pub(crate) use node::{
    ArrivedArgs, CaptureArgs, CounterArgs, FilterArgs, LogArgs, NodeArgs, NodeAsk, PinArgs, PrepareArgs,
    RowArgs, UnpinArgs,
};

/// A network operations console: sees every user-to-VM link, decides by which data centre each user should enter.
#[derive(Debug, Parser)]
#[command(
    name = "pacao",
    version,
    about,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show a whole fabric on this machine: a link goes bad, you approve, the traffic moves.
    Demo(DemoArgs),
    /// Run the engine and the console on a session.
    Run(RunArgs),
    /// Run the engine alone: JSON lines on standard output, a WebSocket on loopback for consoles.
    Serve(ServeArgs),
    /// Show the console of an engine that runs already.
    Attach(AttachArgs),
    /// Ask a running engine, or a forwarder, from the command line.
    Ctl(CtlArgs),
    /// Build a session's fabric in network namespaces and keep it until Ctrl-C.
    Lab(LabArgs),
    /// Run a drill with known figures and judge the outcome.
    #[command(subcommand)]
    Drill(Drill),
    /// Measure against a named peer, in one run.
    #[command(subcommand)]
    Bench(Bench),
    /// Repeat the decisions of a recording and say whether they are the same.
    Replay(ReplayArgs),
    /// A country of moving users for a day in virtual time: the figures of the thesis's section 5.4.
    Simulate(SimulateArgs),
    /// Check sessions and layouts: every error with its line and column.
    Check(CheckArgs),
    /// A LISP node of a site, as its own process.
    #[command(disable_help_flag = true)]
    Forwarder(Passed),
    /// The delay line of a lab (started by the lab).
    #[command(hide = true, disable_help_flag = true)]
    DelayLine(Passed),
    /// Ties a program's life to this one's (started by the lab).
    #[command(hide = true, disable_help_flag = true)]
    Guard(Passed),
    /// Traffic of a lab (started by the lab).
    #[command(hide = true, disable_help_flag = true)]
    Traffic(Passed),
}

/// Arguments handed on as they are.
#[derive(Args, Debug)]
pub(crate) struct Passed {
    /// For the program itself.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub args: Vec<std::ffi::OsString>,
}

/// `pacao demo`
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Play without hands: the engine approves by itself.
    #[arg(long)]
    pub auto: bool,
    /// Print lines instead of showing the console (with --auto; otherwise staff decide by `pacao ctl`).
    #[arg(long)]
    pub headless: bool,
    /// Seconds from the start to the stress.
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(5..=3600))]
    pub stress_after: u64,
    /// What the stress adds to the round trip, in milliseconds.
    #[arg(long, default_value_t = 400, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=1900))]
    pub impair: u64,
    /// Seconds from the stress to the end, with --auto or --headless.
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(15..=3600))]
    pub watch: u64,
    /// The session to play, instead of the built-in one; it needs a `lab:` part.
    #[arg(long, value_name = "FILE")]
    pub session: Option<PathBuf>,
    /// Whose link goes bad; default: paris-001, or the session's first user.
    #[arg(long, value_name = "NAME")]
    pub user: Option<UserName>,
    /// Where to keep the recording; default: demo.jsonl in the state directory.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// End with one JSON object of measured checks.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub screen: ScreenArgs,
}

/// How the console looks.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ScreenArgs {
    /// Layout: noc, wall, accounts, compact, policy, node, or a file; default: by the size of the terminal.
    #[arg(long, value_name = "NAME|FILE")]
    pub layout: Option<String>,
}

/// `pacao run`
#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub engine: EngineArgs,
    #[command(flatten)]
    pub screen: ScreenArgs,
}

/// What an engine needs to know.
#[derive(Args, Debug)]
pub(crate) struct EngineArgs {
    /// The session file.
    pub session: PathBuf,
    /// Begin in this mode, whatever the session or the record says.
    #[arg(long, value_parser = mode)]
    pub mode: Option<Mode>,
    /// Where recordings, token and endpoint are kept; default: the state directory of the session.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Begin a new record; the old one is kept beside it. Needed after the session was edited.
    #[arg(long)]
    pub fresh: bool,
    /// Where consoles may connect; loopback only.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
}

/// `pacao serve`
#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub engine: EngineArgs,
    /// End when the process that started this one ends.
    #[arg(long, hide = true)]
    pub die_with_parent: bool,
}

/// Which engine to talk to.
#[derive(Args, Clone, Debug)]
pub(crate) struct EngineAt {
    /// ws://127.0.0.1:PORT; default: the only engine of yours that runs.
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,
    /// The session's name, where several engines run.
    #[arg(long, global = true, value_name = "NAME")]
    pub session: Option<String>,
    /// State directory, as given to the engine: endpoint and token are read there.
    #[arg(long, global = true, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// File with the token; needed where the engine's state directory cannot be read.
    #[arg(long, global = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// `pacao attach`
#[derive(Args, Debug)]
pub(crate) struct AttachArgs {
    /// ws://127.0.0.1:PORT, as `serve` printed it; default: the only engine of yours that runs.
    #[arg(value_name = "URL")]
    pub at: Option<String>,
    #[command(flatten)]
    pub engine: EngineAt,
    #[command(flatten)]
    pub screen: ScreenArgs,
}

/// `pacao ctl`
#[derive(Args, Debug)]
pub(crate) struct CtlArgs {
    #[command(flatten)]
    pub engine: EngineAt,
    /// One JSON value instead of a table.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to ask.
    #[command(subcommand)]
    pub ask: Ask,
}

/// What to ask.
#[derive(Debug, Subcommand)]
pub(crate) enum Ask {
    /// Every user and data centre: RTT, jitter, loss, state.
    Links,
    /// Locators of each user's view of each VM: priority and weight.
    Rlocs,
    /// Proposals, open ones first.
    Proposals,
    /// The event log.
    Log,
    /// Approve a proposal. Without --revision: as it stands now.
    Approve(DecideArgs),
    /// Reject a proposal.
    Reject(DecideArgs),
    /// Make a user enter by another data centre.
    Switch {
        /// The user.
        user: UserName,
        /// The VM.
        vm: VmName,
        /// The data centre.
        to: SiteName,
        /// In spite of rules, windows and budgets; the reason goes on the record.
        #[arg(long, value_name = "REASON")]
        break_glass: Option<String>,
    },
    /// Why a user is not moved: every condition, what would flip it, and what else could be done.
    Why {
        /// The user.
        user: UserName,
        /// The VM; the only one, or the first, by default.
        #[arg(long)]
        vm: Option<VmName>,
        /// The data centre asked about; the best other one by default.
        #[arg(long)]
        to: Option<SiteName>,
    },
    /// How long VMs, locators and users' entries could be reached: downtime, nines, budgets, penalties.
    Availability {
        /// The calendar's week and year (UTC) instead of the last 7 and 365 days.
        #[arg(long)]
        calendar: bool,
        /// One line for each subject and horizon, values separated by commas.
        #[arg(long, conflicts_with_all = ["json", "calendar"])]
        csv: bool,
    },
    /// What users say of their sessions: give a score, or see what is learnt of all.
    Qoe(QoeArgs),
    /// Show the mode, or set it: of everything, or of a part of the fabric. The most specific wins.
    Mode {
        /// observe, recommend or auto; `inherit` takes back what was set for a part.
        #[arg(value_parser = mode_or_inherit)]
        mode: Option<ModeWord>,
        #[command(flatten)]
        part: PartArgs,
    },
    /// What policy allows now: arming, modes, budgets, flap ledger, drains, windows.
    Policy,
    /// Move nothing, until `arm`; over restarts.
    Disarm {
        /// Let hands move things; only the engine moves nothing by itself.
        #[arg(long)]
        ignore: bool,
    },
    /// Take up moving again.
    Arm,
    /// Move everybody off a data centre, within the budgets, and let nobody in.
    Drain {
        /// The data centre.
        dc: SiteName,
    },
    /// Let a data centre be entered again.
    Undrain {
        /// The data centre.
        dc: SiteName,
    },
    /// Forget the flaps of an entry (--vm) or of a locator (--dc), so that it is no longer suppressed.
    Forgive {
        /// The user.
        user: UserName,
        /// Of the user's entry to this VM.
        #[arg(long, required_unless_present = "dc", conflicts_with = "dc")]
        vm: Option<VmName>,
        /// Of this data centre's locator as the user reaches it.
        #[arg(long)]
        dc: Option<SiteName>,
    },
    /// What the engine has earned to do by itself: the record of each class of actions, and how it stands.
    Autonomy {
        /// Change how a class stands.
        #[command(subcommand)]
        change: Option<AutonomyAsk>,
    },
    /// Ask a forwarder over its control socket: its tables, its message log, a capture.
    Node(NodeArgs),
}

/// `pacao ctl qoe`
#[derive(Args, Debug)]
pub(crate) struct QoeArgs {
    /// The user whose session it was, or `report`: where bounds and satisfaction disagree.
    #[arg(value_name = "USER|report")]
    pub user: UserName,
    /// 1 bad, 2 poor, 3 fair, 4 good, 5 excellent; needed unless the report is asked for.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=5))]
    pub score: Option<u8>,
    /// The VM; the only one, or the first, by default.
    #[arg(long)]
    pub vm: Option<VmName>,
    /// When the session ended: 2026-03-02T13:05:00Z, or how long ago, like 10m; an hour at most. Default: now.
    #[arg(long, value_name = "TIME", value_parser = crate::ctl::qoe::moment)]
    pub at: Option<proto::Timestamp>,
    /// How long it was; figures of that time are what the score is held against.
    #[arg(long, default_value = "5m", value_name = "LENGTH", value_parser = proto::Span::parse)]
    pub lasted: proto::Span,
    /// In words.
    #[arg(long, default_value = "")]
    pub note: String,
    /// An id of yours: the same one again is the same score, and counts once.
    #[arg(long, value_name = "ID")]
    pub request: Option<String>,
}

/// A part of the fabric; none is everything.
#[derive(Args, Debug)]
#[group(multiple = false)]
pub(crate) struct PartArgs {
    /// Who enters, or is to enter, by this data centre.
    #[arg(long)]
    pub dc: Option<SiteName>,
    /// Users and VMs of this tenant.
    #[arg(long)]
    pub tenant: Option<TenantName>,
    /// Entries to this VM.
    #[arg(long)]
    pub vm: Option<VmName>,
    /// Entries of this user.
    #[arg(long)]
    pub user: Option<UserName>,
}

impl PartArgs {
    /// As a scope; everything if no part is named.
    pub(crate) fn scope(&self) -> Scope {
        let dc = self.dc.clone().map(|dc| Scope::Dc { dc });
        let tenant = self.tenant.clone().map(|tenant| Scope::Tenant { tenant });
        let vm = self.vm.clone().map(|vm| Scope::Vm { vm });
        let user = self.user.clone().map(|user| Scope::User { user });
        dc.or(tenant).or(vm).or(user).unwrap_or(Scope::All)
    }
}

/// `pacao ctl autonomy ...`
#[derive(Debug, Subcommand)]
pub(crate) enum AutonomyAsk {
    /// Hold a class of actions where it is, whatever its record: at recommend, or at auto as far as modes let it.
    Pin {
        /// Such as switch/rtt/interactive.
        class: ActionClass,
        /// recommend or auto.
        #[arg(value_parser = mode, default_value = "recommend")]
        at: Mode,
    },
    /// Let a pinned class go by its record again.
    Unpin {
        /// Such as switch/rtt/interactive.
        class: ActionClass,
    },
    /// Forget that a class has fallen, and what it fell for.
    Forgive {
        /// Such as switch/rtt/interactive.
        class: ActionClass,
    },
}

/// A mode, or none of one's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModeWord {
    /// This one.
    Set(Mode),
    /// As the session, or what is around it, has it.
    Inherit,
}

/// Which proposal.
#[derive(Args, Debug)]
pub(crate) struct DecideArgs {
    /// Its number.
    pub proposal: u64,
    /// Refuse if the proposal is at another revision.
    #[arg(long)]
    pub revision: Option<u32>,
    /// Approve in spite of rules, windows and budgets; the reason goes on the record.
    #[arg(long, value_name = "REASON")]
    pub break_glass: Option<String>,
}

/// `pacao lab`
#[derive(Args, Debug)]
pub(crate) struct LabArgs {
    /// A session with a `lab:` part.
    pub session: PathBuf,
}

/// `pacao drill`
#[derive(Debug, Subcommand)]
pub(crate) enum Drill {
    /// Table 5.1 of the thesis: a download, the user's link is stressed, the entry moves (or not).
    #[command(name = "table-5-1")]
    Table51(Table51Args),
    /// A user's router changes its address again and again while it and its peers talk: who follows, how soon, at what loss.
    Roaming(RoamingArgs),
}

/// `pacao drill roaming`
#[derive(Args, Debug)]
pub(crate) struct RoamingArgs {
    /// How often the router moves.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub moves: u8,
    /// One JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

/// `pacao drill table-5-1`
#[derive(Args, Debug)]
pub(crate) struct Table51Args {
    /// What the stress adds to the round trip, milliseconds, one run each.
    #[arg(long, value_delimiter = ',', default_values_t = [100_u64, 200, 400, 1000], value_name = "MS,MS..")]
    pub impair: Vec<u64>,
    /// legacy: the RLOC stays. pacao1: the engine switches. undisturbed runs are always measured beside them.
    #[arg(long, value_delimiter = ',', default_values = ["legacy", "pacao1"], value_name = "MODE,MODE")]
    pub mode: Vec<DrillMode>,
    /// Divide all times of the table (450 s, S' = 10 s) by this.
    #[arg(long, default_value_t = 10.0, value_name = "FACTOR")]
    pub compress: f64,
    /// Kill the engine (-9) half-way through the stress and start another on its record.
    #[arg(long)]
    pub kill_engine: bool,
    /// Write the report, with the volume over time, here.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// One JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Who chooses the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DrillMode {
    /// Nobody: the locator is fixed.
    Legacy,
    /// The engine, by RLOC switching.
    Pacao1,
}

/// `pacao bench`
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Countries of users placed at data centres, congestion-aware, with a proof (5.4)-(5.9).
    Assign(AssignArgs),
    /// One user's decision over 64 data centres by (5.1)-(5.3): nanoseconds with 4 criteria and with all 9.
    Decide(BenchDecideArgs),
    /// 100,000 links a second through the monitor: share of a core, bytes a link.
    Monitor(BenchMonitorArgs),
    /// One TCP stream and 64-byte UDP between two sites, beside other tunnels, interleaved.
    Forward(ForwardArgs),
    /// An EID moves from one data centre to another: what it costs each client, by the way they are told.
    Handover(HandoverArgs),
    /// One Map-Server with very many registrations and subscriptions: memory, and how soon a change reaches everybody.
    Pubsub(BenchPubSubArgs),
}

/// `pacao bench pubsub`
#[derive(Args, Debug)]
pub(crate) struct BenchPubSubArgs {
    /// EIDs, each registered as a mapping of its own.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub registrations: u32,
    /// Subscriptions in all: every subscriber has one to the first EID, the others are spread.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub subscriptions: u32,
    /// Subscribers, each an xTR-ID of its own.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub subscribers: u32,
    /// One JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

/// `pacao bench handover`
#[derive(Args, Debug)]
pub(crate) struct HandoverArgs {
    /// How clients are told: smr (they are solicited to ask anew), cp (Change-Priority), pubsub (by the Map-Server).
    #[arg(long, value_delimiter = ',', default_values = ["smr", "cp", "pubsub"], value_name = "WAY,WAY")]
    pub way: Vec<HandoverWay>,
    /// The round trips between the sites.
    #[arg(long, default_value = "table-4-1")]
    pub rtts: HandoverRtts,
    /// Where the Map-Server stands: in Denmark as in the thesis (round trips estimated), or beside LIP6.
    #[arg(long, default_value = "denmark")]
    pub map_server: MapServerPlace,
    /// Moves for each way.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub runs: u32,
    /// A probe every millisecond instead of every 20 ms.
    #[arg(long)]
    pub fine: bool,
    /// One JSON object on standard output.
    #[arg(long)]
    pub json: bool,
    /// Write boxplots and distributions here, one SVG file a measure.
    #[arg(long, value_name = "DIR")]
    pub svg: Option<PathBuf>,
}

/// How clients learn that an EID has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HandoverWay {
    /// Solicit-Map-Request.
    Smr,
    /// Change-Priority.
    Cp,
    /// Publish/subscribe (RFC 9437).
    Pubsub,
    /// The clients are handed to the destination before the move.
    Prepared,
}

/// Round trips between the sites of a handover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HandoverRtts {
    /// Table 4.1 of the thesis.
    #[value(name = "table-4-1")]
    Table41,
}

/// Where the Map-Server of a handover stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MapServerPlace {
    /// Where the thesis's was: everybody's news of a change travel over Denmark.
    Denmark,
    /// 1 ms from LIP6, and as far from the others as LIP6 is.
    Near,
}

impl MapServerPlace {
    /// As on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Denmark => "denmark",
            Self::Near => "near",
        }
    }
}

/// `pacao bench assign`
#[derive(Args, Debug)]
pub(crate) struct AssignArgs {
    /// Users of the country.
    #[arg(long, default_value_t = 36_450, value_parser = clap::value_parser!(u32).range(1..=4_000_000))]
    pub users: u32,
    /// Data centres, where users are.
    #[arg(long, default_value_t = 64, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub dcs: usize,
    /// How hard: room and latency bound.
    #[arg(long, default_value = "all")]
    pub regime: AssignRegime,
    /// The same seed makes the same country.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Processor seconds for each regime; without it 1 up to 36,450 users, 30 above.
    #[arg(long, value_name = "SECONDS")]
    pub budget: Option<f64>,
    /// Threads; without it 1 up to 36,450 users, 2 above. What comes out of the same work does not depend on them.
    #[arg(long, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=64))]
    pub threads: Option<usize>,
    /// Then also change a little, with a price on moves: a handover, latencies, a failed site.
    #[arg(long)]
    pub online: bool,
    /// Then also several paths for each user, (6.1)-(6.2): T_u by the latency averaged over them, or by the worst one used.
    #[arg(long, value_name = "READING")]
    pub multipath: Option<AssignReading>,
    /// Write each country and its plan here, REGIME.json, as tests/judge/verify.py and level.py read them.
    #[arg(long, value_name = "DIR")]
    pub write: Option<PathBuf>,
    /// One JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

/// What T_u of a user with several paths is defined on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AssignReading {
    /// The latency averaged over the shares: a path in time makes up for one that is late.
    Averaged,
    /// The worst path that carries anything.
    Worst,
}

/// How hard it is to place everybody in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AssignRegime {
    /// Room for twice the users, 58 ms.
    Strict,
    /// Room for twice the users, 48 ms.
    Tight,
    /// Room for twice the users, 44 ms.
    T44,
    /// Room for 1.3 times the users, 58 ms.
    Busy,
    /// Room for 1.1 times the users, 58 ms.
    Over,
    /// Sites of all sizes with loads of their own; room for 1.4 times the users, 58 ms.
    Het,
    /// Each in turn.
    All,
}

impl AssignRegime {
    /// Whether the regime of this name is meant.
    pub(crate) fn takes(self, name: &str) -> bool {
        self == Self::All
            || self
                .to_possible_value()
                .is_some_and(|value| value.matches(name, false))
    }
}

/// `pacao bench decide`
#[derive(Args, Debug)]
pub(crate) struct BenchDecideArgs {
    /// Data centres to choose from.
    #[arg(long, default_value_t = 64, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub dcs: usize,
    /// Rounds of 4,096 decisions; the median round is judged.
    #[arg(long, default_value_t = 51, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rounds: u32,
    /// One JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

/// `pacao bench monitor`
#[derive(Args, Debug)]
pub(crate) struct BenchMonitorArgs {
    /// Users; each is watched from each data centre.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub users: u32,
    /// Data centres.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub dcs: u8,
    /// Rounds in which every link is probed once, half a second apart.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,
    /// One JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

/// `pacao bench forward`
#[derive(Args, Debug)]
pub(crate) struct ForwardArgs {
    /// Peers to measure beside: oor (OpenOverlayRouter), vxlan (the kernel's), plain (routing, no tunnel).
    #[arg(long, value_delimiter = ',', default_values = ["oor", "vxlan"], value_name = "PEER,PEER")]
    pub peers: Vec<Peer>,
    /// Rounds; medians are quoted.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub rounds: u32,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub seconds: u32,
    /// One JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Tunnels to measure beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// OpenOverlayRouter.
    Oor,
    /// Kernel VXLAN.
    Vxlan,
    /// No tunnel.
    Plain,
}

/// `pacao replay`
#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    /// A recording.
    pub file: PathBuf,
    /// One JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

/// `pacao simulate`
#[derive(Args, Debug)]
pub(crate) struct SimulateArgs {
    /// Where data centres stand; users live in France. Default: as the figure asks, else france-isp.
    #[arg(long)]
    pub preset: Option<Preset>,
    /// Which figure: 5.14 is France's, 5.15 Europe's.
    #[arg(long, default_value = "all", value_name = "NUMBER|all")]
    pub figure: FigureNumber,
    /// Trajectories to make.
    #[arg(long, default_value_t = 36_450, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub users: usize,
    /// Data centres of 5.16 and 5.19; default: 64 in France, 4 in Europe.
    #[arg(long, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=64))]
    pub dcs: Option<usize>,
    /// RTT bound of 5.16: strict, median, loose (deciles of 5.13), or milliseconds.
    #[arg(long, default_value = "strict", value_name = "NAME|MS", value_parser = bound)]
    pub bound: simulator::study::Bound,
    /// S' and S'' of 5.16: times, or shares of the stay and of S', like 10%,10%.
    #[arg(long, default_value = "6m,36s", value_name = "S',S''", value_parser = simulator::slots::Slots::parse)]
    pub slots: simulator::slots::Slots,
    /// Where entry and VM are in the morning: both at one data centre, or each at any.
    #[arg(long, default_value = "together")]
    pub start: StartOf,
    /// What keeps moves apart: nothing, as in the thesis, or least gain and cool-down as the shipped sessions have them.
    #[arg(long, default_value = "thesis")]
    pub policy: PolicyOf,
    /// Trajectories of your own, instead of made ones: user,time,lat,lon or user,time,area.
    #[arg(long, value_name = "FILE.csv")]
    pub traces: Option<PathBuf>,
    /// Areas of your own: area,lat,lon.
    #[arg(long, value_name = "FILE.csv")]
    pub areas: Option<PathBuf>,
    /// Drop trajectories that fewer users share.
    #[arg(long, default_value_t = 2, value_name = "USERS", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1000))]
    pub k: usize,
    /// Drop trajectories that see fewer areas.
    #[arg(long, default_value_t = 4, value_name = "AREAS", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1000))]
    pub min_areas: usize,
    /// The same seed gives the same results, on any number of threads.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Threads; default: as many as there are processors.
    #[arg(long, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=256))]
    pub threads: Option<usize>,
    /// Write each figure here as CSV and SVG, all of it as results.json, and the trajectories.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// One JSON object of checks and findings on standard output.
    #[arg(long)]
    pub json: bool,
}

/// The use-cases of the thesis's section 5.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preset {
    /// Data centres over France: a national ISP.
    FranceIsp,
    /// Data centres over Europe: an over-the-top provider.
    EuropeOtt,
}

/// Figures by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FigureNumber {
    /// Round trips between nodes.
    #[value(name = "5.13")]
    RoundTrips,
    /// Median round trip by S' and S'', France/ISP.
    #[value(name = "5.14")]
    SlotsFrance,
    /// Median round trip by S' and S'', Europe/OTT.
    #[value(name = "5.15")]
    SlotsEurope,
    /// Throughput.
    #[value(name = "5.16")]
    Throughput,
    /// Round trips with congestion.
    #[value(name = "5.18")]
    Congestion,
    /// Users at each data centre.
    #[value(name = "5.19")]
    Spread,
    /// Each in turn.
    All,
}

/// Where entry and VM are in the morning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StartOf {
    /// The user enters where his VM is.
    Together,
    /// The user enters anywhere.
    Apart,
}

/// What keeps moves apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PolicyOf {
    /// Nothing.
    Thesis,
    /// At least 5 ms and a tenth, half an hour between two switches.
    Calm,
}

/// `pacao check`
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// Session or layout files.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// One JSON array of findings.
    #[arg(long)]
    pub json: bool,
}

fn bound(text: &str) -> Result<simulator::study::Bound, String> {
    use simulator::study::{BOUNDS, Bound};
    if let Some((bound, _)) = BOUNDS.iter().find(|(_, name)| *name == text) {
        return Ok(*bound);
    }
    match text.parse::<f64>() {
        Ok(ms) if (1.0..=10_000.0).contains(&ms) => Ok(Bound::Ms(ms)),
        _ => Err("use strict, median, loose, or milliseconds from 1 to 10000".to_owned()),
    }
}

fn mode_or_inherit(text: &str) -> Result<ModeWord, String> {
    if text == "inherit" {
        return Ok(ModeWord::Inherit);
    }
    let known = mode(text).map(ModeWord::Set);
    known.map_err(|_| "use observe, recommend, auto or inherit".to_owned())
}

fn mode(text: &str) -> Result<Mode, String> {
    match text {
        "observe" => Ok(Mode::Observe),
        "recommend" => Ok(Mode::Recommend),
        "auto" => Ok(Mode::Auto),
        _ => Err("use observe, recommend or auto".to_owned()),
    }
}
