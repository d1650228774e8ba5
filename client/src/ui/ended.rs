//! Ended without a submission.

use egui::Ui;
use qorgan_client_core::{
    event::Intent,
    view::{EndCause, EndedView, View},
};

use super::{
    components::{Look, Step, button, card, page},
    kit::Kit,
    text::keys,
    tokens::{size, space},
};

/// Draws why it ended and where to turn.
pub fn ended_ui(ui: &mut Ui, view: &View, screen: &EndedView, kit: &Kit<'_>) -> Option<Intent> {
    let step = Step {
        number: 0,
        title: keys::ENDED_TITLE,
    };
    let (intent, asked) = page(ui, view, kit, step, |ui| {
        card(ui, kit, |ui| {
            kit.strong(ui, &screen.title, size::LEAD, kit.tokens.text);
            let cause = match screen.cause {
                EndCause::Terminated => keys::ENDED_TERMINATED,
                EndCause::ConsentRefused => keys::CONSENT_REFUSED,
                EndCause::Moved => keys::ENDED_MOVED,
                EndCause::Void => keys::ENDED_VOID,
            };
            kit.body(ui, kit.msg(cause));
            kit.body(ui, kit.msg(keys::REMEDY_TEST_CENTRE));
            if let Some(support) = view
                .support
                .as_deref()
                .filter(|support| !support.is_empty())
            {
                kit.body(ui, kit.with(keys::CALL, &[("text", support.into())]));
            }
        });
        ui.add_space(space::L);
        let label = kit.msg(keys::LEAVE);
        let go = button(ui, kit, "leave", &label, (Look::Primary, true));
        kit.first_focus(ui, &go);
        go.clicked().then_some(Intent::Leave)
    });
    intent.or(asked)
}
