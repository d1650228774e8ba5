//! What every screen draws with: colours, texts, fonts, pictures.

use egui::{Color32, FontId, Response, TextureId, Ui, Vec2};
use qorgan_client_core::event::Reading;
use qorgan_protocol::{evidence::StreamId, ids::PictureId};

use super::{
    fonts::strong_family,
    text::{Key, Place, Texts},
    tokens::{Tokens, size},
};

/// A picture that the shell holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PictureKey {
    /// The photo on file.
    Photo,
    /// A picture of an item.
    Item(PictureId),
    /// A small picture of a stream.
    Preview(StreamId),
    /// The picture of the document that is about to be shown.
    Document,
}

/// A picture ready to draw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Picture {
    /// Its texture.
    pub texture: TextureId,
    /// Its size in pixels.
    pub size: Vec2,
}

/// Gives the pictures that are there.
pub trait Pictures {
    /// Returns the picture of `key`, or nothing while it is not there.
    fn picture(&self, key: PictureKey) -> Option<Picture>;
}

/// Gives no picture.
#[derive(Debug, Clone, Copy)]
pub struct NoPictures;

impl Pictures for NoPictures {
    fn picture(&self, _key: PictureKey) -> Option<Picture> {
        None
    }
}

/// What a screen draws with.
#[derive(Clone, Copy)]
pub struct Kit<'a> {
    /// Colours.
    pub tokens: Tokens,
    /// Texts.
    pub texts: &'a Texts,
    /// How the candidate wants to read.
    pub reading: Reading,
    /// Pictures.
    pub pictures: &'a dyn Pictures,
    /// Minutes that the institution's clock is ahead of UTC.
    pub utc_offset_min: i32,
}

impl std::fmt::Debug for Kit<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kit")
            .field("reading", &self.reading)
            .finish_non_exhaustive()
    }
}

impl Kit<'_> {
    /// Returns a text.
    #[must_use]
    pub fn msg(&self, key: Key) -> String {
        self.texts.msg(key)
    }

    /// Returns a text with its places filled.
    #[must_use]
    pub fn with(&self, key: Key, places: &[(&str, Place<'_>)]) -> String {
        self.texts.with(key, places)
    }

    /// Returns the size of items' text.
    #[must_use]
    pub fn item_size(&self) -> f32 {
        size::ITEM
            .get(usize::from(self.reading.text_step))
            .copied()
            .unwrap_or(size::LEAD)
    }

    /// Draws text.
    pub fn text(
        &self,
        ui: &mut Ui,
        text: impl Into<String>,
        size: f32,
        color: Color32,
    ) -> Response {
        let text = egui::RichText::new(text)
            .font(FontId::proportional(size))
            .color(color);
        ui.add(egui::Label::new(text).selectable(false).wrap())
    }

    /// Draws strong text.
    pub fn strong(
        &self,
        ui: &mut Ui,
        text: impl Into<String>,
        size: f32,
        color: Color32,
    ) -> Response {
        let text = egui::RichText::new(text)
            .font(FontId::new(size, strong_family()))
            .color(color);
        ui.add(egui::Label::new(text).selectable(false).wrap())
    }

    /// Draws a paragraph.
    pub fn body(&self, ui: &mut Ui, text: impl Into<String>) -> Response {
        self.text(ui, text, size::BODY, self.tokens.text)
    }

    /// Draws a caption.
    pub fn caption(&self, ui: &mut Ui, text: impl Into<String>) -> Response {
        self.text(ui, text, size::SMALL, self.tokens.secondary)
    }

    /// Gives `response` the focus where nothing has it, so that Enter does what comes next.
    pub fn first_focus(&self, ui: &Ui, response: &Response) {
        if ui.memory(|memory| memory.focused().is_none()) && response.enabled() {
            response.request_focus();
        }
    }
}

/// Remembers the name of what has the focus, for tests that wait for it.
pub fn note_focus(ui: &Ui, name: &str, response: &Response) {
    if response.has_focus() {
        ui.ctx()
            .data_mut(|data| data.insert_temp(focus_id(), name.to_owned()));
    }
}

/// Returns the name of what had the focus last.
#[must_use]
pub fn focused_name(ctx: &egui::Context) -> Option<String> {
    ctx.memory(|memory| memory.focused())?;
    ctx.data(|data| data.get_temp(focus_id()))
}

fn focus_id() -> egui::Id {
    egui::Id::unique("qorgan-focused")
}
