//! Acts: their numbers and their states.
//!
//! # Invariants
//! * Numbers run per institution, form and year from 1 without gaps; the transaction that registers
//!   an act takes the number.
//! * An act states facts. It prints an annulment only after a commission of at least three different
//!   people, of the three roles of SOP 12, has decided so (decision 9).

use core::fmt;
use std::collections::BTreeSet;

use qorgan_protocol::ids::PersonId;
use qorgan_protocol::time::WallTime;

/// Which form an act has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ActForm {
    /// Form 1: a breach of the rules of conduct.
    RuleBreach,
    /// Form 2: a refusal to sign.
    RefusalToSign,
    /// Form 3: an outsider.
    Impersonation,
}

impl ActForm {
    /// Returns the form's number in the procedure.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::RuleBreach => 1,
            Self::RefusalToSign => 2,
            Self::Impersonation => 3,
        }
    }
}

/// An act's number within its institution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActNumber {
    /// The form.
    pub form: ActForm,
    /// The calendar year in the institution's zone.
    pub year: i16,
    /// Its place in the year, from 1.
    pub ordinal: u32,
}

impl ActNumber {
    /// Returns the number after `last`, the newest of the same institution, form and year.
    ///
    /// # Errors
    /// [`SeriesFull`] where no larger number can be written.
    //= tests/data/sop-2-28.md#17-act
    pub fn following(form: ActForm, year: i16, last: Option<u32>) -> Result<Self, SeriesFull> {
        let ordinal = last.unwrap_or(0).checked_add(1).ok_or(SeriesFull)?;
        Ok(Self {
            form,
            year,
            ordinal,
        })
    }
}

impl fmt::Display for ActNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}-{}/{:04}",
            self.form.number(),
            self.year,
            self.ordinal
        )
    }
}

/// Says that a series of act numbers is at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the year's act numbers are used up")]
pub struct SeriesFull;

/// In which role somebody sits on a commission (SOP 12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CommissionRole {
    /// The proctor.
    Proctor,
    /// An employee of the testing centre.
    TestCentre,
    /// The dean's office.
    DeansOffice,
}

/// What a commission decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sanction {
    /// The result is annulled.
    AnnulResult,
    /// The result stands.
    None,
}

/// A recorded decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    sanction: Sanction,
    members: Vec<(PersonId, CommissionRole)>,
    at: WallTime,
}

/// Why a decision is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecisionRefused {
    /// Fewer than three different people.
    #[error("a commission has at least three different people, here are {0}")]
    TooFew(usize),
    /// A role of SOP 12 is not there.
    #[error("nobody sits on the commission as {0:?}")]
    MissingRole(CommissionRole),
}

impl Decision {
    /// Records a decision.
    ///
    /// # Errors
    /// Where the commission is not one by SOP 12.
    pub fn new(
        sanction: Sanction,
        members: Vec<(PersonId, CommissionRole)>,
        at: WallTime,
    ) -> Result<Self, DecisionRefused> {
        let people: BTreeSet<PersonId> = members.iter().map(|(person, _)| *person).collect();
        if people.len() < 3 {
            return Err(DecisionRefused::TooFew(people.len()));
        }
        let roles = [
            CommissionRole::Proctor,
            CommissionRole::TestCentre,
            CommissionRole::DeansOffice,
        ];
        for role in roles {
            if !members.iter().any(|(_, has)| *has == role) {
                return Err(DecisionRefused::MissingRole(role));
            }
        }
        Ok(Self {
            sanction,
            members,
            at,
        })
    }

    /// Returns when it was taken.
    #[must_use]
    pub const fn at(&self) -> WallTime {
        self.at
    }

    /// Returns who took it.
    #[must_use]
    pub fn members(&self) -> &[(PersonId, CommissionRole)] {
        &self.members
    }
}

/// How the candidate stands to an act (SOP 19).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Acknowledgement {
    /// Agrees.
    Agrees,
    /// Disagrees.
    Disagrees,
    /// Refused to sign before witnesses (Form 2).
    RefusesToSign,
    /// Did not reply within the term, with proof of delivery.
    NoResponse,
}

/// Where an act stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActState {
    /// Facts are registered.
    Registered,
    /// A commission decided.
    Decided {
        /// What.
        decision: Decision,
    },
    /// The candidate has it.
    Served {
        /// What was decided.
        decision: Decision,
        /// How the candidate stands to it.
        acknowledgement: Acknowledgement,
    },
}

/// What can happen to an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActEvent {
    /// A commission decided.
    Decided(Decision),
    /// It was served on the candidate.
    Served(Acknowledgement),
}

/// An edge that is not in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an act that is {state} cannot be {event}")]
pub struct ActRefused {
    state: &'static str,
    event: &'static str,
}

impl ActState {
    /// Returns the word in SQL and texts.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Decided { .. } => "decided",
            Self::Served { .. } => "served",
        }
    }

    /// Returns the state after `event`.
    ///
    /// # Errors
    /// [`ActRefused`] for every edge that is not in the table.
    pub fn after(self, event: ActEvent) -> Result<Self, ActRefused> {
        let state = self.word();
        match (self, event) {
            (Self::Registered, ActEvent::Decided(decision)) => Ok(Self::Decided { decision }),
            (Self::Decided { decision }, ActEvent::Served(acknowledgement)) => Ok(Self::Served {
                decision,
                acknowledgement,
            }),
            (Self::Decided { .. } | Self::Served { .. }, ActEvent::Decided(_)) => {
                let event = "decided";
                Err(ActRefused { state, event })
            }
            (Self::Registered | Self::Served { .. }, ActEvent::Served(_)) => {
                let event = "served";
                Err(ActRefused { state, event })
            }
        }
    }

    /// Returns the decision that the act may print; `None` before a commission has decided.
    #[must_use]
    //= tests/data/sop-2-28.md#17-act
    pub const fn printed_sanction(&self) -> Option<Sanction> {
        match self {
            Self::Registered => None,
            Self::Decided { decision } | Self::Served { decision, .. } => Some(decision.sanction),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn person(byte: u8) -> PersonId {
        PersonId::new(WallTime::from_unix_ms(1_000), [byte; 10])
    }

    fn commission() -> Vec<(PersonId, CommissionRole)> {
        vec![
            (person(1), CommissionRole::Proctor),
            (person(2), CommissionRole::TestCentre),
            (person(3), CommissionRole::DeansOffice),
        ]
    }

    fn decided(sanction: Sanction) -> Decision {
        Decision::new(sanction, commission(), WallTime::from_unix_ms(5_000)).expect("three people")
    }

    #[test]
    //= tests/data/sop-2-28.md#17-act
    //= type=test
    fn no_act_without_a_recorded_decision_prints_an_annulment() {
        let registered = ActState::Registered;
        assert_eq!(registered.printed_sanction(), None);

        let decided = registered
            .after(ActEvent::Decided(decided(Sanction::AnnulResult)))
            .expect("registered acts are decided");

        assert_eq!(decided.printed_sanction(), Some(Sanction::AnnulResult));
    }

    #[test]
    fn an_act_is_not_served_before_it_is_decided() {
        ActState::Registered
            .after(ActEvent::Served(Acknowledgement::Agrees))
            .expect_err("an act is served after it was decided");
    }

    #[test]
    fn one_person_in_three_roles_is_no_commission() {
        let members = commission()
            .into_iter()
            .map(|(_, role)| (person(1), role))
            .collect();

        let refused = Decision::new(Sanction::AnnulResult, members, WallTime::from_unix_ms(1));

        assert_eq!(refused, Err(DecisionRefused::TooFew(1)));
    }

    #[test]
    fn a_commission_without_the_deans_office_is_none() {
        let mut members = commission();
        members.retain(|(_, role)| *role != CommissionRole::DeansOffice);
        members.push((person(4), CommissionRole::Proctor));

        let refused = Decision::new(Sanction::None, members, WallTime::from_unix_ms(1));

        assert_eq!(
            refused,
            Err(DecisionRefused::MissingRole(CommissionRole::DeansOffice))
        );
    }

    proptest! {
        #[test]
        //= tests/data/sop-2-28.md#17-act
        //= type=test
        fn numbers_run_from_one_without_gaps(count in 1u32..200) {
            let mut last = None;
            for expected in 1..=count {
                let number = ActNumber::following(ActForm::RuleBreach, 2026, last)
                    .expect("far from the end");
                prop_assert_eq!(number.ordinal, expected);
                last = Some(number.ordinal);
            }
        }
    }

    #[test]
    fn a_number_reads_as_form_year_and_place() {
        let number = ActNumber::following(ActForm::RuleBreach, 2026, Some(11)).expect("room");

        assert_eq!(number.to_string(), "1-2026/0012");
    }
}
