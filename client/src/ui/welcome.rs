//! Server and language.

use egui::Ui;
use qorgan_client_core::{
    event::Intent,
    view::{View, WelcomeView},
};

use super::{
    components::{Look, Step, button, card, field, page, trouble_banner},
    kit::Kit,
    text::keys,
    tokens::space,
};

/// Draws the first screen.
pub fn welcome_ui(ui: &mut Ui, view: &View, screen: &WelcomeView, kit: &Kit<'_>) -> Option<Intent> {
    let step = Step {
        number: 0,
        title: keys::WELCOME_TITLE,
    };
    let (intent, asked) = page(ui, view, kit, step, |ui| {
        trouble_banner(ui, kit, screen.trouble.as_ref(), view.support.as_deref());
        card(ui, kit, |ui| contents(ui, screen, kit))
    });
    intent.or(asked)
}

fn contents(ui: &mut Ui, screen: &WelcomeView, kit: &Kit<'_>) -> Option<Intent> {
    kit.body(ui, kit.msg(keys::WELCOME_LEAD));
    ui.add_space(space::M);
    let caption = kit.msg(keys::WELCOME_LINK);
    let (_, entered, changed) = field(ui, kit, "link", &caption, (&screen.link, false));
    kit.caption(ui, kit.msg(keys::WELCOME_LINK_HELP));
    ui.add_space(space::L);
    let awake = !screen.busy && !screen.link.trim().is_empty();
    let label = kit.msg(if screen.busy {
        keys::CONNECTING
    } else {
        keys::CONTINUE
    });
    let go = button(ui, kit, "continue", &label, (Look::Primary, awake));
    kit.first_focus(ui, &go);
    if let Some(link) = changed {
        return Some(Intent::TypeLink(link));
    }
    (go.clicked() || (entered && awake)).then_some(Intent::Connect)
}
