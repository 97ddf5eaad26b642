//! End-to-end tests of the product as it ships; what they share.
//!
//! | module | what it holds |
//! |---|---|
//! | [`product`] | the `pacao` binary under test, its children and their output |

pub mod product;
