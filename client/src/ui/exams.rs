//! My exams.

use core::time::Duration;

use egui::{Align, Layout, Ui};
use qorgan_client_core::{
    event::Intent,
    view::{ExamsView, View},
};
use qorgan_protocol::wire::{ExamCard, ExamState};

use super::{
    components::{Icon, Look, Step, badge, banner, button, card, clock, page, trouble_banner},
    kit::Kit,
    text::keys,
    tokens::{size, space},
};

/// Draws the candidate's exams.
//= tests/data/sop-2-28.md#11-sign-in
pub fn exams_ui(ui: &mut Ui, view: &View, screen: &ExamsView, kit: &Kit<'_>) -> Option<Intent> {
    let step = Step {
        number: 0,
        title: keys::EXAMS_TITLE,
    };
    let (intent, asked) = page(ui, view, kit, step, |ui| {
        kit.text(
            ui,
            kit.with(keys::EXAMS_HELLO, &[("text", (&screen.name.0).into())]),
            size::LEAD,
            kit.tokens.secondary,
        );
        ui.add_space(space::M);
        trouble_banner(ui, kit, screen.trouble.as_ref(), view.support.as_deref());
        let intent = list(ui, screen, kit);
        ui.add_space(space::L);
        let bottom = ui.horizontal(|ui| {
            let again = kit.msg(keys::EXAMS_REFRESH);
            let again = button(ui, kit, "refresh", &again, (Look::Quiet, true)).clicked();
            let leave = kit.msg(keys::EXAMS_SIGN_OUT);
            let leave = button(ui, kit, "sign-out", &leave, (Look::Quiet, true)).clicked();
            again
                .then_some(Intent::RefreshExams)
                .or_else(|| leave.then_some(Intent::SignOut))
        });
        intent.or(bottom.inner)
    });
    intent.or(asked)
}

fn list(ui: &mut Ui, screen: &ExamsView, kit: &Kit<'_>) -> Option<Intent> {
    let Some(exams) = &screen.exams else {
        kit.body(ui, kit.msg(keys::CONNECTING));
        return None;
    };
    if exams.is_empty() {
        let help = kit.msg(keys::EXAMS_EMPTY_HELP);
        banner(
            ui,
            kit,
            (Icon::Wait, kit.tokens.secondary),
            &kit.msg(keys::EXAMS_EMPTY),
            &help,
        );
    }
    let mut intent = None;
    for exam in exams {
        if card(ui, kit, |ui| exam_ui(ui, exam, screen.busy, kit)) {
            intent = Some(Intent::OpenExam(exam.attempt));
        }
        ui.add_space(space::S);
    }
    intent
}

fn exam_ui(ui: &mut Ui, exam: &ExamCard, busy: bool, kit: &Kit<'_>) -> bool {
    let open = exam.state == ExamState::Open;
    ui.horizontal(|ui| {
        ui.vertical(|ui| {
            ui.set_max_width(460.0);
            kit.strong(ui, &exam.title, size::LEAD, kit.tokens.text);
            let minutes = Duration::from_millis(exam.duration_ms).as_secs() / 60;
            let facts = [
                ("text", (&exam.discipline).into()),
                ("n", minutes.into()),
                ("of", exam.items.into()),
            ];
            kit.caption(ui, kit.with(keys::EXAM_FACTS, &facts));
            state_ui(ui, exam, kit);
        });
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let name = kit.msg(keys::EXAM_OPEN);
            let go = button(ui, kit, "open-exam", &name, (Look::Primary, open && !busy));
            if open {
                kit.first_focus(ui, &go);
            }
            go.clicked()
        })
        .inner
    })
    .inner
}

//= tests/data/sop-2-28.md#7-admission
fn state_ui(ui: &mut Ui, exam: &ExamCard, kit: &Kit<'_>) {
    let tokens = &kit.tokens;
    let (which, word) = match &exam.state {
        ExamState::Open => (
            (Icon::Check, tokens.success),
            kit.msg(keys::EXAM_STATE_OPEN),
        ),
        ExamState::NotYet { opens } => {
            let time = clock(*opens, kit.utc_offset_min);
            (
                (Icon::Wait, tokens.secondary),
                kit.with(keys::EXAM_STATE_NOT_YET, &[("text", (&time).into())]),
            )
        }
        ExamState::Over => (
            (Icon::Cross, tokens.secondary),
            kit.msg(keys::EXAM_STATE_OVER),
        ),
        ExamState::NotAdmitted { reason } => (
            (Icon::Warning, tokens.warning),
            kit.with(keys::EXAM_STATE_NOT_ADMITTED, &[("text", reason.into())]),
        ),
        ExamState::Done => (
            (Icon::Check, tokens.secondary),
            kit.msg(keys::EXAM_STATE_DONE),
        ),
    };
    badge(ui, kit, which, &word);
}
