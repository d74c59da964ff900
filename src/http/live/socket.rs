//! The sockets below all connections. What is written to one that takes nothing waits where no timer of ours runs (an actor
//! whose bytes are stuck is not woken), so the kernel is told when to give up.

use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use std::any::Any;
use std::time::Duration;

/// A client that takes nothing of what waits for it for so long is gone. One that comes back goes on where it was.
const TAKES_WITHIN: Duration = Duration::from_secs(60);

/// Prepares each new connection: small messages go at once, and a client that takes nothing does not keep its place for ever.
pub fn prepare(connection: &dyn Any, _: &mut Extensions) {
    let tls = connection.downcast_ref::<actix_tls::accept::rustls_0_23::TlsStream<TcpStream>>();
    let Some(socket) = connection.downcast_ref::<TcpStream>().or(tls.map(|tls| tls.get_ref().0)) else { return };
    if let Err(error) = socket.set_nodelay(true).and_then(|()| give_up_in_time(socket)) {
        tracing::debug!(%error, "a socket could not be prepared");
    }
}

#[cfg(target_os = "linux")]
fn give_up_in_time(socket: &TcpStream) -> std::io::Result<()> {
    Ok(rustix::net::sockopt::set_tcp_user_timeout(socket, TAKES_WITHIN.as_millis() as u32)?)
}

/// Others have no such option; there a connection ends when its peer does.
#[cfg(not(target_os = "linux"))]
fn give_up_in_time(_: &TcpStream) -> std::io::Result<()> {
    let _ = TAKES_WITHIN;
    Ok(())
}
