//! What somebody does here.

/// What somebody does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Sits exams.
    Candidate,
    /// Watches and reviews.
    Proctor,
    /// Prepares and oversees exams.
    TestCentre,
    /// Runs the server.
    Administrator,
}

impl Role {
    /// Every role, in order.
    pub const ALL: [Self; 4] = [
        Self::Candidate,
        Self::Proctor,
        Self::TestCentre,
        Self::Administrator,
    ];

    /// Returns the word in SQL, sheets and texts.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Candidate => "candidate",
            Self::Proctor => "proctor",
            Self::TestCentre => "test_centre",
            Self::Administrator => "administrator",
        }
    }
}
