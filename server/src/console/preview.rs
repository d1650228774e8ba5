//! Imports that were checked and wait for a person's word; kept in memory, bounded.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::imports::CheckedTest;
use super::photos::Photo;
use qorgan_protocol::ids::{PersonId, SittingId};
use qorgan_protocol::time::Now;
use qorgan_server_core::qti::PACKAGE_BYTES_MAX;
use qorgan_server_core::sheets::{AdmissionRow, PersonRow};

/// The most imports that wait; a further one drops the oldest, whose owner checks the file again.
const WAITING_MAX: usize = 16;
/// The most imports of one person that wait.
const OWN_MAX: usize = 2;
/// The most bytes of imports that wait, in all: two of the largest packages.
const WAITING_BYTES_MAX: usize = 2 * PACKAGE_BYTES_MAX;
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
    Test(Box<CheckedTest>),
    /// An admission sheet of a sitting.
    Admission(SittingId, Vec<AdmissionRow>),
}

impl Checked {
    /// Returns about how many bytes of memory it takes.
    fn bytes(&self) -> usize {
        match self {
            Self::People(rows) => rows.len().saturating_mul(ROW_BYTES),
            Self::Photos(photos) => photos.iter().map(Photo::bytes).sum(),
            Self::Test(checked) => {
                let test = checked.test();
                let pictures: usize = test.pictures.iter().map(|one| one.bytes.len()).sum();
                pictures.saturating_add(test.items.len().saturating_mul(ITEM_BYTES))
            }
            Self::Admission(_, rows) => rows.len().saturating_mul(ROW_BYTES),
        }
    }
}

/// About what a row of a sheet takes in memory.
const ROW_BYTES: usize = 1024;
/// About what an item without its pictures takes in memory.
const ITEM_BYTES: usize = 16 * 1024;

#[derive(Debug)]
struct Waiting {
    id: String,
    owner: PersonId,
    since: Now,
    bytes: usize,
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
        let bytes = checked.bytes();
        while waiting.iter().filter(|one| one.owner == owner).count() >= OWN_MAX {
            let Some(oldest) = waiting.iter().position(|one| one.owner == owner) else {
                break;
            };
            waiting.remove(oldest);
        }
        let held = |waiting: &VecDeque<Waiting>| waiting.iter().map(|one| one.bytes).sum::<usize>();
        while waiting.len() >= WAITING_MAX
            || held(&waiting).saturating_add(bytes) > WAITING_BYTES_MAX
        {
            if waiting.pop_front().is_none() {
                break;
            }
        }
        waiting.push_back(Waiting {
            id,
            owner,
            since: now,
            bytes,
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
    fn imports_that_wait_are_bounded_for_one_person_and_in_bytes() {
        let previews = Previews::default();
        let person = |number| PersonId::new(WallTime::from_unix_ms(1), [number; 10]);
        let now = Now::default();
        let keep = |id: &str, owner: PersonId, jpeg_bytes: usize| {
            let photo = Photo::of_bytes(owner, jpeg_bytes);
            previews.keep(id.to_owned(), owner, now, Checked::Photos(vec![photo]));
        };
        for id in ["a", "b", "c"] {
            keep(id, person(1), 1);
        }
        assert!(previews.take("a", person(1), now).is_none(), "one's oldest");
        keep("d", person(2), PACKAGE_BYTES_MAX);
        keep("e", person(3), PACKAGE_BYTES_MAX);
        for (id, owner) in [("b", 1), ("c", 1)] {
            let taken = previews.take(id, person(owner), now);
            assert!(taken.is_none(), "{id} made room");
        }
        assert!(previews.take("d", person(2), now).is_some());
        assert!(previews.take("e", person(3), now).is_some());
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
