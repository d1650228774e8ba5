//! Hostile sign-ins as fast as one core sends them, and candidates who sign in meanwhile.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use qorgan_protocol::crypto::{self, Signer as _};
use qorgan_protocol::ids::BootId;
use qorgan_protocol::wire::{ChallengeReply, DeviceProof, Hex, ServerHello, SignInRequest};
use qorgan_server::state::AppState;
use qorgan_signing::{Keys, Ring};
use qorgan_store::people::{self, NewPerson};

#[path = "../common/memory.rs"]
mod memory;

use memory::rss_kib;

/// Whose `X-Forwarded-For` the server believes: so the flood comes from anywhere.
pub(crate) const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const PASSWORD: &str = "a password of the bench";

/// Where the server is.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) origin: String,
    pub(crate) ca_pem: String,
    /// The server's process.
    pub(crate) pid: u32,
    /// Over how many connections the flood comes.
    pub(crate) connections: u32,
}

/// From where the flood comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flood {
    None,
    OneAddress,
    One64,
}

/// What was measured.
#[derive(Debug)]
pub(crate) struct Measured {
    /// How long each first sign-in took, with its challenge, shortest first.
    pub(crate) strangers: Vec<Duration>,
    /// How long each later one on the same device took.
    pub(crate) known: Vec<Duration>,
    /// How often a candidate was told to come again, which is in the time above.
    pub(crate) told_to_wait: u64,
    pub(crate) hostile: u64,
    pub(crate) rss_kib: (u64, u64),
}

pub(crate) fn at(sorted: &[Duration], percent: usize) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get(last * percent / 100)
        .copied()
        .unwrap_or_default()
}

/// Makes `count` candidates with one password.
pub(crate) async fn provision(state: &AppState, count: u32) -> anyhow::Result<()> {
    let hash = state.auth.hash_password(PASSWORD).await?;
    let mut tx = state.store.begin().await?;
    for number in 0..count {
        let person = NewPerson {
            login: login(number),
            display_name: "Test".to_owned(),
            language: "kk".to_owned(),
            ..NewPerson::default()
        };
        let at = state.clock.wall();
        let person = people::put_person(&mut tx, &state.keys, at, &person).await?;
        state
            .auth
            .put_credentials(&mut tx, person, &hash, false)
            .await?;
    }
    tx.commit().await?;
    Ok(())
}

fn login(number: u32) -> String {
    format!("candidate-{number}")
}

/// Floods, and signs `candidates` in, each twice and from an address of its own, one every `gap`.
pub(crate) async fn measure(
    target: &Target,
    flood: Flood,
    candidates: std::ops::Range<u32>,
    gap: Duration,
) -> anyhow::Result<Measured> {
    let before = rss_kib(target.pid)?;
    let stop = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicU64::new(0));
    let flooding = match flood {
        Flood::None => None,
        Flood::OneAddress | Flood::One64 => {
            let (target, stop, sent) = (target.clone(), Arc::clone(&stop), Arc::clone(&sent));
            Some(std::thread::spawn(move || {
                hostile(&target, flood, &stop, &sent)
            }))
        }
    };
    // The flood stands before anybody comes.
    tokio::time::sleep(gap * 10).await;
    let mut tasks = Vec::new();
    for number in candidates {
        let target = target.clone();
        tasks.push(tokio::spawn(async move {
            candidate(&target, number, gap * 5).await
        }));
        tokio::time::sleep(gap).await;
    }
    let (mut strangers, mut known, mut told_to_wait) = (Vec::new(), Vec::new(), 0);
    for task in tasks {
        let (first, again, waits) = task.await??;
        strangers.push(first);
        known.push(again);
        told_to_wait += waits;
    }
    stop.store(true, Ordering::Relaxed);
    if let Some(flooding) = flooding
        && flooding.join().is_err()
    {
        bail!("the flood panicked");
    }
    strangers.sort_unstable();
    known.sort_unstable();
    Ok(Measured {
        strangers,
        known,
        told_to_wait,
        hostile: sent.load(Ordering::Relaxed),
        rss_kib: (before, rss_kib(target.pid)?),
    })
}

/// Signs a candidate in, twice; returns how long each took and how often it was told to wait.
async fn candidate(
    target: &Target,
    number: u32,
    pause: Duration,
) -> anyhow::Result<(Duration, Duration, u64)> {
    let [_, _, high, low] = number.to_be_bytes();
    let address = IpAddr::V4(Ipv4Addr::new(127, 1, high, low));
    let (keys, _pkcs8) = Keys::generate()?;
    let mut waits = 0;
    let mut took = [Duration::ZERO; 2];
    for took in &mut took {
        let http = client(target, address)?;
        let began = Instant::now();
        loop {
            match sign_in(target, &http, &keys, &login(number)).await? {
                None => break,
                Some(wait) => {
                    waits += 1;
                    ensure!(waits < 20, "told to wait for ever");
                    tokio::time::sleep(wait).await;
                }
            }
        }
        *took = began.elapsed();
        tokio::time::sleep(pause).await;
    }
    let [first, again] = took;
    Ok((first, again, waits))
}

/// Returns none once signed in, or how long to wait.
async fn sign_in(
    target: &Target,
    http: &reqwest::Client,
    keys: &Keys,
    login: &str,
) -> anyhow::Result<Option<Duration>> {
    let url = |path: &str| format!("{}/api/v1/{path}", target.origin);
    let hello: ServerHello = http.get(url("hello")).send().await?.json().await?;
    let challenge: ChallengeReply = http.post(url("challenge")).send().await?.json().await?;
    let proof = DeviceProof {
        nonce: challenge.nonce.0.try_into().ok().context("a nonce")?,
        device_key: keys.public_key(),
        boot: BootId([1; 16]),
        instance: [2; 16],
    };
    let proof = crypto::sign(keys, &Ring, hello.institution, &proof)?;
    let body = SignInRequest {
        login: login.to_owned(),
        password: PASSWORD.to_owned(),
        device_key: Hex(keys.public_key().0.to_vec()),
        proof: proof.into(),
        client_version: "bench".to_owned(),
        system: "linux".to_owned(),
    };
    let reply = http.post(url("sign-in")).json(&body).send().await?;
    match reply.status().as_u16() {
        200 => Ok(None),
        429 | 503 => {
            let wait = reply.headers().get("retry-after");
            let wait = wait.and_then(|value| value.to_str().ok()?.parse().ok());
            Ok(Some(Duration::from_secs(wait.context("no Retry-After")?)))
        }
        other => bail!("status {other}: {}", reply.text().await?),
    }
}

/// Sends wrong sign-ins to the console from one thread until told to stop.
fn hostile(target: &Target, flood: Flood, stop: &AtomicBool, sent: &AtomicU64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return;
    };
    let from = match flood {
        Flood::None | Flood::OneAddress => Ipv4Addr::new(127, 0, 0, 2),
        Flood::One64 => PROXY,
    };
    let Ok(http) = client(target, IpAddr::V4(from)) else {
        return;
    };
    let url = format!("{}/console/sign-in", target.origin);
    let connections = (0..target.connections).map(|_| async {
        while !stop.load(Ordering::Relaxed) {
            let number = sent.fetch_add(1, Ordering::Relaxed);
            // Each a login of its own: no count of an account holds it up.
            let body = format!("login=victim-{number}&password=wrong-{number}&code=123456");
            let asked = http
                .post(&url)
                .header("content-type", "application/x-www-form-urlencoded")
                .header(
                    "x-forwarded-for",
                    format!("2001:db8:1:2::{:x}", number & 0xffff),
                )
                .body(body);
            if let Ok(reply) = asked.send().await {
                reply.bytes().await.ok();
            }
        }
    });
    runtime.block_on(futures_util::future::join_all(connections));
}

fn client(target: &Target, from: IpAddr) -> anyhow::Result<reqwest::Client> {
    // Another caller of this process may have been first, which is as good.
    let _first = rustls::crypto::ring::default_provider().install_default();
    let ca = reqwest::Certificate::from_pem(target.ca_pem.as_bytes())?;
    Ok(reqwest::Client::builder()
        .tls_certs_only([ca])
        .no_proxy()
        .local_address(from)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .build()?)
}
