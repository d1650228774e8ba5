//! Bounds the connections of one address, far above a full lab behind one.
//!
//! # Invariants
//! * A connection counts from before its TLS handshake until it is closed.
//! * Trusted proxies are not counted: everybody comes from their address.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Accepts connections up to so many from one address.
#[derive(Debug, Clone)]
pub(super) struct PerAddress {
    max: u32,
    uncounted: Arc<[IpAddr]>,
    open: Arc<Mutex<BTreeMap<IpAddr, u32>>>,
}

impl PerAddress {
    /// Makes a bound of `max` connections from one address that is none of `uncounted`.
    pub(super) fn new(max: u32, uncounted: &[IpAddr]) -> Self {
        Self {
            max,
            uncounted: uncounted.into(),
            open: Arc::default(),
        }
    }

    fn take(&self, address: IpAddr) -> io::Result<Option<Place>> {
        if self.uncounted.contains(&address) {
            return Ok(None);
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_insert(0);
        if *count >= self.max {
            tracing::warn!(
                max = self.max,
                "Refused a connection: its address has too many"
            );
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        *count += 1;
        drop(open);
        Ok(Some(Place {
            address,
            open: Arc::clone(&self.open),
        }))
    }
}

/// A connection's place in its address's count.
#[derive(Debug)]
struct Place {
    address: IpAddr,
    open: Arc<Mutex<BTreeMap<IpAddr, u32>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

impl<S> Accept<TcpStream, S> for PerAddress {
    type Stream = Counted;
    type Service = S;
    type Future = std::future::Ready<io::Result<(Counted, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let counted = stream
            .peer_addr()
            .and_then(|peer| self.take(peer.ip().to_canonical()))
            .map(|place| Counted {
                stream,
                _place: place,
            });
        std::future::ready(counted.map(|stream| (stream, service)))
    }
}

/// A connection that is counted until it is closed.
#[derive(Debug)]
pub(super) struct Counted {
    stream: TcpStream,
    _place: Option<Place>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
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
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_places_back_when_connections_close() {
        let (lab, home) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let bound = PerAddress::new(2, &[]);
        let first = bound.take(lab).expect("room").expect("counted");
        let _second = bound.take(lab).expect("room");
        bound.take(lab).expect_err("full");
        let _other = bound.take(home).expect("another address has its own count");
        drop(first);
        let _third = bound.take(lab).expect("room again");
    }

    #[test]
    fn a_trusted_proxy_is_not_counted() {
        let proxy = IpAddr::from([10, 0, 0, 3]);
        let bound = PerAddress::new(1, &[proxy]);
        for _ in 0..10 {
            assert!(bound.take(proxy).expect("room").is_none());
        }
    }
}
