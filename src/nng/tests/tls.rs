//! SP inside TLS.

use super::sp::dial;
use super::*;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};
use std::net::TcpStream;

type TlsStream = StreamOwned<ClientConnection, TcpStream>;

struct Identity {
    certificate: CertificateDer<'static>,
    server: Arc<ServerConfig>,
}

fn identity() -> Identity {
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_string()]).unwrap();
    let certificate = own.cert.der().clone();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let server = server.with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
    Identity { certificate, server: Arc::new(server) }
}

fn connect(address: &str, trusted: &CertificateDer<'static>) -> Sp<TlsStream> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let client = client.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = StreamOwned::new(ClientConnection::new(Arc::new(client), name).unwrap(), dial(address));
    Sp::greet(stream, PROTOCOL_REQ)
}

fn stand(identity: &Identity) -> Stand {
    Stand::with(|listen| {
        listen.session = vec!["tls+tcp://127.0.0.1:0".into()];
        listen.tls = Some(Arc::clone(&identity.server));
    })
}

#[test]
fn a_terminal_behind_tls_is_private_and_never_local() {
    let identity = identity();
    let stand = stand(&identity);
    let mut terminal = connect(&stand.sockets.bound().session[0], &identity.certificate);
    assert_eq!(terminal.ask(b"hello"), b"hello");
    let large = vec![b'x'; 500_000];
    assert_eq!(terminal.ask(&large), large);
    let peer = stand.peer();
    assert_eq!((peer.via, peer.address), (Via::Tls, Some(terminal.stream.sock.local_addr().unwrap())));
    assert!(peer.is_private() && !peer.is_local());
    drop(terminal);
    until("it is gone", || *stand.echo.gone.lock().unwrap() == [peer.pipe]);
}

#[test]
fn the_listener_behind_takes_nobody_but_the_relay() {
    let identity = identity();
    let stand = stand(&identity);
    let behind = stand.sockets.relays[0].inner();
    assert!(Sp::connect(&format!("tcp://{behind}"), PROTOCOL_REQ).is_over());
    assert_eq!(stand.counters().pipes_refused(), 1);
    assert_eq!(connect(&stand.sockets.bound().session[0], &identity.certificate).ask(b"hello"), b"hello");
}

#[test]
fn who_does_not_shake_hands_holds_nobody_up() {
    let identity = identity();
    let stand = stand(&identity);
    let address = &stand.sockets.bound().session[0];
    let silent: Vec<TcpStream> = (0..50).map(|_| dial(address)).collect();
    let mut plain = dial(address);
    std::io::Write::write_all(&mut plain, &[0, b'S', b'P', 0, 0, 0x30, 0, 0]).unwrap();
    assert!(Sp { stream: plain }.is_over());
    assert_eq!(connect(address, &identity.certificate).ask(b"hello"), b"hello");
    drop(silent);
}
