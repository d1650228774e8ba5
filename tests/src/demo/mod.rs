//! The demo: the real programs, walked through by hand or by itself.

pub mod summary;
