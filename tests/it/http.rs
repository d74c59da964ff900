//! The API and the page, over real sockets: who gets in, what is answered, what is refused.

use crate::client::{Client, raw};
use crate::desk::{Desk, Launch, PASSWORD, heartbeat, run, tidehelm, wait_for, wait_until};
use crate::log::Follower;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

#[test]
fn the_link_of_the_first_start_makes_the_admin_once() {
    let temp = tempfile::tempdir().unwrap();
    let desk = Desk::start(temp.path());
    assert_eq!(desk.client().get("/api/status").problem(401), "login_needed");
    let code = desk.first_link();
    let admin = desk.welcome("ann");
    let status = admin.get("/api/status").ok();
    assert_eq!(status["user"], json!({"name": "ann", "role": "admin"}));
    assert_eq!((&status["ready"], &status["health"]), (&json!(true), &json!("serving")));
    let again = json!({"code": code, "name": "eve", "password": PASSWORD});
    assert_eq!(desk.client().post("/api/welcome", &again).problem(404), "invite_unknown");
    let desk = desk.restart();
    assert!(!desk.said().contains("welcome"), "somebody has an account, so no link is printed");
    assert_eq!(desk.client().post("/api/welcome", &again).problem(404), "invite_unknown");
}

#[test]
fn a_first_link_that_nobody_used_gives_way_to_the_next_one() {
    let temp = tempfile::tempdir().unwrap();
    let desk = Desk::start(temp.path());
    let old = desk.first_link();
    let desk = desk.restart();
    let body = json!({"code": old, "name": "ann", "password": PASSWORD});
    assert_eq!(desk.client().post("/api/welcome", &body).problem(404), "invite_unknown");
    desk.welcome("ann");
}

#[test]
fn people_log_in_and_out_and_sessions_can_be_ended() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    let mut laptop = desk.client();
    assert_eq!(laptop.log_in("ann", "wrong password").problem(401), "login_wrong");
    assert_eq!(laptop.log_in("nobody", PASSWORD).problem(401), "login_wrong");
    let reply = laptop.log_in("ann", PASSWORD);
    reply.ok();
    let cookie = reply.header("set-cookie").unwrap();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains("Secure"),
        "{cookie}"
    );
    laptop.get("/api/status").ok();

    let sessions = admin.get("/api/sessions").ok()["sessions"].as_array().unwrap().clone();
    assert_eq!(sessions.len(), 2);
    let other = sessions.iter().find(|session| session["own"] == false).unwrap();
    admin.call("DELETE", &format!("/api/sessions/{}", other["id"].as_str().unwrap())).send().ok();
    assert_eq!(laptop.get("/api/status").problem(401), "login_needed");

    laptop.log_in("ann", PASSWORD).ok();
    let desk = desk.restart();
    let laptop = desk.again(&laptop);
    laptop.get("/api/status").ok();
    laptop.post("/api/logout", &Value::Null).ok();
    assert_eq!(laptop.get("/api/status").problem(401), "login_needed");
    let admin = desk.again(&admin);
    let ended: Vec<Value> = admin.events("session_ended").iter().map(|event| event["payload"]["why"].clone()).collect();
    assert_eq!(ended, [json!("revoked"), json!("logged_out")]);
}

#[test]
fn a_new_password_ends_the_other_sessions_and_the_old_password() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, mut admin) = Desk::with_admin(temp.path());
    let mut laptop = desk.client();
    laptop.log_in("ann", PASSWORD).ok();
    let wrong = json!({"current": "not this one", "password": "another long one"});
    assert_eq!(admin.call("PUT", "/api/users/ann/password").json(&wrong).send().problem(401), "login_wrong");
    let short = json!({"current": PASSWORD, "password": "short"});
    let refused = admin.call("PUT", "/api/users/ann/password").json(&short).send();
    assert_eq!((refused.problem(422), refused.json()["field"].clone()), ("invalid".into(), json!("password")));
    let right = json!({"current": PASSWORD, "password": "another long one"});
    admin.call("PUT", "/api/users/ann/password").json(&right).send().ok();
    admin.get("/api/status").ok();
    laptop.get("/api/status").problem(401);
    assert_eq!(admin.log_in("ann", PASSWORD).problem(401), "login_wrong");
    admin.log_in("ann", "another long one").ok();
}

#[test]
fn a_repeated_change_of_a_password_locks_nobody_out() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    desk.person(&admin, "bob", "viewer");
    for _ in 0..2 {
        let body = json!({"password": "given by an admin"});
        admin.call("PUT", "/api/users/bob/password").key("reset-bob").json(&body).send().ok();
    }
    desk.client().log_in("bob", "given by an admin").ok();
    let desk = desk.restart();
    desk.client().log_in("bob", "given by an admin").ok();
}

#[test]
fn a_secret_is_shown_once_and_a_repeat_does_not_make_up_another() {
    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    for (path, body) in [
        ("/api/tokens", json!({"name": "bot", "role": "viewer"})),
        ("/api/invites", json!({"name": "bob", "role": "viewer"})),
    ] {
        let first = admin.call("POST", path).key(path).json(&body).send();
        assert_eq!(first.status, 201, "{}", first.text);
        let again = admin.call("POST", path).key(path).json(&body).send();
        assert_eq!(again.problem(409), "secret_shown_once", "{path}");
    }
    assert_eq!(admin.get("/api/tokens").ok()["tokens"].as_array().unwrap().len(), 1);
}

#[test]
fn after_ten_wrong_passwords_the_next_try_has_to_wait() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, _admin) = Desk::with_admin(temp.path());
    let mut wrong = 0;
    // Tries are counted by the minute, and a new one may begin in between.
    while wrong <= 20 {
        let reply = desk.client().log_in("ann", "wrong password");
        if reply.status == 429 {
            assert_eq!(reply.problem(429), "too_many_tries");
            break;
        }
        assert_eq!(reply.problem(401), "login_wrong");
        wrong += 1;
    }
    assert!((10..=20).contains(&wrong), "{wrong} wrong passwords before the first that had to wait");
}

/// What each role may do. A route that is not in this list is open to everybody who is known.
#[test]
fn each_role_may_do_what_it_may_and_a_denial_is_in_the_log() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    let [viewer, operator] = ["viewer", "operator"].map(|role| desk.token(&admin, role, role));
    admin.register("master/Demo_1").ok();
    let id = "00000000-0000-4000-8000-000000000000";
    let table = [
        ("operator", "POST", "/api/accounts/master/Demo_1/toggle".to_string(), json!({"enabled": true})),
        ("operator", "POST", "/api/accounts/master/Demo_1/register".into(), json!({})),
        ("operator", "POST", "/api/accounts/master/Demo_1/unregister".into(), json!({})),
        ("operator", "PUT", "/api/links/Demo_2/Demo_1".into(), json!({})),
        ("operator", "DELETE", "/api/links/Demo_2/Demo_1".into(), json!({})),
        ("operator", "POST", "/api/heartbeats".into(), json!([])),
        ("operator", "POST", "/api/lock".into(), json!({"locked": true, "reason": "no"})),
        ("operator", "GET", "/api/log?after=0".into(), Value::Null),
        ("operator", "POST", "/api/ea/pairings".into(), json!([])),
        ("operator", "DELETE", format!("/api/ea/pairings/{id}"), Value::Null),
        ("operator", "GET", "/api/ea/keys".into(), Value::Null),
        ("operator", "DELETE", format!("/api/ea/keys/{id}"), Value::Null),
        ("admin", "GET", "/api/secrets".into(), Value::Null),
        ("admin", "POST", "/api/secrets/rotate".into(), Value::Null),
        ("admin", "PUT", "/api/settings".into(), json!({})),
        ("admin", "GET", "/api/users".into(), Value::Null),
        ("admin", "POST", "/api/invites".into(), json!({"name": "eve", "role": "admin"})),
        ("admin", "DELETE", "/api/users/ann".into(), Value::Null),
        ("admin", "PUT", "/api/users/ann/role".into(), json!({"role": "viewer"})),
        ("admin", "PUT", "/api/users/ann/password".into(), json!({"password": "taken over!"})),
        ("admin", "DELETE", format!("/api/sessions/{id}"), Value::Null),
        ("admin", "GET", "/api/tokens".into(), Value::Null),
        ("admin", "POST", "/api/tokens".into(), json!({"name": "x", "role": "admin"})),
        ("admin", "DELETE", format!("/api/tokens/{id}"), Value::Null),
        ("admin", "GET", "/api/config".into(), Value::Null),
        ("admin", "GET", "/api/state/desk".into(), Value::Null),
    ];
    let mut denials = 0;
    for (needs, method, path, body) in &table {
        let ask = |client: &Client| {
            let call = client.call(method, path);
            if body.is_null() { call.send() } else { call.json(body).send() }
        };
        assert_eq!(ask(&desk.client()).problem(401), "login_needed", "{method} {path} by a stranger");
        let mut denied = vec![&viewer];
        if *needs == "admin" {
            denied.push(&operator);
        }
        for client in denied {
            assert_eq!(ask(client).problem(403), "role_too_low", "{method} {path}");
            denials += 1;
        }
        if *needs == "operator" {
            assert_ne!(ask(&operator).status, 403, "{method} {path} by an operator");
        }
    }
    let events = admin.events("access_denied");
    assert_eq!(events.len(), denials);
    assert_eq!(events[0]["payload"], json!({"action": "change accounts", "needs": "operator"}));
    assert!(events[0]["by"].as_str().unwrap().starts_with("token:"));
    for path in ["/api/status", "/api/accounts", "/api/events", "/api/settings", "/api/state", "/api/activity"] {
        viewer.get(path).ok();
    }
}

#[test]
fn tokens_are_stored_as_hashes_and_end_when_revoked() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    let bot = desk.token(&admin, "bot", "operator");
    bot.get("/api/status").ok();
    let secret = bot.token.clone().unwrap();
    let desk = desk.restart();
    let [admin, bot] = [admin, bot].map(|client| desk.again(&client));
    bot.get("/api/status").ok();
    let cookie = admin.cookie.clone().unwrap();
    for secret in [secret.as_str(), cookie.split_once('=').unwrap().1, PASSWORD] {
        let tail = &secret.as_bytes()[secret.len() - 10..];
        for file in std::fs::read_dir(temp.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(tail.len()).any(|window| window == tail), "a secret lies in the data directory");
        }
    }
    let id = admin.get("/api/tokens").ok()["tokens"][0]["id"].as_str().unwrap().to_string();
    admin.call("DELETE", &format!("/api/tokens/{id}")).send().ok();
    assert_eq!(bot.get("/api/status").problem(401), "login_needed");
    let desk = desk.restart();
    let bot = desk.again(&bot);
    assert_eq!(bot.get("/api/status").problem(401), "login_needed");
    assert_eq!(bot.with_token("thk_nonsense").get("/api/status").problem(401), "login_needed");
}

#[test]
fn an_open_stream_ends_with_its_credential() {
    let dir = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(dir.path());
    let made = admin.post("/api/tokens", &json!({"name": "follower", "role": "viewer"})).json();
    let follower = desk.client().with_token(made["token"].as_str().unwrap());
    let mut stream = follower.call("GET", "/api/events").header("accept", "text/event-stream").open();
    let id = made["id"].as_str().unwrap();
    admin.call("DELETE", &format!("/api/tokens/{id}")).send();
    let (mut all, mut line) = (String::new(), String::new());
    while stream.read_line(&mut line).unwrap() > 0 {
        all.push_str(&line);
        line.clear();
    }
    assert!(all.contains("event: problem") && all.contains("login_needed"), "{all}");
}

#[test]
fn only_names_of_this_machine_reach_a_desk_on_loopback() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Launch::new(dir.path()).set("http.auth", "off").start();
    let port = desk.client().base.rsplit_once(':').unwrap().1.to_string();
    let ask = |headers: &str| {
        let request = format!("GET /api/users HTTP/1.1\r\n{headers}connection: close\r\n\r\n");
        raw(&desk.client().base, &request)
    };
    for good in ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.1.2.3", "[::1]"] {
        assert!(ask(&format!("host: {good}:{port}\r\n")).starts_with("HTTP/1.1 200"), "{good}");
    }
    for bad in ["127.evil.example", "evil.example", "localhost.evil.example", "10.0.0.1"] {
        assert!(ask(&format!("host: {bad}:{port}\r\n")).starts_with("HTTP/1.1 403"), "{bad}");
        let forwarded =
            ask(&format!("host: {bad}:{port}\r\nx-forwarded-host: localhost\r\nforwarded: host=localhost\r\n"));
        assert!(forwarded.starts_with("HTTP/1.1 403"), "{bad} forwarded");
    }
}

#[test]
fn wrong_passwords_at_once_count_like_wrong_passwords_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let (desk, _admin) = Desk::with_admin(dir.path());
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..30)
            .map(|number| {
                let client = desk.client();
                let body = json!({"name": "admin", "password": format!("wrong number {number}")});
                scope.spawn(move || client.post("/api/login", &body).status)
            })
            .collect();
        tries.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let checked = statuses.iter().filter(|status| **status == 401).count();
    // A new minute may begin in between.
    assert!(checked <= 20, "{checked} of 30 were checked: {statuses:?}");
    assert!(statuses.contains(&429));
}

#[test]
fn the_last_admin_stays() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    assert_eq!(admin.call("DELETE", "/api/users/ann").send().problem(409), "last_admin");
    let role = json!({"role": "viewer"});
    assert_eq!(admin.call("PUT", "/api/users/ann/role").json(&role).send().problem(409), "last_admin");
    let bob = desk.person(&admin, "bob", "admin");
    bob.call("DELETE", "/api/users/ann").send().ok();
    assert_eq!(admin.get("/api/status").problem(401), "login_needed");
}

#[test]
fn a_public_address_needs_tls_and_authentication() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    for (settings, wanted) in [
        (vec![], "http.tls_cert"),
        (vec![("http.auth", "off"), ("http.behind_tls_proxy", "true")], "http.auth = \"required\""),
        (vec![("http.auth", "off")], "http.behind_tls_proxy = true"),
    ] {
        let launch = settings.iter().fold(Launch::new(&dir), |launch, (key, value)| launch.set(key, value));
        let (exit, said) = launch.arg("--bind").arg("0.0.0.0:0").refused();
        assert!(said.contains("refusing to") && said.contains(wanted), "{said}");
        assert!(matches!(exit, 2 | 5), "exit code {exit}");
    }
    assert!(!dir.exists(), "a refused start leaves nothing behind");
    let desk = Launch::new(&dir).set("http.behind_tls_proxy", "true").start();
    let code = desk.first_link();
    let body = json!({"code": code, "name": "ann", "password": PASSWORD});
    let reply = desk.client().post("/api/welcome", &body);
    assert!(reply.header("set-cookie").unwrap().contains("Secure"), "behind TLS, the cookie is for TLS only");
}

#[test]
fn foreign_pages_and_foreign_names_are_turned_away() {
    let temp = tempfile::tempdir().unwrap();
    let launch = Launch::new(temp.path()).set("http.allowed_origins", "https://desk.example.com");
    let desk = launch.start();
    let admin = desk.welcome("ann");
    admin.register("master/Demo_1").ok();
    let head = "Connection: close\r\n\r\n";
    let rebound = raw(&desk.base, &format!("GET /api/status HTTP/1.1\r\nHost: evil.example\r\n{head}"));
    assert!(rebound.starts_with("HTTP/1.1 403") && rebound.contains("host_unknown"), "{rebound}");
    assert!(rebound.to_lowercase().contains("content-security-policy"), "{rebound}");
    let named = raw(&desk.base, &format!("GET /livez HTTP/1.1\r\nHost: desk.example.com\r\n{head}"));
    assert!(named.starts_with("HTTP/1.1 200"), "{named}");
    let post = |origin: &str| {
        let call = admin.call("POST", "/api/accounts/master/Demo_1/toggle").header("origin", origin);
        call.json(&json!({"enabled": true})).send()
    };
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        assert_eq!(post(origin).problem(403), "origin_foreign", "{origin}");
    }
    assert_eq!(admin.account("master/Demo_1")["enabled_flag"], false);
    post("https://desk.example.com").ok();
    post(&desk.base).ok();
}

#[test]
fn a_repeat_gets_the_recorded_answer_also_after_a_restart() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    let bot = desk.token(&admin, "bot", "operator");
    bot.register("master/Demo_1").ok();
    let toggle = |client: &Client, account: &str, key: &str, enabled: bool| {
        let path = format!("/api/accounts/{account}/toggle");
        client.call("POST", &path).key(key).json(&json!({"enabled": enabled})).send()
    };
    let on = toggle(&bot, "master/Demo_1", "on", true);
    let events = on.events().expect("it was switched on");
    let unchanged = toggle(&bot, "master/Demo_1", "on again", true);
    assert_eq!((unchanged.status, unchanged.header("tidehelm-events")), (200, Some("none")));
    let refused = toggle(&bot, "master/Demo_2", "typing error", true);
    assert_eq!(refused.problem(404), "account_unknown");
    // What was refused stays refused, though the account is there by now.
    bot.register("master/Demo_2").ok();
    toggle(&bot, "master/Demo_1", "off", false).ok();
    let check = |bot: &Client| {
        assert_eq!(toggle(bot, "master/Demo_1", "on", true).events(), Some(events));
        assert_eq!(bot.account("master/Demo_1")["enabled_flag"], false, "a repeat does nothing");
        assert_eq!(toggle(bot, "master/Demo_1", "on again", true).header("tidehelm-events"), Some("none"));
        let again = toggle(bot, "master/Demo_2", "typing error", true);
        assert_eq!((again.status, &again.text), (refused.status, &refused.text));
        assert_eq!(toggle(bot, "master/Demo_1", "on", false).problem(422), "command_id_reused");
    };
    check(&bot);
    let position = bot.position();
    check(&bot);
    assert_eq!(bot.position(), position, "repeats leave no trace");
    // The id belongs to its principal: somebody else's is another command.
    assert_ne!(toggle(&admin, "master/Demo_1", "on", false).status, 422);
    let desk = desk.restart();
    let bot = desk.again(&bot);
    check(&bot);
    let launch = desk.kill9();
    let desk = launch.start();
    check(&desk.again(&bot));
}

#[test]
fn a_change_on_top_of_an_old_revision_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    let put = |revision: Option<&str>, name: &str| {
        let body = json!({"name": name, "timeout_seconds": 30, "session_hours": 12});
        let call = admin.call("PUT", "/api/settings").json(&body);
        match revision {
            Some(revision) => call.header("if-match", revision).send(),
            None => call.send(),
        }
    };
    assert_eq!(put(None, "North").problem(428), "if_match_needed");
    let first = admin.get("/api/settings").ok()["revision"].to_string();
    let second = put(Some(&format!("\"{first}\"")), "North").ok();
    assert_eq!(second["settings"]["name"], "North");
    assert_eq!(put(Some(&first), "South").problem(412), "revision_stale");
    assert_eq!(put(Some("nonsense"), "South").problem(422), "invalid");
    assert_eq!(admin.get("/api/settings").ok()["settings"]["name"], "North");

    admin.register("master/Demo_1").ok();
    let toggle = |revision: &Value, enabled: bool| {
        let call = admin.call("POST", "/api/accounts/master/Demo_1/toggle").header("if-match", revision.to_string());
        call.json(&json!({"enabled": enabled})).send()
    };
    let seen = admin.account("master/Demo_1")["revision"].clone();
    let after = toggle(&seen, true).ok()["account"]["revision"].clone();
    assert_eq!(toggle(&seen, false).problem(412), "revision_stale");
    toggle(&after, false).ok();
}

#[test]
fn a_bad_request_names_the_field() {
    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    admin.register("master/Demo_1").ok();
    let toggle = "/api/accounts/master/Demo_1/toggle";
    for (method, path, body, field) in [
        ("POST", toggle, r#"{"enabled": true, "mode": 1}"#, "mode"),
        ("POST", toggle, r#"{"enabled": 1}"#, "enabled"),
        ("POST", toggle, "{", "body"),
        ("POST", toggle, r#"{"enabled": true} {}"#, "body"),
        ("POST", "/api/accounts/boss/Demo_1/toggle", r#"{"enabled": true}"#, "role"),
        ("POST", "/api/accounts/master/De%20mo/toggle", r#"{"enabled": true}"#, "account"),
        ("POST", "/api/heartbeats", r#"[{"role": "master", "account": "Demo_1", "balance": "x"}]"#, "[0].balance"),
        ("POST", "/api/lock", r#"{"locked": true, "reason": ""}"#, "reason"),
        ("POST", "/api/ea/pairings", r#"{"account": "a b"}"#, "account"),
        ("POST", "/api/ea/pairings", r#"{"role": "owner"}"#, "role"),
        ("POST", "/api/ea/pairings", r#"{"hours": 1}"#, "hours"),
        ("POST", "/api/ea/pair", r#"{"code": "x", "account": "", "role": "slave"}"#, "account"),
        ("DELETE", "/api/ea/keys/x", "", "id"),
        ("DELETE", "/api/ea/pairings/x", "", "id"),
        ("GET", "/api/events?limit=0", "", "limit"),
        ("GET", "/api/events?kind=nonsense", "", "kind"),
        ("GET", "/api/events?frm=3", "", "query"),
        ("GET", "/api/events/x", "", "path"),
        ("GET", "/api/accounts?as_of=yesterdayish", "", "as_of"),
        ("GET", "/api/accounts?as_of=999999", "", "as_of"),
        ("GET", "/api/state/nonsense", "", "stream"),
    ] {
        let reply = admin.call(method, path).text(body).send();
        assert_eq!(reply.status, 422, "{method} {path} {body}: {}", reply.text);
        reply.problem(422);
        assert_eq!(reply.json()["field"], field, "{method} {path} {body}: {}", reply.text);
    }
    let settings = json!({"name": "North", "timeout_seconds": 1, "session_hours": 12});
    let reply = admin.call("PUT", "/api/settings").header("if-match", "*").json(&settings).send();
    assert_eq!(
        (reply.problem(422), reply.json()["field"].clone()),
        ("setting_invalid".into(), json!("timeout_seconds"))
    );
    let key = "k".repeat(129);
    let reply = admin.call("POST", toggle).key(&key).json(&json!({"enabled": true})).send();
    assert_eq!((reply.problem(422), reply.json()["field"].clone()), ("invalid".into(), json!("Idempotency-Key")));
    for path in ["/api/nothing", "/api/accounts/master/Demo_9", "/api/events/999999", "/nothing.html"] {
        admin.get(path).problem(404);
    }
    let large = admin.call("POST", "/api/heartbeats").text(format!("[{}]", " ".repeat(2 << 20))).send();
    assert_eq!(large.problem(413), "body_too_large");
}

#[test]
fn every_answer_has_an_id_and_tells_browsers_to_be_careful() {
    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    for path in ["/api/status", "/", "/livez", "/api/nothing"] {
        let reply = admin.call("GET", path).header("x-request-id", "my-request.7").send();
        assert_eq!(reply.header("x-request-id"), Some("my-request.7"), "{path}");
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"), "{path}");
    }
    let made = |id: &str| admin.call("GET", "/livez").header("x-request-id", id).send();
    let [bad, worse] =
        ["no spaces please", &"x".repeat(65)].map(|id| made(id).header("x-request-id").unwrap().to_string());
    assert!(bad != worse && bad.len() == 36 && worse.len() == 36, "{bad} {worse}");
}

#[test]
fn the_page_is_served_and_not_sent_twice() {
    let temp = tempfile::tempdir().unwrap();
    let desk = Desk::start(temp.path());
    let page = desk.client().get("/");
    assert!(page.status == 200 && page.text.contains("<html"), "{}", page.text);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    let tag = page.header("etag").unwrap();
    let known = desk.client().call("GET", "/").header("if-none-match", tag).send();
    assert_eq!((known.status, known.text.as_str(), known.header("etag")), (304, "", Some(tag)));
    assert_eq!(desk.client().call("GET", "/").header("if-none-match", "\"old\"").send().status, 200);
    assert_eq!(desk.client().call("GET", "/index.html").send().text, page.text);
    let head = raw(&desk.base, "HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    assert_eq!(desk.client().post("/index.html", &Value::Null).problem(405), "method_not_allowed");
    for path in ["/../Cargo.toml", "/%2e%2e/Cargo.toml", "/..%2fCargo.toml"] {
        let reply = raw(&desk.base, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        assert!(reply.starts_with("HTTP/1.1 40"), "{path}: {reply}");
    }
}

/// Paths and methods as the sources say them: `#[get("/path")]` below the scope `/api`, but for three of `ops`.
fn served() -> BTreeSet<(String, String)> {
    served_by(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http"))
}

fn served_by(dir: &Path) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for file in std::fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            found.extend(served_by(&path));
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        for line in text.lines() {
            for method in ["get", "post", "put", "delete", "patch", "head"] {
                let Some(rest) = line.strip_prefix(&format!("#[{method}(\"")) else { continue };
                let path = rest.split('"').next().unwrap().replace(":.+}", "}");
                let bare = matches!(path.as_str(), "/livez" | "/readyz" | "/metrics" | "/ws");
                found.insert((method.to_string(), if bare { path } else { format!("/api{path}") }));
            }
        }
    }
    found
}

#[test]
fn the_openapi_document_lists_what_is_served_and_is_the_committed_one() {
    let (exit, document) = run(tidehelm().arg("openapi"));
    assert_eq!(exit, 0);
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    if std::env::var_os("TIDEHELM_BLESS").is_some() {
        std::fs::write(&committed, &document).unwrap();
    }
    let known = std::fs::read_to_string(&committed).unwrap_or_default();
    assert!(
        document == known,
        "docs/openapi.json is old; look at the difference, then TIDEHELM_BLESS=1 scripts/openapi.sh"
    );
    let document: Value = serde_json::from_str(&document).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let listed: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| (method.clone(), path.clone())))
        .collect();
    assert_eq!(listed, served());

    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    assert_eq!(admin.get("/api/openapi.json").ok(), document);
    for (method, path) in &listed {
        let path: String =
            path.split('/').map(|part| if part.starts_with('{') { "1" } else { part }).collect::<Vec<_>>().join("/");
        // Ends the session, and with it the test.
        if path == "/api/logout" {
            continue;
        }
        let reply = admin.call(&method.to_uppercase(), &path).send();
        assert!(!reply.text.contains("see /api/openapi.json"), "{method} {path} is listed and not served");
        assert_ne!(reply.status, 405, "{method} {path}");
    }
}

#[test]
fn metrics_can_be_read_by_prometheus_and_name_no_account() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    admin.register("master/Demo_77").ok();
    admin.get("/api/accounts/master/Demo_77").ok();
    admin.heartbeat("master/Demo_77");
    for method in ["BREW", "PROPFIND", "X1"] {
        raw(&desk.base, &format!("{method} /api/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    }
    let text = desk.client().get("/metrics").text;
    assert!(!text.contains("Demo_77"), "an account in the metrics");
    let mut types: BTreeMap<&str, &str> = BTreeMap::new();
    let mut samples: BTreeMap<&str, f64> = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(types.insert(name, kind).is_none(), "{name} is described twice");
            assert!(name.starts_with("tidehelm_"), "{name}");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        } else if !line.starts_with("# HELP tidehelm_") {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let name = sample.split('{').next().unwrap();
            let family =
                ["_bucket", "_sum", "_count"].iter().find_map(|end| types.get_key_value(name.strip_suffix(end)?));
            assert!(types.contains_key(name) || family.is_some_and(|(_, kind)| *kind == "histogram"), "{line}");
            assert!(samples.insert(sample, value.parse().unwrap()).is_none(), "{sample} stands twice");
        }
    }
    assert_eq!(samples["tidehelm_ready"], 1.0);
    assert_eq!(samples["tidehelm_position"], admin.position() as f64);
    assert!(samples["tidehelm_commits_total"] > 0.0 && samples["tidehelm_commit_seconds_count"] > 0.0);
    for method in ["BREW", "PROPFIND", "X1"] {
        assert!(!text.contains(method), "a stranger can make labels: {method}");
    }
}

#[test]
fn strangers_only_count() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    let before = admin.position();
    for number in 0..50 {
        desk.client().with_token(&format!("thk_{number}")).get("/api/status").problem(401);
        desk.client().get("/api/accounts").problem(401);
        desk.client().post("/api/lock", &json!({"locked": true, "reason": "x"})).problem(401);
    }
    assert_eq!(admin.position(), before, "strangers wrote to the log");
    let metrics = desk.client().get("/metrics").text;
    assert!(metrics.contains("tidehelm_strangers_refused_total 50"), "{metrics}");
}

#[test]
fn authentication_can_be_off_where_only_this_machine_reaches_the_desk() {
    let temp = tempfile::tempdir().unwrap();
    let desk = Launch::new(temp.path()).set("http.auth", "off").start();
    let anybody = desk.client();
    anybody.register("master/Demo_1").ok();
    anybody.toggle("master/Demo_1", true).ok();
    assert_eq!(anybody.events("intent_set")[0]["by"], "operator");
}

#[test]
fn a_locked_desk_switches_nothing_on() {
    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    admin.register("master/Demo_1").ok();
    admin.post("/api/lock", &json!({"locked": true, "reason": "news at eight"})).ok();
    let refused = admin.toggle("master/Demo_1", true);
    assert_eq!(refused.problem(409), "desk_locked");
    assert_eq!(admin.get("/api/status").ok()["lock_reason"], "news at eight");
    let again = admin.post("/api/lock", &json!({"locked": true, "reason": "twice"}));
    assert_eq!(again.problem(409), "locked_already");
    admin.post("/api/lock", &json!({"locked": false, "reason": "over"})).ok();
    admin.toggle("master/Demo_1", true).ok();
}

/// Follows the log from a thread of its own: each event as it comes, until the server ends the stream.
fn follow(client: &Client, from: &str, last_id: Option<u64>) -> Receiver<(u64, Value)> {
    let (sender, receiver) = channel();
    let path = format!("/api/events{from}");
    let mut call = client.call("GET", &path).header("accept", "text/event-stream");
    if let Some(id) = last_id {
        call = call.header("last-event-id", id.to_string());
    }
    let stream = call.open();
    std::thread::spawn(move || {
        let mut id = None;
        for line in stream.lines() {
            let Ok(line) = line else { return };
            if let Some(text) = line.strip_prefix("id: ") {
                id = Some(text.parse().unwrap());
            } else if let Some(data) = line.strip_prefix("data: ") {
                let event = serde_json::from_str(data).unwrap();
                if sender.send((id.take().expect("an event without an id"), event)).is_err() {
                    return;
                }
            }
        }
    });
    receiver
}

#[test]
fn a_follower_sees_every_event_once_through_a_restart() {
    let temp = tempfile::tempdir().unwrap();
    let (mut desk, mut admin) = Desk::with_admin(temp.path());
    let mut seen: Vec<(u64, Value)> = Vec::new();
    for round in 0..4 {
        let bot = desk.token(&admin, "bot", "operator");
        let resumed = seen.last().map(|(id, _)| *id);
        let (busy, stop) = (bot.clone(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            // New streams all the time: their names have to reach the follower with them.
            scope.spawn(|| {
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let account = format!("master/Demo_{round}_{number}");
                    busy.register(&account).ok();
                    busy.heartbeat(&account);
                }
            });
            let mut streams = vec![follow(&bot, "?from=0", resumed)];
            // Others begin at the beginning, behind what is in memory, and have to catch up with the end.
            streams.extend((0..3).map(|_| follow(&bot, "?from=0", None)));
            let target =
                wait_for("enough has happened", || Some(bot.position()).filter(|end| *end > (round + 1) * 300));
            for (number, stream) in streams.iter().enumerate() {
                let mut last = if number == 0 { resumed.unwrap_or(0) } else { 0 };
                while last < target {
                    let (id, event) = stream.recv_timeout(Duration::from_secs(20)).expect("the stream goes on");
                    assert_eq!(id, last + 1, "a gap or a doubled event after {last} in stream {number}");
                    assert_eq!(event["position"], id);
                    last = id;
                    if number == 0 {
                        seen.push((id, event));
                    }
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        let launch = desk.launch.clone();
        if round % 2 == 0 {
            desk.stop();
        } else {
            desk.kill9();
        }
        desk = launch.start();
        admin = desk.again(&admin);
    }
    let listed = admin.get("/api/events?limit=10000").ok();
    let listed = &listed["events"].as_array().unwrap()[..seen.len()];
    assert!(seen.iter().map(|(_, event)| event).eq(listed), "the list and the stream tell different stories");
    println!("followed {} events through 4 restarts", seen.len());
}

#[test]
fn a_follower_can_ask_for_some_kinds_and_is_told_when_the_server_stops() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    let bot = desk.token(&admin, "bot", "operator");
    let stream = follow(&bot, "?kind=intent_set&stream=master/Demo_1", None);
    for account in ["master/Demo_1", "master/Demo_2"] {
        bot.register(account).ok();
        bot.toggle(account, true).ok();
    }
    bot.toggle("master/Demo_1", false).ok();
    for enabled in [true, false] {
        let (_, event) = stream.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!((&event["stream"], &event["payload"]["enabled"]), (&json!("master/Demo_1"), &json!(enabled)));
    }
    desk.stop();
    assert!(stream.recv_timeout(Duration::from_secs(20)).is_err(), "the stream ends with the server");
}

#[test]
fn what_is_read_as_of_a_position_is_what_was_read_then() {
    let temp = tempfile::tempdir().unwrap();
    let launch = Launch::new(temp.path()).set("snapshots.every_events", "60");
    let desk = launch.start();
    let admin = desk.welcome("ann");
    let paths = ["/api/accounts", "/api/state", "/api/settings", "/api/activity", "/api/accounts/slave/Demo_2/changes"];
    let mut seen: BTreeMap<(String, u64), Value> = BTreeMap::new();
    admin.register("master/Demo_1").ok();
    admin.register("slave/Demo_2").ok();
    for round in 0..40u64 {
        match round % 5 {
            0 => drop(admin.toggle("master/Demo_1", round % 2 == 0).ok()),
            1 => drop(admin.call("PUT", "/api/links/Demo_2/Demo_1").send()),
            2 => drop(
                admin
                    .post(
                        "/api/heartbeats",
                        &json!([heartbeat("master/Demo_1", round), heartbeat("slave/Demo_2", round)]),
                    )
                    .ok(),
            ),
            3 => drop(admin.toggle("slave/Demo_2", round % 2 == 0).ok()),
            _ => drop(admin.register(&format!("master/Demo_1{round}")).ok()),
        }
        for path in paths {
            let now = admin.get(path).ok();
            seen.insert((path.into(), now["position"].as_u64().unwrap()), now);
        }
    }
    let check = |client: &Client| {
        for ((path, position), then) in &seen {
            let mut now = client.get(&format!("{path}?as_of={position}")).ok();
            let mut then = then.clone();
            // By the minutes before the question, which is asked later.
            now.as_object_mut().unwrap().remove("hour");
            then.as_object_mut().unwrap().remove("hour");
            assert_eq!(now, then, "{path} as of {position}");
        }
    };
    check(&admin);
    let desk = desk.kill9().start();
    let admin = desk.again(&admin);
    check(&admin);
    // A time names the last commit at or before it.
    let event = admin.get("/api/events/10").ok();
    let at = event["recorded_at"].as_i64().unwrap() / 1000;
    let found = admin.get(&format!("/api/state?as_of={at}")).ok()["position"].as_u64().unwrap();
    assert!((9..=40).contains(&found), "{found}");
    assert_eq!(admin.get("/api/accounts?as_of=1970-01-01T00:00:00Z").ok()["accounts"], json!([]));
    desk.stop();
    println!(
        "{} answers are the same looking back, over {} events",
        seen.len(),
        Follower::read(temp.path()).records.len()
    );
}

#[test]
fn readiness_is_said_without_a_login() {
    let temp = tempfile::tempdir().unwrap();
    let desk = Desk::start(temp.path());
    for path in ["/livez", "/readyz"] {
        wait_until(path, || desk.client().get(path).status == 200);
    }
}
