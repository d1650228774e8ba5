//! Files of sealed records that only grow: each record is a 4-byte big-endian length and the sealed
//! bytes. The kiosk's response journal and the agent's spool are such files.
//!
//! # Invariants
//! * What a power cut leaves of a file's end is told from damage: a record that is cut off, or one
//!   with a sector of zeros, for a file system may write a file's length before its bytes.
//! * Nothing behind a record that is not whole is read.

use core::ops::RangeInclusive;

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// The whole records, opened.
    pub records: Vec<T>,
    /// The length of the file, in bytes, up to the end of the last whole record.
    pub whole_bytes: usize,
    /// How the file ends behind them.
    pub end: End,
}

/// How a file ends behind its last whole record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nothing follows.
    Whole,
    /// What a kill or a power cut leaves of a record.
    Torn,
    /// A length that was never written there, or a record that does not open.
    Changed,
}

/// Returns `sealed` with its length in front, or nothing where it is longer than `max` bytes.
#[must_use]
pub fn frame(sealed: &[u8], max: usize) -> Option<Vec<u8>> {
    let length = u32::try_from(sealed.len()).ok()?;
    (sealed.len() <= max).then(|| [&length.to_be_bytes(), sealed].concat())
}

/// Returns the length of a record whose first bytes these are, where it is within `bounds`.
#[must_use]
pub fn length_of(prefix: [u8; PREFIX_BYTES], bounds: &RangeInclusive<usize>) -> Option<usize> {
    let length = usize::try_from(u32::from_be_bytes(prefix)).ok();
    length.filter(|length| bounds.contains(length))
}

/// Reads a file record by record. `bounds` are those of a record's sealed bytes; `open` is given
/// where a record begins and its sealed bytes, and returns nothing where it does not open.
pub fn read<T>(
    file: &[u8],
    bounds: &RangeInclusive<usize>,
    mut open: impl FnMut(usize, &[u8]) -> Option<T>,
) -> Found<T> {
    let mut found = Found {
        records: Vec::new(),
        whole_bytes: 0,
        end: End::Whole,
    };
    loop {
        let at = found.whole_bytes;
        let rest = file.get(at..).unwrap_or_default();
        let Some((prefix, body)) = rest.split_first_chunk::<PREFIX_BYTES>() else {
            found.end = if rest.is_empty() {
                End::Whole
            } else {
                End::Torn
            };
            return found;
        };
        let Some(length) = length_of(*prefix, bounds) else {
            let zeros = *prefix == [0; PREFIX_BYTES] && is_zero_to_sector_end(file, at);
            found.end = if zeros { End::Torn } else { End::Changed };
            return found;
        };
        let Some(sealed) = body.get(..length) else {
            found.end = End::Torn;
            return found;
        };
        let Some(record) = open(at, sealed) else {
            let torn = is_torn(file, at + PREFIX_BYTES, sealed);
            found.end = if torn { End::Torn } else { End::Changed };
            return found;
        };
        found.records.push(record);
        found.whole_bytes = at + PREFIX_BYTES + length;
    }
}

/// Tells whether nothing but zeros follows the record with which `rest` begins, be it whole or not.
#[must_use]
pub fn is_last(rest: &[u8], bounds: &RangeInclusive<usize>) -> bool {
    let length = rest
        .first_chunk::<PREFIX_BYTES>()
        .and_then(|prefix| length_of(*prefix, bounds))
        .unwrap_or(0);
    is_zero(rest.get(PREFIX_BYTES + length..).unwrap_or_default())
}

/// Tells whether sealed bytes that begin at `at` of a file have a sector of zeros, as where it was
/// never written. Sealed bytes never look like that by themselves.
#[must_use]
pub fn has_hole(at: usize, sealed: &[u8]) -> bool {
    let first = SECTOR_BYTES - at % SECTOR_BYTES;
    let (head, rest) = sealed.split_at(first.min(sealed.len()));
    core::iter::once(head)
        .chain(rest.chunks(SECTOR_BYTES))
        .any(|part| part.len() >= HOLE_BYTES_MIN.min(sealed.len()) && is_zero(part))
}

/// Tells whether a record that does not open is what a power cut left of it.
fn is_torn(file: &[u8], at: usize, sealed: &[u8]) -> bool {
    let last = (at + sealed.len()).saturating_sub(1);
    has_hole(at, sealed) || is_zero_to_sector_end(file, at.max(last / SECTOR_BYTES * SECTOR_BYTES))
}

fn is_zero_to_sector_end(file: &[u8], at: usize) -> bool {
    let rest = file.get(at..).unwrap_or_default();
    let in_sector = SECTOR_BYTES - at % SECTOR_BYTES;
    is_zero(rest.get(..in_sector).unwrap_or(rest))
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// The length in front of a record, in bytes.
pub const PREFIX_BYTES: usize = 4;
/// What a disk writes at once, at the least.
const SECTOR_BYTES: usize = 512;
/// So many zeros in a row are no sealed bytes (one in 2^128).
const HOLE_BYTES_MIN: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: RangeInclusive<usize> = 1..=2_000;

    proptest! {
        #[test]
        fn a_file_cut_anywhere_gives_back_every_whole_record(
            records in prop::collection::vec(prop::collection::vec(1_u8.., 1..50), 0..8),
            cut in 0usize..400,
        ) {
            let mut file = Vec::new();
            let mut ends = vec![0];
            for record in &records {
                file.extend(frame(record, 50).expect("short enough"));
                ends.push(file.len());
            }
            file.truncate(cut);
            let found = read(&file, &BOUNDS, |_at, sealed| Some(sealed.to_vec()));
            let whole = ends.iter().filter(|&&end| end <= file.len()).count() - 1;
            prop_assert_eq!(&found.records, &records[..whole]);
            prop_assert_eq!(found.whole_bytes, ends[whole]);
            let end = if ends[whole] == file.len() { End::Whole } else { End::Torn };
            prop_assert_eq!(found.end, end);
        }

        #[test]
        fn no_bytes_break_the_reader(file: Vec<u8>, opens: bool) {
            let found = read(&file, &BOUNDS, |_at, _sealed| opens.then_some(()));
            prop_assert!(found.whole_bytes <= file.len());
        }
    }

    #[test]
    fn a_record_is_opened_for_the_place_where_it_begins() {
        let file = [frame(b"one", 9), frame(b"three", 9)].map(|framed| framed.expect("short"));
        let found = read(&file.concat(), &BOUNDS, |at, sealed| {
            Some((at, sealed.len()))
        });
        assert_eq!(found.records, [(0, 3), (7, 5)]);
        assert_eq!(frame(&[1; 10], 9), None);
    }

    #[test]
    fn a_length_that_cannot_be_is_a_change_and_zeros_to_the_sectors_end_are_torn() {
        let whole = frame(b"entry", 9).expect("short");
        for (tail, end) in [
            (&[0xff; 8][..], End::Changed),
            (&[0; 600], End::Torn),
            (&[0, 0, 0, 0, 1], End::Changed),
            (&[0, 0, 7, 0xd1, 1, 1], End::Changed),
        ] {
            let file = [&whole, tail].concat();
            let found = read(&file, &BOUNDS, |_at, _sealed| Some(()));
            assert_eq!((found.whole_bytes, found.end), (9, end), "{tail:?}");
        }
    }

    #[test]
    fn a_record_is_the_last_where_nothing_but_zeros_follows() {
        let whole = frame(b"entry", 9).expect("short");
        for (tail, is) in [(&[][..], true), (&[0; 9], true), (&[0, 1], false)] {
            let rest = [&whole, tail].concat();
            assert_eq!(is_last(&rest, &BOUNDS), is, "{tail:?}");
        }
        assert!(is_last(&whole[..6], &BOUNDS) && is_last(&[0; 700], &BOUNDS));
        assert!(is_last(&whole[..2], &BOUNDS) && !is_last(&[0, 0, 0, 0, 1], &BOUNDS));
    }

    #[test]
    fn a_record_that_does_not_open_is_torn_where_a_sector_was_never_written() {
        let mut file = frame(&[7; 1_500], 2_000).expect("short");
        let end = |file: &[u8]| read::<()>(file, &BOUNDS, |_at, _sealed| None).end;
        assert_eq!(end(&file), End::Changed);
        file[512..1_024].fill(0);
        assert_eq!(end(&file), End::Torn);
        file[600] = 1;
        assert_eq!(end(&file), End::Changed);
    }
}
