//! The review of an attempt: a person looks, judges every incident, and gives a verdict.
//!
//! # Invariants
//! * Every attempt has a review, also one without incidents (SOP 16, 17).
//! * «Passed» and «violation» leave no incident unjudged; the one has none confirmed, the other rests on
//!   one that is. «Suspicious» hands the rest to somebody else.
//! * A judged incident keeps who judged it and when; a finished review can be taken up again.

use std::collections::BTreeMap;

use qorgan_protocol::ids::{IncidentId, PersonId};
use qorgan_protocol::time::WallTime;

/// What a person says about one incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IncidentVerdict {
    /// It is a breach.
    Confirmed,
    /// It is none.
    Dismissed,
}

impl IncidentVerdict {
    /// Returns the word in SQL and forms.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Dismissed => "dismissed",
        }
    }

    /// Returns the verdict that `word` names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Confirmed, Self::Dismissed]
            .into_iter()
            .find(|verdict| verdict.word() == word)
    }
}

/// What a person says about the whole attempt (edX: review status).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum ReviewVerdict {
    /// Nobody has looked yet, or not to the end.
    #[default]
    NotReviewed,
    /// Nothing was found.
    Passed,
    /// Somebody else should look.
    Suspicious,
    /// A breach is confirmed.
    Violation,
}

impl ReviewVerdict {
    /// Every verdict, in order.
    pub const ALL: [Self; 4] = [
        Self::NotReviewed,
        Self::Passed,
        Self::Suspicious,
        Self::Violation,
    ];

    /// Returns the word in SQL, forms and texts.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotReviewed => "not_reviewed",
            Self::Passed => "passed",
            Self::Suspicious => "suspicious",
            Self::Violation => "violation",
        }
    }

    /// Returns the verdict that `word` names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.word() == word)
    }
}

/// A person's word about one incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Confirmed or dismissed.
    pub verdict: IncidentVerdict,
    /// Who said so.
    pub by: PersonId,
    /// When.
    pub at: WallTime,
    /// What the person noted; may be empty.
    pub note: String,
}

/// The review of one attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Review {
    incidents: BTreeMap<IncidentId, Option<Judgement>>,
    verdict: ReviewVerdict,
    finished: Option<(PersonId, WallTime)>,
}

/// What can be done in a review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReviewEvent {
    /// An incident was raised, also after the review was finished.
    Raised(IncidentId),
    /// A person judged an incident.
    Judged(IncidentId, Judgement),
    /// A person took a judgement back.
    TakenBack(IncidentId),
    /// A person finished the review.
    Finished(ReviewVerdict, PersonId, WallTime),
}

/// Why something cannot be done in a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReviewRefused {
    /// The incident is not one of this attempt.
    #[error("the incident {0} does not belong to the attempt")]
    ForeignIncident(IncidentId),
    /// Passing and finding a violation need every incident judged.
    #[error("{0} incidents are not judged yet")]
    Unjudged(usize),
    /// Passing with a confirmed incident would contradict it.
    #[error("{0} incidents are confirmed")]
    Confirmed(usize),
    /// A violation needs a confirmed incident.
    #[error("no incident is confirmed")]
    NothingConfirmed,
    /// Finishing needs a verdict.
    #[error("a review is finished with a verdict")]
    NoVerdict,
    /// More may be seen of an attempt that goes on.
    #[error("the attempt is not over")]
    NotOver,
}

impl ReviewRefused {
    /// Returns the key of its text, `review-WORD`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ForeignIncident(_) => "foreign-incident",
            Self::Unjudged(_) => "unjudged",
            Self::Confirmed(_) => "has-confirmed",
            Self::NothingConfirmed => "nothing-confirmed",
            Self::NoVerdict => "no-verdict",
            Self::NotOver => "not-over",
        }
    }
}

impl Review {
    /// Returns the review of an attempt with these incidents, none judged.
    #[must_use]
    pub fn of(incidents: impl IntoIterator<Item = IncidentId>) -> Self {
        Self {
            incidents: incidents.into_iter().map(|id| (id, None)).collect(),
            ..Self::default()
        }
    }

    /// Takes an event.
    ///
    /// # Errors
    /// Why it is refused; the review then stays as it was.
    pub fn handle(&mut self, event: ReviewEvent) -> Result<(), ReviewRefused> {
        match event {
            ReviewEvent::Raised(id) => {
                self.incidents.entry(id).or_insert(None);
                self.reopen();
            }
            ReviewEvent::Judged(id, judgement) => {
                *self.slot(id)? = Some(judgement);
                self.reopen();
            }
            ReviewEvent::TakenBack(id) => {
                *self.slot(id)? = None;
                self.reopen();
            }
            ReviewEvent::Finished(verdict, by, at) => {
                self.may_finish(verdict)?;
                self.verdict = verdict;
                self.finished = Some((by, at));
            }
        }
        Ok(())
    }

    /// Returns the verdict on the attempt.
    #[must_use]
    pub const fn verdict(&self) -> ReviewVerdict {
        self.verdict
    }

    /// Returns who finished it and when.
    #[must_use]
    pub const fn finished(&self) -> Option<(PersonId, WallTime)> {
        self.finished
    }

    /// Returns the incidents that a person confirmed, in order.
    pub fn confirmed(&self) -> impl Iterator<Item = IncidentId> {
        self.judged(IncidentVerdict::Confirmed)
    }

    /// Returns how many incidents nobody has judged.
    #[must_use]
    pub fn unjudged(&self) -> usize {
        self.incidents.values().filter(|one| one.is_none()).count()
    }

    fn judged(&self, verdict: IncidentVerdict) -> impl Iterator<Item = IncidentId> {
        self.incidents.iter().filter_map(move |(id, judgement)| {
            let judgement = judgement.as_ref()?;
            (judgement.verdict == verdict).then_some(*id)
        })
    }

    fn slot(&mut self, id: IncidentId) -> Result<&mut Option<Judgement>, ReviewRefused> {
        self.incidents
            .get_mut(&id)
            .ok_or(ReviewRefused::ForeignIncident(id))
    }

    fn reopen(&mut self) {
        self.verdict = ReviewVerdict::NotReviewed;
        self.finished = None;
    }

    fn may_finish(&self, verdict: ReviewVerdict) -> Result<(), ReviewRefused> {
        let confirmed = self.confirmed().count();
        match verdict {
            ReviewVerdict::NotReviewed => Err(ReviewRefused::NoVerdict),
            ReviewVerdict::Passed if confirmed > 0 => Err(ReviewRefused::Confirmed(confirmed)),
            ReviewVerdict::Violation if confirmed == 0 => Err(ReviewRefused::NothingConfirmed),
            ReviewVerdict::Passed | ReviewVerdict::Violation if self.unjudged() > 0 => {
                Err(ReviewRefused::Unjudged(self.unjudged()))
            }
            ReviewVerdict::Passed | ReviewVerdict::Suspicious | ReviewVerdict::Violation => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incident(byte: u8) -> IncidentId {
        IncidentId::new(WallTime::from_unix_ms(1_000), [byte; 10])
    }

    fn judgement(verdict: IncidentVerdict) -> Judgement {
        Judgement {
            verdict,
            by: person(),
            at: WallTime::from_unix_ms(2_000),
            note: String::new(),
        }
    }

    fn person() -> PersonId {
        PersonId::new(WallTime::from_unix_ms(1_000), [1; 10])
    }

    fn finished(verdict: ReviewVerdict) -> ReviewEvent {
        ReviewEvent::Finished(verdict, person(), WallTime::from_unix_ms(3_000))
    }

    #[test]
    fn an_attempt_without_incidents_gets_a_review_too() {
        let mut review = Review::of([]);
        assert_eq!(review.verdict(), ReviewVerdict::NotReviewed);

        review
            .handle(finished(ReviewVerdict::Passed))
            .expect("nothing to judge");

        assert_eq!(review.verdict(), ReviewVerdict::Passed);
    }

    #[test]
    fn nothing_passes_while_an_incident_is_unjudged_or_confirmed() {
        let mut review = Review::of([incident(1)]);
        assert_eq!(
            review.handle(finished(ReviewVerdict::Passed)),
            Err(ReviewRefused::Unjudged(1))
        );

        let confirmed = judgement(IncidentVerdict::Confirmed);
        review
            .handle(ReviewEvent::Judged(incident(1), confirmed))
            .expect("own incident");

        assert_eq!(
            review.handle(finished(ReviewVerdict::Passed)),
            Err(ReviewRefused::Confirmed(1))
        );
    }

    #[test]
    fn a_violation_rests_on_a_confirmed_incident() {
        let mut review = Review::of([incident(1)]);
        let dismissed = judgement(IncidentVerdict::Dismissed);
        review
            .handle(ReviewEvent::Judged(incident(1), dismissed))
            .expect("own incident");

        assert_eq!(
            review.handle(finished(ReviewVerdict::Violation)),
            Err(ReviewRefused::NothingConfirmed)
        );
    }

    #[test]
    fn a_violation_leaves_no_incident_unjudged_and_a_suspicion_may() {
        let mut review = Review::of([incident(1), incident(2)]);
        let confirmed = judgement(IncidentVerdict::Confirmed);
        review
            .handle(ReviewEvent::Judged(incident(1), confirmed))
            .expect("own incident");

        assert_eq!(
            review.handle(finished(ReviewVerdict::Violation)),
            Err(ReviewRefused::Unjudged(1))
        );
        review
            .handle(finished(ReviewVerdict::Suspicious))
            .expect("somebody else looks at the rest");
    }

    #[test]
    fn a_late_incident_takes_the_review_up_again() {
        let mut review = Review::of([]);
        review
            .handle(finished(ReviewVerdict::Passed))
            .expect("nothing to judge");

        review
            .handle(ReviewEvent::Raised(incident(7)))
            .expect("always");

        assert_eq!(review.verdict(), ReviewVerdict::NotReviewed);
        assert_eq!(review.unjudged(), 1);
    }

    #[test]
    fn an_incident_of_another_attempt_is_refused() {
        let mut review = Review::of([incident(1)]);
        let confirmed = judgement(IncidentVerdict::Confirmed);

        assert_eq!(
            review.handle(ReviewEvent::Judged(incident(2), confirmed)),
            Err(ReviewRefused::ForeignIncident(incident(2)))
        );
    }
}
