//! Reading NanoDet: three maps of cells, each with 80 kinds and the distances to a box's four sides.

use super::Thing;
use crate::model::{Model, ModelError, NamedInput, Tensor};
use crate::numbers::real;
use crate::picture::{Point, rgb};
use crate::pixels::Pixels;

/// The side of the square that the model takes, in pixels.
pub(super) const SIDE: u16 = 416;
/// COCO's number of a cell phone.
pub(super) const PHONE: usize = 67;

/// Runs the model over a planar square and returns the surest box of `kind`.
pub(super) fn surest(model: &Model, scored: &Pixels, kind: usize) -> Result<Thing, ModelError> {
    let side = usize::from(SIDE);
    let values = planes(scored.bytes(), side);
    let shape = [1, 3, side, side];
    let found = model.run(&[NamedInput::real(INPUT, &shape, &values)], &OUTPUTS)?;
    let (kinds, sides) = found.split_at(STRIDES.len());
    let maps = STRIDES.iter().zip(kinds.iter().zip(sides));
    Ok(maps
        .filter_map(|(stride, (kinds, sides))| surest_of_map(*stride, kinds, sides, kind))
        .fold(Thing::default(), |most, thing| {
            if thing.confidence > most.confidence {
                thing
            } else {
                most
            }
        }))
}

fn surest_of_map(stride: usize, kinds: &Tensor, sides: &Tensor, kind: usize) -> Option<Thing> {
    let of_kind = kinds.values.iter().skip(kind).step_by(KINDS).enumerate();
    let (cell, confidence) = of_kind.max_by(|(_, one), (_, other)| one.total_cmp(other))?;
    let columns = usize::from(SIDE) / stride;
    let (column, row) = (real(cell % columns), real(cell / columns));
    let first = cell * SIDES * BINS;
    let bins = sides.values.get(first..first + SIDES * BINS)?;
    let mut distances = bins.chunks_exact(BINS).map(expected);
    let (left, top) = (distances.next()?, distances.next()?);
    let (right, bottom) = (distances.next()?, distances.next()?);
    let share = real(stride) / f32::from(SIDE);
    Some(Thing {
        confidence: *confidence,
        middle: Point {
            x: (column + 0.5 + (right - left) / 2.0) * share,
            y: (row + 0.5 + (bottom - top) / 2.0) * share,
        },
    })
}

/// The mean of a distribution over whole distances, given as logarithms.
fn expected(bins: &[f32]) -> f32 {
    let most = bins.iter().copied().fold(f32::MIN, f32::max);
    let (mut sum, mut weighted) = (0.0, 0.0);
    for (distance, bin) in bins.iter().enumerate() {
        let weight = (bin - most).exp();
        sum += weight;
        weighted += weight * real(distance);
    }
    weighted / sum
}

/// Blue, green, red of a planar square, less the mean and by the deviation of the training set.
fn planes(bytes: &[u8], side: usize) -> Vec<f32> {
    let half = side / 2;
    let (brightness, colours) = bytes.split_at((side * side).min(bytes.len()));
    let (u, v) = colours.split_at((half * half).min(colours.len()));
    let mut values = vec![0.0; 3 * side * side];
    for (at, y) in brightness.iter().enumerate() {
        let colour = (at / side / 2) * half + (at % side) / 2;
        let of = |plane: &[u8]| plane.get(colour).copied().map_or(128.0, f32::from);
        let [red, green, blue] = rgb(f32::from(*y), of(u), of(v));
        for (channel, value) in [blue, green, red].into_iter().enumerate() {
            let scaled = (value.clamp(0.0, 255.0) - MEANS[channel]) / DEVIATIONS[channel];
            if let Some(place) = values.get_mut(channel * side * side + at) {
                *place = scaled;
            }
        }
    }
    values
}

const INPUT: &str = "input_1:0";
/// Kinds, then sides, of the maps of [`STRIDES`].
const OUTPUTS: [&str; 6] = [
    "Identity:0",
    "Identity_1:0",
    "Identity_2:0",
    "Identity_3:0",
    "Identity_4:0",
    "Identity_5:0",
];
const STRIDES: [usize; 3] = [8, 16, 32];
const KINDS: usize = 80;
const SIDES: usize = 4;
const BINS: usize = 11;
/// Blue, green, red.
const MEANS: [f32; 3] = [103.53, 116.28, 123.675];
const DEVIATIONS: [f32; 3] = [57.375, 57.12, 58.395];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_is_the_mean_of_its_bins() {
        let mut bins = [-20.0; BINS];
        (bins[2], bins[4]) = (3.0, 3.0);
        assert!((expected(&bins) - 3.0).abs() < 1e-3);
    }

    #[test]
    fn the_surest_cell_gives_the_box() {
        let (columns, cell) = (13, 13 * 4 + 6);
        let mut kinds = vec![0.0; columns * columns * KINDS];
        kinds[cell * KINDS + PHONE] = 0.7;
        let mut sides = vec![-20.0; columns * columns * SIDES * BINS];
        for (side, bin) in [1, 1, 3, 3].into_iter().enumerate() {
            sides[(cell * SIDES + side) * BINS + bin] = 20.0;
        }
        let tensor = |values| Tensor {
            shape: Vec::new(),
            values,
        };
        let thing = surest_of_map(32, &tensor(kinds), &tensor(sides), PHONE).expect("a cell");
        assert!((thing.confidence - 0.7).abs() < f32::EPSILON);
        assert!((thing.middle.x - 7.5 / 13.0).abs() < 1e-3);
        assert!((thing.middle.y - 5.5 / 13.0).abs() < 1e-3);
    }
}
