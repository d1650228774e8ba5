//! Makes egui's own widgets look like the rest.

use egui::{Color32, Context, CornerRadius, FontFamily, FontId, Stroke, TextStyle, Visuals};
use qorgan_client_core::event::{Reading, Theme};
use qorgan_protocol::local::Light;

use super::{
    fonts,
    tokens::{CORNER, Tokens, size, space},
};

/// Applies fonts, colours and spacing; cheap to call again, for it does nothing without a change.
pub fn apply(ctx: &Context, reading: Reading, light: Option<Light>) {
    let id = egui::Id::unique("qorgan-style");
    let done: Option<Applied> = ctx.data(|data| data.get_temp(id));
    if done.is_none_or(|done| done.reading.second_font != reading.second_font) {
        ctx.set_fonts(fonts::definitions(reading.second_font));
    }
    let wanted = Applied { reading, light };
    if done == Some(wanted) {
        return;
    }
    ctx.data_mut(|data| data.insert_temp(id, wanted));
    let tokens = Tokens::of(reading.theme, light);
    ctx.set_theme(if reading.theme == Theme::Dark {
        egui::Theme::Dark
    } else {
        egui::Theme::Light
    });
    ctx.all_styles_mut(|style| {
        style.visuals = visuals(&tokens, reading.theme == Theme::Dark);
        style.spacing.item_spacing = egui::vec2(space::S, space::S);
        style.spacing.button_padding = egui::vec2(space::L, space::S);
        style.animation_time = if reading.reduced_motion { 0.0 } else { 0.1 };
        style.interaction.selectable_labels = false;
        for (text_style, points) in [
            (TextStyle::Small, size::SMALL),
            (TextStyle::Body, size::BODY),
            (TextStyle::Button, size::BODY),
            (TextStyle::Heading, size::TITLE),
            (TextStyle::Monospace, size::BODY),
        ] {
            style
                .text_styles
                .insert(text_style, FontId::new(points, FontFamily::Proportional));
        }
    });
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Applied {
    reading: Reading,
    light: Option<Light>,
}

fn visuals(tokens: &Tokens, dark: bool) -> Visuals {
    let mut visuals = if dark {
        Visuals::dark()
    } else {
        Visuals::light()
    };
    let corner = CornerRadius::same(CORNER);
    visuals.override_text_color = Some(tokens.text);
    visuals.panel_fill = tokens.background;
    visuals.window_fill = tokens.surface;
    visuals.window_stroke = Stroke::new(1.0, tokens.border);
    visuals.extreme_bg_color = tokens.surface;
    visuals.hyperlink_color = tokens.primary;
    visuals.selection.bg_fill = tokens.primary.gamma_multiply(0.25);
    visuals.selection.stroke = Stroke::new(1.0, tokens.primary);
    visuals.text_cursor.blink = false;
    visuals.text_cursor.stroke = Stroke::new(2.0, tokens.primary);
    for widget in [
        &mut visuals.widgets.noninteractive,
        &mut visuals.widgets.inactive,
        &mut visuals.widgets.hovered,
        &mut visuals.widgets.active,
        &mut visuals.widgets.open,
    ] {
        widget.corner_radius = corner;
        widget.bg_stroke = Stroke::new(1.0, tokens.border);
        widget.fg_stroke = Stroke::new(1.0, tokens.text);
        widget.bg_fill = tokens.border;
        widget.weak_bg_fill = Color32::TRANSPARENT;
        widget.expansion = 0.0;
    }
    visuals
}
