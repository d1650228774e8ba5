//! Prints what the kiosk costs: start to the first screen, a frame, memory, idle processor time.
//!
//! Run it after `cargo build -p qorgan-client`, with xvfb, openbox and xdotool installed:
//! `cargo run -p qorgan-client --example kiosk_cost -- target/debug/qorgan-client`

#[cfg(target_os = "linux")]
fn main() -> anyhow::Result<()> {
    linux::measure()
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        io::{BufRead as _, BufReader},
        path::{Path, PathBuf},
        process::{Child, Command, Stdio},
        thread::sleep,
        time::{Duration, Instant},
    };

    use anyhow::{Context as _, Result, bail};

    #[expect(clippy::print_stdout, reason = "printing is what it is for")]
    pub(super) fn measure() -> Result<()> {
        let program = std::env::args()
            .nth(1)
            .context("name the kiosk's program")?;
        let folder = std::env::temp_dir().join(format!("qorgan-cost-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let (mut server, display) = display()?;
        let mut manager = Ended(
            Command::new("openbox")
                .arg("--sm-disable")
                .env("DISPLAY", &display)
                .stderr(Stdio::null())
                .spawn()?,
        );
        sleep(Duration::from_secs(1));
        let state = folder.join("state.json");
        let since = Instant::now();
        let mut kiosk = Ended(
            Command::new(program)
                .arg("--data")
                .arg(folder.join("data"))
                .env("DISPLAY", &display)
                .env("QORGAN_CLIENT_STATE", &state)
                .env("QORGAN_LOG", "warn")
                .spawn()?,
        );
        while read(&state).is_none() {
            if since.elapsed() > Duration::from_secs(60) {
                bail!("the kiosk shows nothing");
            }
            sleep(Duration::from_millis(5));
        }
        println!(
            "start to first screen   {:6} ms",
            since.elapsed().as_millis()
        );
        println!("frames                  {}", frames(&state, &display)?);
        let pid = kiosk.0.id();
        println!(
            "memory (resident)       {:6} MB",
            status_kb(pid, "VmRSS:").unwrap_or(0) / 1024
        );
        let (before, waited) = (ticks(pid), Duration::from_secs(5));
        sleep(waited);
        let used = ticks(pid).saturating_sub(before);
        println!(
            "idle                    {used} ticks of 10 ms in {} s",
            waited.as_secs()
        );
        kiosk.end();
        manager.end();
        server.end();
        std::fs::remove_dir_all(&folder)?;
        Ok(())
    }

    /// Walks through the controls, and tells what a frame took on the processor.
    fn frames(state: &Path, display: &str) -> Result<String> {
        let mut took = Vec::new();
        for _ in 0..30 {
            Command::new("xdotool")
                .args(["key", "Tab"])
                .env("DISPLAY", display)
                .status()?;
            sleep(Duration::from_millis(120));
            took.extend(read(state).filter(|&us| us > 0));
        }
        took.sort_unstable();
        let at = |share: usize| {
            took.get(took.len().saturating_mul(share) / 100)
                .copied()
                .unwrap_or(0)
        };
        Ok(format!(
            "p50 {} µs, p95 {} µs of {}",
            at(50),
            at(95),
            took.len()
        ))
    }

    fn read(state: &Path) -> Option<u64> {
        let text = std::fs::read_to_string(state).ok()?;
        serde_json::from_str::<serde_json::Value>(&text)
            .ok()?
            .get("frame_us")?
            .as_u64()
    }

    fn display() -> Result<(Ended, String)> {
        let mut server = Command::new("Xvfb")
            .args([
                "-displayfd",
                "1",
                "-screen",
                "0",
                "1920x1080x24",
                "-nolisten",
                "tcp",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("Xvfb")?;
        let mut number = String::new();
        BufReader::new(server.stdout.as_mut().context("a pipe")?).read_line(&mut number)?;
        Ok((Ended(server), format!(":{}", number.trim())))
    }

    fn status_kb(pid: u32, name: &str) -> Option<u64> {
        let text = std::fs::read_to_string(PathBuf::from(format!("/proc/{pid}/status"))).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    }

    fn ticks(pid: u32) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after = text.rsplit(')').next().unwrap_or_default();
        after
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|word| word.parse::<u64>().ok())
            .sum()
    }

    struct Ended(Child);

    impl Ended {
        fn end(&mut self) {
            drop(self.0.kill());
            drop(self.0.wait());
        }
    }

    impl Drop for Ended {
        fn drop(&mut self) {
            self.end();
        }
    }
}
