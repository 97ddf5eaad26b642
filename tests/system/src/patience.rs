//! Waiting for a condition instead of for a time.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Long enough for anything on a busy machine; a test that gets here has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until `wanted` makes something of it; fails with what `asked` last gave.
pub fn wait_for<T: Debug, U>(
    what: &str,
    mut asked: impl FnMut() -> T,
    mut wanted: impl FnMut(&T) -> Option<U>,
) -> U {
    let until = Instant::now() + PATIENCE;
    loop {
        let last = asked();
        if let Some(found) = wanted(&last) {
            return found;
        }
        assert!(
            Instant::now() < until,
            "{what}: not within {} s; last: {last:#?}",
            PATIENCE.as_secs()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
