//! Who is where, and what it costs to the microsecond.

use super::problem::{LEFT_OUT, Problem};

/// The burden of a column where nobody fits: dearer than being left out.
pub(super) const NO_ROOM: i64 = 1 << 40;

/// Counts x_jd with what is needed to price any change in logarithmic time.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    columns: usize,
    /// A row an area, `columns` wide.
    counts: Vec<u32>,
    hosts: Vec<Host>,
    /// f_d of the present load.
    delays: Vec<i32>,
    /// What one more user costs those at d, microseconds; far too much where nobody fits.
    burdens: Vec<i64>,
    /// Where users are at home, and what moving one away from there costs, microseconds.
    home: Option<(Vec<u32>, i32)>,
}

/// One site's users, the least late first.
#[derive(Clone, Debug, Default)]
pub(super) struct Host {
    pub(super) load: u32,
    pub(super) held: Vec<Held>,
    /// Of `held[i..]`: users, and the sum of their lateness.
    tail: Vec<(i64, i64)>,
}

/// Users of one area at one site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) late: i32,
    pub(super) area: u32,
    pub(super) users: u32,
}

/// `users` of `area` come or go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    pub(super) area: usize,
    pub(super) users: u32,
}

impl Placement {
    /// Nobody placed yet.
    pub(super) fn empty(problem: &Problem) -> Self {
        let columns = problem.columns();
        let mut placement = Self {
            columns,
            counts: vec![0; problem.areas().len() * columns],
            hosts: (0..columns).map(|_| Host::new()).collect(),
            delays: vec![0; columns],
            burdens: vec![0; columns],
            home: None,
        };
        for column in 0..columns {
            placement.weigh(problem, column);
        }
        placement
    }

    /// Those who have a place in `counts`, where there is room for them.
    pub(super) fn like(problem: &Problem, counts: &[u32]) -> Self {
        let mut placement = Self::empty(problem);
        for (area, row) in counts.chunks_exact(problem.columns()).enumerate() {
            for (site, &users) in row[..problem.nowhere()].iter().enumerate() {
                let users = users.min(placement.free(problem, site));
                placement.add(problem, site, Batch { area, users });
            }
        }
        placement
    }

    /// Takes in that the column's load, users or room changed.
    pub(super) fn weigh(&mut self, problem: &Problem, column: usize) {
        let host = &self.hosts[column];
        let delay = problem.delay(column, host.load);
        self.delays[column] = delay;
        self.burdens[column] = if problem.room(column) > host.load {
            host.cost(problem.delay(column, host.load + 1)) - host.cost(delay)
        } else {
            NO_ROOM
        };
    }

    /// f_d of the present loads.
    pub(super) fn delays(&self) -> &[i32] {
        &self.delays
    }

    /// What one more user costs those at each column, [`NO_ROOM`] where nobody fits.
    pub(super) fn burdens(&self) -> &[i64] {
        &self.burdens
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hosts.iter().all(|host| host.load == 0)
    }

    pub(super) fn count(&self, area: usize, column: usize) -> u32 {
        self.counts[area * self.columns + column]
    }

    pub(super) fn counts_of(&self, area: usize) -> &[u32] {
        &self.counts[area * self.columns..][..self.columns]
    }

    pub(super) fn host(&self, column: usize) -> &Host {
        &self.hosts[column]
    }

    /// Users the column can still take.
    pub(super) fn free(&self, problem: &Problem, column: usize) -> u32 {
        problem.room(column).saturating_sub(self.hosts[column].load)
    }

    /// From now on a user away from where he is now costs `price_us`.
    pub(super) fn settle(&mut self, price_us: u32) {
        let most = (LEFT_OUT / 4) as u32;
        self.home = Some((self.counts.clone(), price_us.min(most).cast_signed()));
    }

    /// Users away from where they were when it was settled.
    pub(super) fn away(&self) -> u64 {
        let Some((home, _)) = &self.home else { return 0 };
        let away = |(&now, &then): (&u32, &u32)| u64::from(now.saturating_sub(then));
        self.counts.iter().zip(home).map(away).sum()
    }

    /// Users of the area at the column now belong elsewhere: nobody is at home there.
    pub(super) fn disown(&mut self, column: usize, batch: Batch) {
        if let Some((home, _)) = &mut self.home {
            let at = batch.area * self.columns + column;
            home[at] = home[at].saturating_sub(batch.users);
        }
    }

    /// Users of the area are at home at the column.
    pub(super) fn own(&mut self, column: usize, batch: Batch) {
        if let Some((home, _)) = &mut self.home {
            home[batch.area * self.columns + column] += batch.users;
        }
    }

    /// What one more (or, `leaving`, one less) user of the area here adds to the price of moving.
    pub(super) fn fare(&self, area: usize, column: usize, going: Going) -> i32 {
        let Some((home, price)) = &self.home else { return 0 };
        let at = area * self.columns + column;
        let charged = match going {
            Going::In => self.counts[at] >= home[at],
            Going::Out => self.counts[at] > home[at],
        };
        if charged { *price } else { 0 }
    }

    /// Where users of the area are at home, and the price of moving away, if there is one.
    pub(super) fn home_of(&self, area: usize) -> Option<(&[u32], i32)> {
        let (home, price) = self.home.as_ref().filter(|home| home.1 > 0)?;
        Some((&home[area * self.columns..][..self.columns], *price))
    }

    pub(super) fn priced(&self) -> bool {
        self.home.as_ref().is_some_and(|home| home.1 > 0)
    }

    /// The sum of max(0, l + f - L) over all users, microseconds; a user left out counts [`LEFT_OUT`].
    pub(super) fn excess(&self, problem: &Problem) -> i64 {
        (0..self.columns)
            .map(|d| self.hosts[d].cost(problem.delay(d, self.hosts[d].load)))
            .sum()
    }

    /// How the cost changes if `out` leaves the column and `come` arrives. The caller knows that there is room.
    pub(super) fn change(
        &self,
        problem: &Problem,
        column: usize,
        out: Option<Batch>,
        come: Option<Batch>,
    ) -> i64 {
        let host = &self.hosts[column];
        let users = |batch: Option<Batch>| batch.map_or(0, |b| b.users);
        let before = self.delays[column];
        let load = (host.load + users(come)).saturating_sub(users(out));
        let after = problem.delay(column, load);
        let each = |batch: Option<Batch>| {
            batch.map_or(0, |b| {
                i64::from(b.users) * i64::from((problem.late(b.area, column) + after).max(0))
            })
        };
        host.cost(after) - host.cost(before) - each(out) + each(come) + self.fares(column, out, come)
    }

    fn fares(&self, column: usize, out: Option<Batch>, come: Option<Batch>) -> i64 {
        let Some((home, price)) = &self.home else { return 0 };
        let over = |batch: Option<Batch>, sign: i64| {
            batch.map_or(0, |b| {
                let at = b.area * self.columns + column;
                let away = |count: i64| (count - i64::from(home[at])).max(0);
                let now = i64::from(self.counts[at]);
                away(now + sign * i64::from(b.users)) - away(now)
            })
        };
        i64::from(*price) * (over(out, -1) + over(come, 1))
    }

    pub(super) fn add(&mut self, problem: &Problem, column: usize, batch: Batch) {
        if batch.users == 0 {
            return;
        }
        self.counts[batch.area * self.columns + column] += batch.users;
        self.hosts[column].add(problem.late(batch.area, column), batch);
        self.weigh(problem, column);
    }

    pub(super) fn remove(&mut self, problem: &Problem, column: usize, batch: Batch) {
        if batch.users == 0 {
            return;
        }
        self.counts[batch.area * self.columns + column] -= batch.users;
        self.hosts[column].remove(problem.late(batch.area, column), batch);
        self.weigh(problem, column);
    }

    /// Users of the area at the column have another latency from now on: `change` tells the problem.
    pub(super) fn relate<E>(
        &mut self,
        problem: &mut Problem,
        (area, column): (usize, usize),
        change: impl FnOnce(&mut Problem) -> Result<(), E>,
    ) -> Result<(), E> {
        let users = self.count(area, column);
        let batch = Batch { area, users };
        self.remove(problem, column, batch);
        let outcome = change(problem);
        self.add(problem, column, batch);
        outcome
    }

    pub(super) fn counts(&self) -> &[u32] {
        &self.counts
    }
}

/// The direction of a user's move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Going {
    In,
    Out,
}

impl Host {
    fn new() -> Self {
        Self {
            load: 0,
            held: Vec::new(),
            tail: vec![(0, 0)],
        }
    }

    /// The sum of max(0, lateness + delay) of those held.
    pub(super) fn cost(&self, delay: i32) -> i64 {
        let late = self.held.partition_point(|held| held.late <= -delay);
        let (users, sum) = self.tail[late];
        sum + i64::from(delay) * users
    }

    fn find(&self, late: i32, area: u32) -> Result<usize, usize> {
        self.held
            .binary_search_by_key(&(late, area), |held| (held.late, held.area))
    }

    fn add(&mut self, late: i32, batch: Batch) {
        let area = batch.area as u32;
        let at = match self.find(late, area) {
            Ok(at) => {
                self.held[at].users += batch.users;
                at
            }
            Err(at) => {
                let users = batch.users;
                self.held.insert(at, Held { late, area, users });
                self.tail.insert(at, self.tail[at]);
                at
            }
        };
        self.load += batch.users;
        self.shift(at, late, i64::from(batch.users));
    }

    fn remove(&mut self, late: i32, batch: Batch) {
        let Ok(at) = self.find(late, batch.area as u32) else {
            debug_assert!(false, "area {} is not here", batch.area);
            return;
        };
        self.load -= batch.users;
        self.held[at].users -= batch.users;
        self.shift(at, late, -i64::from(batch.users));
        if self.held[at].users == 0 {
            self.held.remove(at);
            self.tail.remove(at);
        }
    }

    fn shift(&mut self, last: usize, late: i32, users: i64) {
        for tail in &mut self.tail[..=last] {
            tail.0 += users;
            tail.1 += users * i64::from(late);
        }
    }
}
