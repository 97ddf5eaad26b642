//! Several nodes on an in-memory network, in virtual time.
//!
//! | module | what it shows |
//! |---|---|
//! | `network` | the network: latency, loss, restarts, a tap on every datagram |
//! | `fabric` | three data centres, two users, a Map-Server: the thesis's first test bed |
//! | `resolving` | misses, retries, negative replies, lifetimes, SMR |
//! | `pinning` | mappings set by hand; solicitations of many |
//! | `answering` | to which of its ITR-RLOCs an asker is answered |
//! | `registering` | Map-Register, Map-Notify, expiry, restarts, replays |
//! | `residing` | which EIDs run at a site, as engines are told |
//! | `arriving` | a VM moves: arrival, handover, registration, restarts |
//! | `moving` | Change-Priority: switches, views, loss, peers that do not speak it |
//! | `choosing` | `tell_by: best`: which way for which peer, and peers that change |
//! | `preparing` | a prepared handover: lists, keys, mappings, stops, deltas, loss, cancellation, and who may not |
//! | `forging` | Change-Priority forged, replayed, misdirected, cut |
//! | `probing` | figures, samples, failover |
//! | `publishing` | publish/subscribe: publications, loss, forgeries, restarts, fallbacks |
//! | `nesting` | subscriptions to blocks with longer mappings and other keys within; mappings that flap |
//! | `looking` | the message log, tables page by page |
//! | `rolling` | keys replaced while everything runs |
//! | `signalling` | data headers: locators down, paths closed one way, versions of mappings |
//! | `natted` | an xTR behind a NAT and the router that helps it: reached, followed, forgotten, not to be drawn away |
//! | `strangers` | the corpus of the fuzzer, and random scripts: nothing changes without a key |
//! | `merging` | registrations of several xTRs that make one mapping; xTRs behind NATs |
//! | `delegating` | delegation trees; how much anybody can have sent to one address |
//! | `hostile` | random, flipped and replayed datagrams of all kinds |

// Clippy knows tests by their attribute; the helpers of tests are theirs too.
#![allow(clippy::unwrap_used)]

mod answering;
mod arriving;
mod choosing;
mod delegating;
mod fabric;
mod following;
mod forging;
mod hostile;
mod looking;
mod merging;
mod moving;
mod natted;
mod nesting;
mod network;
mod pacing;
mod pinning;
mod preparing;
mod probing;
mod publishing;
mod registering;
mod residing;
mod resolving;
mod rolling;
mod serving;
mod signalling;
mod strangers;
