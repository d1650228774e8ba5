//! Writes PDF objects as ISO 32000-1 spells them.

use lopdf::{Dictionary, Object, StringFormat};

use super::SealError;

/// Appends `object` to `out`.
///
/// # Errors
/// Returns [`SealError::Shape`] for a stream, which an update of this crate never rewrites.
pub(super) fn write_object(out: &mut Vec<u8>, object: &Object) -> Result<(), SealError> {
    match object {
        Object::Null => out.extend_from_slice(b"null"),
        Object::Boolean(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Object::Integer(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Object::Real(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Object::Name(name) => write_name(out, name),
        Object::String(bytes, StringFormat::Literal | StringFormat::Hexadecimal) => {
            write_string(out, bytes);
        }
        Object::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b' ');
                }
                write_object(out, item)?;
            }
            out.push(b']');
        }
        Object::Dictionary(dictionary) => write_dictionary(out, dictionary)?,
        Object::Reference((number, generation)) => {
            out.extend_from_slice(format!("{number} {generation} R").as_bytes());
        }
        Object::Stream(_) => {
            return Err(SealError::Shape {
                reason: "a stream stands where a dictionary should",
            });
        }
    }
    Ok(())
}

/// Appends `dictionary` to `out`, its keys in the order in which they stand.
///
/// # Errors
/// Returns [`SealError::Shape`] when a value is a stream.
pub(super) fn write_dictionary(
    out: &mut Vec<u8>,
    dictionary: &Dictionary,
) -> Result<(), SealError> {
    out.extend_from_slice(b"<<");
    for (key, value) in dictionary {
        out.push(b' ');
        write_name(out, key);
        out.push(b' ');
        write_object(out, value)?;
    }
    out.extend_from_slice(b" >>");
    Ok(())
}

/// Returns `text` as a text string: UTF-16 with its mark.
pub(super) fn text_string(text: &str) -> Object {
    let mut bytes = vec![0xfe, 0xff];
    bytes.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
    Object::String(bytes, StringFormat::Hexadecimal)
}

fn write_name(out: &mut Vec<u8>, name: &[u8]) {
    out.push(b'/');
    for byte in name {
        if byte.is_ascii_alphanumeric() || b"-_.+:".contains(byte) {
            out.push(*byte);
        } else {
            out.extend_from_slice(format!("#{byte:02X}").as_bytes());
        }
    }
}

fn write_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'<');
    for byte in bytes {
        out.extend_from_slice(format!("{byte:02X}").as_bytes());
    }
    out.push(b'>');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_strings_are_written_so_that_any_byte_survives() {
        let mut out = Vec::new();
        let mut dictionary = Dictionary::new();
        dictionary.set(
            "A B",
            Object::String(b"(\\".to_vec(), StringFormat::Literal),
        );
        dictionary.set("K", vec![Object::Integer(-1), Object::Reference((7, 0))]);

        write_dictionary(&mut out, &dictionary).expect("no stream is in it");

        assert_eq!(out, b"<< /A#20B <285C> /K [-1 7 0 R] >>");
    }

    #[test]
    fn a_text_string_carries_its_byte_order_mark() {
        let mut out = Vec::new();

        write_object(&mut out, &text_string("Қ")).expect("no stream is in it");

        assert_eq!(out, b"<FEFF049A>");
    }
}
