//! The program (5.4)-(5.9) as data: areas of users, data centres, latencies, the latency a load costs.
//!
//! All is in whole microseconds and whole users, so that sums are exact and a replay elsewhere decides alike.

use thiserror::Error;

/// Stands for a pair without a usable measurement: no user of that area may go there.
pub const UNREACHABLE: u32 = u32::MAX;

/// What a user who has no place weighs, microseconds: more than any placement of one user can cost, so that
/// users are left out only where capacity or reachability leave no choice.
pub(super) const LEFT_OUT: i32 = 1 << 30;
/// The lateness of an unreachable pair: dearer than leaving the user out.
const FORBIDDEN: i32 = 3 << 29;
/// The longest latency taken as a measurement: a minute.
const LONGEST: u32 = 60_000_000;
/// Users of one problem: keeps every sum within 64 bits.
const MOST_USERS: u64 = 4_000_000;

/// Users who see all data centres alike: the cell of one access network. Their number is all that counts:
/// the objective depends on users only through how many of each area each data centre serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// How reports call it.
    pub name: String,
    /// Users, w_j.
    pub users: u32,
}

/// A data centre d.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// How reports call it.
    pub name: String,
    /// C^d, users.
    pub capacity: u32,
    /// e^d: users it carries already, who are not ours to place.
    pub load: u32,
}

impl Site {
    /// Users it may still take: the hard limit of (5.6).
    pub fn room(&self) -> u32 {
        self.capacity.saturating_sub(self.load)
    }
}

/// Which load the latency of a site goes by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Crowding {
    /// That of its own capacity, as (5.7) has it.
    #[default]
    Own,
    /// That of so many users, which its capacity need not reach.
    Of(u32),
    /// None: nothing is known of how it fares under load.
    Never,
}

/// f of (5.7): latency of load, piece-wise linear and convex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadLatency {
    /// Load in millionths of the capacity, latency in microseconds.
    points: Vec<(u32, u32)>,
}

impl LoadLatency {
    /// Joins `points` (load in millionths of the capacity, latency in microseconds) by straight lines.
    ///
    /// The lines must run from load 0 to load 1,000,000, never fall, and get steeper.
    pub fn new(points: Vec<(u32, u32)>) -> Result<Self, ProblemError> {
        let ends = (points.first().map(|p| p.0), points.last().map(|p| p.0));
        if points.len() < 2 || ends != (Some(0), Some(1_000_000)) {
            return Err(ProblemError::CurveEnds);
        }
        let mut before = (0, 1);
        for (at, pair) in points.windows(2).enumerate() {
            let run = i64::from(pair[1].0) - i64::from(pair[0].0);
            let rise = i64::from(pair[1].1) - i64::from(pair[0].1);
            let bends_down = i128::from(rise) * i128::from(before.1) < i128::from(before.0) * i128::from(run);
            if run <= 0 || rise < 0 || bends_down {
                return Err(ProblemError::CurveShape { line: at + 1 });
            }
            before = (rise, run);
        }
        // One more user at a full site costs its own latency, and the others the steepest line's slope.
        let (rise, run) = before;
        let marginal = i128::from(rise) * 1_000_000 / i128::from(run);
        let last = points.last().map_or(0, |p| p.1);
        if marginal + i128::from(last) + i128::from(LONGEST) > i128::from(LEFT_OUT / 4) {
            return Err(ProblemError::CurveTooSteep);
        }
        Ok(Self { points })
    }

    /// Gentle to a load of 0.7, steep after, 700 ms at 1, as in Figure 5.17: chords of 5 ms * load / (1 - load).
    pub fn figure_5_17() -> Self {
        Self {
            points: vec![
                (0, 0),
                (300_000, 2_143),
                (500_000, 5_000),
                (600_000, 7_500),
                (700_000, 11_667),
                (800_000, 20_000),
                (850_000, 28_333),
                (900_000, 45_000),
                (950_000, 95_000),
                (1_000_000, 700_000),
            ],
        }
    }

    /// The ends of its lines: load in millionths of the capacity, latency in microseconds.
    pub fn points(&self) -> &[(u32, u32)] {
        &self.points
    }

    /// Latency in microseconds, rounded down, when `used` of `capacity` users are there.
    pub fn at(&self, used: u32, capacity: u32) -> u32 {
        let capacity = u128::from(capacity.max(1));
        let load = u128::from(used).min(capacity) * 1_000_000;
        let next = self
            .points
            .partition_point(|p| u128::from(p.0) * capacity < load)
            .clamp(1, self.points.len() - 1);
        let ((x0, y0), (x1, y1)) = (self.points[next - 1], self.points[next]);
        let along = load - u128::from(x0) * capacity;
        let rise = u128::from(y1 - y0) * along / (u128::from(x1 - x0) * capacity);
        y0 + rise as u32
    }
}

/// What is wrong with a problem.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProblemError {
    /// Latencies are areas x sites.
    #[error("{have} latencies given, {areas} areas x {sites} sites need {}", areas * sites)]
    Shape {
        /// Areas given.
        areas: usize,
        /// Sites given.
        sites: usize,
        /// Latencies given.
        have: usize,
    },
    /// There is nowhere to go.
    #[error("no site given")]
    NoSite,
    /// A bound of nothing cannot be kept.
    #[error("the latency bound must be between 1 us and a minute, not {bound_us} us")]
    Bound {
        /// As given.
        bound_us: u32,
    },
    /// Not a latency.
    #[error(
        "latency {latency_us} us between {area} and {site} is over a minute; an unusable pair is UNREACHABLE"
    )]
    Latency {
        /// Area.
        area: String,
        /// Site.
        site: String,
        /// As given.
        latency_us: u32,
    },
    /// Over the limit of one problem.
    #[error("{users} users in one problem, at most 4000000 fit")]
    TooMany {
        /// As given.
        users: u64,
    },
    /// The lines of f must span all loads.
    #[error("the latency of load must be given from load 0 to load 1000000")]
    CurveEnds,
    /// f must be convex and never fall.
    #[error("line {line} of the latency of load falls, or is less steep than the one before")]
    CurveShape {
        /// Counted from 1.
        line: usize,
    },
    /// One more user at a full site may cost about 200 s in all.
    #[error("the last line of the latency of load is too steep")]
    CurveTooSteep,
    /// No such area or site.
    #[error("there is no {what} number {index}")]
    Unknown {
        /// `area` or `site`.
        what: &'static str,
        /// As given, from 0.
        index: usize,
    },
    /// More users leave than there are.
    #[error("{area} has {have} users at {site}, not {asked}")]
    TooFew {
        /// Area.
        area: String,
        /// Site.
        site: String,
        /// Users there.
        have: u32,
        /// Users asked for.
        asked: u32,
    },
}

/// Where users are and where they may go. Sites are columns; one more column, [`Problem::nowhere`], takes those
/// for whom there is no place.
#[derive(Clone, Debug)]
pub struct Problem {
    areas: Vec<Area>,
    sites: Vec<Site>,
    /// l_jd - L, microseconds; a row an area, `sites + 1` columns.
    lateness: Vec<i32>,
    /// The same, a row a site: prices look at one site and all areas.
    by_site: Vec<i32>,
    /// f_d(k) by users placed, 0..=room.
    delay: Vec<Vec<i32>>,
    crowding: Vec<Crowding>,
    curve: LoadLatency,
    bound_us: u32,
}

impl Problem {
    /// `latency_us` holds a row an area, a column a site; `bound_us` is L of (5.9).
    pub fn new(
        areas: Vec<Area>,
        sites: Vec<Site>,
        latency_us: &[u32],
        curve: LoadLatency,
        bound_us: u32,
    ) -> Result<Self, ProblemError> {
        if sites.is_empty() {
            return Err(ProblemError::NoSite);
        }
        if latency_us.len() != areas.len() * sites.len() {
            return Err(ProblemError::Shape {
                areas: areas.len(),
                sites: sites.len(),
                have: latency_us.len(),
            });
        }
        if !(1..=LONGEST).contains(&bound_us) {
            return Err(ProblemError::Bound { bound_us });
        }
        let mut problem = Self {
            lateness: Vec::with_capacity(areas.len() * (sites.len() + 1)),
            by_site: Vec::new(),
            delay: sites
                .iter()
                .map(|site| delays(&curve, site, Crowding::Own))
                .collect(),
            crowding: vec![Crowding::Own; sites.len()],
            areas,
            sites,
            curve,
            bound_us,
        };
        problem.count_users()?;
        for (row, given) in latency_us.chunks_exact(problem.sites.len()).enumerate() {
            for (column, &latency) in given.iter().enumerate() {
                let late = problem.late_of(row, column, latency)?;
                problem.lateness.push(late);
            }
            problem.lateness.push(LEFT_OUT);
        }
        problem.turn();
        Ok(problem)
    }

    /// Areas in order.
    pub fn areas(&self) -> &[Area] {
        &self.areas
    }

    /// Sites in order.
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// f of (5.7).
    pub fn curve(&self) -> &LoadLatency {
        &self.curve
    }

    /// L of (5.9), microseconds.
    pub fn bound_us(&self) -> u32 {
        self.bound_us
    }

    /// l_jd, microseconds; `None` if there is no such pair, or it cannot be used.
    pub fn latency_us(&self, area: usize, site: usize) -> Option<u32> {
        let known = area < self.areas.len() && site < self.sites.len();
        let late = known
            .then(|| self.late(area, site))
            .filter(|&late| late != FORBIDDEN)?;
        Some((late + self.bound_us.cast_signed()) as u32)
    }

    /// Lets a site's latency of load go by something else than its capacity, which still limits it. A site that is
    /// not there is passed over.
    pub fn crowd(&mut self, site: usize, crowding: Crowding) {
        if let Some(at) = self.sites.get(site) {
            self.delay[site] = delays(&self.curve, at, crowding);
            self.crowding[site] = crowding;
        }
    }

    /// f_d, microseconds, of a site that holds `placed` of ours beside the load it has.
    pub fn load_latency_us(&self, site: usize, placed: u32) -> u32 {
        self.delay(site, placed).max(0).cast_unsigned()
    }

    /// |U|.
    pub fn users(&self) -> u64 {
        self.areas.iter().map(|area| u64::from(area.users)).sum()
    }

    /// The column of those who have no place.
    pub fn nowhere(&self) -> usize {
        self.sites.len()
    }

    /// Columns of a row: the sites and nowhere.
    pub(super) fn columns(&self) -> usize {
        self.sites.len() + 1
    }

    /// Users the column may hold.
    pub(super) fn room(&self, column: usize) -> u32 {
        self.sites.get(column).map_or(u32::MAX, Site::room)
    }

    /// l_jd - L of all columns.
    pub(super) fn row(&self, area: usize) -> &[i32] {
        &self.lateness[area * self.columns()..][..self.columns()]
    }

    /// l_jd - L of all areas.
    pub(super) fn column(&self, site: usize) -> &[i32] {
        &self.by_site[site * self.areas.len()..][..self.areas.len()]
    }

    pub(super) fn late(&self, area: usize, column: usize) -> i32 {
        self.lateness[area * self.columns() + column]
    }

    /// f_d(k), microseconds: what the load of `placed` users, and of those there already, adds.
    pub(super) fn delay(&self, column: usize, placed: u32) -> i32 {
        let table = self.delay.get(column).map_or(&[][..], Vec::as_slice);
        let last = table.len().saturating_sub(1);
        table.get(last.min(placed as usize)).map_or(0, |&us| us)
    }

    /// f_d of 0, 1, ... room users.
    pub(super) fn delays(&self, site: usize) -> &[i32] {
        &self.delay[site]
    }

    /// The same sites, other areas: users and lateness of each.
    pub(super) fn with_areas(&self, areas: Vec<(u32, Vec<i32>)>) -> Self {
        let area = |users| Area {
            name: String::new(),
            users,
        };
        let mut problem = Self {
            areas: areas.iter().map(|&(users, _)| area(users)).collect(),
            lateness: areas.into_iter().flat_map(|(_, row)| row).collect(),
            by_site: Vec::new(),
            sites: self.sites.clone(),
            delay: self.delay.clone(),
            crowding: self.crowding.clone(),
            curve: self.curve.clone(),
            bound_us: self.bound_us,
        };
        problem.turn();
        problem
    }

    /// The same areas and sites, each of which takes as many as `levels` say at most and is as slow as with so many: a
    /// transportation problem.
    pub(super) fn at_levels(&self, levels: &[u32]) -> Self {
        let mut problem = self.clone();
        for (site, &level) in levels.iter().enumerate() {
            problem.delay[site] = vec![self.delay(site, level); level as usize + 1];
            problem.sites[site].capacity = level;
            problem.sites[site].load = 0;
        }
        problem
    }

    /// The same, with sites as fast as with one user less: no load between two whole numbers is faster.
    pub(super) fn lighter(&self) -> Self {
        let mut problem = self.clone();
        for delays in &mut problem.delay {
            delays.rotate_right(1);
            if let [first, next, ..] = &mut delays[..] {
                *first = *next;
            }
        }
        problem
    }

    pub(super) fn set_users(&mut self, area: usize, users: u32) -> Result<(), ProblemError> {
        know("area", area, self.areas.len())?;
        let before = std::mem::replace(&mut self.areas[area].users, users);
        self.count_users()
            .inspect_err(|_| self.areas[area].users = before)
    }

    pub(super) fn set_latency(&mut self, area: usize, site: usize, us: u32) -> Result<(), ProblemError> {
        know("area", area, self.areas.len())?;
        know("site", site, self.sites.len())?;
        let late = self.late_of(area, site, us)?;
        let columns = self.columns();
        self.lateness[area * columns + site] = late;
        self.by_site[site * self.areas.len() + area] = late;
        Ok(())
    }

    pub(super) fn set_site(&mut self, site: usize, capacity: u32, load: u32) -> Result<(), ProblemError> {
        know("site", site, self.sites.len())?;
        self.sites[site].capacity = capacity;
        self.sites[site].load = load;
        self.delay[site] = delays(&self.curve, &self.sites[site], self.crowding[site]);
        Ok(())
    }

    fn late_of(&self, area: usize, site: usize, latency_us: u32) -> Result<i32, ProblemError> {
        match latency_us {
            UNREACHABLE => Ok(FORBIDDEN),
            us if us <= LONGEST => Ok(us.cast_signed() - self.bound_us.cast_signed()),
            latency_us => Err(ProblemError::Latency {
                area: self.areas[area].name.clone(),
                site: self.sites[site].name.clone(),
                latency_us,
            }),
        }
    }

    /// Fills `by_site`.
    fn turn(&mut self) {
        let columns = self.columns();
        let column = |site: usize| self.lateness.iter().skip(site).step_by(columns).copied();
        self.by_site = (0..self.sites.len()).flat_map(column).collect();
    }

    fn count_users(&self) -> Result<(), ProblemError> {
        match self.users() {
            users if users > MOST_USERS => Err(ProblemError::TooMany { users }),
            _ => Ok(()),
        }
    }
}

/// Whether there is an area, or site, of this number.
pub(super) fn know(what: &'static str, index: usize, count: usize) -> Result<(), ProblemError> {
    if index < count {
        Ok(())
    } else {
        Err(ProblemError::Unknown { what, index })
    }
}

/// More room than users of any problem needs no entries of its own.
fn delays(curve: &LoadLatency, site: &Site, crowding: Crowding) -> Vec<i32> {
    let room = site.room().min(MOST_USERS as u32);
    let capacity = match crowding {
        Crowding::Own => site.capacity,
        Crowding::Of(users) => users,
        Crowding::Never => return vec![0; room as usize + 1],
    };
    (0..=room)
        .map(|placed| curve.at(site.load.saturating_add(placed), capacity).cast_signed())
        .collect()
}
