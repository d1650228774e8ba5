//! Submitted.

use egui::Ui;
use qorgan_client_core::{
    event::Intent,
    view::{Delivery, ReceiptView, SubmittedView, View},
};

use super::{
    components::{
        Icon, Look, Step, badge, button, card, clock, date_and_clock, page, problem_keys,
    },
    kit::Kit,
    text::keys,
    tokens::{size, space},
};

/// Draws the end.
pub fn submitted_ui(
    ui: &mut Ui,
    view: &View,
    screen: &SubmittedView,
    kit: &Kit<'_>,
) -> Option<Intent> {
    let step = Step {
        number: 0,
        title: keys::SUBMITTED_TITLE,
    };
    let (intent, asked) = page(ui, view, kit, step, |ui| {
        card(ui, kit, |ui| {
            kit.strong(ui, &screen.title, size::LEAD, kit.tokens.text);
            let of = [("n", screen.answered.into()), ("of", screen.of.into())];
            kit.text(
                ui,
                kit.with(keys::ANSWERED_OF, &of),
                size::BODY,
                kit.tokens.secondary,
            );
            ui.add_space(space::M);
            delivery_ui(ui, view, screen, kit);
            if let Some(receipt) = &screen.receipt {
                receipt_ui(ui, screen, receipt, kit);
            }
        });
        ui.add_space(space::L);
        let label = kit.msg(keys::LEAVE);
        let go = button(ui, kit, "leave", &label, (Look::Primary, screen.may_leave));
        kit.first_focus(ui, &go);
        go.clicked().then_some(Intent::Leave)
    });
    intent.or(asked)
}

/// The server's word, and where it lies: with it the candidate can prove what was given.
fn receipt_ui(ui: &mut Ui, screen: &SubmittedView, receipt: &ReceiptView, kit: &Kit<'_>) {
    ui.add_space(space::L);
    kit.strong(
        ui,
        kit.msg(keys::RECEIPT_TITLE),
        size::BODY,
        kit.tokens.text,
    );
    let time = date_and_clock(receipt.at, kit.utc_offset_min);
    let signed = [
        ("n", screen.answered.into()),
        ("entries", receipt.entries.into()),
        ("text", (&time).into()),
    ];
    kit.body(ui, kit.with(keys::RECEIPT_SIGNED, &signed));
    ui.add_space(space::S);
    kit.caption(ui, kit.msg(keys::RECEIPT_CODE));
    let code = egui::RichText::new(&receipt.code)
        .font(egui::FontId::monospace(size::LEAD))
        .color(kit.tokens.text);
    ui.add(egui::Label::new(code).selectable(false));
    ui.add_space(space::S);
    match &receipt.place {
        Some(place) => {
            kit.caption(ui, kit.msg(keys::RECEIPT_PLACE));
            kit.body(ui, place);
            kit.caption(ui, kit.msg(keys::RECEIPT_KEEP));
        }
        None => {
            kit.caption(ui, kit.msg(keys::RECEIPT_NO_PLACE));
        }
    }
}

fn delivery_ui(ui: &mut Ui, view: &View, screen: &SubmittedView, kit: &Kit<'_>) {
    let tokens = &kit.tokens;
    match screen.delivery {
        Delivery::Kept => {
            badge(
                ui,
                kit,
                (Icon::Wait, tokens.secondary),
                &kit.msg(keys::SUBMITTED_KEPT),
            );
            kit.body(ui, kit.msg(keys::SUBMITTED_KEPT_HELP));
        }
        Delivery::Delivered { at, late } => {
            let time = clock(at, kit.utc_offset_min);
            let word = kit.with(keys::SUBMITTED_DELIVERED, &[("text", (&time).into())]);
            badge(ui, kit, (Icon::Check, tokens.success), &word);
            if late {
                badge(
                    ui,
                    kit,
                    (Icon::Warning, tokens.warning),
                    &kit.msg(keys::SUBMITTED_LATE),
                );
            }
        }
        Delivery::Refused(code) => {
            let (cause, remedy) = problem_keys(code);
            badge(ui, kit, (Icon::Warning, tokens.warning), &kit.msg(cause));
            kit.body(ui, kit.msg(remedy));
            let support = view.support.clone().unwrap_or_default();
            kit.body(ui, kit.with(keys::CALL, &[("text", (&support).into())]));
        }
    }
    if screen.recording_left_bytes > 0 {
        let left = kit.with(
            keys::RECORDING_LEFT,
            &[("n", (screen.recording_left_bytes / 1_000).into())],
        );
        badge(ui, kit, (Icon::Wait, tokens.secondary), &left);
    }
}
