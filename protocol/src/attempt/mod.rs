//! One candidate's attempt: its phases, the start gate (SOP 10), the lease on content.

mod phase;
mod policy;

pub use phase::{
    AttemptEvent, AttemptPhase, CheckInTask, CheckInTasks, PauseCause, Refused, TerminationCause,
};
pub use policy::{GateMode, GatePolicy, Grace};
