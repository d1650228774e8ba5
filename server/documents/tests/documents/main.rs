//! Documents judged by tools that know nothing of this crate.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]

mod acts;
mod samples;
mod seals;
mod tools;
