//! How sealed entries lie in the journal's file: a 4-byte big-endian length, then the sealed bytes.
//!
//! A torn end is what a kill or a power cut leaves; it was never shown as saved and is cut off.

/// The largest sealed record, in bytes; an entry is far smaller, so more means damage.
pub const RECORD_BYTES_MAX: usize = 64 * 1024;

/// Says where a journal's file is damaged before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the journal is damaged at byte {at}: a record of {len} bytes cannot be")]
pub struct Damaged {
    /// The byte at which the record begins.
    pub at: usize,
    /// The length it claims.
    pub len: usize,
}

/// Returns `sealed` with its length in front, or nothing where it is too long for the journal.
#[must_use]
pub fn frame(sealed: &[u8]) -> Option<Vec<u8>> {
    let len = u32::try_from(sealed.len()).ok()?;
    if sealed.len() > RECORD_BYTES_MAX {
        return None;
    }
    let mut framed = len.to_be_bytes().to_vec();
    framed.extend_from_slice(sealed);
    Some(framed)
}

/// The whole records of a file, and where they end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records<'a> {
    /// The sealed bytes of each record.
    pub sealed: Vec<&'a [u8]>,
    /// The length of the file up to the end of the last whole record.
    pub whole_bytes: usize,
}

/// Parts a file into its whole records.
///
/// # Errors
/// [`Damaged`] where a length is impossible; a torn end is none.
pub fn split(file: &[u8]) -> Result<Records<'_>, Damaged> {
    let mut records = Records {
        sealed: Vec::new(),
        whole_bytes: 0,
    };
    loop {
        let rest = file.get(records.whole_bytes..).unwrap_or_default();
        let Some((len, body)) = rest.split_first_chunk::<4>() else {
            return Ok(records);
        };
        let len = usize::try_from(u32::from_be_bytes(*len)).unwrap_or(usize::MAX);
        if len == 0 || len > RECORD_BYTES_MAX {
            return Err(Damaged {
                at: records.whole_bytes,
                len,
            });
        }
        let Some(sealed) = body.get(..len) else {
            return Ok(records);
        };
        records.sealed.push(sealed);
        records.whole_bytes = records.whole_bytes.saturating_add(4).saturating_add(len);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_file_cut_anywhere_gives_back_every_whole_record(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..8),
            cut in 0usize..400,
        ) {
            let mut file = Vec::new();
            let mut ends = vec![0];
            for record in &records {
                file.extend(frame(record).expect("short enough"));
                ends.push(file.len());
            }
            file.truncate(cut);
            let found = split(&file).expect("only cut");
            let whole = ends.iter().filter(|&&end| end <= file.len()).count() - 1;
            prop_assert_eq!(found.sealed.len(), whole);
            prop_assert_eq!(found.whole_bytes, ends[whole]);
        }
    }

    #[test]
    fn a_length_that_cannot_be_is_named_by_its_byte() {
        let mut file = frame(b"entry").expect("short");
        file.extend([0xFF; 8]);
        assert_eq!(
            split(&file),
            Err(Damaged {
                at: 9,
                len: 0xFFFF_FFFF
            })
        );
    }
}
