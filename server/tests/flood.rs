//! A short form of the bench `sign_in_flood`: somebody floods the sign-in, candidates get in.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

#[expect(dead_code, unused_imports, reason = "other tests use the rest")]
mod common;
#[expect(dead_code, reason = "the bench prints more than is judged here")]
#[path = "../examples/sign_in_flood/flood.rs"]
mod flood;

use std::time::Duration;

use common::Server;
use flood::{Flood, Target, at, measure, provision};
use qorgan_base::config::Config;

#[tokio::test(flavor = "multi_thread")]
async fn candidates_sign_in_while_one_address_or_one_64_floods_the_sign_in() {
    if !std::path::Path::new("/proc/self/status").exists() {
        return; // the loopback of other systems has one address
    }
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let config = Config {
        trusted_proxies: vec![flood::PROXY.into()],
        ..Config::default()
    };
    let server = Server::start_with(&data, config).await;
    provision(&server.state, 30).await.expect("stored");
    let target = Target {
        origin: format!("https://localhost:{}", server.place.address.port()),
        ca_pem: server.state.keys.ca_pem().to_owned(),
        pid: std::process::id(),
        connections: 64,
    };
    let mut held = None;
    let gap = Duration::from_millis(100);
    let calm = measure(&target, Flood::None, 20..30, gap).await;
    let calm = at(&calm.expect("all signed in").strangers, 95);
    // A machine that is busy with something else is slow by itself.
    let allowed = Duration::from_secs(2).max(calm * 2);
    for (flood, candidates) in [(Flood::OneAddress, 0..10), (Flood::One64, 10..20)] {
        let measured = measure(&target, flood, candidates, gap).await;
        let measured = measured.expect("all signed in");
        assert!(measured.hostile > 50, "{measured:?}");
        for times in [&measured.strangers, &measured.known] {
            assert!(at(times, 95) <= allowed, "{measured:?}");
        }
        // Client and server are one process here, and the first round fills its pools.
        let (_before, after) = measured.rss_kib;
        let grown = after.saturating_sub(held.unwrap_or(after));
        assert!(grown < 64 * 1024, "{measured:?}");
        held = Some(after);
    }
    server.stop().await;
}
