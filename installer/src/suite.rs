//! The suite: every check and every test, with a line for each.
//!
//! Invariant: each test is counted once, by the step that runs all of its kind; a
//! step that fails without a failed test counts as one failure.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use crate::apply::apply;
use crate::command::{Line, last_lines, read_log};
use crate::error::SetUpError;
use crate::machine;
use crate::packages::Purpose;
use crate::places::Places;
use crate::plan::plan;
use crate::programs;
use crate::screen::{say, spoken};
use crate::tally::{Tally, summaries};

/// Runs the suite; `only` names the steps to run, none means all.
///
/// # Errors
/// Fails where set-up fails or a step cannot be started; failed steps show in
/// the exit code and in the closing line.
pub(crate) fn run(places: &Places, only: &[String]) -> Result<ExitCode, SetUpError> {
    let machine = machine::read(places);
    apply(places, &machine, &plan(&machine, Purpose::Suite))?;
    let start = Instant::now();
    let checks: Vec<_> = checks(places)
        .into_iter()
        .filter(|check| only.is_empty() || only.iter().any(|name| name == check.name))
        .collect();
    let mut outcome = Outcome::default();
    for (index, check) in checks.iter().enumerate() {
        run_check(
            places,
            check,
            &format!("[{}/{}]", index + 1, checks.len()),
            &mut outcome,
        )?;
    }
    say("");
    for line in &outcome.closing {
        say(line);
    }
    for name in &outcome.broken {
        say(&format!(
            "failed: {name} (log: {})",
            log_of(places, name).display()
        ));
    }
    say(&format!("the suite took {}", spoken(start.elapsed())));
    say(&format!("suite: {}", outcome.tally));
    Ok(if outcome.broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Returns the names of the steps in their order.
pub(crate) fn names(places: &Places) -> Vec<&'static str> {
    checks(places).iter().map(|check| check.name).collect()
}

#[derive(Debug)]
struct Check {
    name: &'static str,
    line: Line,
    /// Whether its runners' totals are the suite's.
    counts: bool,
    /// What to do with what it built.
    keep: fn(&Places) -> Result<(), SetUpError>,
}

#[derive(Debug, Default)]
struct Outcome {
    tally: Tally,
    closing: Vec<String>,
    broken: Vec<&'static str>,
}

fn run_check(
    places: &Places,
    check: &Check,
    at: &str,
    outcome: &mut Outcome,
) -> Result<(), SetUpError> {
    say(&format!("{at} {} …", check.name));
    let start = Instant::now();
    let log = log_of(places, check.name);
    let passed = check.line.run_into(&log)?.success();
    if passed {
        (check.keep)(places)?;
    }
    let text = read_log(&log);
    if check.counts {
        outcome.tally += Tally::of(&text);
        outcome.closing.extend(summaries(&text).map(str::to_owned));
    }
    let word = if passed { "ok" } else { "FAILED" };
    say(&format!(
        "{at} {} {word} in {}",
        check.name,
        spoken(start.elapsed())
    ));
    if !passed {
        say(&last_lines(&failure_text(&text), SHOWN_LINES));
        outcome.broken.push(check.name);
        if !check.counts || Tally::of(&text).failed == 0 {
            outcome.tally.failed += 1;
        }
    }
    Ok(())
}

/// Returns what explains a failure: what failed tests printed, where any did, else the log
/// without what was compiled, what passed, and runners that ran nothing.
fn failure_text(text: &str) -> String {
    let told = failed_tests(text);
    if !told.is_empty() {
        return told;
    }
    text.lines()
        .filter(|line| {
            let line = line.trim_start();
            let noise = [
                "Compiling ",
                "Checking ",
                "Downloaded ",
                "Doc-tests ",
                "running ",
            ];
            !(line.is_empty()
                || noise.iter().any(|word| line.starts_with(word))
                || line.starts_with("test result: ok.")
                || (line.starts_with("test ") && line.ends_with(" ok")))
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Returns what lies between `failures:` and a runner's closing line, for each runner.
fn failed_tests(text: &str) -> String {
    let mut inside = false;
    let mut told = Vec::new();
    for line in text.lines() {
        inside = (inside || line == "failures:") && !line.starts_with("test result: ");
        if inside && !line.trim().is_empty() {
            told.push(line);
        }
    }
    told.join("\n")
}

fn log_of(places: &Places, name: &str) -> PathBuf {
    places
        .logs()
        .join(format!("suite-{}.log", name.replace(' ', "-")))
}

fn checks(places: &Places) -> Vec<Check> {
    let check = |name, line: Line| Check {
        name,
        line: linted(line).set_all(places.variables()),
        counts: false,
        keep: |_| Ok(()),
    };
    let deny = Line::new([places.tools().join("bin").join("cargo-deny")]);
    vec![
        check("format", cargo("fmt --all -- --check")),
        check(
            "licences",
            deny.with("--config .deny.toml --locked check licenses bans sources".split(' ')),
        ),
        check("lint", cargo("test --locked --workspace --no-run")),
        check(
            "wasm",
            cargo("check --locked -p qorgan-protocol --target wasm32-unknown-unknown"),
        ),
        check("windows", cross(places, "x86_64-pc-windows-gnu")),
        check("macos", cross(places, "aarch64-apple-darwin")),
        Check {
            keep: programs::keep_simulated,
            ..check("simulated agent", cargo(programs::SIMULATED))
        },
        Check {
            keep: programs::keep_packaged,
            ..check("programs", cargo(programs::PACKAGED))
        },
        check(
            "rules",
            cargo("test --locked --workspace --test walls --test trace --test tidy"),
        ),
        Check {
            counts: true,
            ..check("tests", all_tests())
        },
        Check {
            counts: true,
            ..check("postgresql", tests_on_postgres())
        },
        Check {
            counts: true,
            ..check("simulated sources", simulated_tests())
        },
        Check {
            counts: true,
            ..check("browser", browser_tests())
        },
    ]
}

fn cargo(words: &str) -> Line {
    Line::new(["cargo"]).with(words.split(' '))
}

/// Clippy wraps the compiler for every step, so that lints, programs and tests are one build:
/// `cargo clippy` would check each dependency once more, a quarter of an hour on two cores.
fn linted(line: Line) -> Line {
    line.set("RUSTC_WORKSPACE_WRAPPER", "clippy-driver").set(
        "CLIPPY_ARGS",
        "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__",
    )
}

/// A check links nothing: scripts stand in for the other system's compiler, whose headers need not
/// be there.
fn cross(places: &Places, target: &str) -> Line {
    let folder = places.tree.join("tests").join("cross");
    let compiler = folder.join("compiler");
    let of = |tool| format!("{tool}_{}", target.replace('-', "_"));
    cargo("check --locked -p qorgan-protocol -p qorgan-client -p qorgan-agent --target")
        .with([target])
        .set(of("CC"), compiler.clone())
        .set(of("CXX"), compiler.clone())
        .set(of("AR"), compiler)
        .set(of("CMAKE"), folder.join("cmake"))
        .set("SDKROOT", folder)
}

/// Each fuzz target gets [`FUZZ_MS`]; a run that hangs is ended.
fn all_tests() -> Line {
    Line::new(["timeout", "--kill-after=10", TESTS_LIMIT])
        .with("cargo test --locked --workspace --no-fail-fast".split(' '))
        .set("BOLERO_RANDOM_TEST_TIME_MS", FUZZ_MS)
}

/// What only an agent that can play files can be tested by; the kiosk's own tests of the same name
/// need none and are counted by the step before.
fn simulated_tests() -> Line {
    cargo("test --locked --workspace --features qorgan-agent/simulated --lib --").with([
        "tests::devices",
        "tests::life",
        "tests::voice",
        "tests::witness",
        "--skip=kiosk::",
    ])
}

/// The server's own tests once more, each on a PostgreSQL database of its own.
fn tests_on_postgres() -> Line {
    cargo("test --locked --workspace --lib --")
        .with(ON_DATABASE)
        .set("QORGAN_TEST_DATABASE", "postgres")
}

/// The console in headless Chromium, on a server of the tests' own.
fn browser_tests() -> Line {
    Line::new("timeout --kill-after=10 10m node tests/browser/run.mjs".split(' '))
}

/// Modules of the server whose tests open a database.
const ON_DATABASE: [&str; 8] = [
    "acts::",
    "auth::",
    "backup::",
    "cli::",
    "console::",
    "http::tests::",
    "private_files::",
    "retention::",
];
const FUZZ_MS: &str = "15000";
const TESTS_LIMIT: &str = "50m";
const SHOWN_LINES: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_test_is_counted_by_one_step_alone() {
        let places = Places {
            tree: PathBuf::from("/tree"),
            target: PathBuf::from("/target"),
        };

        let counting: Vec<_> = checks(&places)
            .into_iter()
            .filter(|check| check.counts)
            .map(|check| check.name)
            .collect();

        assert_eq!(
            counting,
            ["tests", "postgresql", "simulated sources", "browser"],
            "cargo's tests, the server's on PostgreSQL, those of a build that plays files, and the browser's"
        );
    }

    #[test]
    fn a_failure_is_shown_without_what_compiled_and_passed() {
        let text = "   Compiling a v1\ntest x ... ok\ntest y ... FAILED\nwhy\n";

        assert_eq!(failure_text(text), "test y ... FAILED\nwhy");
    }

    #[test]
    fn a_failed_test_is_shown_though_many_runners_follow_it() {
        let text = "test y ... FAILED\n\nfailures:\n\n---- y stdout ----\nwhy\n\nfailures:\n    y\n\n\
                    test result: FAILED. 0 passed; 1 failed\n\nrunning 0 tests\ntest result: ok.\n";

        assert_eq!(
            failure_text(text),
            "failures:\n---- y stdout ----\nwhy\nfailures:\n    y"
        );
    }
}
