//! The instruction, which must be read (SOP 11).

use egui::Ui;
use qorgan_client_core::{
    event::Intent,
    view::{TextView, View},
};

use super::{
    components::{Look, Step, button, page, reader, trouble_banner},
    kit::Kit,
    text::keys,
    tokens::space,
};

/// Draws the instruction; the way on wakes when its end was seen.
//= tests/data/sop-2-28.md#11-sign-in
pub fn instruction_ui(
    ui: &mut Ui,
    view: &View,
    screen: &TextView,
    kit: &Kit<'_>,
) -> Option<Intent> {
    let step = Step {
        number: 4,
        title: keys::INSTRUCTION_TITLE,
    };
    let (intent, asked) = page(ui, view, kit, step, |ui| {
        trouble_banner(ui, kit, screen.trouble.as_ref(), view.support.as_deref());
        let label = kit.msg(keys::INSTRUCTION_TITLE);
        let at_end = reader(ui, kit, "instruction-text", &label, &screen.text);
        ui.add_space(space::L);
        if !screen.read {
            kit.caption(ui, kit.msg(keys::READ_TO_END));
        }
        let label = kit.msg(keys::INSTRUCTION_READ);
        let awake = screen.read && !screen.busy;
        let go = button(ui, kit, "continue", &label, (Look::Primary, awake)).clicked();
        go.then_some(Intent::Continue)
            .or_else(|| (at_end && !screen.read).then_some(Intent::ReadToEnd))
    });
    intent.or(asked)
}
