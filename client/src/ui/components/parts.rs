//! Small parts: rings, banners, badges, clocks, levels, pictures.

use core::time::Duration;

use egui::{
    Align2, Color32, FontId, Frame, Margin, Pos2, Rect, Response, Sense, Stroke, StrokeKind, Ui,
    Vec2, WidgetInfo,
    accesskit::{Live, Role},
    vec2,
};
use qorgan_client_core::view::Trouble;
use qorgan_protocol::{time::WallTime, wire::ProblemCode};

use super::{Icon, icon, paint_icon};
use crate::ui::{
    fonts::strong_family,
    kit::{Kit, PictureKey},
    text::{Key, keys},
    tokens::{CORNER, size, space},
};

/// Draws the ring around what has the focus: 2 px with a gap of 2 px.
pub fn focus_ring(ui: &Ui, kit: &Kit<'_>, response: &Response) {
    if response.has_focus() {
        let stroke = Stroke::new(2.0, kit.tokens.focus);
        ui.painter().rect_stroke(
            response.rect.expand(2.0),
            CORNER + 2,
            stroke,
            StrokeKind::Outside,
        );
    }
}

/// Draws a banner: an icon, a strong line, a line below.
pub fn banner(ui: &mut Ui, kit: &Kit<'_>, which: (Icon, Color32), head: &str, below: &str) {
    Frame::new()
        .fill(kit.tokens.surface)
        .stroke(Stroke::new(1.0, which.1))
        .corner_radius(CORNER)
        .inner_margin(Margin::same(12))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.horizontal_top(|ui| {
                icon(ui, which.0, 20.0, which.1);
                ui.vertical(|ui| {
                    kit.strong(ui, head, size::BODY, kit.tokens.text);
                    if !below.is_empty() {
                        kit.text(ui, below, size::BODY, kit.tokens.secondary);
                    }
                });
            });
        });
}

/// Draws what went wrong: cause, remedy, whom to call, code.
pub fn trouble_banner(
    ui: &mut Ui,
    kit: &Kit<'_>,
    trouble: Option<&Trouble>,
    support: Option<&str>,
) {
    let Some(trouble) = trouble else {
        return;
    };
    let (cause, remedy, code) = trouble_keys(trouble);
    let mut below = kit.msg(remedy);
    if let Trouble::Problem {
        retry_after_s: Some(seconds),
        ..
    } = trouble
    {
        below.push(' ');
        below.push_str(&kit.with(keys::RETRY_AFTER, &[("n", u64::from(*seconds).into())]));
    }
    if let Some(support) = support.filter(|support| !support.is_empty()) {
        below.push(' ');
        below.push_str(&kit.with(keys::CALL, &[("text", support.into())]));
    }
    below.push(' ');
    below.push_str(&kit.with(keys::CODE, &[("text", code.into())]));
    banner(
        ui,
        kit,
        (Icon::Warning, kit.tokens.warning),
        &kit.msg(cause),
        &below,
    );
    ui.add_space(space::M);
}

fn trouble_keys(trouble: &Trouble) -> (Key, Key, &'static str) {
    match trouble {
        Trouble::Problem { code, .. } => {
            let (cause, remedy) = problem_keys(*code);
            (cause, remedy, code.word())
        }
        Trouble::Unreachable => (
            keys::TROUBLE_UNREACHABLE,
            keys::REMEDY_NETWORK,
            "unreachable",
        ),
        Trouble::Untrusted => (keys::TROUBLE_UNTRUSTED, keys::REMEDY_UNTRUSTED, "untrusted"),
        Trouble::BadLink => (keys::TROUBLE_LINK, keys::REMEDY_LINK, "bad_link"),
        Trouble::BadAnswer => (keys::TROUBLE_ANSWER, keys::REMEDY_CALL, "bad_answer"),
        Trouble::DiskRefuses => (keys::TROUBLE_DISK, keys::REMEDY_DISK, "disk"),
        Trouble::OtherPerson => (
            keys::TROUBLE_OTHER_PERSON,
            keys::REMEDY_OTHER_PERSON,
            "other_person",
        ),
        Trouble::JournalForked => (keys::TROUBLE_JOURNAL, keys::REMEDY_CALL, "journal_forked"),
    }
}

/// Returns the cause and the remedy of a refusal.
pub(in crate::ui) fn problem_keys(code: ProblemCode) -> (Key, Key) {
    match code {
        ProblemCode::WrongPassword => (keys::PROBLEM_WRONG_PASSWORD, keys::REMEDY_WRONG_PASSWORD),
        ProblemCode::CodeOver => (keys::PROBLEM_CODE_OVER, keys::REMEDY_TEST_CENTRE),
        ProblemCode::NotSignedIn => (keys::PROBLEM_NOT_SIGNED_IN, keys::REMEDY_SIGN_IN),
        ProblemCode::TooMany => (keys::PROBLEM_TOO_MANY, keys::REMEDY_WAIT),
        ProblemCode::NotAdmitted => (keys::PROBLEM_NOT_ADMITTED, keys::REMEDY_TEST_CENTRE),
        ProblemCode::TooEarly => (keys::PROBLEM_TOO_EARLY, keys::REMEDY_WAIT),
        ProblemCode::TooLate => (keys::PROBLEM_TOO_LATE, keys::REMEDY_TEST_CENTRE),
        ProblemCode::BoundElsewhere => (keys::PROBLEM_BOUND_ELSEWHERE, keys::REMEDY_MOVE),
        ProblemCode::OldEpoch => (keys::PROBLEM_OLD_EPOCH, keys::REMEDY_TEST_CENTRE),
        ProblemCode::GateClosed => (keys::PROBLEM_GATE_CLOSED, keys::REMEDY_GATE),
        ProblemCode::Covered => (keys::PROBLEM_COVERED, keys::REMEDY_GATE),
        ProblemCode::CheckFailed => (keys::PROBLEM_CHECK_FAILED, keys::REMEDY_CHECK),
        ProblemCode::Version => (keys::PROBLEM_VERSION, keys::REMEDY_VERSION),
        ProblemCode::Unavailable => (keys::PROBLEM_UNAVAILABLE, keys::REMEDY_WAIT),
        ProblemCode::Forbidden
        | ProblemCode::NotFound
        | ProblemCode::BadRequest
        | ProblemCode::WrongPhase
        | ProblemCode::NotProved
        | ProblemCode::StaleProof
        | ProblemCode::OutOfOrder
        | ProblemCode::TooLarge => (keys::PROBLEM_REFUSED, keys::REMEDY_CALL),
    }
}

/// Draws a word with a shape before it.
pub fn badge(ui: &mut Ui, kit: &Kit<'_>, which: (Icon, Color32), word: &str) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = space::XS;
        icon(ui, which.0, 14.0, which.1);
        kit.text(ui, word, size::SMALL, kit.tokens.text);
    });
}

/// Draws digits in equal widths, so that nothing jumps when they change.
pub fn tabular(ui: &mut Ui, text: &str, size: f32, color: Color32) -> Response {
    let font = FontId::new(size, strong_family());
    let cell = ui.fonts_mut(|fonts| fonts.glyph_width(&font, '0'));
    let thin = ui.fonts_mut(|fonts| fonts.glyph_width(&font, ':'));
    let width = |letter: char| if letter.is_ascii_digit() { cell } else { thin };
    let wanted = vec2(text.chars().map(width).sum(), size * 1.3);
    let (rect, response) = ui.allocate_exact_size(wanted, Sense::hover());
    let mut x = rect.left();
    for letter in text.chars() {
        let center = Pos2::new(x + width(letter) / 2.0, rect.center().y);
        ui.painter()
            .text(center, Align2::CENTER_CENTER, letter, font.clone(), color);
        x += width(letter);
    }
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, text));
    response
}

/// Returns a duration as hours, minutes and seconds.
#[must_use]
pub fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// Returns a moment as the institution's clock shows it.
#[must_use]
pub fn clock(at: WallTime, offset_min: i32) -> String {
    let seconds = at
        .unix_ms()
        .div_euclid(1000)
        .saturating_add(i64::from(offset_min) * 60);
    let day = seconds.rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", day / 3600, day / 60 % 60, day % 60)
}

/// Returns a moment as date and time of day at the institution.
#[must_use]
pub fn date_and_clock(at: WallTime, offset_min: i32) -> String {
    let ms = i64::from(offset_min).saturating_mul(60_000);
    let days = at.unix_ms().saturating_add(ms).div_euclid(86_400_000);
    let (year, month, day) = civil(days);
    format!("{day:02}.{month:02}.{year} {}", clock(at, offset_min))
}

/// Returns year, month and day of the days since 1970, by the Gregorian calendar.
const fn civil(days: i64) -> (i64, i64, i64) {
    // Years begin in March here, so that the leap day is a year's last one.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

/// Draws a sound level.
pub fn level_bar(ui: &mut Ui, kit: &Kit<'_>, label: &str, level: u8) {
    let (rect, response) = ui.allocate_exact_size(vec2(96.0, 12.0), Sense::hover());
    ui.painter().rect_filled(rect, 3, kit.tokens.border);
    let width = rect.width() * f32::from(level.min(100)) / 100.0;
    let filled = Rect::from_min_size(rect.min, vec2(width, rect.height()));
    ui.painter().rect_filled(filled, 3, kit.tokens.success);
    response.widget_info(|| WidgetInfo::labeled(Role::Meter, true, label));
}

/// Draws how many of the parts of a whole are there.
pub fn progress_bar(ui: &mut Ui, kit: &Kit<'_>, label: &str, (there, of): (u8, u8)) {
    let wanted = vec2(ui.available_width(), 12.0);
    let (rect, response) = ui.allocate_exact_size(wanted, Sense::hover());
    ui.painter().rect_filled(rect, 3, kit.tokens.border);
    let width = rect.width() * f32::from(there.min(of)) / f32::from(of.max(1));
    let filled = Rect::from_min_size(rect.min, vec2(width, rect.height()));
    ui.painter().rect_filled(filled, 3, kit.tokens.primary);
    response.widget_info(|| WidgetInfo::labeled(Role::ProgressIndicator, true, label));
}

/// Draws a picture fitted into `room`, or an empty frame while it is not there.
pub fn picture(
    ui: &mut Ui,
    kit: &Kit<'_>,
    key: Option<PictureKey>,
    room: Vec2,
    sense: Sense,
) -> Response {
    picture_of_side(ui, kit, key, room, (sense, Side::Taken))
}

/// Draws a picture this way round, as [`picture`] does.
pub fn picture_of_side(
    ui: &mut Ui,
    kit: &Kit<'_>,
    key: Option<PictureKey>,
    room: Vec2,
    (sense, side): (Sense, Side),
) -> Response {
    let found = key.and_then(|key| kit.pictures.picture(key));
    let Some(found) = found else {
        let (rect, response) = ui.allocate_exact_size(room, sense);
        ui.painter().rect(
            rect,
            CORNER,
            kit.tokens.background,
            Stroke::new(1.0, kit.tokens.border),
            StrokeKind::Inside,
        );
        let middle = Rect::from_center_size(rect.center(), Vec2::splat(20.0));
        paint_icon(ui.painter(), middle, Icon::Wait, kit.tokens.secondary);
        return response;
    };
    let scale = (room.x / found.size.x)
        .min(room.y / found.size.y)
        .min(MAGNIFY_MAX);
    let (rect, response) = ui.allocate_exact_size(found.size * scale, sense);
    ui.painter()
        .image(found.texture, rect, side.part(), Color32::WHITE);
    response
}

/// Says that what stands in `response` is to be read out when it changes.
pub fn read_out(ui: &Ui, response: &Response) {
    let polite = |node: &mut egui::accesskit::Node| node.set_live(Live::Polite);
    ui.ctx().accesskit_node_builder(response.id, polite);
}

/// Which way round a picture is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// As it was taken.
    Taken,
    /// As a mirror shows it, so that one's own left is at the left.
    Mirrored,
}

impl Side {
    /// Returns the part of a texture that fills the place.
    fn part(self) -> Rect {
        let (left, right) = match self {
            Self::Taken => (0.0, 1.0),
            Self::Mirrored => (1.0, 0.0),
        };
        Rect::from_min_max(Pos2::new(left, 0.0), Pos2::new(right, 1.0))
    }
}

/// Pictures are not blown up beyond this.
const MAGNIFY_MAX: f32 = 2.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_by_the_institutions_calendar() {
        let told = |ms| date_and_clock(WallTime::from_unix_ms(ms), 300);
        assert_eq!(told(0), "01.01.1970 05:00:00");
        assert_eq!(told(1_709_145_000_000), "28.02.2024 23:30:00");
        assert_eq!(told(1_709_231_400_000), "29.02.2024 23:30:00");
        assert_eq!(told(1_795_460_400_000), "24.11.2026 00:00:00");
    }

    #[test]
    fn time_is_shown_in_hours_minutes_and_seconds() {
        assert_eq!(duration_text(Duration::from_secs(4365)), "01:12:45");
    }

    #[test]
    fn the_institutions_clock_is_ahead_of_utc() {
        assert_eq!(
            clock(WallTime::from_unix_ms(1_789_800_127_000), 300),
            "11:42:07"
        );
    }
}
