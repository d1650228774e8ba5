//! The candidate's responses: what was given, what is on disk, what the server has.
//!
//! Append-only, hash-chained, idempotent by (attempt, epoch, seq).

use std::collections::BTreeMap;

use qorgan_protocol::{
    assessment::{Response, ResponseEntry, ResponseSeq},
    codec,
    crypto::Sha256,
    ids::{AttemptId, Epoch, ItemId},
    time::{Now, WallTime},
};

/// Hashes the parts, one after another.
pub type HashFn = fn(&[&[u8]]) -> Sha256;

/// How far a response has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is being written.
    Writing,
    /// It is on this machine's disk since then, by the server's clock.
    Saved(WallTime),
    /// The disk refused it; it waits in memory for the server.
    Unsaved,
    /// The server has it.
    Delivered(WallTime),
}

/// What is given to one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The response.
    pub response: Response,
    /// Whether the item is flagged for later.
    pub flagged: bool,
    /// Its newest entry: the machine's epoch, then the place in that epoch's journal.
    pub place: (Epoch, ResponseSeq),
    /// How far that has come.
    pub kept: Kept,
}

/// Says why a journal from the disk cannot be gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The entries do not follow one another.
    #[error("entry {found} of the journal does not follow {expected}")]
    Gap {
        /// The place that was due.
        expected: u64,
        /// The place that was found.
        found: u64,
    },
    /// An entry does not hash to what the next one names.
    #[error("the chain of the journal breaks at entry {seq}")]
    Broken {
        /// Where.
        seq: u64,
    },
    /// An entry belongs to another attempt or epoch.
    #[error("entry {seq} of the journal belongs to another attempt")]
    Foreign {
        /// Where.
        seq: u64,
    },
    /// The server has other entries than the journal.
    #[error("the server's entry before {next} is not the journal's")]
    Forked {
        /// The server's next place.
        next: u64,
    },
}

/// The responses of one attempt in one epoch.
#[derive(Debug, Clone)]
pub struct ResponseBook {
    attempt: AttemptId,
    epoch: Epoch,
    hash: HashFn,
    next: ResponseSeq,
    head: Sha256,
    given: BTreeMap<ItemId, Given>,
    waiting: BTreeMap<ResponseSeq, ResponseEntry>,
    stored: ResponseSeq,
}

impl ResponseBook {
    /// Begins where the server stands.
    #[must_use]
    pub fn new(
        attempt: AttemptId,
        epoch: Epoch,
        hash: HashFn,
        stored: ResponseSeq,
        head: Sha256,
    ) -> Self {
        Self {
            attempt,
            epoch,
            hash,
            next: stored,
            head,
            given: BTreeMap::new(),
            waiting: BTreeMap::new(),
            stored,
        }
    }

    /// Goes on from what was on disk, where the server has `stored` entries and the newest hashes to
    /// the head that the book was made with.
    ///
    /// # Errors
    /// Where the entries are no chain of this attempt and epoch, or the server has others.
    pub fn replay(
        &mut self,
        entries: &[ResponseEntry],
        saved: WallTime,
    ) -> Result<(), ReplayError> {
        let server_head = self.head;
        let stored = self.stored;
        let mut next = ResponseSeq(entries.first().map_or(stored.0, |entry| entry.seq.0));
        let mut head = entries.first().map_or(server_head, |entry| entry.previous);
        if next > stored {
            return Err(ReplayError::Gap {
                expected: stored.0,
                found: next.0,
            });
        }
        let mut agreed = stored == next && head == server_head;
        for entry in entries {
            self.follows(entry, next, head)?;
            head = self.hash_of(entry);
            next = ResponseSeq(next.0.saturating_add(1));
            agreed |= stored == next && head == server_head;
        }
        if next < stored {
            // The file is behind the server (an older copy of the folder): the server's word holds.
            next = stored;
            head = server_head;
        } else if !agreed {
            return Err(ReplayError::Forked { next: stored.0 });
        }
        for entry in entries {
            let kept = if entry.seq < stored {
                Kept::Delivered(saved)
            } else {
                Kept::Saved(saved)
            };
            self.take(entry, kept);
            if entry.seq >= stored {
                self.waiting.insert(entry.seq, entry.clone());
            }
        }
        self.next = next;
        self.head = head;
        Ok(())
    }

    /// Makes the entry of a response; it counts as given, and as saved once the journal says so.
    pub fn give(
        &mut self,
        item: ItemId,
        given: (Response, bool),
        at: Now,
        lease_left_ms: i64,
    ) -> ResponseEntry {
        let (response, flagged) = given;
        let entry = ResponseEntry {
            attempt: self.attempt,
            epoch: self.epoch,
            seq: self.next,
            item,
            response,
            flagged,
            at,
            lease_left_ms,
            previous: self.head,
        };
        self.head = self.hash_of(&entry);
        self.next = ResponseSeq(self.next.0.saturating_add(1));
        self.take(&entry, Kept::Writing);
        self.waiting.insert(entry.seq, entry.clone());
        entry
    }

    /// Takes in that the entry is on disk, and those before it with it.
    pub fn saved(&mut self, seq: ResponseSeq, at: WallTime) {
        for given in self.given.values_mut() {
            let waited = matches!(given.kept, Kept::Writing | Kept::Unsaved);
            if given.place.0 == self.epoch && given.place.1 <= seq && waited {
                given.kept = Kept::Saved(at);
            }
        }
    }

    /// Takes in that the disk refused what is being written.
    pub fn unsaved(&mut self) {
        for given in self.given.values_mut() {
            if given.kept == Kept::Writing {
                given.kept = Kept::Unsaved;
            }
        }
    }

    /// Takes in that the server has every entry before `next`.
    pub fn stored(&mut self, next: ResponseSeq, at: WallTime) {
        let next = next.min(self.next).max(self.stored);
        self.stored = next;
        self.waiting.retain(|&seq, _| seq >= next);
        for given in self.given.values_mut() {
            let (epoch, seq) = given.place;
            if epoch != self.epoch || seq >= next {
                continue;
            }
            if !matches!(given.kept, Kept::Delivered(_)) {
                given.kept = Kept::Delivered(at);
            }
        }
    }

    /// Takes in what the server has of each item, given on this machine or on one before it.
    ///
    /// Per item the entry with the higher place (epoch, then seq) holds, whichever side it is from: a
    /// journal that is ahead of the server keeps its word, and one that was lost or is behind gets
    /// the server's. Nothing becomes due for delivery, and the journal's chain goes on as it was.
    pub fn fill(&mut self, stored: &[ResponseEntry], at: WallTime) {
        for entry in stored {
            if entry.attempt != self.attempt || entry.epoch > self.epoch {
                continue;
            }
            let known = self.given.get(&entry.item).map(|given| given.place);
            if known.is_none_or(|known| known < (entry.epoch, entry.seq)) {
                self.take(entry, Kept::Delivered(at));
            }
        }
    }

    /// Returns what the server lacks, in order, at most `max` entries.
    #[must_use]
    pub fn waiting(&self, max: usize) -> Vec<ResponseEntry> {
        self.waiting.values().take(max).cloned().collect()
    }

    /// Returns what is given to `item`.
    #[must_use]
    pub fn given(&self, item: ItemId) -> Option<&Given> {
        self.given.get(&item)
    }

    /// Returns how many items have a response.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.given
            .values()
            .filter(|given| !given.response.is_empty())
            .count()
    }

    /// Returns the place after the last entry.
    #[must_use]
    pub const fn next(&self) -> ResponseSeq {
        self.next
    }

    fn take(&mut self, entry: &ResponseEntry, kept: Kept) {
        let given = Given {
            response: entry.response.clone(),
            flagged: entry.flagged,
            place: (entry.epoch, entry.seq),
            kept,
        };
        self.given.insert(entry.item, given);
    }

    fn follows(
        &self,
        entry: &ResponseEntry,
        next: ResponseSeq,
        head: Sha256,
    ) -> Result<(), ReplayError> {
        if entry.seq != next {
            return Err(ReplayError::Gap {
                expected: next.0,
                found: entry.seq.0,
            });
        }
        if entry.attempt != self.attempt || entry.epoch != self.epoch {
            return Err(ReplayError::Foreign { seq: entry.seq.0 });
        }
        if entry.previous != head {
            return Err(ReplayError::Broken { seq: entry.seq.0 });
        }
        Ok(())
    }

    /// An entry is plain data and always has canonical bytes; should it not, no chain holds over it.
    fn hash_of(&self, entry: &ResponseEntry) -> Sha256 {
        codec::encode("response entry", entry)
            .map_or(Sha256::ZERO, |bytes| (self.hash)(&[bytes.as_slice()]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kiosk::fixtures::{attempt, item, toy_hash};

    #[test]
    fn a_response_is_saved_only_when_the_journal_says_so() {
        let mut book = fresh();
        let entry = book.give(item(1), (choice("A"), false), Now::default(), 10);
        assert_eq!(
            book.given(item(1)).map(|given| given.kept),
            Some(Kept::Writing)
        );
        book.saved(entry.seq, wall(5));
        assert_eq!(
            book.given(item(1)).map(|given| given.kept),
            Some(Kept::Saved(wall(5)))
        );
    }

    #[test]
    fn a_response_that_the_disk_refused_is_saved_with_one_that_follows_it() {
        let mut book = fresh();
        book.give(item(1), (choice("A"), false), Now::default(), 10);
        book.unsaved();
        let later = book.give(item(2), (choice("B"), false), Now::default(), 10);
        book.saved(later.seq, wall(5));
        for which in [1, 2] {
            let kept = book.given(item(which)).map(|given| given.kept);
            assert_eq!(kept, Some(Kept::Saved(wall(5))), "item {which}");
        }
    }

    #[test]
    fn a_journal_of_another_attempt_is_refused() {
        let mut book = fresh();
        let mut entry = book.give(item(1), (choice("A"), false), Now::default(), 10);
        entry.epoch = Epoch(9);
        assert_eq!(
            fresh().replay(&[entry], wall(0)),
            Err(ReplayError::Foreign { seq: 0 })
        );
    }

    #[test]
    fn a_folder_that_is_behind_the_server_goes_on_from_the_server() {
        let mut book = fresh();
        let first = book.give(item(1), (choice("A"), false), Now::default(), 10);
        book.give(item(2), (choice("B"), false), Now::default(), 10);
        let mut later =
            ResponseBook::new(attempt(), Epoch::FIRST, toy_hash, ResponseSeq(2), book.head);
        later.replay(&[first], wall(0)).expect("an older copy");
        let next = later.give(item(3), (choice("C"), false), Now::default(), 10);
        assert_eq!((next.seq, next.previous), (ResponseSeq(2), book.head));
    }

    #[test]
    fn a_server_that_holds_other_entries_is_noticed() {
        let mut book = fresh();
        let entry = book.give(item(1), (choice("A"), false), Now::default(), 10);
        let mut other = ResponseBook::new(
            attempt(),
            Epoch::FIRST,
            toy_hash,
            ResponseSeq(1),
            Sha256([9; 32]),
        );
        assert_eq!(
            other.replay(&[entry], wall(0)),
            Err(ReplayError::Forked { next: 1 })
        );
    }

    #[test]
    fn a_lost_journal_is_filled_from_the_server_also_from_the_machine_before() {
        let mut before = fresh();
        let old = [
            before.give(item(1), (choice("A"), true), Now::default(), 10),
            before.give(item(2), (choice("B"), false), Now::default(), 10),
        ];
        let mut book = epoch_two();
        let newer = book.give(item(2), (choice("C"), false), Now::default(), 10);

        book.fill(&old, wall(9));

        let first = book.given(item(1)).expect("given on the machine before");
        assert_eq!((&first.response, first.flagged), (&choice("A"), true));
        assert_eq!(first.kept, Kept::Delivered(wall(9)));
        assert_eq!(
            book.given(item(2)).map(|given| given.kept),
            Some(Kept::Writing)
        );
        assert_eq!(book.waiting(9), [newer]);
    }

    #[test]
    fn entries_of_another_attempt_or_a_later_epoch_fill_nothing() {
        let mut before = fresh();
        let mut foreign = before.give(item(1), (choice("A"), false), Now::default(), 10);
        let mut later = foreign.clone();
        foreign.attempt = AttemptId::new(wall(8), [8; 10]);
        later.epoch = Epoch(2);
        let mut book = fresh();

        book.fill(&[foreign, later], wall(9));

        assert_eq!(book.answered(), 0);
    }

    proptest! {
        /// kill -9 after any number of entries, with any number of them delivered: nothing is lost,
        /// nothing comes twice, and the chain goes on.
        #[test]
        fn a_crash_at_any_moment_loses_and_doubles_nothing(
            gives in prop::collection::vec((0u8..5, 0u8..4, any::<bool>()), 1..30),
            delivered in 0usize..30,
        ) {
            let mut before = fresh();
            let mut file = Vec::new();
            let mut heads = vec![Sha256::ZERO];
            for (which, letter, flagged) in gives {
                let letter = char::from(b'A' + letter).to_string();
                let entry = before.give(item(which), (choice(&letter), flagged), Now::default(), 0);
                heads.push(before.head);
                file.push(entry);
            }
            let delivered = delivered.min(file.len());
            let stored = ResponseSeq(u64::try_from(delivered).expect("small"));
            let mut after =
                ResponseBook::new(attempt(), Epoch::FIRST, toy_hash, stored, heads[delivered]);
            after.replay(&file, wall(1)).expect("its own journal");
            for which in 0..5 {
                let old = before.given(item(which)).map(|given| (&given.response, given.flagged));
                let new = after.given(item(which)).map(|given| (&given.response, given.flagged));
                prop_assert_eq!(old, new);
            }
            prop_assert_eq!(after.waiting(usize::MAX), file[delivered..].to_vec());
            prop_assert_eq!(after.next(), before.next());
            prop_assert_eq!(after.head, before.head);
        }

        /// Whatever part of the entries the server has, whatever part of them the journal still has,
        /// and in whatever order the server tells them: per item the newest entry that either side
        /// has is in the book, and what only the journal has waits for the server.
        #[test]
        fn merging_the_servers_entries_gives_the_newest_of_both_sides(
            earlier in prop::collection::vec((0u8..4, 0u8..4), 0..8),
            gives in prop::collection::vec((0u8..4, 0u8..4, any::<bool>()), 0..20),
            stored in 0usize..20,
            left in 0usize..20,
            turned in any::<bool>(),
        ) {
            let mut first = fresh();
            let mut server: Vec<ResponseEntry> = earlier
                .into_iter()
                .map(|(which, letter)| first.give(item(which), (lettered(letter), false), Now::default(), 0))
                .collect();
            let mut second = epoch_two();
            let mut heads = vec![Sha256::ZERO];
            let mut file = Vec::new();
            for (which, letter, flagged) in gives {
                file.push(second.give(item(which), (lettered(letter), flagged), Now::default(), 0));
                heads.push(second.head);
            }
            let (stored, left) = (stored.min(file.len()), left.min(file.len()));
            server.extend(file[..stored].iter().cloned());
            let mut newest: BTreeMap<ItemId, ResponseEntry> = BTreeMap::new();
            for entry in server.iter().chain(&file[..left]) {
                let place = |entry: &ResponseEntry| (entry.epoch, entry.seq);
                let known = newest.get(&entry.item).map(place);
                if known.is_none_or(|known| known < place(entry)) {
                    newest.insert(entry.item, entry.clone());
                }
            }
            let seq = ResponseSeq(u64::try_from(stored).expect("small"));
            let mut book = ResponseBook::new(attempt(), Epoch(2), toy_hash, seq, heads[stored]);
            book.replay(&file[..left], wall(1)).expect("its own journal");
            if turned {
                server.reverse();
            }

            book.fill(&server, wall(2));

            prop_assert_eq!(book.given.len(), newest.len());
            for (which, entry) in &newest {
                let given = book.given(*which).expect("in the book");
                prop_assert_eq!(&given.response, &entry.response);
                prop_assert_eq!((given.flagged, given.place), (entry.flagged, (entry.epoch, entry.seq)));
                let delivered = matches!(given.kept, Kept::Delivered(_));
                prop_assert_eq!(delivered, entry.epoch < Epoch(2) || entry.seq < seq);
            }
            prop_assert_eq!(book.waiting(usize::MAX), file[stored.min(left)..left].to_vec());
            prop_assert_eq!(book.head, heads[stored.max(left)]);
        }
    }

    fn epoch_two() -> ResponseBook {
        ResponseBook::new(attempt(), Epoch(2), toy_hash, ResponseSeq(0), Sha256::ZERO)
    }

    fn lettered(letter: u8) -> Response {
        choice(&char::from(b'A' + letter).to_string())
    }

    fn fresh() -> ResponseBook {
        ResponseBook::new(
            attempt(),
            Epoch::FIRST,
            toy_hash,
            ResponseSeq(0),
            Sha256::ZERO,
        )
    }

    fn choice(id: &str) -> Response {
        Response::choices(vec![id.to_owned()])
    }

    fn wall(ms: i64) -> WallTime {
        WallTime::from_unix_ms(ms)
    }
}
