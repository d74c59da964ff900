//! What the process tells whoever started it (`sd_notify`): that it is ready, that it lives, that it is stopping.

use crate::ambient::{Stopwatch, stopwatch};
use std::ffi::OsStr;
#[cfg(target_os = "linux")]
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tidehelm_actors::desk::{Gauges, Health};

/// Whoever wants to hear, where somebody does.
pub struct Notify {
    to: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// As the environment says; nobody, where it does not.
    pub fn from_environment() -> Self {
        let to = std::env::var_os("NOTIFY_SOCKET").and_then(|path| {
            let connected = address(&path).and_then(|address| {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                Ok((socket, address))
            });
            connected.inspect_err(|error| tracing::warn!(%error, "NOTIFY_SOCKET cannot be used")).ok()
        });
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|micros| ours && *micros > 0).map(Duration::from_micros);
        Notify { to, watchdog }
    }

    pub fn say(&self, what: &str) {
        if let Some((socket, address)) = &self.to
            && let Err(error) = socket.send_to_addr(what.as_bytes(), address)
        {
            tracing::warn!(%error, "whoever started this server cannot be told how it is");
        }
    }

    /// Says that the desk lives, for as long as it does: while its own thread works off what comes. A desk whose log cannot be
    /// written lives too, and heals without a restart.
    pub async fn keep(self: Arc<Self>, gauges: Arc<Gauges>, tick: Duration) {
        let Some(within) = self.watchdog.filter(|_| self.to.is_some()) else { return };
        let mut every = tokio::time::interval((within / 3).max(Duration::from_millis(1)));
        let mut pulse = Pulse { ticks: gauges.ticks.load(Ordering::Relaxed), since: stopwatch() };
        loop {
            every.tick().await;
            let stopping = gauges.health() == Health::Stopping;
            if pulse.beats(gauges.ticks.load(Ordering::Relaxed), tick.max(within / 3)) || stopping {
                self.say("WATCHDOG=1");
            }
        }
    }
}

/// A path, or a name in the abstract namespace, which is written with an @ in front.
fn address(path: &OsStr) -> std::io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let [b'@', name @ ..] = path.as_bytes() {
        use std::os::linux::net::SocketAddrExt;
        return SocketAddr::from_abstract_name(name);
    }
    SocketAddr::from_pathname(Path::new(path))
}

struct Pulse {
    ticks: u64,
    since: Stopwatch,
}

impl Pulse {
    /// True where the count has grown within twice the time that it takes.
    fn beats(&mut self, ticks: u64, within: Duration) -> bool {
        if ticks != self.ticks {
            (self.ticks, self.since) = (ticks, stopwatch());
        }
        self.since.elapsed() < within * 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_desk_that_stands_still_is_not_said_to_live() {
        let mut pulse = Pulse { ticks: 0, since: stopwatch() };
        let long = Duration::from_secs(60);
        assert!(pulse.beats(0, long) && pulse.beats(1, long));
        assert!(!pulse.beats(1, Duration::ZERO), "nothing for longer than it may");
        assert!(pulse.beats(2, long));
    }
}
