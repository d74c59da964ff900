//! Endpoints over the API: registered, changed, removed, watched.

use crate::client::{Client, Reply};
use crate::desk::{Desk, Launch};
use serde_json::{Value, json};
use std::path::Path;

/// Nobody listens there, and a refusal comes at once.
const NOBODY: &str = "http://127.0.0.1:9";
const SECRET: &str = "sk-upstream-0123456789";

fn put(client: &Client, id: &str, version: &Value, body: &Value) -> Reply {
    client.call("PUT", &at(id)).header("if-match", format!("\"{version}\"")).json(body).send()
}

fn at(id: &str) -> String {
    format!("/api/endpoints/{id}")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).into()
}

#[track_caller]
fn refused(reply: &Reply, status: u16, code: &str, field: Option<&str>) {
    assert_eq!((reply.problem(status).as_str(), reply.json()["field"].as_str()), (code, field), "{}", reply.text);
}

/// True if some file under the directory has these bytes in it.
fn has_bytes(dir: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => has_bytes(&path, bytes),
            false => std::fs::read(&path).unwrap_or_default().windows(bytes.len()).any(|some| some == bytes),
        }
    })
}

#[test]
fn an_endpoint_is_registered_though_nobody_is_there_and_changed_and_removed() {
    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    let body = json!({"name": "GPU box", "base_url": "HTTP://127.0.0.1:9/v1/", "tags": ["cellar"]});
    let made = admin.post("/api/endpoints", &body);
    let endpoint = made.ok();
    let id = text(&endpoint["id"]);
    assert_eq!((made.status, made.header("location")), (201, Some(at(&id).as_str())));
    assert_eq!(made.header("etag"), Some(format!("\"{}\"", endpoint["version"]).as_str()));
    assert_eq!((&endpoint["base_url"], &endpoint["kind"]), (&json!(NOBODY), &Value::Null));
    assert_eq!((&endpoint["health_interval_seconds"], &endpoint["has_secret"]), (&json!(30), &json!(false)));

    let before = admin.position();
    let body =
        json!({"name": "GPU box 2", "base_url": NOBODY, "weight": 300, "kind": "vllm", "capabilities": ["chat"]});
    let changed = put(&admin, &id, &endpoint["version"], &body).ok();
    assert_eq!((&changed["name"], &changed["weight"]), (&json!("GPU box 2"), &json!(300)));
    assert_eq!((&changed["kind"], &changed["tags"]), (&json!("vllm"), &json!([])), "what is left out is as by default");
    let list = admin.get("/api/endpoints").ok();
    assert_eq!(list["endpoints"][0]["version"], changed["version"]);
    assert_eq!(admin.get(&format!("{}?as_of={before}", at(&id))).ok()["name"], "GPU box");

    refused(&put(&admin, &id, &endpoint["version"], &body), 412, "revision_stale", None);
    let blind = admin.call("PUT", &at(&id)).json(&body).send();
    refused(&blind, 428, "version_required", Some("If-Match"));
    refused(&admin.call("DELETE", &at(&id)).send(), 428, "version_required", Some("If-Match"));
    admin.call("DELETE", &at(&id)).header("if-match", format!("\"{}\"", changed["version"])).send().ok();
    assert_eq!(admin.get(&at(&id)).problem(404), "endpoint_unknown");
    assert_eq!(admin.get("/api/endpoints").ok()["endpoints"], json!([]));
    assert_eq!(admin.events("endpoint_registered,endpoint_changed,endpoint_removed").len(), 3);
}

#[test]
fn what_cannot_be_an_endpoint_is_refused_by_its_field() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    let first = json!({"name": "One", "base_url": NOBODY});
    admin.post("/api/endpoints", &first).ok();
    for (body, status, code, field) in [
        (json!({"name": "ONE", "base_url": "http://127.0.0.1:8"}), 409, "name_taken", Some("name")),
        (json!({"name": "Two", "base_url": "http://127.0.0.1:9/v1"}), 409, "url_taken", Some("base_url")),
        (json!({"base_url": "http://127.0.0.1:8"}), 422, "setting_invalid", Some("name")),
        (json!({"name": "Two"}), 422, "setting_invalid", Some("base_url")),
        (json!({"name": "Two", "base_url": "ftp://a"}), 422, "setting_invalid", Some("base_url")),
        (json!({"name": "Two", "base_url": "http://u:p@a"}), 422, "setting_invalid", Some("base_url")),
        (json!({"name": "Two", "base_url": "http://a", "weight": 0}), 422, "setting_invalid", Some("weight")),
        (json!({"name": "Two", "base_url": "http://a", "weight": "x"}), 422, "invalid", Some("weight")),
        (json!({"name": "Two", "base_url": "http://a", "kind": "gpt"}), 422, "invalid", Some("kind")),
        (
            json!({"name": "Two", "base_url": "http://a", "health_interval_seconds": 4}),
            422,
            "setting_invalid",
            Some("health_interval_seconds"),
        ),
        (json!({"name": "Two", "base_url": "http://a", "secret": ""}), 422, "invalid", Some("secret")),
        (json!({"name": "Two", "base_url": "http://a", "secret": "a b"}), 422, "invalid", Some("secret")),
        (json!({"name": "Two", "base_url": "http://a", "colour": 1}), 422, "invalid", Some("colour")),
    ] {
        let reply = admin.post("/api/endpoints", &body);
        assert_eq!(reply.status, status, "{body}: {}", reply.text);
        refused(&reply, status, code, field);
    }
    let number = admin.post("/api/endpoints", &json!({"name": "Two", "base_url": "http://a", "secret": 987654321}));
    refused(&number, 422, "invalid", Some("secret"));
    assert!(!number.text.contains("987654321"), "a secret is not repeated: {}", number.text);
    refused(&admin.get("/api/endpoints/7"), 422, "invalid", Some("id"));
    let viewer = desk.token(&admin, "eyes", "viewer");
    assert_eq!(viewer.get("/api/endpoints").ok()["endpoints"].as_array().unwrap().len(), 1);
    assert_eq!(
        viewer.post("/api/endpoints", &json!({"name": "T", "base_url": "http://a"})).problem(403),
        "role_too_low"
    );
    assert_eq!(desk.client().get("/api/endpoints").problem(401), "login_needed");
}

#[test]
fn a_repeat_means_the_same_endpoint() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    let body = json!({"name": "One", "base_url": NOBODY, "secret": SECRET});
    let register = |client: &Client, body: &Value| client.call("POST", "/api/endpoints").key("first").json(body).send();
    let made = register(&admin, &body);
    let again = register(&admin, &body);
    assert_eq!(made.ok()["id"], again.ok()["id"]);
    assert_eq!((made.events().is_some(), made.events()), (true, again.events()));
    let other = json!({"name": "Other", "base_url": NOBODY});
    assert_eq!(register(&admin, &other).problem(422), "command_id_reused");
    let bob = desk.token(&admin, "bob", "operator");
    assert_eq!(register(&bob, &other).problem(409), "url_taken", "the same key of somebody else is another command");
    assert_eq!(admin.get("/api/endpoints").ok()["endpoints"].as_array().unwrap().len(), 1);
}

#[test]
fn a_secret_is_sealed_never_shown_and_destroyed_with_the_last_that_refers_to_it() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    let body = json!({"name": "One", "base_url": NOBODY, "secret": SECRET});
    let endpoint = admin.post("/api/endpoints", &body).ok();
    let id = text(&endpoint["id"]);
    assert_eq!(endpoint["has_secret"], true);
    let sealed = || admin.get("/api/secrets").ok()["sealed"].clone();
    assert_eq!(sealed(), 1);

    let kept = put(&admin, &id, &endpoint["version"], &json!({"name": "One more", "base_url": NOBODY})).ok();
    assert_eq!((&kept["has_secret"], sealed()), (&json!(true), json!(1)), "left out, it stays");
    let moved = json!({"name": "One", "base_url": "http://127.0.0.1:8"});
    refused(&put(&admin, &id, &kept["version"], &moved), 422, "secret_needed", Some("secret"));
    let other = json!({"name": "One", "base_url": "http://127.0.0.1:8", "secret": "another-secret-1"});
    let changed = put(&admin, &id, &kept["version"], &other).ok();
    assert_eq!((&changed["has_secret"], sealed()), (&json!(true), json!(1)), "the old one is destroyed");
    refused(&put(&admin, &id, &kept["version"], &other), 412, "revision_stale", None);
    let twice = admin.post("/api/endpoints", &json!({"name": "One", "base_url": "http://a", "secret": "refused-one"}));
    refused(&twice, 409, "name_taken", Some("name"));
    assert_eq!(sealed(), 1, "that of a refused command goes, too");

    let all = ["/api/endpoints", "/api/events?limit=1000", "/api/config", "/api/secrets", "/api/state"];
    for path in all.into_iter().map(String::from).chain([at(&id)]) {
        let reply = admin.get(&path);
        assert!(!reply.text.contains(SECRET) && !reply.text.contains("another-secret"), "{path} shows it");
    }
    assert!(!desk.logged().contains(SECRET) && !desk.said().contains(SECRET));
    let desk = desk.restart();
    let admin = desk.again(&admin);
    assert_eq!(admin.get("/api/secrets").ok()["unreadable"], 0);
    assert!(!has_bytes(temp.path(), SECRET.as_bytes()) && !has_bytes(temp.path(), b"another-secret"));
    admin.call("DELETE", &at(&id)).header("if-match", format!("\"{}\"", changed["version"])).send().ok();
    assert_eq!(admin.get("/api/secrets").ok()["sealed"], 0);
}

#[test]
fn a_secret_that_cannot_be_opened_stops_no_start() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    admin.post("/api/endpoints", &json!({"name": "One", "base_url": NOBODY, "secret": SECRET})).ok();
    let file = std::path::PathBuf::from(text(&admin.get("/api/secrets").ok()["master_key_file"]));
    let launch: Launch = desk.kill9();
    let aside = temp.path().join("aside");
    std::fs::rename(&file, &aside).unwrap();
    let desk = launch.start();
    let admin = desk.again(&admin);
    assert_eq!(admin.get("/api/secrets").ok()["unreadable"], 1);
    let new = admin.post("/api/endpoints", &json!({"name": "Two", "base_url": "http://a", "secret": SECRET}));
    assert_eq!(new.problem(503), "master_key_missing");
    std::fs::rename(&aside, &file).unwrap();
    admin.post("/api/endpoints", &json!({"name": "Two", "base_url": "http://127.0.0.1:8", "secret": SECRET})).ok();
    assert_eq!(admin.get("/api/secrets").ok()["unreadable"], 0);
}
