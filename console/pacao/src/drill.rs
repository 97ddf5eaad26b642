//! Drills with figures known beforehand.

pub(crate) mod roaming;
pub(crate) mod table_5_1;
