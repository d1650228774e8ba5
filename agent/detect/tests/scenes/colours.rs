//! Colours as a camera gives them. Shared by the tests and the `witness` bench.

use image::RgbImage;

use super::numbers::byte;

/// BT.601 in video range.
pub(crate) fn yuv(colour: [u8; 3]) -> [u8; 3] {
    let [r, g, b] = colour.map(f32::from);
    [
        byte(16.0 + 0.257 * r + 0.504 * g + 0.098 * b),
        byte(128.0 - 0.148 * r - 0.291 * g + 0.439 * b),
        byte(128.0 + 0.439 * r - 0.368 * g - 0.071 * b),
    ]
}

/// Brightness, and both colours at half the size (I420).
pub(crate) fn planes(picture: &RgbImage) -> [Vec<u8>; 3] {
    let (width, height) = picture.dimensions();
    [(0, 1), (1, 2), (2, 2)].map(|(plane, step): (usize, usize)| {
        let rows = (0..height).step_by(step);
        rows.flat_map(|y| {
            let columns = (0..width).step_by(step);
            columns.map(move |x| yuv(picture.get_pixel(x, y).0)[plane])
        })
        .collect()
    })
}
