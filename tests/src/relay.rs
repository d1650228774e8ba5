//! A network that can be cut: a relay between a candidate's machine and the server.
//!
//! While it is cut nothing passes and nothing is told, as when a router loses its uplink. It can also
//! stand as the HTTP proxy of an institution's network.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// A running relay; dropping it ends it.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    cut: AtomicBool,
    ended: AtomicBool,
    connections: AtomicU32,
}

/// Where a connection is led to.
#[derive(Debug, Clone, Copy)]
enum Target {
    Server(SocketAddr),
    /// Where the head of its `CONNECT` request says.
    Asked,
}

impl Relay {
    /// Starts a relay to the server at `target`, such as `127.0.0.1:8443`.
    ///
    /// # Errors
    /// Fails where no port is free or `target` is no address.
    pub fn start(target: &str) -> Result<Self> {
        Self::leading_to(Target::Server(
            target.parse().context("the server's address")?,
        ))
    }

    /// Starts an HTTP proxy that makes tunnels to wherever it is asked to.
    ///
    /// # Errors
    /// Fails where no port is free.
    pub fn proxy() -> Result<Self> {
        Self::leading_to(Target::Asked)
    }

    fn leading_to(target: Target) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || accept(&listener, target, &shared));
        Ok(Self { address, state })
    }

    /// Returns an enrolment link that leads through the relay.
    ///
    /// # Errors
    /// Fails where `link` is none.
    pub fn link(&self, link: &str) -> Result<String> {
        let (_, query) = link.split_once("/?").context("an enrolment link")?;
        Ok(format!("qorgan://{}/?{query}", self.address))
    }

    /// Returns its address as programs are told of a proxy.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns how many connections it has led on so far.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Lets nothing pass any more.
    pub fn cut(&self) {
        self.state.cut.store(true, Ordering::SeqCst);
    }

    /// Lets everything pass again, also what was sent in between.
    pub fn mend(&self) {
        self.state.cut.store(false, Ordering::SeqCst);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
    }
}

impl State {
    fn is_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

fn accept(listener: &TcpListener, target: Target, state: &Arc<State>) {
    while !state.has_ended() {
        if state.is_cut() {
            thread::sleep(LOOK_EVERY);
            continue;
        }
        match listener.accept() {
            Ok((near, _)) => {
                if let Ok(far) = lead_on(&near, target) {
                    state.connections.fetch_add(1, Ordering::SeqCst);
                    join(&near, &far, state);
                }
            }
            Err(_none_waits) => thread::sleep(LOOK_EVERY),
        }
    }
}

fn lead_on(mut near: &TcpStream, target: Target) -> io::Result<TcpStream> {
    if let Target::Server(server) = target {
        return TcpStream::connect(server);
    }
    near.set_nonblocking(false)?;
    near.set_read_timeout(Some(HEAD_LIMIT))?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < BUFFER_BYTES {
        let mut byte = [0];
        near.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut words = head.split_whitespace();
    let (Some("CONNECT"), Some(place)) = (words.next(), words.next()) else {
        return Err(ErrorKind::InvalidData.into());
    };
    let far = TcpStream::connect(place)?;
    near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    Ok(far)
}

/// Carries bytes both ways; a side that cannot be set up is closed with the other.
fn join(near: &TcpStream, far: &TcpStream, state: &Arc<State>) {
    for (from, to) in [(near, far), (far, near)] {
        let set = from
            .set_nonblocking(false)
            .and_then(|()| from.set_read_timeout(Some(LOOK_EVERY)))
            .and_then(|()| from.set_nodelay(true));
        if let (Ok(()), Ok(from), Ok(to)) = (set, from.try_clone(), to.try_clone()) {
            let state = Arc::clone(state);
            thread::spawn(move || carry(from, to, &state));
        }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, state: &State) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while !state.has_ended() {
        if state.is_cut() {
            thread::sleep(LOOK_EVERY);
            continue;
        }
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                while state.is_cut() && !state.has_ended() {
                    thread::sleep(LOOK_EVERY);
                }
                if to.write_all(&buffer[..read]).is_err() {
                    break;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_broken) => break,
        }
    }
    // Either side may have closed already.
    drop(from.shutdown(std::net::Shutdown::Both));
    drop(to.shutdown(std::net::Shutdown::Both));
}

const LOOK_EVERY: Duration = Duration::from_millis(20);
const HEAD_LIMIT: Duration = Duration::from_secs(5);
const BUFFER_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_passes_while_it_is_cut_and_all_of_it_afterwards() {
        let server = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let target = server.local_addr().expect("an address").to_string();
        let relay = Relay::start(&target).expect("it starts");
        let mut near = TcpStream::connect(relay.address).expect("it listens");
        let (mut far, _) = server.accept().expect("it connects");
        far.set_read_timeout(Some(Duration::from_millis(300)))
            .expect("a limit");
        let mut heard = [0; 5];
        near.write_all(b"early").expect("sent");
        far.read_exact(&mut heard).expect("it passes");

        relay.cut();
        near.write_all(b"later").expect("sent");
        assert!(far.read(&mut heard).is_err(), "nothing passes");

        relay.mend();
        far.set_read_timeout(Some(Duration::from_secs(5)))
            .expect("a limit");
        far.read_exact(&mut heard).expect("it passes now");
        assert_eq!(&heard, b"later");
    }
}
