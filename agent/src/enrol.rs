//! Has the agent's attempt key certified by the server.

use core::time::Duration;
use std::sync::Arc;

use qorgan_protocol::codec::CodecError;
use qorgan_protocol::crypto::{self, PublicKey, SignedBytes, Signer as _, StatementError};
use qorgan_protocol::evidence::{AttemptKeyCertificate, AttemptRole};
use qorgan_protocol::ids::{AttemptId, BootId, Epoch, InstitutionId};
use qorgan_protocol::local::Provision;
use qorgan_protocol::wire::{
    AgentEnrolReply, AgentEnrolRequest, ChallengeReply, EnrolProof, Hex, Problem,
};
use qorgan_signing::{InputKey, Keys, Ring};
use rustls::ClientConfig;
use serde::de::DeserializeOwned;

/// Who the agent is, once the server has said so.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The institution.
    pub(crate) institution: InstitutionId,
    /// Whose recording.
    pub(crate) attempt: AttemptId,
    /// On which machine and key.
    pub(crate) epoch: Epoch,
    /// The run of the kernel.
    pub(crate) boot: BootId,
    /// The server's signing key.
    pub(crate) server_key: PublicKey,
    /// The attempt key.
    pub(crate) keys: Keys,
    /// The server's word for it.
    pub(crate) certificate: SignedBytes,
    /// What scored inputs are sealed under.
    pub(crate) inputs: InputKey,
}

/// Says why the key was not certified.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnrolError {
    /// The server cannot be reached, or breaks off.
    #[error("the server cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// The server refused, with its code.
    #[error("the server refused with {status}: {code} ({detail})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The problem's code.
        code: String,
        /// What exactly.
        detail: String,
    },
    /// The server's answer has another form or length.
    #[error("the server's answer has a wrong {what}")]
    WrongAnswer {
        /// What is wrong.
        what: &'static str,
    },
    /// The certificate does not hold.
    #[error("the certificate does not hold")]
    Certificate(#[from] StatementError),
    /// The proof cannot be written.
    #[error("the proof cannot be written")]
    Proof(#[from] CodecError),
}

/// Asks for a challenge, signs it, and returns who the agent is with the exam's rules.
///
/// # Errors
/// `EnrolError` says whether the server was not there or refused.
pub(crate) async fn enrol(
    provision: &Provision,
    tls: Arc<ClientConfig>,
    keys: Keys,
    boot: BootId,
) -> Result<(Identity, AgentEnrolReply), EnrolError> {
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured((*tls).clone())
        .https_only(true)
        .connect_timeout(CONNECT_WAIT)
        .timeout(ANSWER_WAIT)
        .build()
        .map_err(EnrolError::Unreachable)?;
    let origin = provision.server.trim_end_matches('/');
    let challenge: ChallengeReply = answer(http.post(format!("{origin}/api/v1/challenge"))).await?;
    let nonce = thirty_two(&challenge.nonce, "challenge")?;
    let key = keys.public_key();
    let proof = EnrolProof {
        nonce,
        attempt: provision.attempt,
        epoch: provision.epoch,
        key,
        boot,
    };
    let request = AgentEnrolRequest {
        key: Hex(key.0.to_vec()),
        proof: crypto::sign(&keys, &Ring, provision.institution, &proof)?.into(),
        grant: provision.grant.clone().into(),
        agent_version: VERSION.to_owned(),
        simulated_build: cfg!(feature = "simulated"),
    };
    let reply: AgentEnrolReply = answer(
        http.post(format!("{origin}/api/v1/agent/enrol"))
            .bearer_auth(&provision.agent_token)
            .json(&request),
    )
    .await?;
    let certificate = SignedBytes::from(reply.certificate.clone());
    let certified: AttemptKeyCertificate = crypto::open(
        &Ring,
        &provision.server_key,
        provision.institution,
        &certificate,
    )?;
    let expected = (provision.attempt, provision.epoch, AttemptRole::Agent, key);
    if (
        certified.attempt,
        certified.epoch,
        certified.role,
        certified.key,
    ) != expected
    {
        return Err(EnrolError::WrongAnswer {
            what: "certificate",
        });
    }
    let identity = Identity {
        institution: provision.institution,
        attempt: provision.attempt,
        epoch: provision.epoch,
        boot,
        server_key: provision.server_key,
        keys,
        certificate,
        inputs: InputKey::new(thirty_two(&reply.input_key, "input key")?),
    };
    Ok((identity, reply))
}

/// Returns 32 bytes out of a reply.
pub(crate) fn thirty_two(hex: &Hex, what: &'static str) -> Result<[u8; 32], EnrolError> {
    <[u8; 32]>::try_from(hex.0.as_slice()).map_err(|_length| EnrolError::WrongAnswer { what })
}

async fn answer<T: DeserializeOwned>(request: reqwest::RequestBuilder) -> Result<T, EnrolError> {
    let response = request.send().await.map_err(EnrolError::Unreachable)?;
    let status = response.status();
    if status.is_success() {
        return response.json().await.map_err(EnrolError::Unreachable);
    }
    let problem = response.json::<Problem>().await.ok();
    Err(EnrolError::Refused {
        status: status.as_u16(),
        code: problem
            .as_ref()
            .map_or("unknown", |problem| problem.code.word())
            .to_owned(),
        detail: problem.map(|problem| problem.detail).unwrap_or_default(),
    })
}

/// The agent's version, as it tells the server.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
const CONNECT_WAIT: Duration = Duration::from_secs(5);
const ANSWER_WAIT: Duration = Duration::from_secs(15);
