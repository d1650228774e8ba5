//! Running programs against the exam's lists: new process numbers cheaply and often, and the names of
//! those that are new. A process may go on as another program, so that the names of all are read
//! again, a few at each look.

use core::ops::Bound;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use qorgan_agent_core::processes::{ProcessChange, ProcessFacts, ProcessRules, ProcessWatch};
use qorgan_protocol::incident::Edge;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

use super::{Watcher, imp};

pub(super) fn watch(watcher: &Watcher, rules: &ProcessRules) {
    let mut programs = match Programs::new() {
        Ok(programs) => programs,
        Err(error) => {
            tracing::error!(?error, "Programs cannot be listed");
            return;
        }
    };
    let mut watch = ProcessWatch::default();
    while !watcher.is_stopped() {
        let new = programs.look();
        for change in watch.look(rules, &new, &|pid| programs.runs(pid)) {
            let (edge, pid, finding) = match change {
                ProcessChange::Began(pid, finding) => (Edge::Began, pid, finding),
                ProcessChange::Ended(pid, finding) => (Edge::Ended, pid, finding),
            };
            let detail = format!("{} ({pid})", finding.name);
            if !watcher.see(finding.kind, edge, "processes/1", detail) {
                return;
            }
        }
        thread::sleep(imp::PROGRAMS_EVERY.min(PROGRAMS_EVERY_MAX));
    }
}

/// The programs that run, as they were seen last.
struct Programs {
    system: System,
    known: BTreeMap<u32, Vec<String>>,
    /// The last process whose names were read again.
    again: u32,
}

impl Programs {
    fn new() -> Result<Self, impl core::fmt::Debug> {
        System::new().map(|system| Self {
            system,
            known: BTreeMap::new(),
            again: 0,
        })
    }

    /// Tells whether a process ran at the last look.
    fn runs(&self, pid: u32) -> bool {
        self.known.contains_key(&pid)
    }

    /// Returns the programs that are new, and those that took another's place in its process.
    fn look(&mut self) -> Vec<ProcessFacts> {
        match imp::process_ids() {
            Some(running) => self.look_at(&running),
            None => self.look_by_system(),
        }
    }

    fn look_at(&mut self, running: &BTreeSet<u32>) -> Vec<ProcessFacts> {
        self.known.retain(|pid, _names| running.contains(pid));
        let after = (Bound::Excluded(self.again), Bound::Unbounded);
        let again = self.known.range(after).take(AGAIN_AT_ONCE);
        let again: Vec<u32> = again.map(|(pid, _names)| *pid).collect();
        self.again = again.last().copied().unwrap_or(0);
        let new = running.iter().filter(|pid| !self.known.contains_key(pid));
        let new: Vec<u32> = new.copied().chain(again).collect();
        let mut found = Vec::new();
        for pid in new {
            if let Some(names) = imp::names(pid)
                && self.known.get(&pid) != Some(&names)
            {
                self.known.insert(pid, names.clone());
                found.push(ProcessFacts { pid, names });
            }
        }
        found
    }

    fn look_by_system(&mut self) -> Vec<ProcessFacts> {
        let kind = ProcessRefreshKind::nothing().with_exe(UpdateKind::OnlyIfNotSet);
        self.system
            .refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
        let running: BTreeSet<u32> = self
            .system
            .processes()
            .keys()
            .map(|pid| pid.as_u32())
            .collect();
        self.known.retain(|pid, _names| running.contains(pid));
        let new = running
            .into_iter()
            .filter(|pid| !self.known.contains_key(pid));
        let new: Vec<ProcessFacts> = new.filter_map(|pid| facts(&self.system, pid)).collect();
        let known = new.iter().map(|facts| (facts.pid, facts.names.clone()));
        self.known.extend(known);
        new
    }
}

fn facts(system: &System, pid: u32) -> Option<ProcessFacts> {
    let process = system.process(Pid::from_u32(pid))?;
    let mut names = vec![process.name().to_string_lossy().into_owned()];
    let file = process.exe().and_then(|exe| exe.file_name());
    names.extend(file.map(|file| file.to_string_lossy().into_owned()));
    Some(ProcessFacts { pid, names })
}

const PROGRAMS_EVERY_MAX: Duration = Duration::from_secs(2);
/// Names that are read again at each look: a desktop's are through in some five seconds, and cost a
/// millisecond.
const AGAIN_AT_ONCE: usize = 64;

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_program_that_takes_anothers_place_in_its_process_is_held_against_the_lists() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("forbidden");
        std::fs::copy("/bin/sh", &program).expect("copied");
        let script = format!("read line; exec {} -c 'read line'", program.display());
        let mut child = Command::new("/bin/sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .spawn()
            .expect("started");
        let pid = child.id();
        let rules = ProcessRules::new(&["forbidden".to_owned()], &[]);
        let (mut watch, mut programs) = (ProcessWatch::default(), programs());
        let mut told = |looks: u32| {
            (0..looks).any(|_look| {
                thread::sleep(Duration::from_millis(20));
                let new = programs.look();
                let changes = watch.look(&rules, &new, &|pid| programs.runs(pid));
                let began = |change: &ProcessChange| {
                    matches!(change, ProcessChange::Began(began, finding)
                        if *began == pid && finding.name == "forbidden")
                };
                changes.iter().any(began)
            })
        };
        let before = told(3);
        let stdin = child.stdin.as_mut().expect("piped");
        writeln!(stdin, "go on").expect("it listens");
        let after = told(500);
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        assert!(!before && after, "{before} {after}");
    }

    fn programs() -> Programs {
        Programs::new().unwrap_or_else(|error| panic!("{error:?}"))
    }
}
