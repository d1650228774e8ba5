//! Where a request of a sequence goes, and what it carries.

use qorgan_protocol::assessment::ResponseSeq;
use qorgan_protocol::crypto::Sha256;
use qorgan_protocol::ids::{Epoch, ItemId};
use serde_json::{Value, json};

use super::journal::{Journal, hex_of, nobodys};
use super::ops::{Op, Random, Shape, What};
use super::wire::{check_in_body, system_check};

pub(super) fn place(op: Op) -> (&'static str, String) {
    let path = |path: &str| path.to_owned();
    match op.what {
        What::Exams => ("GET", path("/api/v1/my/exams")),
        What::View => match op.shape {
            Shape::Wild => ("GET", format!("view?after={}&wait_ms=1", op.wild)),
            Shape::Good
            | Shape::Empty
            | Shape::Truncated
            | Shape::OtherType
            | Shape::Deep
            | Shape::Large => ("GET", path("view")),
        },
        What::Items => ("GET", path("items")),
        What::Item => ("GET", format!("items/{}", op.wild % 24)),
        What::Picture => (
            "GET",
            format!("pictures/0190b2c4-0000-7000-8000-{:012x}", op.wild >> 16),
        ),
        What::ReadBack => ("GET", path("responses")),
        What::Photo => ("GET", path("photo")),
        What::CheckIn => ("POST", path("check-in")),
        What::Consent => ("POST", path("consent")),
        What::Check => ("POST", path("system-check")),
        What::Identity => ("POST", path("identity")),
        What::Instruction => ("POST", path("instruction")),
        What::Start => ("POST", path("start")),
        What::Responses => ("POST", path("responses")),
        What::Submit => ("POST", path("submit")),
        What::Message => ("POST", path("messages")),
        What::Hand => ("POST", path("hand")),
        What::Events => ("POST", path("events")),
        What::OddMethod
        | What::Onward
        | What::Enrol
        | What::Link(_)
        | What::Silence
        | What::Sound => ("DELETE", path("view")),
    }
}

pub(super) fn bytes(op: Op, seat: (&Journal, &[ItemId])) -> Vec<u8> {
    match op.shape {
        Shape::Good => good(op, seat).to_string().into_bytes(),
        Shape::Wild => wild(op, seat).to_string().into_bytes(),
        Shape::Empty => Vec::new(),
        Shape::Truncated => {
            let mut text = good(op, seat).to_string();
            text.pop();
            text.into_bytes()
        }
        Shape::OtherType => b"\"text\"".to_vec(),
        Shape::Deep => vec![b'['; 50_000],
        Shape::Large => vec![b' '; 1_200_000],
    }
}

/// Returns a body that an honest client could send, at whatever time it comes.
fn good(op: Op, seat: (&Journal, &[ItemId])) -> Value {
    let (epoch, next) = (seat.0.epoch, seat.0.next);
    match op.what {
        What::CheckIn => check_in_body(),
        What::Consent => json!({ "version": "2026-4", "language": "kk", "agreed": true }),
        What::Check => system_check(&[]),
        What::Identity => json!({ "document": null }),
        What::Instruction => json!({ "version": "2026-1" }),
        What::Responses => json!({ "epoch": epoch, "entries": [] }),
        // Places that are never right, so that an attempt lasts.
        What::Submit => json!({ "epoch": epoch, "entries": next + 1 + op.wild % 9 }),
        What::Message => json!({ "text": format!("{}", op.wild) }),
        What::Hand => json!({ "raised": op.wild.is_multiple_of(2) }),
        What::Events => json!({ "events": [
            { "kind": "focus_lost", "ago_ms": op.wild % 5_000, "at": { "secs": 0, "nanos": 0 }, "detail": "" }] }),
        What::Onward
        | What::Exams
        | What::View
        | What::Items
        | What::Item
        | What::Picture
        | What::ReadBack
        | What::Photo
        | What::Start
        | What::Enrol
        | What::Link(_)
        | What::Silence
        | What::Sound
        | What::OddMethod => json!({}),
    }
}

/// Returns a body of the right form with values from its ends.
fn wild(op: Op, seat: (&Journal, &[ItemId])) -> Value {
    let far = [0, 1, u64::MAX, 1 << 63, 1 << 53, op.wild];
    let mut random = Random(op.wild);
    let number = random.one(&far, 0);
    let epoch = random.one(&[0, 1, 2, u32::MAX], 0);
    let long = "я".repeat(usize::try_from(op.wild % 70_000).unwrap_or_default());
    match op.what {
        What::CheckIn => json!({ "client_key": "11".repeat(31), "language": long }),
        What::Consent => json!({ "version": long, "language": "xx", "agreed": true }),
        What::Check => {
            let words = "x".repeat(300);
            let line = json!({ "check": words, "result": "ok", "detail": words });
            json!({ "lines": vec![line; usize::from(u8::try_from(op.wild % 90).unwrap_or_default())] })
        }
        What::Identity => json!({ "document": "ff".repeat(long.len()) }),
        What::Instruction => json!({ "version": long }),
        What::Responses => {
            let mut entry = seat.0.entry(nobodys(), i64::MIN);
            entry.seq = ResponseSeq(number);
            entry.epoch = Epoch(epoch);
            entry.previous = Sha256([op.wild.to_le_bytes()[0]; 32]);
            if op.wild.is_multiple_of(2) {
                entry.item = seat.1.first().copied().unwrap_or_else(nobodys);
                entry.lease_left_ms = i64::MAX;
            }
            let entries = vec![hex_of(&entry); 1 + usize::from(op.wild.to_le_bytes()[1])];
            json!({ "epoch": seat.0.epoch, "entries": entries })
        }
        What::Submit => json!({ "epoch": epoch, "entries": number.max(1 << 40) }),
        What::Message => json!({ "text": long }),
        What::Hand => json!({ "raised": number }),
        What::Events => json!({ "events": [{ "kind": "measure_failed", "ago_ms": number,
            "at": { "secs": number, "nanos": 0 }, "detail": long }] }),
        What::Onward
        | What::Exams
        | What::View
        | What::Items
        | What::Item
        | What::Picture
        | What::ReadBack
        | What::Photo
        | What::Start
        | What::Enrol
        | What::Link(_)
        | What::Silence
        | What::Sound
        | What::OddMethod => json!({}),
    }
}
