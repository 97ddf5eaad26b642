//! `pacao simulate`: the country, its day, and the figures wanted.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

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
    /// By what entries are left and chosen: the user's leg, as in the thesis, or the way to the VM, as the live engine does.
    #[arg(long, default_value = "leg")]
    pub watch: WatchOf,
    /// What keeps moves apart: nothing, as in the thesis, or what an engine does whose session says nothing else.
    #[arg(long, default_value = "thesis")]
    pub policy: PolicyOf,
    /// Trajectories of your own, instead of made ones: user,time,lat,lon or user,time,area. Places go to the nearest area,
    /// within 100 km unless areas are yours.
    #[arg(long, value_name = "FILE.csv")]
    pub traces: Option<PathBuf>,
    /// Areas of your own: area,lat,lon. Default: drawn over France; for places in --traces over Europe with europe-ott.
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

/// By what entries are left and chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WatchOf {
    /// What is measured between user and data centre.
    Leg,
    /// Both legs together: user to entry, entry to VM.
    Way,
}

/// What keeps moves apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PolicyOf {
    /// Nothing.
    Thesis,
    /// Least gain (5 ms and a tenth) and cool-down (half an hour, doubled while moves follow each other).
    Calm,
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
