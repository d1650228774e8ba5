//! Running programs against the exam's lists: new process numbers cheaply and often, names only
//! of those that are new.

use core::time::Duration;
use std::collections::BTreeSet;
use std::thread;

use qorgan_agent_core::processes::{ProcessChange, ProcessFacts, ProcessRules, ProcessWatch};
use qorgan_protocol::incident::Edge;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

use super::{Watcher, imp};

pub(super) fn watch(watcher: &Watcher, rules: &ProcessRules) {
    let mut system = match System::new() {
        Ok(system) => system,
        Err(error) => {
            tracing::error!(?error, "Programs cannot be listed");
            return;
        }
    };
    let mut watch = ProcessWatch::default();
    let mut known = BTreeSet::new();
    while !watcher.is_stopped() {
        let running = look(&mut system, &known);
        let new: Vec<ProcessFacts> = running
            .iter()
            .filter(|pid| !known.contains(*pid))
            .filter_map(|pid| facts(&system, *pid))
            .collect();
        for change in watch.look(rules, &new, &|pid| running.contains(&pid)) {
            let (edge, pid, finding) = match change {
                ProcessChange::Began(pid, finding) => (Edge::Began, pid, finding),
                ProcessChange::Ended(pid, finding) => (Edge::Ended, pid, finding),
            };
            let detail = format!("{} ({pid})", finding.name);
            if !watcher.see(finding.kind, edge, "processes/1", detail) {
                return;
            }
        }
        known = running;
        thread::sleep(imp::PROGRAMS_EVERY.min(PROGRAMS_EVERY_MAX));
    }
}

/// Returns the numbers of all processes, with the facts of new ones refreshed.
fn look(system: &mut System, known: &BTreeSet<u32>) -> BTreeSet<u32> {
    let kind = ProcessRefreshKind::nothing().with_exe(UpdateKind::OnlyIfNotSet);
    match imp::process_ids() {
        Some(running) => {
            let new: Vec<Pid> = running
                .difference(known)
                .map(|pid| Pid::from_u32(*pid))
                .collect();
            if !new.is_empty() {
                let update = ProcessesToUpdate::Some(&new);
                system.refresh_processes_specifics(update, false, kind);
            }
            running
        }
        None => {
            system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
            system.processes().keys().map(|pid| pid.as_u32()).collect()
        }
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
