//! What `deploy/` says, compared with the real thing: the metrics that it names, the protocol of the service, the files themselves.

use crate::desk::{Desk, Launch, wait_until};
use saphyr::{LoadableYamlNode, Yaml};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("deploy/{name}: {error}"))
}

/// Names of metrics in an expression.
fn names(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = text.split(|c| !word(c)).filter(|word| word.starts_with("tidehelm_"));
    words.map(|word| word.to_string()).collect()
}

/// What the real binary prints, by name, with the samples that a histogram has.
fn printed(metrics: &str) -> BTreeSet<String> {
    let kinds = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let mut printed = BTreeSet::new();
    for line in kinds {
        let (name, kind) = line.split_once(' ').unwrap();
        match kind {
            "histogram" => printed.extend(["bucket", "sum", "count"].map(|part| format!("{name}_{part}"))),
            _ => drop(printed.insert(name.to_string())),
        }
    }
    printed
}

#[test]
fn every_metric_that_is_named_is_one_that_the_desk_prints() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    let printed = printed(&admin.get("/metrics").text);
    assert!(printed.len() > 50, "{printed:?}");
    let dashboard: Value = serde_json::from_str(&text("grafana/tidehelm.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let shown: BTreeSet<String> = targets.flat_map(|target| names(target["expr"].as_str().unwrap())).collect();
    let rules = text("prometheus/tidehelm.rules.yaml");
    let rules = Yaml::load_from_str(&rules).unwrap();
    let mut watched = BTreeSet::new();
    for rule in rules[0]["groups"][0]["rules"].as_vec().unwrap() {
        let expr = rule["expr"].as_str().unwrap();
        for field in ["alert", "expr"] {
            assert!(rule[field].as_str().is_some_and(|text| !text.is_empty()), "{field} of {rule:?}");
        }
        assert!(matches!(rule["labels"]["severity"].as_str(), Some("warning" | "critical")), "{rule:?}");
        assert!(rule["annotations"]["summary"].as_str().is_some(), "{rule:?}");
        watched.extend(names(expr));
    }
    assert!(shown.len() > 20 && watched.len() > 10, "{} and {}", shown.len(), watched.len());
    let unknown: Vec<_> = shown.union(&watched).filter(|name| !printed.contains(*name)).collect();
    assert!(unknown.is_empty(), "{unknown:?} are named in deploy/ and not printed by the desk");
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
    desk.stop();
}

/// The socket of whoever started the desk, and what it was told when.
struct Manager {
    path: PathBuf,
    told: Arc<Mutex<Vec<(Instant, String)>>>,
}

impl Manager {
    fn new(dir: &Path) -> Self {
        let path = dir.join("notify");
        let (socket, told) = (UnixDatagram::bind(&path).unwrap(), Arc::new(Mutex::new(Vec::new())));
        let into = told.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length) = socket.recv(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                into.lock().unwrap().push((Instant::now(), text));
            }
        });
        Manager { path, told }
    }
    fn heard(&self, what: &str) -> Vec<Instant> {
        let told = self.told.lock().unwrap();
        told.iter().filter(|(_, text)| text.lines().any(|line| line == what)).map(|(at, _)| *at).collect()
    }
}

#[test]
fn the_service_manager_hears_that_the_desk_is_ready_lives_and_is_stopping() {
    let temp = tempfile::tempdir().unwrap();
    let manager = Manager::new(temp.path());
    let launch = Launch::new(&temp.path().join("desk")).env("NOTIFY_SOCKET", manager.path.to_str().unwrap());
    let desk = launch.env("WATCHDOG_USEC", "300000").start();
    wait_until("it is ready", || manager.heard("READY=1").len() == 1);
    assert_eq!(desk.client().get("/livez").status, 200, "who is said to be ready answers");
    wait_until("it lives", || manager.heard("WATCHDOG=1").len() >= 5);
    let beats = manager.heard("WATCHDOG=1");
    let longest = beats.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest < Duration::from_millis(300) * 4, "silent for {longest:?}");
    assert!(manager.heard("STOPPING=1").is_empty());
    desk.stop();
    wait_until("it said that it was stopping", || manager.heard("STOPPING=1").len() == 1);
    assert!(manager.heard("STOPPING=1")[0] > manager.heard("READY=1")[0]);
    assert_eq!(manager.heard("READY=1").len(), 1);
}

/// A process that stands still says nothing, so that the watchdog ends it; a watchdog of another process is not ours.
#[test]
fn a_desk_that_stands_still_is_not_said_to_live() {
    let temp = tempfile::tempdir().unwrap();
    let manager = Manager::new(temp.path());
    let launch = Launch::new(&temp.path().join("desk")).env("NOTIFY_SOCKET", manager.path.to_str().unwrap());
    let launch = launch.env("WATCHDOG_USEC", "300000");
    let desk = launch.start();
    wait_until("it lives", || manager.heard("WATCHDOG=1").len() >= 2);
    let signal =
        |name: &str| assert!(Command::new("kill").args([name, &desk.pid().to_string()]).status().unwrap().success());
    signal("-STOP");
    std::thread::sleep(Duration::from_millis(100));
    let before = manager.heard("WATCHDOG=1").len();
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(manager.heard("WATCHDOG=1").len(), before, "it said that it lives while it stood still");
    signal("-CONT");
    wait_until("it lives again", || manager.heard("WATCHDOG=1").len() > before);
    desk.stop();
    let other = launch.env("WATCHDOG_PID", "1").start();
    let (ready, beats) = (manager.heard("READY=1").len(), manager.heard("WATCHDOG=1").len());
    assert_eq!(other.client().get("/livez").status, 200);
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(manager.heard("WATCHDOG=1").len(), beats, "a watchdog of another process");
    wait_until("it is ready", || manager.heard("READY=1").len() >= ready.max(2));
    other.stop();
}

/// Sections with their keys; a key may come more than once.
fn unit() -> BTreeMap<String, BTreeMap<String, Vec<String>>> {
    let (mut unit, mut section) = (BTreeMap::<_, BTreeMap<_, Vec<_>>>::new(), String::new());
    for line in text("systemd/tidehelm.service").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(name) => section = name.to_string(),
            None => {
                let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("`{line}` is no setting"));
                unit.entry(section.clone()).or_default().entry(key.to_string()).or_default().push(value.to_string());
            }
        }
    }
    unit
}

#[test]
fn the_unit_waits_for_the_desk_watches_it_and_gives_it_nothing_else() {
    let unit = unit();
    assert_eq!(unit.keys().map(String::as_str).collect::<Vec<_>>(), ["Install", "Service", "Unit"]);
    let service = &unit["Service"];
    let one = |key: &str| service.get(key).map(|values| values.join(" ")).unwrap_or_else(|| panic!("{key} is not set"));
    for (key, value) in [
        ("Type", "notify"),
        ("NotifyAccess", "main"),
        ("User", "tidehelm"),
        ("Restart", "on-failure"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("PrivateDevices", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("CapabilityBoundingSet", ""),
        ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"),
        ("UMask", "0077"),
    ] {
        assert_eq!(one(key), value, "{key}");
    }
    assert!(one("WatchdogSec").parse::<u32>().unwrap() >= 10);
    let command = one("ExecStart");
    assert!(command.starts_with("/usr/local/bin/tidehelm serve --data /var/lib/tidehelm/"), "{command}");
    // The arguments are ones that the program takes.
    let mut arguments = command.split(' ').skip(1);
    let (subcommand, flag) = (arguments.next().unwrap(), arguments.next().unwrap());
    let help = Command::new(env!("CARGO_BIN_EXE_tidehelm")).args([subcommand, "--help"]).output().unwrap();
    assert!(String::from_utf8_lossy(&help.stdout).contains(flag));
}

/// As systemd itself reads it. `make test` installs what this needs; elsewhere it is said that it was not done.
#[test]
fn systemd_understands_the_unit() {
    let found = Command::new("systemd-analyze").arg("--version").output();
    if found.is_err() {
        assert!(
            std::env::var_os("TIDEHELM_TEST_SYSTEMD").is_none(),
            "systemd-analyze is not there: scripts/setup.sh systemd"
        );
        println!("skipped: systemd-analyze is not there (scripts/setup.sh systemd installs it)");
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    // The one that is named need not be installed here.
    let unit = text("systemd/tidehelm.service").replace("/usr/local/bin/tidehelm", env!("CARGO_BIN_EXE_tidehelm"));
    let verify = |name: &str, unit: &str| {
        let path = temp.path().join(name);
        std::fs::write(&path, unit).unwrap();
        let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // Other units of this machine are not our business.
        let ours: Vec<&str> = said.lines().filter(|line| line.contains(name)).collect();
        (output.status.success(), ours.join("\n"))
    };
    assert_eq!(verify("tidehelm.service", &unit), (true, String::new()));
    let (_, said) = verify("broken.service", &unit.replace("WatchdogSec=30", "WatchdogSec=often"));
    assert!(said.contains("WatchdogSec") || said.contains("often"), "it would not see a mistake: {said:?}");
}

#[test]
fn the_containers_have_no_rights_and_both_stores() {
    let compose = text("compose.yaml");
    // What a merge key would bring in is read where it stands.
    let compose = Yaml::load_from_str(&compose).unwrap();
    let (compose, shared) = (&compose[0], &compose[0]["x-desk"]);
    assert_eq!(shared["read_only"].as_bool(), Some(true));
    assert_eq!(shared["user"].as_str(), Some("10001:10001"));
    assert_eq!(shared["cap_drop"][0].as_str(), Some("ALL"));
    assert_eq!(shared["security_opt"][0].as_str(), Some("no-new-privileges:true"));
    for port in shared["ports"].as_vec().unwrap() {
        assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{port:?} is open to others");
    }
    for (service, profile) in [("desk", "sqlite"), ("desk-on-postgres", "postgres"), ("postgres", "postgres")] {
        assert_eq!(compose["services"][service]["profiles"][0].as_str(), Some(profile), "{service}");
    }
    let url = &compose["services"]["desk-on-postgres"]["environment"]["TIDEHELM_STORE__URL"];
    assert!(url.as_str().unwrap().starts_with("postgres://"));
    // The settings are ones that the program has, with values that it takes.
    let temp = tempfile::tempdir().unwrap();
    let mut check = Command::new(env!("CARGO_BIN_EXE_tidehelm"));
    check.args(["config", "show", "--data"]).arg(temp.path());
    let settings = compose["x-environment"].as_mapping().unwrap();
    assert!(settings.len() >= 5);
    for (key, value) in settings {
        check.env(key.as_str().unwrap(), value.as_str().unwrap());
    }
    let checked = check.output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let image = text("Dockerfile");
    let last = image.rsplit_once("\nFROM ").unwrap().1;
    assert!(last.contains("\nUSER 10001:10001\n"), "the image runs as root");
    assert_eq!(image.matches("\nFROM ").count(), 3, "what builds stays out of what runs");
    // What is copied is there.
    for line in image.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--from")) {
        let mut paths: Vec<&str> = line.split(' ').collect();
        paths.pop();
        for path in paths {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
            assert!(path.exists(), "{} is copied and is not there", path.display());
        }
    }
}
