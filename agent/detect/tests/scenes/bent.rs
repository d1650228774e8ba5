//! A print that is bent. Shared by the tests and the `witness` bench.

use image::RgbImage;

use super::living::{real, sampled};

/// Holds a print into a room, its middle at a place, wound round a column of a radius in pixels
/// that is turned by degrees.
pub(crate) fn print_bent(
    room: &RgbImage,
    print: &RgbImage,
    (x, y): (f32, f32),
    (radius, degrees): (f32, f32),
) -> RgbImage {
    let (width, height) = (real(print.width()), real(print.height()));
    RgbImage::from_fn(room.width(), room.height(), |column, row| {
        let (across, down) = ((real(column) - x) / radius, real(row) - y);
        let along = (across.clamp(-1.0, 1.0).asin() - degrees.to_radians()) * radius;
        sampled(print, along + width / 2.0, down + height / 2.0)
            .filter(|_| across.abs() < 1.0)
            .unwrap_or_else(|| *room.get_pixel(column, row))
    })
}
