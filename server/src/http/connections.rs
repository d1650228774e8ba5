//! Bounds connections by network and in all, and closes those of strangers first.
//!
//! # Invariants
//! * A connection counts from before its TLS handshake until it is closed.
//! * A connection is a stranger's until a request on it was signed in. Where a bound is reached, the
//!   stranger's that is idle longest is closed; one with a request under way never is.
//! * Trusted proxies are not counted: everybody comes from their address.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum_server::accept::Accept;
use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use crate::auth::{Network, is_trusted};
use qorgan_base::config::Config;

/// How many connections may be open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// In all.
    pub(super) all: usize,
    /// Of one network.
    pub(super) network: usize,
    /// Of strangers of one network.
    pub(super) strangers: usize,
}

/// The open connections; cloning is cheap.
#[derive(Debug, Clone)]
pub struct Connections(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bounds: Bounds,
    uncounted: Vec<IpAddr>,
    began: Instant,
    open: Mutex<Open>,
}

/// The connections of one network.
type Here = BTreeMap<SocketAddr, Arc<Connection>>;

#[derive(Debug, Default)]
struct Open {
    networks: BTreeMap<Network, Here>,
    /// How many there are in all networks.
    count: usize,
}

/// One connection, as it is seen by everybody who has to do with it.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    known: AtomicBool,
    /// Requests under way.
    busy: AtomicU32,
    /// When something was last read or written, in milliseconds.
    last_ms: AtomicU64,
    closed: AtomicBool,
    waker: AtomicWaker,
}

impl Connection {
    /// Notes that somebody who is signed in uses it.
    pub(crate) fn is_known(&self) {
        self.known.store(true, Ordering::Relaxed);
    }

    /// Notes that a request is under way until the returned guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        self.busy.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    fn is_stranger(&self) -> bool {
        !self.known.load(Ordering::Relaxed)
    }

    fn idle_since(&self) -> Option<u64> {
        let idle = self.is_stranger() && self.busy.load(Ordering::Relaxed) == 0;
        (idle && !self.is_closed()).then(|| self.last_ms.load(Ordering::Relaxed))
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.waker.wake();
    }
}

/// A request on a connection.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<Connection>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connections {
    /// Begins with none. The bound on all follows from how many files the system lets be open.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let descriptors = qorgan_base::platform::open_files();
        let limits = &config.limits;
        let bounds = Bounds {
            all: descriptors.map_or(ALL_MAX, |(soft, _hard)| connections_of(soft)),
            network: usize::try_from(limits.address_connections).unwrap_or(usize::MAX),
            strangers: usize::try_from(limits.address_strangers).unwrap_or(usize::MAX),
        };
        Self::bounded(bounds, config.trusted_proxies.clone())
    }

    fn bounded(bounds: Bounds, uncounted: Vec<IpAddr>) -> Self {
        Self(Arc::new(Shared {
            bounds,
            uncounted,
            began: Instant::now(),
            open: Mutex::default(),
        }))
    }

    /// Returns the open connection of a peer, where it is counted.
    pub(super) fn of(&self, peer: SocketAddr) -> Option<Arc<Connection>> {
        let open = self.lock();
        let here = open.networks.get(&Network::of(peer.ip()))?;
        here.get(&peer).cloned()
    }

    fn take(&self, peer: SocketAddr) -> io::Result<Option<Place>> {
        let shared = &self.0;
        if is_trusted(&shared.uncounted, peer.ip()) {
            return Ok(None);
        }
        let network = Network::of(peer.ip());
        let mut open = self.lock();
        let is_full = open
            .networks
            .get(&network)
            .is_some_and(|here| is_full(here, shared.bounds));
        if is_full && !open.close_idle_of(network) {
            return Err(refused("its network has too many"));
        }
        if open.count >= shared.bounds.all && !open.close_idle_of_most() {
            return Err(refused("there are too many in all"));
        }
        let connection = Arc::new(Connection::default());
        connection.last_ms.store(self.now_ms(), Ordering::Relaxed);
        let here = open.networks.entry(network).or_default();
        let before = here.insert(peer, Arc::clone(&connection));
        open.count += usize::from(before.is_none());
        drop(open);
        Ok(Some(Place {
            peer,
            connection,
            all: self.clone(),
        }))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Open {
    /// Closes the stranger's connection of a network that is idle longest, and frees its place at once.
    /// Tells whether there was one.
    fn close_idle_of(&mut self, network: Network) -> bool {
        let Some(here) = self.networks.get_mut(&network) else {
            return false;
        };
        let idle = here
            .iter()
            .filter_map(|(peer, one)| one.idle_since().map(|since| (since, *peer)));
        let Some((_since, peer)) = idle.min() else {
            return false;
        };
        if let Some(connection) = here.remove(&peer) {
            connection.close();
            self.count = self.count.saturating_sub(1);
        }
        true
    }

    /// The network with the most idle strangers gives one up.
    fn close_idle_of_most(&mut self) -> bool {
        let idle = |here: &Here| {
            here.values()
                .filter(|one| one.idle_since().is_some())
                .count()
        };
        let most = self
            .networks
            .iter()
            .max_by_key(|(_network, here)| idle(here));
        match most.map(|(network, _here)| *network) {
            Some(network) => self.close_idle_of(network),
            None => false,
        }
    }

    /// Forgets a connection that ended; one that was closed for another has given its place away, perhaps
    /// to the same port.
    fn forget(&mut self, peer: SocketAddr, connection: &Arc<Connection>) {
        let network = Network::of(peer.ip());
        let Some(here) = self.networks.get_mut(&network) else {
            return;
        };
        let is_same = |one: &Arc<Connection>| Arc::ptr_eq(one, connection);
        if here.get(&peer).is_some_and(is_same) {
            here.remove(&peer);
            self.count = self.count.saturating_sub(1);
        }
        if here.is_empty() {
            self.networks.remove(&network);
        }
    }
}

fn is_full(here: &Here, bounds: Bounds) -> bool {
    let strangers = || here.values().filter(|one| one.is_stranger()).count();
    here.len() >= bounds.network
        || (here.len() >= bounds.strangers && strangers() >= bounds.strangers)
}

fn refused(why: &'static str) -> io::Error {
    tracing::debug!(why, "Refused a connection");
    io::ErrorKind::ConnectionRefused.into()
}

/// Returns how many connections go into so many open files; the rest is for recordings and the database.
pub(super) fn connections_of(open_files: u64) -> usize {
    let usable = open_files.saturating_sub(FILES_KEPT) * 6 / 10;
    usize::try_from(usable)
        .unwrap_or(ALL_MAX)
        .clamp(ALL_MIN, ALL_MAX)
}

/// Returns how many open files so many candidates need: six connections and four files each.
pub(super) const fn files_needed(candidates: u32) -> u64 {
    FILES_KEPT + 10 * candidates as u64
}

/// Returns for how many candidates so many open files suffice.
pub(super) const fn candidates_of(open_files: u64) -> u64 {
    open_files.saturating_sub(FILES_KEPT) / 10
}

/// A connection's place in the counts.
#[derive(Debug)]
struct Place {
    peer: SocketAddr,
    connection: Arc<Connection>,
    all: Connections,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.lock().forget(self.peer, &self.connection);
    }
}

/// Accepts the connections that the bounds leave room for.
#[derive(Debug, Clone)]
pub(super) struct Bounded(pub(super) Connections);

impl<S> Accept<TcpStream, S> for Bounded {
    type Stream = Counted;
    type Service = S;
    type Future = std::future::Ready<io::Result<(Counted, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let counted = stream
            .peer_addr()
            .and_then(|peer| self.0.take(peer))
            .map(|place| Counted {
                stream,
                place,
                stalled: None,
            });
        std::future::ready(counted.map(|stream| (stream, service)))
    }
}

/// A connection that is counted until it is closed, and cut where its peer takes nothing.
#[derive(Debug)]
pub(super) struct Counted {
    stream: TcpStream,
    place: Option<Place>,
    /// Runs while the peer takes none of the written bytes.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Counted {
    /// Ends here where the connection was closed for another.
    fn check(&self, cx: &Context<'_>) -> io::Result<()> {
        let Some(place) = &self.place else {
            return Ok(());
        };
        place.connection.waker.register(cx.waker());
        if place.connection.is_closed() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    fn moved(&self) {
        if let Some(place) = &self.place {
            let now = place.all.now_ms();
            place.connection.last_ms.store(now, Ordering::Relaxed);
        }
    }

    /// Passes on how far a write came; ends a write that does not get on.
    fn written<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.stalled = None;
            self.moved();
            return write;
        }
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(sleep(STALLED_MAX)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_ready() {
            self.moved();
        }
        read
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, write)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.written(cx, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Files that are open besides connections and recordings.
const FILES_KEPT: u64 = 256;
const ALL_MIN: usize = 64;
const ALL_MAX: usize = 100_000;
/// A peer that takes not one byte for so long is gone.
const STALLED_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        all: 100,
        network: 6,
        strangers: 2,
    };

    #[test]
    fn a_network_has_its_places_back_when_connections_close() {
        let open = Connections::bounded(BOUNDS, Vec::new());
        let mut held: Vec<Place> = (0..6)
            .map(|port| signed_in(&open, "10.0.0.1", port))
            .collect();
        open.take(at("10.0.0.1", 9))
            .expect_err("six, and no stranger");
        signed_in(&open, "10.0.0.2", 9);
        held.pop();
        signed_in(&open, "10.0.0.1", 10);
        drop(held);
        let open = open.lock();
        assert!(open.networks.is_empty() && open.count == 0);
    }

    #[test]
    fn a_stranger_that_is_idle_longest_gives_way_and_one_with_a_request_does_not() {
        let open = Connections::bounded(BOUNDS, Vec::new());
        let first = taken(&open, "10.0.0.1", 1);
        let second = taken(&open, "10.0.0.1", 2);
        first.connection.last_ms.store(5, Ordering::Relaxed);
        second.connection.last_ms.store(9, Ordering::Relaxed);
        let under_way = first.connection.begin();
        let third = taken(&open, "10.0.0.1", 3);
        assert!(second.connection.is_closed() && !first.connection.is_closed());
        let also = third.connection.begin();
        open.take(at("10.0.0.1", 4)).expect_err("both are at work");
        drop(under_way);
        let _fourth = taken(&open, "10.0.0.1", 4);
        assert!(first.connection.is_closed());
        drop(also);
        let _known = signed_in(&open, "10.0.0.1", 5);
        assert!(
            third.connection.is_closed(),
            "a newcomer may be a candidate"
        );
    }

    #[test]
    fn all_addresses_of_a_64_share_one_bound() {
        let open = Connections::bounded(BOUNDS, Vec::new());
        let first = taken(&open, "[2001:db8::1]", 1);
        let _second = taken(&open, "[2001:db8::2]", 1);
        let _third = taken(&open, "[2001:db8::3]", 1);
        assert!(first.connection.is_closed());
    }

    #[test]
    fn where_all_places_are_taken_the_network_with_most_strangers_gives_one_up() {
        let bounds = Bounds {
            all: 4,
            network: 6,
            strangers: 5,
        };
        let open = Connections::bounded(bounds, Vec::new());
        let flood: Vec<Place> = (0..3).map(|port| taken(&open, "10.6.6.6", port)).collect();
        let _lonely = taken(&open, "10.0.0.1", 1);
        let _candidate = signed_in(&open, "10.0.0.2", 1);
        let closed = flood.iter().filter(|one| one.connection.is_closed());
        assert_eq!(closed.count(), 1);
    }

    #[test]
    fn two_thousand_candidates_behind_one_address_fit_beside_a_thousand_idle_strangers() {
        let limits = qorgan_base::config::Limits::default();
        let bounds = Bounds {
            all: connections_of(524_288),
            network: usize::try_from(limits.address_connections).expect("few"),
            strangers: usize::try_from(limits.address_strangers).expect("few"),
        };
        let open = Connections::bounded(bounds, Vec::new());
        let _idle: Vec<Place> = (1..=1_000)
            .map(|port| taken(&open, "10.0.0.1", port))
            .collect();
        let candidates: Vec<Place> = (2_000..14_000)
            .map(|port| signed_in(&open, "10.0.0.1", port))
            .collect();
        assert!(candidates.iter().all(|one| !one.connection.is_closed()));
        assert!(files_needed(limits.candidates) <= 524_288);
    }

    #[test]
    fn a_trusted_proxy_is_not_counted_in_whichever_form_it_is_written() {
        let proxy = "::ffff:10.0.0.3".parse().expect("an address");
        let open = Connections::bounded(BOUNDS, vec![proxy]);
        for port in 0..10 {
            assert!(open.take(at("10.0.0.3", port)).expect("room").is_none());
        }
    }

    fn at(address: &str, port: u16) -> SocketAddr {
        format!("{address}:{port}").parse().expect("an address")
    }

    fn taken(open: &Connections, address: &str, port: u16) -> Place {
        open.take(at(address, port))
            .expect("room")
            .expect("counted")
    }

    fn signed_in(open: &Connections, address: &str, port: u16) -> Place {
        let place = taken(open, address, port);
        open.of(at(address, port)).expect("open").is_known();
        place
    }
}
