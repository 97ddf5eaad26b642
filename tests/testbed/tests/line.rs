//! The delay line as a process, with real packets. These tests make network namespaces: they need root, or a machine on
//! which `testbed::enter` works in a program of one thread (see `rootless.rs`).

use std::path::Path;

use testbed::measure::{Load, delay_error};

/// Half a line of the issue: "its own error stays under 0.3 ms (p99) at 10,000 packets a second".
const BOUND_US: f64 = 300.0;
/// So often it is tried at most.
const ROUNDS: usize = 20;

#[test]
fn the_line_s_own_error_stays_under_0_3_ms_at_ten_thousand_packets_a_second() {
    let program = Path::new(env!("CARGO_BIN_EXE_testbed"));
    let mut missed = Vec::new();
    for _ in 0..ROUNDS {
        let measured = delay_error(program, &Load::default()).unwrap();
        println!("{measured:?}");
        assert_eq!((measured.sent, measured.early), (30_000, 0));
        let whole = measured.received == measured.sent;
        if whole && measured.outside.p99_us < BOUND_US && measured.inside.p99_us < BOUND_US {
            return;
        }
        // Where a bare timer is late as well, it is the machine that was measured, and the round does not count.
        if measured.timer.p99_us < BOUND_US {
            missed.push(measured);
        }
        assert!(
            missed.len() < 3,
            "in none of three rounds was p99 below {BOUND_US} us without loss: {missed:#?}"
        );
    }
    panic!("in {ROUNDS} rounds this machine was never quiet enough to measure: {missed:#?}");
}
