//! The message to the proctor: as it is typed, and under way.

use qorgan_protocol::limits::MESSAGE_CHARS_MAX;

use crate::Private;

/// A message as typed, beside the one that is under way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Draft {
    text: String,
    sending: String,
}

impl Draft {
    /// Returns what stands in the field.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn typed(&mut self, text: &str) {
        self.text = text.chars().take(MESSAGE_CHARS_MAX).collect();
    }

    /// Returns what is to be sent; nothing where nothing is written.
    pub(super) fn send(&mut self) -> Option<Private<String>> {
        let text = std::mem::take(&mut self.text).trim().to_owned();
        self.sending.clone_from(&text);
        (!text.is_empty()).then_some(Private(text))
    }

    pub(super) fn sent(&mut self) {
        self.sending.clear();
    }

    /// Puts a message that was not sent back into its field, before what was typed since.
    pub(super) fn failed(&mut self) {
        let mut text = std::mem::take(&mut self.sending);
        if !self.text.is_empty() {
            text.push(' ');
            text.push_str(&self.text);
        }
        self.typed(&text);
    }
}
