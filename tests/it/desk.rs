//! A desk in a process of its own: started, talked to, stopped, killed.

use crate::client::{Client, Reply};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub const PASSWORD: &str = "correct horse battery";

/// How to start one, again and again.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    pub dir: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    tolerant: bool,
}

/// Where terminals speak.
#[derive(Debug, Clone)]
pub struct Addresses {
    pub session: String,
    pub uplink: String,
}

/// Ports that were free a moment ago.
fn ports<const N: usize>() -> [u16; N] {
    let held: Vec<TcpListener> = (0..N).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    std::array::from_fn(|at| held[at].local_addr().unwrap().port())
}

impl Launch {
    pub fn new(dir: &Path) -> Self {
        Launch { dir: dir.to_path_buf(), ..Launch::default() }
    }

    /// One that comes back where its terminals look for it, and where that is.
    pub fn settled(dir: &Path) -> (Self, Addresses) {
        let [http, session, uplink, feed] = ports().map(|port| format!("127.0.0.1:{port}"));
        let (session, uplink) = (format!("tcp://{session}"), format!("tcp://{uplink}"));
        let launch = Launch::new(dir).arg("--bind").arg(&http).set("terminals.session", &session);
        let launch = launch.set("terminals.uplink", &uplink).set("terminals.feed", &format!("tcp://{feed}"));
        (launch, Addresses { session, uplink })
    }

    pub fn set(self, key: &str, value: &str) -> Self {
        self.arg("--set").arg(&format!("{key}={value}"))
    }

    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.into());
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// For a test that breaks something on purpose: an ERROR in the desk's log fails any other.
    pub fn may_log_errors(mut self) -> Self {
        self.tolerant = true;
        self
    }

    /// The command line, without what this test's own environment would say to the desk.
    pub fn command(&self) -> Command {
        let mut command = tidehelm();
        command.arg("serve").arg("--data").arg(&self.dir).args(&self.args);
        if !self.args.iter().any(|arg| arg == "--bind") {
            command.args(["--bind", "127.0.0.1:0"]);
        }
        // Several desks run at once.
        for socket in ["uplink", "session", "feed"] {
            let key = format!("terminals.{socket}=");
            if !self.args.iter().any(|arg| arg.starts_with(&key)) {
                command.arg("--set").arg(format!("{key}tcp://127.0.0.1:0"));
            }
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn start(&self) -> Desk {
        self.start_as(self.command())
    }

    pub fn start_as(&self, mut command: Command) -> Desk {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = follow(child.stdout.take().unwrap());
        let log = follow(child.stderr.take().unwrap());
        let mut desk = Desk { launch: self.clone(), child, out, log, base: String::new(), ended: None };
        let greeting = desk.wait("the desk says where it is", |desk| {
            let out = desk.out.lock().unwrap();
            let line = out.lines().next().filter(|_| out.contains('\n'))?;
            Some(line.to_string())
        });
        desk.base = greeting.strip_prefix("Tidehelm is at ").expect("the first line is for programs").to_string();
        desk
    }

    /// Runs it where it is expected to refuse: the exit code and what it said.
    pub fn refused(&self) -> (i32, String) {
        run(&mut self.command())
    }
}

/// The program, without settings of the test's own environment.
pub fn tidehelm() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidehelm"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TIDEHELM_") {
            command.env_remove(name);
        }
    }
    command.current_dir(std::env::temp_dir());
    command
}

/// Runs a command that ends by itself: the exit code, and standard output and error together.
pub fn run(command: &mut Command) -> (i32, String) {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (out, log) = (follow(child.stdout.take().unwrap()), follow(child.stderr.take().unwrap()));
    let deadline = Instant::now() + Duration::from_secs(20);
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() > deadline => {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("still running after 20 s:\n{}{}", out.lock().unwrap(), log.lock().unwrap());
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    // Both pipes are closed by now; their readers end with them.
    wait_until("its output is read", || Arc::strong_count(&out) + Arc::strong_count(&log) == 2);
    let said = format!("{}{}", out.lock().unwrap(), log.lock().unwrap());
    (status.code().expect("it was ended by a signal"), said)
}

/// Asks again and again until it is so; fails after 20 s.
#[track_caller]
pub fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    wait_for(what, || so().then_some(()));
}

#[track_caller]
pub fn wait_for<T>(what: &str, mut get: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(got) = get() {
            return got;
        }
        assert!(Instant::now() < deadline, "waited 20 s until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Collects a pipe line by line; the thread drops its handle at the end.
pub fn follow(pipe: impl std::io::Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let into = text.clone();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(pipe);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            into.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
    text
}

pub struct Desk {
    pub launch: Launch,
    child: Child,
    out: Arc<Mutex<String>>,
    log: Arc<Mutex<String>>,
    pub base: String,
    ended: Option<ExitStatus>,
}

impl Desk {
    pub fn start(dir: &Path) -> Desk {
        Launch::new(dir).start()
    }

    /// A desk with its first admin, and that admin.
    pub fn with_admin(dir: &Path) -> (Desk, Client) {
        let desk = Desk::start(dir);
        let admin = desk.welcome("ann");
        (desk, admin)
    }

    pub fn client(&self) -> Client {
        Client::new(&self.base)
    }

    /// The same caller, after a restart.
    pub fn again(&self, client: &Client) -> Client {
        Client { base: self.base.clone(), ..client.clone() }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The code of the one-time link that the desk printed.
    pub fn first_link(&self) -> String {
        let found = || {
            let out = self.out.lock().unwrap();
            let (_, code) = out.split_once("/#/welcome?code=")?;
            code.contains('\n').then(|| code.split_whitespace().next().unwrap().to_string())
        };
        wait_for("the one-time link is printed", found)
    }

    pub fn said(&self) -> String {
        self.out.lock().unwrap().clone()
    }

    pub fn logged(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Comes in by the one-time link: the first admin, logged in.
    pub fn welcome(&self, name: &str) -> Client {
        let mut admin = self.client();
        let body = json!({"code": self.first_link(), "name": name, "password": PASSWORD});
        let reply = admin.post("/api/welcome", &body);
        assert_eq!(reply.ok()["role"], "admin");
        admin.take_cookie(&reply);
        admin
    }

    /// Somebody known by a token of this role.
    pub fn token(&self, admin: &Client, name: &str, role: &str) -> Client {
        let made = admin.post("/api/tokens", &json!({"name": name, "role": role})).ok();
        self.client().with_token(made["token"].as_str().unwrap())
    }

    /// A person of this role, logged in.
    pub fn person(&self, admin: &Client, name: &str, role: &str) -> Client {
        let invited = admin.post("/api/invites", &json!({"name": name, "role": role})).ok();
        let (_, code) = invited["path"].as_str().unwrap().split_once("code=").unwrap();
        let mut person = self.client();
        let reply = person.post("/api/welcome", &json!({"code": code, "name": name, "password": PASSWORD}));
        reply.ok();
        person.take_cookie(&reply);
        person
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(mut self) -> ExitStatus {
        self.terminate();
        let status = self.wait("the desk stops", |desk| desk.ended());
        assert!(status.success(), "it ended with {status}:\n{}", self.logged());
        self.check_log();
        status
    }

    pub fn terminate(&self) {
        let killed = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap();
        assert!(killed.success());
    }

    /// The end of the process, if it has come.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.ended = self.ended.or(self.child.try_wait().unwrap());
        self.ended
    }

    /// SIGKILL, and waits until the process is gone.
    pub fn kill9(mut self) -> Launch {
        assert_eq!(self.ended(), None, "it ended before it was killed:\n{}", self.logged());
        self.child.kill().unwrap();
        self.ended = Some(self.child.wait().unwrap());
        self.check_log();
        self.launch.clone()
    }

    /// Stopped in good order, and started again on the same data.
    pub fn restart(self) -> Desk {
        let launch = self.launch.clone();
        self.stop();
        launch.start()
    }

    #[track_caller]
    pub fn wait<T>(&mut self, what: &str, mut get: impl FnMut(&mut Desk) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(got) = get(self) {
                return got;
            }
            if let Some(status) = self.ended() {
                // What it printed last may still be on its way to us.
                std::thread::sleep(Duration::from_millis(50));
                if let Some(got) = get(self) {
                    return got;
                }
                panic!("it ended with {status} before {what}:\n{}{}", self.said(), self.logged());
            }
            assert!(Instant::now() < deadline, "waited 30 s until {what}:\n{}", self.logged());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn check_log(&self) {
        let log = self.logged();
        let error = log.lines().find(|line| line.contains("\"level\":\"ERROR\"") || line.contains("panicked at"));
        if let Some(error) = error.filter(|_| !self.launch.tolerant) {
            panic!("the desk logged an error: {error}\n{log}");
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if self.ended().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Calls that tests make again and again.
impl Client {
    pub fn register(&self, account: &str) -> Reply {
        let body = json!({"platform": "MT5", "broker": "Demo", "server": "Demo-1", "trade_allowed": true});
        self.post(&format!("/api/accounts/{account}/register"), &body)
    }

    pub fn toggle(&self, account: &str, enabled: bool) -> Reply {
        self.post(&format!("/api/accounts/{account}/toggle"), &json!({"enabled": enabled}))
    }

    pub fn heartbeat(&self, account: &str) -> Value {
        self.post("/api/heartbeats", &json!([heartbeat(account, 0)])).ok()
    }

    pub fn position(&self) -> u64 {
        self.get("/api/status").ok()["position"].as_u64().unwrap()
    }

    pub fn account(&self, account: &str) -> Value {
        self.get(&format!("/api/accounts/{account}")).ok()["account"].clone()
    }

    /// All events of these kinds.
    pub fn events(&self, kinds: &str) -> Vec<Value> {
        let found = self.get(&format!("/api/events?limit=10000&kind={kinds}")).ok();
        assert_eq!(found["next"], Value::Null, "more events than one page");
        found["events"].as_array().unwrap().clone()
    }
}

/// A heartbeat that can be told from others by its number.
pub fn heartbeat(account: &str, number: u64) -> Value {
    let (role, id) = account.split_once('/').unwrap();
    json!({
        "role": role, "account": id, "balance": "1000.00", "equity": "1001.50", "free_margin": "900.00",
        "open_positions": 1, "trade_allowed": true, "through_signal_seq": number,
    })
}
