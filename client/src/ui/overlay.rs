//! Panels over the screen: keys and help, the question whether to submit, a picture, how to read.

use egui::{Area, Frame, Id, Margin, Order, Sense, Stroke, Ui, WidgetInfo, accesskit::Role, vec2};
use qorgan_client_core::{
    event::{Intent, Overlay, Reading, Theme},
    view::{OverlayView, View},
};

use super::{
    components::{Look, button, picture, pill, tabular},
    kit::{Kit, PictureKey},
    overlay_messages::messages_ui,
    text::{Key, keys},
    tokens::{CORNER, size, space},
};

/// Draws the panel.
pub(super) fn overlay_ui(
    ui: &Ui,
    view: &View,
    overlay: &OverlayView,
    kit: &Kit<'_>,
) -> Option<Intent> {
    let (title, width, place): (_, f32, _) = match overlay.overlay {
        Overlay::Help => (keys::HELP, 560.0, egui::Align2::CENTER_CENTER),
        // Messages stand beside the question and do not hide it.
        Overlay::Messages => (keys::MESSAGES, 288.0, egui::Align2::RIGHT_TOP),
        Overlay::ConfirmSubmit => (keys::CONFIRM_TITLE, 520.0, egui::Align2::CENTER_CENTER),
        Overlay::Picture(_) => (keys::PICTURE, 1000.0, egui::Align2::CENTER_CENTER),
        Overlay::Reading => (keys::READING, 480.0, egui::Align2::CENTER_CENTER),
    };
    let offset = if place == egui::Align2::RIGHT_TOP {
        vec2(-8.0, 64.0)
    } else {
        vec2(0.0, 0.0)
    };
    let frame = Frame::new()
        .fill(kit.tokens.surface)
        .stroke(Stroke::new(1.0, kit.tokens.secondary))
        .corner_radius(CORNER)
        .inner_margin(Margin::same(20));
    Area::new(Id::unique(("overlay", title.0)))
        .order(Order::Foreground)
        .anchor(place, offset)
        .role(Role::Dialog)
        .accessible_name(kit.msg(title))
        .fade_in(false)
        .show(ui.ctx(), |ui| {
            frame
                .show(ui, |ui| {
                    ui.set_width(width.min(ui.ctx().content_rect().width() - 64.0));
                    kit.strong(ui, kit.msg(title), size::TITLE, kit.tokens.text);
                    ui.add_space(space::M);
                    match overlay.overlay {
                        Overlay::Help => help_ui(ui, view, kit),
                        Overlay::Messages => messages_ui(ui, overlay, kit),
                        Overlay::ConfirmSubmit => confirm_ui(ui, overlay, kit),
                        Overlay::Picture(_) => picture_ui(ui, overlay, kit),
                        Overlay::Reading => reading_ui(ui, view.reading, kit),
                    }
                })
                .inner
        })
        .inner
}

fn close(ui: &mut Ui, kit: &Kit<'_>, first: bool) -> bool {
    let label = kit.msg(keys::CLOSE);
    let close = button(ui, kit, "close", &label, (Look::Secondary, true));
    if first {
        kit.first_focus(ui, &close);
    }
    close.clicked()
}

fn help_ui(ui: &mut Ui, view: &View, kit: &Kit<'_>) -> Option<Intent> {
    for (press, meaning) in HELP {
        ui.horizontal(|ui| {
            let cell = vec2(150.0, 22.0);
            ui.allocate_ui_with_layout(
                cell,
                egui::Layout::left_to_right(egui::Align::Center),
                |ui| {
                    ui.set_min_width(cell.x);
                    kit.strong(ui, kit.msg(press), size::BODY, kit.tokens.text);
                },
            );
            kit.body(ui, kit.msg(meaning));
        });
    }
    ui.add_space(space::M);
    let support = view.support.clone().unwrap_or_default();
    if !support.is_empty() {
        kit.strong(
            ui,
            kit.with(keys::CALL, &[("text", (&support).into())]),
            size::BODY,
            kit.tokens.text,
        );
    }
    ui.add_space(space::M);
    close(ui, kit, true).then_some(Intent::CloseOverlay)
}

fn confirm_ui(ui: &mut Ui, overlay: &OverlayView, kit: &Kit<'_>) -> Option<Intent> {
    for (places, key) in [
        (&overlay.unanswered, keys::CONFIRM_UNANSWERED),
        (&overlay.flagged, keys::CONFIRM_FLAGGED),
    ] {
        if !places.is_empty() {
            kit.body(ui, kit.msg(key));
            let list: Vec<String> = places.iter().map(u16::to_string).collect();
            kit.strong(ui, list.join(", "), size::LEAD, kit.tokens.text);
            ui.add_space(space::S);
        }
    }
    if overlay.unanswered.is_empty() {
        kit.body(ui, kit.msg(keys::CONFIRM_ALL));
    }
    kit.body(ui, kit.msg(keys::CONFIRM_FINAL));
    ui.add_space(space::M);
    ui.horizontal(|ui| {
        let back = kit.msg(keys::CONFIRM_BACK);
        let back = button(ui, kit, "back", &back, (Look::Secondary, true));
        kit.first_focus(ui, &back);
        let submit = kit.msg(keys::CONFIRM_SUBMIT);
        let submit = button(ui, kit, "submit", &submit, (Look::Primary, true)).clicked();
        if submit {
            Some(Intent::Submit)
        } else {
            back.clicked().then_some(Intent::CloseOverlay)
        }
    })
    .inner
}

fn picture_ui(ui: &mut Ui, overlay: &OverlayView, kit: &Kit<'_>) -> Option<Intent> {
    if let Some((id, alt)) = &overlay.picture {
        let screen = ui.ctx().content_rect();
        let room = vec2(ui.available_width(), (screen.height() - 260.0).max(200.0));
        let shown = picture(ui, kit, Some(PictureKey::Item(*id)), room, Sense::hover());
        shown.widget_info(|| WidgetInfo::labeled(Role::Image, true, alt));
        kit.caption(ui, alt);
        ui.add_space(space::S);
    }
    close(ui, kit, true).then_some(Intent::CloseOverlay)
}

fn reading_ui(ui: &mut Ui, reading: Reading, kit: &Kit<'_>) -> Option<Intent> {
    let mut wanted = reading;
    kit.strong(
        ui,
        kit.msg(keys::READING_SIZE),
        size::SMALL,
        kit.tokens.secondary,
    );
    ui.horizontal(|ui| {
        let smaller = kit.msg(keys::READING_SMALLER);
        if button(
            ui,
            kit,
            "smaller",
            &smaller,
            (Look::Secondary, reading.text_step > 0),
        )
        .clicked()
        {
            wanted.text_step = reading.text_step.saturating_sub(1);
        }
        let points = format!("{:.0}", kit.item_size());
        tabular(ui, &points, size::LEAD, kit.tokens.text);
        let larger = kit.msg(keys::READING_LARGER);
        let awake = reading.text_step < Reading::TEXT_STEP_MAX;
        if button(ui, kit, "larger", &larger, (Look::Secondary, awake)).clicked() {
            wanted.text_step = reading.text_step.saturating_add(1);
        }
    });
    ui.add_space(space::M);
    kit.strong(
        ui,
        kit.msg(keys::READING_COLOURS),
        size::SMALL,
        kit.tokens.secondary,
    );
    ui.horizontal(|ui| {
        for (theme, key) in [
            (Theme::Light, keys::READING_LIGHT),
            (Theme::Dark, keys::READING_DARK),
            (Theme::Contrast, keys::READING_CONTRAST),
        ] {
            if pill(ui, kit, key.0, &kit.msg(key), reading.theme == theme).clicked() {
                wanted.theme = theme;
            }
        }
    });
    ui.add_space(space::M);
    switch(
        ui,
        kit,
        keys::READING_FONT,
        ["Inter", "Noto Sans"],
        &mut wanted.second_font,
    );
    let (on, off) = (
        kit.msg(keys::READING_MOTION_ON),
        kit.msg(keys::READING_MOTION_OFF),
    );
    switch(
        ui,
        kit,
        keys::READING_MOTION,
        [&on, &off],
        &mut wanted.reduced_motion,
    );
    ui.add_space(space::M);
    if close(ui, kit, true) {
        return Some(Intent::CloseOverlay);
    }
    (wanted != reading).then_some(Intent::ChooseReading(wanted))
}

fn switch(ui: &mut Ui, kit: &Kit<'_>, caption: Key, labels: [&str; 2], second: &mut bool) {
    kit.strong(ui, kit.msg(caption), size::SMALL, kit.tokens.secondary);
    let was = *second;
    ui.horizontal(|ui| {
        for (label, is_second) in labels.into_iter().zip([false, true]) {
            if pill(ui, kit, label, label, was == is_second).clicked() {
                *second = is_second;
            }
        }
    });
    ui.add_space(space::M);
}

const HELP: [(Key, Key); 6] = [
    (keys::KEY_CHOOSE, keys::KEY_CHOOSE_MEANS),
    (keys::KEY_ARROWS, keys::KEY_ARROWS_MEANS),
    (keys::KEY_FLAG, keys::KEY_FLAG_MEANS),
    (keys::KEY_NEXT, keys::KEY_NEXT_MEANS),
    (keys::KEY_TAB, keys::KEY_TAB_MEANS),
    (keys::KEY_CLOSE, keys::KEY_CLOSE_MEANS),
];
