//! Every parser of foreign bytes, fed with damaged and with random ones.
//!
//! One module a parser. `cargo test` gives each target a second, the suite a
//! minute (`BOLERO_RANDOM_TEST_TIME_MS`). A target asserts more than “no panic”:
//! what a reader takes must be what the writer would have written.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

mod damage;
mod export;
mod local;
mod media;
mod qti;
#[path = "../../protocol/signing/tests/common/mod.rs"]
mod recording;
mod sheets;
mod wire;
