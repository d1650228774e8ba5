//! Tests of the whole: what holds between crates, and what the programs do
//! together.

pub mod tree;
