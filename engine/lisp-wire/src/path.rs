//! Explicit locator paths (LISP-TE; RFC 8060, LCAF type 10): the routers that packets are to go through, in order.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Rloc;

/// At most this many hops are understood. It keeps a path a plain value; nobody tunnels more often on the way.
pub const MOST_HOPS: usize = 8;

/// A router on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hop {
    /// Its address.
    pub rloc: Rloc,
    /// L: the address is to be looked up in the mapping system, and packets go to the locator that is found.
    #[serde(default)]
    pub lookup: bool,
    /// P: the hop may be probed. An anycast address is not to be.
    #[serde(default)]
    pub probe: bool,
    /// S: the hop must not be skipped.
    #[serde(default)]
    pub strict: bool,
}

impl Hop {
    /// A hop that may be probed and, where it does not answer, skipped.
    pub const fn loose(rloc: Rloc) -> Self {
        Self {
            rloc,
            lookup: false,
            probe: true,
            strict: false,
        }
    }
}

/// A path of one to [`MOST_HOPS`] hops, each another address. The last one is the ETR.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<Hop>", into = "Vec<Hop>")]
pub struct Path {
    /// Those past `count` are copies of the first.
    hops: [Hop; MOST_HOPS],
    count: u8,
}

/// Where a node stands on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It is no hop: for its own packets the path begins with the first one.
    Outside,
    /// It is the hop with this index.
    Hop(usize),
}

impl Path {
    /// A path over these hops.
    ///
    /// # Errors
    /// None at all, too many, or one twice: packets would go round.
    pub fn new(hops: &[Hop]) -> Result<Self, PathError> {
        let first = *hops.first().ok_or(PathError::Empty)?;
        if hops.len() > MOST_HOPS {
            return Err(PathError::TooLong { count: hops.len() });
        }
        let before = |at: usize| hops.iter().take(at);
        let twice = |(at, hop): &(usize, &Hop)| before(*at).any(|other| other.rloc == hop.rloc);
        if let Some((_, hop)) = hops.iter().enumerate().find(twice) {
            return Err(PathError::Twice { rloc: hop.rloc });
        }
        let mut path = Self {
            hops: [first; MOST_HOPS],
            count: hops.len() as u8,
        };
        for (room, hop) in path.hops.iter_mut().zip(hops) {
            *room = *hop;
        }
        Ok(path)
    }

    /// The hops, in order.
    pub fn hops(&self) -> &[Hop] {
        self.hops.get(..usize::from(self.count)).unwrap_or(&self.hops)
    }

    /// The first hop.
    pub const fn first(&self) -> Rloc {
        self.hops[0].rloc
    }

    /// The last hop: the ETR.
    pub fn last(&self) -> Rloc {
        self.hops().last().map_or(self.first(), |hop| hop.rloc)
    }

    /// Where the node stands that has these locators.
    pub fn standing(&self, own: impl Fn(Rloc) -> bool) -> Standing {
        // A node with several of the addresses has come as far as the last of them: packets never go back.
        let at = self.hops().iter().rposition(|hop| own(hop.rloc));
        at.map_or(Standing::Outside, Standing::Hop)
    }

    /// The hops that packets may go to next, the best first: what follows the node, up to the first that must not be
    /// skipped. None where the node is the end.
    pub fn next(&self, standing: Standing) -> impl Iterator<Item = &Hop> {
        let start = match standing {
            Standing::Outside => 0,
            Standing::Hop(at) => at + 1,
        };
        let rest = self.hops().get(start..).unwrap_or_default();
        let strict = rest.iter().position(|hop| hop.strict);
        rest.iter().take(strict.map_or(rest.len(), |at| at + 1))
    }
}

impl TryFrom<Vec<Hop>> for Path {
    type Error = PathError;
    fn try_from(hops: Vec<Hop>) -> Result<Self, PathError> {
        Self::new(&hops)
    }
}

impl From<Path> for Vec<Hop> {
    fn from(path: Path) -> Self {
        path.hops().to_vec()
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.hops()).finish()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, hop) in self.hops().iter().enumerate() {
            if at > 0 {
                f.write_str(" > ")?;
            }
            write!(f, "{}", hop.rloc)?;
        }
        Ok(())
    }
}

/// A path that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No hop.
    #[error("a path needs at least one hop")]
    Empty,
    /// Too many hops.
    #[error("{count} hops: a path has at most {MOST_HOPS}")]
    TooLong {
        /// How many.
        count: usize,
    },
    /// A hop twice.
    #[error("{rloc} is there twice: packets would go round")]
    Twice {
        /// Which.
        rloc: Rloc,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(last: u8) -> Hop {
        Hop::loose(Rloc([192, 0, 2, last].into()))
    }

    fn next(path: &Path, own: u8) -> Vec<Rloc> {
        let standing = path.standing(|rloc| rloc == hop(own).rloc);
        path.next(standing).map(|hop| hop.rloc).collect()
    }

    #[test]
    fn packets_go_on_from_where_the_node_stands_and_never_back() {
        let path = Path::new(&[1, 2, 3].map(hop)).unwrap();
        let rest = |from: u8| (from..=3).map(|last| hop(last).rloc).collect::<Vec<_>>();
        for (own, from) in [(9, 1), (1, 2), (2, 3), (3, 4)] {
            assert_eq!(next(&path, own), rest(from), "{own}");
        }
        assert_eq!(path.standing(|_| true), Standing::Hop(2));
        assert_eq!((path.first(), path.last()), (hop(1).rloc, hop(3).rloc));
    }

    #[test]
    fn what_is_strict_is_not_skipped() {
        let strict = Hop {
            strict: true,
            ..hop(2)
        };
        let path = Path::new(&[hop(1), strict, hop(3)]).unwrap();
        assert_eq!(next(&path, 9), [hop(1).rloc, hop(2).rloc]);
        assert_eq!(next(&path, 2), [hop(3).rloc]);
    }

    #[test]
    fn a_path_without_hops_with_too_many_or_that_goes_round_is_none() {
        assert_eq!(Path::new(&[]), Err(PathError::Empty));
        let many: Vec<Hop> = (0..=MOST_HOPS as u8).map(hop).collect();
        assert_eq!(Path::new(&many), Err(PathError::TooLong { count: MOST_HOPS + 1 }));
        let round = [hop(1), hop(2), hop(1)];
        assert_eq!(Path::new(&round), Err(PathError::Twice { rloc: hop(1).rloc }));
    }
}
