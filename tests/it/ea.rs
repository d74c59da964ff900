//! What `docs/ea.md` shows is sent to a real desk as it stands there.

use crate::desk::{Desk, Launch, wait_until};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

fn block(fence: &str) -> String {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ea.md")).unwrap();
    let (_, rest) = document.split_once(&format!("\n```{fence}\n")).unwrap_or_else(|| panic!("no block {fence}"));
    rest.split_once("\n```").unwrap().0.to_string()
}

/// The bytes of a dump.
fn dump(name: &str) -> Vec<u8> {
    let text = block(&format!("text {name}"));
    let columns = text.lines().map(|line| line.split_once(": ").unwrap().1.split_once("  ").unwrap().0);
    columns
        .flat_map(|row| row.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect::<Vec<_>>())
        .collect()
}

fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// The names in a document, and those in what it holds.
fn names(value: &Value) -> Vec<String> {
    let fields = value.as_object().unwrap().iter();
    fields
        .flat_map(|(name, value)| [name.clone()].into_iter().chain(value.as_object().map(|_| names(value).join(" "))))
        .collect()
}

#[test]
fn a_desk_answers_the_bytes_in_the_document_as_the_document_says() {
    let temp = tempfile::tempdir().unwrap();
    let (launch, addresses) = Launch::settled(&temp.path().join("data"));
    let desk = launch.start();
    let mut stream = TcpStream::connect(addresses.session.trim_start_matches("tcp://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(&dump("greet")).unwrap();
    assert_eq!(read(&mut stream, 8), dump("greeted"));
    stream.write_all(&dump("hello")).unwrap();
    let length = u64::from_be_bytes(read(&mut stream, 8).try_into().unwrap());
    let (answer, shown) = (read(&mut stream, length as usize), &dump("welcome")[8..]);
    assert_eq!(answer[..4], shown[..4], "the id of the request");
    let document = |message: &[u8]| serde_json::from_slice::<Value>(&message[4..]).unwrap();
    let (answer, shown) = (document(&answer), document(shown));
    assert_eq!(names(&answer), names(&shown));
    for same in ["v", "account", "role", "epoch", "seq", "kind"] {
        assert_eq!(answer[same], shown[same], "{same}");
    }
    desk.stop();
}

/// Each `say SOCKET 'FRAME'` of the example, with what the ones before it brought.
#[test]
fn the_example_over_http_registers_an_account() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(&temp.path().join("data"));
    let (mut nonce, mut epoch, mut poll) = (Value::Null, Value::Null, String::new());
    let mut told = Vec::new();
    let say = |socket: &str, frame: &str| {
        let reply = desk.client().call("POST", &format!("/api/ea/v1/{socket}")).text(frame).send();
        assert_eq!(reply.status, if socket == "uplink" { 204 } else { 200 }, "{frame}: {}", reply.text);
        if socket == "uplink" { Value::Null } else { reply.json()["body"].clone() }
    };
    for line in block("sh").lines().filter_map(|line| line.split_once("say ").map(|(_, said)| said)) {
        let Some((socket, quoted)) = line.split_once(" '") else { continue };
        let frame = quoted[..quoted.rfind('\'').unwrap()].replace("'$NONCE'", nonce.as_str().unwrap_or("?"));
        poll = frame.replace("'$EPOCH'", &epoch.to_string());
        let body = say(socket, &poll);
        nonce = body.get("nonce").cloned().unwrap_or(nonce);
        epoch = body.get("epoch").cloned().unwrap_or(epoch);
        told.extend(body.get("list").and_then(Value::as_array).cloned().unwrap_or_default());
    }
    let mut seq = 1;
    wait_until("configuration and request for a snapshot are told", || {
        let both = told.iter().any(|it| it.get("config").is_some()) && told.contains(&json!({"request_snapshot": {}}));
        if !both {
            seq += 1;
            let body = say("session", &poll.replace("\"seq\":1", &format!("\"seq\":{seq}")));
            told.extend(body["list"].as_array().unwrap().clone());
        }
        both
    });
    wait_until("the account is online", || admin.account("slave/Demo_9")["connection"] == "online");
    desk.stop();
}
