//! Moving pictures made by arithmetic, and outside tools to judge what became of them.

#![allow(dead_code, reason = "each test binary uses its part of the helpers")]
#![allow(
    clippy::allow_attributes,
    reason = "an expectation fails where a part is used"
)]

use std::path::Path;
use std::process::Command;

use qorgan_encode::I420Ref;

/// A picture in tight planar 4:2:0.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) bytes: Vec<u8>,
}

impl Picture {
    pub(crate) fn lend(&self) -> I420Ref<'_> {
        I420Ref::tight(self.width, self.height, &self.bytes).expect("the picture is whole")
    }
}

/// A soft background with a bright block that moves, and grain that does not repeat.
pub(crate) fn camera_picture(width: u32, height: u32, index: u32) -> Picture {
    let (mut y, mut chroma) = (Vec::new(), Vec::new());
    let left = 20 + (index * 4) % (width - 140);
    let mut grain = index.wrapping_mul(2_654_435_761).wrapping_add(1);
    for row in 0..height {
        for column in 0..width {
            grain ^= grain << 13;
            grain ^= grain >> 17;
            grain ^= grain << 5;
            let ground = 60 + (column * 80 / width) + (row * 60 / height) + (grain & 3);
            let inside = (left..left + 120).contains(&column) && (80..220).contains(&row);
            let value = if inside { 190 + (row & 15) } else { ground };
            y.push(u8::try_from(value).expect("a shade"));
        }
    }
    for row in 0..height / 2 {
        for column in 0..width / 2 {
            chroma.push(
                u8::try_from(110 + column * 30 / width + row * 20 / height).expect("a shade"),
            );
        }
    }
    let bytes = [y, chroma.clone(), chroma].concat();
    Picture {
        width,
        height,
        bytes,
    }
}

/// Values that nothing foretells, the same ones for the same number.
pub(crate) fn noise(width: u32, height: u32, index: u32) -> Picture {
    let mut state = index.wrapping_mul(2_654_435_761) | 1;
    let bytes = (0..width * height * 3 / 2)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[0]
        })
        .collect();
    Picture {
        width,
        height,
        bytes,
    }
}

/// White paper with dark strokes, one block of which depends on `page`.
pub(crate) fn screen_picture(width: u32, height: u32, page: u32) -> Picture {
    let mut y = Vec::new();
    for row in 0..height {
        for column in 0..width {
            let line = row / 24;
            let seed = (column / 3).wrapping_mul(40_503) ^ line.wrapping_mul(page * 7 + 97);
            let stroke = row % 24 < 14 && (seed >> 3) % 5 < 2 && column > 60 && column < width - 60;
            y.push(if stroke { 30 } else { 235 });
        }
    }
    let chroma = usize::try_from(width * height / 2).expect("small");
    y.resize(y.len() + chroma, 128);
    Picture {
        width,
        height,
        bytes: y,
    }
}

/// Runs a tool and returns what it wrote, or fails with what it complained about.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program} is a test prerequisite: {error}"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Decodes a file's video to tight planar 4:2:0; a decoder's complaint fails the test.
pub(crate) fn decode(path: &Path, width: u32, height: u32) -> Vec<Picture> {
    let path = path.to_str().expect("a plain path");
    let raw = run(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-xerror",
            "-err_detect",
            "explode",
            "-i",
            path,
            "-map",
            "0:v:0",
            "-fps_mode",
            "passthrough",
            "-f",
            "rawvideo",
            "-pix_fmt",
            "yuv420p",
            "-",
        ],
    );
    let size = usize::try_from(width * height * 3 / 2).expect("small");
    assert_eq!(raw.len() % size, 0, "whole pictures");
    raw.chunks_exact(size)
        .map(|bytes| Picture {
            width,
            height,
            bytes: bytes.to_vec(),
        })
        .collect()
}

/// Returns one field of each packet that ffprobe finds in a track, in order.
pub(crate) fn packets(path: &Path, track: &str, field: &str) -> Vec<String> {
    let path = path.to_str().expect("a plain path");
    let entries = format!("packet={field}");
    let text = run(
        "ffprobe",
        &[
            "-v",
            "error",
            "-select_streams",
            track,
            "-show_entries",
            &entries,
            "-of",
            "csv=p=0",
            path,
        ],
    );
    String::from_utf8(text)
        .expect("ffprobe writes text")
        .lines()
        .map(|line| line.trim_end_matches(',').to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

/// The peak signal to noise ratio of the luma planes, in dB.
pub(crate) fn psnr(left: &Picture, right: &Picture) -> f64 {
    let count = usize::try_from(left.width * left.height).expect("small");
    let sum: u64 = left
        .bytes
        .iter()
        .zip(&right.bytes)
        .take(count)
        .map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2))
        .sum();
    let mean = f64::from(u32::try_from(sum.max(1)).unwrap_or(u32::MAX))
        / f64::from(left.width * left.height);
    10.0 * (255.0 * 255.0 / mean).log10()
}
