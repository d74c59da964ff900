//! Another implementation: pynng, which is NNG 1.x from Python.

use super::*;
use std::process::Command;

const SCRIPT: &str = r#"
import sys, pynng
session, uplink, feed = sys.argv[1:]
with pynng.Req0(dial=session, recv_timeout=20000) as req:
    for number in range(200):
        body = b"ask %d" % number
        req.send(body)
        assert req.recv() == body
    contexts = [req.new_context() for _ in range(8)]
    for number, context in enumerate(contexts):
        context.send(b"context %d" % number)
    for number, context in reversed(list(enumerate(contexts))):
        assert context.recv() == b"context %d" % number
with pynng.Sub0(dial=feed, topics=b"status", recv_timeout=20000) as sub:
    with pynng.Push0(dial=uplink, send_timeout=20000) as push:
        for number in range(200):
            push.send(b"tell %d" % number)
        with pynng.Req0(dial=session, recv_timeout=20000) as req:
            req.send(b"subscribed")
            req.recv()
            assert sub.recv() == b'status_changed {"position":1}'
            req.send(b"heard")
            req.recv()
print("fine")
"#;

#[test]
fn pynng_speaks_to_all_three_sockets() {
    let stand = Stand::new();
    let Bound { uplink, session, feed } = stand.sockets.bound().clone();
    let python = || Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/python.sh"));
    // The first time this takes as long as PyPI does.
    assert!(python().args(["-c", ""]).status().unwrap().success(), "there is no Python with pynng");
    let mut script = python();
    script.args(["-c", SCRIPT, &session[0], &uplink[0], &feed[0]]);
    let running = script.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let heard = |what: &[u8]| stand.echo.heard.lock().unwrap().iter().any(|heard| heard == what);
    until("pynng has subscribed", || heard(b"subscribed"));
    until("pynng has the message that it wants", || {
        stand.sockets.publish("other", b"{}");
        stand.sockets.publish("status_changed", b"{\"position\":1}");
        heard(b"heard")
    });
    let done = running.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), "fine");
    let uplinked = stand.echo.uplinked.lock().unwrap();
    assert_eq!(uplinked.len(), 200);
    assert_eq!(uplinked[199], b"tell 199");
}
