//! `qorgan-demo`: runs the demo that `cargo demo` has built.

use std::io::stdout;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use qorgan_tests::demo::{CameraWish, Wishes, run};

fn main() -> Result<ExitCode> {
    let mut words = std::env::args().skip(1);
    let mut wishes = Wishes {
        auto: false,
        out: PathBuf::from("demo-out"),
        language: "kk".to_owned(),
        camera: CameraWish::Film,
    };
    while let Some(word) = words.next() {
        match (word.as_str(), words.size_hint().0 > 0) {
            ("--auto", _) => wishes.auto = true,
            ("--out", true) => wishes.out = words.next().map(PathBuf::from).unwrap_or_default(),
            ("--language", true) => wishes.language = words.next().unwrap_or_default(),
            _ => bail!("cargo demo [--auto] [--out DIR] [--language kk|ru]"),
        }
    }
    let passed = run(&wishes, &mut stdout().lock())?;
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
