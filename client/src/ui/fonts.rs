//! The embedded fonts: Inter, and Noto Sans for those who read it better.

use std::sync::Arc;

use egui::{FontData, FontDefinitions, FontFamily};

/// Returns the fonts; the first of them is the family that was asked for.
#[must_use]
pub fn definitions(second: bool) -> FontDefinitions {
    let mut fonts = FontDefinitions::empty();
    for (name, bytes) in FACES {
        fonts
            .font_data
            .insert(name.to_owned(), Arc::new(FontData::from_static(bytes)));
    }
    let (plain, strong) = if second {
        ([NOTO, INTER], [NOTO_STRONG, INTER_STRONG])
    } else {
        ([INTER, NOTO], [INTER_STRONG, NOTO_STRONG])
    };
    let list = |names: [&str; 2]| names.map(str::to_owned).to_vec();
    fonts.families.insert(FontFamily::Proportional, list(plain));
    fonts.families.insert(FontFamily::Monospace, list(plain));
    fonts.families.insert(strong_family(), list(strong));
    fonts
}

/// Returns the family of strong text.
#[must_use]
pub fn strong_family() -> FontFamily {
    FontFamily::Name("strong".into())
}

const INTER: &str = "inter";
const INTER_STRONG: &str = "inter-strong";
const NOTO: &str = "noto";
const NOTO_STRONG: &str = "noto-strong";

const FACES: [(&str, &[u8]); 4] = [
    (
        INTER,
        include_bytes!(concat!(env!("OUT_DIR"), "/Inter-Regular.otf")),
    ),
    (
        INTER_STRONG,
        include_bytes!(concat!(env!("OUT_DIR"), "/Inter-SemiBold.otf")),
    ),
    (
        NOTO,
        include_bytes!(concat!(env!("OUT_DIR"), "/NotoSans-Regular.ttf")),
    ),
    (
        NOTO_STRONG,
        include_bytes!(concat!(env!("OUT_DIR"), "/NotoSans-Bold.ttf")),
    ),
];

#[cfg(test)]
mod tests {
    use egui::FontId;

    use super::*;

    #[test]
    fn every_kazakh_letter_has_a_glyph_in_each_face_alone() {
        for (name, _) in FACES {
            let mut fonts = definitions(false);
            fonts
                .families
                .insert(FontFamily::Proportional, vec![name.to_owned()]);
            let ctx = egui::Context::default();
            ctx.set_fonts(fonts);
            let mut drawn = ctx.run_ui(egui::RawInput::default(), |ui| {
                for letter in LETTERS.chars() {
                    let id = FontId::proportional(18.0);
                    let found = ui.fonts_mut(|fonts| fonts.has_glyph(&id, letter));
                    assert!(found, "{name} lacks {letter}");
                }
            });
            // Nothing is painted here; egui asks to be told so.
            drawn.textures_delta.clear();
        }
    }

    const LETTERS: &str = "ӘәҒғҚқҢңӨөҰұҮүҺһІіЁёЪъ–—«»…№";
}
