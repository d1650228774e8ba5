//! Colours and sizes, shared in meaning with the console.

use egui::Color32;
use qorgan_client_core::event::Theme;
use qorgan_protocol::local::Light;

/// The colours of one theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokens {
    /// Behind everything.
    pub background: Color32,
    /// Cards and bars.
    pub surface: Color32,
    /// Text.
    pub text: Color32,
    /// Text that may be overlooked.
    pub secondary: Color32,
    /// Lines and outlines.
    pub border: Color32,
    /// What can be done.
    pub primary: Color32,
    /// Text on primary.
    pub on_primary: Color32,
    /// In order.
    pub success: Color32,
    /// Worth a look.
    pub warning: Color32,
    /// Needs a person now.
    pub danger: Color32,
    /// The ring around what has the keyboard's focus.
    pub focus: Color32,
}

impl Tokens {
    /// Returns the colours of `theme`; in a light only the light theme shines.
    #[must_use]
    pub const fn of(theme: Theme, light: Option<Light>) -> Self {
        match (theme, light) {
            (Theme::Light, Some(light)) => shining(light),
            (Theme::Light, None) => LIGHT,
            (Theme::Dark, _) => DARK,
            (Theme::Contrast, _) => CONTRAST,
        }
    }
}

/// Dark on light.
pub const LIGHT: Tokens = Tokens {
    background: rgb(0xF6_F7F9),
    surface: rgb(0xFF_FFFF),
    text: rgb(0x1B_2430),
    secondary: rgb(0x56_6273),
    border: rgb(0xD8_DEE6),
    primary: rgb(0x0B_5FA5),
    on_primary: rgb(0xFF_FFFF),
    success: rgb(0x1E_7B4F),
    warning: rgb(0x8A_5A00),
    danger: rgb(0xB3_261E),
    focus: rgb(0xC2_5700),
};

/// Dark on a light that the agent asked for: every ground is the light itself, and what is drawn on
/// it is darker than on white, so that it can be read as well.
const fn shining(light: Light) -> Tokens {
    let [red, green, blue] = light.rgb();
    let ground = Color32::from_rgb(red, green, blue);
    Tokens {
        background: ground,
        surface: ground,
        text: rgb(0x14_1B25),
        secondary: rgb(0x38_434F),
        border: match light {
            Light::Warm => rgb(0xD4_9A42),
            Light::Cool => rgb(0x78_A8D4),
        },
        primary: rgb(0x00_3A70),
        on_primary: rgb(0xFF_FFFF),
        success: rgb(0x00_4D26),
        warning: rgb(0x5C_3A00),
        danger: rgb(0x8C_0000),
        focus: rgb(0x8A_3200),
    }
}

/// Light on dark.
pub const DARK: Tokens = Tokens {
    background: rgb(0x12_171E),
    surface: rgb(0x1A_212B),
    text: rgb(0xE8_EDF3),
    secondary: rgb(0xA3_B0C0),
    border: rgb(0x3A_4655),
    primary: rgb(0x6F_B7F0),
    on_primary: rgb(0x12_171E),
    success: rgb(0x5C_C99A),
    warning: rgb(0xF0_B955),
    danger: rgb(0xF2_8B82),
    focus: rgb(0xFF_B74D),
};

/// Black and white.
pub const CONTRAST: Tokens = Tokens {
    background: rgb(0xFF_FFFF),
    surface: rgb(0xFF_FFFF),
    text: rgb(0x00_0000),
    secondary: rgb(0x00_0000),
    border: rgb(0x00_0000),
    primary: rgb(0x00_3A70),
    on_primary: rgb(0xFF_FFFF),
    success: rgb(0x00_4D26),
    warning: rgb(0x5C_3A00),
    danger: rgb(0x8C_0000),
    focus: rgb(0xA0_3C00),
};

/// The sizes of text.
pub mod size {
    /// Captions.
    pub const SMALL: f32 = 13.0;
    /// Everything that is read.
    pub const BODY: f32 = 15.0;
    /// Leads.
    pub const LEAD: f32 = 18.0;
    /// Titles.
    pub const TITLE: f32 = 24.0;
    /// The title of a first page.
    pub const DISPLAY: f32 = 32.0;
    /// Items, by text step.
    pub const ITEM: [f32; 5] = [18.0, 21.0, 24.0, 28.0, 32.0];
}

/// The steps of spacing.
pub mod space {
    /// Within one thing.
    pub const XS: f32 = 4.0;
    /// Between a thing and its caption.
    pub const S: f32 = 8.0;
    /// Between things that belong together.
    pub const M: f32 = 12.0;
    /// Between things.
    pub const L: f32 = 16.0;
    /// Between groups.
    pub const XL: f32 = 24.0;
    /// Between parts of a page.
    pub const XXL: f32 = 32.0;
}

/// The radius of corners.
pub const CORNER: u8 = 6;

const fn rgb(hex: u32) -> Color32 {
    let [_, red, green, blue] = hex.to_be_bytes();
    Color32::from_rgb(red, green, blue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contrast_on_the_surface_is_what_the_design_promises() {
        let light = [15.7, 6.2, 6.6, 5.2, 5.9, 6.5, 4.5];
        let dark = [13.8, 7.4, 7.5, 7.9, 9.1, 6.8, 9.4];
        for (tokens, promised) in [(LIGHT, light), (DARK, dark)] {
            for (color, ratio) in voices(&tokens).into_iter().zip(promised) {
                let found = contrast(color, tokens.surface);
                assert!(
                    (found - ratio).abs() < 0.11,
                    "{color:?}: {found:.2}, promised {ratio}"
                );
            }
        }
    }

    #[test]
    fn every_text_colour_can_be_read_on_both_grounds() {
        for tokens in [LIGHT, DARK, CONTRAST] {
            let [text @ .., focus] = voices(&tokens);
            for color in text {
                for ground in [tokens.surface, tokens.background] {
                    assert!(contrast(color, ground) >= 4.5, "{color:?} on {ground:?}");
                }
            }
            assert!(contrast(focus, tokens.background) >= 3.0);
            assert!(contrast(tokens.on_primary, tokens.primary) >= 4.5);
        }
    }

    #[test]
    fn every_text_pill_and_button_can_be_read_in_either_light() {
        for light in [Light::Warm, Light::Cool] {
            let tokens = Tokens::of(Theme::Light, Some(light));
            let [red, green, blue] = light.rgb();
            let ground = Color32::from_rgb(red, green, blue);
            assert_eq!((tokens.background, tokens.surface), (ground, ground));
            for color in voices(&tokens) {
                assert!(contrast(color, ground) >= 4.5, "{color:?} in {light:?}");
            }
            // What is drawn under the text of a button that the pointer is over, or that is on.
            let grey = ground.lerp_to_gamma(tokens.border, 0.6);
            let blue = ground.lerp_to_gamma(tokens.primary, 0.08);
            let strong = tokens.primary.lerp_to_gamma(tokens.text, 0.15);
            for (ink, under) in [
                (tokens.on_primary, tokens.primary),
                (tokens.on_primary, strong),
                (tokens.text, grey),
                (tokens.warning, grey),
                (tokens.primary, blue),
                (tokens.text, blue),
            ] {
                let found = contrast(ink, under);
                assert!(found >= 4.5, "{ink:?} on {under:?} in {light:?}: {found}");
            }
        }
    }

    #[test]
    fn no_other_theme_shines() {
        for (theme, tokens) in [(Theme::Dark, DARK), (Theme::Contrast, CONTRAST)] {
            assert_eq!(Tokens::of(theme, Some(Light::Warm)), tokens);
        }
        assert_eq!(Tokens::of(Theme::Light, None), LIGHT);
    }

    fn voices(tokens: &Tokens) -> [Color32; 7] {
        [
            tokens.text,
            tokens.secondary,
            tokens.primary,
            tokens.success,
            tokens.warning,
            tokens.danger,
            tokens.focus,
        ]
    }

    fn contrast(a: Color32, b: Color32) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn luminance(color: Color32) -> f64 {
        let channel = |value: u8| {
            let value = f64::from(value) / 255.0;
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * channel(color.r()) + 0.7152 * channel(color.g()) + 0.0722 * channel(color.b())
    }
}
