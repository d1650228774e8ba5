//! Where a head points, by MediaPipe's mesh, and where its eyes do, by MediaPipe's iris.
//!
//! The mesh gives 468 points with depth on the scale of the picture, so that the head's own axes
//! can be read off it: across by three pairs that lie left and right, down from forehead to chin.
//! No camera has to be known and nothing is solved for, which a lens or a turned camera could
//! upset; what a face's own shape adds is the same in every look and goes into the baseline.

use crate::faces::Face;
use crate::model::{Model, ModelError, ModelFile, NamedInput, Tensor};
use crate::picture::{Picture, Placement, Point};
use crate::pixels::Pixels;
use crate::{DetectError, InputError};

/// Where a head and its eyes point, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attention {
    /// How far the head is turned to the picture's right.
    pub yaw: f32,
    /// How far it is bowed down.
    pub pitch: f32,
    /// How far it leans to the picture's right.
    pub roll: f32,
    /// How far the eyes are turned to the picture's right against the head; `None` where they are
    /// too small or closed.
    pub eyes: Option<f32>,
}

/// The crops that are read: the face, and both eyes where they are large enough.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Crops {
    pub(super) face: Pixels,
    pub(super) eyes: Option<[Pixels; 2]>,
    /// How far the crop of the face is turned against the picture.
    turned: f32,
}

impl Crops {
    pub(super) const fn kept(face: Pixels, eyes: Option<[Pixels; 2]>) -> Self {
        Self {
            face,
            eyes,
            turned: 0.0,
        }
    }
}

/// The model of the mesh.
#[derive(Debug)]
pub(crate) struct MeshReader(Model);

impl MeshReader {
    pub(crate) fn load() -> Result<Self, ModelError> {
        Ok(Self(Model::load(ModelFile::Mesh)?))
    }

    /// Returns how far a head is turned to the picture's right, in degrees; `None` where the mesh
    /// finds no face.
    pub(crate) fn yaw(
        &self,
        picture: Picture<'_>,
        face: &Face,
    ) -> Result<Option<f32>, DetectError> {
        let crop = picture.cut(&placed(picture.size(), face), FACE_SIDE)?;
        let mesh = self.read(&crop)?;
        Ok(mesh.and_then(|mesh| mesh.pose()).map(|[yaw, ..]| yaw))
    }

    fn read(&self, crop: &Pixels) -> Result<Option<Mesh>, ModelError> {
        let values: Vec<f32> = crop
            .bytes()
            .iter()
            .map(|byte| f32::from(*byte) / 255.0)
            .collect();
        let side = usize::from(FACE_SIDE);
        let shape = [1, side, side, 3];
        let input = NamedInput::real("input_1", &shape, &values);
        let found = self.0.run(&[input], &["conv2d_21", "conv2d_31"])?;
        let [points, sure] = found.as_slice() else {
            return Ok(None);
        };
        let is_face = sure.values.first().is_some_and(|sure| *sure > 0.0);
        Ok(is_face.then(|| Mesh(points.values.clone())))
    }
}

/// Both models.
#[derive(Debug)]
pub(super) struct Models {
    mesh: MeshReader,
    iris: Model,
}

impl Models {
    pub(super) fn load() -> Result<Self, ModelError> {
        let (mesh, iris) = (MeshReader::load()?, Model::load(ModelFile::Iris)?);
        Ok(Self { mesh, iris })
    }

    /// Cuts out what is read, and reads it; `None` where the mesh finds no face there.
    pub(super) fn look(
        &self,
        picture: Picture<'_>,
        face: &Face,
    ) -> Result<Option<(Crops, Attention)>, DetectError> {
        let placement = placed(picture.size(), face);
        let crop = picture.cut(&placement, FACE_SIDE)?;
        let Some(mesh) = self.mesh.read(&crop)? else {
            return Ok(None);
        };
        let eyes = [RIGHT_EYE, LEFT_EYE].map(|[outer, inner]| {
            let corners = [mesh.point(outer)?, mesh.point(inner)?].map(|[x, y, _]| Point { x, y });
            eye(
                picture,
                corners.map(|corner| placement.place(corner)),
                placement.right,
            )
        });
        let eyes = match eyes {
            [Some(right), Some(left)] => Some([mirrored(&right?)?, left?]),
            [None, _] | [_, None] => None,
        };
        let crops = Crops {
            face: crop,
            eyes,
            turned: placement.right.y.atan2(placement.right.x).to_degrees(),
        };
        let attention = self.by_mesh(&mesh, &crops)?;
        Ok(attention.map(|attention| (crops, attention)))
    }

    /// Reads kept crops again; `None` where the mesh finds no face.
    pub(super) fn read(&self, crops: &Crops) -> Result<Option<Attention>, ModelError> {
        match self.mesh.read(&crops.face)? {
            Some(mesh) => self.by_mesh(&mesh, crops),
            None => Ok(None),
        }
    }

    fn by_mesh(&self, mesh: &Mesh, crops: &Crops) -> Result<Option<Attention>, ModelError> {
        let eyes = match &crops.eyes {
            Some([right, left]) => {
                let (right, left) = (self.outwards(right)?, self.outwards(left)?);
                // Outwards is to the picture's left for the right eye, so that what both turn
                // towards each other, for something near, cancels.
                right.zip(left).map(|(right, left)| (left - right) / 2.0)
            }
            None => None,
        };
        Ok(mesh.pose().map(|[yaw, pitch, roll]| Attention {
            yaw,
            pitch,
            roll: roll + crops.turned,
            eyes,
        }))
    }

    /// How far an eye is turned outwards, in degrees; `None` where it is closed.
    fn outwards(&self, crop: &Pixels) -> Result<Option<f32>, ModelError> {
        let values: Vec<f32> = crop
            .bytes()
            .iter()
            .map(|byte| f32::from(*byte) / 255.0)
            .collect();
        let side = usize::from(EYE_SIDE);
        let shape = [1, side, side, 3];
        let input = NamedInput::real("input_1", &shape, &values);
        let found = self
            .iris
            .run(&[input], &["output_eyes_contours_and_brows", "output_iris"])?;
        let [contour, iris] = found.as_slice() else {
            return Ok(None);
        };
        Ok(turned_outwards(contour, iris))
    }
}

/// The mesh of one crop: x, y and depth of each point, in pixels of the crop.
struct Mesh(Vec<f32>);

impl Mesh {
    fn point(&self, index: usize) -> Option<[f32; 3]> {
        let (points, _rest) = self.0.as_chunks::<3>();
        points.get(index).copied()
    }

    /// Yaw, pitch and roll in degrees.
    fn pose(&self) -> Option<[f32; 3]> {
        let mut across = [0.0; 3];
        for [left, right] in PAIRS {
            let way = between(self.point(left)?, self.point(right)?);
            for (sum, part) in across.iter_mut().zip(unit(way)) {
                *sum += part;
            }
        }
        let down = between(self.point(FOREHEAD)?, self.point(CHIN)?);
        let [x, y, z] = unit(across);
        let along = dot(unit(down), [x, y, z]);
        let [down_x, down_y, down_z] = unit(down);
        let upright = [down_x - along * x, down_y - along * y, down_z - along * z];
        let [_, _, depth] = unit(upright);
        let degrees = |sine: f32| sine.clamp(-1.0, 1.0).asin().to_degrees();
        Some([degrees(z), degrees(depth), y.atan2(x).to_degrees()])
    }
}

/// The share of the eye's width by which the iris lies off its middle, as an angle.
fn turned_outwards(contour: &Tensor, iris: &Tensor) -> Option<f32> {
    let (corners, _rest) = contour.values.as_chunks::<3>();
    let (iris, _rest) = iris.values.as_chunks::<3>();
    let [outer_x, outer_y, _] = corners.get(OUTER_CORNER)?;
    let [inner_x, inner_y, _] = corners.get(INNER_CORNER)?;
    let [_, lower_y, _] = corners.get(LOWER_LID)?;
    let [_, upper_y, _] = corners.get(UPPER_LID)?;
    let [iris_x, iris_y, _] = iris.first()?;
    let (wide, high) = (outer_x - inner_x, outer_y - inner_y);
    let squares = wide.mul_add(wide, high * high);
    if squares < 1.0 || lower_y - upper_y < OPEN_MIN * squares.sqrt() {
        return None;
    }
    let along = ((iris_x - inner_x) * wide + (iris_y - inner_y) * high) / squares;
    let sine = (along - 0.5) * EYE_WIDTH_MM / EYE_RADIUS_MM;
    Some(sine.clamp(-1.0, 1.0).asin().to_degrees())
}

/// The face with half as much around it, turned upright by its eyes.
fn placed((width, height): (f32, f32), face: &Face) -> Placement {
    let [one, other, ..] = face.points;
    let right = Point {
        x: (other.x - one.x) * width,
        y: (other.y - one.y) * height,
    };
    let middle = face.centre();
    let centre = Point {
        x: middle.x * width,
        y: middle.y * height,
    };
    let extent = (face.width * width).max(face.height * height) * AROUND_FACE;
    Placement::around(centre, extent, right, FACE_SIDE)
}

/// The crop of one eye by its corners; `None` where it is too small.
fn eye(
    picture: Picture<'_>,
    [one, other]: [Point; 2],
    right: Point,
) -> Option<Result<Pixels, InputError>> {
    let wide = (other.x - one.x).hypot(other.y - one.y);
    let centre = Point {
        x: one.x.midpoint(other.x),
        y: one.y.midpoint(other.y),
    };
    let placement = Placement::around(centre, wide * AROUND_EYE, right, EYE_SIDE);
    (wide >= EYE_PIXELS_MIN).then(|| picture.cut(&placement, EYE_SIDE))
}

/// The model knows left eyes; a right one is shown to it in a mirror.
fn mirrored(crop: &Pixels) -> Result<Pixels, InputError> {
    let (pixels, _rest) = crop.bytes().as_chunks::<3>();
    let rows = pixels.chunks(usize::from(crop.width()));
    let turned = rows.flat_map(|row| row.iter().rev().flatten().copied());
    Pixels::new(
        crop.width(),
        crop.height(),
        crop.channels(),
        turned.collect(),
    )
}

fn between(from: [f32; 3], to: [f32; 3]) -> [f32; 3] {
    let ([fx, fy, fz], [tx, ty, tz]) = (from, to);
    [tx - fx, ty - fy, tz - fz]
}

fn dot(one: [f32; 3], other: [f32; 3]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

fn unit(way: [f32; 3]) -> [f32; 3] {
    let length = dot(way, way).sqrt().max(f32::EPSILON);
    way.map(|part| part / length)
}

/// Pixels a side of the mesh's and of the iris's crop.
pub(super) const FACE_SIDE: u16 = 192;
pub(super) const EYE_SIDE: u16 = 64;
const AROUND_FACE: f32 = 1.5;
const AROUND_EYE: f32 = 2.3;
/// Smaller eyes show no iris that could be measured.
const EYE_PIXELS_MIN: f32 = 20.0;
/// Points of the mesh: outer corners of the eyes, sides of the head, corners of the mouth.
const PAIRS: [[usize; 2]; 3] = [[33, 263], [234, 454], [61, 291]];
const FOREHEAD: usize = 10;
const CHIN: usize = 152;
/// Outer and inner corner, of the eye on the picture's left and of that on its right.
const RIGHT_EYE: [usize; 2] = [33, 133];
const LEFT_EYE: [usize; 2] = [263, 362];
/// Points of the iris model's contour.
const OUTER_CORNER: usize = 0;
const INNER_CORNER: usize = 8;
const LOWER_LID: usize = 4;
const UPPER_LID: usize = 12;
/// The lids of an open eye are apart by this share of its width.
const OPEN_MIN: f32 = 0.12;
/// Between an eye's corners, and from the eyeball's middle to its iris.
const EYE_WIDTH_MM: f32 = 30.0;
const EYE_RADIUS_MM: f32 = 12.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turned_head_gives_its_angles_back() {
        for (yaw, pitch, roll) in [
            (0.0, 0.0, 0.0),
            (30.0, 0.0, 0.0),
            (-25.0, 0.0, 10.0),
            (0.0, 20.0, 0.0),
            (0.0, -15.0, -20.0),
        ] {
            let pose = head(yaw, pitch, roll).pose().expect("every point");
            for (found, meant) in pose.into_iter().zip([yaw, pitch, roll]) {
                assert!((found - meant).abs() < 1.0, "{pose:?}");
            }
        }
    }

    #[test]
    fn an_iris_off_the_middle_is_an_angle_and_a_closed_eye_is_none() {
        let contour = |open: f32| {
            let mut values = vec![0.0; 71 * 3];
            values[OUTER_CORNER * 3] = 50.0;
            values[INNER_CORNER * 3] = 10.0;
            values[LOWER_LID * 3 + 1] = open / 2.0;
            values[UPPER_LID * 3 + 1] = -open / 2.0;
            tensor(values)
        };
        let iris = |x: f32| tensor([x, 0.0, 0.0].repeat(5));
        let turned = |open, x| turned_outwards(&contour(open), &iris(x));
        assert!(turned(14.0, 30.0).expect("open").abs() < 0.1);
        assert!((turned(14.0, 38.0).expect("open") - 30.0).abs() < 0.1);
        assert!((turned(14.0, 22.0).expect("open") + 30.0).abs() < 0.1);
        assert_eq!(turned(2.0, 30.0), None);
    }

    fn tensor(values: Vec<f32>) -> Tensor {
        Tensor {
            shape: vec![1, values.len()],
            values,
        }
    }

    /// A head whose points are turned by yaw about its own height, bowed, then leant.
    fn head(yaw: f32, pitch: f32, roll: f32) -> Mesh {
        let mut values = vec![0.0; 468 * 3];
        let at: [(usize, [f32; 3]); 8] = [
            (33, [-30.0, -20.0, 0.0]),
            (263, [30.0, -20.0, 0.0]),
            (234, [-45.0, -10.0, 40.0]),
            (454, [45.0, -10.0, 40.0]),
            (61, [-18.0, 30.0, 0.0]),
            (291, [18.0, 30.0, 0.0]),
            (FOREHEAD, [0.0, -60.0, 0.0]),
            (CHIN, [0.0, 60.0, 0.0]),
        ];
        for (index, point) in at {
            let [x, y, z] = point;
            let (sin, cos) = yaw.to_radians().sin_cos();
            let (x, z) = (x * cos - z * sin, x * sin + z * cos);
            let (sin, cos) = pitch.to_radians().sin_cos();
            let (y, z) = (y * cos - z * sin, y * sin + z * cos);
            let (sin, cos) = roll.to_radians().sin_cos();
            let (x, y) = (x * cos - y * sin, x * sin + y * cos);
            values[index * 3..index * 3 + 3].copy_from_slice(&[x, y, z]);
        }
        Mesh(values)
    }
}
