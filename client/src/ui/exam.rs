//! The exam: the list of questions at the left, one question, the largest thing on the screen.

use egui::{
    CentralPanel, Color32, FontId, Frame, Margin, Panel, Rect, ScrollArea, Sense, Stroke,
    StrokeKind, Ui, Vec2, WidgetInfo, accesskit::Role, vec2,
};
use qorgan_client_core::{
    event::{Intent, Overlay},
    view::{ExamView, QuestionView},
};

use super::{
    components::{Icon, Look, button, focus_ring, paint_icon, trouble_banner},
    exam_ask::{STRIP, ask_ui},
    exam_bar::bar_ui,
    exam_item::{aside_ui, item_ui},
    kit::{Kit, note_focus},
    overlay_messages::notice_ui,
    text::keys,
    tokens::{CORNER, size, space},
};

/// Draws the exam.
pub fn exam_ui(ui: &mut Ui, screen: &ExamView, kit: &Kit<'_>) -> Option<Intent> {
    let bar = bar_ui(ui, &screen.bar, kit);
    if let Some(ask) = screen.ask {
        ask_ui(ui, ask, kit);
    }
    let surface = Frame::new()
        .fill(kit.tokens.surface)
        .stroke(Stroke::new(1.0, kit.tokens.border))
        .inner_margin(below_strip(16));
    let list = Panel::left("exam-list")
        .frame(surface)
        .exact_size(LIST)
        .resizable(false)
        .show_separator_line(false)
        .show(ui, |ui| list_ui(ui, screen, kit))
        .inner;
    let ground = Frame::new()
        .fill(kit.tokens.background)
        .inner_margin(below_strip(24));
    let aside = Panel::right("exam-aside")
        .frame(ground)
        .exact_size(ASIDE)
        .resizable(false)
        .show_separator_line(false)
        .show(ui, |ui| aside_ui(ui, screen, kit))
        .inner;
    let main = CentralPanel::default()
        .frame(ground)
        .show(ui, |ui| {
            let steps = Panel::bottom("exam-steps")
                .frame(Frame::new().inner_margin(Margin::symmetric(4, 8)))
                .show_separator_line(false)
                .show(ui, |ui| steps_ui(ui, screen, kit))
                .inner;
            let place = ScrollArea::vertical()
                .auto_shrink(false)
                .id_salt(screen.place);
            let shown = place.show(ui, |ui| {
                ui.set_max_width(ui.available_width() - 12.0);
                ui.add_space(space::XS);
                trouble_banner(ui, kit, screen.trouble.as_ref(), None);
                let answered = screen
                    .message
                    .as_ref()
                    .and_then(|message| notice_ui(ui, message, kit));
                let chosen = item_ui(ui, screen, kit);
                answered.or(chosen)
            });
            steps.or(shown.inner)
        })
        .inner;
    bar.or(list).or(aside).or(main)
}

/// Returns the room around a panel, which leaves the strip for what is asked of the candidate free.
const fn below_strip(beside: i8) -> Margin {
    Margin {
        left: beside,
        right: beside,
        top: STRIP,
        bottom: 16,
    }
}

fn list_ui(ui: &mut Ui, screen: &ExamView, kit: &Kit<'_>) -> Option<Intent> {
    let mut intent = None;
    let room = (ui.available_height() - 110.0).max(80.0);
    ScrollArea::vertical()
        .max_height(room)
        .auto_shrink([false, true])
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing = Vec2::splat(6.0);
            ui.add_space(space::XS);
            for row in screen.questions.chunks(COLUMNS) {
                let chosen = row_ui(ui, row, screen.place, kit);
                intent = chosen.or_else(|| intent.take());
            }
        });
    ui.add_space(space::M);
    let of = [
        ("n", screen.answered.into()),
        ("of", screen.questions.len().into()),
    ];
    kit.text(
        ui,
        kit.with(keys::ANSWERED_OF, &of),
        size::BODY,
        kit.tokens.secondary,
    );
    ui.add_space(space::M);
    let finish = kit.msg(keys::SUBMIT);
    if button(ui, kit, "finish", &finish, (Look::Secondary, true)).clicked() {
        intent = Some(Intent::Open(Overlay::ConfirmSubmit));
    }
    intent
}

fn row_ui(ui: &mut Ui, row: &[QuestionView], place: u16, kit: &Kit<'_>) -> Option<Intent> {
    let mut intent = None;
    ui.horizontal(|ui| {
        ui.add_space(2.0);
        for question in row {
            if cell(ui, *question, question.position == place, kit) {
                intent = Some(Intent::GoTo(question.position));
            }
        }
    });
    intent
}

fn cell(ui: &mut Ui, question: QuestionView, open: bool, kit: &Kit<'_>) -> bool {
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(CELL), Sense::click());
    let tokens = &kit.tokens;
    let (fill, ink) = if open {
        (tokens.primary, tokens.on_primary)
    } else if question.answered {
        (tokens.background, tokens.text)
    } else {
        (tokens.surface, tokens.text)
    };
    let outline = Stroke::new(1.0, if open { tokens.primary } else { tokens.border });
    ui.painter()
        .rect(rect, CORNER, fill, outline, StrokeKind::Inside);
    let at = if question.answered || question.flagged {
        rect.center() - vec2(0.0, 6.0)
    } else {
        rect.center()
    };
    let font = FontId::proportional(size::BODY);
    ui.painter().text(
        at,
        egui::Align2::CENTER_CENTER,
        question.position,
        font,
        ink,
    );
    mark(ui, rect, question, ink);
    let label = kit.with(cell_key(question), &[("n", question.position.into())]);
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, open, &label));
    focus_ring(ui, kit, &response);
    note_focus(ui, &format!("question-{}", question.position), &response);
    response.clicked()
}

fn mark(ui: &Ui, rect: Rect, question: QuestionView, ink: Color32) {
    let mut at = rect.center_bottom() - vec2(0.0, 10.0);
    if question.answered && question.flagged {
        at.x -= 8.0;
    }
    for (there, which) in [
        (question.answered, Icon::Check),
        (question.flagged, Icon::Flag),
    ] {
        if there {
            paint_icon(
                ui.painter(),
                Rect::from_center_size(at, Vec2::splat(11.0)),
                which,
                ink,
            );
            at.x += 16.0;
        }
    }
}

fn cell_key(question: QuestionView) -> super::text::Key {
    match (question.answered, question.flagged) {
        (true, true) => keys::QUESTION_ANSWERED_FLAGGED,
        (true, false) => keys::QUESTION_ANSWERED,
        (false, true) => keys::QUESTION_FLAGGED,
        (false, false) => keys::QUESTION_OPEN,
    }
}

fn steps_ui(ui: &mut Ui, screen: &ExamView, kit: &Kit<'_>) -> Option<Intent> {
    let last = u16::try_from(screen.questions.len()).unwrap_or(u16::MAX);
    ui.horizontal(|ui| {
        let back = kit.msg(keys::PREVIOUS);
        let awake = screen.place > 1;
        let back = button(ui, kit, "previous", &back, (Look::Secondary, awake)).clicked();
        let on = kit.msg(keys::NEXT);
        let awake = screen.place < last;
        let on = button(ui, kit, "next", &on, (Look::Primary, awake)).clicked();
        if back {
            Some(Intent::GoTo(screen.place.saturating_sub(1)))
        } else {
            on.then_some(Intent::GoTo(screen.place.saturating_add(1)))
        }
    })
    .inner
}

const COLUMNS: usize = 4;
const CELL: f32 = 40.0;
const LIST: f32 = 228.0;
/// Room beside the question where a freshness code is drawn, clear of any text.
const ASIDE: f32 = 296.0;
