//! HTTP/1.1 alone: the library below would turn to HTTP/2 at its preface, whatever TLS agreed on, and
//! serve many requests on one connection past every bound.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum_server::accept::Accept;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Ends connections that begin with HTTP/2's preface.
#[derive(Debug, Clone)]
pub(super) struct Http1Only<A>(pub(super) A);

impl<A, I, S> Accept<I, S> for Http1Only<A>
where
    A: Accept<I, S>,
    A::Future: Send + 'static,
    A::Stream: Send,
    A::Service: Send,
{
    type Stream = Checked<A::Stream>;
    type Service = A::Service;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let accepting = self.0.accept(stream, service);
        accepting
            .map(|accepted| {
                accepted.map(|(stream, service)| {
                    let checked = Checked {
                        stream,
                        seen: Some(0),
                    };
                    (checked, service)
                })
            })
            .boxed()
    }
}

/// A stream whose first bytes are looked at.
#[derive(Debug)]
pub(super) struct Checked<S> {
    stream: S,
    /// How many bytes of the preface came; none once it is something else.
    seen: Option<usize>,
}

/// Follows `bytes` along the preface from `seen` on.
///
/// # Errors
/// Where all that tells it from HTTP/1 has come.
fn follow(seen: usize, bytes: &[u8]) -> io::Result<Option<usize>> {
    let rest = PREFACE.get(seen..).unwrap_or_default();
    let same = rest.iter().zip(bytes).take_while(|(a, b)| a == b).count();
    if same == rest.len() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "HTTP/2 is not served",
        ));
    }
    Ok((same == bytes.len()).then_some(seen + same))
}

impl<S: AsyncRead + Unpin> AsyncRead for Checked<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if let Some(seen) = self.seen {
            let came = buffer.filled().get(before..).unwrap_or_default();
            self.seen = follow(seen, came)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Checked<S> {
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

/// No method of HTTP/1 is called so.
const PREFACE: &[u8] = b"PRI * HTTP/2";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preface_is_known_however_it_is_cut_and_nothing_else_is() {
        let whole = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        for cut in 0..PREFACE.len() {
            let seen = follow(0, &whole[..cut]).expect("not yet");
            let seen = seen.expect("still alike");
            follow(seen, &whole[cut..]).expect_err("HTTP/2");
        }
        for other in [&b"GET / HTTP/1.1"[..], b"POST /", b"PRIX", b"PUT"] {
            assert_eq!(follow(0, other).expect("HTTP/1"), None);
        }
        assert_eq!(follow(2, b"").expect("nothing came"), Some(2));
    }
}
