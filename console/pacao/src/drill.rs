//! Drills with figures known beforehand.

pub mod table_5_1;
