//! Thousands of trades between simulated terminals and a real desk over NNG, while the desk is killed: nothing is lost, nothing is
//! doubled, and every slave holds what it should.

use crate::desk::{Addresses, Launch, tidehelm};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Until all terminals are registered and all links copy.
const GATHER_MAX: Duration = Duration::from_secs(180);

struct Run {
    masters: u32,
    slaves: u32,
    seconds: u32,
    kills: u32,
    chaos: bool,
}

/// The fleet's report.
fn run(dir: &Path, run: &Run) -> Value {
    let (launch, Addresses { session, uplink }) = Launch::settled(dir);
    let mut desk = launch.start();
    let admin = desk.welcome("ann");
    let token = desk.token(&admin, "fleet", "operator").token.unwrap();
    let mut fleet = tidehelm();
    fleet.args(["fleet", "--output", "json", "--url", &desk.base, "--token", &token]);
    fleet.args(["--session", &session, "--uplink", &uplink, "--rate", "1"]);
    fleet.args(["--masters", &run.masters.to_string(), "--slaves", &run.slaves.to_string()]);
    fleet.args(["--seconds", &run.seconds.to_string()]);
    if run.chaos {
        fleet.arg("--chaos");
    }
    let mut fleet = fleet.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let said = crate::desk::follow(fleet.stderr.take().unwrap());
    let gathering = Instant::now();
    while !said.lock().unwrap().contains("trading") {
        assert!(fleet.try_wait().unwrap().is_none(), "{}", said.lock().unwrap());
        assert!(gathering.elapsed() < GATHER_MAX, "nobody trades: {}", said.lock().unwrap());
        std::thread::sleep(Duration::from_millis(10));
    }
    let begun = Instant::now();
    for kill in 1..=run.kills {
        let at = Duration::from_secs(u64::from(run.seconds)) * kill / (run.kills + 1);
        while begun.elapsed() < at {
            std::thread::sleep(Duration::from_millis(10));
        }
        desk = desk.kill9().start();
    }
    let output = fleet.wait_with_output().unwrap();
    let report = serde_json::from_slice(&output.stdout);
    let report: Value = report.unwrap_or_else(|_| panic!("no report: {}", said.lock().unwrap()));
    desk.stop();
    // Of a million events this takes its time.
    let verdict = tidehelm().args(["verify", "--data"]).arg(dir).output().unwrap();
    assert!(verdict.status.success(), "{}{report:#}", String::from_utf8_lossy(&verdict.stdout));
    report
}

fn check(report: &Value) {
    println!("{report:#}");
    assert_eq!(report["counted"]["findings"], Value::Array(vec![]));
    assert!(report["equal"] == true && report["settled"] == true, "{report}");
}

fn did(report: &Value, what: &str) -> u64 {
    report["did"][what].as_u64().unwrap()
}

#[test]
fn every_slave_holds_what_it_should() {
    let temp = tempfile::tempdir().unwrap();
    let calm = Run { masters: 4, slaves: 30, seconds: 15, kills: 0, chaos: false };
    let report = run(&temp.path().join("data"), &calm);
    check(&report);
    assert!(did(&report, "signals") > 20 && did(&report, "orders") > 200, "{report}");
}

#[test]
fn a_desk_that_is_killed_loses_no_trade_and_doubles_none() {
    let temp = tempfile::tempdir().unwrap();
    let killed = Run { masters: 4, slaves: 30, seconds: 20, kills: 4, chaos: false };
    let report = run(&temp.path().join("data"), &killed);
    check(&report);
    assert!(did(&report, "connections_lost") >= 4 * 34, "{report}");
    assert!(did(&report, "orders") > 300, "{report}");
}

#[test]
fn terminals_crash_and_lines_break_and_the_desk_is_killed_and_nothing_is_lost() {
    let temp = tempfile::tempdir().unwrap();
    let chaos = Run { masters: 4, slaves: 30, seconds: 30, kills: 3, chaos: true };
    let report = run(&temp.path().join("data"), &chaos);
    check(&report);
    assert!(did(&report, "terminals_crashed") > 0 && did(&report, "lines_cut") > 0, "{report}");
    assert!(did(&report, "orders") > 300, "{report}");
}

#[test]
#[ignore = "four minutes: make soak"]
fn a_thousand_slaves_through_three_minutes_of_chaos_and_kills() {
    let temp = tempfile::tempdir().unwrap();
    let storm = Run { masters: 50, slaves: 1000, seconds: 180, kills: 6, chaos: true };
    let report = run(&temp.path().join("data"), &storm);
    check(&report);
    assert!(did(&report, "orders") > 10_000, "{report}");
}
