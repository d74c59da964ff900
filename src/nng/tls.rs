//! Ends TLS in front of a socket: what comes out of it goes to a listener on the loopback device as it is.

use super::door::{Passes, lock};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio_rustls::TlsAcceptor;

/// Who has not shaken hands by then is disconnected.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// So many may be shaking hands at once; others wait in the listener's backlog.
const HANDSHAKES_MAX: usize = 256;
/// Bytes on the way in either direction of a connection.
const BUFFER: usize = 4096;
/// After an accept that failed, for want of descriptors say.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Relay {
    address: SocketAddr,
    /// The listener behind.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test tries to come in there"))]
    inner: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone)]
struct Gate {
    acceptor: TlsAcceptor,
    /// The listener behind.
    inner: SocketAddr,
    passes: Passes,
    handshakes: Arc<Semaphore>,
}

impl Relay {
    /// Listens at `HOST:PORT`.
    pub(super) fn start(
        outer: &str,
        inner: SocketAddr,
        config: Arc<rustls::ServerConfig>,
        passes: Passes,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let listener = runtime.block_on(TcpListener::bind(outer))?;
        let address = listener.local_addr()?;
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        let gate = Gate { acceptor: TlsAcceptor::from(config), inner, passes, handshakes };
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, gate) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("tls".into()).spawn(run)?;
        Ok(Relay { address, inner, stop: Some(stop), thread: Some(thread) })
    }
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
    #[cfg(test)]
    pub(super) fn inner(&self) -> SocketAddr {
        self.inner
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It is over already if nobody listens.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, gate: Gate) {
    loop {
        let Ok(permit) = Arc::clone(&gate.handshakes).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, from)) => {
                let gate = gate.clone();
                tokio::spawn(async move {
                    // Whatever goes wrong ends this connection and nothing else.
                    let _ = relay(gate, stream, from, permit).await;
                });
            }
            Err(error) => {
                tracing::debug!(%error, "cannot take a TLS connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn relay(
    gate: Gate,
    stream: TcpStream,
    from: SocketAddr,
    permit: tokio::sync::OwnedSemaphorePermit,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut outside = tokio::time::timeout(HANDSHAKE_MAX, gate.acceptor.accept(stream)).await??;
    drop(permit);
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    socket.set_nodelay(true)?;
    // The door asks for the pass as soon as the connection is there.
    let pass = Pass::new(&gate.passes, socket.local_addr()?.port(), from);
    let mut inside = socket.connect(gate.inner).await?;
    tokio::io::copy_bidirectional_with_sizes(&mut outside, &mut inside, BUFFER, BUFFER).await?;
    drop(pass);
    Ok(())
}

/// Stands for one connection as long as it lasts.
struct Pass {
    passes: Passes,
    port: u16,
}

impl Pass {
    fn new(passes: &Passes, port: u16, from: SocketAddr) -> Self {
        lock(passes).insert(port, from);
        Pass { passes: Arc::clone(passes), port }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        lock(&self.passes).remove(&self.port);
    }
}
