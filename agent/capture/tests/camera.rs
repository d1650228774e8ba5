//! The real camera code on a camera that answers as Video4Linux does.

#![cfg(target_os = "linux")]
#![expect(
    clippy::tests_outside_test_module,
    clippy::panic,
    reason = "the whole file is a test"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn pictures_come_at_the_rate_that_is_asked_with_driver_and_bus() {
    let seen = probe(4, 15, &[("CAM_FPS", "30"), ("CAM_LUMA", "123")]);
    assert!(
        seen.contains("listed 7 Some(\"testcam\") Some(\"usb-test-1\")"),
        "{seen}"
    );
    assert!(
        seen.contains("opened Device driver=testcam bus=usb-test-1 640x480"),
        "{seen}"
    );
    assert!(seen.contains("luma 123"), "{seen}");
    let (frames, span_ms) = figures(&seen);
    assert!(span_ms > 2_000, "{seen}");
    let per_s = frames * 1_000 / span_ms;
    assert!(
        (13..=16).contains(&per_s),
        "{per_s} pictures a second: {seen}"
    );
}

#[test]
fn a_camera_that_gives_half_planar_pictures_is_read() {
    let seen = probe(3, 15, &[("CAM_FORMAT", "NV12"), ("CAM_LUMA", "77")]);
    assert!(seen.contains("opened Device driver=testcam"), "{seen}");
    assert!(seen.contains("luma 77"), "{seen}");
    assert!(figures(&seen).0 > 20, "{seen}");
}

#[test]
fn cameras_that_give_other_raw_pictures_are_read() {
    // What is 77 of the full range is 82 in the limited one.
    for (format, luma) in [
        ("YU12", "luma 77"),
        ("UYVY", "luma 77"),
        ("BGR3", "luma 82"),
    ] {
        let seen = probe(2, 15, &[("CAM_FORMAT", format), ("CAM_LUMA", "77")]);
        assert!(
            seen.contains("opened Device driver=testcam"),
            "{format}: {seen}"
        );
        assert!(seen.contains(luma), "{format}: {seen}");
    }
}

#[test]
fn a_camera_that_gives_jpeg_pictures_of_odd_width_is_read_by_either_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("grey.jpg");
    image::RgbImage::from_pixel(641, 481, image::Rgb([123; 3]))
        .save(&file)
        .expect("the picture is written");
    let path = file.to_str().expect("text");
    for format in ["MJPG", "JPEG"] {
        let plan = [
            ("CAM_FORMAT", format),
            ("CAM_FILE", path),
            ("CAM_SIZE", "641x481"),
        ];
        let seen = probe(2, 30, &plan);
        assert!(seen.contains("640x480"), "{format}: {seen}");
        assert!(figures(&seen).0 > 20, "{format}: {seen}");
    }
}

#[test]
fn a_camera_that_gives_jpeg_pictures_is_read_and_torn_ones_are_left_out() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("grey.jpg");
    image::RgbImage::from_fn(640, 480, |x, y| {
        image::Rgb([if (x / 8 + y / 8) % 2 == 0 { 133 } else { 113 }; 3])
    })
    .save(&file)
    .expect("the picture is written");
    let path = file.to_str().expect("text");
    let whole = probe(3, 30, &[("CAM_FORMAT", "MJPG"), ("CAM_FILE", path)]);
    assert!(whole.contains("640x480"), "{whole}");
    // 123 of 255 in limited range.
    assert!(
        whole.contains("luma 121") || whole.contains("luma 122"),
        "{whole}"
    );

    let plan = [
        ("CAM_FORMAT", "MJPG"),
        ("CAM_FILE", path),
        ("CAM_TORN", "2"),
    ];
    let torn = probe(3, 30, &plan);
    assert!(!torn.contains("lost"), "{torn}");
    let (whole, torn) = (figures(&whole).0, figures(&torn).0);
    assert!(
        (whole * 4 / 10..=whole * 6 / 10).contains(&torn),
        "{torn} of {whole}: every second one is torn"
    );
}

#[test]
fn a_camera_that_stalls_is_seen_by_the_watchdog() {
    let seen = probe(6, 30, &[("CAM_FPS", "30"), ("CAM_END", "stall:20")]);
    assert!(seen.contains("lost Stalled"), "{seen}");
    assert!(
        !seen.contains("lost Busy"),
        "our own hung call is not somebody else's: {seen}"
    );
    assert_eq!(figures(&seen).0, 20, "{seen}");
}

#[test]
fn an_unplugged_camera_is_said_so_and_comes_back() {
    let plan = [
        ("CAM_FPS", "30"),
        ("CAM_END", "unplug:20"),
        ("CAM_BACK", "1200"),
    ];
    let seen = probe(6, 30, &plan);
    let unplugged = seen
        .find("lost Unplugged")
        .unwrap_or_else(|| panic!("{seen}"));
    assert!(seen[unplugged..].contains("opened Device"), "{seen}");
    assert!(figures(&seen).0 > 40, "{seen}");
}

#[test]
fn a_missing_busy_or_denied_camera_gives_its_reason() {
    let reasons = [
        ("open:13", "Denied"),
        ("open:2", "Missing"),
        ("stream:16", "Busy"),
    ];
    for (failure, reason) in reasons {
        let seen = probe(2, 30, &[("CAM_FAIL", failure)]);
        assert!(
            seen.contains(&format!("lost {reason}")),
            "{failure}: {seen}"
        );
        assert!(!seen.contains("opened"), "{failure}: {seen}");
    }
}

/// Runs the probe with our camera loaded before libc; several tests may do so at the same time.
fn probe(seconds: u32, frames_per_s: u32, settings: &[(&str, &str)]) -> String {
    make_node();
    let dir = tempfile::tempdir().expect("a folder");
    let library = dir.path().join("fakecam.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shim/fakecam.c");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl")
        .status()
        .expect("a C compiler is a test prerequisite");
    assert!(compiled.success(), "the camera compiles");
    let output = Command::new(example("camera_probe"))
        .args([seconds.to_string(), frames_per_s.to_string()])
        .env("LD_PRELOAD", &library)
        .envs(settings.iter().copied())
        .output()
        .expect("the probe runs");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The system lists cameras by their nodes; nothing opens this one but the library.
fn make_node() {
    let node = Path::new("/dev/video7");
    if node.exists() {
        return;
    }
    // Another test may have been quicker; what counts is that the node is there.
    let made = Command::new("mknod")
        .args(["/dev/video7", "c", "81", "7"])
        .status();
    assert!(
        node.exists(),
        "the test needs the node /dev/video7 ({made:?}): run `mknod /dev/video7 c 81 7` as root"
    );
}

fn example(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().expect("a test knows where it is");
    path.pop();
    path.pop();
    path.join("examples").join(name)
}

fn figures(seen: &str) -> (u64, u64) {
    let line = seen
        .lines()
        .find(|line| line.starts_with("frames "))
        .unwrap_or_else(|| panic!("{seen}"));
    let mut words = line.split(' ').filter_map(|word| word.parse().ok());
    (words.next().expect("frames"), words.next().expect("a span"))
}
