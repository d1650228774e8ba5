//! Argon2id on threads of its own, behind a bounded queue.
//!
//! # Invariants
//! * At most as many hashes are computed at once as there are threads: so much memory and so many cores,
//!   whoever knocks. No other work of the server waits for them.
//! * Callers are served in turn by where they come from, and told how long to wait where that is longer
//!   than a client waits.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::AuthError;
use super::network::Network;
use super::queue::FairQueue;

/// The part of the queue that a job waits in; the parts take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flow {
    /// The server's own work, such as an import.
    Server,
    /// An account at a place that it knows.
    Known([u8; 32]),
    /// Everybody else of a network.
    Network(Network),
}

type Job = Box<dyn FnOnce() + Send>;

struct Waiting {
    jobs: FairQueue<Flow, Job>,
    closed: bool,
    /// How long one hash takes, as measured; begins with a guess.
    each: Duration,
    /// How many were told to come again; spreads when they do.
    refused: u32,
}

struct Shared {
    waiting: Mutex<Waiting>,
    bell: Condvar,
}

/// The threads that hash. They end when this is dropped.
pub(crate) struct Hashers {
    shared: Arc<Shared>,
    threads: u32,
}

impl core::fmt::Debug for Hashers {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Hashers")
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

impl Drop for Hashers {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.bell.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works until the queue is closed.
    fn work(&self) {
        loop {
            let mut waiting = self.lock();
            let job = loop {
                if waiting.closed {
                    return;
                }
                match waiting.jobs.pop() {
                    Some(job) => break job,
                    None => {
                        waiting = self
                            .bell
                            .wait(waiting)
                            .unwrap_or_else(PoisonError::into_inner);
                    }
                }
            };
            drop(waiting);
            let began = Instant::now();
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("Hashing a password panicked");
            }
            let took = began.elapsed();
            // A job whose caller left takes no time and says nothing.
            if took > Duration::from_micros(50) {
                let mut waiting = self.lock();
                waiting.each = (waiting.each * 7 + took) / 8;
            }
        }
    }
}

impl Hashers {
    /// Starts the threads: `threads`, or half of the cores where that is 0.
    pub(crate) fn start(threads: u32) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let half = u32::try_from(cores / 2).unwrap_or(1).max(1);
        let wanted = if threads == 0 { half } else { threads };
        let shared = Arc::new(Shared {
            waiting: Mutex::new(Waiting {
                jobs: FairQueue::new(JOBS_MAX),
                closed: false,
                each: EACH_GUESS,
                refused: 0,
            }),
            bell: Condvar::new(),
        });
        let mut started = 0;
        for number in 0..wanted.min(THREADS_MAX) {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("password-{number}"));
            match thread.spawn(move || shared.work()) {
                Ok(_runs_until_dropped) => started += 1,
                Err(error) => tracing::error!(%error, "Could not start a thread for passwords"),
            }
        }
        Self {
            shared,
            threads: started,
        }
    }

    /// Does `work` on a thread when it is the flow's turn.
    ///
    /// # Errors
    /// `Busy` where its turn would come later than a client waits, or others of fewer tries took its place;
    /// `Hash` where there is no thread.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        flow: Flow,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AuthError> {
        if self.threads == 0 {
            return Err(AuthError::Hash);
        }
        let (done, result) = oneshot::channel();
        let job: Job = Box::new(move || {
            if !done.is_closed() {
                // A caller that left meanwhile needs no result.
                let _left = done.send(work());
            }
        });
        self.put(flow, job)?;
        match result.await {
            Ok(result) => Ok(result),
            Err(_driven_out) => Err(self.shared.lock().busy(Duration::ZERO)),
        }
    }

    fn put(&self, flow: Flow, job: Job) -> Result<(), AuthError> {
        let mut waiting = self.shared.lock();
        let ahead = u32::try_from(waiting.jobs.ahead(flow)).unwrap_or(u32::MAX);
        let wait = waiting.each.saturating_mul(ahead) / self.threads.max(1);
        if wait > WAIT_MAX && flow != Flow::Server {
            return Err(waiting.busy(wait));
        }
        let driven_out = waiting.jobs.push(flow, job);
        drop(waiting);
        self.shared.bell.notify_one();
        // Dropped outside the lock: its caller is told as it goes.
        drop(driven_out);
        Ok(())
    }
}

impl Waiting {
    /// Refuses, and has those who are refused at once come again one after the other.
    fn busy(&mut self, wait: Duration) -> AuthError {
        self.refused = self.refused.wrapping_add(1);
        let spread = u64::from(self.refused % RETRY_SPREAD_S);
        let seconds = wait.as_secs().saturating_add(1).saturating_add(spread);
        AuthError::Busy {
            retry_after_s: u32::try_from(seconds).unwrap_or(u32::MAX),
        }
    }
}

/// A client gives up after ten seconds; this leaves it some for the way.
const WAIT_MAX: Duration = Duration::from_secs(6);
const EACH_GUESS: Duration = Duration::from_millis(20);
/// Jobs that wait; each holds a password and a hash, below 2 KiB.
const JOBS_MAX: usize = 1_024;
const THREADS_MAX: u32 = 64;
const RETRY_SPREAD_S: u32 = 8;

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn one_network_that_fills_the_queue_delays_another_by_one_job() {
        let hashers = Arc::new(Hashers::start(1));
        let (free, held) = mpsc::channel::<()>();
        let flood = Flow::Network(Network::V4([10, 0, 0, 1]));
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        let mut begin = |flow, name, job: Job| {
            let (hashers, order) = (Arc::clone(&hashers), Arc::clone(&order));
            tasks.push(tokio::spawn(named(hashers, flow, (name, order), job)));
        };
        begin(
            flood,
            "first",
            Box::new(move || held.recv().expect("freed")),
        );
        for _ in 0..200 {
            begin(flood, "flood", Box::new(|| {}));
        }
        begin(Flow::Known([1; 32]), "known", Box::new(|| {}));
        // All are queued before the first one ends.
        while hashers.shared.lock().jobs.ahead(flood) < 201 {
            tokio::task::yield_now().await;
        }
        free.send(()).expect("it waits");
        for task in tasks {
            task.await.expect("no panic").expect("served");
        }
        let order = order.lock().expect("no panic");
        let place = order.iter().position(|name| *name == "known");
        assert!(place.is_some_and(|place| place <= 2), "{order:?}");
    }

    async fn named(
        hashers: Arc<Hashers>,
        flow: Flow,
        (name, order): (&'static str, Arc<Mutex<Vec<&'static str>>>),
        job: Job,
    ) -> Result<(), AuthError> {
        let work = move || {
            job();
            order.lock().expect("no panic").push(name);
        };
        hashers.run(flow, work).await
    }

    #[test]
    fn who_would_wait_too_long_is_told_when_to_come_again() {
        let hashers = Hashers::start(1);
        hashers.shared.lock().each = Duration::from_secs(1);
        let (free, held) = mpsc::channel::<()>();
        let network = Flow::Network(Network::V6([1; 8]));
        let first: Job = Box::new(move || held.recv().expect("freed"));
        hashers.put(network, first).expect("nobody waits");
        let mut refused = Vec::new();
        let mut waiting = Vec::new();
        for _ in 0..20 {
            let job: Job = Box::new(|| {});
            match hashers.put(network, job) {
                Ok(()) => waiting.push(()),
                Err(error) => refused.push(error),
            }
        }
        assert!(waiting.len() <= 8, "six seconds of one second each");
        let told = refused.iter().all(
            |error| matches!(error, AuthError::Busy { retry_after_s } if (7..=20).contains(retry_after_s)),
        );
        assert!(told && !refused.is_empty(), "{refused:?}");
        free.send(()).expect("it waits");
    }
}
