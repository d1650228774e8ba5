//! A hostile client and a hostile agent against a real server, in short; `--example attack` does more.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

use qorgan_tests::attack::{Plan, Stage, attack};

#[test]
fn a_hostile_client_and_a_hostile_agent_gain_nothing_and_touch_nobody() -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let stage = Stage::set(folder.path(), 2, 4).map_err(|error| format!("{error:#}"))?;
    let plan = Plan {
        seed: 1,
        first: 0,
        count: 500,
        long: false,
    };
    let report = attack(&stage.target, plan).map_err(|error| format!("{error:#}"))?;
    assert!(report.holds(), "{report}");
    Ok(())
}
