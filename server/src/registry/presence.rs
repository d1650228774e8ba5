//! Who speaks for an attempt, and from where: network addresses, and starts of the client.
//!
//! # Invariants
//! * Addresses are personal data: they stand sealed in the database and on the attempt's page, in no
//!   log, incident or export.
//! * What one attempt keeps is bounded; that there was more is an incident like any other change.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_protocol::incident::IncidentKind;
use qorgan_protocol::time::WallTime;
use qorgan_protocol::wire::ProblemCode;
use qorgan_signing::SecretKey;
use qorgan_store::Row;

use super::Registry;
use super::binding::Caller;
use super::cell::{Cell, CellState};
use super::change::{Change, SERVER};
use super::error::RegistryError;
use qorgan_store::StoreError;

/// Which program spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// The kiosk.
    Client,
    /// The agent.
    Agent,
}

impl Program {
    const fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Agent => "agent",
        }
    }

    fn from_word(word: &str) -> Self {
        match word {
            "agent" => Self::Agent,
            _ => Self::Client,
        }
    }
}

/// What an address means that was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// It was the newest of this program already.
    Same,
    /// It is the first of all.
    First,
    /// It was never heard before.
    New,
    /// It was heard before, and another one since: so long ago, in milliseconds.
    Back { apart_ms: i64 },
}

/// The addresses of one attempt.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    places: Option<Vec<Place>>,
    /// Starts of the client that another one took the place of.
    replaced: Vec<[u8; 16]>,
    /// Whether it is on record that a replaced client still speaks.
    told_replaced: bool,
    /// Whether it is on record that two addresses speak by turns.
    told_turns: bool,
    /// When the client was heard last.
    client_ms: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    program: Program,
    address: IpAddr,
    last_ms: i64,
    saved_ms: i64,
    row: i64,
}

impl Presence {
    /// Remembers that a start of the client lost its place.
    pub(super) fn replace(&mut self, instance: [u8; 16]) {
        if self.replaced.len() >= REPLACED_MAX {
            self.replaced.remove(0);
        }
        self.replaced.push(instance);
        self.told_replaced = false;
    }

    /// Remembers an address; of too many, the one heard longest ago makes room, and its row stays.
    fn remember(&mut self, heard: Place) {
        let places = self.places.get_or_insert_default();
        let same =
            |place: &&mut Place| place.program == heard.program && place.address == heard.address;
        if let Some(known) = places.iter_mut().find(same) {
            *known = heard;
            return;
        }
        if places.len() >= PLACES_MAX {
            let oldest = places.iter().enumerate().min_by_key(|(_, one)| one.last_ms);
            if let Some(oldest) = oldest.map(|(index, _)| index) {
                places.remove(oldest);
            }
        }
        places.push(heard);
    }

    /// Tells whether the client that holds the attempt was heard a moment ago.
    pub(super) fn heard_lately(&self, now: WallTime) -> bool {
        let ago = self.client_ms.map(|ms| now.unix_ms().saturating_sub(ms));
        ago.is_some_and(|ago| ago <= AT_ONCE_MS)
    }
}

/// Places an address among those that are known; the newest of a program is the one heard last.
fn place(places: &[Place], program: Program, address: IpAddr) -> Heard {
    let mut own = places.iter().filter(|place| place.program == program);
    let newest = own.clone().max_by_key(|place| place.last_ms);
    match (newest, own.find(|place| place.address == address)) {
        (Some(newest), _) if newest.address == address => Heard::Same,
        (Some(newest), Some(known)) => Heard::Back {
            apart_ms: newest.last_ms.saturating_sub(known.last_ms),
        },
        (Some(_), None) => Heard::New,
        (None, _) => {
            // The client's address is the first; the agent's is held against it, where both are of
            // one kind: a machine may speak IPv4 and IPv6.
            let other = places.iter().max_by_key(|place| place.last_ms);
            match other {
                Some(other)
                    if other.address.is_ipv4() == address.is_ipv4() && other.address != address =>
                {
                    Heard::New
                }
                Some(_) | None => Heard::First,
            }
        }
    }
}

/// Returns what of an address names a network connection: an IPv6 machine changes the rest by
/// itself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
    }
}

impl Registry {
    /// Hears a proved request of a client for an attempt.
    ///
    /// # Errors
    /// The database failed. What is not the caller's is left to the handler, which refuses it.
    pub(crate) async fn hear(
        &self,
        attempt: AttemptId,
        caller: &Caller,
        address: IpAddr,
    ) -> Result<(), RegistryError> {
        let Some(cell) = self.cell_if_known(attempt).await? else {
            return Ok(());
        };
        let mut state = cell.state.lock().await;
        let bound = state.binding == Some(caller.binding());
        if caller.person != state.facts.person || !bound {
            return Ok(());
        }
        let now = self.inner.clock.wall();
        if state.presence.replaced.contains(&caller.instance) {
            if !state.presence.told_replaced {
                let detail = "a client that another one took the place of still speaks";
                self.note_again(&mut state, IncidentKind::SecondMachine, detail)
                    .await?;
                state.presence.told_replaced = true;
            }
        } else if state.instance == Some(caller.instance) {
            state.presence.client_ms = Some(now.unix_ms());
        }
        self.heard_from(&mut state, Program::Client, address, now)
            .await
    }

    /// Hears the agent of an attempt.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) async fn hear_agent(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        address: IpAddr,
    ) -> Result<(), RegistryError> {
        let Some(cell) = self.cell_if_known(attempt).await? else {
            return Ok(());
        };
        let mut state = cell.state.lock().await;
        if state.epoch != epoch {
            return Ok(());
        }
        let now = self.inner.clock.wall();
        self.heard_from(&mut state, Program::Agent, address, now)
            .await
    }

    /// Notes that a proof of a request came twice: somebody else has it.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) async fn proof_replayed(
        &self,
        attempt: AttemptId,
        caller: &Caller,
    ) -> Result<(), RegistryError> {
        let Some(cell) = self.cell_if_known(attempt).await? else {
            return Ok(());
        };
        let state = cell.state.lock().await;
        if caller.person != state.facts.person || state.binding != Some(caller.binding()) {
            return Ok(());
        }
        let kind = IncidentKind::SecondMachine;
        let (now, detail) = (self.inner.clock.wall(), "a signed request came twice");
        let graded = (kind, kind.default_severity());
        self.fact(&state, SERVER, graded, (now, detail)).await
    }

    /// Returns an attempt's cell; `None` for an attempt that does not exist.
    async fn cell_if_known(&self, attempt: AttemptId) -> Result<Option<Arc<Cell>>, RegistryError> {
        match self.cell(attempt).await {
            Ok(cell) => Ok(Some(cell)),
            Err(RegistryError::Problem { problem }) if problem.code == ProblemCode::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn heard_from(
        &self,
        state: &mut CellState,
        program: Program,
        address: IpAddr,
        now: WallTime,
    ) -> Result<(), RegistryError> {
        if !state.gate.phase().records() {
            // Where somebody reads their list of exams from is nobody's business.
            return Ok(());
        }
        let address = network(address);
        if state.presence.places.is_none() {
            state.presence.places = Some(self.read_places(state).await?);
        }
        let known = state.presence.places.as_deref().unwrap_or_default();
        let heard = place(known, program, address);
        let detail = match heard {
            Heard::Same | Heard::First => None,
            Heard::New => {
                let before = known.iter().filter(|place| place.program == program);
                let number = before.count().saturating_add(1);
                Some(if number == 1 {
                    "the agent's address differs from the client's".to_owned()
                } else {
                    format!("address {number} of the {}", program.word())
                })
            }
            Heard::Back { apart_ms } if apart_ms > BY_TURNS_MS => None,
            Heard::Back { .. } if state.presence.told_turns => None,
            Heard::Back { .. } => Some(format!(
                "the {} speaks from two addresses by turns",
                program.word()
            )),
        };
        let turns = matches!(heard, Heard::Back { .. }) && detail.is_some();
        self.keep_place(state, (program, address), (now, detail.as_deref()))
            .await?;
        state.presence.told_turns |= turns;
        Ok(())
    }

    /// Keeps when an address was heard, with the incident where it says something; its row is written
    /// once a minute.
    async fn keep_place(
        &self,
        state: &mut CellState,
        (program, address): (Program, IpAddr),
        (now, detail): (WallTime, Option<&str>),
    ) -> Result<(), RegistryError> {
        let ms = now.unix_ms();
        let places = state.presence.places.as_deref().unwrap_or_default();
        let same = |place: &&Place| place.program == program && place.address == address;
        let known = places.iter().find(same).copied();
        let is_new = known.is_none() && places.len() < PLACES_MAX;
        let is_old = known.is_some_and(|one| ms.saturating_sub(one.saved_ms) >= SAVE_EVERY_MS);
        let mut kept = known.unwrap_or(Place {
            program,
            address,
            last_ms: ms,
            saved_ms: ms,
            row: 0,
        });
        if is_new || is_old || detail.is_some() {
            let mut change = Change::begin(self, state, state.epoch, now).await?;
            if is_new {
                kept.row = self.insert_place(&mut change, state, &kept).await?;
            } else if is_old {
                qorgan_store::query("UPDATE attempt_addresses SET last_ms = $2 WHERE id = $1")
                    .bind(kept.row)
                    .bind(ms)
                    .execute(&mut *change.tx)
                    .await?;
                kept.saved_ms = ms;
            }
            if let Some(detail) = detail {
                let kind = IncidentKind::AddressChanged;
                let graded = (kind, kind.default_severity());
                change.fact(SERVER, graded, (now, detail)).await?;
            }
            state.open_incidents = change.commit().await?;
        }
        kept.last_ms = kept.last_ms.max(ms);
        state.presence.remember(kept);
        Ok(())
    }

    async fn insert_place(
        &self,
        change: &mut Change<'_>,
        state: &CellState,
        heard: &Place,
    ) -> Result<i64, RegistryError> {
        let attempt = state.facts.attempt;
        let place = address_place(attempt);
        let sealed = state
            .key
            .seal(place.as_bytes(), heard.address.to_string().as_bytes())?;
        let row: i64 = qorgan_store::query_scalar(
            "INSERT INTO attempt_addresses (institution_id, attempt_id, program, sealed, first_ms, \
             last_ms) VALUES ($1, $2, $3, $4, $5, $5) RETURNING id",
        )
        .bind(self.inner.keys.institution().to_string())
        .bind(attempt.to_string())
        .bind(heard.program.word())
        .bind(sealed)
        .bind(heard.last_ms)
        .fetch_one(&mut *change.tx)
        .await?;
        Ok(row)
    }

    async fn read_places(&self, state: &CellState) -> Result<Vec<Place>, RegistryError> {
        let attempt = state.facts.attempt;
        let rows = self.address_rows(attempt).await?;
        let lines = address_lines(attempt, &state.key, &rows)?;
        let place = |line: &AddressLine| {
            Some(Place {
                program: Program::from_word(&line.program),
                address: line.address.parse().ok()?,
                last_ms: line.last.unix_ms(),
                saved_ms: line.last.unix_ms(),
                row: line.row,
            })
        };
        Ok(lines.iter().filter_map(place).collect())
    }

    /// Returns the addresses that an attempt was heard from, oldest first.
    ///
    /// # Errors
    /// `NotFound`; the database or the attempt's key failed.
    pub(crate) async fn addresses(
        &self,
        attempt: AttemptId,
    ) -> Result<Vec<AddressLine>, RegistryError> {
        let rows = self.address_rows(attempt).await?;
        // A deleted attempt has neither addresses nor the key that sealed them.
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let cell = self.cell(attempt).await?;
        let key = Arc::clone(&cell.state.lock().await.key);
        address_lines(attempt, &key, &rows)
    }

    async fn address_rows(&self, attempt: AttemptId) -> Result<Vec<Row>, RegistryError> {
        let rows = qorgan_store::query(
            "SELECT id, program, sealed, first_ms, last_ms FROM attempt_addresses \
             WHERE attempt_id = $1 ORDER BY id LIMIT 64",
        )
        .bind(attempt.to_string())
        .fetch_all(self.inner.store.read())
        .await?;
        Ok(rows)
    }
}

/// An address that an attempt was heard from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddressLine {
    row: i64,
    /// `client` or `agent`.
    pub(crate) program: String,
    /// The address; of IPv6 the network alone.
    pub(crate) address: String,
    /// When it was heard first.
    pub(crate) first: WallTime,
    /// When it was heard last, to the minute.
    pub(crate) last: WallTime,
}

fn address_lines(
    attempt: AttemptId,
    key: &SecretKey,
    rows: &[Row],
) -> Result<Vec<AddressLine>, RegistryError> {
    let place = address_place(attempt);
    let mut lines = Vec::with_capacity(rows.len());
    for row in rows {
        let sealed: Vec<u8> = row.get("sealed")?;
        let plain = key.open(place.as_bytes(), &sealed)?;
        lines.push(AddressLine {
            row: row.get("id")?,
            program: row.get("program")?,
            address: String::from_utf8(plain)
                .map_err(|_bad| StoreError::Corrupt { what: "address" })?,
            first: WallTime::from_unix_ms(row.get("first_ms")?),
            last: WallTime::from_unix_ms(row.get("last_ms")?),
        });
    }
    Ok(lines)
}

fn address_place(attempt: AttemptId) -> String {
    format!("attempt-address:{attempt}")
}

/// The most addresses that are kept of one attempt.
const PLACES_MAX: usize = 64;
/// The most starts of a client that are remembered.
const REPLACED_MAX: usize = 16;
/// Two addresses that speak within so long of one another do it by turns.
const BY_TURNS_MS: i64 = 60_000;
/// A client that was heard so lately still runs.
const AT_ONCE_MS: i64 = 3_000;
const SAVE_EVERY_MS: i64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn known(program: Program, address: &str, last_ms: i64) -> Place {
        Place {
            program,
            address: address.parse().expect("an address"),
            last_ms,
            saved_ms: last_ms,
            row: 1,
        }
    }

    fn heard(places: &[Place], program: Program, address: &str) -> Heard {
        place(places, program, address.parse().expect("an address"))
    }

    #[test]
    fn the_first_address_is_nothing_another_one_is_new_and_one_that_comes_back_says_when() {
        assert_eq!(heard(&[], Program::Client, "10.0.0.1"), Heard::First);
        let mut places = vec![known(Program::Client, "10.0.0.1", 1_000)];
        assert_eq!(heard(&places, Program::Client, "10.0.0.1"), Heard::Same);
        assert_eq!(heard(&places, Program::Client, "10.0.0.2"), Heard::New);
        places.push(known(Program::Client, "10.0.0.2", 3_000));
        let back = Heard::Back { apart_ms: 2_000 };
        assert_eq!(heard(&places, Program::Client, "10.0.0.1"), back);
    }

    #[test]
    fn the_agents_first_address_is_held_against_the_clients_of_the_same_kind() {
        let places = [known(Program::Client, "10.0.0.1", 1_000)];
        assert_eq!(heard(&places, Program::Agent, "10.0.0.1"), Heard::First);
        assert_eq!(heard(&places, Program::Agent, "2001:db8::"), Heard::First);
        assert_eq!(heard(&places, Program::Agent, "10.9.9.9"), Heard::New);
    }

    #[test]
    fn of_an_ipv6_address_only_the_network_counts() {
        let one: IpAddr = "2001:db8:1:2:aaaa::1".parse().expect("an address");
        let two: IpAddr = "2001:db8:1:2:bbbb::2".parse().expect("an address");
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().expect("an address");
        assert_eq!(network(one), network(two));
        assert_eq!(network(mapped).to_string(), "10.0.0.1");
    }
}
