//! The quiet bar over the exam: the three truths, and whom to ask.

use egui::{Align, Color32, Frame, Layout, Margin, Panel, Stroke, Ui};
use qorgan_client_core::{
    event::{Intent, Overlay},
    view::{BarView, Connection, Recording},
};

use super::{
    components::{Icon, badge, duration_text, icon_button, tabular},
    kit::Kit,
    text::{Key, keys},
    tokens::{size, space},
};

/// Draws the bar.
pub(super) fn bar_ui(ui: &mut Ui, bar: &BarView, kit: &Kit<'_>) -> Option<Intent> {
    let frame = Frame::new()
        .fill(kit.tokens.surface)
        .stroke(Stroke::new(1.0, kit.tokens.border))
        .inner_margin(Margin::symmetric(16, 8));
    Panel::top("exam-bar")
        .frame(frame)
        .show_separator_line(false)
        .show(ui, |ui| {
            ui.horizontal(|ui| {
                ui.set_min_height(40.0);
                ui.spacing_mut().item_spacing.x = space::L;
                kit.strong(ui, &bar.title, size::BODY, kit.tokens.text);
                let (which, key) = recording(bar.recording, kit);
                badge(ui, kit, which, &kit.msg(key));
                let (which, key) = connection(bar.connection, kit);
                badge(ui, kit, which, &kit.msg(key));
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    right(ui, bar, kit)
                })
                .inner
            })
            .inner
        })
        .inner
}

fn right(ui: &mut Ui, bar: &BarView, kit: &Kit<'_>) -> Option<Intent> {
    let mut intent = None;
    let help = kit.msg(keys::HELP);
    if icon_button(ui, kit, "help", &help, (Icon::Help, false)).clicked() {
        intent = Some(Intent::Open(Overlay::Help));
    }
    let larger = kit.msg(keys::READING);
    let reading = super::components::button(
        ui,
        kit,
        "reading",
        &kit.msg(keys::READING_SHORT),
        (super::components::Look::Quiet, true),
    );
    if reading.on_hover_text(larger).clicked() {
        intent = Some(Intent::Open(Overlay::Reading));
    }
    let messages = if bar.unread > 0 {
        kit.with(keys::MESSAGES_UNREAD, &[("n", bar.unread.into())])
    } else {
        kit.msg(keys::MESSAGES)
    };
    if icon_button(
        ui,
        kit,
        "messages",
        &messages,
        (Icon::Message, bar.unread > 0),
    )
    .clicked()
    {
        intent = Some(Intent::Open(Overlay::Messages));
    }
    let hand = kit.msg(if bar.hand_raised {
        keys::HAND_DOWN
    } else {
        keys::HAND_UP
    });
    if icon_button(ui, kit, "hand", &hand, (Icon::Hand, bar.hand_raised)).clicked() {
        intent = Some(Intent::RaiseHand);
    }
    let left = duration_text(bar.remaining);
    tabular(ui, &left, size::TITLE, kit.tokens.text);
    if bar.stands_still {
        kit.caption(ui, kit.msg(keys::TIME_STANDS_STILL));
    }
    intent
}

fn recording(recording: Recording, kit: &Kit<'_>) -> ((Icon, Color32), Key) {
    match recording {
        Recording::On => ((Icon::Dot, kit.tokens.success), keys::RECORDING_ON),
        Recording::Kept => ((Icon::Ring, kit.tokens.warning), keys::RECORDING_KEPT),
        Recording::Off => ((Icon::Warning, kit.tokens.warning), keys::RECORDING_OFF),
    }
}

fn connection(connection: Connection, kit: &Kit<'_>) -> ((Icon, Color32), Key) {
    match connection {
        Connection::Good => ((Icon::Dot, kit.tokens.success), keys::CONNECTION_GOOD),
        Connection::Weak => ((Icon::Ring, kit.tokens.warning), keys::CONNECTION_WEAK),
        Connection::Lost => ((Icon::Warning, kit.tokens.warning), keys::CONNECTION_LOST),
    }
}
