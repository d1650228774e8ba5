//! Extractors: a handler's arguments say who may call it.

use core::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, OriginalUri, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use qorgan_protocol::crypto::{self, Hasher as _, Sha256};
use qorgan_protocol::ids::{AttemptId, Epoch, PersonId};
use qorgan_protocol::wire::{PROOF_HEADER, RequestProof, proof_of};
use qorgan_signing::Ring;

use super::Auth;
use super::error::{AuthError, AuthRejection};
use super::network;
use super::proofs::Taken;
use super::role::{Role, StaffRole};
use super::staff::COOKIE;
use super::tokens::Holder;
use crate::http::Connection;
use crate::registry::{Caller, RegistryError};
use crate::state::AppState;
use qorgan_store::assigned::{Named, Scope, is_assigned};

/// A client that signed this very request, before the request's body is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signed {
    /// Whose device proved its key when the candidate signed in.
    pub(crate) caller: Caller,
    /// The hash of the body that the proof covers. Whoever takes the request holds its body against
    /// this, also where it has no use for one.
    pub(crate) body: Sha256,
}

impl Signed {
    /// Checks token and proof of a request, and tells the registry that the client was heard.
    pub(crate) async fn by(parts: &mut Parts, state: &AppState) -> Result<Self, AuthRejection> {
        let token = bearer_token(&parts.headers).map_err(|error| problem(&error))?;
        let caller = match state.auth.holder(token).await {
            Ok(Holder::Client(caller)) => caller,
            Ok(Holder::Agent { .. } | Holder::Staff { .. }) => {
                return Err(problem(&AuthError::Forbidden));
            }
            Err(error) => return Err(problem(&error)),
        };
        let attempt = attempt_of(parts);
        let body = match prove(parts, state, token, caller) {
            Ok(body) => body,
            Err(Unproved::Refused(rejection)) => return Err(rejection),
            Err(Unproved::Replayed) => {
                if let Some(attempt) = attempt {
                    let told = state.registry.proof_replayed(attempt, &caller).await;
                    told.map_err(|error| registry_problem(&error))?;
                }
                let detail = "the proof was used before";
                return Err(problem(&AuthError::NotProved { detail }));
            }
        };
        known(parts);
        if let Some(attempt) = attempt {
            let address = peer_address(parts, state).await;
            let heard = state.registry.hear(attempt, &caller, address).await;
            heard.map_err(|error| registry_problem(&error))?;
        }
        Ok(Self { caller, body })
    }
}

/// Checks that the token's device signed this very request, and that it is new; returns the
/// hash of the body that the proof covers.
fn prove(parts: &Parts, state: &AppState, token: &str, caller: Caller) -> Result<Sha256, Unproved> {
    let refuse = |detail| Unproved::Refused(problem(&AuthError::NotProved { detail }));
    let header = parts.headers.get(PROOF_HEADER);
    let header = header.ok_or_else(|| refuse("the request carries no proof"))?;
    let signed = proof_of(header.as_bytes()).map_err(|_form| refuse("the proof has no form"))?;
    let proof: RequestProof = crypto::open(&Ring, &caller.device_key, state.institution(), &signed)
        .map_err(|_error| refuse("the proof is not of the token's device"))?;
    let token = Ring.sha256(&[token.as_bytes()]);
    let uri = parts.extensions.get::<OriginalUri>();
    let uri = uri.map_or(&parts.uri, |original| &original.0);
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    if (proof.token, proof.method.as_str(), proof.target.as_str())
        != (token, parts.method.as_str(), target)
    {
        return Err(refuse("the proof is of another request"));
    }
    match state.auth.take_proof(token, proof.nonce, proof.number) {
        Ok(Taken::New) => Ok(proof.body),
        Ok(Taken::Stale(nonce)) => Err(Unproved::Refused(AuthRejection::StaleProof { nonce })),
        Ok(Taken::Replayed) => Err(Unproved::Replayed),
        Err(error) => Err(Unproved::Refused(problem(&error))),
    }
}

/// Why a request is not taken for its device's.
enum Unproved {
    Refused(AuthRejection),
    /// Its proof came before: somebody has the bytes of a request.
    Replayed,
}

/// Returns the attempt that a request's path names.
fn attempt_of(parts: &Parts) -> Option<AttemptId> {
    let uri = parts.extensions.get::<OriginalUri>();
    let path = uri.map_or_else(|| parts.uri.path(), |original| original.0.path());
    let rest = path.strip_prefix("/api/v1/attempts/")?;
    rest.split('/').next()?.parse().ok()
}

async fn peer_address(parts: &mut Parts, state: &AppState) -> IpAddr {
    match PeerAddress::from_request_parts(parts, state).await {
        Ok(PeerAddress(address)) => address,
        Err(never) => match never {},
    }
}

fn registry_problem(error: &RegistryError) -> AuthRejection {
    tracing::error!(%error, "Who speaks for an attempt could not be stored");
    AuthRejection::Problem(error.problem())
}

/// The agent of one attempt and epoch.
#[derive(Debug, Clone, Copy)]
pub struct AgentAuth {
    /// The candidate.
    pub person: PersonId,
    /// The attempt that is recorded.
    pub attempt: AttemptId,
    /// The epoch of the machine.
    pub epoch: Epoch,
    /// SHA-256 of its token's text.
    pub token: Sha256,
}

impl FromRequestParts<AppState> for AgentAuth {
    type Rejection = AuthRejection;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &AppState,
    ) -> Result<Self, AuthRejection> {
        let token = bearer_token(&parts.headers).map_err(|error| problem(&error))?;
        match state.auth.holder(token).await {
            Ok(Holder::Agent {
                person,
                attempt,
                epoch,
            }) => {
                known(parts);
                let token = Ring.sha256(&[token.as_bytes()]);
                let address = peer_address(parts, state).await;
                let heard = state.registry.hear_agent(attempt, epoch, address).await;
                heard.map_err(|error| registry_problem(&error))?;
                Ok(Self {
                    person,
                    attempt,
                    epoch,
                    token,
                })
            }
            Ok(Holder::Client(_) | Holder::Staff { .. }) => Err(problem(&AuthError::Forbidden)),
            Err(error) => Err(problem(&error)),
        }
    }
}

/// A member of staff in a browser, perhaps with a password to change or a factor to set up.
#[derive(Debug, Clone)]
pub struct StaffSession {
    /// The member of staff.
    pub person: PersonId,
    /// The login.
    pub login: String,
    /// How to address the person.
    pub display_name: String,
    /// The language on file.
    pub language: String,
    /// The roles, in order.
    pub roles: Vec<StaffRole>,
    /// The token that every changing request must carry.
    pub csrf: String,
    /// The cookie's value.
    pub token: String,
    /// The password must be changed first.
    pub must_change: bool,
    /// The second factor must be set up first.
    pub needs_totp: bool,
    /// This session was signed in with the second factor, or set it up.
    pub factor: bool,
}

impl StaffSession {
    /// Tells whether `given` is this session's CSRF token.
    #[must_use]
    pub fn csrf_matches(&self, given: &str) -> bool {
        let (a, b) = (self.csrf.as_bytes(), given.as_bytes());
        let differing = a.iter().zip(b).fold(0, |d, (x, y)| d | (x ^ y));
        !a.is_empty() && a.len() == b.len() && differing == 0
    }

    /// Tells whether nothing is left to be set up first.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        !self.must_change && !self.needs_totp
    }

    /// Returns what a page that `R` admits shows of sittings and attempts: who is let in as a proctor
    /// alone sees the sittings that are assigned to them.
    #[must_use]
    pub fn scope<R: Role>(&self) -> Scope {
        let wider = |role: &StaffRole| R::ADMITS.contains(role) && *role != StaffRole::Proctor;
        if self.roles.iter().any(wider) {
            Scope::All
        } else {
            Scope::Proctor(self.person)
        }
    }

    /// Tells whether the person has one of the roles that `R` admits.
    #[must_use]
    pub fn has<R: Role>(&self) -> bool {
        self.roles.iter().any(|role| R::ADMITS.contains(role))
    }
}

impl FromRequestParts<AppState> for StaffSession {
    type Rejection = AuthRejection;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &AppState,
    ) -> Result<Self, AuthRejection> {
        let htmx = parts.headers.contains_key("hx-request");
        let sign_in = |error: AuthError| match error {
            AuthError::NotSignedIn | AuthError::Forbidden => AuthRejection::SignIn { htmx },
            other @ (AuthError::WrongPassword
            | AuthError::TooMany { .. }
            | AuthError::Busy { .. }
            | AuthError::TooLong
            | AuthError::CodeOver
            | AuthError::NotProved { .. }
            | AuthError::BadPassword
            | AuthError::Store(_)
            | AuthError::Hash
            | AuthError::Key(_)
            | AuthError::Seal(_)) => problem(&other),
        };
        let token = cookie_value(&parts.headers).ok_or(AuthRejection::SignIn { htmx })?;
        let holder = state.auth.holder(&token).await.map_err(sign_in)?;
        let session = state.auth.session(holder, token).await.map_err(sign_in)?;
        known(parts);
        Ok(session)
    }
}

impl Auth {
    /// Returns the session of a member of staff who holds a token.
    async fn session(&self, holder: Holder, token: String) -> Result<StaffSession, AuthError> {
        let Holder::Staff { person, csrf, with } = holder else {
            return Err(AuthError::NotSignedIn);
        };
        let row = self.staff_row(person).await?;
        Ok(StaffSession {
            person,
            login: row.login,
            display_name: row.display_name,
            language: row.language,
            roles: self.roles(person).await?,
            csrf,
            token,
            must_change: with.one_time || row.must_change,
            needs_totp: self.config.sign_in.staff_totp_required && !with.factor,
            factor: with.factor,
        })
    }

    /// Returns the session that a cookie's value belongs to.
    #[cfg(test)]
    pub(crate) async fn session_of(&self, token: &str) -> Result<StaffSession, AuthError> {
        let holder = self.holder(token).await?;
        self.session(holder, token.to_owned()).await
    }

    /// Tells whether a session that something was opened with would still open it. Asking does not
    /// prolong it.
    pub(crate) async fn still_admits<R: Role>(&self, token: &str) -> bool {
        let asked = async {
            let holder = self.still_holds(token).await?;
            self.session(holder, token.to_owned()).await
        };
        match asked.await {
            Ok(session) => session.is_full() && session.has::<R>(),
            Err(error) => {
                if error.is_fault() {
                    tracing::error!(%error, "Could not ask for a session that holds a socket open");
                }
                false
            }
        }
    }
}

/// A member of staff with a role that `R` admits, fully signed in.
#[derive(Debug, Clone)]
pub struct Staff<R: Role> {
    /// The session of the person, with the facts that a page needs.
    pub session: StaffSession,
    role: PhantomData<R>,
}

impl<R: Role> FromRequestParts<AppState> for Staff<R> {
    type Rejection = AuthRejection;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &AppState,
    ) -> Result<Self, AuthRejection> {
        let session = StaffSession::from_request_parts(parts, state).await?;
        if !session.is_full() {
            let htmx = parts.headers.contains_key("hx-request");
            return Err(AuthRejection::SignIn { htmx });
        }
        if !session.has::<R>() {
            return Err(problem(&AuthError::Forbidden));
        }
        in_scope(session.scope::<R>(), parts, state).await?;
        Ok(Self {
            session,
            role: PhantomData,
        })
    }
}

/// Refuses a path that names a sitting, an attempt or an act outside `scope`. Every route of staff
/// passes here, so that none can forget it.
async fn in_scope(scope: Scope, parts: &mut Parts, state: &AppState) -> Result<(), AuthRejection> {
    let Scope::Proctor(person) = scope else {
        return Ok(());
    };
    let forbidden = || problem(&AuthError::Forbidden);
    let params = RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|_not_text| forbidden())?;
    for (name, value) in &params {
        let named = match name {
            "sitting" => Named::Sitting(value),
            "attempt" => Named::Attempt(value),
            "act" => Named::Act(value),
            _ => continue,
        };
        let assigned = is_assigned(&state.store, person, named).await;
        if !assigned.map_err(|error| problem(&AuthError::Store(error)))? {
            return Err(forbidden());
        }
    }
    Ok(())
}

/// A changing request whose header `x-csrf-token` carries the session's token.
#[derive(Debug, Clone, Copy)]
pub struct CsrfChecked;

impl FromRequestParts<AppState> for CsrfChecked {
    type Rejection = AuthRejection;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &AppState,
    ) -> Result<Self, AuthRejection> {
        let session = StaffSession::from_request_parts(parts, state).await?;
        let given = parts.headers.get("x-csrf-token");
        let given = given
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        if session.csrf_matches(given) {
            Ok(Self)
        } else {
            Err(problem(&AuthError::Forbidden))
        }
    }
}

/// Where a request comes from; a trusted proxy's word is taken.
#[derive(Debug, Clone, Copy)]
pub struct PeerAddress(pub IpAddr);

impl FromRequestParts<AppState> for PeerAddress {
    type Rejection = core::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &AppState,
    ) -> Result<Self, core::convert::Infallible> {
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip());
        let proxies = &state.config.trusted_proxies;
        Ok(Self(network::caller(peer, &parts.headers, proxies)))
    }
}

/// The connection belongs to somebody who is signed in: it is closed after those of strangers.
fn known(parts: &Parts) {
    if let Some(connection) = parts.extensions.get::<Arc<Connection>>() {
        connection.is_known();
    }
}

fn bearer_token(headers: &HeaderMap) -> Result<&str, AuthError> {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or(AuthError::NotSignedIn)
}

fn cookie_value(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _value)| *name == COOKIE)
        .map(|(_name, value)| value.to_owned())
}

fn problem(error: &AuthError) -> AuthRejection {
    if let AuthError::Store(cause) = error {
        tracing::error!(error = %cause, "The database failed while a token was checked");
    }
    AuthRejection::Problem(error.problem())
}
