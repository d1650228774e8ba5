//! Which requests of a token came already: a nonce of the server's own for each token, and a
//! window over the numbers that were used under it.
//!
//! # Invariants
//! * A number is taken once under one nonce. A nonce ends with the server's run or with its place
//!   here, so that nothing that was recorded before is ever taken again.
//! * Memory is bounded: the token that was heard longest ago loses its place, which costs its client
//!   one more round trip.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The verdict on a proof's nonce and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// The request is new.
    New,
    /// The nonce is not the token's; this one is.
    Stale([u8; 16]),
    /// The number was used before.
    Replayed,
}

/// Every token that was heard lately.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    tokens: BTreeMap<[u8; 32], Channel>,
    /// Token by when it was heard last, for the one to go.
    by_age: BTreeMap<u64, [u8; 32]>,
    clock: u64,
}

#[derive(Debug)]
struct Channel {
    nonce: [u8; 16],
    window: Window,
    heard: u64,
}

impl Proofs {
    /// Takes the number of a proof whose signature holds; `fresh` becomes the token's nonce where it
    /// has none.
    pub(super) fn take(
        &self,
        token: [u8; 32],
        nonce: [u8; 16],
        number: u64,
        fresh: [u8; 16],
    ) -> Taken {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.take(token, (nonce, number), fresh)
    }
}

impl Known {
    fn take(
        &mut self,
        token: [u8; 32],
        (nonce, number): ([u8; 16], u64),
        fresh: [u8; 16],
    ) -> Taken {
        self.clock = self.clock.saturating_add(1);
        let now = self.clock;
        let channel = self.tokens.entry(token).or_insert_with(|| Channel {
            nonce: fresh,
            window: Window::default(),
            heard: now,
        });
        self.by_age.remove(&channel.heard);
        channel.heard = now;
        let taken = if channel.nonce != nonce {
            Taken::Stale(channel.nonce)
        } else if channel.window.take(number) {
            Taken::New
        } else {
            Taken::Replayed
        };
        self.by_age.insert(now, token);
        while self.tokens.len() > TOKENS_MAX {
            let Some((_heard, oldest)) = self.by_age.pop_first() else {
                break;
            };
            self.tokens.remove(&oldest);
        }
        taken
    }
}

/// The newest numbers: requests go over several connections, so that a later one may come first.
#[derive(Debug, Default)]
struct Window {
    /// The highest number that came, and one bit for each of the numbers before it.
    top: Option<u64>,
    seen: [u64; WORDS],
}

impl Window {
    /// Takes a number; false where it came before, or is too old to tell.
    fn take(&mut self, number: u64) -> bool {
        let Some(top) = self.top else {
            self.top = Some(number);
            self.mark(number);
            return true;
        };
        if number > top {
            let ahead = number.saturating_sub(top);
            for passed in 1..=ahead.min(SPAN) {
                self.clear(top.wrapping_add(passed));
            }
            if ahead > SPAN {
                self.seen = [0; WORDS];
            }
            self.top = Some(number);
            self.mark(number);
            return true;
        }
        if top.saturating_sub(number) >= SPAN || self.is_marked(number) {
            return false;
        }
        self.mark(number);
        true
    }

    fn mark(&mut self, number: u64) {
        if let Some(word) = self.seen.get_mut(word_of(number)) {
            *word |= bit_of(number);
        }
    }

    fn clear(&mut self, number: u64) {
        if let Some(word) = self.seen.get_mut(word_of(number)) {
            *word &= !bit_of(number);
        }
    }

    fn is_marked(&self, number: u64) -> bool {
        let word = self.seen.get(word_of(number)).copied();
        word.is_none_or(|word| word & bit_of(number) != 0)
    }
}

fn word_of(number: u64) -> usize {
    usize::try_from(number / 64 % WORDS_U64).unwrap_or_default()
}

const fn bit_of(number: u64) -> u64 {
    1 << (number % 64)
}

const WORDS: usize = 8;
const WORDS_U64: u64 = 8;
/// How far a number may lag behind the highest one.
const SPAN: u64 = 64 * WORDS_U64;
/// About four clients for each of two thousand candidates; a place takes some 150 bytes.
const TOKENS_MAX: usize = 8_192;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_window_takes_each_number_once_and_none_that_is_too_old(
            numbers in proptest::collection::vec(prop_oneof![0_u64..2_000, any::<u64>()], 1..400)
        ) {
            let mut window = Window::default();
            let (mut taken, mut top) = (BTreeSet::new(), None::<u64>);
            for number in numbers {
                let old = top.is_some_and(|top| top.saturating_sub(number) >= SPAN);
                let wanted = !old && !taken.contains(&number);
                prop_assert_eq!(window.take(number), wanted, "{}", number);
                if wanted {
                    taken.insert(number);
                    top = top.max(Some(number));
                }
            }
        }
    }

    #[test]
    fn a_token_gets_a_nonce_and_uses_each_number_under_it_once() {
        let proofs = Proofs::default();
        let token = [1; 32];
        assert_eq!(
            proofs.take(token, [0; 16], 1, [9; 16]),
            Taken::Stale([9; 16])
        );
        assert_eq!(proofs.take(token, [9; 16], 1, [8; 16]), Taken::New);
        assert_eq!(proofs.take(token, [9; 16], 1, [8; 16]), Taken::Replayed);
        assert_eq!(proofs.take(token, [9; 16], 2, [8; 16]), Taken::New);
        let other = [2; 32];
        assert_eq!(
            proofs.take(other, [9; 16], 1, [7; 16]),
            Taken::Stale([7; 16])
        );
    }

    #[test]
    fn a_flood_of_tokens_takes_bounded_memory_and_replays_nothing() {
        let mut known = Known::default();
        let token = |n: usize| {
            let mut token = [0; 32];
            token[..8].copy_from_slice(&n.to_be_bytes());
            token
        };
        assert_eq!(known.take(token(0), ([5; 16], 1), [5; 16]), Taken::New);
        for n in 1..=TOKENS_MAX {
            known.take(token(n), ([0; 16], 1), [1; 16]);
        }
        assert_eq!(known.tokens.len(), TOKENS_MAX);
        assert_eq!(known.by_age.len(), TOKENS_MAX);
        assert_eq!(
            known.take(token(0), ([5; 16], 1), [6; 16]),
            Taken::Stale([6; 16]),
            "what was recorded before is not taken again"
        );
    }
}
