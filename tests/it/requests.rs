//! Requests at the moments at which counting goes wrong: midnight, and while an endpoint says anew what it has.

use crate::client::Client;
use crate::clock::{MachineClock, noticed};
use crate::dashboard::{Upstream, ask, counts, is_online, lasting, overview, register, shows, tables_agree, user};
use crate::desk::Desk;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tidehelm::ambient;

const DAY: i64 = 86_400;

fn seconds_until_midnight() -> i64 {
    DAY - ambient::wall().0 / 1_000_000 % DAY
}

/// Good and failed requests of the last days, oldest first.
fn days(admin: &Client, id: &str) -> Vec<(u64, u64)> {
    let daily = admin.get(&format!("/api/endpoints/{id}/daily-stats?days=2")).ok();
    let days = daily["days"].as_array().unwrap().iter();
    days.map(|day| (day["success"].as_u64().unwrap(), day["failed"].as_u64().unwrap())).collect()
}

#[test]
fn a_day_ends_at_midnight_and_no_restart_moves_what_was_counted() {
    let temp = tempfile::tempdir().unwrap();
    let clock = MachineClock::new(temp.path());
    let data = temp.path().join("data");
    // A minute before midnight, by the clock of the desk.
    clock.set(seconds_until_midnight() - 60);
    let upstream = Upstream::start(&["--tokens", "10"]);
    let desk = clock.launch(&data).start();
    let admin = desk.welcome("ann");
    let id = register(&admin, "GPU box", &upstream.url);
    is_online(&admin, "GPU box");
    let caller = user(&desk, &admin);
    (0..3).for_each(|_| drop(ask(&caller, "llama-3").ok()));
    shows(&admin, (3, 3, 0));
    assert_eq!(days(&admin, &id), [(0, 0), (3, 0)]);

    clock.set(seconds_until_midnight() + 5);
    assert!(noticed(&admin, 1) >= 60);
    (0..2).for_each(|_| drop(ask(&caller, "llama-3").ok()));
    shows(&admin, (5, 5, 0));
    let today = admin.get(&format!("/api/endpoints/{id}/today-stats")).ok();
    assert_eq!((&today["success"], days(&admin, &id)), (&json!(2), vec![(3, 0), (2, 0)]));
    tables_agree(&data, &admin);

    let before = lasting(&overview(&admin));
    let desk = desk.kill9().start();
    let admin = desk.again(&admin);
    assert_eq!(lasting(&overview(&admin)), before);
    assert_eq!(days(&admin, &id), [(3, 0), (2, 0)], "yesterday stays yesterday");
    tables_agree(&data, &admin);
    desk.stop();
}

/// Takes connections and never answers.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

#[test]
fn who_says_anew_what_it_has_keeps_no_request_waiting() {
    let temp = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(&["--tokens", "10"]);
    let (_listener, hung) = silent();
    let (desk, admin) = Desk::with_admin(temp.path());
    let id = register(&admin, "GPU box", &upstream.url);
    is_online(&admin, "GPU box");
    let body = json!({"name": "hung", "base_url": hung, "probe_timeout_seconds": 20, "health_interval_seconds": 60});
    let hung = admin.post("/api/endpoints", &body).ok()["id"].as_str().unwrap().to_string();
    let caller = user(&desk, &admin);

    // Its models are taken in again and again while it works, and the other one is asked for its own and says nothing.
    let (done, syncs) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::<Value>::new())));
    let waits = {
        let (admin, done) = (admin.clone(), done.clone());
        std::thread::spawn(move || {
            let answer = admin.post(&format!("/api/endpoints/{hung}/sync"), &json!({}));
            (done.load(Ordering::Acquire), answer.status)
        })
    };
    let again = {
        let (admin, done, syncs) = (admin.clone(), done.clone(), syncs.clone());
        std::thread::spawn(move || {
            while !done.load(Ordering::Acquire) {
                let answer = admin.post(&format!("/api/endpoints/{id}/sync"), &json!({}));
                syncs.lock().unwrap().push(json!(answer.status));
            }
        })
    };
    let mut asked = 0;
    while asked < 200 || syncs.lock().unwrap().len() < 5 {
        ask(&caller, "llama-3").ok();
        asked += 1;
    }
    done.store(true, Ordering::Release);
    again.join().unwrap();
    let (all_were_answered_first, status) = waits.join().unwrap();
    assert!(all_were_answered_first, "200 requests were answered before the hung one was given up ({status})");
    let syncs = syncs.lock().unwrap();
    assert!(syncs.iter().all(|status| *status == json!(200)), "{syncs:?}");
    shows(&admin, (asked, asked, 0));
    assert_eq!(counts(&overview(&admin)["stats"]).0, asked);
    desk.stop();
}
