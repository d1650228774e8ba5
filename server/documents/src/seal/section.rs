//! Appends the update that holds the signature's field, widget and empty value.

use std::collections::BTreeMap;
use std::num::TryFromIntError;
use std::ops::Range;

use lopdf::xref::XrefType;
use lopdf::{Dictionary, Document, Object, ObjectId, StringFormat, dictionary};
use ring::digest;

use super::syntax::{text_string, write_dictionary, write_object};
use super::{BAD_RANGE, CMS_BYTES_MAX, SealError, SealMeta};

/// Is a document with its update and the place of the signature's hexadecimal digits.
pub(super) struct Section {
    pub(super) pdf: Vec<u8>,
    pub(super) contents: Range<usize>,
}

/// Holds the objects of the update until they are written.
struct Update<'a> {
    document: &'a Document,
    objects: BTreeMap<ObjectId, Object>,
    next: u32,
}

/// Appends the update to `pdf`.
///
/// # Errors
/// Returns [`SealError`] when the document cannot be read or is built in a way that an update
/// of this kind cannot follow.
pub(super) fn append(pdf: &[u8], meta: &SealMeta) -> Result<Section, SealError> {
    let document = Document::load_mem(pdf)?;
    if document.is_encrypted() {
        return Err(shape("it is encrypted"));
    }
    match document.reference_table.cross_reference_type {
        XrefType::CrossReferenceTable => {}
        XrefType::CrossReferenceStream => {
            return Err(shape("its cross-reference is a stream, not a table"));
        }
    }
    let mut update = Update {
        document: &document,
        objects: BTreeMap::new(),
        next: document.max_id + 1,
    };
    let signature = update.add_field()?;
    update.write(pdf, signature, meta)
}

impl Update<'_> {
    /// Adds field, widget and structure, and returns the number kept for the signature's value.
    fn add_field(&mut self) -> Result<ObjectId, SealError> {
        let signature = self.reserve();
        let widget = self.reserve();
        let page = self
            .document
            .page_iter()
            .next()
            .ok_or_else(|| shape("it has no page"))?;
        let (name, first) = self.register_field(widget)?;
        let parent_key = if first {
            self.tag_widget(widget, page)?
        } else {
            None
        };
        self.place_widget(widget, page)?;
        let mut field = dictionary! {
            "Type" => "Annot",
            "Subtype" => "Widget",
            "FT" => "Sig",
            "T" => text_string(&name),
            "TU" => text_string(FIELD_ALTERNATIVE),
            "V" => signature,
            "P" => page,
            "F" => FLAGS_PRINT_LOCKED,
            "Rect" => vec![0.into(), 0.into(), 0.into(), 0.into()],
        };
        if let Some(key) = parent_key {
            field.set("StructParent", key);
        }
        self.objects.insert(widget, Object::Dictionary(field));
        Ok(signature)
    }

    /// Enters the widget into the document's form; returns the field's name and whether it is
    /// the only one.
    fn register_field(&mut self, widget: ObjectId) -> Result<(String, bool), SealError> {
        let root = self.root()?;
        let existing = match self.dictionary(root)?.get(b"AcroForm") {
            Ok(Object::Reference(id)) => Some(*id),
            Ok(_) => return Err(shape("its form stands inside the catalogue")),
            Err(_) => None,
        };
        let form_id = existing.unwrap_or_else(|| self.reserve());
        let mut form = match existing {
            Some(id) => self.dictionary(id)?,
            None => Dictionary::new(),
        };
        let mut fields = match form.get(b"Fields") {
            Ok(fields) => fields.as_array()?.clone(),
            Err(_) => Vec::new(),
        };
        fields.push(widget.into());
        let name = format!("Seal{}", fields.len());
        form.set("Fields", fields);
        form.set("SigFlags", SIGNATURES_EXIST_APPEND_ONLY);
        self.objects.insert(form_id, Object::Dictionary(form));
        if existing.is_none() {
            let mut catalog = self.dictionary(root)?;
            catalog.set("AcroForm", form_id);
            self.objects.insert(root, Object::Dictionary(catalog));
        }
        Ok((name, existing.is_none()))
    }

    /// Puts the widget onto the first page, whose annotations follow the structure's order.
    fn place_widget(&mut self, widget: ObjectId, page: ObjectId) -> Result<(), SealError> {
        let mut dictionary = self.dictionary(page)?;
        let mut annotations = match dictionary.get(b"Annots") {
            Ok(annotations) => self
                .document
                .dereference(annotations)?
                .1
                .as_array()?
                .clone(),
            Err(_) => Vec::new(),
        };
        annotations.push(widget.into());
        dictionary.set("Annots", annotations);
        dictionary.set("Tabs", "S");
        self.objects.insert(page, Object::Dictionary(dictionary));
        Ok(())
    }

    /// Nests the widget in a `Form` element, as PDF/UA-1 7.18.4 asks, when the document is tagged.
    ///
    /// Only the first seal does so: a change of the structure would void the seals before it,
    /// and a widget without extent lies outside the page, which the standard exempts.
    fn tag_widget(&mut self, widget: ObjectId, page: ObjectId) -> Result<Option<i64>, SealError> {
        let Ok(tree_id) = self
            .dictionary(self.root()?)?
            .get(b"StructTreeRoot")
            .and_then(Object::as_reference)
        else {
            return Ok(None);
        };
        let mut tree = self.dictionary(tree_id)?;
        let top = first_kid(&tree)?;
        let element = self.reserve();
        self.objects.insert(
            element,
            Object::Dictionary(dictionary! {
                "Type" => "StructElem",
                "S" => "Form",
                "P" => top,
                "Pg" => page,
                "Alt" => text_string(FIELD_ALTERNATIVE),
                "K" => vec![Object::Dictionary(dictionary! {
                    "Type" => "OBJR",
                    "Pg" => page,
                    "Obj" => widget,
                })],
            }),
        );
        let mut parent = self.dictionary(top)?;
        let kids = with_kid(&parent, element);
        parent.set("K", kids);
        self.objects.insert(top, Object::Dictionary(parent));
        let key = self.enter_parent(&mut tree, element)?;
        tree.set("ParentTreeNextKey", key + 1);
        self.objects.insert(tree_id, Object::Dictionary(tree));
        Ok(Some(key))
    }

    /// Enters `element` into the tree that leads from the widget back to it.
    fn enter_parent(&mut self, tree: &mut Dictionary, element: ObjectId) -> Result<i64, SealError> {
        let stored = tree.get(b"ParentTree")?.clone();
        let indirect = stored.as_reference().ok();
        let mut numbers = match indirect {
            Some(id) => self.dictionary(id)?,
            None => stored.as_dict()?.clone(),
        };
        let mut entries = match numbers.get(b"Nums") {
            Ok(entries) => entries.as_array()?.clone(),
            Err(_) => return Err(shape("its parent tree has branches")),
        };
        let last = entries
            .iter()
            .step_by(2)
            .filter_map(|key| key.as_i64().ok())
            .max();
        let key = last.map_or(0, |last| last + 1);
        entries.push(Object::Integer(key));
        entries.push(element.into());
        numbers.set("Nums", entries);
        match indirect {
            Some(id) => {
                self.objects.insert(id, Object::Dictionary(numbers));
            }
            None => tree.set("ParentTree", numbers),
        }
        Ok(key)
    }

    /// Writes the update behind `pdf`.
    fn write(self, pdf: &[u8], signature: ObjectId, meta: &SealMeta) -> Result<Section, SealError> {
        let mut out = pdf.to_vec();
        if !out.ends_with(b"\n") {
            out.push(b'\n');
        }
        let mut offsets = BTreeMap::new();
        for (id, object) in &self.objects {
            offsets.insert(*id, out.len());
            start_object(&mut out, *id);
            write_object(&mut out, object)?;
            out.extend_from_slice(b"\nendobj\n");
        }
        offsets.insert(signature, out.len());
        start_object(&mut out, signature);
        let places = write_signature(&mut out, meta)?;
        out.extend_from_slice(b"\nendobj\n");
        let start = out.len();
        write_table(&mut out, &offsets);
        let trailer = self.trailer(&out)?;
        out.extend_from_slice(b"trailer\n");
        write_dictionary(&mut out, &trailer)?;
        out.extend_from_slice(format!("\nstartxref\n{start}\n%%EOF\n").as_bytes());
        places.fill_range(out)
    }

    /// Returns the previous trailer with what an update changes in it.
    fn trailer(&self, written: &[u8]) -> Result<Dictionary, SealError> {
        let mut trailer = self.document.trailer.clone();
        let previous = i64::try_from(self.document.xref_start)
            .map_err(|TryFromIntError { .. }| shape("its cross-reference lies too far"))?;
        trailer.set("Size", i64::from(self.next));
        trailer.set("Prev", previous);
        let changed = digest::digest(&digest::SHA256, written);
        let changed = changed
            .as_ref()
            .iter()
            .take(FILE_ID_BYTES)
            .copied()
            .collect();
        let changed = Object::String(changed, StringFormat::Hexadecimal);
        let permanent = trailer
            .get(b"ID")
            .and_then(Object::as_array)
            .ok()
            .and_then(|ids| ids.first().cloned())
            .unwrap_or_else(|| changed.clone());
        trailer.set("ID", vec![permanent, changed]);
        Ok(trailer)
    }

    /// Returns the newest state of an object that is a dictionary.
    fn dictionary(&self, id: ObjectId) -> Result<Dictionary, SealError> {
        let object = match self.objects.get(&id) {
            Some(object) => object,
            None => self.document.get_object(id)?,
        };
        Ok(object.as_dict()?.clone())
    }

    fn root(&self) -> Result<ObjectId, SealError> {
        Ok(self.document.trailer.get(b"Root")?.as_reference()?)
    }

    fn reserve(&mut self) -> ObjectId {
        let id = (self.next, 0);
        self.next += 1;
        id
    }
}

/// Remembers where the placeholders stand.
struct Places {
    range: Range<usize>,
    contents: Range<usize>,
}

impl Places {
    /// Writes the byte range, which is known once the file is whole.
    fn fill_range(self, mut pdf: Vec<u8>) -> Result<Section, SealError> {
        let before = self.contents.start - 1;
        let after = self.contents.end + 1;
        let text = format!("0 {before} {after} {}", pdf.len() - after);
        let width = self.range.len();
        let room = pdf
            .get_mut(self.range)
            .filter(|_| text.len() <= width)
            .ok_or_else(|| shape(BAD_RANGE))?;
        for (place, byte) in room.iter_mut().zip(text.bytes()) {
            *place = byte;
        }
        Ok(Section {
            pdf,
            contents: self.contents,
        })
    }
}

/// Writes the signature's dictionary with room for byte range and value.
fn write_signature(out: &mut Vec<u8>, meta: &SealMeta) -> Result<Places, SealError> {
    out.extend_from_slice(
        b"<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /ETSI.CAdES.detached /ByteRange [",
    );
    let range = out.len()..out.len() + RANGE_WIDTH;
    out.extend_from_slice(&[b' '; RANGE_WIDTH]);
    out.extend_from_slice(b"] /Contents <");
    let contents = out.len()..out.len() + 2 * CMS_BYTES_MAX;
    out.resize(contents.end, b'0');
    out.extend_from_slice(b"> /M ");
    let signed_at = meta.signing_time.pdf_text();
    out.extend_from_slice(format!("({signed_at})").as_bytes());
    for (key, value) in [
        ("Name", &meta.name),
        ("Reason", &meta.reason),
        ("Location", &meta.location),
    ] {
        out.extend_from_slice(format!(" /{key} ").as_bytes());
        write_object(out, &text_string(value))?;
    }
    out.extend_from_slice(b" >>");
    Ok(Places { range, contents })
}

fn start_object(out: &mut Vec<u8>, (number, generation): ObjectId) {
    out.extend_from_slice(format!("{number} {generation} obj\n").as_bytes());
}

/// Writes the cross-reference table, one section for each run of numbers.
fn write_table(out: &mut Vec<u8>, offsets: &BTreeMap<ObjectId, usize>) {
    let entries: Vec<(ObjectId, usize)> = offsets.iter().map(|(id, at)| (*id, *at)).collect();
    out.extend_from_slice(b"xref\n");
    for run in entries.chunk_by(|((left, _), _), ((right, _), _)| left + 1 == *right) {
        let first = run.first().map_or(0, |((number, _), _)| *number);
        out.extend_from_slice(format!("{first} {}\n", run.len()).as_bytes());
        for ((_, generation), offset) in run {
            out.extend_from_slice(format!("{offset:010} {generation:05} n \n").as_bytes());
        }
    }
}

/// Returns the topmost structure element.
fn first_kid(tree: &Dictionary) -> Result<ObjectId, SealError> {
    let kids = tree.get(b"K")?;
    let first = match kids.as_array() {
        Ok(kids) => kids
            .first()
            .ok_or_else(|| shape("its structure is empty"))?,
        Err(_) => kids,
    };
    Ok(first.as_reference()?)
}

/// Returns the kids of `parent` with `element` behind them.
fn with_kid(parent: &Dictionary, element: ObjectId) -> Vec<Object> {
    let mut kids = match parent.get(b"K") {
        Ok(Object::Array(kids)) => kids.clone(),
        Ok(single) => vec![single.clone()],
        Err(_) => Vec::new(),
    };
    kids.push(element.into());
    kids
}

const fn shape(reason: &'static str) -> SealError {
    SealError::Shape { reason }
}

/// What is said of the field to those who cannot see that it draws nothing.
const FIELD_ALTERNATIVE: &str = "Электрондық мөр · Электронная печать · Digital seal";

/// PDF/A-3 6.3.2: printed and not hidden; locked so that no viewer moves it.
const FLAGS_PRINT_LOCKED: i64 = 4 + 128;

/// ISO 32000-1, table 219: both bits.
const SIGNATURES_EXIST_APPEND_ONLY: i64 = 3;

/// Four numbers of up to ten digits.
const RANGE_WIDTH: usize = 44;

const FILE_ID_BYTES: usize = 16;
