//! How much anybody can have us send to one address.
//!
//! A Map-Request proves nothing of who sent it, and names where the answer goes: without a bound we would be a
//! reflector (RFC 9301 section 9). Each address gets so many answers a second; when there are more addresses than can be
//! told apart, those without a bucket of their own share one.

use std::collections::BTreeMap;
use std::net::IpAddr;

use proto::{Span, Timestamp};

use crate::limits::Rate;

/// So many addresses have a bucket of their own.
const MOST_ADDRESSES: usize = 16_384;
/// A bucket that was not used for so long is full again, and need not be kept.
const IDLE: Span = Span::secs(2);

/// Answers sent lately, by where they went.
#[derive(Debug)]
pub(crate) struct Answers {
    buckets: BTreeMap<IpAddr, (Rate, Timestamp)>,
    /// For addresses without one.
    others: Option<Rate>,
    swept: Timestamp,
}

impl Answers {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            buckets: BTreeMap::new(),
            others: None,
            swept: now,
        }
    }

    /// Whether one more answer may go to `to`; if so it is counted. `per_second` is what an address gets.
    pub(crate) fn allows(&mut self, to: IpAddr, per_second: u64, now: Timestamp) -> bool {
        if self.buckets.len() >= MOST_ADDRESSES && !self.buckets.contains_key(&to) {
            // A flood must not cause a look at each bucket with each request.
            if now.since(self.swept) >= IDLE {
                self.swept = now;
                self.buckets.retain(|_, (_, used)| now.since(*used) < IDLE);
            }
            if self.buckets.len() >= MOST_ADDRESSES {
                let fresh = || Rate::per_second(per_second, now);
                return self.others.get_or_insert_with(fresh).allows(now);
            }
        }
        let fresh = || (Rate::per_second(per_second, now), now);
        let (rate, used) = self.buckets.entry(to).or_insert_with(fresh);
        *used = now;
        rate.allows(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_not_flooded_and_others_do_not_suffer_for_it() {
        let now = Timestamp(1_000_000_000);
        let mut answers = Answers::new(now);
        let (victim, other) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        assert_eq!(
            (0..10_000).filter(|_| answers.allows(victim, 100, now)).count(),
            100
        );
        assert!(answers.allows(other, 100, now));
        assert!(answers.allows(victim, 100, now + Span::secs(1)));
    }

    #[test]
    fn more_addresses_than_can_be_told_apart_share_what_one_gets() {
        let now = Timestamp(1_000_000_000);
        let mut answers = Answers::new(now);
        let address = |number: u32| IpAddr::from(number.to_be_bytes());
        let allowed = (0..50_000).filter(|number| answers.allows(address(*number), 100, now));
        assert_eq!(allowed.count(), MOST_ADDRESSES + 100);
        // Room is made once the flood is over.
        let later = now + Span::secs(3);
        assert!((60_000..61_000).all(|number| answers.allows(address(number), 100, later)));
    }
}
