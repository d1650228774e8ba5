//! Names inside archives that people's machines made.

use std::collections::BTreeMap;

use encoding_rs::IBM866;
use unicode_normalization::UnicodeNormalization as _;

/// Returns an entry's name with `/` between folders, composed; `None` for a file that an operating
/// system put there for itself.
///
/// A name that is not UTF-8 was written by Windows in Russian or Kazakh: code page 866.
#[must_use]
pub fn entry_name(raw: &[u8]) -> Option<String> {
    let text = core::str::from_utf8(raw).map_or_else(
        |_not_utf8| IBM866.decode_without_bom_handling(raw).0.into_owned(),
        str::to_owned,
    );
    let slashed = text.replace('\\', "/");
    let name = slashed.strip_prefix("./").unwrap_or(&slashed);
    (!is_system_file(name)).then(|| composed(name))
}

/// Returns a name in Unicode's composed form, in which it is looked up.
#[must_use]
pub fn composed(name: &str) -> String {
    name.nfc().collect()
}

/// Tells whether an operating system put a file there for itself.
fn is_system_file(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let known = [
        ".DS_Store",
        "Thumbs.db",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "Icon\r",
    ];
    name.split('/')
        .any(|part| part.eq_ignore_ascii_case("__MACOSX"))
        || file.starts_with("._")
        || known.iter().any(|known| file.eq_ignore_ascii_case(known))
}

/// Returns the files of the folder that holds `marker`, the shallowest where there are several; `None`
/// where the files are rooted as they are: it stands at the top, or there is none or no single one.
#[must_use]
pub fn rooted_at(
    files: &BTreeMap<String, Vec<u8>>,
    marker: &str,
) -> Option<BTreeMap<String, Vec<u8>>> {
    let depth = |name: &str| name.matches('/').count();
    let is_marker = |name: &str| {
        let file = name.rsplit('/').next().unwrap_or(name);
        file.eq_ignore_ascii_case(marker)
    };
    let mut found: Vec<&String> = files.keys().filter(|name| is_marker(name)).collect();
    found.sort_by_key(|name| depth(name));
    let first = found.first()?;
    if found
        .get(1)
        .is_some_and(|other| depth(other) == depth(first))
    {
        return None;
    }
    if first.as_str() == marker {
        return None;
    }
    let folder = first.rsplit_once('/').map_or("", |(folder, _)| folder);
    let prefix = if folder.is_empty() {
        String::new()
    } else {
        format!("{folder}/")
    };
    let inside = files.iter().filter_map(|(name, bytes)| {
        let name = name.strip_prefix(&prefix)?;
        let name = if name.eq_ignore_ascii_case(marker) {
            marker
        } else {
            name
        };
        Some((name.to_owned(), bytes.clone()))
    });
    Some(inside.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_system_read_alike() {
        let cp866 = [0xE1, 0xE3, 0xE0, b'1', b'.', b'x', b'm', b'l'];
        assert_eq!(entry_name(&cp866).as_deref(), Some("сур1.xml"));
        assert_eq!(
            entry_name(b"items\\q1.xml").as_deref(),
            Some("items/q1.xml")
        );
        assert_eq!(entry_name(b"./q1.xml").as_deref(), Some("q1.xml"));
        assert_eq!(
            entry_name("и\u{306}.xml".as_bytes()).as_deref(),
            Some("й.xml"),
            "macOS writes letters in parts"
        );
    }

    #[test]
    fn what_systems_add_is_no_file_of_the_author() {
        for name in [
            "__MACOSX/._q1.xml",
            "a/.DS_Store",
            "Thumbs.DB",
            "a/._b.jpg",
            "a/desktop.ini",
        ] {
            assert_eq!(entry_name(name.as_bytes()), None, "{name}");
        }
        assert!(entry_name("ЖМ-1/a.jpg".as_bytes()).is_some());
    }

    #[test]
    fn the_shallowest_folder_with_the_marker_is_the_root() {
        let files = |names: &[&str]| -> BTreeMap<String, Vec<u8>> {
            names
                .iter()
                .map(|n| ((*n).to_owned(), Vec::new()))
                .collect()
        };
        let names = |files: Option<BTreeMap<String, Vec<u8>>>| -> Vec<String> {
            files.unwrap_or_default().into_keys().collect()
        };
        let deep = files(&["a/a/M.xml", "a/a/q.xml", "a/a/old/m.xml", "readme.txt"]);
        assert_eq!(
            names(rooted_at(&deep, "m.xml")),
            ["m.xml", "old/m.xml", "q.xml"]
        );
        assert_eq!(rooted_at(&files(&["a/m.xml", "b/m.xml"]), "m.xml"), None);
        assert_eq!(rooted_at(&files(&["q.xml"]), "m.xml"), None);
    }
}
