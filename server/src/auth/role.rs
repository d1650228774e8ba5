//! The rights of staff: a route names a role by type.

use core::fmt::Debug;

/// A role of a member of staff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StaffRole {
    /// Watches, flags, reviews.
    Proctor,
    /// Admits, schedules, imports.
    TestCentre,
    /// Keeps accounts and settings.
    Administrator,
}

impl StaffRole {
    /// Every role, in order.
    pub const ALL: [Self; 3] = [Self::Proctor, Self::TestCentre, Self::Administrator];

    /// Returns the word in SQL, URLs and on the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Proctor => "proctor",
            Self::TestCentre => "test_centre",
            Self::Administrator => "administrator",
        }
    }

    /// Returns the role that `word` names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

/// The members of staff whom a route admits.
pub trait Role: Debug + Send + Sync + 'static {
    /// The roles of which one is needed.
    const ADMITS: &'static [StaffRole];
}

macro_rules! roles {
    ($($(#[$doc:meta])* $name:ident = [$($role:ident),*];)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl Role for $name {
            const ADMITS: &'static [StaffRole] = &[$(StaffRole::$role),*];
        }
    )*};
}

roles! {
    /// Proctors.
    Proctor = [Proctor];
    /// The testing centre.
    TestCentre = [TestCentre];
    /// Administrators.
    Administrator = [Administrator];
    /// Proctors and the testing centre: who may approve a move.
    Watcher = [Proctor, TestCentre];
    /// The testing centre and administrators: who keeps lists of people and assigns proctors.
    Office = [TestCentre, Administrator];
    /// Everybody who is signed in to the console.
    AnyStaff = [Proctor, TestCentre, Administrator];
}
