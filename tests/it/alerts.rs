//! Alerts of a real desk at a real receiver: signed, tried again, given up, replayed, told once; and where they never go.

use crate::client::{Client, Reply};
use crate::desk::{Desk, Launch, run, tidehelm, wait_for, wait_until};
use crate::socket::Socket;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One request as it came.
#[derive(Debug, Clone)]
struct Post {
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Post {
    fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
    fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap().to_string()
    }
    /// As a receiver checks it who knows the secret and the specification.
    #[track_caller]
    fn is_signed_with(&self, secret: &str) {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let signed = format!("{}.{}.{}", self.id(), self.headers["webhook-timestamp"], self.body);
        let mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap().chain_update(signed).finalize().into_bytes();
        assert_eq!(self.headers["webhook-signature"], format!("v1,{}", STANDARD.encode(mac)));
        let at: i64 = self.headers["webhook-timestamp"].parse().unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
        assert!((now - 60..=now + 1).contains(&at), "signed at {at}, it is {now}");
    }
}

/// What a receiver does with a request.
#[derive(Debug, Clone)]
enum Answer {
    Status(u16),
    Redirect(String),
    /// It takes the request and never answers.
    Silence,
}

/// A receiver that answers as it is told, the last answer again and again.
struct Receiver {
    address: String,
    posts: Arc<Mutex<Vec<Post>>>,
    answers: Arc<Mutex<Vec<Answer>>>,
}

impl Receiver {
    fn new(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (posts, answers) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(answers.to_vec())));
        let (into, from) = (posts.clone(), answers.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (into, from) = (into.clone(), from.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &into, &from));
            }
        });
        Receiver { address, posts, answers }
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }
    fn posts(&self) -> Vec<Post> {
        self.posts.lock().unwrap().clone()
    }
    fn answers(&self, answers: &[Answer]) {
        *self.answers.lock().unwrap() = answers.to_vec();
    }
    #[track_caller]
    fn waits_for(&self, count: usize) -> Vec<Post> {
        wait_for("the messages are here", || Some(self.posts()).filter(|posts| posts.len() >= count))
    }
}

fn serve(stream: TcpStream, posts: &Mutex<Vec<Post>>, answers: &Mutex<Vec<Answer>>) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line).is_err() || line.is_empty() {
        return;
    }
    let path = line.split(' ').nth(1).unwrap().to_string();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_string());
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    posts.lock().unwrap().push(Post { path, headers, body: String::from_utf8(body).unwrap() });
    let answer = {
        let mut answers = answers.lock().unwrap();
        if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() }
    };
    let (status, more) = match answer {
        Answer::Status(status) => (status, String::new()),
        Answer::Redirect(to) => (307, format!("location: {to}\r\n")),
        Answer::Silence => {
            std::thread::sleep(Duration::from_secs(30));
            return;
        }
    };
    let text = format!("HTTP/1.1 {status} So\r\ncontent-length: 2\r\nconnection: close\r\n{more}\r\nok");
    let _ = reader.into_inner().write_all(text.as_bytes());
}

fn launch(dir: &Path) -> Launch {
    Launch::new(dir).set("alerts.allow_private", "true").set("alerts.look_every", "50ms")
}

fn desk(dir: &Path) -> (Desk, Client) {
    let desk = launch(dir).start();
    let admin = desk.welcome("ann");
    (desk, admin)
}

fn put(client: &Client, path: &str, version: Option<&Value>, body: &Value) -> Reply {
    let call = client.call("PUT", path);
    let call = match version {
        Some(version) => call.header("if-match", format!("\"{version}\"")),
        None => call,
    };
    call.json(body).send()
}

/// A channel to the receiver, and its secret.
fn channel(admin: &Client, url: &str, attempts: u32) -> String {
    let body = json!({
        "way": {"webhook": {"url": url}}, "attempts_max": attempts, "retry_seconds": 1, "severity_min": "info",
    });
    let made = put(admin, "/api/alerts/channels/ops", None, &body);
    assert_eq!(made.status, 201, "{}", made.text);
    made.ok()["secret"].as_str().unwrap().to_string()
}

fn stop(admin: &Client) {
    admin.post("/api/stop", &json!({"degree": "pause", "reason": "news"})).ok();
}

fn resume(admin: &Client) {
    admin.post("/api/resume", &json!({"reason": "over"})).ok();
}

fn raised(admin: &Client) -> Vec<Value> {
    admin.get("/api/alerts?rule=desk-stopped").ok()["alerts"].as_array().unwrap().clone()
}

fn deliveries(admin: &Client, state: &str) -> Vec<Value> {
    let all = admin.get("/api/alerts/deliveries").ok()["deliveries"].as_array().unwrap().clone();
    all.into_iter().filter(|delivery| delivery["state"] == state).collect()
}

#[test]
fn an_edge_is_told_signed_until_it_is_taken_and_not_again_after_a_restart() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = desk(temp.path());
    let receiver = Receiver::new(&[Answer::Status(503), Answer::Status(200)]);
    let secret = channel(&admin, &receiver.url(), 8);
    let mut live = Socket::open(&admin, "?subscribe=alerts");
    stop(&admin);
    let posts = receiver.waits_for(2);
    posts.iter().for_each(|post| post.is_signed_with(&secret));
    assert_eq!((posts[0].id(), &posts[0].body), (posts[1].id(), &posts[1].body), "the same message");
    assert_eq!((posts[0].path.as_str(), posts[0].kind().as_str()), ("/hook", "alert.raised"));
    let data = posts[0].json()["data"].clone();
    assert_eq!(
        (&data["rule"], &data["severity"], &data["subject"]),
        (&json!("desk-stopped"), &json!("critical"), &json!("desk/stop"))
    );
    assert!(data["detail"].as_str().unwrap().contains("news"));
    wait_until("it is known to be taken", || deliveries(&admin, "done").len() == 1);
    assert_eq!(deliveries(&admin, "done")[0]["webhook_id"], posts[0].id());
    let alert = raised(&admin)[0].clone();
    assert_eq!((&alert["state"], &alert["channels"]), (&json!("raised"), &json!(["ops"])));
    let mut told = Vec::new();
    while !told.contains(&"alert_delivered".to_string()) {
        told.push(live.next()["type"].as_str().unwrap().to_string());
    }
    assert!(
        told.contains(&"alert_raised".to_string()) && told.contains(&"alert_delivery_failed".to_string()),
        "{told:?}"
    );
    drop(live);

    let desk = desk.restart();
    let admin = desk.again(&admin);
    let seen = admin.post(&format!("/api/alerts/{}/ack", alert["id"]), &json!({"note": "mine"})).ok();
    assert_eq!((&seen["acknowledged_by"], &seen["note"]), (&json!("user:ann"), &json!("mine")));
    let again = admin.post(&format!("/api/alerts/{}/ack", alert["id"]), &json!({}));
    assert_eq!(again.problem(409), "acknowledged_already");
    resume(&admin);
    let posts = receiver.waits_for(3);
    assert_eq!((posts.len(), posts[2].kind().as_str()), (3, "alert.cleared"), "the restart told nothing");
    posts[2].is_signed_with(&secret);
    assert_ne!(posts[2].id(), posts[0].id());
    assert!(raised(&admin).is_empty());
    let kinds = "alert_raised,alert_cleared,alert_delivered,alert_delivery_failed,alert_delivery_given_up";
    wait_until("the last one is recorded", || admin.events("alert_delivered").len() == 2);
    let counts: BTreeMap<String, usize> = admin.events(kinds).iter().fold(BTreeMap::new(), |mut counts, event| {
        *counts.entry(event["kind"].as_str().unwrap().to_string()).or_default() += 1;
        counts
    });
    let expected = [("alert_cleared", 1), ("alert_delivered", 2), ("alert_delivery_failed", 1), ("alert_raised", 1)];
    assert_eq!(counts, expected.map(|(kind, count)| (kind.to_string(), count)).into());
    let metrics = admin.get("/metrics").text;
    for line in [
        "tidehelm_alerts_raised{severity=\"critical\"} 0",
        "tidehelm_alerts_raised_total 1",
        "tidehelm_alert_deliveries_total{outcome=\"failed\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    let log = std::fs::read(temp.path().join("tidehelm.db")).unwrap();
    let secret = secret.trim_start_matches("whsec_");
    assert!(!log.windows(secret.len()).any(|some| some == secret.as_bytes()), "the secret lies in the store");
    desk.stop();
}

#[test]
fn what_nobody_takes_is_given_up_and_taken_when_it_is_replayed() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = desk(temp.path());
    let receiver = Receiver::new(&[Answer::Status(500)]);
    let secret = channel(&admin, &receiver.url(), 2);
    stop(&admin);
    wait_until("it is given up", || deliveries(&admin, "dead").len() == 1);
    let dead = admin.get("/api/alerts/deliveries/dead").ok()["deliveries"][0].clone();
    assert_eq!((&dead["attempts"], &dead["edge"]), (&json!(2), &json!("raised")));
    assert!(dead["last_error"].as_str().unwrap().contains("answered 500"));
    assert_eq!(receiver.posts().len(), 2);
    receiver.answers(&[Answer::Status(204)]);
    let id = dead["id"].as_str().unwrap();
    let token = admin.post("/api/tokens", &json!({"name": "cli", "role": "operator"})).ok();
    let token = token["token"].as_str().unwrap();
    let alert = |args: &[&str]| {
        run(tidehelm().arg("alert").args(args).args(["--url", &desk.base, "--token", token, "--output", "json"]))
    };
    let (code, said) = alert(&["dead"]);
    assert!(code == 0 && said.contains(id), "{said}");
    let (code, said) = alert(&["replay", id]);
    assert_eq!(code, 0, "{said}");
    wait_until("it is taken", || deliveries(&admin, "done").len() == 1);
    let posts = receiver.posts();
    assert_eq!((posts.len(), posts[2].id()), (3, posts[0].id()), "under the same id");
    posts[2].is_signed_with(&secret);
    let (code, said) = alert(&["replay", id]);
    assert!(code != 0 && said.contains("was not given up"), "{code} {said}");
    let (code, said) = alert(&["list"]);
    assert!(code == 0 && said.contains("desk-stopped"), "{said}");
    desk.stop();
}

/// What was in the log and perhaps sent, but not known to be taken, is sent again under the same id.
#[test]
fn a_message_survives_kill_9_between_the_log_and_the_receiver() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = desk(temp.path());
    let receiver = Receiver::new(&[Answer::Silence, Answer::Status(200)]);
    channel(&admin, &receiver.url(), 8);
    stop(&admin);
    receiver.waits_for(1);
    assert_eq!(deliveries(&admin, "waiting").len(), 1);
    let desk = desk.kill9().start();
    let admin = desk.again(&admin);
    let posts = receiver.waits_for(2);
    assert_eq!(posts[0].id(), posts[1].id());
    assert_eq!(posts[0].body, posts[1].body);
    wait_until("it is known to be taken", || deliveries(&admin, "done").len() == 1);
    let desk = desk.kill9().start();
    let admin = desk.again(&admin);
    resume(&admin);
    let posts = receiver.waits_for(3);
    assert_eq!(posts[2].kind(), "alert.cleared", "what was taken is not sent again");
    desk.stop();
}

#[test]
fn nothing_goes_to_this_machine_or_a_private_network_however_it_is_written() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    let receiver = Receiver::new(&[Answer::Status(200)]);
    let port = receiver.address.rsplit_once(':').unwrap().1;
    let hosts = [
        "127.0.0.1",
        "localhost",
        "localhost.",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "10.0.0.1",
        "169.254.169.254",
        "192.168.0.1",
        "[fd00::1]",
        "[fe80::1]",
    ];
    let mut version = None;
    for host in hosts {
        let secret = format!("whsec_{}", STANDARD.encode([7; 32]));
        let body = json!({"way": {"webhook": {"url": format!("http://{host}:{port}/hook")}}, "secret": secret});
        let set = put(&admin, "/api/alerts/channels/ops", version.as_ref(), &body);
        version = Some(set.ok()["version"].clone());
        let tested = admin.post("/api/alerts/channels/ops/test", &json!({})).ok();
        assert_eq!(tested["taken"], false, "{host}: {tested}");
        let why = tested["why"].as_str().unwrap();
        // Some spellings no resolver understands: then there is nowhere to go at all.
        assert!(
            why.contains("private network") || why.contains("not found") || why.contains("lookup"),
            "{host}: {why}"
        );
    }
    assert!(receiver.posts().is_empty(), "{:?}", receiver.posts());
    desk.stop();
}

#[test]
fn a_redirect_is_not_followed() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = desk(temp.path());
    let inner = Receiver::new(&[Answer::Status(200)]);
    let outer = Receiver::new(&[Answer::Redirect(inner.url())]);
    channel(&admin, &outer.url(), 1);
    let tested = admin.post("/api/alerts/channels/ops/test", &json!({})).ok();
    assert_eq!(tested["taken"], false);
    assert!(tested["why"].as_str().unwrap().contains("redirects are not followed"), "{tested}");
    assert_eq!((outer.posts().len(), inner.posts().len()), (1, 0));
    outer.answers(&[Answer::Status(200)]);
    assert_eq!(admin.post("/api/alerts/channels/ops/test", &json!({})).ok()["taken"], true);
    desk.stop();
}

#[test]
fn rules_and_mutes_are_made_changed_and_removed() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = desk(temp.path());
    let all = admin.get("/api/alerts/rules").ok();
    let known = all["rules"].as_array().unwrap().len();
    assert_eq!(all["conditions"].as_array().unwrap().len(), known, "each condition has a built-in rule");
    let path = "/api/alerts/rules/desk-stopped";
    let rule = admin.get(path).ok();
    assert_eq!(rule["version"], 0);
    let body = json!({"title": "Halt", "when": "desk_stopped", "severity": "info"});
    assert_eq!(put(&admin, path, None, &body).problem(428), "version_required");
    assert_eq!(put(&admin, path, Some(&json!(77)), &body).problem(412), "revision_stale");
    let changed = put(&admin, path, Some(&json!(0)), &body);
    assert_eq!((changed.status, &changed.ok()["title"]), (200, &json!("Halt")));
    let bad = json!({"title": "x", "when": "disk_low", "threshold": 100});
    let refused = put(&admin, "/api/alerts/rules/mine", None, &bad);
    assert_eq!((refused.problem(422), &refused.json()["field"]), ("setting_invalid".into(), &json!("threshold")));
    for bad in [json!({"title": "x", "when": "sometimes"}), json!({"title": "x", "when": "limit_hit", "more": 1})] {
        assert_eq!(put(&admin, "/api/alerts/rules/mine", None, &bad).status, 422);
    }
    assert_eq!(put(&admin, "/api/alerts/rules/Mine", None, &body).status, 422);
    let viewer = desk.token(&admin, "eye", "viewer");
    for (method, path, body) in [
        ("PUT", "/api/alerts/rules/mine", body.clone()),
        ("POST", "/api/alerts/mutes", json!({"rule": "desk-stopped", "seconds": 60, "reason": "x"})),
        ("PUT", "/api/alerts/channels/mine", json!({"way": {"webhook": {"url": "https://a.example"}}})),
        ("POST", "/api/alerts/1/ack", json!({})),
        ("POST", "/api/alerts/deliveries/replay", json!({})),
        ("GET", "/api/alerts/channels", json!({})),
    ] {
        assert_eq!(viewer.call(method, path).json(&body).send().problem(403), "role_too_low", "{path}");
    }
    viewer.get("/api/alerts").ok();
    viewer.get("/api/alerts/1").problem(404);

    let muted = admin.post("/api/alerts/mutes", &json!({"rule": "desk-stopped", "seconds": 3600, "reason": "known"}));
    assert_eq!(muted.status, 201);
    let receiver = Receiver::new(&[Answer::Status(200)]);
    channel(&admin, &receiver.url(), 8);
    stop(&admin);
    let alert = wait_for("it is raised", || raised(&admin).pop());
    assert_eq!((&alert["muted"], &alert["severity"], &alert["channels"]), (&json!(true), &json!("info"), &json!([])));
    assert_eq!(receiver.posts().len(), 0);
    let mute = format!("/api/alerts/mutes/{}", muted.ok()["id"]);
    assert_eq!(admin.call("DELETE", &mute).send().status, 204);
    assert_eq!(receiver.waits_for(1)[0].kind(), "alert.raised", "it still holds, and is told now");
    admin.call("DELETE", &mute).send().problem(404);
    let version = admin.get(path).ok()["version"].clone();
    let removed = admin.call("DELETE", path).header("if-match", format!("\"{version}\"")).send();
    assert_eq!(removed.status, 204);
    admin.get(path).problem(404);
    assert_eq!(receiver.waits_for(2)[1].kind(), "alert.cleared", "what it raised is over with it");
    assert!(raised(&admin).is_empty());
    desk.stop();
}

/// A terminal that falls silent is told of once its time is over; the next start tells nothing.
#[test]
fn a_terminal_that_is_lost_is_told_of_once_and_a_restart_is_no_storm() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = desk(temp.path());
    let receiver = Receiver::new(&[Answer::Status(200)]);
    channel(&admin, &receiver.url(), 8);
    let path = "/api/alerts/rules/account-offline";
    let mut rule = admin.get(path).ok();
    let version = rule["version"].clone();
    let fields = rule.as_object_mut().unwrap();
    ["id", "version"].iter().for_each(|field| drop(fields.remove(*field)));
    rule["hold_seconds"] = json!(0);
    put(&admin, path, Some(&version), &rule).ok();
    let settings = admin.get("/api/settings").ok();
    let (mut wanted, revision) = (settings["settings"].clone(), settings["revision"].clone());
    wanted["timeout_seconds"] = json!(5);
    put(&admin, "/api/settings", Some(&revision), &wanted).ok();
    for account in ["master/M_1", "master/M_2"] {
        admin.register(account).ok();
        admin.toggle(account, true).ok();
        admin.heartbeat(account);
    }
    let told = |posts: Vec<Post>| {
        let mut told: Vec<String> = posts
            .iter()
            .map(|post| format!("{} {}", post.kind(), post.json()["data"]["subject"].as_str().unwrap()))
            .collect();
        told.sort();
        told
    };
    let both = ["alert.raised master/M_1", "alert.raised master/M_2"];
    assert_eq!(told(receiver.waits_for(2)), both);
    // What is not known to be taken would be told again.
    wait_until("both are known to be taken", || deliveries(&admin, "done").len() == 2);
    let desk = desk.restart();
    let admin = desk.again(&admin);
    admin.heartbeat("master/M_1");
    let posts = receiver.waits_for(3);
    assert_eq!(told(posts), ["alert.cleared master/M_1", both[0], both[1]]);
    desk.stop();
}

/// The stop is told to a channel that is not a webhook; what it was told.
fn with_channel(admin: &Client, body: &Value) {
    assert_eq!(put(admin, "/api/alerts/channels/people", None, body).status, 201);
    let tested = admin.post("/api/alerts/channels/people/test", &json!({})).ok();
    assert_eq!(tested["taken"], true, "{tested}");
    stop(admin);
    wait_until("it is known to be taken", || deliveries(admin, "done").len() == 1);
}

#[test]
fn a_bot_tells_a_chat_and_nobody_reads_its_token() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = desk(temp.path());
    let receiver = Receiver::new(&[Answer::Status(200), Answer::Status(200), Answer::Status(401)]);
    let token = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
    let way = json!({"telegram": {"base_url": format!("http://{}", receiver.address), "chat": "-1001"}});
    with_channel(&admin, &json!({"way": way, "secret": token, "attempts_max": 1}));
    let posts = receiver.posts();
    assert_eq!((posts.len(), posts[1].path.as_str()), (2, format!("/bot{token}/sendMessage").as_str()));
    let told = posts[1].json();
    assert_eq!(told["chat_id"], "-1001");
    assert!(told["text"].as_str().unwrap().contains("STOP is pressed"), "{told}");
    resume(&admin);
    wait_until("it is given up", || deliveries(&admin, "dead").len() == 1);
    let everything = admin.get("/api/events?limit=10000").text + &admin.get("/api/alerts/channels").text;
    assert!(!everything.contains(token) && !desk.logged().contains(token));
    desk.stop();
}

type Texts = Arc<Mutex<Vec<String>>>;

/// A mail server that takes everything but for whom it does not know: who logged in, and the mails.
fn mail_server(unknown: &'static str) -> (u16, Texts, Texts) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (logins, mails) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let (logged, taken) = (logins.clone(), mails.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut out, mut lines) = {
                let stream = stream.unwrap();
                (stream.try_clone().unwrap(), BufReader::new(stream))
            };
            let mut say = |text: &str| out.write_all(format!("{text}\r\n").as_bytes()).is_ok();
            say("220 mail.test ESMTP");
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
                let said = line.trim_end().to_string();
                line.clear();
                match said.split(' ').next().unwrap().to_uppercase().as_str() {
                    "EHLO" => drop(say("250-mail.test\r\n250 AUTH PLAIN")),
                    "AUTH" => {
                        let text = STANDARD.decode(said.rsplit(' ').next().unwrap()).unwrap();
                        logged.lock().unwrap().push(String::from_utf8(text).unwrap());
                        say("235 welcome");
                    }
                    "DATA" => {
                        say("354 go on");
                        let mut mail = String::new();
                        while lines.read_line(&mut mail).is_ok_and(|read| read > 0) && !mail.ends_with("\r\n.\r\n") {}
                        taken.lock().unwrap().push(mail);
                        say("250 taken");
                    }
                    "RCPT" if !unknown.is_empty() && said.contains(unknown) => drop(say("550 nobody of that name")),
                    "QUIT" => break,
                    _ => drop(say("250 fine")),
                }
            }
        }
    });
    (port, logins, mails)
}

#[test]
fn a_mail_is_handed_to_a_mail_server() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = desk(temp.path());
    let (port, logins, mails) = mail_server("");
    let way = json!({"email": {
        "host": "localhost", "port": port, "tls": "off", "user": "desk", "from": "desk@example.com",
        "to": ["anna@example.com", "ben@example.com"],
    }});
    with_channel(&admin, &json!({"way": way, "secret": "open sesame"}));
    assert_eq!(logins.lock().unwrap()[0], "\0desk\0open sesame");
    let mails = mails.lock().unwrap();
    assert_eq!(mails.len(), 2);
    let told = &mails[1];
    for part in ["From: desk@example.com", "anna@example.com, ben@example.com", "STOP is pressed", "Message-ID: <msg_"]
    {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
    let everything = admin.get("/api/events?limit=10000").text + &admin.get("/api/alerts/channels").text;
    assert!(!everything.contains("open sesame"));
    drop(mails);
    desk.stop();
}

fn mail_way(port: u16, to: &[&str]) -> Value {
    json!({"email": {"host": "localhost", "port": port, "tls": "off", "user": null, "from": "desk@example.com", "to": to}})
}

#[test]
fn one_recipient_who_is_refused_does_not_silence_the_others() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = desk(temp.path());
    let (port, _, mails) = mail_server("ben@");
    with_channel(&admin, &json!({"way": mail_way(port, &["anna@example.com", "ben@example.com"])}));
    assert_eq!(mails.lock().unwrap().len(), 2, "the test and the stop, to the one who is known");
    desk.stop();
}

/// A mail server says 5xx of much that comes right: it is tried as often as the channel says.
#[test]
fn a_mail_that_is_refused_is_tried_again_and_an_address_that_is_none_is_not_taken() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = desk(temp.path());
    let (port, _, mails) = mail_server("example.com");
    for (to, field) in [("a<b@example.com", "way.email.to"), ("a@b@example.com", "way.email.to")] {
        let refused = put(&admin, "/api/alerts/channels/mail", None, &json!({"way": mail_way(port, &[to])}));
        assert_eq!((refused.status, &refused.json()["field"]), (422, &json!(field)), "{to}");
    }
    let way = mail_way(port, &["anna@example.com"]);
    let body = json!({"way": way, "attempts_max": 2, "retry_seconds": 1});
    assert_eq!(put(&admin, "/api/alerts/channels/mail", None, &body).status, 201);
    stop(&admin);
    wait_until("it is given up", || deliveries(&admin, "dead").len() == 1);
    assert_eq!(deliveries(&admin, "dead")[0]["attempts"], 2);
    assert!(mails.lock().unwrap().is_empty());
    desk.stop();
}

/// A server that says a little again and again has no end of its own.
#[test]
fn a_mail_server_that_goes_on_for_ever_is_left_in_time_and_holds_up_no_stop() {
    let temp = tempfile::tempdir().unwrap();
    let desk = launch(temp.path()).set("alerts.send_timeout", "1s").start();
    let admin = desk.welcome("ann");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                while stream.write_all(b"220-wait\r\n").is_ok() {
                    std::thread::sleep(Duration::from_millis(200));
                }
            });
        }
    });
    let body = json!({"way": mail_way(port, &["anna@example.com"]), "attempts_max": 1});
    assert_eq!(put(&admin, "/api/alerts/channels/mail", None, &body).status, 201);
    let tested = admin.post("/api/alerts/channels/mail/test", &json!({})).ok();
    assert!(tested["why"].as_str().unwrap().contains("took longer than 1000 ms"), "{tested}");
    stop(&admin);
    wait_until("it is given up", || deliveries(&admin, "dead").len() == 1);
    desk.stop();
}

#[test]
fn a_kept_secret_does_not_follow_a_channel_to_another_host() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = desk(temp.path());
    let bot = |url: &str, secret: Value| json!({"way": {"telegram": {"base_url": url, "chat": "-1"}}, "secret": secret, "severity_min": "info"});
    let path = "/api/alerts/channels/chat";
    let version = put(&admin, path, None, &bot("https://one.example", json!("1:a"))).json()["version"].clone();
    let refused = put(&admin, path, Some(&version), &bot("https://two.example", Value::Null));
    assert_eq!(refused.problem(422), "secret_needed");
    let version =
        put(&admin, path, Some(&version), &bot("https://ONE.example/api", Value::Null)).ok()["version"].clone();
    put(&admin, path, Some(&version), &bot("https://two.example", json!("1:b"))).ok();
    desk.stop();
}

/// Of those who make the same rule at once one makes it, and the others are told so.
#[test]
fn a_rule_is_made_once() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = desk(temp.path());
    for round in 0..5 {
        let path = format!("/api/alerts/rules/mine-{round}");
        let made: Vec<u16> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..6)
                .map(|number| {
                    let (admin, path) = (&admin, &path);
                    let body = json!({"title": format!("{number}"), "when": "limit_hit"});
                    scope.spawn(move || put(admin, path, None, &body).status)
                })
                .collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        assert_eq!(made.iter().filter(|status| **status == 201).count(), 1, "{made:?}");
        assert!(made.iter().all(|status| [201, 409, 412, 428].contains(status)), "{made:?}");
    }
    desk.stop();
}

#[test]
fn the_answer_to_a_mute_is_that_mute_also_when_it_is_asked_again() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = desk(temp.path());
    let mute = |key: &str, rule: &str| {
        let body = json!({"rule": rule, "seconds": 60, "reason": "known"});
        let made = admin.call("POST", "/api/alerts/mutes").key(key).json(&body).send();
        assert_eq!(made.status, 201, "{}", made.text);
        made.json()
    };
    let one = mute("one", "disk-low");
    mute("other", "limit-hit");
    assert_eq!(mute("one", "disk-low"), one);
    assert_eq!((&one["rule"], &one["id"]), (&json!("disk-low"), &json!(1)));
    desk.stop();
}

/// The secret of a channel goes where the log goes, and its loss is noticed.
#[test]
fn the_secret_of_a_channel_moves_with_the_log_and_is_missed_where_it_is_gone() {
    let temp = tempfile::tempdir().unwrap();
    let (from, to) = (temp.path().join("from"), temp.path().join("to"));
    let (desk, admin) = desk(&from);
    channel(&admin, "http://127.0.0.1:9/hook", 1);
    desk.stop();
    let secrets = |dir: &Path| -> u32 {
        let vault = rusqlite::Connection::open(dir.join("tidehelm.db")).unwrap();
        vault.query_row("SELECT count(*) FROM vault WHERE kind = 'channel_secret'", [], |row| row.get(0)).unwrap()
    };
    let (code, said) = run(tidehelm().args(["migrate", "--data"]).arg(&from).arg("--to").arg(&to));
    assert_eq!(code, 0, "{said}");
    assert_eq!((secrets(&from), secrets(&to)), (1, 1));
    let verify = |dir: &Path| run(tidehelm().args(["verify", "--data"]).arg(dir));
    assert_eq!(verify(&to).0, 0);
    let vault = rusqlite::Connection::open(to.join("tidehelm.db")).unwrap();
    assert_eq!(vault.execute("DELETE FROM vault WHERE kind = 'channel_secret'", []).unwrap(), 1);
    drop(vault);
    let (code, said) = verify(&to);
    assert!(code == 6 && said.contains("the channel ops of alerts"), "{code} {said}");
}

/// What is repeated was done already: it does nothing to the channel that was made meanwhile.
#[test]
fn a_removal_that_is_repeated_leaves_the_channel_that_was_made_again_alone() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = desk(temp.path());
    let receiver = Receiver::new(&[Answer::Status(200)]);
    channel(&admin, &receiver.url(), 1);
    let path = "/api/alerts/channels/ops";
    let version = admin.get(path).ok()["version"].clone();
    let remove = || admin.call("DELETE", path).key("once").header("if-match", format!("\"{version}\"")).send();
    assert_eq!(remove().status, 204);
    let secret = channel(&admin, &receiver.url(), 1);
    assert_eq!(remove().status, 204, "as it was answered the first time");
    let tested = admin.post("/api/alerts/channels/ops/test", &json!({})).ok();
    assert_eq!(tested["taken"], true, "{tested}");
    receiver.posts()[0].is_signed_with(&secret);
    desk.stop();
}
