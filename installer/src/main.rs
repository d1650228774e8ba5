//! `qorgan-installer`: sets a machine up for the source tree, runs the demo and
//! the suite.
//!
//! It is built before anything is installed, so it has no dependencies at all.

mod apply;
mod command;
mod demo;
mod error;
mod machine;
mod packages;
mod places;
mod plan;
mod programs;
mod screen;
mod suite;
mod tally;

use std::env;
use std::process::ExitCode;

use crate::error::SetUpError;
use crate::packages::Purpose;
use crate::places::Places;
use crate::screen::{complain, say};

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    match run(&words) {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("qorgan: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result<ExitCode, SetUpError> {
    let Some((verb, rest)) = words.split_first() else {
        return Ok(usage());
    };
    let places = Places::find()?;
    match verb.as_str() {
        "demo" => demo::run(&places, rest),
        "suite" => match rest.split_first() {
            None => suite::run(&places, &[]),
            Some((word, only)) if word == "--only" => suite::run(&places, only),
            Some(_) => {
                say(&format!(
                    "cargo suite [--only STEP…]; steps: {}",
                    suite::names(&places).join(", ")
                ));
                Ok(ExitCode::FAILURE)
            }
        },
        "plan" | "show" | "apply" => {
            let word = rest.first().map_or("suite", String::as_str);
            Purpose::from_word(word)
                .map_or_else(|| Ok(usage()), |purpose| set_up(&places, verb, purpose))
        }
        _ => Ok(usage()),
    }
}

fn set_up(places: &Places, verb: &str, purpose: Purpose) -> Result<ExitCode, SetUpError> {
    let machine = machine::read(places);
    let steps = plan::plan(&machine, purpose);
    if verb == "show" {
        show(places, &machine);
    }
    if verb == "apply" {
        apply::apply(places, &machine, &steps)?;
    } else {
        for (index, step) in steps.iter().enumerate() {
            say(&format!("{}. {step}", index + 1));
        }
    }
    if steps.is_empty() {
        say(&format!("nothing is missing for `{}`", purpose.name()));
    }
    Ok(ExitCode::SUCCESS)
}

fn show(places: &Places, machine: &plan::Machine) {
    say(&format!("source tree    {}", places.tree.display()));
    say(&format!("target folder  {}", places.target.display()));
    say(&format!(
        "Debian         {}",
        if machine.is_debian { "yes" } else { "no" }
    ));
    say(&format!(
        "root           {}",
        if machine.is_root { "yes" } else { "no" }
    ));
    let wanted = packages::PACKAGES.iter();
    let present = wanted
        .clone()
        .filter(|package| machine.packages.contains(package.name))
        .count();
    say(&format!("packages       {present} of {}", wanted.len()));
    let targets: Vec<_> = machine.rust_targets.iter().map(String::as_str).collect();
    say(&format!("Rust targets   {}", targets.join(", ")));
    say(&format!("made           {:?}", machine.made));
}

fn usage() -> ExitCode {
    say(USAGE);
    ExitCode::FAILURE
}

const USAGE: &str = "\
cargo demo [--auto] [--out DIR]   set up, build and show the whole at work
cargo suite [--only STEP…]        set up, then run every check and test

cargo run -p qorgan-installer -- VERB [build|demo|suite|bench]
  plan    say what is missing
  show    say what is there, and what is missing
  apply   install what is missing";
