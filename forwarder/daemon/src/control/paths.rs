//! Paths that turned out narrower than the uplink, or to lead nowhere.
//!
//! The kernel learns a path's MTU from ICMP messages and refuses what does not fit (the sockets set DF). Then its
//! figure goes into the tables, so that senders are told (RFC 9300 section 7.2). It is looked up again now and then,
//! since the kernel forgets it after ten minutes.

use std::collections::HashMap;
use std::net::IpAddr;

use proto::{Span, Timestamp};

use super::{Control, Published};

/// A narrow path is looked at again this often.
const LOOK_AGAIN: Span = Span::secs(60);
/// A locator is called unreachable this often at most.
const SAY_AGAIN: Span = Span::secs(1);
/// Locators remembered as unreachable.
const MOST: usize = 4096;

/// What is remembered of paths.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    look_again: Option<Timestamp>,
    unreachable: HashMap<IpAddr, Timestamp>,
}

impl Paths {
    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.look_again
    }

    /// Whether it is time to call this locator unreachable (again).
    pub(super) fn may_say_unreachable(&mut self, locator: IpAddr, now: Timestamp) -> bool {
        if self.unreachable.len() >= MOST {
            self.unreachable.retain(|_, said| now.since(*said) < SAY_AGAIN);
        }
        let may = self
            .unreachable
            .get(&locator)
            .is_none_or(|said| now.since(*said) >= SAY_AGAIN);
        if may && self.unreachable.len() < MOST {
            self.unreachable.insert(locator, now);
        }
        may
    }
}

impl Control {
    /// Asks the kernel how wide the path to a locator is, and publishes it.
    pub(super) fn learn_path(&mut self, locator: IpAddr, now: Timestamp) {
        match offload::path::path_mtu(locator) {
            Ok(mtu) => {
                let limits = &mut self.desk.tables.limits;
                let before = limits.inner(locator);
                limits.learn(locator, mtu);
                if limits.inner(locator) != before {
                    tracing::info!(%locator, mtu, "the path's MTU has changed");
                    self.desk.published = Published::NotYet;
                    self.publish();
                }
            }
            Err(error) => tracing::debug!(%locator, %error, "path MTU"),
        }
        self.desk.paths.look_again = self
            .desk
            .tables
            .limits
            .narrow()
            .next()
            .map(|_| self.desk.paths.look_again.unwrap_or(now + LOOK_AGAIN));
    }

    pub(super) fn look_at_paths_again(&mut self, now: Timestamp) {
        if self.desk.paths.look_again.is_none_or(|then| then > now) {
            return;
        }
        self.desk.paths.look_again = None;
        let narrow: Vec<IpAddr> = self.desk.tables.limits.narrow().collect();
        for locator in narrow {
            self.learn_path(locator, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locator_is_not_called_unreachable_more_than_once_a_second() {
        let mut paths = Paths::default();
        let [one, other]: [IpAddr; 2] = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
        assert!(paths.may_say_unreachable(one, Timestamp(0)));
        assert!(!paths.may_say_unreachable(one, Timestamp(999_999)));
        assert!(paths.may_say_unreachable(other, Timestamp(999_999)));
        assert!(paths.may_say_unreachable(one, Timestamp(1_000_000)));
    }
}
