//! The parts that screens are made of. Each has a name for screen readers and shows its focus.

mod button;
mod field;
mod icon;
mod page;
mod parts;
mod reader;

pub use button::{Look, button, icon_button, pill};
pub use field::field;
pub use icon::{Icon, icon, paint_icon};
pub use page::{Step, card, page};
pub(in crate::ui) use parts::problem_keys;
pub use parts::{
    Side, badge, banner, clock, date_and_clock, duration_text, focus_ring, level_bar, picture,
    picture_of_side, progress_bar, read_out, tabular, trouble_banner,
};
pub use reader::reader;
