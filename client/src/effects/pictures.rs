//! Pictures, in memory only: the photo on file, those of items, small live ones.

use std::collections::{BTreeMap, BTreeSet};

use crate::ui::kit::PictureKey;

/// A decoded picture that waits to become a texture.
type Decoded = egui::ColorImage;

/// The pictures that came, for the window's thread to take.
#[derive(Debug, Default)]
pub struct PictureStore {
    arrived: BTreeMap<PictureKey, Decoded>,
    dropped: BTreeSet<PictureKey>,
    items: BTreeSet<PictureKey>,
    /// The bytes of the document's picture, until the server has them.
    document: Option<Vec<u8>>,
}

impl PictureStore {
    /// Decodes and keeps a picture; tells whether it could be read.
    pub fn put(&mut self, key: PictureKey, bytes: &[u8]) -> bool {
        let Some(decoded) = decode(bytes) else {
            return false;
        };
        if matches!(key, PictureKey::Item(_)) {
            self.items.insert(key);
        }
        self.dropped.remove(&key);
        self.arrived.insert(key, decoded);
        true
    }

    /// Decodes and keeps the picture of a document with its bytes; tells whether it could be read.
    pub fn put_document(&mut self, jpeg: Vec<u8>) -> bool {
        let readable = self.put(PictureKey::Document, &jpeg);
        if readable {
            self.document = Some(jpeg);
        }
        readable
    }

    /// Returns the bytes of the document's picture.
    #[must_use]
    pub fn document(&self) -> Option<Vec<u8>> {
        self.document.clone()
    }

    /// Forgets the document: the server has it.
    pub fn drop_document(&mut self) {
        self.document = None;
        self.arrived.remove(&PictureKey::Document);
        self.dropped.insert(PictureKey::Document);
    }

    /// Forgets every picture of the exam.
    pub fn drop_content(&mut self) {
        self.arrived
            .retain(|key, _| !matches!(key, PictureKey::Item(_)));
        self.dropped.append(&mut self.items);
    }

    /// Tells whether there is something to take.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.arrived.is_empty() || !self.dropped.is_empty()
    }

    /// Takes what came and what must go since the last time.
    pub fn take(&mut self) -> (BTreeMap<PictureKey, egui::ColorImage>, BTreeSet<PictureKey>) {
        (
            std::mem::take(&mut self.arrived),
            std::mem::take(&mut self.dropped),
        )
    }
}

/// Decodes a PNG or JPEG of at most [`SIDE_PX_MAX`] a side.
fn decode(bytes: &[u8]) -> Option<Decoded> {
    let mut reader = image::ImageReader::new(std::io::Cursor::new(bytes))
        .with_guessed_format()
        .ok()?;
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(SIDE_PX_MAX);
    limits.max_image_height = Some(SIDE_PX_MAX);
    reader.limits(limits);
    let rgba = reader.decode().ok()?.into_rgba8();
    let size = [
        usize::try_from(rgba.width()).ok()?,
        usize::try_from(rgba.height()).ok()?,
    ];
    Some(egui::ColorImage::from_rgba_unmultiplied(
        size,
        rgba.as_raw(),
    ))
}

/// A larger picture is refused; a server that sends one is not to be drawn.
const SIDE_PX_MAX: u32 = 8192;

#[cfg(test)]
mod tests {
    use qorgan_protocol::{ids::PictureId, time::WallTime};

    use super::*;

    #[test]
    fn the_exams_pictures_go_when_it_is_covered_and_the_photo_stays() {
        let mut store = PictureStore::default();
        let item = PictureKey::Item(PictureId::new(WallTime::from_unix_ms(1), [1; 10]));
        assert!(store.put(item, &png()));
        assert!(store.put(PictureKey::Photo, &png()));
        store.drop_content();
        let (arrived, dropped) = store.take();
        assert_eq!(arrived.into_keys().collect::<Vec<_>>(), [PictureKey::Photo]);
        assert!(dropped.contains(&item));
    }

    #[test]
    fn a_document_is_forgotten_once_the_server_has_it() {
        let mut store = PictureStore::default();
        assert!(!store.put_document(b"no picture".to_vec()));
        assert!(store.document().is_none());
        assert!(store.put_document(png()));
        assert_eq!(store.document(), Some(png()));
        store.drop_document();
        let (arrived, dropped) = store.take();
        assert!(store.document().is_none() && arrived.is_empty());
        assert!(dropped.contains(&PictureKey::Document));
    }

    #[test]
    fn bytes_that_are_no_picture_are_refused() {
        assert!(!PictureStore::default().put(PictureKey::Photo, b"no picture"));
    }

    fn png() -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image::RgbaImage::new(2, 2)
            .write_to(&mut bytes, image::ImageFormat::Png)
            .expect("writes");
        bytes.into_inner()
    }
}
