//! Prints what the kiosk costs with an exam open, at 1080p: start, frames, memory, idle time.
//!
//! It needs xvfb, openbox, xdotool and wmctrl; what is drawn on is what GL finds, llvmpipe where
//! there is no graphics card, whose part is told apart.
//! `cargo build --release -p qorgan-client`, then
//! `cargo run -p qorgan-client --example kiosk_cost -- target/release/qorgan-client-hooked`

#[cfg(target_os = "linux")]
#[path = "../tests/walk_agent/mod.rs"]
mod walk_agent;
#[cfg(target_os = "linux")]
#[expect(dead_code, reason = "the figures need a part of what the test needs")]
#[path = "../tests/walk_kiosk/mod.rs"]
mod walk_kiosk;
#[cfg(target_os = "linux")]
#[expect(dead_code, reason = "the figures need a part of what the test needs")]
#[path = "../tests/walk_server/mod.rs"]
mod walk_server;

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    // The kiosk starts this program once more, as its agent.
    if std::env::var_os("QORGAN_WALK_AGENT").is_some() {
        walk_agent::run();
        return Ok(());
    }
    linux::measure()
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod linux {
    use std::{path::PathBuf, thread::sleep, time::Duration};

    use anyhow::{Context as _, Result};

    use crate::{
        walk_kiosk::{Desk, Kiosk, check_in, sign_in},
        walk_server::Server,
    };

    pub(super) fn measure() -> Result<()> {
        let program = std::env::args()
            .nth(1)
            .context("name the kiosk's program")?;
        let desk = Desk::start(&program, (1920, 1080));
        // The real server answers a view after a second where nothing changed.
        let server = Server::start(Duration::from_secs(1));
        let kiosk = desk.kiosk(&server.link());
        kiosk.expect("the first screen", |state| state["screen"] == "welcome");
        let start_ms = kiosk.state()["start_to_screen_ms"].as_f64().unwrap_or(0.0);
        sign_in(&desk, &kiosk);
        check_in(&desk, &kiosk);
        kiosk.expect("the gate", |state| state["screen"] == "gate");
        server.open_gate();
        kiosk.expect("the button", |state| state["focused"] == "start");
        desk.key("Return");
        kiosk.expect("the first question", |state| state["question"] == 1);
        desk.key("b");
        kiosk.expect("the response", |state| state["kept"] == "delivered");
        let (p50, p95, count) = frames(&desk, &kiosk);
        let (idle, idle_gl) = idle_percent(kiosk.child.id());
        let drawn = idle_frames(&desk, &kiosk);
        let resident = status_kb(kiosk.child.id(), "VmRSS:").unwrap_or(0.0) / 1024.0;
        let peak = status_kb(kiosk.child.id(), "VmHWM:").unwrap_or(0.0) / 1024.0;
        let gl = software_gl_kb(kiosk.child.id()) / 1024.0;
        head(count);
        row("start to the first screen", start_ms, "ms", "1000");
        row("frame, p50", p50, "ms", "");
        row("frame, p95", p95, "ms", "30");
        row("memory, resident", resident, "MB", "130");
        row("  of which software GL", gl, "MB", "");
        row("memory, at its highest", peak, "MB", "");
        row("idle with an exam open", idle, "% of a core", "2");
        row("  of which software GL", idle_gl, "% of a core", "");
        row("drawn while idle", drawn, "a second", "");
        Ok(())
    }

    #[expect(clippy::print_stdout, reason = "printing is what it is for")]
    fn head(frames: usize) {
        println!("The kiosk at 1920x1080, an exam open; {frames} frames while the pointer moves");
        println!("{:<28} {:>9} {:<12} {:>6}", "what", "measured", "", "aim");
    }

    #[expect(clippy::print_stdout, reason = "printing is what it is for")]
    fn row(what: &str, measured: f64, unit: &str, aim: &str) {
        let aim = if aim.is_empty() {
            String::new()
        } else {
            format!("<= {aim}")
        };
        println!("{what:<28} {measured:>9.1} {unit:<12} {aim:>6}");
    }

    /// Moves the pointer about, so that the kiosk draws as fast as it can; returns the median and
    /// the worst of twenty of the times from one frame to the next, in milliseconds.
    fn frames(desk: &Desk, kiosk: &Kiosk) -> (f64, f64, usize) {
        stir(desk, 800);
        // What waited longer waited for the pointer.
        let mut gaps: Vec<f64> = gaps_us(desk, kiosk)
            .into_iter()
            .map(|us| us / 1_000.0)
            .filter(|&ms| ms < 150.0)
            .collect();
        gaps.sort_by(f64::total_cmp);
        let at = |share: usize| {
            let place = gaps.len().saturating_mul(share) / 100;
            gaps.get(place).copied().unwrap_or(0.0)
        };
        (at(50), at(95), gaps.len())
    }

    /// Moves the pointer for so many steps of four milliseconds.
    fn stir(desk: &Desk, steps: u32) {
        let mut words = Vec::new();
        for step in 0..steps {
            let at = |from: u32| (from + step % 400).to_string();
            words.extend(["mousemove".to_owned(), at(500), at(300)]);
            words.extend(["sleep".to_owned(), "0.004".to_owned()]);
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        desk.tool("xdotool", &words);
    }

    /// Returns what the kiosk takes while nothing happens, and what of it its software GL takes.
    fn idle_percent(pid: u32) -> (f64, f64) {
        sleep(Duration::from_secs(2));
        let before = processor_ns(pid);
        let waited = Duration::from_secs(20);
        sleep(waited);
        let after = processor_ns(pid);
        let percent = |ns: f64| ns / waited.as_secs_f64() / 1e9 * 100.0;
        (percent(after.0 - before.0), percent(after.1 - before.1))
    }

    /// Returns the times from one frame to the next, in microseconds, the newest last. A change has
    /// them written, so the help is opened.
    fn gaps_us(desk: &Desk, kiosk: &Kiosk) -> Vec<f64> {
        desk.key("F1");
        kiosk.expect("the help", |state| state["overlay"] == "Help");
        let state = kiosk.state();
        desk.key("Escape");
        kiosk.expect("the exam", |state| state["overlay"].is_null());
        let gaps = state["gaps_us"].as_array().cloned().unwrap_or_default();
        gaps.iter().filter_map(serde_json::Value::as_f64).collect()
    }

    /// Returns how often the window was drawn in a second of the idle time just over.
    fn idle_frames(desk: &Desk, kiosk: &Kiosk) -> f64 {
        let gaps = gaps_us(desk, kiosk);
        let mut seconds = 0.0;
        let count = gaps
            .iter()
            .rev()
            .take_while(|us| {
                seconds += *us / 1e6;
                seconds < 15.0
            })
            .count();
        f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / 15.0
    }

    /// Returns what every thread of a process has run, and what those of llvmpipe have, in
    /// nanoseconds.
    fn processor_ns(pid: u32) -> (f64, f64) {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
        let of = |path: PathBuf| {
            let text = std::fs::read_to_string(path.join("schedstat")).ok()?;
            let name = std::fs::read_to_string(path.join("comm")).ok()?;
            let ns = text.split_whitespace().next()?.parse::<f64>().ok()?;
            Some((ns, name.starts_with("llvmpipe")))
        };
        let threads = threads.into_iter().flatten().flatten();
        threads
            .filter_map(|thread| of(thread.path()))
            .fold((0.0, 0.0), |(all, gl), (ns, is_gl)| {
                (all + ns, if is_gl { gl + ns } else { gl })
            })
    }

    /// Returns what is resident of the libraries that draw without a graphics card, in KiB.
    fn software_gl_kb(pid: u32) -> f64 {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap_or_default();
        let mut is_gl = false;
        let mut sum = 0.0;
        for line in maps.lines() {
            if let Some(kb) = line.strip_prefix("Rss:") {
                let kb = kb.split_whitespace().next().and_then(|kb| kb.parse().ok());
                sum += kb.filter(|_kb| is_gl).unwrap_or(0.0);
            } else if line.split_whitespace().count() >= 5 && line.contains('-') {
                is_gl = ["libLLVM", "swrast", "libgallium"]
                    .iter()
                    .any(|name| line.contains(name));
            }
        }
        sum
    }

    fn status_kb(pid: u32, name: &str) -> Option<f64> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    }
}
