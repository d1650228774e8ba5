//! One question.

use egui::{
    FontId, Rect, Response, Sense, Stroke, StrokeKind, Ui, Vec2, WidgetInfo, accesskit::Role, vec2,
};
use qorgan_client_core::{
    book::Kept,
    event::{Intent, Overlay},
    view::{ExamView, ItemView},
};
use qorgan_protocol::assessment::{Block, Choice};

use super::{
    components::{Icon, Look, badge, button, clock, focus_ring, icon, paint_icon, picture},
    fonts::strong_family,
    kit::{Kit, PictureKey, note_focus},
    text::keys,
    tokens::{CORNER, size, space},
};

/// Draws the open question.
pub(super) fn item_ui(ui: &mut Ui, screen: &ExamView, kit: &Kit<'_>) -> Option<Intent> {
    let of = [
        ("n", screen.place.into()),
        ("of", screen.questions.len().into()),
    ];
    ui.horizontal(|ui| {
        kit.strong(
            ui,
            kit.with(keys::QUESTION_OF, &of),
            size::BODY,
            kit.tokens.secondary,
        );
        if screen.flagged {
            icon(ui, Icon::Flag, 14.0, kit.tokens.warning);
        }
    });
    ui.add_space(space::S);
    let Some(item) = &screen.item else {
        let words = screen.item_in.map_or_else(
            || kit.msg(keys::QUESTION_COMES),
            |wait| kit.with(keys::QUESTION_SOON, &[("n", wait.as_secs().into())]),
        );
        kit.body(ui, words);
        return None;
    };
    let mut intent = None;
    for block in &item.body {
        let asked = block_ui(ui, block, kit);
        intent = intent.or(asked);
    }
    kit.strong(ui, &item.prompt, kit.item_size(), kit.tokens.text);
    ui.add_space(space::XS);
    if item.multiple {
        kit.caption(ui, kit.msg(keys::CHOOSE_MANY));
    }
    ui.add_space(space::S);
    for (index, choice) in item.choices.iter().enumerate() {
        if choice_ui(ui, item, (index, choice), kit).clicked() {
            intent = Some(Intent::Choose(choice.id.clone()));
        }
        ui.add_space(space::XS);
    }
    intent
}

/// Draws what stands beside the question; its lower part stays free for freshness codes.
pub(super) fn aside_ui(ui: &mut Ui, screen: &ExamView, kit: &Kit<'_>) -> Option<Intent> {
    ui.add_space(space::XS);
    let label = kit.msg(if screen.flagged {
        keys::UNFLAG
    } else {
        keys::FLAG
    });
    let awake = screen.item.is_some();
    let flag = button(ui, kit, "flag", &label, (Look::Secondary, awake)).clicked();
    ui.add_space(space::M);
    if let Some(kept) = screen.item.as_ref().and_then(|item| item.kept) {
        kept_ui(ui, kept, kit);
    }
    flag.then_some(Intent::Flag)
}

fn kept_ui(ui: &mut Ui, kept: Kept, kit: &Kit<'_>) {
    let tokens = &kit.tokens;
    let (which, word) = match kept {
        Kept::Writing => ((Icon::Wait, tokens.secondary), kit.msg(keys::SAVING)),
        Kept::Saved(at) => {
            let time = clock(at, kit.utc_offset_min);
            (
                (Icon::Check, tokens.success),
                kit.with(keys::SAVED_AT, &[("text", (&time).into())]),
            )
        }
        Kept::Unsaved => ((Icon::Warning, tokens.warning), kit.msg(keys::NOT_SAVED)),
        Kept::Delivered(at) => {
            let time = clock(at, kit.utc_offset_min);
            (
                (Icon::Check, tokens.success),
                kit.with(keys::SAVED_AT, &[("text", (&time).into())]),
            )
        }
    };
    badge(ui, kit, which, &word);
    if matches!(kept, Kept::Delivered(_)) {
        badge(
            ui,
            kit,
            (Icon::Check, tokens.success),
            &kit.msg(keys::DELIVERED),
        );
    }
}

fn block_ui(ui: &mut Ui, block: &Block, kit: &Kit<'_>) -> Option<Intent> {
    let intent = match block {
        Block::Text { text } => {
            kit.text(ui, text, kit.item_size(), kit.tokens.text);
            None
        }
        Block::Picture { picture: id, alt } => {
            let room = vec2(ui.available_width().min(560.0), 220.0);
            let shown = picture(ui, kit, Some(PictureKey::Item(*id)), room, Sense::click());
            let label = kit.with(keys::PICTURE_ENLARGE, &[("text", alt.into())]);
            shown.widget_info(|| WidgetInfo::labeled(Role::Button, true, &label));
            focus_ring(ui, kit, &shown);
            note_focus(ui, "picture", &shown);
            let shown = shown.on_hover_text(kit.msg(keys::PICTURE_HINT));
            shown
                .clicked()
                .then_some(Intent::Open(Overlay::Picture(*id)))
        }
    };
    ui.add_space(space::S);
    intent
}

fn choice_ui(ui: &mut Ui, item: &ItemView, which: (usize, &Choice), kit: &Kit<'_>) -> Response {
    let (index, choice) = which;
    let letter = letter(index);
    let chosen = item.chosen.contains(&choice.id);
    let tokens = &kit.tokens;
    let font = FontId::proportional(kit.item_size());
    let room = ui.available_width() - TEXT_LEFT - space::M;
    let galley = ui
        .painter()
        .layout(choice.text.clone(), font, tokens.text, room);
    let wanted = vec2(
        ui.available_width(),
        (galley.size().y + 2.0 * space::M).max(48.0),
    );
    let (rect, response) = ui.allocate_exact_size(wanted, Sense::click());
    let outline = if chosen {
        Stroke::new(2.0, tokens.primary)
    } else {
        Stroke::new(1.0, tokens.border)
    };
    let fill = if response.hovered() && !chosen {
        tokens.surface.lerp_to_gamma(tokens.primary, 0.06)
    } else {
        tokens.surface
    };
    ui.painter()
        .rect(rect, CORNER, fill, outline, StrokeKind::Inside);
    mark_ui(ui, rect, (item.multiple, chosen), kit);
    let strong = FontId::new(kit.item_size(), strong_family());
    let at = rect.left_center() + vec2(52.0, 0.0);
    ui.painter().text(
        at,
        egui::Align2::CENTER_CENTER,
        &letter,
        strong,
        tokens.secondary,
    );
    let text_at = rect.left_center() + vec2(TEXT_LEFT, -galley.size().y / 2.0);
    ui.painter().galley(text_at, galley, tokens.text);
    let role = if item.multiple {
        Role::CheckBox
    } else {
        Role::RadioButton
    };
    let label = format!("{letter}. {}", choice.text);
    response.widget_info(|| WidgetInfo::selected(role, true, chosen, &label));
    focus_ring(ui, kit, &response);
    note_focus(ui, &format!("choice-{letter}"), &response);
    response
}

/// A circle for one of them, a box for any number of them.
fn mark_ui(ui: &Ui, rect: Rect, which: (bool, bool), kit: &Kit<'_>) {
    let (multiple, chosen) = which;
    let tokens = &kit.tokens;
    let center = rect.left_center() + vec2(24.0, 0.0);
    let ink = if chosen {
        tokens.primary
    } else {
        tokens.secondary
    };
    let square = Rect::from_center_size(center, Vec2::splat(18.0));
    if multiple {
        let fill = if chosen {
            tokens.primary
        } else {
            tokens.surface
        };
        ui.painter()
            .rect(square, 3, fill, Stroke::new(1.5, ink), StrokeKind::Inside);
        if chosen {
            paint_icon(
                ui.painter(),
                square.shrink(3.0),
                Icon::Check,
                tokens.on_primary,
            );
        }
    } else {
        ui.painter()
            .circle_stroke(center, 9.0, Stroke::new(1.5, ink));
        if chosen {
            ui.painter().circle_filled(center, 5.0, tokens.primary);
        }
    }
}

fn letter(index: usize) -> String {
    let offset = u8::try_from(index).unwrap_or(25).min(25);
    char::from(b'A'.saturating_add(offset)).to_string()
}

const TEXT_LEFT: f32 = 76.0;
