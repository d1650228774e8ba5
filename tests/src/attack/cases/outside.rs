//! Strangers: sign-in and connections.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::Target;
use super::super::agent::tls;
use super::super::wire::{Machine, Proof, target};
use super::Trial;

/// Point 6: sign-in.
pub(super) async fn strangers(trial: &mut Trial<'_>, target: &Target) -> Result<()> {
    let (site, account) = (trial.site, trial.account);
    let machine = Machine::new()?;
    for (name, login, password) in [
        ("a login of 129 characters", "a".repeat(129), "x".to_owned()),
        ("a password of 801 bytes", "a".to_owned(), "x".repeat(801)),
        ("a body of 20 KiB", "a".to_owned(), "x".repeat(20_000)),
    ] {
        let nonce = site.challenge().await?;
        let reply = site
            .try_sign_in(&machine, (&login, &password), nonce)
            .await?;
        trial.code((6, "sign-in", name), "bad_request too_large", &reply);
    }
    let reply = site.try_sign_in(&machine, account, [5; 32]).await?;
    trial.refused((6, "low", "a nonce that the server never gave"), &reply);
    let nonce = site.challenge().await?;
    let first = site.try_sign_in(&machine, account, nonce).await?;
    trial.taken((6, "sign-in", "a sign-in on a second machine"), &first);
    let again = site.try_sign_in(&machine, account, nonce).await?;
    trial.refused((6, "low", "a nonce that is used twice"), &again);
    if let Some((login, password)) = &target.staff {
        let nonce = site.challenge().await?;
        let reply = site.try_sign_in(&machine, (login, password), nonce).await?;
        trial.code(
            (6, "staff", "an administrator at the candidates' door"),
            "wrong_password",
            &reply,
        );
    }
    let nobody = format!("nobody-{}", hex::encode(qorgan_signing::random::<4>()?));
    let mut told = None;
    for _ in 0..14 {
        let nonce = site.challenge().await?;
        let reply = site
            .try_sign_in(&machine, (&nobody, "wrong"), nonce)
            .await?;
        let full = reply.status == 429;
        told = Some(reply);
        if full {
            break;
        }
    }
    trial.waits(
        (6, "tries", "fourteen wrong passwords"),
        &told.context("it was asked")?,
    );
    for garbage in ["", "{", "[]", "null", "{\"login\":1}", "\"\""] {
        let name = format!("a sign-in of `{garbage}`");
        let reply = site
            .post_bare("/api/v1/sign-in", garbage.as_bytes().to_vec())
            .await;
        trial.refused((6, "sign-in", &name), &reply);
    }
    trial.bystander(6, "sign-in", "hostile sign-ins").await;
    Ok(())
}

/// Point 7: connections.
pub(super) async fn connections(trial: &mut Trial<'_>) -> Result<()> {
    let site = trial.site;
    let mut preface = tls(site).await?;
    // The server may hang up while this is being written, which is what is asked of it.
    drop(
        preface
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
            .await,
    );
    let mut said = Vec::new();
    let read = tokio::time::timeout(LONG, preface.read_to_end(&mut said)).await;
    // Frames of HTTP/2 hold zeros, words of HTTP/1 none.
    let spoken = said.contains(&0) || read.is_err();
    let came = format!("ended {}, {} bytes", read.is_ok(), said.len());
    trial.note(
        (7, "connections", "the preface of HTTP/2"),
        "the connection ends",
        (!spoken, came),
    );
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(tls(site).await?);
    }
    trial
        .bystander(7, "connections", "a hundred idle connections")
        .await;
    let mut slow = tls(site).await?;
    slow.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n")
        .await?;
    let began = Instant::now();
    let mut said = Vec::new();
    let cut = tokio::time::timeout(LONG, slow.read_to_end(&mut said)).await;
    let came = format!("{} after {} s", cut.is_ok(), began.elapsed().as_secs());
    trial.note(
        (7, "connections", "a head that never ends"),
        "cut off",
        (cut.is_ok(), came),
    );
    drop(idle);
    let large = vec![b' '; 2 * 1024 * 1024];
    let path = target(trial.bystander.attempt, "responses");
    let client = trial.client;
    let reply = client
        .ask_as("POST", &path, (&large, &client.token, Proof::Good))
        .await;
    let held = reply.is_refused();
    trial.note(
        (7, "connections", "a body of 2 MiB"),
        "refused",
        (held, reply.short()),
    );
    Ok(())
}

const LONG: Duration = Duration::from_secs(60);
