//! Embeds the fonts, and makes a constant of every text key, so that a key that does not exist
//! stops the build.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

fn main() -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    fonts(&out)?;
    keys(&out)
}

fn fonts(out: &Path) -> Result<(), String> {
    println!("cargo::rerun-if-env-changed=QORGAN_FONTS_DIR");
    let own = env::var_os("QORGAN_FONTS_DIR").map(PathBuf::from);
    for (name, package, folder) in FONTS {
        let mut places = vec![PathBuf::from(folder)];
        places.splice(0..0, own.clone());
        let Some(found) = places
            .iter()
            .map(|place| place.join(name))
            .find(|path| path.is_file())
        else {
            return Err(format!(
                "the font {name} is missing: install the Debian package {package} \
                 (apt-get install {package}), or set QORGAN_FONTS_DIR to a folder that has it"
            ));
        };
        println!("cargo::rerun-if-changed={}", found.display());
        fs::copy(&found, out.join(name)).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

fn keys(out: &Path) -> Result<(), String> {
    println!("cargo::rerun-if-changed=locales/en.ftl");
    let catalogue = fs::read_to_string("locales/en.ftl").map_err(|error| error.to_string())?;
    let mut code = String::from("/// Every key, in order.\npub const ALL: &[Key] = &[\n");
    let mut constants = String::new();
    for line in catalogue.lines() {
        let Some((key, _)) = line.split_once(" =") else {
            continue;
        };
        if !key.starts_with(|first: char| first.is_ascii_lowercase()) {
            continue;
        }
        let name = key.replace('-', "_").to_uppercase();
        code.push_str(&format!("    {name},\n"));
        constants.push_str(&format!(
            "/// `{key}`\npub const {name}: Key = Key(\"{key}\");\n"
        ));
    }
    code.push_str("];\n");
    code.push_str(&constants);
    fs::write(out.join("keys.rs"), code).map_err(|error| error.to_string())
}

const FONTS: [(&str, &str, &str); 4] = [
    (
        "Inter-Regular.otf",
        "fonts-inter",
        "/usr/share/fonts/opentype/inter",
    ),
    (
        "Inter-SemiBold.otf",
        "fonts-inter",
        "/usr/share/fonts/opentype/inter",
    ),
    (
        "NotoSans-Regular.ttf",
        "fonts-noto-core",
        "/usr/share/fonts/truetype/noto",
    ),
    (
        "NotoSans-Bold.ttf",
        "fonts-noto-core",
        "/usr/share/fonts/truetype/noto",
    ),
];
