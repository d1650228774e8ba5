//! Every parser of foreign bytes, fed with damaged and with random ones.
//!
//! One module a parser. `cargo test` gives each target a second, the suite a
//! minute (`BOLERO_RANDOM_TEST_TIME_MS`). A target asserts more than “no panic”:
//! what a reader takes must be what the writer would have written.

mod damage;
mod local;
mod wire;
