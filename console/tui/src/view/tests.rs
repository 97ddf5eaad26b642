//! Screens, as they look.

use crate::fixture::console;

#[test]
fn look() {
    for (layout, size) in [("noc", (120, 40)), ("compact", (80, 24)), ("wall", (120, 40)), ("noc", (160, 50))] {
        println!("{layout} {size:?}\n{}", console(layout, size).text());
    }
}
