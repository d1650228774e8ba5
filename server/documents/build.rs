//! Copies the fonts that acts are set in from the system into the build, to be embedded.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The Debian package that brings every font in [`FONTS`].
const PACKAGE: &str = "fonts-noto-core";

/// The font files that are embedded.
const FONTS: [&str; 3] = [
    "NotoSans-Regular.ttf",
    "NotoSans-Bold.ttf",
    "NotoSansSymbols2-Regular.ttf",
];

/// Where systems keep them, unless `QORGAN_FONTS_DIR` names another folder.
const FOLDERS: [&str; 4] = [
    "/usr/share/fonts/truetype/noto",
    "/usr/share/fonts/noto",
    "/usr/share/fonts/google-noto",
    "/usr/local/share/fonts/noto",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=QORGAN_FONTS_DIR");
    let out = env::var_os("OUT_DIR").map_or_else(PathBuf::new, PathBuf::from);
    for font in FONTS {
        match copy(font, &out) {
            Ok(source) => println!("cargo::rerun-if-changed={}", source.display()),
            Err(problem) => println!("cargo::error={problem}"),
        }
    }
}

/// Copies one font into the build's folder and returns where it came from.
fn copy(font: &str, out: &Path) -> Result<PathBuf, String> {
    let folders: Vec<PathBuf> = env::var_os("QORGAN_FONTS_DIR").map_or_else(
        || FOLDERS.iter().map(PathBuf::from).collect(),
        |folder| vec![PathBuf::from(folder)],
    );
    let source = folders
        .iter()
        .map(|folder| folder.join(font))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            format!(
                "{font} not found in {folders:?}: install the package {PACKAGE}, \
                 or let QORGAN_FONTS_DIR name the folder that holds it"
            )
        })?;
    fs::copy(&source, out.join(font)).map_err(|error| format!("{font}: {error}"))?;
    Ok(source)
}
