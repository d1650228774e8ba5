//! Draws a freshness code at the bottom right (decision 2): black on white, whole physical pixels,
//! a quiet zone of four modules, in no tree that a screen reader sees.

use egui::{Color32, Context, Id, LayerId, Order, Rect, pos2, vec2};
use qrcode::{Color, EcLevel, QrCode};

/// Draws `code`.
pub fn draw(ctx: &Context, code: &str) {
    let Ok(qr) = QrCode::with_error_correction_level(code.as_bytes(), EcLevel::M) else {
        return;
    };
    let per_point = ctx.pixels_per_point();
    let screen = ctx.content_rect();
    let modules = u16::try_from(qr.width()).unwrap_or(u16::MAX);
    let side = f32::from(modules.saturating_add(2 * QUIET_MODULES)) * MODULE_PX;
    let right = (screen.right() * per_point).floor();
    let bottom = (screen.bottom() * per_point).floor();
    let at = |x: f32, y: f32| {
        pos2(
            (right - side + x) / per_point,
            (bottom - side + y) / per_point,
        )
    };
    let painter = ctx.layer_painter(LayerId::new(Order::Tooltip, Id::unique("freshness")));
    painter.rect_filled(
        Rect::from_min_max(at(0.0, 0.0), at(side, side)),
        0,
        Color32::WHITE,
    );
    let quiet = f32::from(QUIET_MODULES) * MODULE_PX;
    let size = vec2(MODULE_PX, MODULE_PX) / per_point;
    let (mut x, mut y) = (0u16, 0u16);
    for color in qr.to_colors() {
        if color == Color::Dark {
            let corner = at(
                quiet + f32::from(x) * MODULE_PX,
                quiet + f32::from(y) * MODULE_PX,
            );
            painter.rect_filled(Rect::from_min_size(corner, size), 0, Color32::BLACK);
        }
        x = x.saturating_add(1);
        if x == modules {
            (x, y) = (0, y.saturating_add(1));
        }
    }
}

/// The side of a module in physical pixels.
const MODULE_PX: f32 = 8.0;
const QUIET_MODULES: u16 = 4;
