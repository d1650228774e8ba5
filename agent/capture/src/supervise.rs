//! Runs a source, watches it, and opens it again when it is lost.
//!
//! A device call may block for ever, so it runs on a worker thread of its own. The supervising
//! thread waits for the worker with a limit; a worker that exceeds it is left behind, its late
//! output goes nowhere, and it ends as soon as its call returns.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::handle::{CaptureHandle, Queue};
use crate::source::{CaptureEvent, LossCause, SourceDescription};

/// How long a camera may give no picture before it counts as lost.
pub const CAMERA_STALL: Duration = Duration::from_secs(2);

/// A source that can be opened again and again.
pub(crate) trait Source: Send + Sync + 'static {
    /// What it gives.
    type Sample: Send + 'static;

    /// Opens the source, gives what it has to `sink` until that is closed, and says why it ended.
    fn run(&self, sink: &Sink<Self::Sample>) -> LossCause;

    /// Names the threads.
    fn label(&self) -> &'static str;

    /// How long the open source may give nothing.
    fn stall_limit(&self) -> Duration;

    /// How many samples wait for a slow owner at most.
    fn samples_max(&self) -> usize;
}

/// Where a source puts what it has.
#[derive(Debug)]
pub(crate) struct Sink<T> {
    sender: SyncSender<CaptureEvent<T>>,
}

impl<T> Sink<T> {
    /// Announces that the source is open; false when nobody listens any more.
    pub(crate) fn opened(&self, description: SourceDescription) -> bool {
        self.sender.send(CaptureEvent::Opened(description)).is_ok()
    }

    /// Gives a sample; false when nobody listens any more.
    pub(crate) fn sample(&self, sample: T) -> bool {
        self.sender.send(CaptureEvent::Sample(sample)).is_ok()
    }
}

/// Starts a source on threads of its own.
pub(crate) fn start<S: Source>(source: S) -> std::io::Result<CaptureHandle<S::Sample>> {
    let queue = Queue::new(source.samples_max());
    let source = Arc::new(source);
    let supervised = Arc::clone(&queue);
    let thread = thread::Builder::new()
        .name(format!("qorgan-{}", source.label()))
        .spawn(move || supervise(&source, &supervised))?;
    Ok(CaptureHandle::new(queue, thread))
}

fn supervise<S: Source>(source: &Arc<S>, queue: &Queue<S::Sample>) {
    let workers = Arc::new(AtomicUsize::new(0));
    let mut reported: Option<LossCause> = None;
    let mut pause = RETRY_FIRST;
    while !queue.stopped() {
        let ended = match work(source, &workers) {
            Some(receiver) => follow(&receiver, queue, source.stall_limit()),
            // Too many workers hang in device calls: the device is stalled, not lost anew.
            None => Ended {
                cause: LossCause::Stalled,
                was_open: false,
            },
        };
        if queue.stopped() {
            return;
        }
        // A worker that still hangs holds the device, so `Busy` would blame somebody else.
        let hangs = workers.load(Ordering::Relaxed) > 0 && ended.cause == LossCause::Busy;
        let cause = if hangs {
            LossCause::Stalled
        } else {
            ended.cause
        };
        if ended.was_open || reported.as_ref() != Some(&cause) {
            tracing::warn!(source = source.label(), ?cause, "Lost a source");
            queue.lost(cause.clone());
            reported = Some(cause);
        }
        pause = if ended.was_open {
            RETRY_FIRST
        } else {
            (pause * 2).min(RETRY_LAST)
        };
        wait(queue, pause);
    }
}

/// How a run of a source ended.
struct Ended {
    cause: LossCause,
    was_open: bool,
}

fn work<S: Source>(
    source: &Arc<S>,
    workers: &Arc<AtomicUsize>,
) -> Option<Receiver<CaptureEvent<S::Sample>>> {
    if workers.load(Ordering::Relaxed) >= WORKERS_MAX {
        return None;
    }
    let (sender, receiver) = sync_channel(HANDOVER_SAMPLES);
    let (source, count) = (Arc::clone(source), Arc::clone(workers));
    count.fetch_add(1, Ordering::Relaxed);
    let spawned = thread::Builder::new()
        .name(format!("qorgan-{}-io", source.label()))
        .spawn(move || {
            let running = Running(count);
            let sink = Sink { sender };
            let cause = source.run(&sink);
            drop(source);
            // The count falls before the loss is told, so that it is not blamed on this worker.
            drop(running);
            // An owner that has let go needs no cause.
            drop(sink.sender.send(CaptureEvent::Lost(cause)));
        });
    if spawned.is_err() {
        workers.fetch_sub(1, Ordering::Relaxed);
        return None;
    }
    Some(receiver)
}

/// Counts a worker for as long as it runs, also when it panics.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn follow<T>(
    receiver: &Receiver<CaptureEvent<T>>,
    queue: &Queue<T>,
    stall_limit: Duration,
) -> Ended {
    let mut was_open = false;
    let mut heard = Instant::now();
    loop {
        let limit = if was_open { stall_limit } else { OPEN_LIMIT };
        match receiver.recv_timeout(STOP_CHECK) {
            Ok(CaptureEvent::Opened(description)) => {
                was_open = true;
                tracing::info!(driver = %description.driver, "Opened a source");
                queue.opened(description);
            }
            Ok(CaptureEvent::Sample(sample)) => queue.sample(sample),
            Ok(CaptureEvent::Lost(cause)) => return Ended { cause, was_open },
            Err(RecvTimeoutError::Timeout) => {
                if queue.stopped() || heard.elapsed() >= limit {
                    return Ended {
                        cause: LossCause::Stalled,
                        was_open,
                    };
                }
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Ended {
                    cause: LossCause::unsupported("the driver panicked"),
                    was_open,
                };
            }
        }
        if queue.stopped() {
            return Ended {
                cause: LossCause::Stalled,
                was_open,
            };
        }
        heard = Instant::now();
    }
}

fn wait<T>(queue: &Queue<T>, pause: Duration) {
    let end = Instant::now() + pause;
    while !queue.stopped() && Instant::now() < end {
        thread::sleep(STOP_CHECK.min(pause));
    }
}

/// How long opening a device may take.
const OPEN_LIMIT: Duration = Duration::from_secs(10);
/// How long a dropped handle waits at most.
const STOP_CHECK: Duration = Duration::from_millis(50);
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_LAST: Duration = Duration::from_secs(2);
/// Workers of one source that may hang at the same time.
const WORKERS_MAX: usize = 3;
/// Samples between a worker and its supervisor; more wait in the owner's queue.
const HANDOVER_SAMPLES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceKind;
    use std::sync::Mutex;
    use std::sync::mpsc;

    #[test]
    fn a_lost_source_says_why_and_comes_back() {
        let script = [
            Turn::Fails(LossCause::Missing),
            Turn::Fails(LossCause::Missing),
            Turn::Gives(2, LossCause::Unplugged),
            Turn::Gives(1, LossCause::Busy),
        ];
        let handle = start(Scripted::new(script)).expect("a thread starts");
        let seen = events(&handle, 7);
        assert_eq!(
            seen,
            [
                CaptureEvent::Lost(LossCause::Missing),
                CaptureEvent::Opened(description()),
                CaptureEvent::Sample(0),
                CaptureEvent::Sample(1),
                CaptureEvent::Lost(LossCause::Unplugged),
                CaptureEvent::Opened(description()),
                CaptureEvent::Sample(0),
            ]
        );
    }

    #[test]
    fn a_call_that_never_returns_is_a_stall_and_dropping_does_not_wait_for_it() {
        let handle = start(Scripted::new([Turn::Hangs])).expect("a thread starts");
        let seen = events(&handle, 2);
        assert_eq!(seen[0], CaptureEvent::Opened(description()));
        assert_eq!(seen[1], CaptureEvent::Lost(LossCause::Stalled));
        let before = Instant::now();
        drop(handle);
        assert!(before.elapsed() < Duration::from_secs(1));
    }

    enum Turn {
        Fails(LossCause),
        Gives(u32, LossCause),
        Hangs,
    }

    struct Scripted {
        turns: Mutex<std::vec::IntoIter<Turn>>,
    }

    impl Scripted {
        fn new<const N: usize>(turns: [Turn; N]) -> Self {
            Self {
                turns: Mutex::new(Vec::from(turns).into_iter()),
            }
        }
    }

    impl Source for Scripted {
        type Sample = u32;

        fn run(&self, sink: &Sink<u32>) -> LossCause {
            let turn = self.turns.lock().expect("no test panics here").next();
            match turn {
                Some(Turn::Fails(cause)) => cause,
                Some(Turn::Gives(count, cause)) => {
                    sink.opened(description());
                    (0..count).all(|number| sink.sample(number));
                    cause
                }
                Some(Turn::Hangs) => {
                    sink.opened(description());
                    let (_never, receiver) = mpsc::channel::<()>();
                    assert!(receiver.recv_timeout(Duration::from_secs(5)).is_err());
                    LossCause::Missing
                }
                None => LossCause::Missing,
            }
        }

        fn label(&self) -> &'static str {
            "scripted"
        }

        fn stall_limit(&self) -> Duration {
            Duration::from_millis(100)
        }

        fn samples_max(&self) -> usize {
            8
        }
    }

    fn events(handle: &CaptureHandle<u32>, count: usize) -> Vec<CaptureEvent<u32>> {
        (0..count)
            .map(|_| {
                handle
                    .recv_timeout(Duration::from_secs(10))
                    .expect("the next event comes")
            })
            .collect()
    }

    fn description() -> SourceDescription {
        SourceDescription {
            kind: SourceKind::Simulated,
            driver: "scripted".to_owned(),
            name: "test".to_owned(),
            bus: None,
            width: 2,
            height: 2,
            frames_per_s: 1,
            samples_per_s: 0,
        }
    }
}
