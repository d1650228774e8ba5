//! What ingest costs with many agents: a server in a process of its own, agents in this one, over
//! real TLS on loopback, and beside it nginx-rtmp taking the same bytes without TLS or checks.
//!
//! `cargo run --release -p qorgan-server --example ingest_load -- 100 300 1000`

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../tests/common/mod.rs"]
mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use common::{Agent, Place, Provision, Server, cmaf, connector};
use tokio::time::{Instant, sleep, sleep_until};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, folder, count] = arguments.as_slice()
        && mode == "serve"
    {
        return serve_attempts(Path::new(folder), count.parse()?).await;
    }
    println!(
        "each agent: {} kbit/s in 5 chunks and thumbnails and 1 beat a second",
        KBIT
    );
    for count in &arguments {
        measure(count.parse()?).await?;
    }
    match nginx().await {
        Ok(()) => Ok(()),
        Err(error) => {
            println!("nginx-rtmp: not measured ({error:#})");
            Ok(())
        }
    }
}

async fn serve_attempts(folder: &Path, count: u32) -> anyhow::Result<()> {
    let server = Server::start(&folder.join("data")).await;
    let provisions = server.attempts(count).await;
    let text = serde_json::to_vec(&(&server.place, provisions))?;
    let partial = folder.join("partial");
    std::fs::write(&partial, text)?;
    std::fs::rename(partial, folder.join("ready"))?;
    tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin())).await??;
    server.stop().await;
    Ok(())
}

async fn measure(count: u32) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = Command::new(std::env::current_exe()?)
        .args([
            "serve",
            &folder.path().display().to_string(),
            &count.to_string(),
        ])
        .stdin(Stdio::piped())
        .spawn()?;
    let (place, provisions) = ready(folder.path()).await?;
    sleep(Duration::from_secs(1)).await;
    let idle = resident_kib(server.id())?;
    let connector = connector(&place.ca);
    let began = Instant::now();
    let ends = began + START_OVER + SETTLE + MEASURE + Duration::from_secs(1);
    let agents: Vec<_> = (0..count)
        .zip(&provisions)
        .map(|(number, provision)| {
            let mut agent = Agent::new(&place, provision, &connector);
            agent.keeps = false;
            let start = began + START_OVER * number / count;
            tokio::spawn(async move { drive(agent, start, ends).await })
        })
        .collect();
    sleep_until(began + START_OVER + SETTLE).await;
    let (cpu, at) = (cpu_seconds(server.id())?, Instant::now());
    sleep(MEASURE).await;
    let used = cpu_seconds(server.id())? - cpu;
    let seconds = at.elapsed().as_secs_f64();
    let grown = resident_kib(server.id())?.saturating_sub(idle);
    let mut waiting = 0;
    for agent in agents {
        waiting = waiting.max(agent.await?);
    }
    let agents = f64::from(count);
    println!(
        "{count} agents: {:.4} % of a core and {:.3} MB each; the server {:.1} % and {} MB in all; \
         at most {waiting} chunks and beats waited for a receipt",
        100.0 * used / seconds / agents,
        f64::from(u32::try_from(grown)?) / 1_024.0 / agents,
        100.0 * used / seconds,
        (grown + idle) / 1_024,
    );
    end(&mut server)
}

/// Sends what a camera and a screen give until `ends`; returns how much waited at most.
async fn drive(mut agent: Agent, start: Instant, ends: Instant) -> usize {
    sleep_until(start).await;
    let init: Arc<[u8]> = cmaf::init().into();
    let camera: Arc<[u8]> = cmaf::chunk(&vec![1; CAMERA_BYTES], &[2; 1_500]).into();
    let screen: Arc<[u8]> = cmaf::chunk(&vec![3; SCREEN_BYTES], &[]).into();
    let mut jpeg = vec![0xff, 0xd8, 0xff];
    jpeg.resize(THUMBNAIL_BYTES, 0);
    agent.chunk("camera-0", 0, true, &init);
    agent.chunk("screen-0", 0, true, &init);
    let mut waited = 0;
    for half in 0u64.. {
        agent.chunk("camera-0", half * 500_000, half % 4 == 0, &camera);
        if half % 2 == 0 {
            agent.chunk("screen-0", half * 500_000, half % 20 == 0, &screen);
            agent.thumbnail("camera-0", jpeg.clone());
            agent.thumbnail("screen-0", jpeg.clone());
            agent.beat();
        }
        agent.run(Duration::from_millis(500)).await;
        waited = waited.max(agent.sender.waiting());
        if Instant::now() >= ends {
            break;
        }
    }
    waited
}

async fn ready(folder: &Path) -> anyhow::Result<(Place, Vec<Provision>)> {
    for _ in 0..600 {
        if let Ok(text) = std::fs::read(folder.join("ready")) {
            return Ok(serde_json::from_slice(&text)?);
        }
        sleep(Duration::from_millis(200)).await;
    }
    anyhow::bail!("the server did not start")
}

/// The same bytes over RTMP: no TLS, no hashes, no signatures, recorded to disk.
async fn nginx() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(path("recorded"))?;
    let sample = path("sample.flv");
    let made = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=640x480:rate=15",
        ])
        .args([
            "-f",
            "lavfi",
            "-i",
            "anoisesrc=amplitude=0.1:sample_rate=44100",
            "-t",
            "20",
        ])
        .args(["-c:v", "libx264", "-preset", "veryfast", "-g", "30"])
        .args(["-b:v", "276k", "-maxrate", "276k", "-bufsize", "276k"])
        .args(["-c:a", "aac", "-b:a", "24k", "-ac", "1"])
        .arg(&sample)
        .status()
        .context("ffmpeg")?;
    anyhow::ensure!(made.success(), "ffmpeg made no sample");
    let port = std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port();
    std::fs::write(path("nginx.conf"), nginx_conf(&path("recorded"), port))?;
    let mut nginx = Command::new("nginx")
        .arg("-p")
        .arg(folder.path())
        .arg("-c")
        .arg(path("nginx.conf"))
        .stderr(Stdio::null())
        .spawn()
        .context("nginx")?;
    sleep(Duration::from_secs(1)).await;
    let publishers: Vec<Child> = (0..RTMP_STREAMS)
        .map(|number| publish(&sample, port, number))
        .collect::<Result<_, _>>()?;
    sleep(SETTLE).await;
    let (cpu, at) = (cpu_seconds(nginx.id())?, Instant::now());
    sleep(MEASURE).await;
    let used = cpu_seconds(nginx.id())? - cpu;
    let share = 100.0 * used / at.elapsed().as_secs_f64();
    println!(
        "nginx-rtmp, {RTMP_STREAMS} streams of 300 kbit/s, no TLS, no checks: {:.4} % of a core each",
        share / f64::from(RTMP_STREAMS)
    );
    for mut publisher in publishers {
        publisher.kill()?;
        publisher.wait()?;
    }
    nginx.kill()?;
    nginx.wait()?;
    Ok(())
}

fn publish(sample: &Path, port: u16, number: u32) -> std::io::Result<Child> {
    Command::new("ffmpeg")
        .args(["-v", "quiet", "-re", "-stream_loop", "-1", "-i"])
        .arg(sample)
        .args(["-c", "copy", "-f", "flv"])
        .arg(format!("rtmp://127.0.0.1:{port}/live/s{number}"))
        .stdin(Stdio::null())
        .spawn()
}

fn nginx_conf(recorded: &Path, port: u16) -> String {
    let recorded = recorded.display();
    format!(
        "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;\n\
         daemon off; master_process off; user root; pid nginx.pid; error_log /dev/null;\n\
         events {{ worker_connections 4096; }}\n\
         rtmp {{ server {{ listen 127.0.0.1:{port}; application live {{ live on; record all; \
         record_path {recorded}; }} }} }}\n"
    )
}

fn end(server: &mut Child) -> anyhow::Result<()> {
    drop(server.stdin.take());
    server.wait()?;
    Ok(())
}

fn proc_file(pid: u32, name: &str) -> anyhow::Result<String> {
    let path = PathBuf::from(format!("/proc/{pid}/{name}"));
    Ok(std::fs::read_to_string(path)?)
}

/// Returns the processor time that a process has used.
fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = proc_file(pid, "stat")?;
    let (_, fields) = stat.rsplit_once(')').context("no stat")?;
    let ticks: Vec<u32> = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    Ok(f64::from(ticks.iter().sum::<u32>()) / TICKS_PER_SECOND)
}

fn resident_kib(pid: u32) -> anyhow::Result<u64> {
    let status = proc_file(pid, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.context("no VmRSS")?.trim().trim_end_matches(" kB");
    Ok(kib.parse()?)
}

/// 2 × 13.5 kB of camera and sound, 6 kB of screen, 2 × 2.5 kB of thumbnails.
const KBIT: u32 = 300;
const CAMERA_BYTES: usize = 12_000;
const SCREEN_BYTES: usize = 5_500;
const THUMBNAIL_BYTES: usize = 2_500;
const START_OVER: Duration = Duration::from_secs(8);
const SETTLE: Duration = Duration::from_secs(4);
const MEASURE: Duration = Duration::from_secs(20);
const RTMP_STREAMS: u32 = 40;
const TICKS_PER_SECOND: f64 = 100.0;
