//! Who is there: lost when the limit has passed and never before, with a grace after every start.

use crate::client::Client;
use crate::desk::{Desk, wait_for, wait_until};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub fn set_timeout(admin: &Client, seconds: u64) {
    let body = json!({"name": "Tidehelm", "timeout_seconds": seconds, "session_hours": 12});
    admin.call("PUT", "/api/settings").header("if-match", "*").json(&body).send().ok();
}

/// Heartbeats of one account, a few a second, from a thread of its own.
pub struct Pulse {
    beats: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pulse {
    pub fn start(client: &Client, account: &str) -> Self {
        let (beats, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (client, account) = (client.clone(), account.to_string());
        let (counted, stopped) = (beats.clone(), ended.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                client.heartbeat(&account);
                counted.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(250));
            }
        });
        Pulse { beats, ended, thread: Some(thread) }
    }

    /// So many more from now on: each of them a quarter of a second.
    pub fn wait_beats(&self, more: u64) {
        let from = self.beats.load(Ordering::Relaxed);
        wait_until("the heart has beaten", || self.beats.load(Ordering::Relaxed) >= from + more);
    }

    pub fn stop(mut self) {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

fn connection(client: &Client, account: &str) -> Value {
    client.account(account)["connection"].clone()
}

/// How long each account had been silent when it was lost, by desk time.
fn silences(client: &Client) -> Vec<(String, Duration)> {
    let events = client.events("account_offline");
    let silent = |event: &Value| {
        let time = |value: &Value| value.as_i64().unwrap();
        time(&event["recorded_at"]) - time(&event["payload"]["last_heartbeat_at"])
    };
    let seen = |event| (event_stream(event), Duration::from_micros(silent(event).unsigned_abs()));
    events.iter().map(seen).collect()
}

fn event_stream(event: &Value) -> String {
    event["stream"].as_str().unwrap().to_string()
}

#[test]
fn an_account_is_lost_within_a_second_after_the_limit_and_never_before() {
    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    set_timeout(&admin, 2);
    let accounts: Vec<String> = (0..12).map(|number| format!("master/Demo_{number}")).collect();
    let mut last = Vec::new();
    for account in &accounts {
        admin.register(account).ok();
        assert_eq!(connection(&admin, account), "registered");
        admin.heartbeat(account);
        last.push(Instant::now());
        assert_eq!(connection(&admin, account), "online");
        // Spread over the ticks of the desk's timer.
        std::thread::sleep(Duration::from_millis(70));
    }
    let mut lost = vec![None; accounts.len()];
    wait_until("all are lost", || {
        for (index, account) in accounts.iter().enumerate() {
            if lost[index].is_none() && connection(&admin, account) == "lost" {
                lost[index] = Some(last[index].elapsed());
            }
        }
        lost.iter().all(Option::is_some)
    });
    let silences = silences(&admin);
    assert_eq!(silences.len(), accounts.len(), "each is lost once");
    for (account, silence) in &silences {
        let range = Duration::from_secs(2)..Duration::from_secs(3);
        assert!(range.contains(silence), "{account} was lost after {silence:?}");
    }
    let seen = lost.into_iter().flatten().max().unwrap();
    println!("{} lost, the slowest seen after {seen:?}", silences.len());
    admin.heartbeat(&accounts[0]);
    assert_eq!(connection(&admin, &accounts[0]), "online");
    assert_eq!(admin.events("account_online").len(), accounts.len() + 1);
}

#[test]
fn a_heartbeat_in_time_keeps_an_account_and_a_goodbye_is_no_loss() {
    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    set_timeout(&admin, 2);
    for account in ["master/Demo_1", "master/Demo_2", "slave/Demo_3"] {
        admin.register(account).ok();
        admin.toggle(account, true).ok();
    }
    admin.call("PUT", "/api/links/Demo_3/Demo_1").send().ok();
    let (pulse, slave) = (Pulse::start(&admin, "master/Demo_1"), Pulse::start(&admin, "slave/Demo_3"));
    admin.heartbeat("master/Demo_2");
    admin.post("/api/accounts/master/Demo_2/unregister", &json!({})).ok();
    assert_eq!(connection(&admin, "master/Demo_2"), "unregistered");
    wait_until("the slave copies", || admin.account("slave/Demo_3")["runtime_status"] == 2);
    pulse.wait_beats(12);
    assert_eq!(silences(&admin), vec![], "nobody was silent");
    assert_eq!(connection(&admin, "master/Demo_2"), "unregistered");
    pulse.stop();
    wait_until("the slave hears of its master", || {
        let masters = admin.account("slave/Demo_3")["masters"].clone();
        masters[0]["warning_codes"].as_array().is_some_and(|codes| !codes.is_empty())
    });
    let lost = silences(&admin);
    assert_eq!(lost.iter().map(|(account, _)| account.as_str()).collect::<Vec<_>>(), ["master/Demo_1"]);
    let noted = admin.events("master_noted").pop().unwrap();
    let cause = admin.get(&format!("/api/events/{}", noted["causation"])).ok();
    assert_eq!((&cause["kind"], &cause["stream"]), (&json!("status_changed"), &json!("master/Demo_1")));
    slave.stop();
}

#[test]
fn a_new_limit_counts_for_those_who_are_online_already() {
    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    admin.register("master/Demo_1").ok();
    admin.heartbeat("master/Demo_1");
    set_timeout(&admin, 2);
    wait_for("it is lost by the new limit", || silences(&admin).pop());
    admin.heartbeat("master/Demo_1");
    set_timeout(&admin, 3600);
    std::thread::sleep(Duration::from_millis(3200));
    assert_eq!(connection(&admin, "master/Demo_1"), "online", "the new limit is an hour");
}

#[test]
fn a_start_gives_everybody_the_whole_limit_again() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    set_timeout(&admin, 2);
    for account in ["master/Demo_1", "master/Demo_2"] {
        admin.register(account).ok();
        admin.heartbeat(account);
    }
    let launch = desk.kill9();
    // Longer than the limit: the desk was away, not the terminals.
    std::thread::sleep(Duration::from_millis(2500));
    let begun = Instant::now();
    let desk = launch.start();
    let admin = desk.again(&admin);
    let pulse = Pulse::start(&admin, "master/Demo_1");
    let lost = wait_for("the silent one is lost", || silences(&admin).pop());
    let after = begun.elapsed();
    assert_eq!(lost.0, "master/Demo_2");
    assert!(after >= Duration::from_secs(2) && after < Duration::from_secs(4), "lost {after:?} after the start");
    pulse.wait_beats(2);
    assert_eq!(connection(&admin, "master/Demo_1"), "online");
    assert_eq!(silences(&admin).len(), 1);
    pulse.stop();
}
