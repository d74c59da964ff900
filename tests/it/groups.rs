//! Trade groups, members, settings and connections over the API; why a trade was copied; the same on the command line.

use crate::client::{Client, Reply};
use crate::desk::{Desk, Launch, run, tidehelm, wait_for, wait_until};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

fn put(client: &Client, path: &str, version: &Value, body: &Value) -> Reply {
    client.call("PUT", path).header("if-match", format!("\"{version}\"")).json(body).send()
}

fn delete(client: &Client, path: &str, version: &Value) -> Reply {
    client.call("DELETE", path).header("if-match", format!("\"{version}\"")).send()
}

/// A master with a group, and a slave that copies it.
fn copying(admin: &Client, master: &str, slave: &str) {
    admin.post("/api/trade-groups", &json!({"master_account": master, "enabled": true})).ok();
    let member = json!({"slave_account": slave, "enabled": true});
    admin.post(&format!("/api/trade-groups/{master}/members"), &member).ok();
}

#[track_caller]
fn refused(reply: &Reply, status: u16, code: &str, field: Option<&str>) {
    assert_eq!((reply.problem(status).as_str(), reply.json()["field"].as_str()), (code, field), "{}", reply.text);
}

fn groups(admin: &Client) -> Value {
    admin.get("/api/trade-groups").ok()["trade_groups"].clone()
}

#[test]
fn a_group_and_its_members_are_made_changed_and_removed() {
    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    let made = admin.post("/api/trade-groups", &json!({"master_account": "M_1", "display_name": "Anna"}));
    assert_eq!((made.status, made.header("location")), (201, Some("/api/trade-groups/M_1")));
    let group = made.ok();
    assert_eq!(made.header("etag"), Some(format!("\"{}\"", group["version"]).as_str()));
    assert_eq!(
        (&group["display_name"], &group["enabled"], &group["enabled_flag"]),
        (&json!("Anna"), &json!(false), &json!(false))
    );
    assert_eq!(
        (&group["master_runtime_status"], &group["settings"], &group["members"]),
        (&json!(0), &json!({}), &json!([]))
    );
    assert_eq!(group["warning_codes"], json!(["master_web_ui_disabled", "master_offline"]));

    let on = admin.post("/api/trade-groups/M_1/toggle", &json!({"enabled": true})).ok();
    assert_eq!((&on["enabled_flag"], &on["warning_codes"]), (&json!(true), &json!(["master_offline"])));
    let settings = json!({"signal_age_max_ms": 3000, "volume": {"multiplier": "0.5"}});
    let body = json!({"display_name": "Anna B", "settings": settings});
    let changed = put(&admin, "/api/trade-groups/M_1", &on["version"], &body).ok();
    assert_eq!(
        (&changed["display_name"], &changed["settings"], &changed["enabled"]),
        (&json!("Anna B"), &settings, &json!(true))
    );

    let before = admin.position();
    let member = admin
        .post("/api/trade-groups/M_1/members", &json!({"slave_account": "S_1", "slave_settings": {"reverse": true}}));
    assert_eq!((member.status, member.header("location")), (201, Some("/api/trade-groups/M_1/members/S_1")));
    let member = member.ok();
    assert_eq!((&member["trade_group_id"], &member["slave_account"]), (&json!("M_1"), &json!("S_1")));
    assert_eq!(
        (&member["enabled_flag"], &member["status"]),
        (&json!(false), &json!(0)),
        "nothing is copied by surprise"
    );
    let one = admin.get("/api/trade-groups/M_1/members/S_1").ok();
    assert_eq!(one["effective"]["reverse"], json!({"value": true, "from": "link"}));
    assert_eq!(one["effective"]["signal_age_max_ms"], json!({"value": 3000, "from": "group"}));
    assert_eq!(one["effective"]["copy_pending"], json!({"value": true, "from": "default"}));
    let toggled = admin.post("/api/trade-groups/M_1/members/S_1/toggle", &json!({"enabled": true})).ok();
    assert_eq!(toggled["enabled_flag"], true);
    let body = json!({"slave_settings": {"mode": "observe"}});
    let member = put(&admin, "/api/trade-groups/M_1/members/S_1", &toggled["version"], &body).ok();
    assert_eq!((&member["slave_settings"], &member["enabled_flag"]), (&json!({"mode": "observe"}), &json!(true)));
    assert_eq!(admin.get("/api/trade-groups/M_1/members").ok()["members"], json!([member]));
    assert_eq!(admin.get("/api/trade-groups/M_1").ok()["members"], json!([member]));

    let then = admin.get(&format!("/api/trade-groups/M_1?as_of={before}")).ok();
    assert_eq!((&then["display_name"], &then["members"]), (&json!("Anna B"), &json!([])));
    admin.get(&format!("/api/trade-groups/M_1/members/S_1?as_of={before}")).problem(404);
    admin.get("/api/trade-groups?as_of=999999").problem(422);

    delete(&admin, "/api/trade-groups/M_1/members/S_1?wind_down=close_now", &member["version"]).ok();
    assert_eq!(admin.get("/api/trade-groups/M_1").ok()["members"], json!([]));
    let removed = admin.events("link_removed");
    assert_eq!(removed[0]["payload"]["wind_down"], "close_now");
    admin.post("/api/trade-groups/M_1/members", &json!({"slave_account": "S_2", "enabled": true})).ok();
    let version = admin.get("/api/trade-groups/M_1").ok()["version"].clone();
    delete(&admin, "/api/trade-groups/M_1", &version).ok();
    wait_until("its member goes with it", || admin.account("slave/S_2")["masters"] == json!([]));
    assert_eq!(groups(&admin), json!([]));
}

#[test]
fn what_makes_no_sense_is_refused_by_its_field_and_changes_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    copying(&admin, "M_1", "S_1");
    let group = admin.get("/api/trade-groups/M_1").ok();
    let (before, copy) = (groups(&admin), admin.get("/api/copy-settings").ok());
    let account = admin.get("/api/connections/slave/S_1/settings").ok();
    let many: Vec<Value> = (0..1001).map(|n| json!({"from": format!("A{n}"), "to": format!("B{n}")})).collect();
    let bad = [
        (r#"{"signal_age_max_ms": -1}"#.to_string(), "signal_age_max_ms"),
        (r#"{"signal_age_max_ms": 4294967296}"#.into(), "signal_age_max_ms"),
        (r#"{"signal_age_max_ms": 2592000001}"#.into(), "signal_age_max_ms"),
        (r#"{"source_lots_min": -0.1}"#.into(), "source_lots_min"),
        (r#"{"source_lots_min": "NaN"}"#.into(), "source_lots_min"),
        (r#"{"source_lots_min": NaN}"#.into(), "source_lots_min"),
        (r#"{"source_lots_min": Infinity}"#.into(), "source_lots_min"),
        (r#"{"source_lots_max": 1e400}"#.into(), "source_lots_max"),
        (r#"{"source_lots_max": 99999999999999999999999999}"#.into(), "source_lots_max"),
        (r#"{"source_lots_min": 2, "source_lots_max": 1}"#.into(), "source_lots_min"),
        (r#"{"slippage_max": -1}"#.into(), "slippage_max"),
        (r#"{"retries_max": 21}"#.into(), "retries_max"),
        (r#"{"positions_max": 1.5}"#.into(), "positions_max"),
        (r#"{"positions_max": 2, "positions_per_symbol_max": 3}"#.into(), "positions_per_symbol_max"),
        (r#"{"reverse": "yes"}"#.into(), "reverse"),
        (r#"{"mode": "sometimes"}"#.into(), "mode"),
        (r#"{"volume": {"multiplier": -1}}"#.into(), "volume.multiplier"),
        (r#"{"volume": {"multiplier": 100001}}"#.into(), "volume.multiplier"),
        (r#"{"sync_mode": {"market_order": {"distance_max": -1}}}"#.into(), "sync_mode.market_order.distance_max"),
        (r#"{"comment_contains": [""]}"#.into(), "comment_contains[0]"),
        (r#"{"symbol_map": [{"from": "", "to": "B"}]}"#.into(), "symbol_map[0].from"),
        (r#"{"volumes": 1}"#.into(), "volumes"),
        (json!({"symbol_map": many}).to_string(), "symbol_map"),
    ];
    let send = |method, path: &str, version: &Value, text: String| {
        admin.call(method, path).header("if-match", version.to_string()).text(text).send()
    };
    for (settings, field) in &bad {
        let under = |part: &str| format!("{part}.{field}");
        let at = |reply: Reply, path: String| {
            let code = reply.problem(422);
            assert!(matches!(code.as_str(), "invalid" | "setting_invalid"), "{settings}: {}", reply.text);
            assert_eq!(reply.json()["field"], json!(path), "{settings}: {}", reply.text);
        };
        let new = format!(r#"{{"master_account": "M_9", "settings": {settings}}}"#);
        at(send("POST", "/api/trade-groups", &json!("*"), new), under("settings"));
        let body = format!(r#"{{"display_name": "A", "settings": {settings}}}"#);
        at(send("PUT", "/api/trade-groups/M_1", &group["version"], body), under("settings"));
        let new = format!(r#"{{"slave_account": "S_9", "slave_settings": {settings}}}"#);
        at(send("POST", "/api/trade-groups/M_1/members", &json!("*"), new), under("slave_settings"));
        let body = format!(r#"{{"slave_settings": {settings}, "enabled": false}}"#);
        let version = &group["members"][0]["version"];
        at(send("PUT", "/api/trade-groups/M_1/members/S_1", version, body), under("slave_settings"));
        let body = format!(r#"{{"settings": {settings}}}"#);
        at(send("PUT", "/api/copy-settings", &copy["version"], body), under("settings"));
        let body = format!(r#"{{"settings": {{"copy": {settings}}}}}"#);
        at(send("PUT", "/api/connections/slave/S_1/settings", &account["version"], body), under("settings.copy"));
    }
    for (body, code, field) in [
        (json!({"master_account": "M_9", "display_name": ""}), "text_invalid", "display_name"),
        (json!({"master_account": "M_9", "display_name": " \t"}), "text_invalid", "display_name"),
        (json!({"master_account": "M_9", "display_name": "x".repeat(101)}), "text_invalid", "display_name"),
        (json!({"master_account": ""}), "invalid", "master_account"),
        (json!({"master_account": "no-dash"}), "invalid", "master_account"),
        (json!({"display_name": "Anna"}), "invalid", "body"),
        (json!({"master_account": "M_9", "settings": null}), "invalid", "settings"),
        (json!({"master_account": "M_9", "enable": true}), "invalid", "enable"),
    ] {
        refused(&admin.post("/api/trade-groups", &body), 422, code, Some(field));
    }
    for (body, code, field) in [
        (json!({"slave_account": "M_1"}), "link_to_itself", "slave_account"),
        (json!({"slave_account": "a b"}), "invalid", "slave_account"),
        (json!({"slave_account": "S_9", "slave_setting": {}}), "invalid", "slave_setting"),
    ] {
        refused(&admin.post("/api/trade-groups/M_1/members", &body), 422, code, Some(field));
    }
    refused(&admin.post("/api/trade-groups", &json!({"master_account": "M_1"})), 409, "group_known", None);
    refused(&admin.post("/api/trade-groups/M_1/members", &json!({"slave_account": "S_1"})), 409, "link_known", None);
    let rules = [
        (json!({"warn_at_percent": 101}), "warn_at_percent"),
        (json!({"equity_floor": {"equity": "-1", "action": "FLATTEN"}}), "equity_floor"),
    ];
    for (rule, field) in rules {
        let reply = put(
            &admin,
            "/api/connections/slave/S_1/settings",
            &account["version"],
            &json!({"settings": {"protection": rule}}),
        );
        assert_eq!(reply.status, 422, "{}", reply.text);
        let found = reply.json()["field"].as_str().unwrap().to_string();
        assert!(found.starts_with(&format!("settings.protection.{field}")), "{found}");
    }
    assert_eq!(groups(&admin), before, "nothing of what was refused has happened");
    assert_eq!(admin.get("/api/copy-settings").ok()["settings"], copy["settings"]);
    assert_eq!(admin.get("/api/connections/slave/S_1/settings").ok()["settings"], account["settings"]);
}

#[test]
fn nobody_copies_in_a_circle() {
    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    for master in ["A", "B", "C"] {
        admin.post("/api/trade-groups", &json!({"master_account": master})).ok();
    }
    let follow = |master: &str, slave: &str| {
        admin.post(&format!("/api/trade-groups/{master}/members"), &json!({"slave_account": slave}))
    };
    follow("A", "B").ok();
    refused(&follow("B", "A"), 409, "link_circular", Some("slave_account"));
    follow("B", "C").ok();
    let closing = follow("C", "A");
    refused(&closing, 409, "link_circular", Some("slave_account"));
    assert!(closing.json()["detail"].as_str().unwrap().contains("A → B → C → A"), "{}", closing.text);
    refused(&follow("C", "B"), 409, "link_circular", Some("slave_account"));
    follow("A", "C").ok();
    let version = admin.get("/api/trade-groups/A/members/B").ok()["version"].clone();
    delete(&admin, "/api/trade-groups/A/members/B", &version).ok();
    refused(&follow("C", "A"), 409, "link_circular", Some("slave_account"));
    follow("B", "A").ok();
}

#[test]
fn what_is_not_there_is_404() {
    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    copying(&admin, "M_1", "S_1");
    admin.post("/api/trade-groups", &json!({"master_account": "M_2"})).ok();
    let before = groups(&admin);
    let group = json!({"display_name": "A", "settings": {}});
    let member = json!({"slave_settings": {}});
    let toggle = json!({"enabled": true});
    for (method, path, body, code) in [
        ("GET", "/api/trade-groups/NOBODY", None, "group_unknown"),
        ("PUT", "/api/trade-groups/NOBODY", Some(&group), "group_unknown"),
        ("DELETE", "/api/trade-groups/NOBODY", None, "group_unknown"),
        ("POST", "/api/trade-groups/NOBODY/toggle", Some(&toggle), "group_unknown"),
        ("GET", "/api/trade-groups/NOBODY/members", None, "group_unknown"),
        ("POST", "/api/trade-groups/NOBODY/members", Some(&json!({"slave_account": "S_1"})), "group_unknown"),
        ("GET", "/api/trade-groups/M_2/members/S_1", None, "link_unknown"),
        ("PUT", "/api/trade-groups/M_2/members/S_1", Some(&member), "link_unknown"),
        ("DELETE", "/api/trade-groups/M_2/members/S_1", None, "link_unknown"),
        ("POST", "/api/trade-groups/M_2/members/S_1/toggle", Some(&toggle), "link_unknown"),
        ("GET", "/api/trade-groups/M_1/members/NOBODY", None, "link_unknown"),
        ("DELETE", "/api/trade-groups/M_1/members/NOBODY", None, "link_unknown"),
        ("GET", "/api/connections/NOBODY", None, "account_unknown"),
        ("GET", "/api/connections/slave/NOBODY/settings", None, "account_unknown"),
        ("GET", "/api/connections/master/S_1/settings", None, "account_unknown"),
        ("PUT", "/api/connections/slave/NOBODY/settings", Some(&json!({"settings": {}})), "account_unknown"),
        ("POST", "/api/connections/slave/NOBODY/rearm", Some(&json!({"reason": "again"})), "account_unknown"),
        ("GET", "/api/why/1", None, "why_unknown"),
        ("GET", "/api/why/999999", None, "why_unknown"),
        ("GET", "/api/why?ticket=1", None, "why_unknown"),
        ("GET", "/api/why?order=5d1f6c0a-0b4e-5c55-9a8e-3f1d0f2b7a11", None, "why_unknown"),
    ] {
        let call = admin.call(method, path).header("if-match", "\"1\"");
        let reply = match body {
            Some(body) => call.json(body).send(),
            None => call.send(),
        };
        assert_eq!(reply.problem(404), code, "{method} {path}");
    }
    for path in [
        "/api/connections/nobody/S_1/settings",
        "/api/connections?role=desk",
        "/api/why",
        "/api/why?order=7",
        "/api/why?ticket=1&account=a%20b",
    ] {
        admin.get(path).problem(422);
    }
    assert_eq!(groups(&admin), before);
}

#[test]
fn of_two_editors_the_second_is_told() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    let ben = desk.token(&admin, "ben", "operator");
    copying(&admin, "M_1", "S_1");
    let member = "/api/trade-groups/M_1/members/S_1";
    let things = [
        (
            "/api/trade-groups/M_1",
            json!({"display_name": "One", "settings": {}}),
            json!({"display_name": "Two", "settings": {}}),
        ),
        (member, json!({"slave_settings": {"reverse": true}}), json!({"slave_settings": {"mode": "off"}})),
        (
            "/api/connections/slave/S_1/settings",
            json!({"settings": {"require_all_masters": false}}),
            json!({"settings": {}}),
        ),
        ("/api/copy-settings", json!({"settings": {"retries_max": 1}}), json!({"settings": {"retries_max": 2}})),
    ];
    for (path, first, second) in things {
        let version = admin.get(path).ok()["version"].clone();
        refused(&admin.call("PUT", path).json(&first).send(), 428, "version_required", Some("If-Match"));
        put(&admin, path, &version, &first).ok();
        let after = admin.get(path).ok();
        assert_eq!(put(&ben, path, &version, &second).problem(412), "revision_stale", "{path}");
        let mut with_version = second.clone();
        with_version["version"] = version;
        assert_eq!(ben.call("PUT", path).json(&with_version).send().problem(409), "revision_stale", "{path}");
        let now = admin.get(path).ok();
        assert_eq!(now["version"], after["version"], "{path}: a refused change is none");
        with_version["version"] = now["version"].clone();
        ben.call("PUT", path).json(&with_version).send().ok();
        admin.call("PUT", path).header("if-match", "*").json(&first).send().ok();
        assert_eq!(admin.call("PUT", path).header("if-match", "soon").json(&first).send().problem(422), "invalid");
    }
    for path in [member, "/api/trade-groups/M_1"] {
        let version = admin.get(path).ok()["version"].clone();
        assert_eq!(admin.call("DELETE", path).send().problem(428), "version_required");
        let stale = json!(version.as_u64().unwrap() - 1);
        assert_eq!(delete(&ben, path, &stale).problem(412), "revision_stale");
        delete(&ben, path, &version).ok();
    }
}

#[test]
fn a_repeated_command_is_answered_as_it_was() {
    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    let twice = |method: &str, path: &str, key: &str, version: &Value, body: &Value| {
        let send = || admin.call(method, path).key(key).header("if-match", version.to_string()).json(body).send();
        let (first, again) = (send(), send());
        assert!((200..300).contains(&first.status), "{method} {path}: {}", first.text);
        assert_eq!((again.status, again.events()), (first.status, first.events()), "{method} {path}: {}", again.text);
        first.ok()
    };
    let any = json!("*");
    let group = twice("POST", "/api/trade-groups", "make", &any, &json!({"master_account": "M_1"}));
    let body = json!({"display_name": "Anna", "settings": {}});
    twice("PUT", "/api/trade-groups/M_1", "change", &group["version"], &body);
    twice("POST", "/api/trade-groups/M_1/toggle", "on", &any, &json!({"enabled": true}));
    let member = twice("POST", "/api/trade-groups/M_1/members", "add", &any, &json!({"slave_account": "S_1"}));
    let path = "/api/trade-groups/M_1/members/S_1";
    twice("PUT", path, "set", &member["version"], &json!({"slave_settings": {"reverse": true}}));
    let other = admin.call("PUT", path).key("set").header("if-match", "*").json(&json!({"slave_settings": {}})).send();
    assert_eq!(other.problem(422), "command_id_reused");
    let version = admin.get("/api/connections/slave/S_1/settings").ok()["version"].clone();
    twice(
        "PUT",
        "/api/connections/slave/S_1/settings",
        "own",
        &version,
        &json!({"settings": {"require_all_masters": false}}),
    );
    let version = admin.get("/api/copy-settings").ok()["version"].clone();
    twice("PUT", "/api/copy-settings", "all", &version, &json!({"settings": {"retries_max": 5}}));
    let version = admin.get(path).ok()["version"].clone();
    twice("DELETE", path, "part", &version, &Value::Null);
    let version = admin.get("/api/trade-groups/M_1").ok()["version"].clone();
    twice("DELETE", "/api/trade-groups/M_1", "end", &version, &Value::Null);
    let kinds = "group_created,group_changed,group_removed,link_added,link_settings_changed,link_removed";
    let happened: Vec<Value> = admin.events(kinds).iter().map(|event| event["kind"].clone()).collect();
    let once =
        ["group_created", "group_changed", "link_added", "link_settings_changed", "link_removed", "group_removed"];
    assert_eq!(happened, once);
}

#[test]
fn a_viewer_changes_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    copying(&admin, "M_1", "S_1");
    let viewer = desk.token(&admin, "eve", "viewer");
    let before = groups(&admin);
    for (method, path, body) in [
        ("POST", "/api/trade-groups", json!({"master_account": "M_9"})),
        ("PUT", "/api/trade-groups/M_1", json!({"display_name": "A", "settings": {}})),
        ("DELETE", "/api/trade-groups/M_1", Value::Null),
        ("POST", "/api/trade-groups/M_1/toggle", json!({"enabled": false})),
        ("POST", "/api/trade-groups/M_1/members", json!({"slave_account": "S_9"})),
        ("PUT", "/api/trade-groups/M_1/members/S_1", json!({"slave_settings": {}})),
        ("DELETE", "/api/trade-groups/M_1/members/S_1", Value::Null),
        ("POST", "/api/trade-groups/M_1/members/S_1/toggle", json!({"enabled": false})),
        ("PUT", "/api/copy-settings", json!({"settings": {}})),
        ("PUT", "/api/connections/slave/S_1/settings", json!({"settings": {}})),
        ("POST", "/api/connections/slave/S_1/rearm", json!({"reason": "again"})),
    ] {
        let reply = viewer.call(method, path).header("if-match", "*").json(&body).send();
        assert_eq!(reply.problem(403), "role_too_low", "{method} {path}");
    }
    for path in [
        "/api/trade-groups",
        "/api/connections",
        "/api/copy-settings",
        "/api/rules",
        "/api/latency",
        "/api/runtime-status-metrics",
    ] {
        viewer.get(path).ok();
        viewer.stranger().get(path).problem(401);
    }
    assert_eq!(groups(&admin), before);
}

#[test]
fn settings_and_rules_say_what_they_mean() {
    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    let known = admin.get("/api/copy-settings").ok();
    let fields = known["fields"].as_array().unwrap();
    assert!(fields.len() > 30);
    let age = fields.iter().find(|field| field["name"] == "signal_age_max_ms").unwrap();
    assert_eq!(age["default"], 5000);
    assert!(fields.iter().all(|field| !field["meaning"].as_str().unwrap().is_empty()));
    put(&admin, "/api/copy-settings", &known["version"], &json!({"settings": {"retries_max": 7}})).ok();
    copying(&admin, "M_1", "S_1");
    let member = admin.get("/api/trade-groups/M_1/members/S_1").ok();
    assert_eq!(member["effective"]["retries_max"], json!({"value": 7, "from": "global"}));
    let rules = admin.get("/api/rules").ok()["rules"].as_array().unwrap().clone();
    let late = rules.iter().find(|rule| rule["code"] == "signal_late").unwrap();
    assert_eq!(late["verdict"], "skipped");
    assert!(late["remedy"].as_str().unwrap().contains("signal_age_max_ms"));
}

/// A terminal that speaks frames over HTTP.
struct Terminal<'a> {
    client: &'a Client,
    role: &'static str,
    account: &'static str,
    epoch: u64,
    seq: u64,
}

fn micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64
}

impl<'a> Terminal<'a> {
    fn register(client: &'a Client, role: &'static str, account: &'static str) -> Self {
        let mut terminal = Terminal { client, role, account, epoch: 0, seq: 0 };
        let welcome = terminal.says("hello", json!({}));
        let contract = json!({
            "lots_step": "0.01", "lots_min": "0.01", "lots_max": "100", "size": "100000", "digits": 5, "tick_value": "1",
            "tick_size": "0.00001",
        });
        let identity = json!({
            "platform": "MT5", "account_number": 1, "broker": "Demo", "server": "Demo-1", "name": account, "currency": "EUR",
            "leverage": 100, "ea_version": "1.0",
        });
        let register = json!({
            "nonce": welcome["nonce"], "identity": identity, "holding": "hedging", "trade_allowed": true,
            "contracts": {"EURUSD": contract},
        });
        terminal.epoch = terminal.says("register", register)["epoch"].as_u64().unwrap();
        terminal.seq = 0;
        client.heartbeat(&format!("{role}/{account}"));
        terminal
    }

    fn says(&mut self, kind: &str, body: Value) -> Value {
        self.seq += 1;
        let frame = json!({
            "v": 1, "account": self.account, "role": self.role, "epoch": self.epoch, "seq": self.seq, "sent_at": micros(),
            "kind": kind, "body": body,
        });
        let reply = self.client.call("POST", "/api/ea/v1/session").json(&frame).send().ok();
        assert_ne!(reply["kind"], "refused", "{kind}: {reply}");
        reply["body"].clone()
    }

    /// Polls until there is an order.
    fn order(&mut self) -> Value {
        wait_for("there is an order", || {
            let told = self.says("next", json!({"wait_ms": 2000}));
            told["list"].as_array().unwrap().iter().find_map(|delivery| delivery.get("order").cloned())
        })
    }
}

fn open(ticket: u64, lots: &str) -> Value {
    json!({"open": {
        "ticket": ticket, "symbol": "EURUSD", "side": "buy", "entry": "market", "lots": lots, "price": "1.0845", "sl": null,
        "tp": null, "magic": 0, "comment": "",
    }})
}

fn member_is(admin: &Client, slave: &str, status: u64) {
    wait_until("the link is connected", || {
        admin.get(&format!("/api/trade-groups/M_1/members/{slave}")).ok()["runtime_status"] == status
    });
}

#[test]
fn why_tells_every_link_its_orders_and_how_long_they_took() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    copying(&admin, "M_1", "S_1");
    let off = json!({"slave_account": "S_2", "enabled": true, "slave_settings": {"sides": "sell"}});
    admin.post("/api/trade-groups/M_1/members", &off).ok();
    let mut master = Terminal::register(&admin, "master", "M_1");
    let mut slave = Terminal::register(&admin, "slave", "S_1");
    Terminal::register(&admin, "slave", "S_2");
    ["S_1", "S_2"].iter().for_each(|slave| member_is(&admin, slave, 2));

    let now = micros();
    let signal = json!({"signal_seq": 1, "change": open(70341, "0.5"), "broker_at": now - 2000, "seen_at": now - 1000});
    let position = master.says("signal", signal)["position"].as_u64().unwrap();
    let order = slave.order();
    wait_until("the outbox is shown", || {
        admin.get("/api/connections/S_1").ok()["connections"][0]["outbox"][0]["id"] == order["id"]
    });
    let done = micros();
    let result = json!({
        "order": order["id"], "outcome": "filled", "ticket": 900, "price": "1.0846", "lots": "0.5", "sl": null, "tp": null,
        "error": null, "received_at": done, "done_at": done + 100,
    });
    slave.says("order_result", result);

    let told = admin.get(&format!("/api/why/{position}")).ok();
    let story = &told["stories"][0];
    assert_eq!(told["stories"].as_array().unwrap().len(), 1);
    assert_eq!((&story["signal"]["position"], &story["signal"]["kind"]), (&json!(position), &json!("signal_taken")));
    assert_eq!((&story["signal"]["master"], &story["signal"]["ticket"]), (&json!("M_1"), &json!(70341)));
    let [copied, skipped] = story["links"].as_array().unwrap().as_slice() else { panic!("{story}") };
    assert_eq!((&copied["slave"], &copied["decision"]["verdict"]), (&json!("S_1"), &json!("copied")));
    assert!(copied["decision"]["steps"].as_array().unwrap().len() > 3, "{copied}");
    assert_eq!((&skipped["slave"], &skipped["decision"]["rule"]), (&json!("S_2"), &json!("side_filtered")));
    assert_eq!((&skipped["decision"]["remedy"], &skipped["orders"]), (&json!("set `sides` to `both`"), &json!([])));
    let given = &copied["orders"][0];
    assert_eq!((&given["id"], &given["results"][0]["result"]["ticket"]), (&order["id"], &json!(900)));
    for stamp in ["broker", "seen", "received", "decided", "durable", "sent", "slave_received", "filled"] {
        assert!(given["stamps"][stamp].is_i64(), "{stamp}: {given}");
    }
    assert_eq!(
        (&given["took"]["broker_to_seen"], &given["took"]["slave_received_to_filled"]),
        (&json!(1000), &json!(100))
    );
    for stage in ["received_to_decided", "decided_to_durable", "durable_to_sent"] {
        assert!(given["took"][stage].as_i64().unwrap() >= 0, "{stage}: {given}");
    }

    let of = |query: &str| admin.get(&format!("/api/why?{query}")).ok()["stories"].clone();
    let id = order["id"].as_str().unwrap();
    assert_eq!(of("ticket=70341"), told["stories"], "the master's ticket leads to all links");
    for query in [
        "ticket=900".to_string(),
        "ticket=900&account=S_1".into(),
        format!("order={id}"),
        "ticket=70341&account=S_1".into(),
    ] {
        let found = of(&query);
        assert_eq!((found[0]["links"].as_array().unwrap().len(), &found[0]["links"][0]), (1, copied), "{query}");
    }
    assert_eq!(admin.get(&format!("/api/why/{}", skipped["decision"]["position"])).ok()["stories"], told["stories"]);
    admin.get("/api/why?ticket=900&account=S_2").problem(404);
    admin.get(&format!("/api/why?ticket=900&order={id}")).problem(422);
    admin.get(&format!("/api/why?account=S_1&order={id}")).problem(422);

    let latency = admin.get("/api/latency").ok()["links"].clone();
    assert_eq!(latency.as_array().unwrap().len(), 1);
    assert_eq!((&latency[0]["master"], &latency[0]["slave"]), (&json!("M_1"), &json!("S_1")));
    for stage in latency[0]["stages"].as_array().unwrap() {
        assert_eq!((&stage["count"], &stage["p50"]), (&json!(1), &stage["max"]), "{stage}");
    }
    let member = admin.get("/api/trade-groups/M_1/members/S_1").ok();
    assert_eq!(
        (&member["latency"]["stages"], &member["open_copies"], &member["orders_open"]),
        (&latency[0]["stages"], &json!(1), &json!(0))
    );

    let close = json!({"close": {"ticket": 70341, "ratio": null, "remaining": null, "price": null}});
    master.says("signal", json!({"signal_seq": 2, "change": close, "broker_at": null, "seen_at": micros()}));
    assert_eq!(slave.order()["instruction"]["close"]["of"], order["id"]);
    let both = of("ticket=70341");
    assert_eq!(both.as_array().unwrap().len(), 2, "in the order of signals");
    assert_eq!(both[0], *story);
    assert_eq!(both[1]["links"][1]["decision"]["rule"], "not_copied");

    let desk = desk.restart();
    let admin = desk.again(&admin);
    assert_eq!(admin.get("/api/why?ticket=70341").ok()["stories"], both, "it is told from the log");
    on_the_command_line(&desk, &admin, temp.path(), position, &both);
}

/// The same, from a server and from a data directory.
fn on_the_command_line(desk: &Desk, admin: &Client, data: &Path, position: u64, both: &Value) {
    let token = desk.token(admin, "cli", "viewer").token.unwrap();
    let server = ["--url".to_string(), desk.base.clone(), "--token".into(), token];
    let files = ["--data".to_string(), data.display().to_string()];
    for place in [server.as_slice(), files.as_slice()] {
        let why = |args: &[&str]| run(tidehelm().arg("why").args(args).args(place));
        let (exit, said) = why(&["70341", "--output", "json"]);
        assert_eq!((exit, serde_json::from_str::<Value>(&said).unwrap()), (0, both.clone()));
        let (exit, said) = why(&[&position.to_string(), "--position"]);
        assert_eq!(exit, 0, "{said}");
        for part in [
            "70341",
            "S_1  copied (copied)",
            "S_2  skipped (side_filtered)",
            "→ set `sides` to `both`",
            "filled",
            "received to decided",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let (exit, said) = why(&[&position.to_string()]);
        assert!(exit == 0 && said.contains("S_1  copied"), "a number that is no ticket is a position: {said}");
        for nothing in [["424242", "--account"].as_slice(), &["424242"], &["5d1f6c0a-0b4e-5c55-9a8e-3f1d0f2b7a11"]] {
            let args: Vec<&str> = nothing.iter().copied().chain((nothing.len() == 2).then_some("S_1")).collect();
            let (exit, said) = why(&args);
            assert_eq!(exit, 3, "{args:?}: {said}");
        }
        assert_eq!(why(&["something"]).0, 2);
    }
}

#[test]
fn a_connection_shows_its_terminal_and_what_is_open() {
    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    copying(&admin, "M_1", "S_1");
    let mut master = Terminal::register(&admin, "master", "M_1");
    let mut slave = Terminal::register(&admin, "slave", "S_1");
    // One account in both roles.
    Terminal::register(&admin, "slave", "M_1");
    member_is(&admin, "S_1", 2);
    let before = admin.position();
    master.says("signal", json!({"signal_seq": 1, "change": open(5, "0.2"), "broker_at": null, "seen_at": micros()}));
    let order = slave.order();
    let both = admin.get("/api/connections/M_1").ok();
    let roles: Vec<&Value> =
        both["connections"].as_array().unwrap().iter().map(|connection| &connection["role"]).collect();
    assert_eq!(roles, ["master", "slave"]);
    let shown = &both["connections"][0];
    assert_eq!((&shown["connection"], &shown["epoch"], &shown["paired"]), (&json!("online"), &json!(1), &json!(false)));
    assert_eq!(
        (&shown["broker"], &shown["holding"], &shown["symbols"]),
        (&json!("Demo"), &json!("hedging"), &json!(1))
    );
    assert_eq!(
        (&shown["trades"][0]["ticket"], &shown["open_trades"], &shown["balance"]),
        (&json!(5), &json!(1), &json!("1000"))
    );
    let shown = admin.get("/api/connections/S_1").ok()["connections"][0].clone();
    assert_eq!((&shown["copies"][0]["ticket"], &shown["copies"][0]["master"]), (&json!(5), &json!("M_1")));
    assert_eq!((&shown["outbox"][0]["id"], &shown["orders_open"]), (&order["id"], &json!(1)));
    let then = admin.get(&format!("/api/connections/S_1?as_of={before}")).ok();
    assert_eq!(then["connections"][0]["copies"], json!([]));
    let all = admin.get("/api/connections").ok()["connections"].as_array().unwrap().len();
    let slaves = admin.get("/api/connections?role=slave").ok()["connections"].as_array().unwrap().len();
    assert_eq!((all, slaves), (3, 2));

    let path = "/api/connections/slave/S_1/settings";
    let rules = json!({"equity_floor": {"equity": "2000", "action": "BLOCK_ENTRY"}});
    let settings = json!({"copy": {"retries_max": 9}, "require_all_masters": false, "protection": rules});
    let version = admin.get(path).ok()["version"].clone();
    let changed = put(&admin, path, &version, &json!({"settings": settings})).ok();
    assert_eq!(
        (&changed["settings"]["copy"], &changed["settings"]["require_all_masters"]),
        (&json!({"retries_max": 9}), &json!(false))
    );
    admin.heartbeat("slave/S_1");
    let hit = wait_for("the limit is hit", || {
        let shown = admin.get("/api/connections/S_1").ok()["connections"][0].clone();
        shown["warning_codes"].as_array().unwrap().contains(&json!("limit_hit")).then_some(shown)
    });
    assert_eq!(hit["protection"][0]["limit"], "equity_floor");
    let rearm = |body: Value| admin.post("/api/connections/slave/S_1/rearm", &body);
    assert_eq!(rearm(json!({"limits": ["equity_floor"]})).problem(422), "invalid", "it needs a reason");
    assert_eq!(rearm(json!({"limits": ["equity_floor"], "reason": "again"})).problem(409), "limit_still_exceeded");
    let version = admin.get(path).ok()["version"].clone();
    let lower = json!({"settings": {"protection": {"equity_floor": {"equity": "100", "action": "BLOCK_ENTRY"}}}});
    put(&admin, path, &version, &lower).ok();
    let rearmed = rearm(json!({"limits": ["equity_floor"], "reason": "the limit was a typing error"})).ok();
    assert_eq!(rearmed["protection"][0]["standing"], Value::Null);
    assert_eq!(admin.events("limits_rearmed")[0]["payload"]["reason"], "the limit was a typing error");
}

fn status_metric(admin: &Client, source: &str, name: &str) -> u64 {
    admin.get("/api/runtime-status-metrics").ok()["by_source"][source][name].as_u64().unwrap()
}

#[test]
fn evaluations_are_counted_by_what_caused_them() {
    let temp = tempfile::tempdir().unwrap();
    let launch = Launch::new(temp.path());
    let desk = launch.start();
    let admin = desk.welcome("ann");
    copying(&admin, "M_1", "S_1");
    Terminal::register(&admin, "master", "M_1");
    let mut slave = Terminal::register(&admin, "slave", "S_1");
    member_is(&admin, "S_1", 2);
    assert_eq!(status_metric(&admin, "heartbeat", "slave_evaluations_total"), 1);
    (0..5).for_each(|_| drop(admin.heartbeat("slave/S_1")));
    assert_eq!(status_metric(&admin, "heartbeat", "slave_evaluations_total"), 1, "the same again is no evaluation");
    assert_eq!(status_metric(&admin, "heartbeat", "master_evaluations_total"), 1);
    slave.says("request_config", json!({}));
    assert_eq!(status_metric(&admin, "config_request", "slave_evaluations_total"), 1);
    admin.post("/api/trade-groups/M_1/toggle", &json!({"enabled": false})).ok();
    assert_eq!(status_metric(&admin, "api_toggle", "master_evaluations_total"), 1);
    slave.says("unregister", json!({}));
    assert_eq!(status_metric(&admin, "unregister", "slave_evaluations_total"), 1);
    let all = admin.get("/api/runtime-status-metrics").ok();
    assert_eq!((&all["last_cluster_size"], &all["slave_evaluations_failed"]), (&json!(1), &json!(0)));
    assert!(all["slave_bundles_built"].as_u64().unwrap() > 0);
    desk.stop();

    let desk = launch.arg("--quarantine").arg("slave/S_1").start();
    let admin = desk.again(&admin);
    assert_eq!(admin.toggle("slave/S_1", false).problem(409), "stream_quarantined");
    let all = admin.get("/api/runtime-status-metrics").ok();
    assert_eq!((&all["slave_evaluations_failed"], &all["slave_evaluations_total"]), (&json!(1), &json!(1)), "{all}");
    let text = admin.get("/metrics").text;
    for line in [
        "tidehelm_slave_evaluations_failed_total{source=\"api_toggle\"} 1",
        "tidehelm_master_evaluations_failed_total{source=\"api_toggle\"} 0",
        "tidehelm_terminal_requests_total 0",
        "tidehelm_nng_pipes 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains("S_1") && !text.contains("M_1"), "metrics name no account");
}

#[test]
fn groups_and_members_are_managed_on_the_command_line() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    let token = desk.token(&admin, "cli", "operator").token.unwrap();
    let cli = |args: &[&str]| run(tidehelm().args(args).args(["--url", &desk.base, "--token", &token]));
    let json_of = |args: &[&str]| {
        let (exit, said) = cli(&[args, &["--output", "json"]].concat());
        assert_eq!(exit, 0, "{args:?}: {said}");
        serde_json::from_str::<Value>(&said).unwrap()
    };
    let made = json_of(&["group", "create", "M_1", "--name", "Anna", "--settings", r#"{"retries_max": 1}"#]);
    assert_eq!(
        (&made["display_name"], &made["settings"], &made["enabled"]),
        (&json!("Anna"), &json!({"retries_max": 1}), &json!(false))
    );
    assert_eq!(cli(&["group", "create", "M_1"]).0, 4, "it is there already");
    assert_eq!(
        json_of(&["group", "set", "M_1", "--name", "Bea"])["settings"],
        json!({"retries_max": 1}),
        "what is not said stays"
    );
    assert_eq!(cli(&["group", "set", "M_1", "--name", "Cleo", "--if-version", "1"]).0, 4);
    assert_eq!(cli(&["group", "set", "M_1", "--settings", r#"{"retries_max": -1}"#]).0, 2);
    assert_eq!(cli(&["group", "set", "M_1", "--settings", "nonsense"]).0, 2);
    assert_eq!(json_of(&["group", "toggle", "M_1", "on"])["enabled_flag"], true);
    assert_eq!(json_of(&["member", "add", "M_1", "S_1", "--enabled"])["enabled_flag"], true);
    let set = json_of(&["member", "set", "M_1", "S_1", "--settings", r#"{"reverse": true}"#]);
    assert_eq!(set["slave_settings"], json!({"reverse": true}));
    assert_eq!(json_of(&["member", "toggle", "M_1", "S_1", "off"])["enabled_flag"], false);
    assert_eq!(json_of(&["group", "list"])[0]["display_name"], "Bea");
    let (exit, said) = cli(&["group", "show", "M_1"]);
    assert!(exit == 0 && said.contains("Bea") && said.contains("S_1"), "{said}");
    let (exit, said) = cli(&["group", "list", "--output", "csv"]);
    assert!(exit == 0 && said.contains("M_1,Bea,true,0"), "{said}");
    assert!(cli(&["group", "settings"]).1.contains("signal_age_max_ms"));
    assert_eq!(cli(&["member", "remove", "M_1", "S_1", "--wind-down", "somehow"]).0, 2);
    assert_eq!(cli(&["member", "remove", "M_1", "S_1", "--wind-down", "close_now"]).0, 0);
    assert_eq!(cli(&["member", "remove", "M_1", "S_1"]).0, 3);
    assert_eq!(cli(&["group", "remove", "M_1"]).0, 0);
    assert_eq!(cli(&["group", "show", "M_1"]).0, 3);
    assert_eq!(groups(&admin), json!([]));
    assert_eq!(run(tidehelm().args(["group", "list"])).0, 2, "it needs a server");
}
