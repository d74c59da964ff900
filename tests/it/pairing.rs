//! How terminals come to their keys, and what becomes of the keys: codes over HTTP and on the command line, the master key.

use crate::client::{Client, Reply};
use crate::clock::{MachineClock, noticed};
use crate::desk::{Desk, Launch, run, tidehelm, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

struct Place {
    _temp: tempfile::TempDir,
    dir: PathBuf,
    master: PathBuf,
}

impl Place {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let (dir, master) = (temp.path().join("data"), temp.path().join("data.keys/master.key"));
        Place { _temp: temp, dir, master }
    }

    fn tool(&self, args: &[&str]) -> (i32, String) {
        run(tidehelm().args(args).arg("--data").arg(&self.dir))
    }

    /// Everything that lies in the data directory.
    fn bytes(&self) -> Vec<u8> {
        let files = std::fs::read_dir(&self.dir).unwrap();
        files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
    }
}

fn open(by: &Client, body: Value) -> (String, String) {
    let made = by.post("/api/ea/pairings", &body).ok();
    let text = |name: &str| made[name].as_str().unwrap().to_string();
    (text("id"), text("code"))
}

/// As a terminal does it, which nobody knows yet.
fn pair(desk: &Desk, code: &str, account: &str, role: &str) -> Reply {
    desk.client().post("/api/ea/pair", &json!({"code": code, "account": account, "role": role}))
}

/// A code that differs in one place.
fn changed(code: &str, at: usize) -> String {
    let mut changed = code.to_string();
    let with = if code.as_bytes()[at] == b'2' { "3" } else { "2" };
    changed.replace_range(at..=at, with);
    changed
}

fn keys(client: &Client) -> Vec<Value> {
    client.get("/api/ea/keys").ok()["keys"].as_array().unwrap().clone()
}

fn pairings(client: &Client) -> Vec<Value> {
    client.get("/api/ea/keys").ok()["pairings"].as_array().unwrap().clone()
}

fn whys(client: &Client, kind: &str) -> Vec<String> {
    client.events(kind).iter().map(|event| event["payload"]["why"].as_str().unwrap().to_string()).collect()
}

fn holds(bytes: &[u8], some: &[u8]) -> bool {
    bytes.windows(some.len()).any(|window| window == some)
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn a_code_is_exchanged_once_and_neither_it_nor_the_key_can_be_read_anywhere() {
    let place = Place::new();
    let (desk, admin) = Desk::with_admin(&place.dir);
    let operator = desk.token(&admin, "operator", "operator");
    assert!(!place.master.exists(), "a master key was made before it was needed");
    let (_, code) = open(&operator, json!({"account": "Demo_1", "role": "slave"}));
    assert_eq!(pairings(&operator)[0]["tries_left"], 5);
    let paired = pair(&desk, &format!(" {}-{} ", &code[..4], code[4..].to_lowercase()), "Demo_1", "slave").ok();
    let secret = unhex(paired["secret"].as_str().unwrap());
    assert_eq!((secret.len(), &paired["account"]), (32, &json!("Demo_1")));
    assert_eq!(paired["desk"], admin.get("/api/status").ok()["desk_id"]);
    assert_eq!(pair(&desk, &code, "Demo_1", "slave").problem(404), "pairing_unknown", "it was used before");
    let listed = keys(&operator);
    assert_eq!((listed.len(), &listed[0]["id"], &listed[0]["refused"]), (1, &paired["key"], &Value::Null));
    assert_eq!(pairings(&operator), [] as [Value; 0]);
    let used = admin.events("pairing_opened,pairing_used,terminal_key_issued");
    let by: Vec<_> = used.iter().map(|event| event["by"].as_str().unwrap().split(':').next().unwrap()).collect();
    assert_eq!(by, ["token", "terminal", "terminal"]);

    let mode = std::fs::metadata(&place.master).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let master = std::fs::read_to_string(&place.master).unwrap();
    let master = master.split_whitespace().last().unwrap();
    let (log, said) = (desk.logged(), desk.said());
    desk.stop();
    let bytes = place.bytes();
    assert!(holds(&bytes, paired["key"].as_str().unwrap().as_bytes()), "the search finds nothing at all");
    for secret in [secret.as_slice(), paired["secret"].as_str().unwrap().as_bytes(), code.as_bytes(), master.as_bytes()]
    {
        assert!(!holds(&bytes, secret) && !holds(log.as_bytes(), secret) && !holds(said.as_bytes(), secret));
    }
}

#[test]
fn a_code_ends_after_ten_minutes() {
    let place = Place::new();
    let clock = MachineClock::new(place._temp.path());
    let desk = clock.launch(&place.dir).start();
    let admin = desk.welcome("ann");
    let (_, code) = open(&admin, json!({}));
    clock.set(595);
    assert_eq!(noticed(&admin, 1), 595);
    assert_eq!(pairings(&admin).len(), 1);
    clock.set(601);
    assert_eq!(noticed(&admin, 2), 6);
    assert_eq!(pairings(&admin).len(), 0);
    assert_eq!(pair(&desk, &code, "Demo_1", "slave").problem(404), "pairing_unknown");
    assert_eq!(whys(&admin, "pairing_ended"), ["expired"]);
    assert_eq!(keys(&admin).len(), 0);
    desk.stop();
    assert_eq!(place.tool(&["verify"]).0, 0);
}

#[test]
fn five_wrong_tries_end_a_code_also_when_they_come_at_once_and_over_a_restart() {
    let place = Place::new();
    let (desk, admin) = Desk::with_admin(&place.dir);
    let (_, other) = open(&admin, json!({}));
    let (_, code) = open(&admin, json!({}));
    let wrong = |desk: &Desk, at| pair(desk, &changed(&code, at), "Demo_1", "slave").problem(404);
    for at in [6, 7] {
        assert_eq!(wrong(&desk, at), "pairing_unknown");
    }
    assert_eq!(pair(&desk, &changed(&code, 0), "Demo_1", "slave").problem(404), "pairing_unknown");
    let desk = desk.restart();
    let admin = desk.again(&admin);
    let left: BTreeSet<_> = pairings(&admin).iter().map(|pairing| pairing["tries_left"].as_u64().unwrap()).collect();
    assert_eq!(left, BTreeSet::from([3, 5]), "what is for no code counts for none");
    std::thread::scope(|scope| {
        for at in 3..7 {
            let (desk, wrong) = (&desk, &wrong);
            scope.spawn(move || assert_eq!(wrong(desk, at), "pairing_unknown"));
        }
    });
    assert_eq!(pair(&desk, &code, "Demo_1", "slave").problem(404), "pairing_unknown", "a dead code");
    assert_eq!(admin.events("pairing_failed").len(), 5);
    assert_eq!(whys(&admin, "pairing_ended"), ["too_many_tries"]);
    pair(&desk, &other, "Demo_1", "slave").ok();
    desk.stop();
}

#[test]
fn who_tries_too_often_has_to_wait() {
    let place = Place::new();
    let desk = Desk::start(&place.dir);
    let mut tries = 0;
    // Tries are counted by the minute, and a new one may begin in between.
    while tries <= 20 {
        let reply = pair(&desk, "22222222", "Demo_1", "slave");
        if reply.status == 429 {
            assert_eq!(reply.problem(429), "too_many_tries");
            break;
        }
        reply.problem(404);
        tries += 1;
    }
    assert!((10..=20).contains(&tries), "{tries} tries before the first that had to wait");
    desk.stop();
}

#[test]
fn a_code_is_for_its_account_and_role_and_a_key_gives_way_only_to_a_code_that_names_it() {
    let place = Place::new();
    let (desk, admin) = Desk::with_admin(&place.dir);
    let (_, code) = open(&admin, json!({"account": "Demo_1", "role": "slave"}));
    for (account, role) in [("Demo_12", "slave"), ("Demo_1", "master")] {
        let reply = pair(&desk, &code, account, role);
        assert_eq!((reply.problem(403), &reply.json()["field"]), ("pairing_elsewhere".into(), &json!("account")));
    }
    assert_eq!(pairings(&admin)[0]["tries_left"], 3);
    let first = pair(&desk, &code, "Demo_1", "slave").ok()["key"].clone();
    let (_, anybody) = open(&admin, json!({}));
    assert_eq!(pair(&desk, &anybody, "Demo_1", "slave").problem(403), "pairing_unnamed");
    pair(&desk, &anybody, "Demo_1", "master").ok();
    let (_, named) = open(&admin, json!({"account": "Demo_1"}));
    let second = pair(&desk, &named, "Demo_1", "slave").ok()["key"].clone();
    assert_eq!(whys(&admin, "terminal_key_revoked"), ["replaced"]);
    let now: Vec<_> =
        keys(&admin).into_iter().filter(|key| key["role"] == "slave").map(|key| key["id"].clone()).collect();
    assert_eq!(now, [second]);
    assert_ne!(now[0], first);
    desk.stop();
    assert_eq!(place.tool(&["verify"]).0, 0);
}

#[test]
fn a_revoked_key_and_a_cancelled_code_are_gone_at_once_and_from_the_vault() {
    let place = Place::new();
    let (desk, admin) = Desk::with_admin(&place.dir);
    let (_, code) = open(&admin, json!({"account": "Demo_1"}));
    let key = pair(&desk, &code, "Demo_1", "slave").ok()["key"].as_str().unwrap().to_string();
    let (pairing, code) = open(&admin, json!({"account": "Demo_2"}));
    for path in [format!("/api/ea/keys/{key}"), format!("/api/ea/pairings/{pairing}")] {
        assert_eq!(admin.call("DELETE", &path).send().status, 204);
        let again = admin.call("DELETE", &path).send().problem(404);
        assert!(matches!(again.as_str(), "key_unknown" | "pairing_unknown"));
    }
    assert_eq!((keys(&admin).len(), pairings(&admin).len()), (0, 0));
    assert_eq!(pair(&desk, &code, "Demo_2", "slave").problem(404), "pairing_unknown");
    assert_eq!(admin.get("/api/secrets").ok()["sealed"], 0, "the key is in the vault still");
    assert_eq!(whys(&admin, "terminal_key_revoked"), ["revoked"]);
    desk.stop();
}

#[test]
fn the_code_is_shown_once_and_a_repeat_does_not_make_up_another() {
    let place = Place::new();
    let (desk, admin) = Desk::with_admin(&place.dir);
    let ask = || admin.call("POST", "/api/ea/pairings").key("again").json(&json!({"account": "Demo_1"})).send();
    let code = ask().ok()["code"].as_str().unwrap().to_string();
    assert_eq!(ask().problem(409), "secret_shown_once");
    assert_eq!(pairings(&admin).len(), 1);
    pair(&desk, &code, "Demo_1", "slave").ok();
    desk.stop();
}

fn code_in(said: &str) -> String {
    let line = said.lines().find_map(|line| line.trim().strip_prefix("code ")).unwrap_or_else(|| panic!("{said}"));
    line.trim().to_string()
}

#[test]
fn the_command_line_pairs_lists_and_revokes_on_a_stopped_desk() {
    let place = Place::new();
    Desk::start(&place.dir).stop();
    let (exit, said) = place.tool(&["ea", "pair", "--account", "Demo_1", "--role", "slave"]);
    assert_eq!(exit, 0, "{said}");
    assert!(said.contains("http://127.0.0.1:8787") && said.contains("Demo_1; role: slave"), "{said}");
    let code = code_in(&said);
    let desk = Desk::start(&place.dir);
    let key = pair(&desk, &code, "Demo_1", "slave").ok()["key"].as_str().unwrap().to_string();
    let (exit, said) = place.tool(&["ea", "keys"]);
    assert!(exit == 0 && said.contains(&key) && said.contains("Demo_1"), "it reads beside a server: {said}");
    assert_eq!(place.tool(&["ea", "revoke", &key]).0, 5, "a server runs on it");
    desk.stop();
    assert_eq!(place.tool(&["ea", "revoke", "master/Demo_1"]).0, 3);
    let (exit, said) = place.tool(&["ea", "revoke", "slave/Demo_1"]);
    assert!(exit == 0 && said.contains("the key of slave/Demo_1 was revoked"), "{said}");
    assert!(!place.tool(&["ea", "keys"]).1.contains(&key));
    assert_eq!(place.tool(&["verify"]).0, 0);
}

#[test]
fn the_command_line_pairs_lists_and_revokes_on_a_server() {
    let place = Place::new();
    let (desk, admin) = Desk::with_admin(&place.dir);
    let operator = desk.token(&admin, "operator", "operator");
    let tool = |args: &[&str]| {
        let mut command = tidehelm();
        command.args(args).args(["--url", &desk.base, "--token", operator.token.as_ref().unwrap()]);
        run(&mut command)
    };
    let (exit, said) = tool(&["ea", "pair", "--account", "Demo_1"]);
    assert!(exit == 0 && said.contains(&desk.base), "{said}");
    let key = pair(&desk, &code_in(&said), "Demo_1", "master").ok()["key"].as_str().unwrap().to_string();
    let (_, said) = tool(&["ea", "pair"]);
    assert!(said.contains("any that has never had a key"), "{said}");
    let code = code_in(&said);
    let (exit, said) = tool(&["ea", "keys", "--output", "json"]);
    assert!(exit == 0 && said.contains(&key) && !said.contains(&code), "{said}");
    let (exit, said) = tool(&["ea", "revoke", "--all"]);
    assert!(exit == 0 && said.contains("master/Demo_1"), "{said}");
    assert_eq!((keys(&admin).len(), pairings(&admin).len()), (0, 1));
    desk.stop();
}

#[test]
fn without_its_master_key_a_desk_starts_says_so_and_heals_when_the_file_is_back() {
    let place = Place::new();
    let (desk, admin) = Desk::with_admin(&place.dir);
    let (_, code) = open(&admin, json!({"account": "Demo_1"}));
    pair(&desk, &code, "Demo_1", "slave").ok();
    assert_eq!(desk.client().get("/readyz").text, "ready\n");
    let launch = desk.launch.clone();
    desk.stop();
    let aside = place.master.with_extension("aside");
    std::fs::rename(&place.master, &aside).unwrap();

    let desk = launch.start();
    let admin = desk.again(&admin);
    let ready = desk.client().get("/readyz");
    assert_eq!(ready.status, 200);
    assert!(ready.text.contains("1 of 1 keys of terminals cannot be opened (master_key_missing)"), "{}", ready.text);
    assert!(!ready.text.contains("master.key"), "a stranger learns where the key is");
    assert!(keys(&admin)[0]["refused"].as_str().unwrap().contains("master_key_missing"));
    assert!(desk.client().get("/metrics").text.contains("\ntidehelm_terminal_keys_shut 1\n"));
    assert!(desk.logged().contains("tidehelm secrets status"), "{}", desk.logged());
    let refused = admin.post("/api/ea/pairings", &json!({"account": "Demo_2"}));
    assert_eq!(refused.problem(503), "master_key_missing");
    assert!(!place.master.exists(), "a lost master key was replaced");
    for tool in [["secrets", "status"].as_slice(), &["doctor"]] {
        let (exit, said) = place.tool(tool);
        assert!(exit != 0 && said.contains("is missing; put the file back"), "{tool:?}: {said}");
    }

    std::fs::rename(&aside, &place.master).unwrap();
    wait_until("the keys are opened", || desk.client().get("/readyz").text == "ready\n");
    assert_eq!(keys(&admin)[0]["refused"], Value::Null);
    open(&admin, json!({"account": "Demo_2"}));
    desk.stop();
}

#[test]
fn a_master_key_that_is_lost_is_replaced_once_its_keys_are_revoked() {
    let place = Place::new();
    let (desk, admin) = Desk::with_admin(&place.dir);
    let (_, code) = open(&admin, json!({"account": "Demo_1"}));
    let key = pair(&desk, &code, "Demo_1", "slave").ok()["key"].as_str().unwrap().to_string();
    std::fs::remove_file(&place.master).unwrap();
    assert_eq!(admin.post("/api/ea/pairings", &json!({})).problem(503), "master_key_missing");
    assert_eq!(admin.call("DELETE", &format!("/api/ea/keys/{key}")).send().status, 204);
    let (_, code) = open(&admin, json!({"account": "Demo_1"}));
    pair(&desk, &code, "Demo_1", "slave").ok();
    assert!(place.master.exists());
    desk.stop();
}

fn status(said: &str) -> Value {
    serde_json::from_str(said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

#[test]
fn a_rotation_is_in_the_log_and_old_backups_need_the_old_key() {
    let place = Place::new();
    let (desk, admin) = Desk::with_admin(&place.dir);
    assert_eq!(admin.post("/api/secrets/rotate", &json!({})).problem(409), "nothing_sealed");
    let (_, code) = open(&admin, json!({"account": "Demo_1"}));
    pair(&desk, &code, "Demo_1", "slave").ok();
    let old = admin.get("/api/secrets").ok()["master_key"].as_str().unwrap().to_string();
    let backup = place._temp.path().join("backup");
    let (exit, said) = place.tool(&["backup", backup.to_str().unwrap()]);
    assert!(exit == 0 && said.contains("not the master key"), "{said}");
    assert!(said.contains(place.master.to_str().unwrap()), "{said}");

    let rotated = admin.post("/api/secrets/rotate", &json!({})).ok();
    let kept = PathBuf::from(rotated["kept"].as_str().unwrap());
    assert!(kept.to_str().unwrap().ends_with(&old));
    let events = admin.events("secrets_resealed");
    assert_eq!(events[0]["payload"], json!({"master_key": rotated["master_key"], "sealed": 1}));
    assert_eq!(keys(&admin)[0]["refused"], Value::Null);
    desk.stop();

    // On a stopped desk, too; and what was sealed before the last one is still opened.
    let (exit, said) = place.tool(&["secrets", "rotate"]);
    assert!(exit == 0 && said.contains("1 values are sealed with master key"), "{said}");
    let (exit, said) = place.tool(&["secrets", "status", "--output", "json"]);
    assert_eq!((exit, &status(&said)["unreadable"], &status(&said)["sealed"]), (0, &json!(0), &json!(1)));
    let of_backup = |file: &Path| {
        let setting = format!("secrets.master_key_file={}", file.display());
        run(tidehelm().args(["secrets", "status", "--output", "json", "--set", &setting, "--data"]).arg(&backup))
    };
    assert_eq!(of_backup(&place.master).0, 0, "the old key lies beside the new one");
    std::fs::remove_file(&kept).unwrap();
    let (exit, said) = of_backup(&place.master);
    assert!(exit == 5 && said.contains(&format!("sealed with master key {old}")), "{said}");
    assert!(said.contains(kept.to_str().unwrap()), "the file is not named: {said}");
    let desk = Desk::start(&place.dir);
    assert_eq!(desk.client().get("/readyz").text, "ready\n", "the desk itself needs only the newest");
    desk.stop();
}

#[test]
fn a_master_key_is_refused_where_others_can_read_it_or_backups_would_hold_it() {
    let place = Place::new();
    let (desk, admin) = Desk::with_admin(&place.dir);
    let (_, code) = open(&admin, json!({"account": "Demo_1"}));
    pair(&desk, &code, "Demo_1", "slave").ok();
    let chmod = |mode| std::fs::set_permissions(&place.master, std::fs::Permissions::from_mode(mode)).unwrap();
    chmod(0o644);
    assert_eq!(admin.post("/api/ea/pairings", &json!({})).problem(503), "master_key_exposed");
    let (exit, said) = place.tool(&["secrets", "status"]);
    assert!(exit == 5 && said.contains("can be read by others (mode 644)") && said.contains("chmod 600"), "{said}");
    assert!(place.tool(&["doctor"]).1.contains("can be read by others"));
    chmod(0o600);
    let (exit, said) = place.tool(&["doctor"]);
    assert!(said.contains("1 sealed; the master key is") && said.contains("no backup includes"), "{exit} {said}");
    desk.stop();
    let inside = place.dir.join("master.key");
    let launch = Launch::new(&place.dir).set("secrets.master_key_file", inside.to_str().unwrap());
    let (exit, said) = launch.refused();
    assert!(exit == 2 && said.contains("would lie in the data directory"), "{exit}: {said}");
}
