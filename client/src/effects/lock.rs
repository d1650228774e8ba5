//! The lockdown of the machine, with what it sees told to the core.

use std::path::PathBuf;

use qorgan_client_core::event::Event;
use qorgan_lockdown::{
    LapseWatch, Layout, Layouts, Lockdown, MeasureOutcome, MeasureReport, WatchEvent, WatchHandle,
    WatchKind, WindowTarget, measures, revert_leftovers, start_seat_watch, start_watch,
};
use qorgan_protocol::wire::ClientEventKind;

use super::Bell;

/// The lock, open or closed.
#[derive(Debug)]
pub struct Lock {
    journal: PathBuf,
    target: Option<WindowTarget>,
    engaged: Option<Lockdown>,
    /// What was told of measures that do not hold any more.
    lapses: LapseWatch,
    watch: Option<WatchHandle>,
    /// Runs also where nothing can be locked.
    seat: Option<WatchHandle>,
    layouts: Option<Layouts>,
}

impl Lock {
    /// Reverts what a crash left and makes a lock for `target`; without one nothing is locked, and
    /// the core is told so when it asks.
    #[must_use]
    pub fn new(data: &std::path::Path, target: Option<WindowTarget>) -> Self {
        let journal = data.join("lockdown.journal");
        match revert_leftovers(&journal) {
            Ok(reports) => {
                for report in &reports {
                    log_reverted(report, "Reverted what a crash left");
                }
            }
            Err(error) => tracing::error!(%error, "Could not revert what a crash left"),
        }
        Self {
            journal,
            target,
            engaged: None,
            lapses: LapseWatch::default(),
            watch: None,
            seat: None,
            layouts: None,
        }
    }

    /// Locks the machine and begins to watch; what fails is told.
    pub fn engage(&mut self, bell: &Bell) {
        if self.seat.is_none() {
            let ring = bell.clone();
            match start_seat_watch(move |event| seen(&ring, &event)) {
                Ok(watch) => self.seat = Some(watch),
                Err(error) => tell(bell, ClientEventKind::MeasureFailed, error.to_string()),
            }
        }
        let Some(target) = self.target.clone() else {
            tell(
                bell,
                ClientEventKind::MeasureFailed,
                "no lockdown on this display".to_owned(),
            );
            return;
        };
        if self.engaged.is_some() {
            return;
        }
        self.layouts = Layouts::open()
            .inspect_err(|error| tracing::info!(%error, "The keyboard's layout is not shown"))
            .ok();
        match Lockdown::engage(&self.journal, measures(&target)) {
            Ok((lockdown, reports)) => {
                self.engaged = Some(lockdown);
                self.lapses = LapseWatch::default();
                for report in &reports {
                    told(bell, report);
                }
            }
            Err(error) => tell(bell, ClientEventKind::MeasureFailed, error.to_string()),
        }
        let ring = bell.clone();
        match start_watch(&target, move |event| seen(&ring, &event)) {
            Ok(watch) => self.watch = Some(watch),
            Err(error) => tell(bell, ClientEventKind::MeasureFailed, error.to_string()),
        }
    }

    /// Unlocks the machine.
    pub fn release(&mut self) {
        self.watch = None;
        self.seat = None;
        self.layouts = None;
        if let Some(lockdown) = self.engaged.take() {
            for report in &lockdown.release() {
                log_reverted(report, "Unlocked");
            }
        }
    }

    /// Applies again what something outside has loosened; a measure that cannot be had any more is
    /// told, once until it holds again.
    pub fn renew(&mut self, bell: &Bell) {
        if let Some(lockdown) = &mut self.engaged {
            let reports = lockdown.renew();
            for report in &reports {
                tracing::debug!(measure = report.kind.name(), outcome = ?report.outcome, "Renewed");
            }
            for report in &self.lapses.look(reports) {
                told(bell, report);
            }
        }
    }

    /// Returns the keyboard's layout while the keyboard is held, where there are several to switch
    /// between.
    #[must_use]
    pub fn layout(&self) -> Option<Layout> {
        let layout = self.layouts.as_ref()?.read().ok()?;
        layout.can_switch().then_some(layout)
    }

    /// Goes on to the next layout.
    pub fn switch_layout(&self) {
        if let Some(Err(error)) = self.layouts.as_ref().map(Layouts::switch) {
            tracing::warn!(%error, "The keyboard's layout stays");
        }
    }

    /// Returns whether the machine is locked.
    #[must_use]
    pub const fn is_engaged(&self) -> bool {
        self.engaged.is_some()
    }
}

/// Logs what became of a measure that was to be taken back; `done` says it where it was.
fn log_reverted(report: &MeasureReport, done: &'static str) {
    let measure = report.kind.name();
    match &report.outcome {
        MeasureOutcome::Failed(error) => {
            tracing::warn!(%error, measure, "Could not take a measure back");
        }
        MeasureOutcome::Applied | MeasureOutcome::Reverted => tracing::info!(measure, "{done}"),
    }
}

fn told(bell: &Bell, report: &MeasureReport) {
    if let MeasureOutcome::Failed(error) = &report.outcome {
        tell(
            bell,
            ClientEventKind::MeasureFailed,
            format!("{}: {error}", report.kind.name()),
        );
    }
}

fn seen(bell: &Bell, event: &WatchEvent) {
    let (kind, window) = match &event.kind {
        WatchKind::SwitchedAway { to: Some(window) } => {
            (ClientEventKind::WindowSwitch, Some(window))
        }
        WatchKind::SwitchedAway { to: None } => (ClientEventKind::FocusLost, None),
        WatchKind::SwitchedBack => (ClientEventKind::FocusBack, None),
        WatchKind::WindowRaised { window } | WatchKind::OverlayShown { window } => {
            (ClientEventKind::WindowSwitch, Some(window))
        }
        // The agent reports new windows; here only those matter that take the exam's place.
        WatchKind::WindowOpened { .. } => return,
        WatchKind::ClipboardTaken => (ClientEventKind::ClipboardCleared, None),
        WatchKind::TerminalLeft { to } => {
            tell(bell, ClientEventKind::TerminalLeft, to.clone());
            return;
        }
        WatchKind::TerminalBack => (ClientEventKind::TerminalBack, None),
        WatchKind::Touched { what } => {
            tell(bell, ClientEventKind::ProgramTouched, what.clone());
            return;
        }
        WatchKind::Blind => (ClientEventKind::MeasureFailed, None),
    };
    let class = window
        .and_then(|window| window.class.clone())
        .unwrap_or_default();
    let pid = window
        .and_then(|window| window.pid)
        .map(|pid| format!(" pid {pid}"))
        .unwrap_or_default();
    tell(
        bell,
        kind,
        format!("{} {class}{pid}", event.kind.name())
            .trim_end()
            .to_owned(),
    );
}

fn tell(bell: &Bell, kind: ClientEventKind, detail: String) {
    bell.ring(Event::Seen { kind, detail });
}
