//! Prints what capture and encoding cost beside ffmpeg, and what each profile sends and shows.
//!
//! `cargo run -p qorgan-encode --example cost` (with `-- bandwidth`: that part alone); Linux with
//! ffmpeg, Xvfb and ImageMagick, and the material that `QORGAN_TESTDATA` names. Figures are per cent
//! of one core and megabytes.

#![expect(clippy::print_stdout, reason = "the figures are what this prints")]

mod bandwidth;
mod ffmpeg;
mod machine;
mod material;
mod parts;
mod server;

use anyhow::Result;

use machine::Row;
use material::Material;
use server::Server;

fn main() -> Result<()> {
    let Some(material) = Material::prepare()? else {
        println!("skipped: QORGAN_TESTDATA names no folder with video/iot_one-by-one.mp4");
        return Ok(());
    };
    if std::env::args().nth(1).as_deref() == Some("bandwidth") {
        return bandwidth::print(&material);
    }
    println!(
        "profile of the build: {}",
        if cfg!(debug_assertions) {
            "dev"
        } else {
            "release"
        }
    );
    println!("\nCost of each part, profile rich, camera 640x480@15, screen 1920x1080@5");
    let camera = parts::camera(&material)?;
    let sound = parts::sound(&material)?;
    let mux = parts::mux(&material)?;
    let server = Server::start()?;
    server.paint(&material.pages[0], 0)?;
    let still = parts::screen(&server, &material, false)?;
    let ffmpeg_still = ffmpeg::screen(&server, &material, false)?;
    let scrolled = parts::screen(&server, &material, true)?;
    let ffmpeg_scrolled = ffmpeg::screen(&server, &material, true)?;
    let ffmpeg_camera = ffmpeg::camera(&material)?;
    let common = [camera, vec![sound, mux]].concat();
    report("ours, static screen", &[common.clone(), still].concat());
    report(
        "ffmpeg x264 veryfast, static screen",
        &[ffmpeg_camera.clone(), ffmpeg_still],
    );
    report("ours, scrolling screen", &[common, scrolled].concat());
    report(
        "ffmpeg x264 veryfast, scrolling screen",
        &[ffmpeg_camera, ffmpeg_scrolled],
    );
    println!(
        "\nmemory of this process at its highest: {:.0} MB",
        machine::peak_megabytes()?
    );
    bandwidth::print(&material)
}

fn report(title: &str, rows: &[Row]) {
    println!("\n{title}");
    for row in rows {
        println!("  {:<44} {:>6.2} % of a core", row.part, row.core_percent);
    }
    let sum: f64 = rows.iter().map(|row| row.core_percent).sum();
    println!("  {:<44} {sum:>6.2} % of a core", "together");
}
