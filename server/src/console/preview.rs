//! Imports that were checked and wait for a person's word; kept in memory, bounded.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::photos::Photo;
use qorgan_protocol::assessment::AssessmentTest;
use qorgan_protocol::ids::{ExamId, PersonId, SittingId};
use qorgan_protocol::time::Now;
use qorgan_server_core::sheets::{AdmissionRow, PersonRow};

/// The most imports that wait; a further one drops the oldest, whose owner checks the file again.
const WAITING_MAX: usize = 16;
/// How long an import waits.
const WAITING: Duration = Duration::from_secs(30 * 60);

/// What was checked and may be applied.
#[derive(Debug)]
pub(crate) enum Checked {
    /// People.
    People(Vec<PersonRow>),
    /// Photos on file.
    Photos(Vec<Photo>),
    /// A test of an exam.
    Test(ExamId, Box<AssessmentTest>),
    /// An admission sheet of a sitting.
    Admission(SittingId, Vec<AdmissionRow>),
}

#[derive(Debug)]
struct Waiting {
    id: String,
    owner: PersonId,
    since: Now,
    checked: Checked,
}

/// Imports that wait.
#[derive(Debug, Default)]
pub(crate) struct Previews(Mutex<VecDeque<Waiting>>);

impl Previews {
    /// Keeps an import under an unguessable identifier.
    pub(super) fn keep(&self, id: String, owner: PersonId, now: Now, checked: Checked) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|one| now.since(one.since) < WAITING);
        while waiting.len() >= WAITING_MAX {
            waiting.pop_front();
        }
        waiting.push_back(Waiting {
            id,
            owner,
            since: now,
            checked,
        });
    }

    /// Takes an import out; only its owner can, once.
    pub(super) fn take(&self, id: &str, owner: PersonId, now: Now) -> Option<Checked> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|one| now.since(one.since) < WAITING);
        let at = waiting
            .iter()
            .position(|one| one.id == id && one.owner == owner)?;
        waiting.remove(at).map(|one| one.checked)
    }
}

#[cfg(test)]
mod tests {
    use qorgan_protocol::time::WallTime;

    use super::*;

    #[test]
    fn only_the_owner_takes_an_import_and_only_once() {
        let previews = Previews::default();
        let owner = PersonId::new(WallTime::from_unix_ms(1), [1; 10]);
        let other = PersonId::new(WallTime::from_unix_ms(1), [2; 10]);
        let now = Now::default();
        previews.keep("x".to_owned(), owner, now, Checked::People(Vec::new()));

        assert!(previews.take("x", other, now).is_none());
        assert!(previews.take("x", owner, now).is_some());
        assert!(previews.take("x", owner, now).is_none());
    }

    #[test]
    fn an_import_waits_no_longer_than_half_an_hour() {
        let previews = Previews::default();
        let owner = PersonId::new(WallTime::from_unix_ms(1), [1; 10]);
        previews.keep(
            "x".to_owned(),
            owner,
            Now::default(),
            Checked::People(Vec::new()),
        );

        assert!(
            previews
                .take("x", owner, Now::default() + WAITING)
                .is_none()
        );
    }
}
