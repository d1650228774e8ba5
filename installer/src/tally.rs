//! Sums up what test runners say at their end; pure.

use std::fmt;
use std::ops::AddAssign;

/// How many tests passed, failed and were skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests that ran and held.
    pub(crate) passed: u64,
    /// Tests that ran and did not hold, and steps that failed without a test.
    pub(crate) failed: u64,
    /// Tests that did not run.
    pub(crate) skipped: u64,
}

impl Tally {
    /// Sums the closing lines of every runner in `text`.
    pub(crate) fn of(text: &str) -> Self {
        let mut sum = Self::default();
        for line in summaries(text) {
            sum += Self {
                passed: count(line, "passed"),
                failed: count(line, "failed"),
                skipped: count(line, "ignored") + count(line, "skipped"),
            };
        }
        sum
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// Returns the closing lines of every runner in `text` that had a test, in order: cargo's,
/// and the plain `N passed, N failed` of our own.
pub(crate) fn summaries(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| line.starts_with("test result: ") || is_plain(line))
        .filter(|line| {
            ["passed", "failed", "ignored"]
                .iter()
                .any(|word| count(line, word) > 0)
        })
}

fn is_plain(line: &str) -> bool {
    let mut words = line.split([' ', ',']).filter(|word| !word.is_empty());
    let mut counted = |wanted: &str| {
        let number = words.next();
        let word = words.next();
        number.is_some_and(|number| number.parse::<u64>().is_ok()) && word == Some(wanted)
    };
    counted("passed") && counted("failed")
}

fn count(line: &str, word: &str) -> u64 {
    let mut before = "";
    for part in line.split([' ', ';', ',']).filter(|part| !part.is_empty()) {
        if part == word {
            return before.parse().unwrap_or(0);
        }
        before = part;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
running 3 tests
test a ... ok
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s
the test result: is not at a line's start
7 passed, 1 failed
12 passed tests and nothing more
test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 4 filtered out; finished in 1.00s
";

    #[test]
    fn totals_are_the_sum_of_every_runners_closing_line() {
        assert_eq!(
            Tally::of(LOG),
            Tally {
                passed: 20,
                failed: 3,
                skipped: 1
            }
        );
        assert_eq!(Tally::of("nothing ran"), Tally::default());
    }

    #[test]
    fn the_closing_line_reads_as_ci_expects_it() {
        assert_eq!(Tally::of(LOG).to_string(), "20 passed, 3 failed, 1 skipped");
        assert_eq!(
            Tally {
                passed: 4,
                ..Tally::default()
            }
            .to_string(),
            "4 passed, 0 failed"
        );
    }
}
