//! The HTTPS API of the server.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use qorgan_client_core::event::{Call, Failure, KeptReceipt, Reply};
use qorgan_protocol::{
    assessment::ResponseEntry,
    codec,
    crypto::{self, Hasher as _, PublicKey, Signable, SignedBytes, Signer as _},
    ids::{AttemptId, Epoch, InstitutionId},
    limits::IDLE_KEPT_SECONDS,
    local::Provision,
    wire::{
        AcceptedResponses, AgentGrant, AttemptView, ChallengeReply, CheckInReply, CheckInRequest,
        ClientEvents, ConsentReply, ConsentRequest, DeviceProof, ExamCard, Hex, IdentityRequest,
        InstructionRequest, ItemList, PROOF_HEADER, PROOF_NONCE_HEADER, Problem, RaiseHandRequest,
        ResponseReceipt, ResponsesRequest, SendMessageRequest, ServerHello, SignInReply,
        SignInRequest, StoredResponses, SubmitReply, SubmitRequest, SystemCheckRequest,
    },
};
use qorgan_signing::{Keys, Ring};
use qorgan_trust::Pinned;
use reqwest::{Method, StatusCode, header::CONTENT_TYPE};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    enrolment::EnrolmentLink,
    machine::Device,
    pictures::PictureStore,
    proofs::{Asked, Proofs},
    receipts::Receipts,
};
use crate::ui::kit::PictureKey;

/// The link to the server.
#[derive(Debug)]
pub(super) struct ServerLink {
    device: Device,
    data: PathBuf,
    pictures: Arc<Mutex<PictureStore>>,
    receipts: Receipts,
    proofs: Proofs,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    server: Option<Arc<Server>>,
    token: Option<Token>,
    attempt: Option<Arc<Attempt>>,
    /// A receipt that the window does not know of yet.
    receipt: Option<KeptReceipt>,
}

#[derive(Debug)]
struct Server {
    http: reqwest::Client,
    origin: String,
    pinned: Option<Arc<Pinned>>,
    institution: InstitutionId,
    key: PublicKey,
}

#[derive(Clone)]
struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("‹private›")
    }
}

/// What proves this client to the agent of its attempt.
#[derive(Debug)]
pub(super) struct Attempt {
    /// Which attempt.
    pub(super) id: AttemptId,
    /// Which epoch.
    pub(super) epoch: Epoch,
    /// The client's attempt key.
    pub(super) keys: Keys,
    /// Its certificate.
    pub(super) certificate: SignedBytes,
    journal_key: [u8; 32],
}

impl ServerLink {
    pub(super) fn new(device: Device, data: PathBuf, pictures: Arc<Mutex<PictureStore>>) -> Self {
        let receipts = Receipts::new(&data);
        Self {
            device,
            data,
            pictures,
            receipts,
            proofs: Proofs::default(),
            state: Mutex::default(),
        }
    }

    /// Returns the receipt that was kept since this was asked last.
    pub(super) fn take_receipt(&self) -> Option<KeptReceipt> {
        self.state().receipt.take()
    }

    /// Returns the key of the response journal, once checked in.
    pub(super) fn journal_key(&self) -> Option<[u8; 32]> {
        self.state()
            .attempt
            .as_ref()
            .map(|attempt| attempt.journal_key)
    }

    /// Returns the attempt, once checked in.
    pub(super) fn attempt(&self) -> Option<Arc<Attempt>> {
        self.state().attempt.clone()
    }

    /// Returns what an agent needs, once checked in.
    pub(super) fn provision(&self, agent_token: String, bandwidth: String) -> Option<Provision> {
        let state = self.state();
        let (server, attempt) = (state.server.as_ref()?, state.attempt.as_ref()?);
        let grant = AgentGrant {
            token: Ring.sha256(&[agent_token.as_bytes()]),
            attempt: attempt.id,
            epoch: attempt.epoch,
            boot: self.device.boot,
        };
        let grant = crypto::sign(&self.device.keys, &Ring, server.institution, &grant).ok()?;
        Some(Provision {
            grant,
            server: server.origin.clone(),
            ca_der: server.pinned.as_ref().and_then(|pinned| pinned.authority()),
            institution: server.institution,
            attempt: attempt.id,
            epoch: attempt.epoch,
            agent_token,
            server_key: server.key,
            bandwidth,
        })
    }

    /// Opens what the server signed.
    pub(super) fn open<T: Signable>(&self, signed: &SignedBytes) -> Option<T> {
        let server = self.state().server.clone()?;
        crypto::open(&Ring, &server.key, server.institution, signed).ok()
    }

    /// Opens what another key of this institution signed.
    pub(super) fn open_with<T: Signable>(
        &self,
        key: &PublicKey,
        signed: &SignedBytes,
    ) -> Option<T> {
        let server = self.state().server.clone()?;
        crypto::open(&Ring, key, server.institution, signed).ok()
    }

    /// Signs for this institution with the attempt's key.
    pub(super) fn sign<T: Signable>(&self, body: &T) -> Option<SignedBytes> {
        let state = self.state();
        let (server, attempt) = (state.server.as_ref()?, state.attempt.as_ref()?);
        crypto::sign(&attempt.keys, &Ring, server.institution, body).ok()
    }

    /// Asks the server.
    #[expect(clippy::too_many_lines, reason = "one arm is one place of the API")]
    pub(super) async fn call(&self, call: Call) -> Result<Reply, Failure> {
        match call {
            Call::Enrol { link } => self.enrol(&link).await,
            Call::SignIn { login, password } => self.sign_in(login.0, password.0).await,
            Call::Exams => Ok(Reply::Exams(
                self.get::<Vec<ExamCard>>("/api/v1/my/exams").await?,
            )),
            Call::CheckIn { attempt, language } => self.check_in(attempt, language.code()).await,
            Call::Consent {
                version,
                language,
                agreed,
            } => {
                let language = language.code().to_owned();
                let body = ConsentRequest {
                    version,
                    language,
                    agreed,
                };
                Ok(Reply::Consented(
                    self.post::<_, ConsentReply>("consent", &body).await?,
                ))
            }
            Call::SystemCheck { lines } => {
                self.tell("system-check", &SystemCheckRequest { lines })
                    .await
            }
            Call::Identity { document } => self.identity(document).await,
            Call::Instruction { version } => {
                self.tell("instruction", &InstructionRequest { version })
                    .await
            }
            Call::Message { text } => {
                self.tell("messages", &SendMessageRequest { text: text.0 })
                    .await
            }
            Call::Hand { raised } => self.tell("hand", &RaiseHandRequest { raised }).await,
            Call::Events { events } => self.tell("events", &ClientEvents { events }).await,
            Call::Photo => self
                .picture("photo", PictureKey::Photo)
                .await
                .map(|()| Reply::Done),
            Call::Picture { picture } => {
                let place = format!("pictures/{picture}");
                self.picture(&place, PictureKey::Item(picture)).await?;
                Ok(Reply::Picture(picture))
            }
            Call::Start => {
                let empty = serde_json::json!({});
                Ok(Reply::View(Box::new(
                    self.post::<_, AttemptView>("start", &empty).await?,
                )))
            }
            Call::View { after } => {
                let place = self.place(&format!("view?after={after}&wait_ms={WAIT_MS}"))?;
                Ok(Reply::View(Box::new(
                    self.get::<AttemptView>(&place).await?,
                )))
            }
            Call::Items => Ok(Reply::Items(
                self.get::<ItemList>(&self.place("items")?).await?,
            )),
            Call::Item { position } => {
                let place = self.place(&format!("items/{position}"))?;
                Ok(Reply::Item(Box::new(self.get(&place).await?)))
            }
            Call::ReadBack => {
                let stored: StoredResponses = self.get(&self.place("responses")?).await?;
                Ok(Reply::ReadBack(entries_of(&stored)?))
            }
            Call::Responses { entries } => self.responses(entries).await,
            Call::Submit { entries } => self.submit(entries).await,
        }
    }

    async fn enrol(&self, link: &str) -> Result<Reply, Failure> {
        let parsed = EnrolmentLink::parse(link).ok_or(Failure::BadLink)?;
        let builder = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_KEPT)
            .https_only(true)
            .user_agent(concat!("qorgan-client/", env!("CARGO_PKG_VERSION")));
        let (builder, pinned) = match parsed.fingerprint {
            Some(fingerprint) => {
                let (config, pinned) =
                    Pinned::config(fingerprint, None).map_err(|_error| Failure::Untrusted)?;
                (builder.tls_backend_preconfigured(config), Some(pinned))
            }
            None => (builder, None),
        };
        let http = builder.build().map_err(|_error| Failure::Untrusted)?;
        let asked = http.get(format!("{}/api/v1/hello", parsed.origin));
        let hello: ServerHello =
            read(asked.send().await.map_err(|error| unreachable_of(&error))?).await?;
        let key = <[u8; 32]>::try_from(hello.server_key.0.as_slice())
            .map_err(|_len| Failure::BadAnswer)?;
        let server = Server {
            http,
            origin: parsed.origin,
            pinned,
            institution: hello.institution,
            key: PublicKey(key),
        };
        self.state().server = Some(Arc::new(server));
        if let Err(error) =
            qorgan_files::replace(&self.data.join("enrolment.link"), link.as_bytes())
        {
            tracing::warn!(%error, "Could not remember the enrolment link");
        }
        Ok(Reply::Enrolled(Box::new(hello)))
    }

    //= tests/data/sop-2-28.md#11-sign-in
    async fn sign_in(&self, login: String, password: String) -> Result<Reply, Failure> {
        let server = self.server()?;
        let asked = server
            .http
            .post(format!("{}/api/v1/challenge", server.origin));
        let challenge: ChallengeReply =
            read(asked.send().await.map_err(|error| unreachable_of(&error))?).await?;
        let nonce = challenge
            .nonce
            .0
            .try_into()
            .map_err(|_len| Failure::BadAnswer)?;
        let proof = DeviceProof {
            nonce,
            device_key: self.device.keys.public_key(),
            boot: self.device.boot,
            instance: self.device.instance,
        };
        let proof = crypto::sign(&self.device.keys, &Ring, server.institution, &proof)
            .map_err(|_codec| Failure::BadAnswer)?;
        let body = SignInRequest {
            login,
            password,
            device_key: Hex(self.device.keys.public_key().0.to_vec()),
            proof: proof.into(),
            client_version: env!("CARGO_PKG_VERSION").to_owned(),
            system: std::env::consts::OS.to_owned(),
        };
        let asked = server
            .http
            .post(format!("{}/api/v1/sign-in", server.origin))
            .json(&body);
        let reply: SignInReply =
            read(asked.send().await.map_err(|error| unreachable_of(&error))?).await?;
        self.state().token = Some(Token(reply.token.clone()));
        Ok(Reply::SignedIn(reply))
    }

    async fn check_in(&self, attempt: AttemptId, language: &str) -> Result<Reply, Failure> {
        let (keys, _) = Keys::generate().map_err(|_key| Failure::BadAnswer)?;
        let body = CheckInRequest {
            client_key: Hex(keys.public_key().0.to_vec()),
            language: language.to_owned(),
        };
        let path = format!("/api/v1/attempts/{attempt}/check-in");
        let reply: CheckInReply = self.send(Method::POST, &path, Some(&body)).await?;
        let journal_key = reply
            .journal_key
            .0
            .as_slice()
            .try_into()
            .map_err(|_len| Failure::BadAnswer)?;
        let certificate = reply.certificate.clone().into();
        let epoch = reply.epoch;
        let bound = Attempt {
            id: attempt,
            epoch,
            keys,
            certificate,
            journal_key,
        };
        self.state().attempt = Some(Arc::new(bound));
        // A receipt from before a restart; one that does not hold is none.
        if let Some(signed) = self.receipts.kept(attempt, epoch)
            && let Err(failure) = self.receipt(signed)
        {
            tracing::warn!(?failure, "The receipt on this machine does not hold");
        }
        Ok(Reply::CheckedIn(Box::new(reply)))
    }

    async fn responses(&self, entries: Vec<ResponseEntry>) -> Result<Reply, Failure> {
        let epoch = self.attempt().ok_or(Failure::BadAnswer)?.epoch;
        let entries = entries
            .iter()
            .map(|entry| codec::encode("response entry", entry).map(Hex))
            .collect::<Result<Vec<Hex>, _>>()
            .map_err(|_codec| Failure::BadAnswer)?;
        let body = ResponsesRequest { epoch, entries };
        let accepted: AcceptedResponses = self.post("responses", &body).await?;
        Ok(Reply::Stored(self.receipt(accepted.receipt.into())?))
    }

    async fn submit(
        &self,
        entries: qorgan_protocol::assessment::ResponseSeq,
    ) -> Result<Reply, Failure> {
        let epoch = self.attempt().ok_or(Failure::BadAnswer)?.epoch;
        let reply: SubmitReply = self
            .post("submit", &SubmitRequest { epoch, entries })
            .await?;
        let receipt = self.receipt(reply.receipt.into())?;
        Ok(Reply::Submitted {
            receipt,
            late: reply.late,
        })
    }

    /// Opens a receipt, checks that it is for this attempt, and keeps it.
    fn receipt(&self, signed: SignedBytes) -> Result<ResponseReceipt, Failure> {
        let receipt: ResponseReceipt = self.open(&signed).ok_or(Failure::BadAnswer)?;
        let attempt = self.attempt().ok_or(Failure::BadAnswer)?;
        if (receipt.attempt, receipt.epoch) != (attempt.id, attempt.epoch) {
            return Err(Failure::BadAnswer);
        }
        let institution = self.server()?.institution;
        let kept = self.receipts.keep(institution, receipt, &signed);
        self.state().receipt = Some(kept);
        Ok(receipt)
    }

    async fn picture(&self, place: &str, key: PictureKey) -> Result<(), Failure> {
        let path = self.place(place)?;
        let reply = succeed(self.ask(Method::GET, &path, Vec::new()).await?).await?;
        if reply
            .content_length()
            .is_some_and(|length| length > PICTURE_BYTES_MAX)
        {
            return Err(Failure::BadAnswer);
        }
        let bytes = reply
            .bytes()
            .await
            .map_err(|error| unreachable_of(&error))?;
        let mut pictures = self.pictures.lock().unwrap_or_else(PoisonError::into_inner);
        pictures
            .put(key, &bytes)
            .then_some(())
            .ok_or(Failure::BadAnswer)
    }

    /// Shows the candidate, with the document's picture where it is asked for.
    async fn identity(&self, with_document: bool) -> Result<Reply, Failure> {
        let pictures = || self.pictures.lock().unwrap_or_else(PoisonError::into_inner);
        let document = if with_document {
            pictures().document()
        } else {
            None
        };
        let document = document.map(Hex);
        let reply = self.tell("identity", &IdentityRequest { document }).await?;
        pictures().drop_document();
        Ok(reply)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.send::<(), T>(Method::GET, path, None).await
    }

    async fn post<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        what: &str,
        body: &B,
    ) -> Result<T, Failure> {
        self.send(Method::POST, &self.place(what)?, Some(body))
            .await
    }

    /// Posts what is answered with nothing.
    async fn tell<B: Serialize + Sync>(&self, what: &str, body: &B) -> Result<Reply, Failure> {
        let path = self.place(what)?;
        succeed(self.ask(Method::POST, &path, json(body)?).await?).await?;
        Ok(Reply::Done)
    }

    async fn send<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<T, Failure> {
        let body = body.map(json).transpose()?.unwrap_or_default();
        read(self.ask(method, path, body).await?).await
    }

    /// Sends a request with the token and the device's proof; once more where the server asks for
    /// another nonce.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<reqwest::Response, Failure> {
        let server = self.server()?;
        let token = self.state().token.clone();
        let token = token.ok_or(Failure::BadAnswer)?;
        let mut renewed = false;
        loop {
            let asked = Asked {
                token: &token.0,
                method: method.as_str(),
                target: path,
                body: &body,
            };
            let proof = self
                .proofs
                .header(&self.device.keys, server.institution, asked)
                .map_err(|_codec| Failure::BadAnswer)?;
            let mut request = server
                .http
                .request(method.clone(), format!("{}{path}", server.origin))
                .bearer_auth(&token.0)
                .header(PROOF_HEADER, proof);
            if !body.is_empty() {
                request = request
                    .header(CONTENT_TYPE, "application/json")
                    .body(body.clone());
            }
            let sent = request.send().await;
            let reply = sent.map_err(|error| unreachable_of(&error))?;
            let nonce = reply.headers().get(PROOF_NONCE_HEADER);
            let again = nonce.is_some_and(|nonce| self.proofs.renew(nonce.as_bytes()));
            if !again || renewed {
                return Ok(reply);
            }
            renewed = true;
        }
    }

    fn place(&self, what: &str) -> Result<String, Failure> {
        let attempt = self.attempt().ok_or(Failure::BadAnswer)?;
        Ok(format!("/api/v1/attempts/{}/{what}", attempt.id))
    }

    fn server(&self) -> Result<Arc<Server>, Failure> {
        self.state().server.clone().ok_or(Failure::Unreachable)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn json<B: Serialize>(body: &B) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(body).map_err(|_json| Failure::BadAnswer)
}

fn entries_of(stored: &StoredResponses) -> Result<Vec<ResponseEntry>, Failure> {
    let read = |bytes: &Hex| codec::decode("response entry", &bytes.0);
    let entries: Result<Vec<ResponseEntry>, _> = stored.entries.iter().map(read).collect();
    entries.map_err(|_codec| Failure::BadAnswer)
}

async fn read<T: DeserializeOwned>(reply: reqwest::Response) -> Result<T, Failure> {
    let reply = succeed(reply).await?;
    let bytes = reply
        .bytes()
        .await
        .map_err(|error| unreachable_of(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        tracing::warn!(
            line = error.line(),
            column = error.column(),
            "Could not read an answer"
        );
        Failure::BadAnswer
    })
}

async fn succeed(reply: reqwest::Response) -> Result<reqwest::Response, Failure> {
    let status = reply.status();
    if status.is_success() {
        return Ok(reply);
    }
    let bytes = reply.bytes().await.unwrap_or_default();
    match serde_json::from_slice::<Problem>(&bytes) {
        Ok(problem) => {
            tracing::info!(
                code = problem.code.word(),
                detail = problem.detail,
                "The server refused"
            );
            Err(Failure::Problem(problem))
        }
        Err(_no_problem)
            if status == StatusCode::BAD_GATEWAY || status == StatusCode::GATEWAY_TIMEOUT =>
        {
            Err(Failure::Unreachable)
        }
        Err(_no_problem) => Err(Failure::BadAnswer),
    }
}

/// Tells a certificate that is not trusted from a server that is not there.
fn unreachable_of(error: &reqwest::Error) -> Failure {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(found) = source {
        let text = found.to_string();
        if text.contains("invalid peer certificate") {
            return Failure::Untrusted;
        }
        source = found.source();
    }
    tracing::info!(
        connect = error.is_connect(),
        timeout = error.is_timeout(),
        "The server is not reached"
    );
    Failure::Unreachable
}

/// How long the server may hold a view back, in milliseconds.
const WAIT_MS: u64 = 1_000;
const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// Below what the server bears, for a request that crosses the closing of its connection is lost and has
/// to be sent again.
const IDLE_KEPT: Duration = Duration::from_secs(IDLE_KEPT_SECONDS);
/// A larger picture is refused.
const PICTURE_BYTES_MAX: u64 = 32 * 1024 * 1024;
