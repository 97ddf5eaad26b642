//! `pacao bench`: what can be measured, and how.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `pacao bench`
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Countries of users placed at data centres, congestion-aware, with a proof (5.4)-(5.9).
    Assign(AssignArgs),
    /// One user's decision over 64 data centres by (5.1)-(5.3), with 4 criteria and with all 9; those of 10,000 users whose
    /// data centre dies; and what copying a plan's figures or a console's first picture takes.
    Decide(BenchDecideArgs),
    /// 100,000 links a second through the monitor: share of a core, bytes a link of the whole engine with everything full.
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
    /// Processor seconds for each regime; without it 10 up to 36,450 users, 30 above. A plan proven optimal ends it.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
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
    /// Users who enter by the data centre that dies.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=65_536))]
    pub users: u32,
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
    /// Rounds that are timed, each link probed once in each, half a second apart. Before them windows, histories and an
    /// hour of every entry's figures are filled.
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

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text
        .parse()
        .ok()
        .filter(|seconds| (0.001..=86_400.0).contains(seconds));
    seconds.ok_or_else(|| "use seconds from 0.001 to 86400".to_owned())
}
