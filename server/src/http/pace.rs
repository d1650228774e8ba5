//! How slowly a body may come.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody as _};
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, timeout_at};

use crate::state::AppState;

/// Says with each request on which connection it came, and cuts bodies that come too slowly.
pub(super) async fn pace(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let connection = peer.and_then(|peer| state.connections.of(peer.0));
    let under_way = connection.as_ref().map(|connection| connection.begin());
    if let Some(connection) = connection {
        request.extensions_mut().insert(connection);
    }
    let grace = Duration::from_secs(u64::from(state.config.limits.header_seconds));
    let request = request.map(|body| {
        if body.is_end_stream() {
            body
        } else {
            paced(body, grace)
        }
    });
    let response = next.run(request).await;
    drop(under_way);
    response
}

/// A body under way.
struct Coming {
    stream: BodyDataStream,
    began: Instant,
    bytes: u64,
}

/// Ends a body that falls behind the slowest line, with `grace` before it counts.
fn paced(body: Body, grace: Duration) -> Body {
    let coming = Coming {
        stream: body.into_data_stream(),
        began: Instant::now(),
        bytes: 0,
    };
    let stream = stream::try_unfold(coming, move |mut coming: Coming| async move {
        let until = coming.began + allowed(coming.bytes, grace);
        match timeout_at(until, coming.stream.next()).await {
            Ok(Some(Ok(bytes))) => {
                let came = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                coming.bytes = coming.bytes.saturating_add(came);
                Ok(Some((bytes, coming)))
            }
            Ok(Some(Err(error))) => Err(error),
            Ok(None) => Ok(None),
            Err(_elapsed) => Err(axum::Error::new("the body comes too slowly")),
        }
    });
    Body::from_stream(stream)
}

/// Returns how long so many bytes may have taken.
fn allowed(bytes: u64, grace: Duration) -> Duration {
    grace.saturating_add(Duration::from_secs(bytes / BYTES_PER_SECOND_MIN))
}

/// 32 kbit/s: below it no recording gets through either.
const BYTES_PER_SECOND_MIN: u64 = 4_096;

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    const GRACE: Duration = Duration::from_secs(20);

    #[test]
    fn a_dribble_earns_no_time_and_a_slow_line_earns_all_that_it_needs() {
        assert_eq!(allowed(4_000, GRACE), GRACE);
        let megabyte = 1024 * 1024;
        assert_eq!(allowed(megabyte, GRACE), GRACE + Duration::from_secs(256));
        for bytes in (0..megabyte).step_by(1_000) {
            let took = Duration::from_secs(bytes / 5_000);
            assert!(
                took <= allowed(bytes, GRACE),
                "40 kbit/s after {bytes} bytes"
            );
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_cut_and_one_that_comes_is_whole() {
        let never = Body::from_stream(stream::pending::<Result<Vec<u8>, axum::Error>>());
        let cut = to_bytes(paced(never, Duration::from_millis(10)), usize::MAX).await;
        cut.expect_err("nothing came");
        let whole = to_bytes(paced(Body::from(vec![7; 100_000]), GRACE), usize::MAX).await;
        assert_eq!(whole.expect("it came").len(), 100_000);
    }
}
