//! Sign-in, tokens, roles, limits.
//!
//! # Invariants
//! * A token is 32 random bytes; the database holds its hash alone.
//! * A client's token is of no use without its device's key, which signs each request.
//! * A route names by its extractor who may call it: `ByClient` (in `http`), [`AgentAuth`], [`Staff`].
//! * Rate limits count account and device first; the network only far above a full lab.
//! * A session says what it was signed in with, and ends with the password, the role, its idle time or
//!   its absolute end.

mod challenge;
mod client;
mod entrance;
mod error;
mod extract;
mod factor;
mod first;
mod hashing;
mod limits;
mod network;
mod password;
mod places;
mod proofs;
mod queue;
mod role;
mod spare;
mod staff;
mod tokens;
mod totp;

use std::sync::Arc;

use crate::state::ServerClock;
use challenge::Challenges;
use hashing::Hashers;
use limits::RateLimits;
use places::KnownPlaces;
use proofs::Proofs;
use qorgan_base::config::Config;
use qorgan_base::keys::ServerKeys;
use qorgan_store::Store;

pub use error::{AuthError, AuthRejection};
pub(crate) use extract::Signed;
pub use extract::{AgentAuth, CsrfChecked, PeerAddress, Staff, StaffSession};
pub use factor::TotpSetup;
pub use first::{forget_first_password, keep_first_password};
pub use network::Network;
pub(crate) use network::is_trusted;
pub(crate) use password::one_time;
pub use role::{Administrator, AnyStaff, Office, Proctor, Role, StaffRole, TestCentre, Watcher};
pub use staff::{OneTimePassword, StaffSignIn, clear_cookie, cookie};

/// Signs people and programs in; cloning is cheap.
#[derive(Debug, Clone)]
pub struct Auth {
    pub(crate) store: Store,
    pub(crate) keys: Arc<ServerKeys>,
    pub(crate) clock: ServerClock,
    pub(crate) config: Arc<Config>,
    challenges: Arc<Challenges>,
    limits: Arc<RateLimits>,
    places: Arc<KnownPlaces>,
    hashers: Arc<Hashers>,
    proofs: Arc<Proofs>,
}

impl Auth {
    /// Begins with nobody limited.
    #[must_use]
    pub fn new(
        store: Store,
        keys: Arc<ServerKeys>,
        clock: ServerClock,
        config: Arc<Config>,
    ) -> Self {
        let limits = Arc::new(RateLimits::new(config.limits));
        let hashers = Arc::new(Hashers::start(config.passwords.threads));
        Self {
            store,
            keys,
            clock,
            config,
            challenges: Arc::default(),
            limits,
            places: Arc::default(),
            hashers,
            proofs: Arc::default(),
        }
    }
}
