//! Where terminals reach the desk: NNG sockets as the settings say, and the exchange of codes for keys.

use super::{Asked, Pairing, Peer, Terminals};
use crate::cli::output::CliError;
use crate::config::Config;
use crate::nng::{self, Bound, Listen, PipeId, Reply, Sockets};
use crate::pairing::{self, Pairings, Way};
use std::sync::Arc;
use tidehelm_events::id::StreamId;
use tidehelm_terminal::wire::{self, Key, Refused};

/// Opens the sockets. They close when what is returned is dropped.
pub fn open(
    config: &Config,
    tls: Option<Arc<rustls::ServerConfig>>,
    terminals: Arc<Terminals>,
) -> Result<Sockets, CliError> {
    let listen = Listen {
        uplink: addresses(&config.terminals.uplink),
        session: addresses(&config.terminals.session),
        feed: addresses(&config.terminals.feed),
        tls,
        limits: nng::Limits { pipes_max: config.terminals.connections_max, ..nng::Limits::default() },
    };
    Sockets::open(&listen, Arc::new(Door(terminals))).map_err(|error| {
        let why = std::error::Error::source(&error).map_or_else(String::new, |source| format!(": {source}"));
        CliError::failed(format!("{error}{why}")).hint(
            "another program may use the port; choose others with `--set terminals.uplink=tcp://127.0.0.1:PORT`, \
             `terminals.session` and `terminals.feed`, or leave one empty",
        )
    })
}

/// The addresses of a setting, which are parted by spaces or commas.
pub fn addresses(text: &str) -> Vec<String> {
    text.split([' ', ',']).filter(|address| !address.is_empty()).map(str::to_string).collect()
}

/// What the person who started the desk reads.
pub fn greeting(bound: &Bound) -> Option<String> {
    let list =
        |name: &str, addresses: &[String]| (!addresses.is_empty()).then(|| format!("{name} {}", addresses.join(" ")));
    let all = [list("session", &bound.session), list("uplink", &bound.uplink), list("feed", &bound.feed)];
    let all: Vec<String> = all.into_iter().flatten().collect();
    (!all.is_empty()).then(|| format!("Terminals speak to {}", all.join(", ")))
}

/// NNG's side of the door.
struct Door(Arc<Terminals>);

impl From<&nng::Peer> for Peer {
    fn from(peer: &nng::Peer) -> Self {
        Peer { pipe: peer.pipe.0, address: peer.address, local: peer.is_local(), private: peer.is_private() }
    }
}

impl nng::Terminals for Door {
    fn uplink(&self, peer: &nng::Peer, message: &[u8]) {
        self.0.uplink(&peer.into(), message);
    }
    fn session(&self, peer: &nng::Peer, message: &[u8], reply: Reply) {
        self.0.session(&peer.into(), message, Box::new(move |bytes| reply.send(&bytes)));
    }
    fn too_many(&self, peer: &nng::Peer, message: &[u8]) -> Vec<u8> {
        self.0.too_many(&peer.into(), message)
    }
    fn came(&self, _: &nng::Peer) {}
    fn gone(&self, pipe: PipeId) {
        self.0.gone(pipe.0);
    }
}

/// The exchange of codes, on the threads of the server.
pub struct Exchange {
    pub pairings: Arc<Pairings>,
    pub runtime: tokio::runtime::Handle,
}

impl Pairing for Exchange {
    fn pair(&self, asked: Asked, code: String, answer: Box<dyn FnOnce(Result<wire::Paired, Refused>) + Send>) {
        let pairings = self.pairings.clone();
        let StreamId::Account(role, account) = asked.stream else { return };
        let way = match (asked.peer.local, asked.peer.private) {
            (true, _) => Way::ThisMachine,
            (false, true) => Way::Tls,
            (false, false) => Way::Open,
        };
        let peer = pairing::Peer { address: asked.peer.name(), way };
        self.runtime.spawn(async move {
            let paired = pairings.exchange(&pairing::Asked { code, account, role }, &peer).await;
            answer(match paired {
                Ok(paired) => Ok(wire::Paired { key_id: paired.key, key: Key(*paired.secret.expose()) }),
                Err(error) => Err(Refused {
                    code: error.code().into(),
                    detail: error.to_string(),
                    field: Some("code".into()),
                    expected: None,
                }),
            });
        });
    }
}
