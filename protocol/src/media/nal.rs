//! NAL units: the length-prefixed form of MP4 samples and the Annex B form that decoders read.

use thiserror::Error;

/// What is wrong with a sample's NAL units.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum NalError {
    /// A length field is cut off or points past the end.
    #[error("a NAL unit is cut off")]
    Cut,
    /// A NAL unit holds no byte.
    #[error("a NAL unit is empty")]
    Empty,
}

/// The sequence and picture parameter sets of a stream, without start codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSets {
    /// The sequence parameter set.
    pub sps: Vec<u8>,
    /// The picture parameter set.
    pub pps: Vec<u8>,
}

/// Returns the NAL units of a length-prefixed sample, in order.
///
/// # Errors
///
/// [`NalError`] if a length is cut off, is zero, or points past the end.
pub fn nals_of(sample: &[u8]) -> Result<Vec<&[u8]>, NalError> {
    let mut nals = Vec::new();
    let mut rest = sample;
    while !rest.is_empty() {
        let (length, tail) = rest.split_first_chunk::<4>().ok_or(NalError::Cut)?;
        let length =
            usize::try_from(u32::from_be_bytes(*length)).map_err(|_too_long| NalError::Cut)?;
        if length == 0 {
            return Err(NalError::Empty);
        }
        let (nal, tail) = tail.split_at_checked(length).ok_or(NalError::Cut)?;
        nals.push(nal);
        rest = tail;
    }
    Ok(nals)
}

/// Returns the Annex B form of a sample, led by the parameter sets where they are given.
///
/// # Errors
///
/// [`NalError`] as for [`nals_of`].
pub fn annexb_of(sample: &[u8], sets: Option<&ParameterSets>) -> Result<Vec<u8>, NalError> {
    let mut out = Vec::with_capacity(sample.len() + 64);
    if let Some(sets) = sets {
        push_annexb(&mut out, &sets.sps);
        push_annexb(&mut out, &sets.pps);
    }
    for nal in nals_of(sample)? {
        push_annexb(&mut out, nal);
    }
    Ok(out)
}

fn push_annexb(out: &mut Vec<u8>, nal: &[u8]) {
    out.extend_from_slice(&[0, 0, 0, 1]);
    out.extend_from_slice(nal);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_becomes_annex_b_with_its_parameter_sets_in_front() {
        let sample = [0, 0, 0, 2, 0x65, 0xaa, 0, 0, 0, 1, 0x41];
        let sets = ParameterSets {
            sps: vec![0x67, 1],
            pps: vec![0x68],
        };
        let annexb = annexb_of(&sample, Some(&sets)).expect("the sample is whole");
        assert_eq!(
            annexb,
            [
                0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68, 0, 0, 0, 1, 0x65, 0xaa, 0, 0, 0, 1, 0x41
            ]
        );
    }

    #[test]
    fn a_cut_or_empty_unit_is_refused() {
        assert_eq!(nals_of(&[0, 0, 0, 3, 1, 2]), Err(NalError::Cut));
        assert_eq!(nals_of(&[0, 0, 0]), Err(NalError::Cut));
        assert_eq!(nals_of(&[0, 0, 0, 0]), Err(NalError::Empty));
        assert_eq!(nals_of(&[0xff, 0xff, 0xff, 0xff, 1]), Err(NalError::Cut));
    }
}
