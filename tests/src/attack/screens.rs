//! Screens that are made to keep whoever looks for a code busy.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use qorgan_encode::{I420Ref, MediaTime, Profile, VideoEncoder, VideoSettings};

use super::agent::Film;
use super::cmaf;

/// Returns a screen that is full of finder patterns of codes, `module` pixels a module.
pub(super) fn full_of_finders(module: usize) -> Result<Film> {
    let dark = |at: usize| {
        let (x, y) = (at % WIDTH / module % 8, at / WIDTH / module % 8);
        let edge = |place: usize| place.min(6_usize.saturating_sub(place));
        x < 7 && y < 7 && edge(x).min(edge(y)) != 1
    };
    let luma = (0..WIDTH * HEIGHT).map(|at| if dark(at) { 16 } else { 235 });
    let mut planes: Vec<u8> = luma.collect();
    planes.resize(WIDTH * HEIGHT * 3 / 2, 128);
    let (width, height) = (u32::try_from(WIDTH)?, u32::try_from(HEIGHT)?);
    let settings = VideoSettings::screen(&Profile::Standard.settings().screen, width, height);
    let mut encoder = VideoEncoder::new(settings)?;
    let picture = I420Ref::tight(width, height, &planes).context("three planes")?;
    let frame = encoder.encode(&picture, MediaTime::ZERO, true)?;
    let frame = frame.context("a key frame")?;
    let sets = encoder.parameter_sets();
    let mut avcc = vec![1, 66, 0, 40, 0xff, 0xe1];
    avcc.extend(u16::try_from(sets.sps.len())?.to_be_bytes());
    avcc.extend_from_slice(&sets.sps);
    avcc.push(1);
    avcc.extend(u16::try_from(sets.pps.len())?.to_be_bytes());
    avcc.extend_from_slice(&sets.pps);
    let chunk: Arc<[u8]> = cmaf::chunk(&frame.data, &[0; 60]).into();
    Ok(Film::Screen(cmaf::init_of(&avcc).into(), chunk))
}

const WIDTH: usize = 1_280;
const HEIGHT: usize = 720;
