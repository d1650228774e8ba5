//! Watches the seat and the kiosk's own process: the terminal that is shown, what is put into it.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use qorgan_seat::{
    own::Intrusion,
    platform::{self, OwnWatch},
    terminal::{TerminalChange, TerminalFacts, TerminalWatch},
};

use crate::watch::{Stop, WatchError, WatchEvent, WatchHandle, WatchKind};

/// Begins to watch terminal and process; `notify` is called on the watch's own thread. What was
/// wrong before is told first.
///
/// # Errors
/// Fails where the system gives no thread.
pub fn start_seat_watch(
    notify: impl FnMut(WatchEvent) + Send + 'static,
) -> Result<WatchHandle, WatchError> {
    let server = platform::display(None).and_then(|display| display.terminal);
    let mut own = OwnWatch::default();
    let reader = Reader {
        at_start: platform::at_start().to_vec(),
        terminal: Box::new(platform::terminal),
        own: Box::new(move || own.look([])),
    };
    start(TerminalWatch::of_server(server), reader, notify)
}

/// What the watch reads.
struct Reader {
    at_start: Vec<Intrusion>,
    terminal: Box<dyn FnMut() -> TerminalFacts + Send>,
    own: Box<dyn FnMut() -> Vec<Intrusion> + Send>,
}

fn start(
    terminal: TerminalWatch,
    reader: Reader,
    notify: impl FnMut(WatchEvent) + Send + 'static,
) -> Result<WatchHandle, WatchError> {
    let (stop, stopped) = channel();
    let thread = std::thread::Builder::new()
        .name("seat-watch".to_owned())
        .spawn(move || run(terminal, reader, &stopped, notify))
        .map_err(|error| WatchError::Display {
            reason: error.to_string(),
        })?;
    Ok(WatchHandle::new(Running {
        stop: Some(stop),
        thread: Some(thread),
    }))
}

#[derive(Debug)]
struct Running {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Stop for Running {
    fn stop(&mut self) {
        // The thread ends with the channel.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("The seat watch ended in a panic");
        }
    }
}

fn run(
    mut terminal: TerminalWatch,
    mut reader: Reader,
    stopped: &Receiver<()>,
    mut notify: impl FnMut(WatchEvent),
) {
    let mut tell = |kind| {
        notify(WatchEvent {
            at: Instant::now(),
            kind,
        });
    };
    let touched = |intrusion: &Intrusion| WatchKind::Touched {
        what: intrusion.to_string(),
    };
    reader.at_start.iter().map(touched).for_each(&mut tell);
    let mut own_due = 0;
    loop {
        match terminal.look(&(reader.terminal)()) {
            Some(TerminalChange::Left { to }) => tell(WatchKind::TerminalLeft { to }),
            Some(TerminalChange::Back) => tell(WatchKind::TerminalBack),
            None => {}
        }
        if own_due == 0 {
            own_due = OWN_LOOKS;
            (reader.own)().iter().map(touched).for_each(&mut tell);
        }
        own_due -= 1;
        match stopped.recv_timeout(TERMINAL_EVERY) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Reading two small files costs some ten microseconds.
const TERMINAL_EVERY: Duration = Duration::from_millis(100);
/// The process is looked at with every so manieth look at the terminal: every two seconds.
const OWN_LOOKS: u32 = 20;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    #[test]
    fn a_switch_of_the_terminal_is_told_at_once_and_so_is_the_way_back() {
        let shown = Arc::new(Mutex::new("tty2"));
        let (sender, seen) = channel();
        let reader = Reader {
            at_start: Vec::new(),
            terminal: Box::new({
                let shown = Arc::clone(&shown);
                move || TerminalFacts {
                    shown: Some((*shown.lock().unwrap_or_else(PoisonError::into_inner)).to_owned()),
                    session: None,
                }
            }),
            own: Box::new(Vec::new),
        };
        let watch = start(TerminalWatch::of_server(Some(2)), reader, move |event| {
            drop(sender.send(event));
        })
        .expect("a thread");
        let show = |name| *shown.lock().unwrap_or_else(PoisonError::into_inner) = name;
        let next = || seen.recv_timeout(WAIT).expect("an event").kind;

        let switched = Instant::now();
        show("tty3");
        let to = "tty3".to_owned();
        assert_eq!(next(), WatchKind::TerminalLeft { to });
        assert!(switched.elapsed() < Duration::from_millis(500));
        show("tty2");
        assert_eq!(next(), WatchKind::TerminalBack);
        drop(watch);
        assert!(seen.recv_timeout(WAIT).is_err(), "the watch has ended");
    }

    #[test]
    fn what_was_put_into_the_kiosk_before_and_later_is_told() {
        let (sender, seen) = channel();
        let mut later = vec![Intrusion::Tracer(7)];
        let reader = Reader {
            at_start: vec![Intrusion::Loader("LD_AUDIT a.so".to_owned())],
            terminal: Box::new(TerminalFacts::default),
            own: Box::new(move || std::mem::take(&mut later)),
        };
        let _watch = start(TerminalWatch::of_server(None), reader, move |event| {
            drop(sender.send(event));
        })
        .expect("a thread");
        for words in ["LD_AUDIT a.so", "process 7"] {
            let event = seen.recv_timeout(WAIT).expect("an event");
            let WatchKind::Touched { what } = event.kind else {
                panic!("{event:?}");
            };
            assert!(what.contains(words), "{what}");
        }
    }

    const WAIT: Duration = Duration::from_secs(5);
}
