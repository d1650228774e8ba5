//! Errors as the server tells them: a code to translate and to quote to support, and a remedy.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $status:literal;)*) => {
        /// What went wrong. Its word is the key of the texts `problem-WORD` and `remedy-WORD`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        #[serde(rename_all = "snake_case")]
        pub enum ProblemCode {
            $($(#[$doc])* $name,)*
        }

        impl ProblemCode {
            /// Every code, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the word on the wire and in text keys.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// Returns the HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }
        }
    };
}

codes! {
    /// Login or password are wrong.
    WrongPassword = "wrong_password", 401;
    /// The password is one that was handed out, and its time is over.
    CodeOver = "code_over", 403;
    /// The token is missing, wrong or over.
    NotSignedIn = "not_signed_in", 401;
    /// This account may not do this.
    Forbidden = "forbidden", 403;
    /// Nothing is there, or it is not for this account.
    NotFound = "not_found", 404;
    /// Too many tries, or new items too fast; `retry_after_s` says when.
    TooMany = "too_many", 429;
    /// The request cannot be read; `detail` names the field.
    BadRequest = "bad_request", 400;
    /// The candidate is not on the admission list (SOP 7).
    NotAdmitted = "not_admitted", 403;
    /// The sitting's window has not opened.
    TooEarly = "too_early", 403;
    /// The sitting's window is closed.
    TooLate = "too_late", 403;
    /// The attempt is bound to another machine; a move was asked for and waits for approval.
    BoundElsewhere = "bound_elsewhere", 409;
    /// The epoch is over.
    OldEpoch = "old_epoch", 409;
    /// The attempt is in a phase that does not allow this.
    WrongPhase = "wrong_phase", 409;
    /// The gate is closed: required streams are not live (SOP 10).
    GateClosed = "gate_closed", 409;
    /// There is no lease: items are covered.
    Covered = "covered", 409;
    /// A key, certificate or signature does not hold.
    NotProved = "not_proved", 403;
    /// The proof of a request names an old nonce; the reply's header gives the one to use.
    StaleProof = "stale_proof", 401;
    /// The system check does not fulfil what the sitting requires; `detail` names each line.
    CheckFailed = "check_failed", 409;
    /// Responses do not follow those that are stored; `detail` names the expected place.
    OutOfOrder = "out_of_order", 409;
    /// The request is larger than allowed.
    TooLarge = "too_large", 413;
    /// Client and server speak no common version.
    Version = "version", 426;
    /// The server cannot store now; nothing was accepted.
    Unavailable = "unavailable", 503;
}

/// The body of every error reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Problem {
    /// What went wrong.
    pub code: ProblemCode,
    /// What exactly, in English, without personal data.
    pub detail: String,
    /// When to try again, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u32>,
}
