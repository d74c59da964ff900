//! STOP while the log can be written, and while it cannot: what terminals are told, and what the log says afterwards.

use crate::bad::{behind, fill, namespace};
use crate::client::Client;
use crate::desk::{Desk, Launch, run, tidehelm, wait_for, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use tidehelm_events::account::StateHash;
use tidehelm_events::id::{AccountId, Role};
use tidehelm_events::time::Timestamp;
use tidehelm_events::trade::{
    Affixes, Change, Contract, Entry, Holding, Instruction, Order, OrderId, OrderReason, OrderResult, Outcome, Side,
    Symbol, Ticket, Trade,
};
use tidehelm_terminal::wire::{self, Answer, Codec, Delivery, Envelope, Request};

fn now() -> Timestamp {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    Timestamp(i64::try_from(micros).unwrap())
}

fn symbol() -> Symbol {
    Symbol::new("EURUSD").unwrap()
}

/// A terminal that does what the test says, over HTTP.
pub struct Terminal {
    client: Client,
    account: AccountId,
    role: Role,
    epoch: u64,
    seq: u64,
    signals: u64,
    /// The highest number that came.
    pub through: u64,
    had: BTreeMap<OrderId, Order>,
}

impl Terminal {
    fn comes(client: &Client, role: Role, account: &str) -> Terminal {
        let client = Client { token: None, cookie: None, ..client.clone() };
        let account = AccountId::new(account).unwrap();
        let had = BTreeMap::new();
        let mut terminal = Terminal { client, account, role, epoch: 0, seq: 0, signals: 0, through: 0, had };
        terminal.register();
        terminal.beat();
        terminal
    }

    fn register(&mut self) {
        self.epoch = 0;
        let Answer::Welcome(welcome) = self.ask(wire::Hello {}.into()) else { panic!("no welcome") };
        let text = |text: &str| text.to_string();
        let identity = wire::Identity {
            platform: text("MT5"),
            account_number: 1,
            broker: text("Demo"),
            server: text("Demo-1"),
            name: text("Test"),
            currency: text("USD"),
            leverage: 100,
            ea_version: text("1"),
        };
        let contract = Contract {
            lots_step: "0.01".parse().unwrap(),
            lots_min: "0.01".parse().unwrap(),
            lots_max: "100".parse().unwrap(),
            size: "100000".parse().unwrap(),
            digits: 5,
            tick_size: "0.00001".parse().unwrap(),
            tick_value: "1".parse().unwrap(),
        };
        let register = wire::Register {
            nonce: welcome.nonce,
            identity,
            holding: Holding::Hedging,
            trade_allowed: true,
            affixes: Affixes::default(),
            contracts: BTreeMap::from([(symbol(), contract)]),
        };
        match self.ask(register.into()) {
            Answer::Registered(registered) => self.epoch = registered.epoch,
            other => panic!("{other:?}"),
        }
    }

    fn frame(&mut self, body: Request) -> String {
        self.seq += 1;
        let (account, role, epoch, seq) = (self.account.clone(), self.role, self.epoch, self.seq);
        let envelope = Envelope { account, role, epoch, seq, sent_at: now(), body };
        String::from_utf8(wire::encode(&envelope, Codec::Json)).unwrap()
    }

    fn ask(&mut self, body: Request) -> Answer {
        let frame = self.frame(body);
        let reply = self.client.call("POST", "/api/ea/v1/session").text(frame).send();
        assert_eq!(reply.status, 200, "{}", reply.text);
        wire::decode::<Answer>(reply.text.as_bytes()).unwrap().body
    }

    fn beat(&mut self) {
        let money = |text: &str| text.parse().unwrap();
        let heartbeat = wire::Heartbeat {
            balance: money("10000"),
            equity: money("10000"),
            free_margin: money("9000"),
            open_positions: 0,
            trade_allowed: true,
            state_hash: StateHash::default(),
            through_signal_seq: self.signals,
            identity: None,
        };
        let frame = self.frame(heartbeat.into());
        assert_eq!(self.client.call("POST", "/api/ea/v1/uplink").text(frame).send().status, 204);
    }

    /// The master's trade, and what the desk says of it.
    fn opens(&mut self, ticket: u64, entry: Entry) -> Answer {
        let trade = Trade {
            ticket: Ticket(ticket),
            symbol: symbol(),
            side: Side::Buy,
            entry,
            lots: "0.5".parse().unwrap(),
            price: "1.1".parse().unwrap(),
            sl: None,
            tp: None,
            magic: 0,
            comment: String::new(),
        };
        let signal_seq = self.signals + 1;
        let signal = wire::Signal { signal_seq, change: Change::Open(trade), broker_at: None, seen_at: now() };
        let answer = self.ask(signal.into());
        self.signals += u64::from(matches!(answer, Answer::Accepted(_)));
        answer
    }

    /// Polls until so many orders have come that it did not have.
    #[track_caller]
    pub fn gets(&mut self, count: usize) -> Vec<Order> {
        let mut new = Vec::new();
        wait_until(&format!("{count} orders come to {}", self.account), || {
            new.extend(self.poll(200));
            new.len() >= count
        });
        assert_eq!(new.len(), count, "{new:#?}");
        new
    }

    fn poll(&mut self, wait_ms: u32) -> Vec<Order> {
        let next = wire::Next { wait_ms, order_seq: self.through, config_version: 1 };
        let Answer::Deliveries(deliveries) = self.ask(next.into()) else { panic!("no deliveries") };
        let mut new = Vec::new();
        for delivery in deliveries.list {
            match delivery {
                Delivery::Order(order) => {
                    self.through = self.through.max(order.seq);
                    if self.had.insert(order.id, (*order).clone()).is_none() {
                        new.push(*order);
                    }
                }
                Delivery::RequestSnapshot {} => {
                    let through_signal_seq = self.signals;
                    self.ask(wire::PositionSnapshot { trades: vec![], through_signal_seq }.into());
                }
                Delivery::Config(_) | Delivery::Notice(_) => {}
            }
        }
        new
    }

    fn says(&mut self, order: &Order, outcome: Outcome) -> Answer {
        let there = matches!(outcome, Outcome::Filled | Outcome::Placed);
        let result = OrderResult {
            order: order.id,
            outcome,
            ticket: there.then(|| Ticket(800 + order.ticket.unwrap().0)),
            price: None,
            lots: None,
            sl: None,
            tp: None,
            error: None,
            received_at: Some(now()),
            done_at: Some(now()),
        };
        self.ask(result.into())
    }

    #[track_caller]
    pub fn is_taken(&mut self, order: &Order, outcome: Outcome) {
        let answer = self.says(order, outcome);
        assert!(matches!(answer, Answer::Accepted(_)), "{answer:?}");
    }
}

/// A master and a slave that follows it, and what the slave holds: ticket 1 filled, 2 waiting at the broker, and 3 on its way.
pub struct Scene {
    pub admin: Client,
    master: Terminal,
    pub slave: Terminal,
}

impl Scene {
    pub fn begin(desk: &Desk) -> Scene {
        let admin = desk.welcome("ann");
        let mut scene = Scene {
            master: Terminal::comes(&admin, Role::Master, "Demo_M"),
            slave: Terminal::comes(&admin, Role::Slave, "Demo_S"),
            admin,
        };
        scene.admin.call("PUT", "/api/links/Demo_S/Demo_M").send().ok();
        scene.admin.toggle("master/Demo_M", true).ok();
        scene.admin.toggle("slave/Demo_S", true).ok();
        wait_until("both are connected", || {
            let status = |account: &str| scene.admin.account(account)["runtime_status"].clone();
            status("master/Demo_M") == 2 && status("slave/Demo_S") == 2
        });
        for (ticket, entry, outcome) in [(1, Entry::Market, Outcome::Filled), (2, Entry::Limit, Outcome::Placed)] {
            scene.opens(ticket, entry);
            let order = scene.slave.gets(1).remove(0);
            assert!(order.instruction.is_entry() && order.ticket == Some(Ticket(ticket)), "{order:?}");
            scene.slave.is_taken(&order, outcome);
        }
        scene.opens(3, Entry::Market);
        scene
    }

    #[track_caller]
    pub fn opens(&mut self, ticket: u64, entry: Entry) {
        let answer = self.master.opens(ticket, entry);
        assert!(matches!(answer, Answer::Accepted(_)), "{answer:?}");
    }

    fn stop(&self, degree: &str, key: &str) -> Value {
        let body = json!({"degree": degree, "reason": "prices are wrong"});
        self.admin.call("POST", "/api/stop").key(key).json(&body).send().ok()
    }

    /// The orders of STOP that the log has: id, number and what they end.
    fn in_the_log(&self) -> Vec<(String, u64, String)> {
        let issued = self.admin.events("order_issued").into_iter().map(|event| event["payload"]["order"].clone());
        let of = |order: &Value| order["instruction"]["close"]["of"].as_str().unwrap().to_string();
        let stops = issued.filter(|order| order["reason"] == "stop");
        stops.map(|order| (order["id"].as_str().unwrap().into(), order["seq"].as_u64().unwrap(), of(&order))).collect()
    }

    /// The log has the orders that went out beside it, under the same ids and with numbers, and the terminal is told nothing new.
    fn compare(&mut self, beside: &[Order], numbers: &[u64]) {
        let logged = self.in_the_log();
        let mut ended: BTreeMap<String, String> = BTreeMap::new();
        for order in beside {
            ended.insert(order.id.to_string(), target(order).to_string());
        }
        let found: BTreeMap<String, String> = logged.iter().map(|(id, _, of)| (id.clone(), of.clone())).collect();
        assert_eq!(found, ended);
        assert_eq!(logged.iter().map(|(_, seq, _)| *seq).collect::<Vec<_>>(), numbers);
        assert_eq!(self.slave.poll(0), [], "all of them are known to the terminal");
    }
}

fn target(order: &Order) -> OrderId {
    match &order.instruction {
        Instruction::Close { of, lots: None } => *of,
        other => panic!("STOP gave {other:?}"),
    }
}

fn refused(answer: &Answer) -> &str {
    match answer {
        Answer::Refused(refused) => &refused.code,
        other => panic!("{other:?}"),
    }
}

/// The entry that had not gone out is over, and everything that the slave has is ended by an order without a number.
fn ends_everything(slave: &mut Terminal) -> Vec<Order> {
    let (entries, ends): (Vec<Order>, Vec<Order>) =
        slave.gets(4).into_iter().partition(|order| order.instruction.is_entry());
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!((entry.ticket, entry.deadline), (Some(Ticket(3)), Some(Timestamp::ZERO)), "it ran out long ago");
    assert_eq!(refused(&slave.says(entry, Outcome::Expired)), wire::code::UNAVAILABLE, "it is to be said again");
    assert!(ends.iter().all(|order| order.seq == 0 && order.reason == OrderReason::Stop && order.deadline.is_none()));
    let mut tickets: Vec<u64> = ends.iter().map(|order| order.ticket.unwrap().0).collect();
    tickets.sort_unstable();
    assert_eq!(tickets, [1, 2, 3]);
    assert!(ends.iter().any(|order| target(order) == entry.id), "also what may yet come of the entry");
    ends
}

fn state(client: &Client) -> Value {
    client.get("/api/stop").ok()
}

#[test]
fn stop_with_a_log_says_how_many_orders_it_gave() {
    let temp = tempfile::tempdir().unwrap();
    let desk = Desk::start(temp.path());
    let mut scene = Scene::begin(&desk);
    let viewer = desk.token(&scene.admin, "viewer", "viewer");
    let wish = json!({"degree": "pause", "reason": "news"});
    assert_eq!(viewer.post("/api/stop", &wish).problem(403), "role_too_low");
    assert_eq!(viewer.post("/api/resume", &json!({"reason": "x"})).problem(403), "role_too_low");
    assert_eq!(scene.admin.post("/api/stop", &json!({"degree": "most", "reason": "x"})).status, 422);
    assert_eq!(state(&viewer)["stopped"], false);
    let url = desk.base.clone();
    let token = desk.token(&scene.admin, "bot", "operator").token.unwrap();
    let command =
        |args: &[&str]| run(tidehelm().args(args).args(["--url", &url, "--token", &token, "--output", "json"]));

    let (exit, said) = command(&["stop", "--reason", "news"]);
    assert!(exit == 0 && said.contains("\"recorded\": \"log\"") && said.contains("\"orders\": 0"), "{exit}: {said}");
    let [entry] = scene.slave.gets(1).try_into().unwrap();
    assert_eq!(
        (entry.seq, entry.deadline),
        (3, Some(Timestamp::ZERO)),
        "given before, and not to be carried out any more"
    );
    scene.slave.is_taken(&entry, Outcome::Expired);
    scene.opens(4, Entry::Market);
    assert_eq!(scene.slave.poll(0), [], "nothing is opened");

    let before = scene.admin.position();
    let answer = scene.stop("flatten", "f");
    assert_eq!(
        (&answer["recorded"], &answer["orders"], &answer["acted"]),
        (&json!("log"), &json!(2), &json!("flatten"))
    );
    let again = scene.stop("flatten", "f");
    assert_eq!((&again["recorded"], &again["orders"]), (&json!("log"), &json!(2)), "a repeat");
    let (exit, said) = command(&["stop", "--degree", "cancel", "--reason", "x"]);
    assert!(exit == 4 && said.contains("stopped already"), "{exit}: {said}");
    assert_eq!(scene.admin.get(&format!("/api/stop?as_of={before}")).ok()["degree"], "pause");
    let ends = scene.slave.gets(2);
    assert_eq!(state(&viewer)["orders_open"], 2);
    for order in &ends {
        scene.slave.is_taken(order, if order.ticket == Some(Ticket(2)) { Outcome::Cancelled } else { Outcome::Filled });
    }
    assert_eq!((&state(&viewer)["orders_open"], &state(&viewer)["degree"]), (&json!(0), &json!("flatten")));
    let (exit, said) = run(tidehelm().args(["status", "--url", &url, "--token", &token]));
    assert!(exit == 0 && said.contains("flatten") && said.contains("prices are wrong"), "{said}");

    let (exit, said) = command(&["resume", "--reason", "it is over"]);
    assert!(exit == 0 && said.contains("\"stopped\": false"), "{exit}: {said}");
    assert_eq!(command(&["resume", "--reason", "it is over"]).0, 4);
    scene.opens(5, Entry::Market);
    let [order] = scene.slave.gets(1).try_into().unwrap();
    assert!(order.deadline > Some(now()), "{order:?}");
    desk.stop();
}

#[test]
fn stop_works_on_a_full_disk_and_the_log_takes_it_in() {
    let Some(namespace) = namespace() else { return };
    let temp = tempfile::tempdir().unwrap();
    let disk = Disk::new(temp.path());
    let desk = disk.launch.start_as(behind(namespace, &disk.launch, &disk.mounts));
    let inside = disk.inside(&desk);
    let mut scene = Scene::begin(&desk);
    let admin = scene.admin.clone();
    full(&scene, &inside.join("filler"));

    let answer = scene.stop("flatten", "emergency");
    let expected = json!({
        "recorded": "emergency_log", "degree": "flatten", "acted": "flatten", "orders": 3, "position": answer["position"],
    });
    assert_eq!(answer, expected);
    let ends = ends_everything(&mut scene.slave);
    for order in &ends {
        assert_eq!(refused(&scene.slave.says(order, Outcome::Filled)), wire::code::UNAVAILABLE);
    }
    assert_eq!(scene.stop("flatten", "emergency"), expected, "a repeat is the same one");
    let other = admin.post("/api/stop", &json!({"degree": "pause", "reason": "me, too"}));
    assert_eq!(other.problem(409), "stopped_already");
    let now = state(&admin);
    assert_eq!(
        (&now["degree"], &now["recorded"], &now["reason"]),
        (&json!("flatten"), &json!("emergency_log"), &json!("prices are wrong"))
    );
    assert_eq!(admin.get("/api/status").ok()["stop_degree"], "flatten");
    assert_eq!(admin.post("/api/resume", &json!({"reason": "x"})).problem(503), "stop_unrecorded");
    assert_eq!(refused(&scene.master.opens(4, Entry::Market)), wire::code::UNAVAILABLE);

    std::fs::remove_file(inside.join("filler")).unwrap();
    wait_until("the log has it", || state(&admin)["recorded"] == "log");
    assert_eq!(state(&admin)["orders_open"], 3);
    scene.compare(&ends, &[4, 5, 6]);
    assert_eq!(admin.events("desk_stopped").len(), 1);
    assert_eq!(scene.stop("flatten", "emergency")["recorded"], "log", "and a repeat finds it there");
    assert_eq!(admin.events("desk_stopped").len(), 1);
    for order in &ends {
        let outcome = [Outcome::Filled, Outcome::Cancelled, Outcome::Nothing][order.ticket.unwrap().0 as usize - 1];
        scene.slave.is_taken(order, outcome);
    }
    let entry = scene.slave.had.values().find(|order| order.seq == 3).unwrap().clone();
    scene.slave.is_taken(&entry, Outcome::Expired);
    assert_eq!(state(&admin)["orders_open"], 0);
    scene.opens(4, Entry::Market);
    assert_eq!(scene.slave.poll(0), [], "it is stopped still");
    wait_for("it can be taken back", || {
        (admin.post("/api/resume", &json!({"reason": "over"})).status == 200).then_some(())
    });
    scene.opens(5, Entry::Market);
    assert_eq!(scene.slave.gets(1)[0].seq, 7);
    let said = desk.logged();
    assert!(said.contains("STOP goes beside the log") && said.contains("the log has the STOP"), "{said}");
    desk.stop();
}

#[test]
fn stop_that_can_be_written_nowhere_cancels_only_and_says_so() {
    let Some(namespace) = namespace() else { return };
    let temp = tempfile::tempdir().unwrap();
    let disk = Disk::new(temp.path());
    let desk = disk.launch.start_as(behind(namespace, &disk.launch, &disk.mounts));
    let inside = disk.inside(&desk);
    let mut scene = Scene::begin(&desk);
    let admin = scene.admin.clone();
    let token = desk.token(&admin, "bot", "operator").token.unwrap();
    // Somebody has emptied the file, and the room that it had is gone.
    let file = std::fs::File::options().write(true).open(inside.join("data/emergency.log")).unwrap();
    file.set_len(0).unwrap();
    full(&scene, &inside.join("filler"));

    let stop = ["stop", "--degree", "flatten", "--reason", "fire", "--output", "json"];
    let (exit, said) = run(tidehelm().args(stop).args(["--url", &desk.base, "--token", &token]));
    assert!(exit == 1 && said.contains("on record nowhere"), "{exit}: {said}");
    let words = ["\"recorded\": \"nowhere\"", "\"acted\": \"cancel\"", "\"orders\": 1", "\"degree\": \"flatten\""];
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
    let (entries, ends): (Vec<Order>, Vec<Order>) =
        scene.slave.gets(2).into_iter().partition(|order| order.instruction.is_entry());
    assert_eq!((entries[0].deadline, ends[0].ticket, ends[0].seq), (Some(Timestamp::ZERO), Some(Ticket(2)), 0));
    let now = state(&admin);
    assert_eq!((&now["degree"], &now["recorded"]), (&json!("flatten"), &json!("nowhere")));

    std::fs::remove_file(inside.join("filler")).unwrap();
    wait_until("the log has it", || state(&admin)["recorded"] == "log");
    let mut all = scene.slave.gets(2);
    all.extend(ends);
    scene.compare(&all, &[4, 5, 6]);
    desk.stop();
}

#[test]
fn kill_9_while_it_is_stopped_beside_the_log_leaves_it_stopped() {
    let temp = tempfile::tempdir().unwrap();
    let launch = Launch::new(&temp.path().join("data")).set("store.stall_after", "300ms").may_log_errors();
    let desk = launch.start();
    let mut scene = Scene::begin(&desk);
    let admin = scene.admin.clone();
    // Somebody else holds the database, so that nothing can be written.
    let thief = rusqlite::Connection::open(temp.path().join("data/tidehelm.db")).unwrap();
    thief.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = scene.stop("flatten", "emergency");
    assert_eq!((&answer["recorded"], &answer["orders"]), (&json!("emergency_log"), &json!(3)));
    let ends = ends_everything(&mut scene.slave);
    let launch = desk.kill9();
    drop(thief);

    let desk = launch.start();
    scene.admin = desk.again(&admin);
    scene.slave.client = scene.admin.stranger();
    scene.master.client = scene.admin.stranger();
    let now = state(&scene.admin);
    assert_eq!((&now["stopped"], &now["degree"]), (&json!(true), &json!("flatten")), "from its first answer on");
    wait_until("the log has it", || state(&scene.admin)["recorded"] == "log");
    scene.compare(&ends, &[4, 5, 6]);
    for order in &ends {
        scene.slave.is_taken(order, Outcome::Nothing);
    }
    let body = json!({"degree": "flatten", "reason": "prices are wrong"});
    let repeat = scene.admin.call("POST", "/api/stop").key("emergency").json(&body).send().ok();
    assert_eq!(repeat["recorded"], "log");
    wait_until("the emergency log is clear", || blank(&temp.path().join("data/emergency.log")));
    let desk = desk.restart();
    scene.admin = desk.again(&admin);
    assert_eq!((&state(&scene.admin)["degree"], scene.admin.events("desk_stopped").len()), (&json!("flatten"), 1));
    assert_eq!(scene.admin.post("/api/resume", &json!({"reason": "over"})).ok()["stopped"], false);
    desk.stop();
}

/// The log is only slow, and nobody knows yet whether it will come.
#[test]
fn stop_does_not_wait_for_a_slow_log_and_happens_once() {
    let temp = tempfile::tempdir().unwrap();
    let launch = Launch::new(&temp.path().join("data")).set("store.stall_after", "9s");
    let desk = launch.start();
    let mut scene = Scene::begin(&desk);
    let thief = rusqlite::Connection::open(temp.path().join("data/tidehelm.db")).unwrap();
    thief.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = scene.stop("flatten", "slow");
    assert_eq!((&answer["recorded"], &answer["orders"]), (&json!("emergency_log"), &json!(3)));
    assert_eq!(scene.admin.get("/readyz").status, 200, "it has not given the log up");
    let (mut ends, entries): (Vec<Order>, Vec<Order>) =
        scene.slave.gets(4).into_iter().partition(|order| order.reason == OrderReason::Stop);
    assert_eq!((ends.len(), entries[0].deadline), (3, Some(Timestamp::ZERO)));
    thief.execute_batch("ROLLBACK").unwrap();
    wait_until("the log has it", || state(&scene.admin)["recorded"] == "log");
    ends.sort_by_key(|order| order.id);
    scene.compare(&ends, &[4, 5, 6]);
    for order in &ends {
        scene.slave.is_taken(order, Outcome::Nothing);
    }
    assert_eq!(scene.admin.events("desk_stopped").len(), 1);
    wait_until("the emergency log is clear", || blank(&temp.path().join("data/emergency.log")));
    assert_eq!(scene.admin.post("/api/resume", &json!({"reason": "over"})).ok()["stopped"], false);
    desk.stop();
}

#[test]
fn an_emergency_log_that_cannot_be_made_is_said_at_the_start() {
    let temp = tempfile::tempdir().unwrap();
    let elsewhere = temp.path().join("passwd");
    std::fs::write(&elsewhere, "root:x:0:0").unwrap();
    for (path, words) in [(&elsewhere, "something else"), (&temp.path().to_path_buf(), "cannot open")] {
        let launch = Launch::new(&temp.path().join("data")).set("stop.emergency_log", path.to_str().unwrap());
        let (exit, said) = launch.refused();
        assert!(exit == 1 && said.contains(words) && said.contains("stop.emergency_log"), "{exit}: {said}");
    }
    assert_eq!(std::fs::read(&elsewhere).unwrap(), b"root:x:0:0");
}

/// Nothing is on record there but the title.
fn blank(path: &Path) -> bool {
    std::fs::read(path).unwrap()[4096..].iter().all(|byte| *byte == 0)
}

/// A small disk that only the desk sees.
struct Disk {
    place: PathBuf,
    launch: Launch,
    mounts: String,
}

impl Disk {
    fn new(temp: &Path) -> Disk {
        let place = temp.join("disk");
        std::fs::create_dir(&place).unwrap();
        let launch = Launch::new(&place.join("data")).may_log_errors();
        let mounts = format!("mount -t tmpfs -o size=8m tmpfs '{}'", place.display());
        Disk { place, launch, mounts }
    }
    fn inside(&self, desk: &Desk) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{}", desk.pid(), self.place.display()))
    }
}

/// Fills the disk until the log cannot be written.
fn full(scene: &Scene, filler: &Path) {
    fill(filler);
    wait_until("the log cannot be written", || {
        scene.admin.post("/api/lock", &json!({"locked": true, "reason": "x"})).status == 503
            || scene.admin.post("/api/lock", &json!({"locked": false, "reason": "x"})).status == 503
    });
}
