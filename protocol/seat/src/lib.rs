//! The seat that a program really sits at: its display server, its terminal, its own process.
//!
//! Client and agent both ask, so that each is a witness of the other. What is read of a system stands
//! in [`platform`]; what it means is decided by pure rules over plain facts.
//!
//! # Invariants
//! * What any client of the display server can write (a monitor, a window's name, a property) proves
//!   nothing here; it is believed only where it speaks against itself.
//! * What cannot be read is told as not known, never taken for good.

pub mod display;
pub mod own;
pub mod platform;
pub mod terminal;
