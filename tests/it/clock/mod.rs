//! Somebody sets the machine's clock while the desk runs: nobody is lost by it, and time in the log never goes back.

use crate::client::Client;
use crate::desk::{Desk, Launch, wait_for};
use crate::liveness::{Pulse, set_timeout};
use crate::log::Follower;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const HOUR: i64 = 3600;

/// The clock of one process.
pub struct MachineClock {
    library: PathBuf,
    file: PathBuf,
}

impl MachineClock {
    pub fn new(scratch: &Path) -> Self {
        let (source, library, file) = (scratch.join("clock.c"), scratch.join("clock.so"), scratch.join("offset"));
        std::fs::write(&source, include_str!("clock.c")).unwrap();
        let mut cc = Command::new("cc");
        cc.args(["-std=gnu11", "-O2", "-Wall", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl");
        let output = cc.output().expect("cc is needed to build the clock");
        assert!(output.status.success(), "cc: {}", String::from_utf8_lossy(&output.stderr));
        let clock = MachineClock { library, file };
        clock.set(0);
        clock
    }

    /// Seconds from true time. By rename, so that nobody reads half a number.
    pub fn set(&self, seconds: i64) {
        let fresh = self.file.with_extension("new");
        std::fs::write(&fresh, seconds.to_string()).unwrap();
        std::fs::rename(&fresh, &self.file).unwrap();
    }

    pub fn launch(&self, dir: &Path) -> Launch {
        let launch = Launch::new(dir).env("LD_PRELOAD", self.library.to_str().unwrap());
        launch.env("CLOCK_FILE", self.file.to_str().unwrap())
    }
}

/// Waits until the desk has noticed a step, and says by how many seconds.
pub fn noticed(client: &Client, number: usize) -> i64 {
    let events = wait_for("the desk notices the step", || {
        Some(client.events("clock_stepped")).filter(|events| events.len() >= number)
    });
    let by = events[number - 1]["payload"]["by"].as_i64().unwrap();
    (by as f64 / 1e6).round() as i64
}

fn lost(client: &Client) -> usize {
    client.events("account_offline").len()
}

/// In the log, by desk time: from the last heartbeat to the loss.
fn silence(client: &Client) -> Duration {
    let event = wait_for("the account is lost", || client.events("account_offline").into_iter().next());
    let time = |value: &Value| value.as_i64().unwrap();
    let micros = time(&event["recorded_at"]) - time(&event["payload"]["last_heartbeat_at"]);
    Duration::from_micros(micros.unsigned_abs())
}

fn check_order(dir: &Path) {
    let log = Follower::read(dir);
    let times: Vec<i64> = log.records.iter().map(|record| record.recorded_at.0).collect();
    assert!(times.is_sorted(), "recorded_at goes back");
    println!("{} events in the order of their times", times.len());
}

fn started(launch: &Launch) -> (Desk, Client) {
    let desk = launch.start();
    let admin = desk.welcome("ann");
    set_timeout(&admin, 2);
    admin.register("master/Demo_1").ok();
    admin.heartbeat("master/Demo_1");
    (desk, admin)
}

#[test]
fn the_clock_goes_back_an_hour_and_liveness_goes_on() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let clock = MachineClock::new(temp.path());
    let launch = clock.launch(&dir);
    let (desk, admin) = started(&launch);
    let pulse = Pulse::start(&admin, "master/Demo_1");
    clock.set(-HOUR);
    assert_eq!(noticed(&admin, 1), -HOUR);
    pulse.wait_beats(10);
    assert_eq!(lost(&admin), 0, "a living account was lost");
    pulse.stop();
    let silence = silence(&admin);
    assert!(silence >= Duration::from_secs(2) && silence < Duration::from_secs(3), "lost after {silence:?}");

    // Started again an hour before the log's end, the desk goes on from there.
    let desk = desk.restart();
    let admin = desk.again(&admin);
    admin.heartbeat("master/Demo_1");
    assert_eq!(admin.account("master/Demo_1")["connection"], "online");
    let metrics = desk.client().get("/metrics").text;
    let ahead = metrics.lines().find_map(|line| line.strip_prefix("tidehelm_clock_ahead_seconds ")).unwrap();
    assert!((3590.0..3610.0).contains(&ahead.parse::<f64>().unwrap()), "{ahead} seconds ahead");
    wait_for("it is lost again", || (lost(&admin) == 2).then_some(()));
    assert_eq!(admin.events("clock_stepped").len(), 1, "going on from the log is no step");

    clock.set(0);
    assert_eq!(noticed(&admin, 2), HOUR, "the clock is right again");
    desk.stop();
    check_order(&dir);
}

#[test]
fn the_clock_goes_forward_an_hour_and_nobody_is_lost_by_it() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let clock = MachineClock::new(temp.path());
    let (desk, admin) = started(&clock.launch(&dir));
    let pulse = Pulse::start(&admin, "master/Demo_1");
    pulse.wait_beats(2);
    clock.set(HOUR);
    assert_eq!(noticed(&admin, 1), HOUR);
    pulse.wait_beats(10);
    assert_eq!(lost(&admin), 0, "the hour that never was counted as silence");
    pulse.stop();
    let silence = silence(&admin);
    assert!(silence >= Duration::from_secs(2) && silence < Duration::from_secs(3), "lost after {silence:?}");
    desk.stop();
    check_order(&dir);
}
