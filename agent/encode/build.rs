//! Refuses to build the encoders without their assembly.
//!
//! The build of openh264 leaves its assembly out without a word when `nasm` is missing, and the
//! encoder is then two to three times slower.

use std::env;
use std::process::{Command, Stdio};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=OPENH264_NO_ASM");
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    if arch != "x86_64" {
        return;
    }
    if env::var_os("OPENH264_NO_ASM").is_some() {
        println!("cargo::error=OPENH264_NO_ASM is set: unset it, the encoder needs its assembly");
    }
    let nasm = Command::new("nasm")
        .arg("-v")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !nasm.is_ok_and(|status| status.success()) {
        println!(
            "cargo::error=nasm was not found: openh264 would be built without its assembly and be \
             2 to 3 times slower. Install the package `nasm`, then run `cargo clean -p openh264-sys2`"
        );
    }
}
