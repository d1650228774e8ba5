//! A link as a QR code: grey pixels for acts, a path for pages.

use qrcode::types::{Color, QrError};
use qrcode::{EcLevel, QrCode};

use crate::error::DocumentError;

/// Is a square of modules as an SVG path, quiet zone included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QrPath {
    /// Modules on one side.
    pub side: usize,
    /// The dark modules, as the `d` of a path whose unit is a module.
    pub dark: String,
}

/// Draws `text` as a path with a quiet zone of four modules.
///
/// # Errors
/// [`DocumentError::Code`] where the text is too long for a code.
pub fn qr_path(text: &str) -> Result<QrPath, DocumentError> {
    let code =
        QrCode::with_error_correction_level(text, EcLevel::M).map_err(DocumentError::Code)?;
    let width = code.width();
    let mut dark = String::new();
    for (row, modules) in code.to_colors().chunks(width).enumerate() {
        let mut column = 0;
        for run in modules.chunk_by(|a, b| a == b) {
            if run.first() == Some(&Color::Dark) {
                let (x, y) = (column + QUIET_MODULES, row + QUIET_MODULES);
                let len = run.len();
                dark.push_str(&format!("M{x} {y}h{len}v1h-{len}z"));
            }
            column += run.len();
        }
    }
    Ok(QrPath {
        side: width + 2 * QUIET_MODULES,
        dark,
    })
}

/// Is a square of grey pixels, quiet zone included.
#[derive(Debug)]
pub(crate) struct QrPixels {
    /// Pixels on one side.
    pub(crate) side: usize,
    /// 0 is black, 255 is white; row after row.
    pub(crate) luma: Vec<u8>,
}

/// Draws `text` with a quiet zone of four modules, as ISO 18004 asks.
///
/// A module takes several pixels, for viewers that soften a picture soften pixels.
///
/// # Errors
/// Returns [`QrError`] when the text is too long for a code.
pub(crate) fn draw(text: &str) -> Result<QrPixels, QrError> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M)?;
    let width = code.width();
    let side = (width + 2 * QUIET_MODULES) * MODULE_PIXELS;
    let quiet = QUIET_MODULES * MODULE_PIXELS;
    let mut luma = vec![WHITE; side * side];
    for (row, modules) in code.to_colors().chunks(width).enumerate() {
        for line in 0..MODULE_PIXELS {
            let start = (quiet + row * MODULE_PIXELS + line) * side + quiet;
            let pixels = luma.get_mut(start..).into_iter().flatten();
            let shades = modules
                .iter()
                .flat_map(|module| [shade(*module); MODULE_PIXELS]);
            for (pixel, shade) in pixels.zip(shades) {
                *pixel = shade;
            }
        }
    }
    Ok(QrPixels { side, luma })
}

const fn shade(module: Color) -> u8 {
    match module {
        Color::Dark => BLACK,
        Color::Light => WHITE,
    }
}

const MODULE_PIXELS: usize = 4;
const QUIET_MODULES: usize = 4;
const BLACK: u8 = 0;
const WHITE: u8 = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quiet_zone_is_white_and_the_finder_black() {
        let pixels = draw("https://exam.example/v/7").expect("a short link fits");

        let at = |x: usize, y: usize| pixels.luma[y * pixels.side + x];
        assert!((0..pixels.side).all(|x| at(x, 4 * MODULE_PIXELS - 1) == WHITE));
        let diagonal = |module: usize| at(module * MODULE_PIXELS, module * MODULE_PIXELS);
        assert_eq!(
            [diagonal(4), diagonal(5), diagonal(6)],
            [BLACK, WHITE, BLACK]
        );
    }

    #[test]
    fn a_path_has_the_same_dark_modules_as_the_pixels() {
        let text = "otpauth://totp/Qorgan:admin?secret=GEZDGNBVGY3TQOJQ&issuer=Qorgan";
        let pixels = draw(text).expect("fits");
        let path = qr_path(text).expect("fits");

        assert_eq!(path.side * MODULE_PIXELS, pixels.side);
        let dark: usize = path
            .dark
            .split('M')
            .filter_map(|run| run.split(['h', 'v']).nth(1)?.parse::<usize>().ok())
            .sum();
        let black = pixels.luma.iter().filter(|luma| **luma == BLACK).count();
        assert_eq!(dark * MODULE_PIXELS * MODULE_PIXELS, black);
        assert!(path.dark.starts_with("M4 4h7v1h-7z"), "the finder's edge");
    }

    #[test]
    fn a_text_that_no_code_can_hold_is_refused() {
        let refused = draw(&"x".repeat(4_000));

        assert!(matches!(refused, Err(QrError::DataTooLong)));
    }
}
