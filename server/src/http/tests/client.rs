//! A client that signs each of its requests.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use qorgan_protocol::attempt::CheckName;
use qorgan_protocol::crypto::{self, Hasher as _};
use qorgan_protocol::ids::{AttemptId, InstitutionId};
use qorgan_protocol::wire::{
    CheckInReply, PROOF_HEADER, PROOF_NONCE_HEADER, RequestProof, proof_header,
};
use qorgan_signing::{Keys, Ring};
use serde_json::{Value, json};

use super::harness::{Device, World};

/// A signed-in client.
pub(super) struct Client {
    http: reqwest::Client,
    origin: String,
    institution: InstitutionId,
    pub(super) keys: Keys,
    pub(super) token: String,
    number: AtomicU64,
    nonce: Mutex<[u8; 16]>,
}

impl Client {
    pub(super) fn new(world: &World, device: &Device, token: String) -> Self {
        Self {
            http: world.http.clone(),
            origin: world.origin.clone(),
            institution: world.state.institution(),
            keys: device.cloned().keys,
            token,
            number: AtomicU64::new(0),
            nonce: Mutex::default(),
        }
    }

    /// Leads a client of the server before a restart to this one.
    pub(super) fn lead(&mut self, world: &World) {
        self.http = world.http.clone();
        self.origin.clone_from(&world.origin);
    }

    pub(super) async fn get(&self, attempt: AttemptId, path: &str) -> (u16, Value) {
        self.send("GET", &target(attempt, path), None).await
    }

    pub(super) async fn post(&self, attempt: AttemptId, path: &str, body: &Value) -> (u16, Value) {
        self.send("POST", &target(attempt, path), Some(body)).await
    }

    pub(super) async fn exams(&self) -> Value {
        self.send("GET", "/api/v1/my/exams", None).await.1
    }

    /// Returns the status of a request that every signed-in client may make.
    pub(super) async fn status(&self) -> u16 {
        self.send("GET", "/api/v1/my/exams", None).await.0
    }

    /// Returns the header's value for a request, under the next number.
    pub(super) fn proof(&self, method: &str, target: &str, body: &[u8]) -> String {
        let proof = RequestProof {
            token: Ring.sha256(&[self.token.as_bytes()]),
            nonce: *self.nonce.lock().expect("no panic"),
            number: self.number.fetch_add(1, Ordering::Relaxed),
            method: method.to_owned(),
            target: target.to_owned(),
            body: Ring.sha256(&[body]),
        };
        let signed = crypto::sign(&self.keys, &Ring, self.institution, &proof);
        proof_header(&signed.expect("writable"))
    }

    /// Sends a request with this very header.
    pub(super) async fn send_with(
        &self,
        method: &str,
        target: &str,
        (body, proof): (&[u8], Option<&str>),
    ) -> reqwest::Response {
        let method = method.parse().expect("a method");
        let url = format!("{}{target}", self.origin);
        let mut request = self.http.request(method, url).bearer_auth(&self.token);
        if let Some(proof) = proof {
            request = request.header(PROOF_HEADER, proof);
        }
        if !body.is_empty() {
            let json = "application/json";
            request = request.header("content-type", json).body(body.to_vec());
        }
        request.send().await.expect("answered")
    }

    pub(super) async fn check_in(&self, attempt: AttemptId) -> CheckInReply {
        let (status, reply) = self.try_check_in(attempt).await;
        assert_eq!(status, 200, "{reply}");
        serde_json::from_value(reply).expect("a reply")
    }

    pub(super) async fn try_check_in(&self, attempt: AttemptId) -> (u16, Value) {
        let body = json!({ "client_key": "11".repeat(32), "language": "kk" });
        self.post(attempt, "check-in", &body).await
    }

    pub(super) async fn tasks(&self, attempt: AttemptId) {
        self.tasks_with(attempt, &checked(&[])).await;
    }

    pub(super) async fn tasks_with(&self, attempt: AttemptId, check: &Value) {
        let consent = json!({ "version": "2026-4", "language": "kk", "agreed": true });
        let (status, reply) = self.post(attempt, "consent", &consent).await;
        assert_eq!(status, 200, "{reply}");
        for (path, body) in [
            ("system-check", check.clone()),
            ("identity", json!({ "document": null })),
            ("instruction", json!({ "version": "2026-1" })),
        ] {
            let (status, reply) = self.post(attempt, path, &body).await;
            assert_eq!(status, 204, "{reply}");
        }
    }

    async fn send(&self, method: &str, target: &str, body: Option<&Value>) -> (u16, Value) {
        let body = body.map(Value::to_string).unwrap_or_default().into_bytes();
        loop {
            let proof = self.proof(method, target, &body);
            let response = self.send_with(method, target, (&body, Some(&proof))).await;
            if let Some(nonce) = response.headers().get(PROOF_NONCE_HEADER) {
                let nonce = hex::decode(nonce.as_bytes()).expect("hexadecimal");
                *self.nonce.lock().expect("no panic") = nonce.try_into().expect("16 bytes");
                continue;
            }
            let status = response.status().as_u16();
            let bytes = response.bytes().await.expect("a body");
            let reply = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            return (status, reply);
        }
    }
}

pub(super) fn target(attempt: AttemptId, path: &str) -> String {
    format!("/api/v1/attempts/{attempt}/{path}")
}

/// A whole system check in order, but for these lines.
pub(super) fn checked(but: &[(&str, &str, &str)]) -> Value {
    let lines = CheckName::ALL.map(|check| {
        let word = check.word();
        let told = but.iter().find(|(name, ..)| *name == word);
        let (_, result, detail) = told.copied().unwrap_or((word, "ok", ""));
        json!({ "check": word, "result": result, "detail": detail })
    });
    json!({ "lines": lines })
}
