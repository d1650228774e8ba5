//! A hostile client: a machine with keys, a token, and requests that may lie in every part.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use qorgan_protocol::attempt::CheckName;
use qorgan_protocol::crypto::{self, Hasher as _, PublicKey, Signer as _};
use qorgan_protocol::ids::{AttemptId, BootId, Epoch, InstitutionId};
use qorgan_protocol::limits::IDLE_KEPT_SECONDS;
use qorgan_protocol::wire::{
    AgentGrant, CheckInReply, DeviceProof, EnrolProof, Hex, PROOF_HEADER, PROOF_NONCE_HEADER,
    RequestProof, ServerHello, SignedHex, nonce_of, proof_header,
};
use qorgan_signing::{Keys, Ring};
use reqwest::ClientBuilder;
use serde_json::{Value, json};

/// The server under attack.
#[derive(Debug, Clone)]
pub(super) struct Site {
    pub(super) http: reqwest::Client,
    pub(super) origin: String,
    pub(super) ca_pem: String,
    pub(super) institution: InstitutionId,
    pub(super) server_key: PublicKey,
    pub(super) watch: Arc<Watch>,
}

/// What every reply is held against.
#[derive(Debug, Default)]
pub(super) struct Watch {
    replies: AtomicU64,
    faults: Mutex<Vec<String>>,
}

impl Watch {
    /// Counts a reply; a 5xx is a fault unless the queue or the disk is said to be full.
    fn see(&self, what: &str, reply: &Reply) {
        self.replies.fetch_add(1, Ordering::Relaxed);
        let told = match reply.status {
            503 => reply.retry_after.is_some(),
            507 => true,
            status => status < 500,
        };
        if !told {
            self.fault(format!("{what} was answered by {}", reply.short()));
        }
    }

    pub(super) fn fault(&self, fault: String) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.len() < FAULTS_MAX {
            faults.push(fault);
        }
    }

    pub(super) fn take_faults(&self) -> Vec<String> {
        std::mem::take(&mut *self.faults.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn replies(&self) -> u64 {
        self.replies.load(Ordering::Relaxed)
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    /// 0 where the connection ended without a reply.
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) retry_after: Option<String>,
    nonce: Option<[u8; 16]>,
}

impl Reply {
    pub(super) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    pub(super) fn short(&self) -> String {
        let (code, detail) = (self.code(), self.body["detail"].as_str());
        format!("{} {code} {}", self.status, detail.unwrap_or_default())
    }

    pub(super) fn is_refused(&self) -> bool {
        self.status >= 400 || self.status == 0
    }
}

impl Site {
    /// Asks a server who it is.
    pub(super) async fn reach(origin: &str, ca_pem: &str) -> Result<Self> {
        // A connection of each request's own: the server closes one after a body that it refused,
        // and the next request over it would be taken for a fault.
        Self::over(origin, ca_pem, |http| http.pool_max_idle_per_host(0)).await
    }

    /// Returns the same server over connections that are kept as the kiosk keeps them.
    pub(super) async fn kept(&self) -> Result<Self> {
        let idle = Duration::from_secs(IDLE_KEPT_SECONDS);
        let kept = |http: ClientBuilder| http.pool_idle_timeout(idle);
        Ok(Self {
            watch: Arc::clone(&self.watch),
            ..Self::over(&self.origin, &self.ca_pem, kept).await?
        })
    }

    async fn over(
        origin: &str,
        ca_pem: &str,
        connections: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<Self> {
        // Another one of this process may have been first, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let ca = reqwest::Certificate::from_pem(ca_pem.as_bytes())?;
        let http = reqwest::Client::builder()
            .tls_certs_only([ca])
            .no_proxy()
            .timeout(REPLY_LIMIT);
        let http = connections(http).build()?;
        let hello = http.get(format!("{origin}/api/v1/hello")).send().await?;
        let hello: ServerHello = hello.error_for_status()?.json().await?;
        Ok(Self {
            http,
            origin: origin.to_owned(),
            ca_pem: ca_pem.to_owned(),
            institution: hello.institution,
            server_key: PublicKey(<[u8; 32]>::try_from(hello.server_key.0.as_slice())?),
            watch: Arc::default(),
        })
    }

    /// Returns connections that follow no redirection, as the console's forms need them.
    pub(super) fn browser(&self) -> Result<reqwest::Client> {
        let ca = reqwest::Certificate::from_pem(self.ca_pem.as_bytes())?;
        let http = reqwest::Client::builder()
            .tls_certs_only([ca])
            .no_proxy()
            .timeout(REPLY_LIMIT)
            .redirect(reqwest::redirect::Policy::none());
        Ok(http.build()?)
    }

    /// Sends a request as it is; a connection that ends is a reply of status 0.
    pub(super) async fn send(&self, what: &str, request: reqwest::RequestBuilder) -> Reply {
        let reply = match request.send().await {
            Ok(response) => read(response).await,
            Err(error) => Reply {
                status: 0,
                body: json!({ "detail": format!("{error:?}").chars().take(200).collect::<String>() }),
                retry_after: None,
                nonce: None,
            },
        };
        self.watch.see(what, &reply);
        reply
    }

    /// Posts without a token.
    pub(super) async fn post_bare(&self, path: &str, body: Vec<u8>) -> Reply {
        let request = self.http.post(format!("{}{path}", self.origin));
        let request = request.header("content-type", "application/json");
        self.send(path, request.body(body)).await
    }

    pub(super) async fn challenge(&self) -> Result<[u8; 32]> {
        let reply = self.post_bare("/api/v1/challenge", Vec::new()).await;
        let nonce = reply.body["nonce"].as_str().context("a nonce")?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(nonce, &mut bytes).context("32 bytes")?;
        Ok(bytes)
    }

    /// Signs in on a machine with a proof of this nonce.
    pub(super) async fn try_sign_in(
        &self,
        machine: &Machine,
        (login, password): (&str, &str),
        nonce: [u8; 32],
    ) -> Result<Reply> {
        let proof = DeviceProof {
            nonce,
            device_key: machine.keys.public_key(),
            boot: machine.boot,
            instance: machine.instance,
        };
        let signed: SignedHex =
            crypto::sign(&machine.keys, &Ring, self.institution, &proof)?.into();
        let body = json!({
            "login": login, "password": password, "device_key": machine.public(), "proof": signed,
            "client_version": "0.1.0", "system": "linux",
        });
        let body = body.to_string().into_bytes();
        Ok(self.post_bare("/api/v1/sign-in", body).await)
    }

    /// Signs in as a candidate does, and waits as told where the queue is full.
    pub(super) async fn sign_in(&self, machine: Machine, account: (&str, &str)) -> Result<Client> {
        for _ in 0..SIGN_IN_TRIES {
            let nonce = self.challenge().await?;
            let reply = self.try_sign_in(&machine, account, nonce).await?;
            if reply.status == 503 {
                tokio::time::sleep(Duration::from_secs(2)).await;
                continue;
            }
            let Some(token) = reply.body["token"].as_str() else {
                bail!("{} did not sign in: {}", account.0, reply.short());
            };
            return Client::new(self, machine, token.to_owned());
        }
        bail!("{} was told to wait for too long", account.0)
    }
}

async fn read(response: reqwest::Response) -> Reply {
    let header = |name: &str| response.headers().get(name).cloned();
    let retry_after = header("retry-after").and_then(|value| Some(value.to_str().ok()?.to_owned()));
    let nonce = header(PROOF_NONCE_HEADER).and_then(|value| nonce_of(value.as_bytes()));
    let status = response.status().as_u16();
    let bytes = response.bytes().await.unwrap_or_default();
    Reply {
        status,
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        retry_after,
        nonce,
    }
}

/// A machine with its lasting key.
pub(super) struct Machine {
    pub(super) keys: Keys,
    pkcs8: Vec<u8>,
    pub(super) boot: BootId,
    instance: [u8; 16],
}

impl Machine {
    pub(super) fn new() -> Result<Self> {
        let (keys, pkcs8) = Keys::generate()?;
        Ok(Self {
            keys,
            pkcs8,
            boot: BootId(qorgan_signing::random()?),
            instance: qorgan_signing::random()?,
        })
    }

    /// The client started again on the same machine.
    pub(super) fn restarted(&self) -> Result<Self> {
        Ok(Self {
            keys: Keys::from_pkcs8(&self.pkcs8)?,
            pkcs8: self.pkcs8.clone(),
            boot: self.boot,
            instance: qorgan_signing::random()?,
        })
    }

    fn public(&self) -> Hex {
        Hex(self.keys.public_key().0.to_vec())
    }
}

/// How the proof of a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    Good,
    Absent,
    Garbage,
    Replayed,
    OtherKey,
    OtherTarget,
    OtherBody,
    OtherMethod,
    OldNumber,
}

impl Proof {
    pub(super) const WRONG: [Self; 8] = [
        Self::Absent,
        Self::Garbage,
        Self::Replayed,
        Self::OtherKey,
        Self::OtherTarget,
        Self::OtherBody,
        Self::OtherMethod,
        Self::OldNumber,
    ];
}

/// A signed-in client.
pub(super) struct Client {
    pub(super) site: Site,
    pub(super) machine: Machine,
    pub(super) token: String,
    stranger: Keys,
    number: AtomicU64,
    nonce: Mutex<[u8; 16]>,
    /// The newest good proof and its number.
    used: Mutex<(String, u64)>,
}

impl Client {
    fn new(site: &Site, machine: Machine, token: String) -> Result<Self> {
        Ok(Self {
            site: site.clone(),
            stranger: Keys::generate()?.0,
            machine,
            token,
            number: AtomicU64::new(0),
            nonce: Mutex::default(),
            used: Mutex::default(),
        })
    }

    /// Sends an honest request.
    pub(super) async fn ask(&self, method: &str, target: &str, body: Option<&Value>) -> Reply {
        let body = body.map(Value::to_string).unwrap_or_default().into_bytes();
        self.ask_as(method, target, (&body, &self.token, Proof::Good))
            .await
    }

    /// Sends a request with any token and any proof; takes the server's nonce as a client does.
    pub(super) async fn ask_as(
        &self,
        method: &str,
        target: &str,
        (body, token, how): (&[u8], &str, Proof),
    ) -> Reply {
        let mut reply = self.once(method, target, (body, token, how)).await;
        if let Some(nonce) = reply.nonce {
            *self.nonce.lock().unwrap_or_else(PoisonError::into_inner) = nonce;
            reply = self.once(method, target, (body, token, how)).await;
        }
        reply
    }

    async fn once(
        &self,
        method: &str,
        target: &str,
        (body, token, how): (&[u8], &str, Proof),
    ) -> Reply {
        let url = format!("{}{target}", self.site.origin);
        let Ok(name) = method.parse::<reqwest::Method>() else {
            return self.site.post_bare(target, Vec::new()).await;
        };
        let mut request = self.site.http.request(name, url).bearer_auth(token);
        let proof = self.proof(method, target, (body, token, how));
        if let Some((header, _number)) = &proof {
            request = request.header(PROOF_HEADER, header);
        }
        if !body.is_empty() {
            let json = "application/json";
            request = request.header("content-type", json).body(body.to_vec());
        }
        let reply = self.site.send(&format!("{method} {target}"), request).await;
        // A number that never came to the route's own code, as with a method that the route does not
        // have, is not used.
        if let (Proof::Good, Some(used)) = (how, proof)
            && (200..300).contains(&reply.status)
        {
            *self.used.lock().unwrap_or_else(PoisonError::into_inner) = used;
        }
        reply
    }

    fn proof(
        &self,
        method: &str,
        target: &str,
        (body, token, how): (&[u8], &str, Proof),
    ) -> Option<(String, u64)> {
        let mut proof = RequestProof {
            token: Ring.sha256(&[token.as_bytes()]),
            nonce: *self.nonce.lock().unwrap_or_else(PoisonError::into_inner),
            number: self.number.fetch_add(1, Ordering::Relaxed),
            method: method.to_owned(),
            target: target.to_owned(),
            body: Ring.sha256(&[body]),
        };
        let mut keys = &self.machine.keys;
        match how {
            Proof::Good => {}
            Proof::Absent => return None,
            Proof::Garbage => return Some(("00ff.00ff".to_owned(), 0)),
            Proof::Replayed => {
                let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
                return Some(used.clone());
            }
            Proof::OtherKey => keys = &self.stranger,
            Proof::OtherTarget => proof.target.push('0'),
            Proof::OtherBody => proof.body = Ring.sha256(&[b"another"]),
            Proof::OtherMethod => "PATCH".clone_into(&mut proof.method),
            Proof::OldNumber => {
                let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
                if used.0.is_empty() {
                    return Some(("00ff.00ff".to_owned(), 0));
                }
                proof.number = used.1;
            }
        }
        let signed = crypto::sign(keys, &Ring, self.site.institution, &proof).ok()?;
        Some((proof_header(&signed), proof.number))
    }

    pub(super) async fn get(&self, attempt: AttemptId, path: &str) -> Reply {
        self.ask("GET", &target(attempt, path), None).await
    }

    pub(super) async fn post(&self, attempt: AttemptId, path: &str, body: &Value) -> Reply {
        self.ask("POST", &target(attempt, path), Some(body)).await
    }

    /// Returns the attempts of this candidate, oldest first.
    pub(super) async fn attempts(&self) -> Result<Vec<(String, AttemptId)>> {
        let reply = self.ask("GET", "/api/v1/my/exams", None).await;
        let cards = reply.body.as_array();
        let cards = cards.with_context(|| format!("no list of exams: {reply:?}"))?;
        let mut found = Vec::new();
        for card in cards {
            let attempt: AttemptId = serde_json::from_value(card["attempt"].clone())?;
            let title = card["title"].as_str().unwrap_or_default();
            found.push((title.to_owned(), attempt));
        }
        found.sort();
        Ok(found)
    }

    /// Checks in, and does what comes before the gate; returns the agent's provision.
    pub(super) async fn check_in(&self, attempt: AttemptId) -> Result<Provision> {
        let reply = self.post(attempt, "check-in", &check_in_body()).await;
        ensure!(reply.status == 200, "check-in: {}", reply.short());
        let checked: CheckInReply = serde_json::from_value(reply.body)?;
        let consent =
            json!({ "version": checked.consent_version, "language": "kk", "agreed": true });
        let reply = self.post(attempt, "consent", &consent).await;
        ensure!(reply.status == 200, "consent: {}", reply.short());
        let token = reply.body["agent_token"].as_str().context("a token")?;
        let instruction = json!({ "version": checked.instruction_version });
        for (path, body) in [
            ("system-check", system_check(&[])),
            ("identity", json!({ "document": null })),
            ("instruction", instruction),
        ] {
            let reply = self.post(attempt, path, &body).await;
            ensure!(reply.status == 204, "{path}: {}", reply.short());
        }
        self.enrol(attempt, checked.epoch, token).await
    }

    /// Enrols an agent of this machine.
    pub(super) async fn enrol(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        token: &str,
    ) -> Result<Provision> {
        let (keys, pkcs8) = Keys::generate()?;
        let body = self.enrolment(attempt, epoch, (token, &self.machine.keys, &keys));
        let reply = self.enrol_with(token, &body.await?).await;
        ensure!(reply.status == 200, "enrolment: {}", reply.short());
        Ok(Provision {
            attempt,
            epoch,
            boot: self.machine.boot,
            token: token.to_owned(),
            pkcs8,
        })
    }

    pub(super) async fn enrol_with(&self, token: &str, body: &Value) -> Reply {
        let request = self.site.http.post(format!("{}{ENROL}", self.site.origin));
        let request = request.bearer_auth(token).json(body);
        self.site.send(ENROL, request).await
    }

    /// Makes a request to enrol whose grant is signed by any key.
    pub(super) async fn enrolment(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        (token, granter, keys): (&str, &Keys, &Keys),
    ) -> Result<Value> {
        let (boot, institution) = (self.machine.boot, self.site.institution);
        let proof = EnrolProof {
            nonce: self.site.challenge().await?,
            attempt,
            epoch,
            key: keys.public_key(),
            boot,
        };
        let grant = AgentGrant {
            token: Ring.sha256(&[token.as_bytes()]),
            attempt,
            epoch,
            boot,
        };
        let proof: SignedHex = crypto::sign(keys, &Ring, institution, &proof)?.into();
        let grant: SignedHex = crypto::sign(granter, &Ring, institution, &grant)?.into();
        Ok(json!({
            "key": Hex(keys.public_key().0.to_vec()), "proof": proof, "grant": grant,
            "agent_version": "0.1.0", "simulated_build": true,
        }))
    }
}

/// What an agent knows of its attempt.
#[derive(Debug, Clone)]
pub(super) struct Provision {
    pub(super) attempt: AttemptId,
    pub(super) epoch: Epoch,
    pub(super) boot: BootId,
    pub(super) token: String,
    pub(super) pkcs8: Vec<u8>,
}

pub(super) fn target(attempt: AttemptId, path: &str) -> String {
    format!("/api/v1/attempts/{attempt}/{path}")
}

pub(super) fn check_in_body() -> Value {
    json!({ "client_key": "11".repeat(32), "language": "kk" })
}

/// A whole system check in order, but for these lines.
pub(super) fn system_check(but: &[(&str, &str)]) -> Value {
    let lines = CheckName::ALL.map(|check| {
        let told = but.iter().find(|(name, _)| *name == check.word());
        let result = told.map_or("ok", |(_, result)| result);
        json!({ "check": check.word(), "result": result, "detail": "" })
    });
    json!({ "lines": lines })
}

const ENROL: &str = "/api/v1/agent/enrol";
const REPLY_LIMIT: Duration = Duration::from_secs(60);
const SIGN_IN_TRIES: usize = 20;
const FAULTS_MAX: usize = 200;
