//! Check-in: the attempt is bound to a machine, its keys are handed out, its tasks are done.

use qorgan_protocol::assessment::ResponseSeq;
use qorgan_protocol::attempt::{AttemptPhase, CheckInTask, GateInput, GatePolicy};
use qorgan_protocol::crypto::{self, PublicKey, Sha256, SignedBytes};
use qorgan_protocol::evidence::{AttemptKeyCertificate, AttemptRole, StreamKind};
use qorgan_protocol::ids::{AttemptId, BootId, Epoch, TestId};
use qorgan_protocol::incident::{Allowance, WatchPolicy};
use qorgan_protocol::wire::{
    AgentEnrolReply, AgentGrant, CheckInReply, ConsentRequest, Hex, InstructionRequest,
    ProblemCode, SignedHex,
};
use qorgan_signing::{InputKey, Ring};
use std::time::Duration;

use super::Registry;
use super::binding::Caller;
use super::cell::{Cell, CellState};
use super::change::Change;
use super::error::RegistryError;
use super::load::epoch_place;
use super::quota::Kept;
use super::save::Settlement;
use qorgan_store::{StoreError, people};

impl Registry {
    /// Checks a candidate in on the caller's machine.
    ///
    /// # Errors
    /// `NotAdmitted`, `TooEarly`, `TooLate`, `BoundElsewhere`, `WrongPhase`, `NotFound`, `TooMany`.
    pub async fn check_in(
        &self,
        attempt: AttemptId,
        caller: &Caller,
        client_key: PublicKey,
        language: &str,
    ) -> Result<CheckInReply, RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        self.refresh(&cell, &mut state).await?;
        self.may_come(&state, caller)?;
        self.one_more_check_in(&mut state, caller).await?;
        self.may_bind(&cell, &mut state, caller).await?;
        let certificate = self
            .enter(&cell, &mut state, caller, (client_key, language))
            .await?;
        self.check_in_reply(&state, certificate).await
    }

    /// Binds the attempt, chooses its test, fixes what is watched for and moves the gate, in one
    /// transaction.
    async fn enter(
        &self,
        cell: &Cell,
        state: &mut CellState,
        caller: &Caller,
        (client_key, language): (PublicKey, &str),
    ) -> Result<SignedHex, RegistryError> {
        let at = self.moment();
        let mut gate = state.gate.clone();
        if matches!(gate.phase(), AttemptPhase::Scheduled) {
            gate.handle(at, GateInput::CheckIn)?;
        }
        let settlement = Settlement::of(state, gate, at);
        let mut change = self.begin_settled(state, &settlement).await?;
        let bound = self.write_binding(&mut change, state, caller).await?;
        let chosen = choose_test(&mut change, state, language).await?;
        let (watch, allowances) = fix_watch(&mut change, state).await?;
        qorgan_store::query(
            "UPDATE epochs SET client_key = $3 WHERE attempt_id = $1 AND epoch = $2",
        )
        .bind(state.facts.attempt.to_string())
        .bind(i64::from(bound.epoch.0))
        .bind(client_key.0.as_slice())
        .execute(&mut *change.tx)
        .await?;
        let who = (AttemptRole::Client, client_key, caller.boot);
        let certificate = self.certify(state.facts.attempt, bound.epoch, who)?;
        let open = change.commit().await?;
        bound.take_hold(state);
        if let Some(test) = chosen {
            state.test = Some(test);
            language.clone_into(&mut state.language);
        }
        state.facts.watch = watch;
        state.facts.accommodation.allowances = allowances;
        self.publish(cell, state, settlement, Some(open));
        Ok(certificate)
    }

    //= tests/data/sop-2-28.md#7-admission
    //= tests/data/sop-2-28.md#8-sitting-times
    fn may_come(&self, state: &CellState, caller: &Caller) -> Result<(), RegistryError> {
        if caller.person != state.facts.person {
            return Err(RegistryError::refuse(
                ProblemCode::NotFound,
                "no such attempt",
            ));
        }
        let entry = state.facts.entry();
        if !entry.admitted {
            return Err(RegistryError::refuse(
                ProblemCode::NotAdmitted,
                state.facts.reason.clone(),
            ));
        }
        match state.gate.phase() {
            AttemptPhase::Scheduled => Ok(entry.at(self.inner.clock.wall())?),
            AttemptPhase::CheckIn { .. }
            | AttemptPhase::Ready { .. }
            | AttemptPhase::Running { .. }
            | AttemptPhase::Paused { .. }
            | AttemptPhase::Submitted { .. } => Ok(()),
            AttemptPhase::Sealed { .. }
            | AttemptPhase::Terminated { .. }
            | AttemptPhase::Void { .. } => Err(RegistryError::refuse(
                ProblemCode::WrongPhase,
                "the attempt is over",
            )),
        }
    }

    fn certify(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        (role, key, boot): (AttemptRole, PublicKey, BootId),
    ) -> Result<SignedHex, RegistryError> {
        let issued = self.inner.clock.wall();
        let body = AttemptKeyCertificate {
            attempt,
            epoch,
            role,
            key,
            boot,
            issued,
            expires: issued.after(CERTIFICATE_LASTS),
        };
        Ok(self.inner.keys.sign(&body)?.into())
    }

    async fn check_in_reply(
        &self,
        state: &CellState,
        certificate: SignedHex,
    ) -> Result<CheckInReply, RegistryError> {
        let attempt = state.facts.attempt;
        let texts = &self.inner.config.texts;
        let photo: i64 = qorgan_store::query_scalar(
            "SELECT COUNT(*) FROM people WHERE id = $1 AND photo_sealed IS NOT NULL",
        )
        .bind(state.facts.person.to_string())
        .fetch_one(self.inner.store.read())
        .await?;
        let journal_key = self.epoch_key("journal", attempt, state.epoch).await?;
        let head = self.journal_head(attempt, state.epoch).await?;
        Ok(CheckInReply {
            epoch: state.epoch,
            policy: GatePolicy {
                watch: state.facts.watch.clone(),
                ..state.gate.policy().clone()
            },
            certificate,
            journal_key: Hex(journal_key.to_vec()),
            freshness_key: Hex(state.freshness_key.unwrap_or_default().to_vec()),
            journal_next: ResponseSeq(state.journal_next),
            journal_head: Hex(head.0.to_vec()),
            consent_version: texts.consent_version.clone(),
            consent_text: crate::watched::told(texts.consent(), &state.facts.watch),
            consent_recorded: self.consented(attempt, &texts.consent_version).await? == Some(true),
            instruction_version: texts.instruction_version.clone(),
            instruction_text: texts.instruction(),
            accommodation: state.facts.accommodation.clone(),
            photo_on_file: photo > 0,
            phase: state.gate.phase(),
            title: state.facts.title.clone(),
        })
    }

    /// Returns the hash of the newest stored entry of an epoch, zero for none.
    pub(super) async fn journal_head(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
    ) -> Result<Sha256, RegistryError> {
        let hash: Option<Vec<u8>> = qorgan_store::query_scalar(
            "SELECT hash FROM responses WHERE attempt_id = $1 AND epoch = $2 \
             ORDER BY seq DESC LIMIT 1",
        )
        .bind(attempt.to_string())
        .bind(i64::from(epoch.0))
        .fetch_optional(self.inner.store.read())
        .await?;
        let Some(hash) = hash else {
            return Ok(Sha256::ZERO);
        };
        Ok(Sha256(qorgan_store::array("response hash", &hash)?))
    }

    /// Returns the candidate's newest word on a version of the consent, if there is one.
    async fn consented(
        &self,
        attempt: AttemptId,
        version: &str,
    ) -> Result<Option<bool>, RegistryError> {
        Ok(qorgan_store::query_scalar(
            "SELECT agreed FROM consents WHERE attempt_id = $1 AND version = $2 \
             ORDER BY id DESC LIMIT 1",
        )
        .bind(attempt.to_string())
        .bind(version)
        .fetch_optional(self.inner.store.read())
        .await?)
    }

    /// Records consent or its refusal. Refusal ends nothing: the testing centre is called.
    ///
    /// The same word on the same version is recorded once per attempt, however often a client that
    /// was started again says it.
    ///
    /// # Errors
    /// `BadRequest` for another version than the one in force, or the caller is not bound.
    pub async fn consent(
        &self,
        attempt: AttemptId,
        caller: &Caller,
        request: &ConsentRequest,
    ) -> Result<Epoch, RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        Self::authorize(caller, &state)?;
        if request.version != self.inner.config.texts.consent_version {
            return Err(RegistryError::refuse(ProblemCode::BadRequest, "version"));
        }
        let known = self.consented(attempt, &request.version).await? == Some(request.agreed);
        if !known && !self.room_first(&mut state, &[Kept::Consents]).await? {
            let detail = "consent was given more often than is kept";
            return Err(RegistryError::refuse(ProblemCode::TooMany, detail));
        }
        let at = self.moment();
        let mut gate = state.gate.clone();
        let result = if request.agreed && !state.gate.phase().records() {
            gate.handle(at, GateInput::Task(CheckInTask::Consent))
        } else {
            Ok(())
        };
        let settlement = Settlement::of(&state, gate, at);
        let mut change = self.begin_settled(&state, &settlement).await?;
        if !known {
            self.record_consent(&mut change, &state, request).await?;
        }
        let open = change.commit().await?;
        self.publish(&cell, &mut state, settlement, Some(open));
        result?;
        Ok(state.epoch)
    }

    async fn record_consent(
        &self,
        change: &mut Change<'_>,
        state: &CellState,
        request: &ConsentRequest,
    ) -> Result<(), RegistryError> {
        qorgan_store::query(
            "INSERT INTO consents (institution_id, attempt_id, epoch, version, language, agreed, \
             at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(self.inner.keys.institution().to_string())
        .bind(state.facts.attempt.to_string())
        .bind(i64::from(state.epoch.0))
        .bind(&request.version)
        .bind(&request.language)
        .bind(request.agreed)
        .bind(self.inner.clock.wall().unix_ms())
        .execute(&mut *change.tx)
        .await?;
        Ok(())
    }

    /// The instruction was read to its end.
    ///
    /// # Errors
    /// `BadRequest` for another version, `WrongPhase` outside check-in, or the caller is not bound.
    //= tests/data/sop-2-28.md#11-sign-in
    pub async fn instruction(
        &self,
        attempt: AttemptId,
        caller: &Caller,
        request: &InstructionRequest,
    ) -> Result<(), RegistryError> {
        if request.version != self.inner.config.texts.instruction_version {
            return Err(RegistryError::refuse(ProblemCode::BadRequest, "version"));
        }
        self.task(attempt, caller, CheckInTask::Instruction).await?;
        Ok(())
    }

    /// Certifies the agent's key for this epoch.
    ///
    /// # Errors
    /// `OldEpoch` where the epoch or kernel is not the one bound, `WrongPhase` where nothing is
    /// recorded.
    pub async fn enrol_agent(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        agent: &AgentKey<'_>,
    ) -> Result<AgentEnrolReply, RegistryError> {
        let cell = self.cell(attempt).await?;
        let state = cell.state.lock().await;
        let bound = state.binding.is_some_and(|bound| bound.boot == agent.boot);
        if epoch != state.epoch || !bound {
            return Err(RegistryError::refuse(
                ProblemCode::OldEpoch,
                "the epoch is over",
            ));
        }
        self.check_grant(&state, agent)?;
        if !state.gate.phase().records() {
            let detail = "nothing is recorded in this phase";
            return Err(RegistryError::refuse(ProblemCode::WrongPhase, detail));
        }
        self.one_more_key(&state, agent.key).await?;
        let who = (AttemptRole::Agent, agent.key, agent.boot);
        let certificate = self.certify(attempt, epoch, who)?;
        let spool_key = self.epoch_key("spool", attempt, epoch).await?;
        let mut tx = self.inner.store.begin().await?;
        qorgan_store::query(
            "UPDATE epochs SET agent_key = $3, agent_certificate = $4, agent_version = $5, \
             simulated_build = $6, agent_signature = $7 WHERE attempt_id = $1 AND epoch = $2",
        )
        .bind(attempt.to_string())
        .bind(i64::from(epoch.0))
        .bind(agent.key.0.as_slice())
        .bind(certificate.bytes.0.as_slice())
        .bind(agent.version)
        .bind(agent.simulated_build)
        .bind(certificate.signature.0.as_slice())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        let required = state.gate.policy().required();
        let person = state.facts.person;
        let inputs = InputKey::of_attempt(&state.key, attempt);
        let photo = people::photo(&self.inner.store, &self.inner.keys, person).await?;
        Ok(AgentEnrolReply {
            certificate,
            spool_key: Hex(spool_key.to_vec()),
            deny_processes: state.facts.deny_processes.clone(),
            allow_processes: state.facts.allow_processes.clone(),
            displays_max: state.gate.policy().displays_max,
            bandwidth: state.facts.bandwidth.clone(),
            camera: required.contains(&StreamKind::Camera),
            microphone: required.contains(&StreamKind::Microphone),
            screen: required.contains(&StreamKind::Screen),
            photo: photo.map(Hex),
            watch: state.facts.watch.clone(),
            allowances: state.facts.accommodation.allowances.clone(),
            input_key: Hex(inputs.expose().to_vec()),
            nested_display: state.gate.policy().nested_display,
            monitor_microphone: state.gate.policy().monitor_microphone,
        })
    }

    /// Refuses an agent whose token the bound device did not grant it.
    fn check_grant(&self, state: &CellState, agent: &AgentKey<'_>) -> Result<(), RegistryError> {
        let (signed, token) = agent.grant;
        let wanted = AgentGrant {
            token,
            attempt: state.facts.attempt,
            epoch: state.epoch,
            boot: agent.boot,
        };
        let key = state.binding.map(|bound| bound.device_key);
        let granted = key.and_then(|key| {
            crypto::open::<AgentGrant>(&Ring, &key, self.inner.keys.institution(), signed).ok()
        });
        if granted == Some(wanted) {
            return Ok(());
        }
        let detail = "the device that the attempt is bound to did not grant the token";
        Err(RegistryError::refuse(ProblemCode::NotProved, detail))
    }

    /// Returns the agent's key of an epoch, once enrolled.
    ///
    /// # Errors
    /// The database failed.
    pub async fn agent_key(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
    ) -> Result<Option<PublicKey>, RegistryError> {
        let key: Option<Option<Vec<u8>>> = qorgan_store::query_scalar(
            "SELECT agent_key FROM epochs WHERE attempt_id = $1 AND epoch = $2",
        )
        .bind(attempt.to_string())
        .bind(i64::from(epoch.0))
        .fetch_optional(self.inner.store.read())
        .await?;
        let key = key.flatten();
        Ok(key
            .map(|k| qorgan_store::array("agent key", &k))
            .transpose()?
            .map(PublicKey))
    }

    /// Returns the bandwidth profile of the attempt's sitting.
    ///
    /// # Errors
    /// `NotFound`, or the database failed.
    pub async fn bandwidth(&self, attempt: AttemptId) -> Result<String, RegistryError> {
        let cell = self.cell(attempt).await?;
        let state = cell.state.lock().await;
        Ok(state.facts.bandwidth.clone())
    }

    pub(super) async fn task(
        &self,
        attempt: AttemptId,
        caller: &Caller,
        task: CheckInTask,
    ) -> Result<Epoch, RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        Self::authorize(caller, &state)?;
        self.input_locked(&cell, &mut state, GateInput::Task(task))
            .await?;
        Ok(state.epoch)
    }

    async fn epoch_key(
        &self,
        what: &'static str,
        attempt: AttemptId,
        epoch: Epoch,
    ) -> Result<[u8; 32], RegistryError> {
        let sql = match what {
            "journal" => {
                "SELECT journal_key_wrapped FROM epochs WHERE attempt_id = $1 AND epoch = $2"
            }
            _ => "SELECT spool_key_wrapped FROM epochs WHERE attempt_id = $1 AND epoch = $2",
        };
        let wrapped: Vec<u8> = qorgan_store::query_scalar(sql)
            .bind(attempt.to_string())
            .bind(i64::from(epoch.0))
            .fetch_one(self.inner.store.read())
            .await?;
        let place = epoch_place(what, attempt, epoch);
        Ok(*self.inner.keys.unwrap(&place, &wrapped)?.expose())
    }
}

/// Chooses the test of an attempt that has none yet.
async fn choose_test(
    change: &mut Change<'_>,
    state: &CellState,
    language: &str,
) -> Result<Option<TestId>, RegistryError> {
    if state.test.is_some() {
        return Ok(None);
    }
    // Read where it is written: a test that is replaced in between is given to nobody.
    let test: Option<String> = qorgan_store::query_scalar(
        "SELECT id FROM tests WHERE exam_id = $1 AND replaced_ms IS NULL \
         ORDER BY language = $2 DESC, created_ms DESC LIMIT 1",
    )
    .bind(state.facts.exam.to_string())
    .bind(language)
    .fetch_optional(&mut *change.tx)
    .await?;
    let Some(test) = test else {
        return Err(RegistryError::refuse(
            ProblemCode::Unavailable,
            "the exam has no test yet",
        ));
    };
    qorgan_store::query("UPDATE attempts SET test_id = $2, language = $3 WHERE id = $1")
        .bind(state.facts.attempt.to_string())
        .bind(&test)
        .bind(language)
        .execute(&mut *change.tx)
        .await?;
    Ok(Some(qorgan_store::id(&test)?))
}

/// Fixes what is watched for, as sitting and admission say at the first check-in: what the candidate
/// is told before consent holds for the whole attempt.
async fn fix_watch(
    change: &mut Change<'_>,
    state: &CellState,
) -> Result<(WatchPolicy, Vec<Allowance>), RegistryError> {
    let attempt = state.facts.attempt.to_string();
    let row = qorgan_store::query(
        "SELECT a.watch, d.allowances FROM attempts a LEFT JOIN admissions d \
         ON d.sitting_id = a.sitting_id AND d.person_id = a.person_id WHERE a.id = $1",
    )
    .bind(&attempt)
    .fetch_one(&mut *change.tx)
    .await?;
    let (watch, allowances) = super::load::watch(&row, state.gate.policy())?;
    let text = serde_json::to_string(&watch).map_err(|source| StoreError::Json {
        what: "watch policy",
        source,
    })?;
    qorgan_store::query("UPDATE attempts SET watch = $2 WHERE id = $1 AND watch IS NULL")
        .bind(&attempt)
        .bind(text)
        .execute(&mut *change.tx)
        .await?;
    Ok((watch, allowances))
}

/// The key that an agent proved to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentKey<'a> {
    /// The key.
    pub key: PublicKey,
    /// What the device signed so that it may enrol, and the hash of the token that it enrols with.
    pub grant: (&'a SignedBytes, Sha256),
    /// The run of its kernel.
    pub boot: BootId,
    /// The agent's version.
    pub version: &'a str,
    /// Whether its build can play files.
    pub simulated_build: bool,
}

/// An attempt key's certificate outlasts any sitting and the delivery of its recording.
const CERTIFICATE_LASTS: Duration = Duration::from_secs(48 * 60 * 60);
