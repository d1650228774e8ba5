//! The keyboard's layout: shown while the kiosk holds the keyboard, and switched there, for no desktop
//! hears its own keys for it then.

use egui::{Align2, Area, Button, Context, Id, Key, Modifiers, RichText, Role, WidgetInfo, vec2};

use super::{kit::Kit, text::keys};

/// Shows the layout's name, where there are several; returns whether the next one is asked for, by
/// click or by F3.
pub(crate) fn layout_ui(ctx: &Context, kit: &Kit<'_>, name: Option<&str>) -> bool {
    let Some(name) = name else {
        return false;
    };
    let shown = Area::new(Id::unique("keyboard-layout"))
        .anchor(Align2::LEFT_BOTTOM, vec2(MARGIN, -MARGIN))
        .show(ctx, |ui| {
            let text = RichText::new(name).color(kit.tokens.secondary);
            let said = kit
                .texts
                .with(keys::LAYOUT_SWITCH, &[("text", name.into())]);
            let button = ui.add(Button::new(text).small());
            button.widget_info(|| WidgetInfo::labeled(Role::Button, true, &said));
            button.on_hover_text(&said).clicked()
        });
    let pressed = ctx.input_mut(|input| input.consume_key(Modifiers::NONE, Key::F3));
    shown.inner || pressed
}

const MARGIN: f32 = 8.0;
