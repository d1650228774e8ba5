//! The kiosk: the test application in which a candidate sits an exam (SOP 3).
//!
//! Invariants:
//! * [`ui`] draws and returns intents; `qorgan-client-core` decides; [`effects`] does.
//! * Item content lives in memory only, in the core's pages and the picture store, and goes when
//!   the exam is covered.
//! * No private data and no content is logged or written to the state file of tests.

pub mod app;
pub mod effects;
mod pump;
mod read_back;
pub mod ui;
