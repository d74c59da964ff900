//! SP over a stream, by hand: a hello of 8 bytes, then messages with their length as a big-endian u64.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(in crate::nng) const PROTOCOL_SUB: u16 = 0x21;
pub(in crate::nng) const PROTOCOL_REQ: u16 = 0x30;
pub(in crate::nng) const PROTOCOL_PUSH: u16 = 0x50;

pub(in crate::nng) struct Sp<S = TcpStream> {
    pub(in crate::nng) stream: S,
}

/// A connection before its hello.
pub(in crate::nng) fn dial(address: &str) -> TcpStream {
    let (_, host) = address.split_once("://").unwrap();
    let stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

impl Sp {
    pub(in crate::nng) fn connect(address: &str, protocol: u16) -> Self {
        Sp::greet(dial(address), protocol)
    }
    pub(in crate::nng) fn local(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }
}

impl<S: Read + Write> Sp<S> {
    pub(in crate::nng) fn greet(mut stream: S, protocol: u16) -> Self {
        let [high, low] = protocol.to_be_bytes();
        stream.write_all(&[0, b'S', b'P', 0, high, low, 0, 0]).unwrap();
        let mut theirs = [0; 8];
        stream.read_exact(&mut theirs).unwrap();
        assert_eq!(theirs[..4], [0, b'S', b'P', 0]);
        Sp { stream }
    }
    pub(in crate::nng) fn send(&mut self, body: &[u8]) {
        let mut bytes = (body.len() as u64).to_be_bytes().to_vec();
        bytes.extend_from_slice(body);
        self.stream.write_all(&bytes).unwrap();
    }
    pub(in crate::nng) fn receive(&mut self) -> Vec<u8> {
        let mut length = [0; 8];
        self.stream.read_exact(&mut length).unwrap();
        let mut body = vec![0; u64::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut body).unwrap();
        body
    }
    pub(in crate::nng) fn send_request(&mut self, id: u32, body: &[u8]) {
        let mut request = (id | 1 << 31).to_be_bytes().to_vec();
        request.extend_from_slice(body);
        self.send(&request);
    }
    pub(in crate::nng) fn receive_answer(&mut self) -> (u32, Vec<u8>) {
        let answer = self.receive();
        let id = u32::from_be_bytes(answer[..4].try_into().unwrap());
        (id & !(1 << 31), answer[4..].to_vec())
    }
    pub(in crate::nng) fn ask(&mut self, body: &[u8]) -> Vec<u8> {
        self.send_request(1, body);
        self.receive_answer().1
    }
    /// The other end has hung up. What it still had to say is read on the way.
    pub(in crate::nng) fn is_over(&mut self) -> bool {
        let mut bytes = [0; 4096];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
            }
        }
    }
}
