//! The demo: set up, build, then hand over to the demo runner.

use std::process::ExitCode;

use crate::apply::{apply, quietly};
use crate::command::Line;
use crate::error::SetUpError;
use crate::machine;
use crate::packages::Purpose;
use crate::places::Places;
use crate::plan::plan;
use crate::programs;
use crate::screen::{has_person, say};

/// Sets up and builds what the demo needs and runs it with `words`.
///
/// # Errors
/// Fails where set-up or build fails; the demo's own failure is in the exit code.
pub(crate) fn run(places: &Places, words: &[String]) -> Result<ExitCode, SetUpError> {
    let machine = machine::read(places);
    apply(places, &machine, &plan(&machine, Purpose::Demo))?;
    build(places, "simulated agent", programs::SIMULATED)?;
    programs::keep_simulated(places)?;
    build(places, "programs", programs::PACKAGED)?;
    programs::keep_packaged(places)?;
    let runner = Line::new([places.target.join("debug").join("qorgan-demo")]).with(words);
    Ok(match runner.set_all(places.variables()).run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(SetUpError::Failed { .. }) => ExitCode::FAILURE,
        Err(error) => return Err(error),
    })
}

fn build(places: &Places, name: &str, words: &str) -> Result<(), SetUpError> {
    say(&format!(
        "build: {name} (the first time takes many minutes)"
    ));
    let line = Line::new(["cargo"]).with(words.split(' '));
    let line = line.set_all(places.variables());
    if has_person() {
        line.run()
    } else {
        quietly(places, &format!("build-{name}"), &line)
    }
}
