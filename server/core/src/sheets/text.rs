//! A sheet's bytes as text: the encoding by its mark or by its letters.

use encoding_rs::{IBM866, KOI8_R, UTF_16BE, UTF_16LE, WINDOWS_1251, X_MAC_CYRILLIC};

use crate::fault::FaultKind;

/// How a text is written as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
    Windows1251,
    Ibm866,
    Koi8R,
    MacCyrillic,
}

impl Encoding {
    /// Returns its name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16Le => "UTF-16 LE",
            Self::Utf16Be => "UTF-16 BE",
            Self::Windows1251 => "Windows-1251",
            Self::Ibm866 => "CP866",
            Self::Koi8R => "KOI8-R",
            Self::MacCyrillic => "Mac Cyrillic",
        }
    }
}

/// Reads bytes as text with `\n` alone at the ends of its lines.
///
/// # Errors
/// What the file is where it is no text, with the line where one is known.
pub(super) fn decode(bytes: &[u8]) -> Result<(String, Encoding), (FaultKind, Option<u32>)> {
    if let Some(found) = other_file(bytes) {
        let found = found.to_owned();
        return Err((FaultKind::OtherFile { found }, None));
    }
    let (text, encoding) = decoded(bytes)?;
    let start = text.trim_start().get(..9).map(str::to_lowercase);
    if start.is_some_and(|start| PAGES.iter().any(|page| start.starts_with(page))) {
        let found = "HTML".to_owned();
        return Err((FaultKind::OtherFile { found }, None));
    }
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    Ok((text, encoding))
}

fn decoded(bytes: &[u8]) -> Result<(String, Encoding), (FaultKind, Option<u32>)> {
    if let Some(rest) = bytes.strip_prefix(b"\xEF\xBB\xBF") {
        return utf8(rest);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xFF\xFE") {
        return Ok((utf16(rest, true), Encoding::Utf16Le));
    }
    if let Some(rest) = bytes.strip_prefix(b"\xFE\xFF") {
        return Ok((utf16(rest, false), Encoding::Utf16Be));
    }
    if let Some(little) = unmarked_utf16(bytes) {
        let encoding = if little {
            Encoding::Utf16Le
        } else {
            Encoding::Utf16Be
        };
        return Ok((utf16(bytes, little), encoding));
    }
    utf8(bytes)
}

fn utf8(bytes: &[u8]) -> Result<(String, Encoding), (FaultKind, Option<u32>)> {
    let Err(error) = core::str::from_utf8(bytes) else {
        return Ok((String::from_utf8_lossy(bytes).into_owned(), Encoding::Utf8));
    };
    let (mut whole, mut broken) = (0_usize, 0_usize);
    for chunk in bytes.utf8_chunks() {
        whole += chunk.valid().chars().filter(|one| !one.is_ascii()).count();
        broken += usize::from(!chunk.invalid().is_empty());
    }
    let guess = one_byte(bytes);
    match guess {
        Some(guess) if whole <= broken => Ok(guess),
        Some(_) | None => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            Err((FaultKind::NotUtf8, u32::try_from(line).ok()))
        }
    }
}

fn utf16(bytes: &[u8], little: bool) -> String {
    let encoding = if little { UTF_16LE } else { UTF_16BE };
    let (text, _lost) = encoding.decode_without_bom_handling(bytes);
    text.into_owned()
}

/// Tells whether bytes without a mark are UTF-16, little-endian or not: the upper halves of Latin
/// and Cyrillic letters are 0 and 4.
fn unmarked_utf16(bytes: &[u8]) -> Option<bool> {
    let sample = bytes.get(..bytes.len().min(SAMPLE_BYTES)).unwrap_or(bytes);
    let pairs = sample.len() / 2;
    if pairs < 2 || !sample.contains(&0) {
        return None;
    }
    let upper = |at: usize| {
        let halves = sample.chunks_exact(2).filter_map(|pair| pair.get(at));
        halves.filter(|half| matches!(half, 0 | 4)).count()
    };
    let (big, little) = (upper(0), upper(1));
    (big.max(little) * 10 >= pairs * 9).then_some(little > big)
}

/// Reads bytes of one byte a letter in the encoding that makes the best Cyrillic of them.
fn one_byte(bytes: &[u8]) -> Option<(String, Encoding)> {
    let sample = bytes.get(..bytes.len().min(SAMPLE_BYTES)).unwrap_or(bytes);
    let mut best: Option<(i64, Encoding, &'static encoding_rs::Encoding)> = None;
    for (encoding, table) in ONE_BYTE {
        let (text, _lost) = table.decode_without_bom_handling(sample);
        let score = plausible(&text);
        if best.is_none_or(|(known, ..)| score > known) {
            best = Some((score, encoding, table));
        }
    }
    let (score, encoding, table) = best?;
    let (text, _lost) = table.decode_without_bom_handling(bytes);
    (score > 0).then(|| (text.into_owned(), encoding))
}

/// Says how much a text looks like Kazakh or Russian: letters count for it, foreign signs and
/// capitals inside words against it.
fn plausible(text: &str) -> i64 {
    let mut score = 0;
    let mut before = ' ';
    for character in text.chars() {
        if !character.is_ascii() {
            score += match character {
                'А'..='я' | 'Ё' | 'ё' | 'І' | 'і' => {
                    if character.is_uppercase() && before.is_lowercase() {
                        -2
                    } else if character.is_lowercase() && before.is_alphabetic() {
                        2
                    } else {
                        1
                    }
                }
                '№' | '«' | '»' | '–' | '—' | '“' | '”' | '’' | '…' | '\u{a0}' => 0,
                _ => -3,
            };
        }
        before = character;
    }
    score
}

/// Names a file that is no text by its first bytes.
fn other_file(bytes: &[u8]) -> Option<&'static str> {
    let known = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic));
    known.map(|(_, name)| *name)
}

const MAGIC: [(&[u8], &str); 6] = [
    (b"PK\x03\x04", "XLSX / ZIP"),
    (b"\xD0\xCF\x11\xE0", "XLS"),
    (b"%PDF", "PDF"),
    (b"{\\rtf", "RTF"),
    (b"\x89PNG", "PNG"),
    (b"\xFF\xD8\xFF", "JPEG"),
];
const PAGES: [&str; 4] = ["<html", "<!doctype", "<table", "<?xml"];
const ONE_BYTE: [(Encoding, &encoding_rs::Encoding); 4] = [
    (Encoding::Windows1251, WINDOWS_1251),
    (Encoding::Ibm866, IBM866),
    (Encoding::Koi8R, KOI8_R),
    (Encoding::MacCyrillic, X_MAC_CYRILLIC),
];
/// How much of a file is looked at to guess its encoding.
const SAMPLE_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "логин;Фамилия;Имя\r\nb1;Иванова;Анна\rb2;Ёлкин;Пётр\n";
    const READ: &str = "логин;Фамилия;Имя\nb1;Иванова;Анна\nb2;Ёлкин;Пётр\n";

    #[test]
    fn the_encodings_that_spreadsheets_save_are_read_and_named() {
        for (wanted, table) in ONE_BYTE {
            let (bytes, _, lost) = table.encode(TEXT);
            assert!(!lost);
            let (text, found) = decode(&bytes).expect("text");
            assert_eq!((text.as_str(), found), (READ, wanted));
        }
        let units = || TEXT.encode_utf16();
        let little: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
        for (mark, body, wanted) in [
            (&b""[..], TEXT.as_bytes(), Encoding::Utf8),
            (b"\xEF\xBB\xBF", TEXT.as_bytes(), Encoding::Utf8),
            (b"", &little, Encoding::Utf16Le),
            (b"\xFF\xFE", &little, Encoding::Utf16Le),
            (b"", &big, Encoding::Utf16Be),
            (b"\xFE\xFF", &big, Encoding::Utf16Be),
        ] {
            let (text, found) = decode(&[mark, body].concat()).expect("text");
            assert_eq!((text.as_str(), found), (READ, wanted));
        }
    }

    #[test]
    fn damaged_utf8_is_told_by_its_line_and_not_taken_for_another_encoding() {
        let mut bytes = "логин;тегі\nа;Әлі\nб;".as_bytes().to_vec();
        bytes.extend([0xD0, b'\n']);
        assert_eq!(decode(&bytes), Err((FaultKind::NotUtf8, Some(3))));
    }

    #[test]
    fn a_file_that_is_no_list_is_told_as_what_it_is() {
        for (bytes, wanted) in [
            (&b"PK\x03\x04...."[..], "XLSX / ZIP"),
            (b"\xD0\xCF\x11\xE0\xA1\xB1", "XLS"),
            (b"%PDF-1.7", "PDF"),
            (b"\n<HTML><table>", "HTML"),
            (b"<!DOCTYPE html>", "HTML"),
        ] {
            let found = wanted.to_owned();
            assert_eq!(decode(bytes), Err((FaultKind::OtherFile { found }, None)));
        }
    }
}
