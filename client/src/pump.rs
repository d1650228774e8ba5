//! Carries events to the core on a thread of its own, so that the window is drawn anew only where
//! there is something else to see.
//!
//! The agent speaks five times a second and the server once; drawing for each word costs a fifth of a
//! core where there is no graphics card, and shows the same picture.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread::JoinHandle,
    time::Duration,
};

use qorgan_client_core::{
    Kiosk,
    event::Event,
    view::{ScreenView, View},
};

use crate::effects::{Clock, Effects, Outcome, PictureStore};

/// The core with what does its bidding.
#[derive(Debug)]
pub(crate) struct Desk {
    kiosk: Kiosk,
    effects: Effects,
    pictures: Arc<Mutex<PictureStore>>,
    outcomes: Vec<Outcome>,
    drawn: Option<View>,
}

impl Desk {
    pub(crate) fn new(kiosk: Kiosk, effects: Effects) -> Self {
        let pictures = effects.pictures();
        Self {
            kiosk,
            effects,
            pictures,
            outcomes: Vec::new(),
            drawn: None,
        }
    }

    /// Takes in an event, and does what follows from it but for what only the window can do.
    pub(crate) fn handle(&mut self, clock: Clock, event: Event) {
        for effect in self.kiosk.handle(clock.now(), event) {
            match self.effects.perform(effect) {
                Outcome::Done => {}
                left @ (Outcome::Engage
                | Outcome::Renew
                | Outcome::Release
                | Outcome::Accessibility(_)
                | Outcome::Quit) => self.outcomes.push(left),
            }
        }
    }

    /// Returns what is left for the window to do, in order.
    pub(crate) fn take_outcomes(&mut self) -> Vec<Outcome> {
        std::mem::take(&mut self.outcomes)
    }

    /// Returns what to draw now, which counts as drawn, and whether more than a clock went on in it:
    /// then the focus has to find its place, which takes egui another frame.
    pub(crate) fn draw(&mut self, clock: Clock) -> (View, bool) {
        let view = self.kiosk.view(clock.now());
        let before = self.drawn.replace(view.clone());
        let changed =
            before.is_none_or(|before| without_clocks(before) != without_clocks(view.clone()));
        (view, changed)
    }

    fn has_news(&self, clock: Clock) -> bool {
        let pictures = self.pictures.lock().unwrap_or_else(PoisonError::into_inner);
        !self.outcomes.is_empty()
            || pictures.has_news()
            || self.drawn.as_ref() != Some(&self.kiosk.view(clock.now()))
    }
}

/// The running thread; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Pump {
    desk: Arc<Mutex<Desk>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pump {
    /// Starts to carry; `redraw` is called where the window shows something old.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(crate) fn start(
        desk: Desk,
        events: Receiver<Event>,
        clock: Clock,
        redraw: impl Fn() + Send + 'static,
    ) -> std::io::Result<Self> {
        let desk = Arc::new(Mutex::new(desk));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (Arc::clone(&desk), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("pump".to_owned())
            .spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    if !turn(&shared, &events, clock, &redraw) {
                        return;
                    }
                }
            })?;
        Ok(Self {
            desk,
            stop,
            thread: Some(thread),
        })
    }

    /// Returns the core, for as long as the window needs it.
    pub(crate) fn desk(&self) -> MutexGuard<'_, Desk> {
        locked(&self.desk)
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("The thread that carries events panicked");
        }
    }
}

/// Waits for an event or for the moment at which time alone changes something; false at the end.
fn turn(desk: &Mutex<Desk>, events: &Receiver<Event>, clock: Clock, redraw: &impl Fn()) -> bool {
    let now = clock.now();
    let wake = locked(desk).kiosk.wake_at(now);
    let wait = wake.map_or(STOP_LOOK, |wake| wake.since(now).clamp(WAIT_MIN, STOP_LOOK));
    let (event, due) = match events.recv_timeout(wait) {
        Ok(event) => (event, false),
        Err(RecvTimeoutError::Timeout) => (Event::Tick, wake.is_some_and(|at| at <= clock.now())),
        Err(RecvTimeoutError::Disconnected) => return false,
    };
    if event == Event::Tick && !due {
        return true;
    }
    let mut desk = locked(desk);
    // What the lockdown saw has the window look at its locks at once.
    if matches!(event, Event::Seen { .. }) {
        desk.outcomes.push(Outcome::Renew);
    }
    desk.handle(clock, event);
    while let Ok(event) = events.try_recv() {
        desk.handle(clock, event);
    }
    if desk.has_news(clock) {
        drop(desk);
        redraw();
    }
    true
}

fn without_clocks(mut view: View) -> View {
    match &mut view.screen {
        ScreenView::Exam(exam) => exam.bar.remaining = Duration::ZERO,
        ScreenView::Covered(covered) => {
            covered.bar.remaining = Duration::ZERO;
            covered.since = Duration::ZERO;
        }
        ScreenView::Welcome(_)
        | ScreenView::SignIn(_)
        | ScreenView::Exams(_)
        | ScreenView::Consent(_)
        | ScreenView::SystemCheck(_)
        | ScreenView::Identity(_)
        | ScreenView::Liveness(_)
        | ScreenView::Voice(_)
        | ScreenView::Instruction(_)
        | ScreenView::Gate(_)
        | ScreenView::Submitted(_)
        | ScreenView::Ended(_) => {}
    }
    view
}

fn locked(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long the end of the program waits at most.
const STOP_LOOK: Duration = Duration::from_millis(250);
const WAIT_MIN: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use std::{sync::mpsc::sync_channel, time::Instant};

    use qorgan_client_core::event::{Intent, Language, MachineFacts};

    use super::*;
    use crate::{
        app::toolbox,
        effects::{Bell, Places},
    };

    #[test]
    fn only_what_changes_the_picture_has_it_drawn_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let places = Places {
            data: folder.path().to_path_buf(),
            agent: folder.path().join("none"),
            agent_args: Vec::new(),
        };
        let (bell, events) = Bell::new();
        let clock = Clock::start();
        let effects = Effects::start(&places, clock, bell.clone()).expect("it starts");
        let kiosk = Kiosk::new(toolbox(), Language::Kk, String::new());
        let (sender, redraws) = sync_channel(16);
        let pump = Pump::start(Desk::new(kiosk, effects), events, clock, move || {
            sender.send(()).expect("the test listens");
        })
        .expect("a thread");
        pump.desk().draw(clock);

        for disk_free_bytes in 0..50 {
            bell.ring(Event::Machine(MachineFacts {
                disk_free_bytes: Some(disk_free_bytes),
                ..MachineFacts::default()
            }));
        }
        let quiet = redraws.recv_timeout(Duration::from_millis(300));
        assert!(quiet.is_err(), "nothing of it is to be seen");
        let began = Instant::now();
        bell.ring(Event::Intent(Intent::ChooseLanguage(Language::Ru)));
        redraws
            .recv_timeout(Duration::from_secs(5))
            .expect("the language is to be seen");

        assert!(began.elapsed() < Duration::from_secs(1));
        let (view, changed) = pump.desk().draw(clock);
        assert_eq!((view.language, changed), (Language::Ru, true));
        assert!(!pump.desk().draw(clock).1, "it was drawn already");
    }
}
