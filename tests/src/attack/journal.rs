//! A journal of responses, and the items that they are to.

use std::time::Duration;

use anyhow::{Context as _, Result};
use qorgan_protocol::assessment::{Response, ResponseEntry, ResponseSeq};
use qorgan_protocol::codec;
use qorgan_protocol::crypto::{Hasher as _, Sha256};
use qorgan_protocol::ids::{AttemptId, Epoch, ItemId};
use qorgan_protocol::time::{Now, WallTime};
use qorgan_signing::Ring;
use serde_json::{Value, json};

use super::wire::{Client, Reply};

/// A journal of responses.
pub(super) struct Journal {
    pub(super) attempt: AttemptId,
    pub(super) epoch: Epoch,
    pub(super) next: u64,
    head: Sha256,
}

impl Journal {
    pub(super) const fn new(attempt: AttemptId, epoch: Epoch) -> Self {
        Self {
            attempt,
            epoch,
            next: 0,
            head: Sha256::ZERO,
        }
    }

    pub(super) fn entry(&self, item: ItemId, lease_left_ms: i64) -> ResponseEntry {
        ResponseEntry {
            attempt: self.attempt,
            epoch: self.epoch,
            seq: ResponseSeq(self.next),
            item,
            response: Response::choices(Vec::new()),
            flagged: true,
            at: Now::default(),
            lease_left_ms,
            previous: self.head,
        }
    }

    /// Delivers the next entry, and goes on from it where it is taken.
    pub(super) async fn give(&mut self, client: &Client, item: ItemId, left_ms: i64) -> Reply {
        let entry = self.entry(item, left_ms);
        let body = json!({ "epoch": self.epoch, "entries": [hex_of(&entry)] });
        let reply = client.post(self.attempt, "responses", &body).await;
        if reply.status == 200 {
            let bytes = codec::encode("response entry", &entry).unwrap_or_default();
            self.head = Ring.sha256(&[&bytes]);
            self.next += 1;
        }
        reply
    }
}

pub(super) fn hex_of(entry: &ResponseEntry) -> String {
    hex::encode(codec::encode("response entry", entry).unwrap_or_default())
}

/// Returns the items of an attempt that has a lease.
pub(super) async fn items(client: &Client, attempt: AttemptId) -> Result<Vec<ItemId>> {
    let mut reply = client.get(attempt, "items").await;
    for _ in 0..ITEMS_TRIES {
        if reply.code() != "covered" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        reply = client.get(attempt, "items").await;
    }
    let slots = reply.body["items"].as_array();
    let slots = slots.with_context(|| format!("no items: {}", reply.short()))?;
    let id = |slot: &Value| Ok(serde_json::from_value(slot["id"].clone())?);
    slots.iter().map(id).collect()
}

pub(super) fn nobodys() -> ItemId {
    ItemId::new(WallTime::from_unix_ms(1), [9; 10])
}

/// A busy machine may cover an attempt for a moment.
const ITEMS_TRIES: usize = 60;
