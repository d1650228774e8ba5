//! Tests of the whole: what holds between crates, and what the programs do
//! together.
//!
//! The harness starts the real programs, waits for conditions with bounds, and
//! leaves nothing running: what it starts ends when its value is dropped.

// Named for its feature alone, by which programs and tests share one build.
use half as _;

pub mod account;
pub mod attack;
pub mod browser;
pub mod candidate;
pub mod catalogue;
pub mod demo;
pub mod display;
pub mod exam;
pub mod kiosk;
pub mod machine;
pub mod media;
pub mod modules;
pub mod places;
pub mod postgres;
pub mod privacy;
pub mod program;
pub mod reader;
pub mod relay;
pub mod seat;
pub mod server;
pub mod sound;
pub mod tree;
pub mod wait;
