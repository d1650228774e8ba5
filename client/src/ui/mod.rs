//! The screens. A screen draws its view and returns what the candidate wants; it owns no state,
//! reads no clock and starts nothing. Colours, sizes and texts come from tokens and catalogues.

pub mod components;
pub mod fonts;
pub mod freshness;
pub mod kit;
pub mod style;
pub mod text;
pub mod tokens;

mod consent;
mod covered;
mod ended;
mod exam;
mod exam_ask;
mod exam_bar;
mod exam_item;
mod exams;
mod gate;
mod identity;
mod instruction;
mod keyboard;
mod layout;
mod liveness;
mod overlay;
mod overlay_messages;
mod sign_in;
mod submitted;
mod system_check;
mod voice;
mod welcome;

use egui::Ui;
use qorgan_client_core::{
    event::{Intent, Overlay},
    view::{ScreenView, View},
};

pub use consent::consent_ui;
pub use covered::covered_ui;
pub use ended::ended_ui;
pub use exam::exam_ui;
pub use exams::exams_ui;
pub use gate::gate_ui;
pub use identity::identity_ui;
pub use instruction::instruction_ui;
pub use liveness::liveness_ui;
pub use sign_in::sign_in_ui;
pub use submitted::submitted_ui;
pub use system_check::system_check_ui;
pub use voice::voice_ui;
pub use welcome::welcome_ui;

use kit::Kit;
pub(crate) use layout::layout_ui;

/// Draws the whole window; returns what the candidate wants, in order.
pub fn window_ui(ui: &mut Ui, view: &View, kit: &Kit<'_>) -> Vec<Intent> {
    let mut intents = Vec::new();
    intents.extend(keyboard::keys(ui, view));
    let name = view.screen.name();
    ui.push_id(name, |ui| {
        if view
            .overlay
            .as_ref()
            .is_some_and(|overlay| overlay.overlay != Overlay::Messages)
        {
            ui.disable();
        }
        intents.extend(screen_ui(ui, view, kit));
    });
    if let Some(overlay) = &view.overlay {
        intents.extend(overlay::overlay_ui(ui, view, overlay, kit));
    }
    if let Some(code) = &view.freshness {
        freshness::draw(ui.ctx(), code);
    }
    intents
}

fn screen_ui(ui: &mut Ui, view: &View, kit: &Kit<'_>) -> Option<Intent> {
    match &view.screen {
        ScreenView::Welcome(screen) => welcome_ui(ui, view, screen, kit),
        ScreenView::SignIn(screen) => sign_in_ui(ui, view, screen, kit),
        ScreenView::Exams(screen) => exams_ui(ui, view, screen, kit),
        ScreenView::Consent(screen) => consent_ui(ui, view, screen, kit),
        ScreenView::SystemCheck(screen) => system_check_ui(ui, view, screen, kit),
        ScreenView::Identity(screen) => identity_ui(ui, view, screen, kit),
        ScreenView::Liveness(screen) => liveness_ui(ui, view, screen, kit),
        ScreenView::Voice(screen) => voice_ui(ui, view, screen, kit),
        ScreenView::Instruction(screen) => instruction_ui(ui, view, screen, kit),
        ScreenView::Gate(screen) => gate_ui(ui, view, screen, kit),
        ScreenView::Exam(screen) => exam_ui(ui, screen, kit),
        ScreenView::Covered(screen) => covered_ui(ui, view, screen, kit),
        ScreenView::Submitted(screen) => submitted_ui(ui, view, screen, kit),
        ScreenView::Ended(screen) => ended_ui(ui, view, screen, kit),
    }
}
