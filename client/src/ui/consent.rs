//! Consent to capture (decision 7).

use egui::Ui;
use qorgan_client_core::{
    event::Intent,
    view::{TextView, View},
};

use super::{
    components::{Icon, Look, Step, banner, button, page, reader, trouble_banner},
    kit::Kit,
    text::keys,
    tokens::space,
};

/// Draws the consent; a refusal leads to the test centre.
pub fn consent_ui(ui: &mut Ui, view: &View, screen: &TextView, kit: &Kit<'_>) -> Option<Intent> {
    let step = Step {
        number: 1,
        title: keys::CONSENT_TITLE,
    };
    let (intent, asked) = page(ui, view, kit, step, |ui| {
        trouble_banner(ui, kit, screen.trouble.as_ref(), view.support.as_deref());
        if let Some(contact) = &screen.refused {
            let below = kit.with(keys::CONSENT_REFUSED_HELP, &[("text", (&contact.0).into())]);
            let head = kit.msg(keys::CONSENT_REFUSED);
            banner(ui, kit, (Icon::Wait, kit.tokens.secondary), &head, &below);
            ui.add_space(space::M);
        }
        let label = kit.msg(keys::CONSENT_TITLE);
        let at_end = reader(ui, kit, "consent-text", &label, &screen.text);
        ui.add_space(space::L);
        if !screen.read {
            kit.caption(ui, kit.msg(keys::READ_TO_END));
        }
        let chosen = ui.horizontal(|ui| choices(ui, screen, kit)).inner;
        chosen.or_else(|| (at_end && !screen.read).then_some(Intent::ReadToEnd))
    });
    intent.or(asked)
}

fn choices(ui: &mut Ui, screen: &TextView, kit: &Kit<'_>) -> Option<Intent> {
    let agree = kit.msg(keys::CONSENT_AGREE);
    let awake = screen.read && !screen.busy;
    let yes = button(ui, kit, "agree", &agree, (Look::Primary, awake)).clicked();
    let refuse = kit.msg(keys::CONSENT_REFUSE);
    let no = button(ui, kit, "refuse", &refuse, (Look::Quiet, !screen.busy)).clicked();
    if screen.refused.is_some() {
        let leave = kit.msg(keys::LEAVE);
        if button(ui, kit, "leave", &leave, (Look::Quiet, true)).clicked() {
            return Some(Intent::Leave);
        }
    }
    if yes {
        Some(Intent::Consent(true))
    } else {
        no.then_some(Intent::Consent(false))
    }
}
