//! The JSON of the HTTPS API between client, agent and server (`/api/v1`).
//!
//! Bytes travel as lower-case hexadecimal ([`Hex`]); a signed structure as [`SignedHex`].

mod attempt;
mod hexbytes;
mod problem;
mod receipt;
mod sign_in;

pub use attempt::{
    AcceptedResponses, AttemptView, CheckInReply, ClientEvent, ClientEventKind, ClientEvents,
    ConnectionTime, ConsentReply, ConsentRequest, FreshnessView, GateLine, GateLineState,
    IdentityRequest, IdentityState, InstructionRequest, ItemList, ItemSlot, LeaseView, Message,
    MessageFrom, RaiseHandRequest, ResponseReceipt, ResponsesRequest, SendMessageRequest,
    StoredResponses, SubmitReply, SubmitRequest, SystemCheckLine, SystemCheckRequest, TextIn,
};
#[cfg(feature = "schema")]
pub(crate) use hexbytes::text_schema;
pub use hexbytes::{Hex, SignedHex};
pub use problem::{Problem, ProblemCode};
pub use receipt::ReceiptFile;
pub use sign_in::{
    Accommodation, AgentEnrolReply, AgentEnrolRequest, ChallengeReply, CheckInRequest, DeviceProof,
    EnrolProof, ExamCard, ExamState, ServerHello, SignInReply, SignInRequest,
};
