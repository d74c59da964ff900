//! The sample terminal in Python, as somebody who copies from it runs it: paired, signed, over NNG; killed, and its desk killed.

use crate::client::Client;
use crate::desk::{Addresses, Desk, Launch, follow, run, tidehelm, wait_for, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Once};
use tidehelm_events::trade::OrderId;

/// Python with pynng. It is made before anything waits for it: the first time takes as long as PyPI does.
fn python() -> Command {
    static MADE: Once = Once::new();
    let python = || Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/python.sh"));
    MADE.call_once(|| assert!(python().args(["-c", ""]).status().unwrap().success(), "there is no Python with pynng"));
    let mut command = python();
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/ea/python")).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

#[test]
fn its_own_tests_pass() {
    let mut tests = python();
    tests.args(["-m", "unittest", "--quiet"]);
    let (exit, said) = run(&mut tests);
    assert!(exit == 0 && said.contains("Ran ") && !said.contains("Ran 0 tests"), "{said}");
}

/// One terminal with its directory, through all its lives.
struct Terminal {
    role: &'static str,
    account: &'static str,
    dir: PathBuf,
    addresses: Addresses,
    child: Child,
    out: Arc<Mutex<String>>,
    errors: Arc<Mutex<String>>,
}

impl Terminal {
    fn pair(place: &Path, addresses: &Addresses, admin: &Client, role: &'static str, account: &'static str) -> Self {
        let made = admin.post("/api/ea/pairings", &json!({"account": account, "role": role})).ok();
        Terminal::new(&place.join(account), addresses, (role, account), made["code"].as_str())
    }

    fn new(
        dir: &Path,
        addresses: &Addresses,
        (role, account): (&'static str, &'static str),
        code: Option<&str>,
    ) -> Self {
        let (child, out, errors) = spawn(role, account, dir, addresses, code);
        Terminal { role, account, dir: dir.into(), addresses: addresses.clone(), child, out, errors }
    }

    fn kill9(&mut self) {
        assert_eq!(self.child.try_wait().unwrap(), None, "it ended before it was killed: {}", self.said());
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn start(&mut self) {
        let (child, out, errors) = spawn(self.role, self.account, &self.dir, &self.addresses, None);
        (self.child, self.out, self.errors) = (child, out, errors);
    }

    fn said(&self) -> String {
        format!("{} {}:\n{}{}", self.role, self.account, self.out.lock().unwrap(), self.errors.lock().unwrap())
    }

    #[track_caller]
    fn says(&self, what: &str, times: usize) {
        wait_until(what, || self.out.lock().unwrap().matches(what).count() >= times);
    }

    /// Tells a master what to trade, and waits until its broker has done it.
    fn trade(&mut self, line: &str) {
        let before = self.deals().len();
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
        wait_until("the master's broker has done it", || self.deals().len() > before);
    }

    /// What lies at the broker, which writes it whole or not at all.
    fn book(&self) -> Value {
        let text = std::fs::read_to_string(self.dir.join("broker.json"));
        text.map_or_else(|_| json!({"trades": {}, "deals": []}), |text| serde_json::from_str(&text).unwrap())
    }

    fn deals(&self) -> Vec<Value> {
        self.book()["deals"].as_array().unwrap().clone()
    }

    /// Open positions without what is each broker's own.
    fn positions(&self) -> Vec<String> {
        let book = self.book();
        let field = |trade: &Value, name: &str| trade[name].as_str().unwrap_or("-").to_string();
        let line = |trade: &Value| ["symbol", "side", "lots", "sl", "tp"].map(|name| field(trade, name)).join(" ");
        let mut lines: Vec<String> = book["trades"].as_object().unwrap().values().map(line).collect();
        lines.sort();
        lines
    }

    #[track_caller]
    fn holds(&self, expected: &[&str]) {
        wait_until(&format!("{} holds {expected:?}", self.account), || self.positions() == expected);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.said());
        }
    }
}

type Running = (Child, Arc<Mutex<String>>, Arc<Mutex<String>>);

fn spawn(role: &str, account: &str, dir: &Path, at: &Addresses, code: Option<&str>) -> Running {
    let mut command = python();
    command.args(["tidehelm.py", role, "--account", account, "--session", &at.session, "--uplink", &at.uplink]);
    command.arg("--data").arg(dir);
    if let Some(code) = code {
        command.args(["--pair", code]);
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (out, errors) = (follow(child.stdout.take().unwrap()), follow(child.stderr.take().unwrap()));
    (child, out, errors)
}

fn orders_open(admin: &Client) -> u64 {
    admin.get("/api/trade-groups/M_1/members/S_1").ok()["orders_open"].as_u64().unwrap()
}

fn connected(admin: &Client) {
    wait_until("the link is connected", || admin.get("/api/trade-groups/M_1/members/S_1").ok()["runtime_status"] == 2);
}

#[test]
fn kill_python_terminals_drive_the_whole_desk() {
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("data");
    let (launch, addresses) = Launch::settled(&data);
    let mut desk = launch.start();
    let mut admin = desk.welcome("ann");
    // Nothing is too late in this test: what was traded while something was down is copied, however slow the machine.
    let settings = json!({"signal_age_max_ms": 0, "order_deadline_ms": 0});
    admin.post("/api/trade-groups", &json!({"master_account": "M_1", "enabled": true, "settings": settings})).ok();
    admin.post("/api/trade-groups/M_1/members", &json!({"slave_account": "S_1", "enabled": true})).ok();
    let mut master = Terminal::pair(temp.path(), &addresses, &admin, "master", "M_1");
    let mut slave = Terminal::pair(temp.path(), &addresses, &admin, "slave", "S_1");
    connected(&admin);

    master.trade("open EURUSD buy 0.10 sl=1.05");
    slave.holds(&["EURUSD buy 0.1 1.05 -"]);
    master.trade("modify 1 sl= tp=1.3");
    slave.holds(&["EURUSD buy 0.1 - 1.3"]);

    // The desk dies right after an order was carried out, whether its result was told or not, and the master trades on.
    desk = killed(desk, || {
        master.trade("open GBPUSD sell 0.3");
        master.trade("close 1 0.04");
    });
    admin = desk.again(&admin);
    slave.holds(&["EURUSD buy 0.06 - 1.3", "GBPUSD sell 0.3 - -"]);

    // So do slave and desk; and the slave's orders wait for it.
    slave.kill9();
    desk = killed(desk, || {});
    admin = desk.again(&admin);
    master.trade("close 2 0.1");
    master.trade("modify 2 sl=1.4");
    master.trade("open EURUSD sell 0.5");
    wait_until("the orders wait", || orders_open(&admin) >= 3);
    slave.start();
    slave.holds(&["EURUSD buy 0.06 - 1.3", "EURUSD sell 0.5 - -", "GBPUSD sell 0.2 1.4 -"]);

    // What a master did that died before it could tell, the desk learns from the whole.
    desk = killed(desk, || {
        master.trade("close 3 0.2");
        master.trade("close 1");
        master.kill9();
        master.start();
    });
    admin = desk.again(&admin);
    slave.holds(&["EURUSD sell 0.3 - -", "GBPUSD sell 0.2 1.4 -"]);
    connected(&admin);
    master.trade("close 2");
    slave.holds(&["EURUSD sell 0.3 - -"]);
    assert_eq!(slave.positions(), master.positions());

    wait_until("every result is told", || orders_open(&admin) == 0);
    executed_once(&admin, &slave);
    let keys: Vec<Value> = admin.get("/api/ea/keys").ok()["keys"].as_array().unwrap().clone();
    assert_eq!(keys.len(), 2, "both have a key, so nothing unsigned was taken of them");
    desk.stop();
    let (exit, said) = run(tidehelm().args(["verify", "--data"]).arg(&data));
    assert_eq!(exit, 0, "{said}");
}

fn killed(desk: Desk, meanwhile: impl FnOnce()) -> Desk {
    let launch = desk.kill9();
    meanwhile();
    launch.start()
}

/// Every order of the log is at the broker once, and nothing else is; each has one answer.
fn executed_once(admin: &Client, slave: &Terminal) {
    let mut marks: BTreeMap<String, usize> = BTreeMap::new();
    for deal in slave.deals() {
        *marks.entry(deal["mark"].as_str().unwrap().into()).or_default() += 1;
    }
    let issued = wait_for("the orders are listed", || Some(admin.events("order_issued")));
    let short = |event: &Value| {
        let id: OrderId = serde_json::from_value(event["payload"]["order"]["id"].clone()).unwrap();
        id.short()
    };
    let expected: BTreeMap<String, usize> = issued.iter().map(|event| (short(event), 1)).collect();
    assert!(expected.len() == issued.len() && issued.len() >= 10, "{} orders", issued.len());
    assert_eq!(marks, expected);
    let answered = admin.events("order_answered");
    assert_eq!(answered.len(), issued.len());
    for event in answered {
        assert_eq!(event["payload"]["result"]["outcome"], "filled", "{event}");
    }
}

#[test]
fn kill_a_desk_that_forgot_is_greeted_anew_and_a_second_terminal_ends_the_first() {
    let temp = tempfile::tempdir().unwrap();
    let data = temp.path().join("data");
    let (launch, addresses) = Launch::settled(&data);
    let desk = launch.start();
    let slave = ("slave", "S_1");
    let mut first = Terminal::new(&temp.path().join("first"), &addresses, slave, None);
    first.says("registered, epoch 1", 1);
    let launch = desk.kill9();
    std::fs::remove_dir_all(&data).unwrap();
    let desk = launch.start();
    first.says("saying hello again", 1);
    first.says("registered, epoch 1", 2);

    let second = Terminal::new(&temp.path().join("second"), &addresses, slave, None);
    second.says("registered, epoch 2", 1);
    let status = wait_for("the first one stops", || first.child.try_wait().unwrap());
    assert_eq!(status.code(), Some(1), "{}", first.said());
    wait_until("it says why", || first.said().contains("another terminal registered for this account"));
    desk.stop();
}
