//! Chains of moves: one user from a to b, one from b to c, ... Loads change only at the two ends, and a closed
//! chain changes none. At fixed loads the program is a transportation problem, for which these moves suffice.

use super::placement::{Batch, Going, Placement};
use super::problem::Problem;

const NO_EDGE: i32 = i32::MAX;

/// The cheapest move from each column to each other, at present loads.
pub(super) struct Graph {
    columns: usize,
    /// Row a, column b: what the cheapest user at a costs more at b.
    weight: Vec<i32>,
    /// That user's area.
    via: Vec<u32>,
    /// f_d of the present load.
    delay: Vec<i32>,
    /// What one more user costs those at d; nothing fits: none.
    burden: Vec<Option<i64>>,
    /// What one less saves them.
    relief: Vec<i64>,
}

/// Moves of one user each: `areas[i]` goes from `nodes[i]` to `nodes[i + 1]`.
#[derive(Debug)]
struct Chain {
    nodes: Vec<usize>,
    areas: Vec<usize>,
}

/// Shortest ways from any column to each.
struct Ways {
    dist: Vec<i64>,
    parent: Vec<Option<usize>>,
}

/// Follows chains that help until none is left, or `stop` says so. Every one is judged by its exact change, so the
/// graph may be a little behind: it is drawn anew only where users came or went, and wholly before giving up.
pub(super) fn improve(problem: &Problem, placement: &mut Placement, stop: &mut dyn FnMut() -> bool) {
    let mut graph = Graph::new(problem, placement);
    let mut exact = true;
    while !stop() {
        let mut touched = vec![false; graph.columns];
        let mut helped = false;
        for chain in graph.chains() {
            if follow(problem, placement, &chain) {
                helped = true;
                for &node in &chain.nodes {
                    touched[node] = true;
                }
            }
        }
        if helped {
            graph.refresh(problem, placement, &touched);
            exact = false;
        } else if exact {
            return;
        } else {
            graph = Graph::new(problem, placement);
            exact = true;
        }
    }
}

/// What a slot at each column is worth, microseconds: the cheapest way to make room for one more user there.
pub(super) fn prices(problem: &Problem, placement: &Placement) -> Vec<i64> {
    let graph = Graph::new(problem, placement);
    let n = graph.columns;
    let mut worth: Vec<i64> = (0..n)
        .map(|d| graph.burden[d].unwrap_or(i64::from(NO_EDGE)))
        .collect();
    for _ in 0..n {
        let mut changed = false;
        for a in 0..n {
            for b in 0..n {
                let weight = graph.weight[a * n + b];
                if weight != NO_EDGE && i64::from(weight) + worth[b] < worth[a] {
                    worth[a] = (i64::from(weight) + worth[b]).max(0);
                    changed = true;
                }
            }
        }
        if !changed {
            break;
        }
    }
    worth
}

impl Graph {
    fn new(problem: &Problem, placement: &Placement) -> Self {
        let columns = problem.columns();
        let mut graph = Self {
            columns,
            weight: vec![NO_EDGE; columns * columns],
            via: vec![0; columns * columns],
            delay: vec![0; columns],
            burden: vec![None; columns],
            relief: vec![0; columns],
        };
        graph.refresh(problem, placement, &vec![true; columns]);
        graph
    }

    /// Takes in what changed at the columns `at`.
    fn refresh(&mut self, problem: &Problem, placement: &Placement, at: &[bool]) {
        let mut loads_changed = Vec::new();
        for column in (0..self.columns).filter(|&column| at[column]) {
            let load = placement.host(column).load;
            let delay = problem.delay(column, load);
            if delay != self.delay[column] {
                loads_changed.push(column);
            }
            self.delay[column] = delay;
            let cost_at = |load| placement.host(column).cost(problem.delay(column, load));
            let now = cost_at(load);
            self.burden[column] = (placement.free(problem, column) > 0).then(|| cost_at(load + 1) - now);
            self.relief[column] = now - cost_at(load.saturating_sub(1));
        }
        for (row, &changed) in at.iter().enumerate() {
            if changed {
                self.refresh_row(problem, placement, row);
            } else {
                for &column in &loads_changed {
                    self.reprice(problem, placement, (row, column));
                }
            }
        }
    }

    fn refresh_row(&mut self, problem: &Problem, placement: &Placement, row: usize) {
        let n = self.columns;
        let weight = &mut self.weight[row * n..][..n];
        let via = &mut self.via[row * n..][..n];
        weight.fill(NO_EDGE);
        for held in &placement.host(row).held {
            let area = held.area as usize;
            let here = (held.late + self.delay[row]).max(0) + placement.fare(area, row, Going::Out);
            let there = problem.row(area).iter().zip(&self.delay);
            if let Some((home, price)) = placement.home_of(area) {
                let fares = placement.counts_of(area).iter().zip(home);
                let fares = fares.map(|(count, home)| if count >= home { price } else { 0 });
                for ((((late, delay), fare), weight), via) in
                    there.zip(fares).zip(&mut *weight).zip(&mut *via)
                {
                    let dear = (late + delay).max(0) - here + fare;
                    let better = dear < *weight;
                    *weight = if better { dear } else { *weight };
                    *via = if better { held.area } else { *via };
                }
            } else {
                for (((late, delay), weight), via) in there.zip(&mut *weight).zip(&mut *via) {
                    let dear = (late + delay).max(0) - here;
                    let better = dear < *weight;
                    *weight = if better { dear } else { *weight };
                    *via = if better { held.area } else { *via };
                }
            }
        }
        weight[row] = NO_EDGE;
    }

    /// The column's load changed: what it costs the same user now.
    fn reprice(&mut self, problem: &Problem, placement: &Placement, (row, column): (usize, usize)) {
        let at = row * self.columns + column;
        if self.weight[at] == NO_EDGE {
            return;
        }
        let area = self.via[at] as usize;
        let here = (problem.late(area, row) + self.delay[row]).max(0) + placement.fare(area, row, Going::Out);
        let there = (problem.late(area, column) + self.delay[column]).max(0);
        self.weight[at] = there - here + placement.fare(area, column, Going::In);
    }

    /// Chains that look as if they helped, the most helpful first; a closed one alone.
    fn chains(&self) -> Vec<Chain> {
        let mut ways = Ways {
            dist: self.relief.iter().map(|relief| -relief).collect(),
            parent: vec![None; self.columns],
        };
        let n = self.columns;
        let mut fresh = vec![true; n];
        for _ in 0..=n {
            let mut any = false;
            for a in 0..n {
                if !std::mem::take(&mut fresh[a]) {
                    continue;
                }
                let from = ways.dist[a];
                for (b, &weight) in self.weight[a * n..][..n].iter().enumerate() {
                    // No way is longer than none at all, so `NO_EDGE` never looks shorter.
                    let dist = from + i64::from(weight);
                    if dist < ways.dist[b] {
                        ways.dist[b] = dist;
                        ways.parent[b] = Some(a);
                        fresh[b] = true;
                        any = true;
                    }
                }
            }
            if let Some(circle) = ways.circle() {
                return vec![self.chain(circle)];
            }
            if !any {
                break;
            }
        }
        let mut ends: Vec<(i64, usize)> = (0..n)
            .filter(|&end| ways.parent[end].is_some())
            .filter_map(|end| Some((ways.dist[end] + self.burden[end]?, end)))
            .filter(|&(change, _)| change < 0)
            .collect();
        ends.sort_unstable();
        ends.into_iter()
            .map(|(_, end)| self.chain(ways.back(end)))
            .collect()
    }

    fn chain(&self, nodes: Vec<usize>) -> Chain {
        let area = |pair: &[usize]| self.via[pair[0] * self.columns + pair[1]] as usize;
        Chain {
            areas: nodes.windows(2).map(area).collect(),
            nodes,
        }
    }
}

impl Ways {
    /// The way to `end`, from its start.
    fn back(&self, end: usize) -> Vec<usize> {
        let mut nodes = vec![end];
        let mut at = end;
        while let Some(parent) = self.parent[at] {
            nodes.push(parent);
            at = parent;
        }
        nodes.reverse();
        nodes
    }

    /// A closed way, its first node also last, if parents lead into one.
    fn circle(&self) -> Option<Vec<usize>> {
        let mut seen = vec![usize::MAX; self.parent.len()];
        for start in 0..self.parent.len() {
            let mut at = start;
            while seen[at] == usize::MAX {
                seen[at] = start;
                match self.parent[at] {
                    Some(parent) => at = parent,
                    None => break,
                }
            }
            if seen[at] == start && self.parent[at].is_some() {
                let mut nodes = vec![at];
                let mut back = at;
                while let Some(parent) = self.parent[back] {
                    nodes.push(parent);
                    back = parent;
                    if back == at {
                        break;
                    }
                }
                nodes.reverse();
                return Some(nodes);
            }
        }
        None
    }
}

/// Moves as many users along the chain as helps most; whether any.
fn follow(problem: &Problem, placement: &mut Placement, chain: &Chain) -> bool {
    let (Some(&start), Some(&end)) = (chain.nodes.first(), chain.nodes.last()) else {
        return false;
    };
    let moves = || chain.areas.iter().zip(chain.nodes.windows(2));
    let mut users = moves()
        .map(|(&area, pair)| placement.count(area, pair[0]))
        .min()
        .unwrap_or(0);
    if start != end {
        users = users.min(placement.free(problem, end));
    }
    let mut best = (0, 0);
    while users > 0 {
        let change = change(problem, placement, chain, users);
        if change < best.0 {
            best = (change, users);
        } else if best.1 > 0 {
            break;
        }
        users /= 2;
    }
    let (_, users) = best;
    if users == 0 {
        return false;
    }
    for (&area, pair) in moves() {
        placement.remove(problem, pair[0], Batch { area, users });
        placement.add(problem, pair[1], Batch { area, users });
    }
    true
}

fn change(problem: &Problem, placement: &Placement, chain: &Chain, users: u32) -> i64 {
    let batch = |move_: usize| {
        let area = *chain.areas.get(move_)?;
        Some(Batch { area, users })
    };
    let last = chain.nodes.len() - 1;
    let closed = chain.nodes[0] == chain.nodes[last];
    (usize::from(closed)..chain.nodes.len())
        .map(|at| {
            let out = if closed && at == last { batch(0) } else { batch(at) };
            let come = at.checked_sub(1).and_then(batch);
            placement.change(problem, chain.nodes[at], out, come)
        })
        .sum()
}
