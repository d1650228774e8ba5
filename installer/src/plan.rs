//! From facts about a machine to the steps that it lacks; pure.
//!
//! Invariant: a plan made from the facts that a plan's steps establish is empty.

use std::collections::BTreeSet;
use std::fmt;

use crate::packages::{PACKAGES, Package, Purpose, RUST_TARGETS};

/// What is known about a machine before anything is changed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Machine {
    /// Whether packages are Debian's.
    pub(crate) is_debian: bool,
    /// Whether this program runs as root.
    pub(crate) is_root: bool,
    /// The Debian packages that are installed.
    pub(crate) packages: BTreeSet<String>,
    /// The commands of [`Package::unless`] that are on the path.
    pub(crate) commands: BTreeSet<String>,
    /// The compile targets that rustup has installed.
    pub(crate) rust_targets: BTreeSet<String>,
    /// What set-up made in the target folder, each with the pins it was made from.
    pub(crate) made: BTreeSet<Made>,
}

/// Something that set-up makes in the target folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Made {
    /// cargo-deny, compiled.
    CargoDeny,
    /// A Python environment with pyHanko.
    Python,
    /// A portrait to stand before a camera that is not there.
    Portrait,
    /// The browser tests' packages and htmx.
    Node,
    /// htmx, checked and put where the server reads it.
    Htmx,
}

/// One thing to be done to a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Install Debian packages; needs root.
    InstallPackages(Vec<&'static str>),
    /// Tell the person what to install where packages are not Debian's.
    NamePackages(Vec<&'static str>),
    /// Add compile targets to the pinned toolchain.
    AddRustTargets(Vec<&'static str>),
    /// Make something in the target folder.
    Make(Made),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InstallPackages(names) => {
                write!(
                    f,
                    "install {} Debian packages: {}",
                    names.len(),
                    names.join(" ")
                )
            }
            Self::NamePackages(names) => {
                write!(f, "no Debian here: see that you have {}", names.join(" "))
            }
            Self::AddRustTargets(names) => write!(f, "add Rust targets: {}", names.join(" ")),
            Self::Make(Made::CargoDeny) => f.write_str("compile cargo-deny"),
            Self::Make(Made::Python) => f.write_str("make a Python environment with pyHanko"),
            Self::Make(Made::Portrait) => f.write_str("fetch a portrait for the sample camera"),
            Self::Make(Made::Node) => f.write_str("fetch the browser tests' packages and htmx"),
            Self::Make(Made::Htmx) => {
                f.write_str("check htmx and put it where the server reads it")
            }
        }
    }
}

/// Returns what `machine` lacks for `purpose`, in the order to do it.
pub(crate) fn plan(machine: &Machine, purpose: Purpose) -> Vec<Step> {
    let mut steps = Vec::new();
    let missing = missing_packages(machine, purpose);
    if !missing.is_empty() {
        steps.push(if machine.is_debian {
            Step::InstallPackages(missing)
        } else {
            Step::NamePackages(missing)
        });
    }
    if purpose.includes(Purpose::Suite) {
        let targets: Vec<_> = RUST_TARGETS
            .iter()
            .copied()
            .filter(|&target| !machine.rust_targets.contains(target))
            .collect();
        if !targets.is_empty() {
            steps.push(Step::AddRustTargets(targets));
        }
    }
    for (least, made) in MAKES {
        if purpose.includes(least) && !machine.made.contains(&made) {
            steps.push(Step::Make(made));
        }
    }
    steps
}

/// Returns the line that a person types to install `packages`.
pub(crate) fn install_line(packages: &[&str]) -> String {
    format!(
        "sudo apt-get update && sudo apt-get install -y --no-install-recommends {}",
        packages.join(" ")
    )
}

fn missing_packages(machine: &Machine, purpose: Purpose) -> Vec<&'static str> {
    let is_missing = |package: &Package| {
        !machine.packages.contains(package.name)
            && !package
                .unless
                .is_some_and(|command| machine.commands.contains(command))
    };
    PACKAGES
        .iter()
        .filter(|package| purpose.includes(package.purpose) && is_missing(package))
        .map(|package| package.name)
        .collect()
}

/// What is made, by the smallest purpose that needs it, in order: htmx comes
/// out of the packages that `Node` fetches, `Python` fetches the portrait.
const MAKES: [(Purpose, Made); 5] = [
    (Purpose::Demo, Made::Node),
    (Purpose::Demo, Made::Htmx),
    (Purpose::Demo, Made::Python),
    (Purpose::Demo, Made::Portrait),
    (Purpose::Suite, Made::CargoDeny),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_debian_gets_its_packages_before_anything_that_needs_them() {
        let steps = plan(&bare(), Purpose::Suite);

        assert!(matches!(steps.first(), Some(Step::InstallPackages(_))));
        assert!(matches!(steps.get(1), Some(Step::AddRustTargets(_))));
        assert_eq!(steps.len(), 7);
    }

    #[test]
    fn carrying_a_plan_out_leaves_nothing_to_do() {
        for purpose in Purpose::ALL {
            let machine = after(bare(), &plan(&bare(), purpose));

            assert_eq!(plan(&machine, purpose), Vec::new());
        }
    }

    #[test]
    fn the_demo_asks_for_no_tool_that_only_the_suite_uses() {
        let steps = plan(&bare(), Purpose::Demo);

        let Some(Step::InstallPackages(names)) = steps.first() else {
            panic!("packages come first");
        };
        assert!(names.contains(&"xvfb"));
        assert!(!names.contains(&"qpdf"));
        assert!(!steps.contains(&Step::Make(Made::CargoDeny)));
        assert!(
            !steps
                .iter()
                .any(|step| matches!(step, Step::AddRustTargets(_)))
        );
    }

    #[test]
    fn a_command_from_elsewhere_spares_its_package() {
        let mut machine = bare();
        machine.commands.insert("npm".to_owned());

        let steps = plan(&machine, Purpose::Demo);

        let Some(Step::InstallPackages(names)) = steps.first() else {
            panic!("packages come first");
        };
        assert!(!names.contains(&"npm"));
        assert!(names.contains(&"nodejs"));
    }

    #[test]
    fn only_missing_targets_are_added() {
        let mut machine = bare();
        machine
            .rust_targets
            .insert("wasm32-unknown-unknown".to_owned());

        let steps = plan(&machine, Purpose::Suite);

        assert!(steps.contains(&Step::AddRustTargets(vec![
            "x86_64-pc-windows-gnu",
            "aarch64-apple-darwin"
        ])));
    }

    #[test]
    fn a_machine_without_debian_is_told_what_it_needs_and_never_changed() {
        let machine = Machine {
            is_debian: false,
            ..bare()
        };

        let steps = plan(&machine, Purpose::Build);

        assert!(matches!(steps.as_slice(), [Step::NamePackages(_)]));
    }

    #[test]
    fn the_line_to_type_names_every_package() {
        assert_eq!(
            install_line(&["nasm", "cmake"]),
            "sudo apt-get update && sudo apt-get install -y --no-install-recommends nasm cmake"
        );
    }

    fn bare() -> Machine {
        Machine {
            is_debian: true,
            is_root: true,
            ..Machine::default()
        }
    }

    fn after(mut machine: Machine, steps: &[Step]) -> Machine {
        for step in steps {
            match step {
                Step::InstallPackages(names) | Step::NamePackages(names) => {
                    machine
                        .packages
                        .extend(names.iter().map(|&name| name.to_owned()));
                }
                Step::AddRustTargets(names) => {
                    machine
                        .rust_targets
                        .extend(names.iter().map(|&name| name.to_owned()));
                }
                Step::Make(made) => {
                    machine.made.insert(*made);
                }
            }
        }
        machine
    }
}
