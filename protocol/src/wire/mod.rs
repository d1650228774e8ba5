//! The JSON of the HTTPS API between client, agent and server (`/api/v1`).
//!
//! Bytes travel as lower-case hexadecimal ([`Hex`]); a signed structure as [`SignedHex`].

mod attempt;
mod hexbytes;
mod problem;
mod proof;
mod receipt;
mod sign_in;

pub use attempt::{
    AcceptedResponses, AttemptView, CheckInReply, ClientEvent, ClientEventKind, ClientEvents,
    ConnectionTime, ConsentReply, ConsentRequest, FreshnessView, IdentityRequest,
    InstructionRequest, ItemList, ItemSlot, LeaseView, Message, MessageFrom, RaiseHandRequest,
    ResponseReceipt, ResponsesRequest, SendMessageRequest, StoredResponses, SubmitReply,
    SubmitRequest, SystemCheckRequest, TextIn,
};
pub use hexbytes::{Hex, SignedHex};
pub use problem::{Problem, ProblemCode};
pub use proof::{
    PROOF_HEADER, PROOF_NONCE_HEADER, ProofError, RequestProof, nonce_of, proof_header, proof_of,
};
pub use receipt::ReceiptFile;
pub use sign_in::{
    Accommodation, AgentEnrolReply, AgentEnrolRequest, AgentGrant, ChallengeReply, CheckInRequest,
    DeviceProof, EnrolProof, ExamCard, ExamState, ServerHello, SignInReply, SignInRequest,
};

pub use crate::attempt::{CheckOutcome, GateLine, GateLineState, IdentityState, SystemCheckLine};
