//! Sign-in, tokens, roles, limits.
//!
//! # Invariants
//! * A token is 32 random bytes; the database holds its hash alone.
//! * A route names by its extractor who may call it: [`ClientAuth`], [`AgentAuth`], [`Staff`].
//! * Rate limits count account and device first; the address only far above a full lab.

mod challenge;
mod client;
mod error;
mod extract;
mod limits;
mod password;
mod role;
mod staff;
mod tokens;
mod totp;

use std::sync::Arc;

use crate::config::Config;
use crate::keys::ServerKeys;
use crate::state::ServerClock;
use crate::store::Store;
use challenge::Challenges;
use limits::RateLimits;

pub use error::{AuthError, AuthRejection};
pub use extract::{AgentAuth, ClientAuth, CsrfChecked, PeerAddress, Staff, StaffSession};
pub use role::{Administrator, AnyStaff, Proctor, Role, StaffRole, TestCentre, Watcher};
pub use staff::{OneTimePassword, StaffSignIn, TotpSetup, clear_cookie, cookie};

/// Signs people and programs in; cloning is cheap.
#[derive(Debug, Clone)]
pub struct Auth {
    pub(crate) store: Store,
    pub(crate) keys: Arc<ServerKeys>,
    pub(crate) clock: ServerClock,
    pub(crate) config: Arc<Config>,
    challenges: Arc<Challenges>,
    limits: Arc<RateLimits>,
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
        Self {
            store,
            keys,
            clock,
            config,
            challenges: Arc::default(),
            limits,
        }
    }
}
