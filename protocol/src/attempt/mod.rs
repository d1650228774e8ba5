//! One candidate's attempt: its phases, the start gate (SOP 10), the lease on content.

mod backlog;
mod credit;
mod entry;
mod freshness;
mod gate;
mod lease;
mod lease_record;
mod machine;
mod pace;
mod phase;
mod policy;
mod rule;
mod sources;
mod standing;

pub use backlog::Backlog;
pub use credit::{CreditedPause, PauseCredit};
pub use entry::{Entry, EntryRefused};
pub use freshness::{AskedCode, Randomness};
pub use gate::{GateError, GateInput, GateMemory, GateOutput, Moment, StartGate};
pub use lease::ContentLease;
pub use lease_record::{Arrival, LeaseChange, LeaseRecord, ResponseMark, Standing};
pub use machine::{CheckFault, CheckJudgement};
pub use pace::{ItemPace, Pace};
pub use phase::{
    AttemptEvent, AttemptPhase, CheckInTask, CheckInTasks, PauseCause, Refused, TerminationCause,
};
pub use policy::{GateMode, GatePolicy, Grace};
pub use rule::{CheckName, MachinePolicy, MachineRule};
pub use standing::{CheckOutcome, GateLine, GateLineState, IdentityState, SystemCheckLine};
