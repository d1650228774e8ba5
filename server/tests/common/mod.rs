//! A server with attempts that record, and agents that send to it over real TLS.

pub(crate) mod agent;
pub(crate) mod cmaf;
pub(crate) mod faulty;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use qorgan_base::config::Config;
use qorgan_protocol::attempt::{AttemptPhase, GatePolicy};
use qorgan_protocol::crypto::{Hasher as _, PublicKey, SignedBytes, Signer as _};
use qorgan_protocol::evidence::{AttemptKeyCertificate, AttemptRole};
use qorgan_protocol::ids::{AttemptId, BootId, Epoch, InstitutionId};
use qorgan_protocol::time::WallTime;
use qorgan_protocol::wire::Accommodation;
use qorgan_recordings::{Files, Recordings};
use qorgan_server::auth::StaffRole;
use qorgan_server::http::{Bound, serve};
use qorgan_server::state::AppState;
use qorgan_server_core::sitting::SittingSettings;
use qorgan_signing::{Keys, Ring};
use qorgan_store::assigned::assign;
use qorgan_store::exams::{self, Admission, NewExam, NewSitting};
use qorgan_store::people::{self, NewPerson};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;

pub(crate) use agent::Agent;

pub(crate) const BOOT: BootId = BootId([3; 16]);
const STAFF_PASSWORD: &str = "a password of the tests";

/// What an agent needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Provision {
    pub(crate) attempt: AttemptId,
    pub(crate) token: String,
    pub(crate) agent_pkcs8: Vec<u8>,
}

/// What all agents need to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    pub(crate) ca: PathBuf,
    pub(crate) institution: InstitutionId,
    pub(crate) server_key: PublicKey,
}

/// A server in this process.
pub(crate) struct Server {
    pub(crate) state: AppState,
    pub(crate) place: Place,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(data: &Path) -> Self {
        Self::start_with(data, Config::load(data, None).expect("defaults")).await
    }

    pub(crate) async fn start_with(data: &Path, config: Config) -> Self {
        let state = AppState::open(data, config).await.expect("a data folder");
        Self::serve(data, state)
    }

    /// Starts a server whose recordings lie on another disk.
    pub(crate) async fn start_on(data: &Path, files: Arc<dyn Files>) -> Self {
        let config = Config::load(data, None).expect("defaults");
        let mut state = AppState::open(data, config).await.expect("a data folder");
        let (folder, store) = (data.join("recordings"), state.store.clone());
        let keys = Arc::clone(&state.keys);
        state.recordings = Recordings::open_with(&folder, store, keys, files).expect("a folder");
        Self::serve(data, state)
    }

    fn serve(data: &Path, state: AppState) -> Self {
        // Benches decode nothing and know no program.
        let state = match option_env!("CARGO_BIN_EXE_qorgan-server") {
            Some(program) => state.decoding_by(program.into()),
            None => state,
        };
        let bound = Bound::listen("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let place = Place {
            address: bound.address,
            ca: data.join("ca.pem"),
            institution: state.institution(),
            server_key: state.keys.public_key(),
        };
        let (stop, stopped) = oneshot::channel();
        let serving = state.clone();
        let served = tokio::spawn(async move {
            let stop = async {
                stopped.await.ok();
            };
            serve(serving, bound, None, stop).await.expect("served");
        });
        Self {
            state,
            place,
            stop,
            served,
        }
    }

    /// Starts a server that asks staff for a password alone.
    pub(crate) async fn start_without_totp(data: &Path) -> Self {
        let mut config = Config::default();
        config.sign_in.staff_totp_required = false;
        config.passwords.memory_kib = 1_024;
        config.passwords.passes = 1;
        Self::start_with(data, config).await
    }

    /// Signs a member of staff in, who is made the first time; a proctor is assigned to every sitting
    /// that there is. Returns the cookie's value.
    pub(crate) async fn staff(&self, login: &str, role: StaffRole) -> String {
        let token = self.stranger(login, role).await;
        if role == StaffRole::Proctor {
            let sittings: Vec<String> = qorgan_store::query_scalar("SELECT id FROM sittings")
                .fetch_all(self.state.store.read())
                .await
                .expect("sittings");
            for sitting in sittings {
                self.assign(&sitting, login, true).await;
            }
        }
        token
    }

    /// Assigns a proctor to a sitting, or withdraws them.
    pub(crate) async fn assign(&self, sitting: &str, login: &str, assigned: bool) {
        let state = &self.state;
        let mut tx = state.store.begin().await.expect("a transaction");
        let by = (state.clock.wall(), "test");
        let whom = (sitting.parse().expect("an identifier"), login);
        assign(&mut tx, &state.keys, by, whom, assigned)
            .await
            .expect("assigned");
        tx.commit().await.expect("committed");
    }

    /// Signs a member of staff in, who is made the first time and assigned to nothing; returns the
    /// cookie's value.
    pub(crate) async fn stranger(&self, login: &str, role: StaffRole) -> String {
        let auth = &self.state.auth;
        let person = NewPerson {
            login: login.to_owned(),
            display_name: login.to_owned(),
            language: "en".to_owned(),
            ..NewPerson::default()
        };
        let address = [127, 0, 0, 1].into();
        let made = auth.add_staff(&person, role, "test").await.expect("added");
        if let Some(once) = made {
            let first = auth
                .sign_in_staff(login, &once.password, None, address)
                .await
                .expect("the one-time password holds");
            auth.set_password(first.person, STAFF_PASSWORD, false)
                .await
                .expect("set");
        }
        let signed_in = auth
            .sign_in_staff(login, STAFF_PASSWORD, None, address)
            .await;
        signed_in.expect("signed in").token
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).ok();
        self.served.await.expect("served");
    }

    /// Makes `count` attempts that wait at the gate, each with a certified agent and its token.
    pub(crate) async fn attempts(&self, count: u32) -> Vec<Provision> {
        let state = &self.state;
        let now = state.clock.wall();
        let mut tx = state.store.begin().await.expect("a transaction");
        let exam = NewExam {
            title: "Anatomy".to_owned(),
            discipline: "Anatomy".to_owned(),
            discipline_code: String::new(),
        };
        let exam = exams::create_exam(&mut tx, &state.keys, now, &exam)
            .await
            .expect("an exam");
        let sitting = NewSitting {
            exam,
            opens: now,
            closes: now.after(Duration::from_secs(3_600)),
            settings: SittingSettings {
                duration: Duration::from_secs(3_600),
                policy: GatePolicy::remote(),
                bandwidth: "standard".to_owned(),
                deny_processes: Vec::new(),
                allow_processes: Vec::new(),
            },
        };
        let sitting = exams::create_sitting(&mut tx, &state.keys, now, &sitting)
            .await
            .expect("a sitting");
        let mut provisions = Vec::new();
        for number in 0..count {
            let person = NewPerson {
                login: format!("candidate-{number}-{exam}"),
                display_name: "Test".to_owned(),
                language: "kk".to_owned(),
                external_id: String::new(),
                unit: String::new(),
                email: String::new(),
            };
            let person = people::put_person(&mut tx, &state.keys, now, &person)
                .await
                .expect("a person");
            let admission = Admission {
                sitting,
                person,
                admitted: true,
                reason: String::new(),
                accommodation: Accommodation::default(),
            };
            let attempt = exams::create_attempt(&mut tx, &state.keys, now, &admission, 1)
                .await
                .expect("an attempt");
            let (keys, agent_pkcs8) = Keys::generate().expect("random bytes");
            let token = hex::encode(qorgan_signing::random::<16>().expect("random bytes"));
            self.bind(
                &mut tx,
                attempt,
                keys.public_key(),
                (&token, &person.to_string()),
            )
            .await;
            provisions.push(Provision {
                attempt,
                token,
                agent_pkcs8,
            });
        }
        tx.commit().await.expect("committed");
        provisions
    }

    async fn bind(
        &self,
        tx: &mut qorgan_store::WriteTx,
        attempt: AttemptId,
        key: PublicKey,
        (token, person): (&str, &str),
    ) {
        let state = &self.state;
        let now = state.clock.wall();
        let institution = state.institution().to_string();
        let phase = AttemptPhase::Ready { since: now };
        qorgan_store::query(
            "UPDATE attempts SET phase = $2, phase_word = 'ready', epoch = 1, device_key = $3, \
             boot = $4 WHERE id = $1",
        )
        .bind(attempt.to_string())
        .bind(serde_json::to_string(&phase).expect("plain data"))
        .bind([1u8; 32].as_slice())
        .bind(BOOT.0.as_slice())
        .execute(&mut **tx)
        .await
        .expect("bound");
        let wrapped = |what: &str| {
            let key = qorgan_signing::SecretKey::generate().expect("random bytes");
            let place = format!("{what}:{attempt}:{}", Epoch::FIRST);
            state.keys.wrap(&place, &key).expect("random bytes")
        };
        qorgan_store::query(
            "INSERT INTO epochs (attempt_id, epoch, institution_id, device_key, boot, \
             journal_key_wrapped, freshness_key_wrapped, spool_key_wrapped, began_ms) \
             VALUES ($1, 1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(attempt.to_string())
        .bind(&institution)
        .bind([1u8; 32].as_slice())
        .bind(BOOT.0.as_slice())
        .bind(wrapped("journal"))
        .bind(wrapped("freshness"))
        .bind(wrapped("spool"))
        .bind(now.unix_ms())
        .execute(&mut **tx)
        .await
        .expect("an epoch");
        let certificate = certified(state, attempt, key, now);
        qorgan_store::query(
            "UPDATE epochs SET agent_key = $2, agent_certificate = $3, agent_signature = $4 \
             WHERE attempt_id = $1",
        )
        .bind(attempt.to_string())
        .bind(key.0.as_slice())
        .bind(&certificate.bytes)
        .bind(&certificate.signature)
        .execute(&mut **tx)
        .await
        .expect("enrolled");
        qorgan_store::query(
            "INSERT INTO tokens (hash, institution_id, kind, person_id, attempt_id, epoch, \
             created_ms, expires_ms) VALUES ($1, $2, 'agent', $3, $4, 1, $5, $6)",
        )
        .bind(Ring.sha256(&[token.as_bytes()]).0.as_slice())
        .bind(&institution)
        .bind(person)
        .bind(attempt.to_string())
        .bind(now.unix_ms())
        .bind(now.unix_ms() + 7_200_000)
        .execute(&mut **tx)
        .await
        .expect("a token");
    }
}

fn certified(state: &AppState, attempt: AttemptId, key: PublicKey, now: WallTime) -> SignedBytes {
    let certificate = state.keys.sign(&AttemptKeyCertificate {
        attempt,
        epoch: Epoch::FIRST,
        role: AttemptRole::Agent,
        key,
        boot: BOOT,
        issued: now,
        expires: now.after(Duration::from_secs(7_200)),
    });
    certificate.expect("plain data")
}

pub(crate) fn connector(ca: &Path) -> TlsConnector {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(ca).expect("the authority"))
        .expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}
