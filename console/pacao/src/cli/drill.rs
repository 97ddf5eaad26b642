//! `pacao drill`: what can be practised, and how.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

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
