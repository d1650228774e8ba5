//! A picture that no camera took now, in the form of one.

use std::sync::Arc;

use crate::convert;
use crate::source::{I420Frame, LossCause};

/// Turns a picture of RGB bytes into a camera's frame; an odd last row or column is left out.
///
/// # Errors
/// Where the bytes are not `width` by `height` pixels.
pub fn frame_of_rgb(rgb: &[u8], width: u32, height: u32) -> Result<I420Frame, LossCause> {
    let (even_width, even_height) = (width & !1, height & !1);
    let row = usize::try_from(width).unwrap_or_default() * 3;
    let kept = usize::try_from(even_width).unwrap_or_default() * 3;
    let rows = usize::try_from(even_height).unwrap_or_default();
    if row == 0 || rgb.len() / row < rows {
        return Err(LossCause::unsupported(format!(
            "{} bytes are no picture of {width}x{height}",
            rgb.len()
        )));
    }
    let even: Vec<u8> = rgb
        .chunks_exact(row)
        .take(rows)
        .flat_map(|row| row.iter().take(kept))
        .copied()
        .collect();
    Ok(I420Frame {
        width: even_width,
        height: even_height,
        planes: Arc::new(convert::rgb(&even, even_width, even_height)?),
        captured_ns: 0,
        unchanged: false,
        pointer: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_picture_loses_its_last_row_and_column() {
        let frame = frame_of_rgb(&[200; 5 * 3 * 3], 5, 3).expect("a frame");
        assert_eq!((frame.width, frame.height), (4, 2));
        assert_eq!(frame.planes.len(), 4 * 2 * 3 / 2);
        frame_of_rgb(&[0; 10], 5, 3).expect_err("too few bytes");
    }
}
