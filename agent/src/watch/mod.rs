//! What the operating system shows: windows, displays, programs, clipboard, clocks.

cfg_select! {
    target_os = "linux" => { #[path = "imp/linux.rs"] mod imp; }
    target_os = "macos" => { #[path = "imp/macos.rs"] mod imp; }
    _ => { #[path = "imp/windows.rs"] mod imp; }
}

mod displays;
mod programs;

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use qorgan_agent_core::clock::ClockWatch;
use qorgan_agent_core::sighting::Sighting;
use qorgan_protocol::attempt::MachineRule;
use qorgan_protocol::incident::{Edge, IncidentKind};
use qorgan_protocol::wire::AgentEnrolReply;
use qorgan_seat::platform::{self, OwnWatch};
use qorgan_seat::terminal::{TerminalChange, TerminalWatch};

use crate::clock;
use crate::recorder::{Controls, Input};

/// Processes whose windows belong to the exam: this agent and its client.
#[derive(Debug)]
pub(crate) struct OwnProcesses {
    agent: Option<u32>,
    client: Mutex<Option<u32>>,
}

impl OwnProcesses {
    /// Knows this agent, and no client yet.
    pub(crate) fn new() -> Self {
        Self {
            agent: Some(std::process::id()),
            client: Mutex::default(),
        }
    }

    /// Takes the process of the one client that is proved. A client that was started again is another
    /// one, and the number of the one before may be any program's by now.
    pub(crate) fn client(&self, pid: u32) {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        *client = Some(pid);
    }

    /// Returns every such process.
    pub(crate) fn all(&self) -> BTreeSet<u32> {
        let client = *self.client.lock().unwrap_or_else(PoisonError::into_inner);
        self.agent.into_iter().chain(client).collect()
    }
}

/// What a watch works with.
#[derive(Debug, Clone)]
pub(crate) struct Watcher {
    recorder: SyncSender<Input>,
    controls: Arc<Controls>,
    own: Arc<OwnProcesses>,
    displays_max: usize,
    nested_display: MachineRule,
}

impl Watcher {
    /// Reports what was seen; false when the recording is over.
    pub(crate) fn see(
        &self,
        kind: IncidentKind,
        edge: Edge,
        detector: &'static str,
        detail: impl Into<String>,
    ) -> bool {
        let sighting = Sighting::fact(kind, edge, clock::now(), detector, detail);
        !self.controls.is_stopped()
            && self
                .recorder
                .send(Input::Sighting(None, Box::new(sighting)))
                .is_ok()
    }

    /// Makes a watcher to which every process is foreign.
    #[cfg(test)]
    pub(crate) fn for_tests(recorder: SyncSender<Input>) -> (Self, Arc<Controls>) {
        let controls = Arc::new(Controls::new());
        let watcher = Self {
            recorder,
            controls: Arc::clone(&controls),
            own: Arc::new(OwnProcesses {
                agent: None,
                client: Mutex::default(),
            }),
            displays_max: 1,
            nested_display: MachineRule::Refuse,
        };
        (watcher, controls)
    }

    /// Tells whether the recording is over.
    pub(crate) fn is_stopped(&self) -> bool {
        self.controls.is_stopped()
    }

    /// Returns the exam's own processes.
    pub(crate) fn own(&self) -> BTreeSet<u32> {
        self.own.all()
    }

    /// Tells whether the sitting declares that its displays are nested or remote: whoever shows such
    /// a display feeds it with keys and clicks too.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "displays of other systems cannot be asked yet")
    )]
    pub(crate) fn declares_nested(&self) -> bool {
        self.nested_display == MachineRule::Note
    }

    /// Returns the most displays that the exam allows.
    pub(crate) const fn displays_max(&self) -> usize {
        self.displays_max
    }
}

/// Every watch's thread.
#[derive(Debug)]
pub(crate) struct Watches {
    _threads: Vec<thread::JoinHandle<()>>,
}

impl Watches {
    /// Begins to watch.
    pub(crate) fn start(
        recorder: &SyncSender<Input>,
        rules: &AgentEnrolReply,
        own: Arc<OwnProcesses>,
        controls: Arc<Controls>,
    ) -> Self {
        let watcher = Watcher {
            recorder: recorder.clone(),
            controls,
            own,
            displays_max: usize::from(rules.displays_max.max(1)),
            nested_display: rules.nested_display,
        };
        let process_rules = qorgan_agent_core::processes::ProcessRules::new(
            &rules.deny_processes,
            &rules.allow_processes,
        );
        let threads = [
            spawn("watch-desktop", &watcher, |watcher| {
                imp::watch_desktop(&watcher)
            }),
            spawn("watch-programs", &watcher, move |watcher| {
                programs::watch(&watcher, &process_rules);
            }),
            spawn("watch-clocks", &watcher, |watcher| watch_clocks(&watcher)),
            spawn("watch-seat", &watcher, |watcher| watch_seat(&watcher)),
            spawn("watch-own", &watcher, |watcher| watch_own(&watcher)),
        ];
        Self {
            _threads: threads.into_iter().flatten().collect(),
        }
    }
}

fn spawn(
    name: &str,
    watcher: &Watcher,
    body: impl FnOnce(Watcher) + Send + 'static,
) -> Option<thread::JoinHandle<()>> {
    let watcher = watcher.clone();
    let spawned = thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || body(watcher));
    match spawned {
        Ok(thread) => Some(thread),
        Err(error) => {
            tracing::error!(%error, name, "A watch cannot be started");
            None
        }
    }
}

/// Follows the virtual terminal and the seat's session.
fn watch_seat(watcher: &Watcher) {
    let server = platform::display(None).and_then(|display| display.terminal);
    let mut watch = TerminalWatch::of_server(server);
    while !watcher.is_stopped() {
        let told = match watch.look(&platform::terminal()) {
            Some(TerminalChange::Left { to }) => Some((Edge::Began, format!("{to} is shown"))),
            Some(TerminalChange::Back) => Some((Edge::Ended, String::new())),
            None => None,
        };
        if let Some((edge, detail)) = told {
            watcher.see(IncidentKind::TerminalSwitched, edge, "terminal/1", detail);
        }
        thread::sleep(SEAT_EVERY);
    }
}

/// What is put into the exam's own processes can forge what devices give, and read items.
fn watch_own(watcher: &Watcher) {
    let mut watch = OwnWatch::default();
    let mut found = platform::at_start().to_vec();
    while !watcher.is_stopped() {
        found.extend(watch.look(watcher.own()));
        for intrusion in found.drain(..) {
            let detail = format!("in the agent: {intrusion}");
            watcher.see(IncidentKind::DeniedProcess, Edge::Moment, "own/1", detail);
        }
        for _ in 0..OWN_EVERY_LOOKS {
            if !watcher.is_stopped() {
                thread::sleep(SEAT_EVERY);
            }
        }
    }
}

fn watch_clocks(watcher: &Watcher) {
    let mut watch = ClockWatch::default();
    while !watcher.is_stopped() {
        for finding in watch.look(clock::clocks()) {
            watcher.see(
                IncidentKind::ClockStepped,
                Edge::Moment,
                "clock/1",
                finding.to_string(),
            );
        }
        thread::sleep(CLOCKS_EVERY);
    }
}

/// Reading two small files costs some ten microseconds.
const SEAT_EVERY: Duration = Duration::from_millis(200);
/// The own processes are looked at every two seconds.
const OWN_EVERY_LOOKS: u32 = 10;
const CLOCKS_EVERY: Duration = Duration::from_millis(500);
