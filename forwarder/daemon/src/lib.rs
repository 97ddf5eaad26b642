//! The forwarder process: threads, sockets, timers, control socket. A library, so that `pacao forwarder` and
//! `pacao-forwarder` are the same program.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cli`] | [`main_with_args`]: arguments, logging, exit code |
//! | [`config`] | [`Config`]: the YAML file, checked |
//! | [`process`] | [`run`]: everything opened, privileges dropped, threads running |
//! | `interface`, `lanes`, `shared`, `link` | TUN and routes; sockets out; published tables; packet threads -> control |
//! | `roaming` | locators that follow an interface |
//! | `tenants` | a TUN for each tenant |
//! | `outbound`, `inbound`, `transmit`, `teller` | the packet threads |
//! | `control`, `holding`, `release`, `clients`, `clock` | the control thread |
//! | `memory`, `state_file` | what must outlive the process, and the thread that stores it |
//!
//! Privileges: CAP_NET_ADMIN for the TUN, its routes and socket queues past the system's limit (the latter is not
//! insisted on). When all is open every other capability is given up, also by root. Root in a user namespace does.

pub mod cli;
mod clients;
mod clock;
pub mod config;
mod control;
mod holding;
mod inbound;
mod interface;
mod lanes;
mod link;
mod memory;
mod outbound;
pub mod process;
mod release;
mod roaming;
mod shared;
mod state_file;
mod teller;
mod tenants;
mod transmit;

pub use cli::main_with_args;
pub use clients::ListenError;
pub use config::{Config, ConfigError};
pub use interface::InterfaceError;
pub use process::{RunError, run};
pub use state_file::StateError;
