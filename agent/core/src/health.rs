//! How one device does, from what its capture says and from how long it has been silent.

use core::time::Duration;

use qorgan_protocol::evidence::{SourceHealth, SourceState, StreamId};
use qorgan_protocol::time::Now;

/// What capture says about a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceEvent {
    /// It is being opened.
    Opening,
    /// A sample came, captured at this moment.
    Sample(Now),
    /// It cannot be used; never `Live` or `Opening`.
    Failed(SourceState),
}

/// Follows one device.
///
/// | from \ event | opening | sample | failed | silent for 2 s |
/// |---|---|---|---|---|
/// | any | `Opening` | `Live` | that state | `Live` or `Opening` become `Stalled` |
#[derive(Debug, Clone)]
pub struct HealthMachine {
    source: StreamId,
    state: SourceState,
    since: Now,
    newest: Option<Now>,
}

impl HealthMachine {
    /// Makes the machine of a device that nobody has opened yet.
    #[must_use]
    pub const fn new(source: StreamId, now: Now) -> Self {
        Self {
            source,
            state: SourceState::Opening,
            since: now,
            newest: None,
        }
    }

    /// Takes what capture says; returns the state where it changed.
    pub fn handle(&mut self, now: Now, event: DeviceEvent) -> Option<SourceState> {
        match event {
            DeviceEvent::Opening => self.enter(now, SourceState::Opening),
            DeviceEvent::Sample(at) => {
                self.newest = Some(self.newest.map_or(at, |newest| newest.max(at)));
                if now.since(at) >= STALL_AFTER {
                    return None;
                }
                self.enter(now, SourceState::Live)
            }
            DeviceEvent::Failed(state) => self.enter(now, state),
        }
    }

    /// Looks at the clock; returns `Stalled` where the device has just become so.
    pub fn tick(&mut self, now: Now) -> Option<SourceState> {
        let silent_since = match self.state {
            SourceState::Live => self.newest.unwrap_or(self.since),
            SourceState::Opening => self.since,
            SourceState::Missing
            | SourceState::Busy
            | SourceState::Denied
            | SourceState::Unplugged
            | SourceState::Stalled
            | SourceState::Unsupported => return None,
        };
        let allowed = match self.state {
            SourceState::Opening => OPEN_WITHIN,
            SourceState::Live
            | SourceState::Missing
            | SourceState::Busy
            | SourceState::Denied
            | SourceState::Unplugged
            | SourceState::Stalled
            | SourceState::Unsupported => STALL_AFTER,
        };
        if now.since(silent_since) >= allowed {
            self.enter(now, SourceState::Stalled)
        } else {
            None
        }
    }

    /// Returns the state.
    #[must_use]
    pub const fn state(&self) -> SourceState {
        self.state
    }

    /// Returns what the beat says.
    #[must_use]
    pub const fn health(&self) -> SourceHealth {
        SourceHealth {
            source: self.source,
            state: self.state,
            newest: self.newest,
        }
    }

    fn enter(&mut self, now: Now, state: SourceState) -> Option<SourceState> {
        if state == self.state {
            return None;
        }
        self.state = state;
        self.since = now;
        Some(state)
    }
}

/// A device that is silent this long is lost (design/testing.md).
pub const STALL_AFTER: Duration = Duration::from_secs(2);
/// Some cameras need seconds to give the first picture.
const OPEN_WITHIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use qorgan_protocol::evidence::StreamKind;

    use super::*;

    #[test]
    fn a_camera_that_stops_giving_pictures_is_stalled_after_two_seconds() {
        let mut machine = machine();
        assert_eq!(
            machine.handle(at(300), DeviceEvent::Sample(at(290))),
            Some(SourceState::Live)
        );
        assert_eq!(machine.tick(at(2_200)), None);
        assert_eq!(machine.tick(at(2_290)), Some(SourceState::Stalled));
        assert_eq!(machine.tick(at(2_400)), None);
    }

    #[test]
    fn an_unplugged_device_recovers_when_it_returns() {
        let mut machine = machine();
        machine.handle(at(100), DeviceEvent::Sample(at(100)));
        let lost = machine.handle(at(200), DeviceEvent::Failed(SourceState::Unplugged));
        assert_eq!(lost, Some(SourceState::Unplugged));
        machine.handle(at(900), DeviceEvent::Opening);
        machine.handle(at(950), DeviceEvent::Failed(SourceState::Missing));
        machine.handle(at(2_400), DeviceEvent::Opening);
        assert_eq!(
            machine.handle(at(2_500), DeviceEvent::Sample(at(2_500))),
            Some(SourceState::Live)
        );
    }

    #[test]
    fn an_old_sample_does_not_make_a_device_live() {
        let mut machine = machine();
        assert_eq!(
            machine.handle(at(9_000), DeviceEvent::Sample(at(6_000))),
            None
        );
        assert_eq!(machine.state(), SourceState::Opening);
    }

    fn machine() -> HealthMachine {
        let source = StreamId {
            kind: StreamKind::Camera,
            index: 0,
        };
        HealthMachine::new(source, at(0))
    }

    fn at(ms: u64) -> Now {
        Now::from_origin(Duration::from_millis(ms))
    }
}
