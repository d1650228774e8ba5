//! What a chunk shows to the gate and to the search for a freshness code.

use qorgan_protocol::media::{InitSummary, Track};

/// The samples of a chunk; an empty one shows nothing and is no sound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Content<'a> {
    pub(super) audio: bool,
    pub(super) first_picture: Option<&'a [u8]>,
}

impl<'a> Content<'a> {
    /// Reads a chunk of a stream; one that cannot be read counts for nothing.
    pub(super) fn read(segment: &InitSummary, chunk: &'a [u8]) -> Self {
        let mut found = Self::default();
        for sample in segment.frames_of(chunk).unwrap_or_default() {
            match sample.track {
                _ if sample.bytes.is_empty() => {}
                Track::Sound => found.audio = true,
                Track::Video => found.first_picture = found.first_picture.or(Some(sample.bytes)),
            }
        }
        found
    }
}

#[cfg(test)]
#[path = "../../tests/common/cmaf.rs"]
mod made;

#[cfg(test)]
mod tests {
    use qorgan_protocol::media::summary_of;

    use super::*;

    #[test]
    fn samples_of_pictures_and_sound_are_told_apart() {
        let segment = summary_of(&made::init()).expect("an initialisation segment");
        let content = |picture: &[u8], sound: &[u8]| {
            let chunk = made::chunk(picture, sound);
            let found = Content::read(&segment, &chunk);
            (found.audio, found.first_picture.map(<[u8]>::to_vec))
        };
        let picture = Some(b"picture".to_vec());
        assert_eq!(content(b"picture", b"sound"), (true, picture.clone()));
        assert_eq!(content(b"picture", b""), (false, picture));
        assert_eq!(content(b"", b"sound"), (true, None));
        assert_eq!(content(b"", b""), (false, None));
    }

    #[test]
    fn an_empty_sample_counts_for_nothing() {
        let segment = summary_of(&made::init()).expect("an initialisation segment");
        let mut chunk = made::chunk(b"", b"sound");
        let mdat = chunk.len() - b"sound".len() - 8;
        chunk.truncate(mdat + 8);
        chunk[mdat..mdat + 4].copy_from_slice(&8_u32.to_be_bytes());
        chunk[mdat - 4..mdat].copy_from_slice(&0_u32.to_be_bytes());
        assert_eq!(segment.frames_of(&chunk).map(|found| found.len()), Ok(1));
        assert_eq!(Content::read(&segment, &chunk), Content::default());
    }

    #[test]
    fn a_chunk_that_speaks_of_more_than_it_holds_counts_for_nothing() {
        let segment = summary_of(&made::init()).expect("an initialisation segment");
        let both = made::chunk(b"picture", b"sound");
        for len in 0..both.len() {
            assert_eq!(
                Content::read(&segment, &both[..len]),
                Content::default(),
                "{len}"
            );
        }
    }
}
