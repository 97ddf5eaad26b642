//! End-to-end tests of the product as it ships; what they share.
//!
//! | module | what it holds |
//! |---|---|
//! | [`product`] | the `pacao` binary under test, its children and their output |
//! | [`fabric`] | a lab with the binary under test, and questions to its forwarders |
//! | [`oor`] | two sites and a Map-Server, each run by us or by OpenOverlayRouter |
//! | [`capture`] | what crosses a wire, dissected by tshark |
//! | [`steered`] | an engine as a process on a lab, told by `pacao ctl` |
//! | [`moving`] | a VM that staff move by hand while users talk with it |
//! | [`screen`] | a program on a pseudo-terminal: what is seen, which keys are pressed |
//! | [`talk`] | numbered packets between two hosts |
//! | [`patience`] | waiting for a condition instead of for a time |

pub mod capture;
pub mod fabric;
pub mod moving;
pub mod oor;
pub mod patience;
pub mod product;
pub mod screen;
pub mod steered;
pub mod talk;
