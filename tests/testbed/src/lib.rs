//! A fabric in a box: sites in network namespaces, a WAN that delays, and traffic to look at.
//!
//! Everything is made with netlink, `/proc/sys` and sockets; no system package is needed. A namespace has no name and
//! no file: it is owned by one thread ([`Namespace`]), so it is gone with the process, however that ends.
//!
//! | module | what it holds |
//! |---|---|
//! | [`enter`](mod@enter) | [`enter()`]: become able to make namespaces, as root or without |
//! | [`fabric`] | [`Fabric`]: what is to be built |
//! | [`lab`] | [`Lab`]: the running fabric with its forwarders, and its levers |
//! | [`direct`] | [`Direct`]: two sites on a plain cable, for benches |
//! | [`namespace`] | [`Namespace`]: a thread in a network namespace of its own |
//! | [`line`](mod@line) | the WAN as a pure machine: shaping, queues, switching; time is an argument |
//! | [`delay_line`] | the process that is the WAN, and its commands |
//! | [`measure`] | how exact the delay line is |
//! | [`traffic`] | byte source, download with a fixed window, sequence echo |
//! | [`guard`] | a wrapper that ties any program's life to its parent's |

pub mod delay_line;
pub mod direct;
pub mod enter;
pub mod fabric;
pub mod guard;
pub mod lab;
pub mod line;
pub mod measure;
pub mod namespace;
mod raw;
pub mod traffic;

pub use direct::Direct;
pub use enter::{EnterError, Privilege, enter};
pub use fabric::{Access, Discipline, Fabric, PairShape, Shapes};
pub use lab::{Conduct, Lab, LabError, LabOptions, Node, Progress, TellBy, UserLocators};
pub use namespace::{Namespace, NamespaceError};
