//! Icons, drawn, so that no font has to have them.

use egui::{Align2, Color32, Painter, Pos2, Rect, Sense, Shape, Stroke, Ui, Vec2, pos2, vec2};

/// What an icon shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icon {
    /// Done, in order.
    Check,
    /// Not possible.
    Cross,
    /// Worth a look.
    Warning,
    /// Wait.
    Wait,
    /// A flag.
    Flag,
    /// A raised hand.
    Hand,
    /// A filled dot: on.
    Dot,
    /// An empty ring: off.
    Ring,
    /// To the left.
    Left,
    /// To the right.
    Right,
    /// A message.
    Message,
    /// Covered.
    Shield,
    /// Help.
    Help,
}

/// Draws an icon as a part of the layout; what it means stands in words beside it.
pub fn icon(ui: &mut Ui, which: Icon, side: f32, color: Color32) {
    let (rect, _) = ui.allocate_exact_size(Vec2::splat(side), Sense::hover());
    paint_icon(ui.painter(), rect, which, color);
}

/// Paints an icon into `rect`.
#[expect(
    clippy::too_many_lines,
    reason = "one arm draws one icon; parting them would hide the set"
)]
pub fn paint_icon(painter: &Painter, rect: Rect, which: Icon, color: Color32) {
    let at = |x: f32, y: f32| rect.min + vec2(x * rect.width(), y * rect.height());
    let stroke = Stroke::new((rect.width() / 8.0).max(1.5), color);
    let line = |points: &[Pos2]| {
        painter.add(Shape::line(points.to_vec(), stroke));
    };
    match which {
        Icon::Check => line(&[at(0.16, 0.54), at(0.4, 0.78), at(0.86, 0.24)]),
        Icon::Cross => {
            line(&[at(0.2, 0.2), at(0.8, 0.8)]);
            line(&[at(0.8, 0.2), at(0.2, 0.8)]);
        }
        Icon::Warning => {
            painter.add(Shape::closed_line(
                vec![at(0.5, 0.1), at(0.95, 0.88), at(0.05, 0.88)],
                stroke,
            ));
            line(&[at(0.5, 0.38), at(0.5, 0.62)]);
            painter.circle_filled(at(0.5, 0.75), stroke.width * 0.6, color);
        }
        Icon::Wait => {
            painter.circle_stroke(rect.center(), rect.width() * 0.42, stroke);
            line(&[at(0.5, 0.26), at(0.5, 0.52), at(0.68, 0.62)]);
        }
        Icon::Flag => {
            line(&[at(0.24, 0.08), at(0.24, 0.94)]);
            let cloth = vec![at(0.24, 0.12), at(0.86, 0.3), at(0.24, 0.52)];
            painter.add(Shape::convex_polygon(cloth, color, Stroke::NONE));
        }
        Icon::Hand => hand(painter, rect, color),
        Icon::Dot => {
            painter.circle_filled(rect.center(), rect.width() * 0.3, color);
        }
        Icon::Ring => {
            painter.circle_stroke(rect.center(), rect.width() * 0.36, stroke);
        }
        Icon::Left => {
            line(&[at(0.9, 0.5), at(0.14, 0.5)]);
            line(&[at(0.44, 0.2), at(0.14, 0.5), at(0.44, 0.8)]);
        }
        Icon::Right => {
            line(&[at(0.1, 0.5), at(0.86, 0.5)]);
            line(&[at(0.56, 0.2), at(0.86, 0.5), at(0.56, 0.8)]);
        }
        Icon::Message => {
            let outline = [
                (0.08, 0.16),
                (0.92, 0.16),
                (0.92, 0.7),
                (0.48, 0.7),
                (0.26, 0.92),
                (0.26, 0.7),
                (0.08, 0.7),
            ];
            painter.add(Shape::closed_line(
                outline.map(|(x, y)| at(x, y)).to_vec(),
                stroke,
            ));
        }
        Icon::Shield => {
            let outline = [
                (0.5, 0.06),
                (0.88, 0.2),
                (0.84, 0.6),
                (0.5, 0.95),
                (0.16, 0.6),
                (0.12, 0.2),
            ];
            painter.add(Shape::closed_line(
                outline.map(|(x, y)| at(x, y)).to_vec(),
                stroke,
            ));
        }
        Icon::Help => {
            let font = egui::FontId::proportional(rect.height() * 0.9);
            painter.text(rect.center(), Align2::CENTER_CENTER, "?", font, color);
        }
    }
}

fn hand(painter: &Painter, rect: Rect, color: Color32) {
    let at = |x: f32, y: f32| {
        pos2(
            rect.left() + x * rect.width(),
            rect.top() + y * rect.height(),
        )
    };
    let finger = Stroke::new(rect.width() * 0.13, color);
    for (x, top) in [(0.3, 0.26), (0.45, 0.12), (0.6, 0.16), (0.75, 0.3)] {
        painter.line_segment([at(x, top), at(x, 0.62)], finger);
    }
    painter.line_segment([at(0.12, 0.5), at(0.32, 0.72)], finger);
    let palm = Rect::from_min_max(at(0.235, 0.5), at(0.815, 0.92));
    painter.rect_filled(palm, rect.width() * 0.2, color);
}
