//! Good bytes with something wrong: what a parser meets in practice.

use bolero::TypeGenerator;

/// What is done to good bytes; each place is taken modulo their length.
#[derive(Debug, Clone, TypeGenerator)]
pub(crate) enum Damage {
    /// One byte is changed.
    Change { at: u16, mask: u8 },
    /// The end is missing.
    Cut { at: u16 },
    /// Bytes are put in.
    Insert { at: u16, bytes: Vec<u8> },
    /// Bytes are left out.
    Remove { at: u16, count: u8 },
    /// The bytes are others altogether.
    Replace { bytes: Vec<u8> },
}

/// Returns `good` with every damage done to it in order.
pub(crate) fn damaged(good: &[u8], damages: &[Damage]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for damage in damages {
        match damage {
            Damage::Change { at, mask } => {
                let place = place(*at, bytes.len());
                if let Some(byte) = bytes.get_mut(place) {
                    *byte ^= mask;
                }
            }
            Damage::Cut { at } => bytes.truncate(place(*at, bytes.len())),
            Damage::Insert { at, bytes: more } => {
                let place = place(*at, bytes.len());
                bytes.splice(place..place, more.iter().copied());
            }
            Damage::Remove { at, count } => {
                let place = place(*at, bytes.len());
                let end = place.saturating_add(usize::from(*count)).min(bytes.len());
                bytes.drain(place..end);
            }
            Damage::Replace { bytes: others } => bytes.clone_from(others),
        }
    }
    bytes
}

fn place(at: u16, length: usize) -> usize {
    if length == 0 {
        0
    } else {
        usize::from(at) % length
    }
}
