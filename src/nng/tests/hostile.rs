//! What no honest terminal sends.

use super::sp::dial;
use super::*;
use std::io::Write;

/// The same noise on every run.
fn next(last: &mut u64) -> u8 {
    *last = last.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*last >> 56) as u8
}

/// What this process holds in memory, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[test]
fn a_claim_of_16_gib_is_hung_up_on_without_an_allocation() {
    let stand = Stand::new();
    let mut honest = stand.session();
    let before = resident();
    for claim in [SESSION_MAX as u64 + 1, 16 << 30, u64::MAX] {
        let mut liar = stand.session();
        liar.stream.write_all(&claim.to_be_bytes()).unwrap();
        assert!(liar.is_over(), "{claim}");
    }
    assert!(resident() < before + (8 << 20));
    assert_eq!(honest.ask(b"hello"), b"hello");
}

#[test]
fn the_largest_message_passes_and_one_byte_more_does_not() {
    let stand = Stand::new();
    let largest = vec![b'x'; wire::MESSAGE_MAX];
    assert_eq!(stand.session().ask(&largest), largest);
    let mut liar = stand.session();
    liar.stream.write_all(&(SESSION_MAX as u64 + 1).to_be_bytes()).unwrap();
    assert!(liar.is_over());
}

#[test]
fn who_stops_in_the_middle_holds_nobody_up() {
    let stand = Stand::new();
    let whole = {
        let mut bytes = 9u64.to_be_bytes().to_vec();
        bytes.extend_from_slice(&[0x80, 0, 0, 1]);
        bytes.extend_from_slice(b"hello");
        bytes
    };
    let mut cut = Vec::new();
    for length in 0..whole.len() {
        let mut terminal = stand.session();
        terminal.stream.write_all(&whole[..length]).unwrap();
        cut.push(terminal);
    }
    assert_eq!(stand.session().ask(b"hello"), b"hello");
    drop(cut);
    until("they are gone", || stand.counters().pipes() == 0);
    assert_eq!(stand.counters().session_received(), 1, "nothing that was cut counts as a request");
}

#[test]
fn a_request_without_an_id_is_hung_up_on() {
    let stand = Stand::new();
    for body in [&b""[..], b"abc"] {
        let mut terminal = stand.session();
        terminal.send(body);
        assert!(terminal.is_over());
    }
    // An id without the top bit is a hop, and requests come straight.
    let mut terminal = stand.session();
    terminal.send(&[0, 0, 0, 1, 0x80, 0, 0, 1, b'x']);
    assert_eq!(terminal.ask(b"hello"), b"hello");
    assert_eq!(stand.counters().session_received(), 1);
}

#[test]
fn random_bytes_harm_nobody() {
    let stand = Stand::new();
    let mut honest = stand.session();
    let mut last = 7u64;
    let addresses =
        [&stand.sockets.bound().session[0], &stand.sockets.bound().uplink[0], &stand.sockets.bound().feed[0]];
    for round in 0..60 {
        let noise: Vec<u8> = (0..1 + round * 7).map(|_| next(&mut last)).collect();
        for address in addresses {
            // It may be hung up on while it writes.
            let _ = dial(address).write_all(&noise);
        }
        for (protocol, address) in
            [(PROTOCOL_REQ, addresses[0]), (PROTOCOL_PUSH, addresses[1]), (PROTOCOL_SUB, addresses[2])]
        {
            let _ = Sp::connect(address, protocol).stream.write_all(&noise);
        }
        assert_eq!(honest.ask(b"hello"), b"hello");
    }
}

#[test]
fn the_wrong_protocol_is_hung_up_on() {
    let stand = Stand::new();
    assert!(Sp::connect(&stand.sockets.bound().session[0], PROTOCOL_PUSH).is_over());
    assert!(Sp::connect(&stand.sockets.bound().uplink[0], PROTOCOL_REQ).is_over());
}

/// It asks and asks and never reads: its own answers are dropped in the end, others get theirs.
#[test]
fn a_terminal_that_never_reads_harms_nobody() {
    let stand = Stand::new();
    let mut honest = stand.session();
    let mut deaf = stand.session();
    deaf.stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    let before = resident();
    let question = vec![b'q'; 1000];
    for round in 0..20_000u32 {
        deaf.send_request(round, &question);
        if round % 1000 == 0 {
            assert_eq!(honest.ask(b"hello"), b"hello");
        }
    }
    until("all is taken", || stand.counters().session_received() == 20_000 + 20);
    assert_eq!(honest.ask(b"hello"), b"hello");
    stand.echo.heard.lock().unwrap().clear();
    assert!(resident() < before + (60 << 20), "20 MB of answers that nobody reads: {} -> {}", before, resident());
}
