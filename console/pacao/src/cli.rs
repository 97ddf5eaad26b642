//! The command line.

mod bench;
mod drill;
mod node;
mod simulate;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use proto::{ActionClass, Mode, Scope, SiteName, TenantName, UserName, VmName};

pub(crate) use bench::{
    AssignArgs, AssignReading, Bench, BenchDecideArgs, BenchMonitorArgs, BenchPubSubArgs, ForwardArgs,
    HandoverArgs, HandoverRtts, HandoverWay, MapServerPlace, Peer,
};
pub(crate) use drill::{Drill, DrillMode, RoamingArgs, Table51Args};
pub(crate) use node::{
    ArrivedArgs, CaptureArgs, CounterArgs, FilterArgs, LogArgs, NodeArgs, NodeAsk, PinArgs, PrepareArgs,
    RowArgs, UnpinArgs,
};
pub(crate) use simulate::{FigureNumber, PolicyOf, Preset, SimulateArgs, StartOf, WatchOf};

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
    /// Begin from nothing, armed and in the session's mode; the old record is kept beside the new one.
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
    /// The second half of ways, from each data centre to those where VMs live: RTT, jitter, loss, state.
    Legs,
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
    /// What would be best for all users at once, by congestion and capacities, with a proof. Nothing moves by it.
    Plan(PlanArgs),
    /// How long VMs, locators and users' entries could be reached: downtime, nines, budgets, penalties.
    Availability {
        /// The calendar's week and year (UTC) instead of the last 7 and 365 days.
        #[arg(long)]
        calendar: bool,
        /// All entries, not only the 200 with most downtime; --csv and --json have all.
        #[arg(long)]
        all: bool,
        /// Values separated by commas, times in UTC.
        #[arg(
            long,
            conflicts_with_all = ["json", "calendar"],
            value_name = "WHAT",
            num_args = 0..=1,
            require_equals = true,
            default_missing_value = "tallies"
        )]
        csv: Option<AccountsCsv>,
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
    /// Its number, as cards have it: 3 or '#3'.
    #[arg(value_parser = number)]
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

/// `pacao ctl plan`
#[derive(Args, Debug)]
pub(crate) struct PlanArgs {
    /// What each person moved costs, such as 5ms: a move must gain more. The session's least gain by default.
    #[arg(long, value_name = "LENGTH", value_parser = proto::Span::parse)]
    pub price: Option<proto::Span>,
    /// How long to look for it and to prove it, 10ms to 30s.
    #[arg(long, default_value = "2s", value_name = "LENGTH", value_parser = within)]
    pub within: proto::Span,
}

/// `pacao replay`
#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    /// A recording.
    pub file: PathBuf,
    /// Begin with the first file that is still there of those that this one goes on from.
    #[arg(long)]
    pub from_first: bool,
    /// One JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

/// `pacao check`
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// Session or layout files.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Of good sessions, print every knob in force: its value, and the line that says so, or that it is the default.
    #[arg(long)]
    pub explain: bool,
    /// One JSON array of findings; with --explain, an object of findings and knobs.
    #[arg(long)]
    pub json: bool,
}

/// A proposal's number, with the mark that cards put before it or without.
fn number(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix('#').unwrap_or(text);
    digits
        .parse()
        .map_err(|_| "a proposal's number, such as 3".to_owned())
}

fn within(text: &str) -> Result<proto::Span, String> {
    let span = proto::Span::parse(text).map_err(|error| error.to_string())?;
    if span < proto::Span::millis(10) {
        return Err("at least 10ms: it takes a moment to look at all".to_owned());
    }
    if span > proto::Span::secs(30) {
        return Err("at most 30s: it shares the machine with the engine".to_owned());
    }
    Ok(span)
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

/// What of the accounts is written as comma-separated values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum AccountsCsv {
    /// One line for each subject and horizon: up, down, unknown, nines.
    Tallies,
    /// One line for each period of a contract: the downtime, and what it costs.
    Penalties,
}
