//! Which running programs are worth a look.

use std::collections::BTreeMap;

use qorgan_protocol::incident::IncidentKind;

/// The exam's rules about programs.
#[derive(Debug, Clone, Default)]
pub struct ProcessRules {
    deny: Vec<String>,
    allow: Vec<String>,
}

/// One running program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProcessFacts {
    /// Its number.
    pub pid: u32,
    /// Its short name and, where known, the file name of its executable.
    pub names: Vec<String>,
}

/// A program that is worth a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessFinding {
    /// As what.
    pub kind: IncidentKind,
    /// The name that matched.
    pub name: String,
}

impl ProcessRules {
    /// Makes rules from the exam's lists.
    #[must_use]
    pub fn new(deny: &[String], allow: &[String]) -> Self {
        let plain = |list: &[String]| list.iter().map(|name| plain_name(name)).collect();
        Self {
            deny: plain(deny),
            allow: plain(allow),
        }
    }

    /// Returns what is wrong with a program; the allow list comes before all others. A program sets its
    /// short name itself, so that it is allowed only where each of its names is.
    #[must_use]
    pub fn judge(&self, process: &ProcessFacts) -> Option<ProcessFinding> {
        let names: Vec<String> = process.names.iter().map(|name| plain_name(name)).collect();
        let on = |list: &[String]| {
            names
                .iter()
                .find(|name| list.iter().any(|rule| matches(name, rule)))
                .cloned()
        };
        let is_allowed = |name: &String| self.allow.iter().any(|rule| matches(name, rule));
        if !names.is_empty() && names.iter().all(is_allowed) {
            return None;
        }
        if let Some(name) = on(&self.deny) {
            return Some(ProcessFinding {
                kind: IncidentKind::DeniedProcess,
                name,
            });
        }
        names
            .iter()
            .find(|name| REMOTE_CONTROL.iter().any(|rule| matches(name, rule)))
            .map(|name| ProcessFinding {
                kind: IncidentKind::RemoteControl,
                name: name.clone(),
            })
    }
}

/// Follows which flagged programs run.
#[derive(Debug, Default)]
pub struct ProcessWatch {
    flagged: BTreeMap<u32, ProcessFinding>,
}

/// A flagged program appeared or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessChange {
    /// It runs.
    Began(u32, ProcessFinding),
    /// It ended.
    Ended(u32, ProcessFinding),
}

impl ProcessWatch {
    /// Takes the programs that are new, or took another's place in its process, and the numbers of all
    /// that run; returns what changed.
    pub fn look(
        &mut self,
        rules: &ProcessRules,
        new: &[ProcessFacts],
        running: &dyn Fn(u32) -> bool,
    ) -> Vec<ProcessChange> {
        let mut changes = Vec::new();
        let gone: Vec<u32> = self
            .flagged
            .keys()
            .copied()
            .filter(|pid| !running(*pid))
            .collect();
        for pid in gone {
            if let Some(finding) = self.flagged.remove(&pid) {
                changes.push(ProcessChange::Ended(pid, finding));
            }
        }
        for process in new {
            let (pid, finding) = (process.pid, rules.judge(process));
            if self.flagged.get(&pid) == finding.as_ref() {
                continue;
            }
            // Another program took its place in the process.
            if let Some(before) = self.flagged.remove(&pid) {
                changes.push(ProcessChange::Ended(pid, before));
            }
            if let Some(finding) = finding {
                self.flagged.insert(pid, finding.clone());
                changes.push(ProcessChange::Began(pid, finding));
            }
        }
        changes
    }
}

fn plain_name(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let low = name.to_lowercase();
    low.strip_suffix(".exe").unwrap_or(&low).to_owned()
}

/// Linux cuts a process's short name at fifteen bytes.
fn matches(name: &str, rule: &str) -> bool {
    name == rule || (name.len() == COMM_BYTES && rule.len() > COMM_BYTES && rule.starts_with(name))
}

const COMM_BYTES: usize = 15;
const REMOTE_CONTROL: [&str; 27] = [
    "anydesk",
    "teamviewer",
    "teamviewer_desktop",
    "teamviewerd",
    "rustdesk",
    "x11vnc",
    "x0vncserver",
    "vncserver",
    "tvnserver",
    "winvnc",
    "wayvnc",
    "xrdp",
    "gnome-remote-desktop-daemon",
    "krfb",
    "nxserver.bin",
    "parsecd",
    "sunshine",
    "supremo",
    "ammyy",
    "aeroadmin",
    "radmin",
    "zoom",
    "zoom.us",
    "discord",
    "skypeforlinux",
    "telegram-desktop",
    "obs",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_decide_and_the_allow_list_comes_first() {
        let rules = ProcessRules::new(&["Firefox.exe".to_owned()], &["obs".to_owned()]);
        assert_eq!(
            rules
                .judge(&process(1, "/usr/lib/firefox"))
                .map(|found| found.kind),
            Some(IncidentKind::DeniedProcess)
        );
        assert_eq!(
            rules
                .judge(&process(2, "AnyDesk.exe"))
                .map(|found| found.kind),
            Some(IncidentKind::RemoteControl)
        );
        assert_eq!(rules.judge(&process(3, "obs")), None);
        assert_eq!(rules.judge(&process(4, "bash")), None);
    }

    #[test]
    fn a_program_that_calls_itself_as_an_allowed_one_is_told_by_its_file() {
        let rules = ProcessRules::new(&["firefox".to_owned()], &["obs".to_owned()]);
        for file in ["/opt/anydesk", "/usr/lib/firefox"] {
            let named = ProcessFacts {
                pid: 5,
                names: vec!["obs".to_owned(), file.to_owned()],
            };
            assert!(rules.judge(&named).is_some(), "{file}");
        }
    }

    #[test]
    fn a_name_that_linux_cut_is_still_known() {
        let rules = ProcessRules::default();
        assert!(rules.judge(&process(1, "gnome-remote-de")).is_some());
    }

    #[test]
    fn a_denied_program_is_said_once_and_its_end_too() {
        let rules = ProcessRules::new(&["calc".to_owned()], &[]);
        let mut watch = ProcessWatch::default();
        let began = watch.look(&rules, &[process(7, "calc")], &|_| true);
        assert!(matches!(began.as_slice(), [ProcessChange::Began(7, _)]));
        assert!(
            watch
                .look(&rules, &[process(7, "calc")], &|_| true)
                .is_empty()
        );
        let ended = watch.look(&rules, &[], &|pid| pid != 7);
        assert!(matches!(ended.as_slice(), [ProcessChange::Ended(7, _)]));
    }

    #[test]
    fn a_program_that_takes_anothers_place_in_its_process_is_said_and_so_is_the_end_of_the_other() {
        let rules = ProcessRules::new(&["calc".to_owned(), "chat".to_owned()], &[]);
        let mut watch = ProcessWatch::default();
        let mut look = |name: &str| watch.look(&rules, &[process(7, name)], &|_| true);
        assert!(look("sh").is_empty());
        assert!(matches!(
            look("calc").as_slice(),
            [ProcessChange::Began(7, _)]
        ));
        assert!(matches!(
            look("chat").as_slice(),
            [ProcessChange::Ended(7, _), ProcessChange::Began(7, _)]
        ));
        assert!(matches!(
            look("sh").as_slice(),
            [ProcessChange::Ended(7, _)]
        ));
    }

    fn process(pid: u32, name: &str) -> ProcessFacts {
        ProcessFacts {
            pid,
            names: vec![name.to_owned()],
        }
    }
}
