//! The bounded queue between a source's thread and its owner.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::source::{CaptureEvent, LossCause, SourceDescription};

/// A running source; it stops when this is dropped.
#[derive(Debug)]
pub struct CaptureHandle<T> {
    queue: Arc<Queue<T>>,
    thread: Option<JoinHandle<()>>,
}

impl<T> CaptureHandle<T> {
    pub(crate) const fn new(queue: Arc<Queue<T>>, thread: JoinHandle<()>) -> Self {
        Self {
            queue,
            thread: Some(thread),
        }
    }

    /// Waits for the next event, or returns nothing when `limit` has passed.
    #[must_use]
    pub fn recv_timeout(&self, limit: Duration) -> Option<CaptureEvent<T>> {
        self.queue.pop(limit)
    }

    /// Returns the next event if there is one.
    #[must_use]
    pub fn try_recv(&self) -> Option<CaptureEvent<T>> {
        self.queue.pop(Duration::ZERO)
    }

    /// Returns how many samples were given up because the owner was slow.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.queue.dropped.load(Ordering::Relaxed)
    }
}

impl<T> Drop for CaptureHandle<T> {
    fn drop(&mut self) {
        self.queue.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("A capture thread panicked");
        }
    }
}

/// The queue itself.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    events: Mutex<VecDeque<CaptureEvent<T>>>,
    ready: Condvar,
    samples_max: usize,
    dropped: AtomicU64,
    stop: AtomicBool,
}

impl<T> Queue<T> {
    pub(crate) fn new(samples_max: usize) -> Arc<Self> {
        Arc::new(Self {
            events: Mutex::new(VecDeque::new()),
            ready: Condvar::new(),
            samples_max,
            dropped: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        })
    }

    /// Says whether the owner has let go.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn sample(&self, sample: T) {
        let mut events = self.lock();
        let is_sample = |event: &CaptureEvent<T>| matches!(event, CaptureEvent::Sample(_));
        if events.iter().filter(|event| is_sample(event)).count() >= self.samples_max
            && let Some(oldest) = events.iter().position(is_sample)
        {
            events.remove(oldest);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        events.push_back(CaptureEvent::Sample(sample));
        self.ready.notify_one();
    }

    pub(crate) fn opened(&self, description: SourceDescription) {
        self.state(CaptureEvent::Opened(description));
    }

    pub(crate) fn lost(&self, cause: LossCause) {
        self.state(CaptureEvent::Lost(cause));
    }

    /// Adds a change of state; an owner that never reads keeps the newest of them.
    fn state(&self, event: CaptureEvent<T>) {
        let mut events = self.lock();
        if events.len() >= self.samples_max + STATES_MAX {
            events.pop_front();
        }
        events.push_back(event);
        self.ready.notify_one();
    }

    fn pop(&self, limit: Duration) -> Option<CaptureEvent<T>> {
        let end = Instant::now() + limit;
        let mut events = self.lock();
        loop {
            if let Some(event) = events.pop_front() {
                return Some(event);
            }
            let left = end
                .checked_duration_since(Instant::now())
                .filter(|left| !left.is_zero())?;
            events = self
                .ready
                .wait_timeout(events, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<CaptureEvent<T>>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Changes of state that wait at most.
const STATES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_owner_loses_the_oldest_samples_and_no_event() {
        let queue = Queue::new(2);
        queue.sample(1);
        queue.lost(LossCause::Stalled);
        queue.sample(2);
        queue.sample(3);
        let left: Vec<_> = std::iter::from_fn(|| queue.pop(Duration::ZERO)).collect();
        assert_eq!(
            left,
            [
                CaptureEvent::Lost(LossCause::Stalled),
                CaptureEvent::Sample(2),
                CaptureEvent::Sample(3)
            ]
        );
        assert_eq!(queue.dropped.load(Ordering::Relaxed), 1);
    }
}
