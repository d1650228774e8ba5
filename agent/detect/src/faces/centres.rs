//! Reading CenterFace: a map of middles, each with size, offset and five points.

use super::{Face, share};
use crate::model::{Model, ModelError, NamedInput, Tensor};
use crate::numbers::real;
use crate::picture::Point;
use crate::pixels::Pixels;

/// Runs the model over a picture and returns its faces, the surest first.
pub(crate) fn faces_in(model: &Model, pixels: &Pixels) -> Result<Vec<Face>, ModelError> {
    let (width, height) = (usize::from(pixels.width()), usize::from(pixels.height()));
    let values = pixels.planes(|_plane, byte| f32::from(byte));
    let shape = [1, 3, height, width];
    let input = NamedInput::real(INPUT, &shape, &values);
    let found = model.run(&[input], &OUTPUTS)?;
    let [middles, sizes, offsets, points] = found.as_slice() else {
        return Ok(Vec::new());
    };
    let map = Map {
        columns: width / CELL_PIXELS,
        rows: height / CELL_PIXELS,
        middles,
        sizes,
        offsets,
        points,
    };
    Ok(distinct(map.faces()))
}

struct Map<'a> {
    columns: usize,
    rows: usize,
    middles: &'a Tensor,
    sizes: &'a Tensor,
    offsets: &'a Tensor,
    points: &'a Tensor,
}

impl Map<'_> {
    fn faces(&self) -> Vec<Face> {
        let cells = self.middles.values.iter().enumerate();
        cells
            .filter(|(_cell, confidence)| **confidence >= CONFIDENCE_MIN)
            .filter_map(|(cell, confidence)| self.face(cell, *confidence))
            .collect()
    }

    /// Sizes are logarithms of cells, offsets parts of a cell, points shares of the face; of each
    /// pair the vertical comes first.
    fn face(&self, cell: usize, confidence: f32) -> Option<Face> {
        let (row, column) = (cell / self.columns, cell % self.columns);
        let height = share(self.at(self.sizes, 0, cell)?.exp(), self.rows);
        let width = share(self.at(self.sizes, 1, cell)?.exp(), self.columns);
        let y = real(row) + self.at(self.offsets, 0, cell)? + 0.5;
        let x = real(column) + self.at(self.offsets, 1, cell)? + 0.5;
        let left = share(x, self.columns) - width / 2.0;
        let top = share(y, self.rows) - height / 2.0;
        let mut points = [Point::default(); 5];
        for (index, point) in points.iter_mut().enumerate() {
            *point = Point {
                x: left + width * self.at(self.points, index * 2 + 1, cell)?,
                y: top + height * self.at(self.points, index * 2, cell)?,
            };
        }
        let real = [height, width, left, top]
            .iter()
            .all(|part| part.is_finite());
        real.then_some(Face {
            confidence,
            left,
            top,
            width,
            height,
            points,
        })
    }

    fn at(&self, tensor: &Tensor, channel: usize, cell: usize) -> Option<f32> {
        let at = channel * self.columns * self.rows + cell;
        tensor.values.get(at).copied()
    }
}

/// Leaves one of those that are the same face: the surest.
fn distinct(mut faces: Vec<Face>) -> Vec<Face> {
    faces.sort_by(|one, other| other.confidence.total_cmp(&one.confidence));
    let mut kept: Vec<Face> = Vec::new();
    for face in faces {
        if kept.len() < FACES_MAX && kept.iter().all(|other| !is_same(other, &face)) {
            kept.push(face);
        }
    }
    kept
}

/// Two boxes are one face where they share much of both, or one lies within the other.
fn is_same(one: &Face, other: &Face) -> bool {
    let shared =
        |a: (f32, f32), b: (f32, f32)| ((a.0 + a.1).min(b.0 + b.1) - a.0.max(b.0)).max(0.0);
    let across = shared((one.left, one.width), (other.left, other.width));
    let down = shared((one.top, one.height), (other.top, other.height));
    let (both, first, second) = (
        across * down,
        one.width * one.height,
        other.width * other.height,
    );
    both >= SAME_OF_UNION * (first + second - both) || both >= SAME_OF_SMALLER * first.min(second)
}

const INPUT: &str = "input.1";
/// Middles, sizes, offsets, points.
const OUTPUTS: [&str; 4] = ["537", "538", "539", "540"];
/// A cell of the map covers so many pixels a side.
const CELL_PIXELS: usize = 4;
/// What the model is less sure of is no face for any detector.
const CONFIDENCE_MIN: f32 = 0.15;
const SAME_OF_UNION: f32 = 0.3;
const SAME_OF_SMALLER: f32 = 0.6;
/// A crowd is a crowd; the surest are enough.
const FACES_MAX: usize = 32;
